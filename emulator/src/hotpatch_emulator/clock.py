# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulated time and the agenda of what happens in it.

Emulated time starts where the fleet file says and runs ``rate`` times as fast as real time. Everything the emulator
does later (an operation ends, a guest comes back) is an entry in one agenda rather than a task of its own, so a
thousand running installations cost a heap of a thousand tuples. Entries run in order of their due time and are told
that time, so a slow machine shifts nothing in the emulated world.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

UTC = timezone.utc
_LONGEST_NAP = 0.25


class EmulatedClock:
    """Emulated UTC time; ``rate`` is emulated seconds per real second."""

    def __init__(self, start: datetime, rate: float = 1.0, real: Callable[[], float] = time.monotonic) -> None:
        if start.tzinfo is None:
            raise ValueError("the emulated clock needs an aware start time")
        self._real = real
        self._origin = start.astimezone(UTC)
        self._origin_real = real()
        self._rate = self._checked(rate)

    @staticmethod
    def _checked(rate: float) -> float:
        if not 0 <= rate <= 100_000:
            raise ValueError(f"rate {rate!r} is not allowed: give 0 (time stands still) to 100000")
        return float(rate)

    @property
    def rate(self) -> float:
        return self._rate

    def now(self) -> datetime:
        """The emulated time, aware, UTC."""
        elapsed = (self._real() - self._origin_real) * self._rate
        return self._origin + timedelta(seconds=elapsed)

    def set_rate(self, rate: float) -> None:
        """Run faster or slower from here on, without a jump."""
        checked = self._checked(rate)
        now = self.now()
        self._origin, self._origin_real, self._rate = now, self._real(), checked

    def advance(self, seconds: float) -> None:
        """Jump ahead; emulated time never runs backwards."""
        if seconds < 0:
            raise ValueError(f"advance_seconds {seconds!r} is not allowed: emulated time never runs backwards")
        self._origin += timedelta(seconds=seconds)

    def real_seconds_until(self, moment: datetime) -> float:
        """Real seconds until the emulated moment; infinity while time stands still."""
        remaining = (moment - self.now()).total_seconds()
        if remaining <= 0:
            return 0.0
        return remaining / self._rate if self._rate else float("inf")


class Agenda:
    """What will happen, in order of emulated time."""

    def __init__(self, clock: EmulatedClock) -> None:
        self.clock = clock
        self._heap: list[tuple[datetime, int, Callable[[datetime], None]]] = []
        self._order = itertools.count()
        self._changed = asyncio.Event()
        self._running = False

    def at(self, due: datetime, action: Callable[[datetime], None]) -> None:
        """Run ``action(due)`` once emulated time has reached ``due``."""
        heapq.heappush(self._heap, (due, next(self._order), action))
        self._changed.set()

    def after(self, seconds: float, action: Callable[[datetime], None]) -> None:
        """Run ``action`` so many emulated seconds from now."""
        self.at(self.clock.now() + timedelta(seconds=seconds), action)

    def poke(self) -> None:
        """Look again at once: the clock was moved."""
        self._changed.set()

    def run_due(self) -> None:
        """Do everything that is due. Called before every answer, so that no answer lags behind the clock."""
        if self._running:  # an action asked for an answer: its own caller goes on with the rest
            return
        self._running = True
        try:
            while self._heap and self._heap[0][0] <= self.clock.now():
                due, _order, action = heapq.heappop(self._heap)
                action(due)
        finally:
            self._running = False

    async def run_forever(self) -> None:
        """Do what falls due also while nobody asks."""
        while True:
            self.run_due()
            nap = self.clock.real_seconds_until(self._heap[0][0]) if self._heap else _LONGEST_NAP
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), min(max(nap, 0.001), _LONGEST_NAP))
            except asyncio.TimeoutError:
                continue
