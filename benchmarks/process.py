# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S603  (a program: it prints, and runs commands of its own making)
"""Runs one command and tells what its whole process tree cost: real time, CPU time, and memory at its highest.

CPU time comes from the kernel's own account (wait4), which includes every descendant that was waited for. Memory is
sampled from /proc as proportional set size, so that what forked workers share with their parent counts once. How long
the processes had to wait for a processor tells how much the machine itself was in the way.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True)
class Cost:
    """What a process tree used: seconds of real and CPU time, MB (10**6 bytes) of memory; its exit code.

    ``root_cpu`` is the part of the first process alone; ``starved`` is how many seconds the tree's threads were ready
    to run and got no processor.
    """

    exit_code: int
    wall: float
    cpu: float
    peak_tree: float
    peak_process: float
    root_cpu: float
    starved: float

    @property
    def workers_cpu(self) -> float:
        """CPU seconds of everything that the first process started."""
        return self.cpu - self.root_cpu


@dataclass
class _Samples:
    """What was seen of a tree while it ran."""

    memory: list[float] = field(default_factory=list)
    starved: dict[int, float] = field(default_factory=dict)
    root_cpu: float = 0.0


def run(command: Sequence[str], environ: Mapping[str, str], cwd: Path, log: Path) -> Cost:
    """Run the command to its end, with its output in ``log``."""
    begun = time.monotonic()
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(environ), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
        )
    ended = threading.Event()
    samples = _Samples()
    sampler = threading.Thread(target=_sample, args=(process.pid, ended, samples), daemon=True)
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
        process.returncode,
        wall,
        usage.ru_utime + usage.ru_stime,
        max(samples.memory, default=0.0) or largest,
        largest,
        samples.root_cpu,
        sum(samples.starved.values()),
    )


def _sample(root: int, ended: threading.Event, samples: _Samples) -> None:
    while not ended.wait(SAMPLE_SECONDS):
        tree = _tree(root)
        samples.memory.append(sum(_proportional(pid) for pid in tree) / 1e6)
        samples.root_cpu = max(samples.root_cpu, _own_cpu(root))
        for pid in tree:
            samples.starved[pid] = max(samples.starved.get(pid, 0.0), waited_for_processor(pid))


def _own_cpu(pid: int) -> float:
    """CPU seconds of one process without its children; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def waited_for_processor(pid: int) -> float:
    """Seconds that a process's threads were ready to run and got no processor; 0 where the kernel does not tell."""
    return sum(_waited(file) for file in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _waited(file: Path) -> int:
    try:
        return int(file.read_text(encoding="utf-8").split()[1])
    except (OSError, ValueError, IndexError):
        return 0


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
