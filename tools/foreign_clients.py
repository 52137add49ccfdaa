# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judgements by foreign clients share: running a client while the emulator's time goes on, and counting.

They are judged at speed 1: clients wait in real seconds. While one waits for an operation, the emulator's time is moved
on in steps.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import emulator_process


class Checks:
    """Counts and prints expectations."""

    def __init__(self) -> None:
        """Nothing is counted yet."""
        self.passed = 0
        self.failed = 0

    def check(self, what: str, good: bool, otherwise: str = "") -> None:
        """Counts and prints one expectation."""
        self.passed += good
        self.failed += not good
        print(f"{'passed' if good else 'FAILED'}  {what}" + ("" if good else f"\n{otherwise.rstrip()}"), flush=True)

    def total(self) -> int:
        """Prints the totals as the test gates do; the exit code."""
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or not self.passed else 0


def run(
    command: Sequence[str],
    environ: Mapping[str, str],
    running: emulator_process.Emulator,
    step: float,
    most_steps: int = 30,
    cwd: Path | None = None,
) -> tuple[int, str, str]:
    """Runs a client to its end; exit code, output and errors. Every `step` seconds ten times as many pass in Azure."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environ, stdout=pipe, stderr=pipe, text=True, cwd=cwd)
    for dummy in range(most_steps):
        try:
            output, errors = process.communicate(timeout=step)
        except subprocess.TimeoutExpired:
            running.control("/emulator/clock", "PUT", {"advance_seconds": 10 * step})
        else:
            return process.returncode, output, errors
    process.kill()
    process.communicate()
    return -1, "", f"it did not end within {most_steps * step:g} seconds"
