# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S603, T201  (a program: it prints, and runs commands of its own making)
"""`make benchmark-guests`: 200 guests read by guest_info, against a bare pywinrm loop of the same requests.

All in one run against one emulator, at the same parallelism: the loop (this file with --loop, in a process of its own),
guest_info with `hosts` from one task, and guest_info of every host by its own forked task, beside a task for every host
that does nothing. Times are between a way's first and last request, by the emulator's audit log, as are the numbers of
requests. Judged is the one task (a fork for each host costs Ansible more than the guests' answers) and, of all, the
requests. Ends with 1 when an aim was missed.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

import emulator_process  # noqa: E402  (the project's own tools, which are no package)
from environments import BUILD, COLLECTIONS, REHEARSAL, SetupError, ensure, process_environment  # noqa: E402

FOLDER = BUILD / "benchmark-guests"
GUESTS = 200
PARALLEL = 32
MOST_RATIO = 1.5
MOST_REQUESTS = 12

MANY = """
- name: Read from one task
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Read
      winfleet.hotpatch.guest_info:
        hosts: "{{ groups['rehearsal'] }}"
        timeout: 300
        parallel: %(parallel)d
      register: reading
    - name: See that all answered
      ansible.builtin.assert:
        that: not reading.unreachable_hosts
        quiet: true
"""
EACH = """
- name: Read from a task for each host
  hosts: rehearsal
  gather_facts: false
  tasks:
    - name: Read
      winfleet.hotpatch.guest_info:
        timeout: 300
      register: reading
      failed_when: not reading.reachable
"""
EMPTY = """
- name: Do nothing in a task for each host
  hosts: rehearsal
  gather_facts: false
  tasks:
    - name: Nothing
      ansible.builtin.assert:
        that: true
        quiet: true
"""
JUDGED = "guest_info, hosts in one task"


@dataclass(frozen=True)
class Way:
    """What one way of reading all guests took: real seconds of the process and of its requests, requests by guest."""

    name: str
    process: float
    reading: float
    requests: Counter[str]

    def row(self, bare: float) -> str:
        most = max(self.requests.values(), default=0)
        return (
            f"{self.name:34} {self.reading:7.2f} s reading {self.reading / bare:5.2f} x  {self.process:7.2f} s in all  "
            f"{len(self.requests)} guests, at most {most} requests each"
        )


def measure(name: str, running: emulator_process.Emulator, work: Callable[[], None]) -> Way:
    """Do the work, and look into the audit log for what it asked."""
    before = len(running.audit())
    started = time.monotonic()
    work()
    took = time.monotonic() - started
    lines = [line for line in running.audit()[before:] if line["kind"] == "winrm"]
    moments = [datetime.fromisoformat(line["time"].replace("Z", "+00:00")) for line in lines]
    span = (max(moments) - min(moments)).total_seconds() if moments else 0.0
    return Way(name, took, span, Counter(line["machine"] for line in lines))


def loop(inventory: Path, envelopes: Path, parallel: int) -> None:
    """Send every guest the envelopes over one pywinrm session, as somebody would who needs nothing but the answers."""
    import winrm.protocol

    group = yaml.safe_load(inventory.read_text(encoding="utf-8"))["all"]["children"]["rehearsal"]
    common = group["vars"]
    messages = json.loads(envelopes.read_text(encoding="utf-8"))

    def ask(host: dict[str, Any]) -> None:
        address = host["ansible_host"]
        protocol = winrm.protocol.Protocol(
            f"https://{address}:{common['ansible_port']}/wsman",
            transport="ssl",
            username=common["ansible_user"],
            password=common["ansible_password"],
            ca_trust_path=common["ansible_winrm_ca_trust_path"],
            server_cert_validation="validate",
            proxy=None,
        )
        answer = ""
        for message in messages:
            found = re.search(r"<n:EnumerationContext>([^<]+)</n:EnumerationContext>", answer)
            if found and "<n:EnumerationContext>" in message:
                message = re.sub(r"(<n:EnumerationContext>)[^<]+", rf"\g<1>{found[1]}", message)
            answer = protocol.send_message(message).decode()
        protocol.transport.close_session()

    with ThreadPoolExecutor(parallel) as pool:
        list(pool.map(ask, group["hosts"].values()))


def record(running: emulator_process.Emulator) -> list[str]:
    """The envelopes that the probe sends to one guest, in their order."""
    sys.path.insert(0, str(COLLECTIONS))
    from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import SystemClock
    from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman import connection, reading

    sent: list[str] = []
    send = connection.GuestSender.send

    def noting(self: Any, request: Any) -> bytes:
        sent.append(request.envelope)
        return send(self, request)

    connection.GuestSender.send = noting  # type: ignore[method-assign]
    group = yaml.safe_load(running.inventory.read_text(encoding="utf-8"))["all"]["children"]["rehearsal"]
    common = group["vars"]
    values = {
        "remote_addr": next(iter(group["hosts"].values()))["ansible_host"],
        "port": common["ansible_port"],
        "transport": ["ssl"],
        "remote_user": common["ansible_user"],
        "remote_password": common["ansible_password"],
        "_extras": {"ansible_winrm_ca_trust_path": common["ansible_winrm_ca_trust_path"], "ansible_winrm_proxy": None},
    }
    facts = reading.read_guest(reading.options_for("winrm", values.get), SystemClock(), "core", 60)
    connection.GuestSender.send = send  # type: ignore[method-assign]
    if not facts.reachable:
        raise RuntimeError(f"the first guest was not read: {facts.why}")
    return sent


def play(running: emulator_process.Emulator, bin_folder: Path, text: str, name: str) -> Callable[[], None]:
    """A function that runs a play."""
    path = FOLDER / f"{name}.yml"
    path.write_text(text, encoding="utf-8")
    environ = process_environment(bin_folder, **running.environment())
    environ.update(ANSIBLE_DISPLAY_OK_HOSTS="false", ANSIBLE_LOCALHOST_WARNING="false")
    command = [str(bin_folder / "ansible-playbook"), "-i", str(running.inventory), str(path), "--forks", str(PARALLEL)]

    def run() -> None:
        done = subprocess.run(
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"the play {name} failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}")

    return run


def compare(bin_folder: Path, rounds: int) -> list[list[Way]]:
    """Every way in every round, in turn, so that what else the machine does meets all of them."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    fleet = FOLDER / "fleet.yml"
    document = {"now": "2026-05-13T01:00:00Z", "speed": 1, "machines": [{"name": "vm", "count": GUESTS}]}
    fleet.write_text(yaml.safe_dump(document), encoding="utf-8")
    running = emulator_process.start(bin_folder, fleet, FOLDER / "run", timeout=120)
    try:
        envelopes = FOLDER / "envelopes.json"
        envelopes.write_text(json.dumps(record(running)), encoding="utf-8")
        arguments = ["--loop", str(running.inventory), str(envelopes)]
        bare = [str(bin_folder / "python"), str(Path(__file__).resolve()), *arguments]

        def bare_loop() -> None:
            subprocess.run(bare, check=True, env=process_environment(bin_folder))

        ways: list[tuple[str, Callable[[], None]]] = [
            ("bare pywinrm loop", bare_loop),
            (JUDGED, play(running, bin_folder, MANY % {"parallel": PARALLEL}, "many")),
            ("guest_info, a fork for each host", play(running, bin_folder, EACH, "each")),
            ("nothing, a fork for each host", play(running, bin_folder, EMPTY, "empty")),
        ]
        # Certificates are made when a guest is first asked, and files are compiled when they are first read.
        for dummy, work in ways:
            work()
        return [[measure(name, running, work) for name, work in ways] for dummy in range(rounds)]
    finally:
        emulator_process.stop(FOLDER / "run")


