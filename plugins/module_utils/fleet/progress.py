# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what is done, running, waiting and failed, and tell it in one line with the time that is left.

Times are measured on the run's Clock.  The line and its rate are for the person who watches, so they are in real
seconds: a clock that runs sixty times as fast shows a sixtieth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import mean

from ..clock import Clock

Emit = Callable[[str], None]


def silent(line: str) -> None:
    """Drop the line: a module has no terminal to write to."""


@dataclass
class Progress:
    """The tally of one task over many machines."""

    clock: Clock
    emit: Emit = silent
    every: float = 2.0
    verb: str = "work"
    total: int = 0
    concurrent: int | None = None
    _started: dict[str, float] = field(default_factory=dict)
    _finished: dict[str, bool] = field(default_factory=dict)
    _durations: list[float] = field(default_factory=list)
    _last_line: str = ""
    _last_time: float | None = None

    def begin(self, verb: str, total: int, concurrent: int | None = None) -> None:
        """Start counting anew: what is done (``verb``), on how many machines, how many at once at most."""
        self.verb, self.total, self.concurrent = verb, total, concurrent
        self._started.clear()
        self._finished.clear()
        self._durations.clear()
        self._last_line, self._last_time = "", None

    def running(self, key: str) -> None:
        """This machine's operation runs from now on."""
        self._started.setdefault(key, self.clock.monotonic())
        self.tell()

    def done(self, key: str, failed: bool = False) -> None:
        """This machine is finished."""
        started = self._started.pop(key, None)
        if started is not None:
            self._durations.append(self.clock.monotonic() - started)
        self._finished[key] = failed
        self.tell(force=len(self._finished) == self.total)

    @property
    def failed(self) -> int:
        """How many machines failed so far."""
        return sum(self._finished.values())

    def seconds_left(self) -> float | None:
        """Expected real seconds until all are done, None while nothing has finished to judge by."""
        if not self._durations:
            return None
        typical = mean(self._durations)
        now = self.clock.monotonic()
        slowest = max(self._durations)
        # Durations have a long tail: what has outlived all others is given another quarter of its age.
        ages = [now - begun for begun in self._started.values()]
        longest = max((max(slowest - age, age / 4) for age in ages), default=0.0)
        waiting = max(0, self.total - len(self._finished) - len(self._started))
        rounds = -(-waiting // self.concurrent) if self.concurrent else min(waiting, 1)
        return (longest + rounds * typical) / self.clock.rate

    def line(self) -> str:
        """The tally as one line, as in ``assess 7/12 done, 3 running, 1 failed, about 1 min 20 s left``."""
        parts = [f"{self.verb} {len(self._finished)}/{self.total} done", f"{len(self._started)} running"]
        waiting = self.total - len(self._finished) - len(self._started)
        if waiting > 0:
            parts.append(f"{waiting} waiting")
        parts.append(f"{self.failed} failed")
        left = self.seconds_left()
        if left is not None and len(self._finished) < self.total:
            parts.append(f"about {human_seconds(left)} left")
        return ", ".join(parts)

    def note(self, text: str) -> None:
        """Emit a line of its own about what happens to the whole task."""
        self.emit(f"{self.verb}: {text}")

    def tell(self, force: bool = False) -> None:
        """Emit the line when it changed, at most once every ``every`` real seconds unless forced."""
        now = self.clock.monotonic() / self.clock.rate
        if not force and self._last_time is not None and now - self._last_time < self.every:
            return
        line = self.line()
        if line != self._last_line:
            self._last_line, self._last_time = line, now
            self.emit(line)


def human_seconds(seconds: float) -> str:
    """Seconds as people say them: ``20 s``, ``1 min 20 s``, ``2 h 5 min``."""
    whole = max(0, int(seconds + 0.5))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
