# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs one command and tells what its whole process tree cost: real time, CPU time, and memory at its highest.

CPU time comes from the kernel's own account (wait4), which includes every descendant that was waited for. Memory is
sampled from /proc as proportional set size, so that what forked workers share with their parent counts once.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Cost:
    """What a process tree used: seconds of real and CPU time, MB (10**6 bytes) of memory; its exit code."""

    exit_code: int
    wall: float
    cpu: float
    peak_tree: float
    peak_process: float

    def __add__(self, other: Cost) -> Cost:
        """The cost of both, one after the other."""
        return Cost(
            self.exit_code or other.exit_code,
            self.wall + other.wall,
            self.cpu + other.cpu,
            max(self.peak_tree, other.peak_tree),
            max(self.peak_process, other.peak_process),
        )


def run(command: Sequence[str], environ: Mapping[str, str], cwd: Path, log: Path) -> Cost:
    """Run the command to its end, with its output in ``log``."""
    begun = time.monotonic()
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
        )
    ended = threading.Event()
    peaks: list[float] = []
    sampler = threading.Thread(target=_sample, args=(process.pid, ended, peaks), daemon=True)
    sampler.start()
    try:
        dummy, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.terminate()
        raise
    finally:
        ended.set()
    wall = time.monotonic() - begun
    sampler.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    largest = usage.ru_maxrss * 1024 / 1e6
    return Cost(
        process.returncode, wall, usage.ru_utime + usage.ru_stime, max(peaks, default=0.0) or largest, largest
    )


def _sample(root: int, ended: threading.Event, peaks: list[float]) -> None:
    while not ended.wait(SAMPLE_SECONDS):
        peaks.append(sum(_proportional(pid) for pid in _tree(root)) / 1e6)


def _tree(root: int) -> list[int]:
    """The process and all its descendants; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        children.setdefault(parent, []).append(int(folder.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return found


def _proportional(pid: int) -> int:
    """A process's proportional set size in bytes; 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