def judge(rounds: list[list[Way]]) -> list[str]:
    """Print what was measured; return the aims that were missed, a sentence each."""
    print(f"{GUESTS} guests, {PARALLEL} at a time, {len(rounds)} rounds; times are those of the median round by ratio.")
    missed = []
    for index in range(len(rounds[0])):
        ordered = sorted(rounds, key=lambda ways: ways[index].reading / ways[0].reading)
        chosen = ordered[len(ordered) // 2]
        way, bare = chosen[index], chosen[0].reading
        print(way.row(bare))
        most = max(way.requests.values(), default=0)
        if way.name == JUDGED and way.reading / bare > MOST_RATIO:
            missed.append(f"{way.name}: {way.reading / bare:.2f} times the bare loop, the aim is {MOST_RATIO}")
        if most > MOST_REQUESTS or len(way.requests) not in (GUESTS, 0 if "nothing" in way.name else GUESTS):
            missed.append(f"{way.name}: {most} requests to a guest, {len(way.requests)} guests")
    ratios = [[way.reading / ways[0].reading for way in ways] for ways in rounds]
    print("all ratios:", "; ".join(" ".join(f"{ratio:.2f}" for ratio in row) for row in ratios))
    print(f"spread of the bare loop: {statistics.pstdev(ways[0].reading for ways in rounds):.2f} s")
    return missed


def main(arguments: Sequence[str]) -> int:
    """The benchmark's exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--loop", nargs=2, metavar=("INVENTORY", "ENVELOPES"), help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    if options.loop:
        loop(Path(options.loop[0]), Path(options.loop[1]), PARALLEL)
        return 0
    missed = judge(compare(Path(sys.executable).parent, options.rounds))
    for sentence in missed:
        print(f"Missed: {sentence}.")
    return 1 if missed else 0


def start() -> int:
    """Run in the rehearsal's environment, whoever calls."""
    try:
        bin_folder = ensure(REHEARSAL)
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 1
    program = [str(bin_folder / "python"), str(Path(__file__).resolve())]
    return subprocess.run([*program, *sys.argv[1:]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if Path(sys.executable).is_relative_to(BUILD) else start())
