# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the gates: all of them, or those of one verb (`lint`, `unit`) or one name; prints totals and what was skipped.

Two gates run beside each other, the longest first, so that two cores are busy until the end; gates that share a cache
keep apart. The exit code is 0 only when every gate passed. The last line is `N passed, N failed, N skipped`, counted
in tests where a gate is made of tests, and as one where it is not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import chromium
import sanity
from environments import (
    BUILD,
    COLLECTIONS,
    FLOOR,
    KERBEROS,
    ROOT,
    TEST,
    Environment,
    SetupError,
    ensure,
    process_environment,
)

LOGS = BUILD / "logs"
FULL_NAME = "ansible_collections.winfleet.hotpatch"


@dataclass
class Outcome:
    """What one gate counted; `skipped` holds one sentence for each thing it left out, `cpu` is user and system time."""

    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    text: str = ""
    cpu: float = 0


@dataclass(frozen=True)
class Gate:
    """One gate: `run` does it, the make target `verb` includes it.

    `seconds` is about how long it takes, to begin with the longest; of those with one `cache` only one runs at a time.
    """

    name: str
    verb: str
    run: Callable[[], Outcome]
    seconds: int = 10
    cache: str = ""


SETTING_UP = threading.Lock()


def environment(wanted: Environment) -> Path:
    """The `bin` folder of an environment, which only one gate at a time makes."""
    with SETTING_UP:
        return ensure(wanted)


def command(name: str, *arguments: str, cwd: Path = ROOT, **extra: str) -> Callable[[], Outcome]:
    """A gate that is one command of the test environment and passes with exit code 0."""

    def run() -> Outcome:
        bin_folder = environment(TEST)
        code, text, cpu = _execute(name, [str(bin_folder / arguments[0]), *arguments[1:]], bin_folder, cwd, **extra)
        return Outcome(passed=int(code == 0), failed=int(code != 0), text=text, cpu=cpu)

    return run


def pytests(name: str, *paths: str, floor: bool = False, cwd: Path = ROOT) -> Callable[[], Outcome]:
    """A gate of pytest tests, in the newest environment or in that of the oldest supported versions."""

    def run() -> Outcome:
        try:
            bin_folder = environment(FLOOR if floor else TEST)
        except SetupError as problem:
            if floor and "was not found" in str(problem):
                return Outcome(skipped=[f"{name}: {problem}"])
            raise
        return _pytest(name, bin_folder, paths, cwd)

    return run


