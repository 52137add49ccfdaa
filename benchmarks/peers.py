# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S603  (a program: it prints, and runs commands of its own making)
"""The same work by what a user would take instead: az in a shell loop, and azure.azcollection in a play.

All three clients work on machines of one emulator, one client after another, at speed 1: the others wait in real
seconds. Operations are kept short, so that what is compared is what each client costs and adds, not Azure's own time.
Every client is given the shape that is best for it: az and azure.azcollection work on all machines at once.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import audit
import emulator_process
import process
from azcollection import prepare as prepare_azcollection
from azcollection import variables as azcollection_variables
from environments import AZURE_CLI, BUILD, REHEARSAL, SetupError, ensure, process_environment
from scenarios import write_fleet

HERE = Path(__file__).resolve().parent
FOLDER = BUILD / "benchmark" / "peers"
CLIENTS = ("ours", "az", "azcollection")
SHORT: dict[str, Any] = {"assess_minutes": (0.4, 0.6), "install_minutes": (0.7, 1.0)}


@dataclass(frozen=True)
class Peer:
    """What one client did and what it cost."""

    name: str
    story: audit.Story
    cost: process.Cost
    longest: float


def measure(sample: int) -> list[Peer]:
    """Let each client assess and install on ``sample`` machines of its own; SetupError when one of them fails."""
    ours, az = ensure(REHEARSAL), ensure(AZURE_CLI)
    azcollection = prepare_azcollection()
    folder = FOLDER / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_fleet(folder / "fleet.yml", sample * len(CLIENTS), **SHORT)
    running = emulator_process.start(ours, folder / "fleet.yml", folder / "emulator", "--speed", "1", timeout=60)
    try:
        names = sorted(_machines(running))
        shares = [names[index :: len(CLIENTS)] for index in range(len(CLIENTS))]
        run_with: dict[str, Callable[[list[str]], process.Cost]] = {
            "ours": lambda share: _play(
                ours,
                running,
                share,
                "play.yml",
                {"benchmark_state": str(folder / "state"), "benchmark_play": "two_tasks"},
            ),
            "az": lambda share: _az(az, running, share),
            "azcollection": lambda share: _azcollection_play(azcollection, running, share),
        }
        costs = {name: run_with[name](share) for name, share in zip(CLIENTS, shares)}
        lines = running.audit()
    finally:
        emulator_process.stop(folder / "emulator")
    return [_peer(name, audit.read(lines, share), costs[name]) for name, share in zip(CLIENTS, shares)]


def _peer(name: str, story: audit.Story, cost: process.Cost) -> Peer:
    if cost.exit_code:
        log = FOLDER / "run" / f"{name}.log"
        tail = log.read_text(encoding="utf-8")[-2000:]
        raise SetupError(f"The client {name!r} ended with {cost.exit_code}; {log} ends with:\n{tail}")
    return Peer(name, story, cost, max(work.assess + work.install for work in story.works()))


def _machines(running: emulator_process.Emulator) -> dict[str, str]:
    """Resource IDs by name."""
    return {machine["name"]: machine["id"] for machine in running.control("/emulator/machines")}


def _play(
    bin_folder: Path,
    running: emulator_process.Emulator,
    share: list[str],
    playbook: str,
    variables: Mapping[str, str],
    name: str = "ours",
    **extra: str,
) -> process.Cost:
    command = [str(bin_folder / "ansible-playbook"), str(HERE / playbook), "-i", str(running.inventory)]
    command += ["--limit", ",".join(share), "--forks", str(len(share)), "-e", json.dumps(variables)]
    settings = {"ANSIBLE_CONFIG": str(HERE / "ansible.cfg")}
    environ = {**process_environment(bin_folder), **running.environment(), **settings, **extra}
    return process.run(command, environ, FOLDER / "run", FOLDER / "run" / f"{name}.log")


def _azcollection_play(bin_folder: Path, running: emulator_process.Emulator, share: list[str]) -> process.Cost:
    extra = azcollection_variables(running.endpoints["arm"], FOLDER / "run" / "azcollection")
    interpreter = {"benchmark_python": str(bin_folder / "python")}
    return _play(bin_folder, running, share, "azcollection.yml", interpreter, "azcollection", **extra)


def _az(bin_folder: Path, running: emulator_process.Emulator, share: list[str]) -> process.Cost:
    """Log in, which is not measured, then run the shell loop."""
    environ = az_environment(bin_folder, running.endpoints, FOLDER / "run" / "az")
    return process.run(
        ["bash", str(HERE / "az_loop.sh"), "rg-benchmark", *share], environ, FOLDER / "run", FOLDER / "run" / "az.log"
    )


def az_environment(bin_folder: Path, endpoints: Mapping[str, Any], config: Path) -> dict[str, str]:
    """Log az in to an embedded Azure, and return the environment in which it is; SetupError when that fails."""
    environ = process_environment(
        bin_folder,
        AZURE_CONFIG_DIR=str(config),
        AZURE_CORE_INSTANCE_DISCOVERY="false",
        AZURE_CORE_COLLECT_TELEMETRY="false",
        AZURE_CORE_ONLY_SHOW_ERRORS="true",
        REQUESTS_CA_BUNDLE=str(endpoints["ca"]),
    )
    login = ["login", "--service-principal", "--username", endpoints["client_id"], "--tenant", endpoints["tenant_id"]]
    for arguments in (
        ["cloud", "register", "--name", "Benchmark", "--endpoint-resource-manager", endpoints["arm"]],
        ["cloud", "set", "--name", "Benchmark"],
        [*login, "--password", endpoints["client_secret"]],
    ):
        done = subprocess.run([str(bin_folder / "az"), *arguments], env=environ, capture_output=True, text=True)
        if done.returncode:
            raise SetupError(f"az {arguments[0]} failed: {done.stderr.strip()}")
    return environ


def table(peers: list[Peer]) -> str:
    """What each client cost, a machine each."""
    lines = [
        f"\nSide by side: {len(peers[0].story.works())} machines each, all at once, at speed 1",
        (
            f"  {'client':14}{'over Azure s':>14}{'requests':>10}{'429s':>6}{'CPU s':>8}{'CPU/request ms':>16}"
            f"{'memory MB':>11}"
        ),
    ]
    for peer in peers:
        machines = len(peer.story.works())
        requests = len(peer.story.requests)
        lines.append(
            f"  {peer.name:14}{peer.cost.wall - peer.longest:14.1f}{requests / machines:10.1f}{peer.story.throttled:6}"
            f"{peer.cost.cpu / machines:8.2f}{peer.cost.cpu * 1000 / requests:16.0f}{peer.cost.peak_tree:11.0f}"
        )
    lines.append("  (a machine: requests and CPU; over Azure: from start to end less the longest machine's own time)")
    return "\n".join(lines)
