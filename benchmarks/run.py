# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S603, T201  (a program: it prints, and runs commands of its own making)
"""`make benchmark`: a play over 1,000 emulated machines, held against the offline optimum of the same run.

Everything is judged by the emulator's audit log and the kernel's account, and by ratios within one run; real time is
never judged. Ends with 1 when an aim was missed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import audit
import process
import schedule
from scenarios import SCENARIOS, Scenario, write_fleet

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

import emulator_process  # noqa: E402  (the project's own tools, which are no package)
import peers  # noqa: E402
from environments import BUILD, REHEARSAL, SetupError, ensure, process_environment  # noqa: E402

FOLDER = BUILD / "benchmark"

# What a play imports besides Ansible: compiled once, before anything is measured.
IMPORTS = "import aiohttp, azure.identity.aio, azure.mgmt.compute.aio, azure.mgmt.core.policies"

MOST_RATIO = 1.10
MOST_THROTTLED = 0.01
MOST_CPU_MS = 2.5
MOST_MEMORY_MB = 250.0


@dataclass(frozen=True)
class Measured:
    """One run of the play: the audit log's story, what the process tree cost, and the schedules to hold it against."""

    scenario: Scenario
    story: audit.Story
    cost: process.Cost
    bound: float
    optimum: float
    in_order: float
    hindered: float

    @property
    def ratio(self) -> float:
        """What the aim is judged by: time over that of the offline optimum, which knows how long everything takes."""
        return self.story.elapsed / self.optimum

    @property
    def throttled_share(self) -> float:
        return self.story.throttled / len(self.story.requests)

    @property
    def cpu_ms(self) -> float:
        """Of the whole tree: ansible-playbook, its workers and the modules, imports included."""
        return self.cost.cpu * 1000 / len(self.story.requests)

    def missed(self) -> list[str]:
        """The aims that this run missed, a sentence each."""
        aims = [
            ("time over the offline optimum", self.ratio, MOST_RATIO, ""),
            ("share of 429s", self.throttled_share * 100, MOST_THROTTLED * 100, " %"),
            ("CPU a request", self.cpu_ms, MOST_CPU_MS, " ms"),
            ("peak memory", self.cost.peak_tree, MOST_MEMORY_MB, " MB"),
        ]
        return [
            f"{self.scenario.name}: {what} is {found:.3g}{unit}, aim {most:g}{unit}"
            for what, found, most, unit in aims
            if found > most
        ]


def measure(bin_folder: Path, scenario: Scenario, machines: int, speed: float) -> Measured:
    """Start a fleet, run the play over it, and read what happened."""
    folder = FOLDER / scenario.play / f"{scenario.drained:g}-{scenario.others:g}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_fleet(folder / "fleet.yml", machines, scenario)
    running = emulator_process.start(
        bin_folder, folder / "fleet.yml", folder / "emulator", "--speed", f"{speed:g}", timeout=120
    )
    try:
        variables = {"benchmark_state": str(folder / "state"), "benchmark_play": scenario.play}
        command = [str(bin_folder / "ansible-playbook"), str(HERE / "play.yml"), "-i", str(running.inventory)]
        settings = running.environment() | {"ANSIBLE_CONFIG": str(HERE / "ansible.cfg")}
        environ = process_environment(bin_folder, **settings)
        subprocess.run([*command, "--syntax-check"], cwd=folder, env=environ, capture_output=True, check=True)
        subprocess.run([str(bin_folder / "python"), "-c", IMPORTS], env=environ, check=True)
        cost = process.run([*command, "-e", json.dumps(variables)], environ, folder, folder / "play.log")
        lines = running.audit()
        hindered = process.waited_for_processor(running.pid)
    finally:
        emulator_process.stop(folder / "emulator")
    if cost.exit_code:
        tail = (folder / "play.log").read_text(encoding="utf-8")[-3000:]
        raise SetupError(f"The play ended with {cost.exit_code}; {folder / 'play.log'} ends with:\n{tail}")
    return hold_against_schedules(scenario, audit.read(lines), cost, hindered)