def _pytest(name: str, bin_folder: Path, paths: tuple[str, ...], cwd: Path) -> Outcome:
    report = LOGS / f"{name}.xml"
    report.unlink(missing_ok=True)
    pytest = [str(bin_folder / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    code, text, cpu = _execute(name, [*pytest, *paths], bin_folder, cwd, PYTHONPATH=str(COLLECTIONS))
    outcome = _count(name, code, text, report)
    outcome.cpu = cpu
    return outcome


def kerberos_gate() -> Outcome:
    """Kerberos against a real KDC, where Debian's packages for it and a C compiler are installed."""
    name = "kerberos"
    needed = ("krb5kdc", "kadmin.local", "kinit", "krb5-config", "cc")
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    absent = [program for program in needed if shutil.which(program, path=path) is None]
    if absent:
        packages = "krb5-kdc, krb5-admin-server, krb5-user, libkrb5-dev and gcc"
        return Outcome(skipped=[f"{name}: {', '.join(absent)} not found; on Debian install {packages}"])
    try:
        bin_folder = environment(KERBEROS)
    except SetupError as problem:
        return Outcome(skipped=[f"{name}: {problem}"])
    return _pytest(name, bin_folder, (KERBEROS_TESTS,), ROOT)


def _count(name: str, code: int, text: str, report: Path) -> Outcome:
    if not report.is_file():
        return Outcome(failed=1, text=text)
    outcome = Outcome(text=text)
    for case in ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        elif (skip := case.find("skipped")) is not None:
            outcome.skipped.append(f"{name}: {case.get('name')}: {skip.get('message')}")
        else:
            outcome.passed += 1
    if code not in (0, 1) or (code == 1 and not outcome.failed) or not (outcome.passed or outcome.skipped):
        outcome.failed += 1
    return outcome


def browser_gate() -> Outcome:
    """The report's page in a real Chromium; skipped, with the reason, where there is none and none may be installed."""
    program, problem = chromium.ensure()
    if program is None:
        return Outcome(skipped=[f"browser: {problem}"])
    return pytests("browser", "tests/browser")()


def sanity_gate(floor: bool) -> Callable[[], Outcome]:
    """ansible-test sanity on a clean copy of the tree, without an ignore file."""

    def run() -> Outcome:
        name = "sanity-2.16" if floor else "sanity"
        try:
            bin_folder = environment(FLOOR if floor else TEST)
        except SetupError as problem:
            if floor and "was not found" in str(problem):
                return Outcome(skipped=[f"{name}: {problem}"])
            raise
        environ = process_environment(bin_folder)
        staged, environ = sanity.stage(name, bin_folder, environ)
        code, text, cpu = _execute(name, sanity.command(bin_folder), bin_folder, staged, **environ)
        # The rest is the making of its environments, and is in the log.
        text = "\n".join(line for line in text.splitlines() if line.startswith(("ERROR", "FATAL")))
        return Outcome(passed=int(code == 0), failed=int(code != 0), text=text, cpu=cpu)

    return run


def _execute(name: str, arguments: list[str], bin_folder: Path, cwd: Path, **extra: str) -> tuple[int, str, float]:
    """Runs a command to its end; its exit code, its output (which is in the logs too) and the CPU seconds it took."""
    log = LOGS / f"{name}.log"
    environ = process_environment(bin_folder, **extra)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            arguments, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
        )
        dummy, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, log.read_text(encoding="utf-8", errors="replace"), used.ru_utime + used.ru_stime


# What may depend on ansible-core's version: how plays are driven, and what a killed ansible-playbook leaves behind.
# Sixty machines instead of twelve drive no other plays.
CORE_DEPENDENT = (
    "--deselect=tests/integration/test_rollout.py::test_the_sixty",
    *(f"tests/integration/test_{name}.py" for name in ("rollout", "interruptions", "enroll", "inventory")),
    *(f"tests/integration/test_{name}_guests.py" for name in ("many", "hostile")),
)

KERBEROS_TESTS = "tests/integration/test_kerberos.py"
# Whole rollouts by the hundred: a gate of their own, so that they run beside the other integration tests.
JUDGED_TESTS = ("tests/integration/test_random_rollouts.py", "tests/integration/test_three_hundred.py")
APART = tuple(f"--ignore={path}" for path in (KERBEROS_TESTS, *JUDGED_TESTS))
TYPED_BESIDES = ("tools", "benchmarks", "tests/conformance", "tests/integration", "tests/browser")

GATES = [
    Gate("ruff", "lint", command("ruff", "ruff", "check", "--no-cache", ".")),
    Gate("mypy-plugins", "lint", command("mypy-plugins", "mypy", "-p", f"{FULL_NAME}.plugins"), 30, "mypy"),
    Gate("mypy-emulator", "lint", command("mypy-emulator", "mypy", "-p", "hotpatch_emulator"), 20, "mypy"),
    Gate("mypy-tools", "lint", command("mypy-tools", "mypy", *TYPED_BESIDES), 30, "mypy"),
    Gate("arrows", "lint", command("arrows", "lint-imports", "--no-cache", PYTHONPATH=str(COLLECTIONS))),
    Gate("yamllint", "lint", command("yamllint", "yamllint", "--strict", ".")),
    Gate("changelog", "lint", command("changelog", "antsibull-changelog", "lint")),
    Gate("docs", "lint", command("docs", "antsibull-docs", "lint-collection-docs", "--plugin-docs", ".")),
    Gate("ansible-lint", "lint", command("ansible-lint", "ansible-lint", "--profile", "production", "--offline")),
    Gate("units", "unit", pytests("units", "tests/unit"), 210),
    Gate("units-2.16", "unit", pytests("units-2.16", "tests/unit", floor=True), 200),
    Gate("emulator", "unit", pytests("emulator", "tests", cwd=ROOT / "emulator"), 100),
    Gate("sanity", "test", sanity_gate(floor=False), 140, "sanity"),
    Gate("sanity-2.16", "test", sanity_gate(floor=True), 95, "sanity"),
    Gate("browser", "test", browser_gate, 70),
    Gate("conformance", "test", pytests("conformance", "tests/conformance"), 30),
    Gate("integration", "test", pytests("integration", "tests/integration", *APART), 700),
    Gate("judged", "test", pytests("judged", *JUDGED_TESTS), 300),
    Gate("kerberos", "test", kerberos_gate, 120),
    Gate("integration-2.16", "test", pytests("integration-2.16", *CORE_DEPENDENT, floor=True), 400),
    Gate("molecule", "test", command("molecule", "molecule", "test", "--all", cwd=ROOT / "extensions"), 45),
]
WORKERS = 2


class Queue:
    """Hands gates out, the longest first, and none whose cache another has in hand."""

    def __init__(self, gates: list[Gate]) -> None:
        """Takes the gates in any order."""
        self._waiting = sorted(gates, key=lambda gate: -gate.seconds)
        self._busy: set[str] = set()
        self._change = threading.Condition()

    def take(self) -> Gate | None:
        """The next gate, or None when there is none left; waits while all that are left must wait."""
        with self._change:
            while self._waiting:
                for gate in self._waiting:
                    if not gate.cache or gate.cache not in self._busy:
                        self._waiting.remove(gate)
                        self._busy.add(gate.cache)
                        return gate
                self._change.wait()
            return None

    def give_back(self, gate: Gate) -> None:
        """Says that a gate has ended."""
        with self._change:
            self._busy.discard(gate.cache)
            self._change.notify_all()


def run_gate(gate: Gate) -> Outcome:
    """Runs one gate and prints its line, and its whole output when it failed."""
    started = time.monotonic()
    try:
        outcome = gate.run()
    except SetupError as problem:
        outcome = Outcome(failed=1, text=str(problem))
    word = "FAILED" if outcome.failed else "passed" if outcome.passed else "skipped"
    counts = f"{outcome.passed:5} passed {outcome.failed:3} failed"
    took = f"{time.monotonic() - started:6.1f} s {outcome.cpu:6.1f} s CPU"
    lines = [f"{gate.name:18} {word:8} {counts} {took}"]
    if outcome.failed:
        lines.append(outcome.text.rstrip())
    print("\n".join(lines), flush=True)
    return outcome


def main() -> int:
    """Parses the command line and runs what it asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("wanted", nargs="*", help="a verb (lint, unit) or names of gates; nothing means all")
    wanted = parser.parse_args().wanted
    known = {gate.name for gate in GATES} | {gate.verb for gate in GATES}
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    chosen = [gate for gate in GATES if not wanted or gate.name in wanted or gate.verb in wanted]
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        ensure(TEST)
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 1

    queue = Queue(chosen)

    def work() -> list[Outcome]:
        outcomes = []
        while (gate := queue.take()) is not None:
            try:
                outcomes.append(run_gate(gate))
            finally:
                queue.give_back(gate)
        return outcomes

    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        workers = [pool.submit(work) for dummy in range(WORKERS)]
    outcomes = [outcome for worker in workers for outcome in worker.result()]
    skipped = [sentence for outcome in outcomes for sentence in outcome.skipped]
    if skipped:
        print("\nSkipped:")
        print("\n".join(f"  {sentence}" for sentence in skipped))
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"\nAll that was asked took {time.monotonic() - started:.0f} s; logs are in {LOGS.relative_to(ROOT)}/.")
    print(f"{sum(outcome.passed for outcome in outcomes)} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