def hold_against_schedules(scenario: Scenario, story: audit.Story, cost: process.Cost, hindered: float) -> Measured:
    """Compute the optimum for what this run met; SetupError when it met other limits than the arithmetic knows."""
    limits = scenario.limits()
    if not schedule.allowed_by(limits.starts, story.starts()):
        raise SetupError("The emulator allowed more than the benchmark's limits do: its arithmetic is another.")
    works = story.works()
    return Measured(
        scenario,
        story,
        cost,
        schedule.lower_bound(works, limits, story.begun),
        schedule.plan(works, limits, story.begun).makespan,
        schedule.plan(works, limits, story.begun, foresight=False, barrier=scenario.barrier).makespan,
        hindered,
    )


def report(measured: Measured, machines: int, speed: float) -> str:
    """The figures of one run as lines of text."""
    story, cost = measured.story, measured.cost
    requests = len(story.requests)
    sorts = ", ".join(f"{count} {sort}" for sort, count in sorted(story.by_sort().items()))
    lost = (cost.starved + measured.hindered) * speed
    rows = {
        "first request to last verdict": f"{story.elapsed:.0f} s emulated",
        "offline optimum, knowing all lengths": f"{measured.optimum:.0f} s (none can be below {measured.bound:.0f} s)",
        "measured / optimum": f"{measured.ratio:.3f}",
        "in the play's own order": f"{measured.in_order:.0f} s, {measured.in_order / measured.optimum:.3f} of it",
        "measured / in order": f"{story.elapsed / measured.in_order:.3f}",
        "assessment seen after its end": spread(story.lags(audit.ASSESS)),
        "installation seen after its end": spread(story.lags(audit.INSTALL)),
        "requests": f"{requests} ({sorts}), {requests / machines:.1f} a machine",
        "429s": f"{story.throttled} ({measured.throttled_share * 100:.2f} %)",
        "CPU of the whole tree": f"{measured.cpu_ms:.2f} ms a request, {cost.cpu * 1000 / machines:.1f} ms a machine",
        "CPU of the tasks' processes": f"{cost.workers_cpu * 1000 / requests:.2f} ms a request",
        "CPU of ansible-playbook's own": f"{cost.root_cpu:.1f} s, {cost.root_cpu / cost.wall * 100:.1f} % of a core",
        "peak memory": f"{cost.peak_tree:.0f} MB the process tree, {cost.peak_process:.0f} MB its largest process",
        "waited for a processor": f"client {cost.starved:.0f} s, emulator {measured.hindered:.0f} s of "
        f"{cost.wall:.0f} real seconds; that may have cost up to {lost:.0f} emulated seconds",
    }
    return "\n".join([f"\n{measured.scenario.name}", *(f"  {what:38} {value}" for what, value in rows.items())])


def spread(values: Sequence[float]) -> str:
    """Median, 95 % point and largest of seconds."""
    if not values:
        return "nothing"
    high = values[int(len(values) * 0.95)]
    return f"median {statistics.median(values):.0f} s, 95 % {high:.0f} s, at most {values[-1]:.0f} s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every scenario, and the peers if asked; 0 when all aims were met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, default=1000)
    parser.add_argument("--speed", type=float, default=5.0, help="emulated seconds a real second, at most 10")
    parser.add_argument("--only", type=int, help="only this scenario, counted from 1")
    parser.add_argument("--sample", type=int, default=8, help="machines for each client beside the peers")
    parser.add_argument("--peers", action="store_true", help="install az and azure.azcollection and measure them too")
    options = parser.parse_args(arguments)
    if not 0 < options.speed <= 10:
        parser.error("--speed must be over 0 and at most 10: faster, this machine is measured and not the client")
    # An emulator must not outlive a benchmark that is told to end.
    signal.signal(signal.SIGTERM, lambda *dummy: sys.exit(143))
    chosen = [SCENARIOS[options.only - 1]] if options.only else SCENARIOS
    missed: list[str] = []
    try:
        bin_folder = ensure(REHEARSAL)
        for scenario in chosen:
            print(
                f"Measuring: {scenario.name} ({options.machines} machines at speed {options.speed:g}) ...", flush=True
            )
            measured = measure(bin_folder, scenario, options.machines, options.speed)
            print(report(measured, options.machines, options.speed), flush=True)
            missed += measured.missed()
        if options.peers:
            print(f"\nSide by side with az and azure.azcollection ({options.sample} machines each) ...", flush=True)
            print(peers.table(peers.measure(options.sample)), flush=True)
    except (SetupError, emulator_process.EmulatorError, ValueError) as problem:
        print(problem, file=sys.stderr)
        return 2
    print("\nAll aims met." if not missed else "\nMissed:\n  " + "\n  ".join(missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
