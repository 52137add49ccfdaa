# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The offline schedule that a measured run is held against: the same request limits, the same durations, no latency.

It knows beforehand how long every operation will take, which no client does, and sends what has the longest way to
go first. Requests take no time; a machine is assessed, seen to be assessed by one poll, installed on, and seen to be
installed by one poll. All times are seconds, absolute: limits are refilled at whole multiples of their step.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

ASSESS, INSTALL = 0, 1


@dataclass(frozen=True)
class Work:
    """How long Azure took to assess a machine and to install on it, in seconds."""

    assess: float
    install: float


@dataclass(frozen=True)
class Limit:
    """A token bucket: ``level`` at first, ``refill`` more at every multiple of ``step``, never over ``capacity``."""

    capacity: float
    refill: float
    step: float
    level: float

    def drained(self, share: float) -> Limit:
        """The same bucket with that share (0 to 1) of what it held at the start used up, in whole tokens."""
        return replace(self, level=math.floor(self.level * (1 - share)))

    def shared(self, share: float) -> Limit:
        """The same bucket of which others take that share (0 to 1): of what it holds and of every refill."""
        return replace(self, level=math.floor(self.level * (1 - share)), refill=self.refill * (1 - share))


@dataclass(frozen=True)
class Limits:
    """What the two kinds of requests draw on: POSTs that start something, and polls."""

    starts: Sequence[Limit]
    polls: Sequence[Limit]


class _Bucket:
    """A Limit in use."""

    def __init__(self, limit: Limit, start: float) -> None:
        self._limit = limit
        self._level = limit.level
        self._steps = math.floor(start / limit.step)

    def has(self, now: float) -> bool:
        steps = math.floor(now / self._limit.step)
        self._level = min(self._limit.capacity, self._level + (steps - self._steps) * self._limit.refill)
        self._steps = steps
        return self._level >= 1

    def take(self) -> None:
        self._level -= 1

    def next_step(self) -> float:
        return (self._steps + 1) * self._limit.step


class _Gate:
    """Several buckets of which a request needs a token each."""

    def __init__(self, limits: Sequence[Limit], start: float) -> None:
        self._buckets = [_Bucket(limit, start) for limit in limits]

    def enter(self, now: float) -> bool:
        """Take one token of each if all have one."""
        refusing = [bucket for bucket in self._buckets if not bucket.has(now)]  # all of them must learn of the time
        if refusing:
            return False
        for bucket in self._buckets:
            bucket.take()
        return True

    def next_chance(self) -> float:
        return min(bucket.next_step() for bucket in self._buckets)


@dataclass(frozen=True)
class Schedule:
    """A schedule that can be done: when the last machine is seen to be done, and when each is; seconds from start."""

    makespan: float
    finished: Sequence[float]


def plan(
    works: Sequence[Work], limits: Limits, start: float, *, foresight: bool = True, barrier: bool = False
) -> Schedule:
    """Schedule the work by what has the longest way to go, or, without ``foresight``, first come first served.

    With ``barrier`` no installation is sent before every assessment has been seen to be over.
    """
    return _Planner(works, limits, start, foresight, barrier).run()


class _Planner:
    """One run through the events of a schedule."""

    def __init__(self, works: Sequence[Work], limits: Limits, start: float, foresight: bool, barrier: bool) -> None:
        self._works = works
        self._start = start
        self._foresight = foresight
        self._barrier = barrier
        self._starts, self._polls = _Gate(limits.starts, start), _Gate(limits.polls, start)
        # What waits to be sent (priority, order of arrival, kind, machine), what runs (end, kind, machine), what
        # waits to be polled.
        self._ready: list[tuple[float, int, int, int]] = []
        self._running: list[tuple[float, int, int]] = []
        self._over: list[tuple[float, int, int]] = []
        self._arrivals = 0
        self._unassessed = len(works)
        self._held: list[int] = []
        self._finished = [0.0] * len(works)

    def run(self) -> Schedule:
        for machine in range(len(self._works)):
            self._make_ready(ASSESS, machine)
        now = self._start
        while self._ready or self._running or self._over:
            while self._running and self._running[0][0] <= now:
                heapq.heappush(self._over, heapq.heappop(self._running))
            self._poll(now)
            self._send(now)
            now = self._next_event(now)
        return Schedule(max(self._finished, default=0.0), self._finished)

    def _make_ready(self, kind: int, machine: int) -> None:
        priority = -_tail(self._works[machine], kind) if self._foresight else 0.0
        heapq.heappush(self._ready, (priority, self._arrivals, kind, machine))
        self._arrivals += 1

    def _poll(self, now: float) -> None:
        while self._over and self._polls.enter(now):
            dummy, kind, machine = heapq.heappop(self._over)
            if kind == INSTALL:
                self._finished[machine] = now - self._start
                continue
            self._unassessed -= 1
            self._held.append(machine)
            if not self._barrier or not self._unassessed:
                for waiting in self._held:
                    self._make_ready(INSTALL, waiting)
                self._held.clear()

    def _send(self, now: float) -> None:
        while self._ready and self._starts.enter(now):
            dummy, dummy, kind, machine = heapq.heappop(self._ready)
            work = self._works[machine]
            heapq.heappush(self._running, (now + (work.install if kind else work.assess), kind, machine))

    def _next_event(self, now: float) -> float:
        moments = [self._running[0][0]] if self._running else []
        if self._ready:
            moments.append(self._starts.next_chance())
        if self._over:
            moments.append(self._polls.next_chance())
        return max(min(moments, default=now), now)


def _tail(work: Work, kind: int) -> float:
    """How far a machine has to go at best once this request is sent."""
    return work.install if kind == INSTALL else work.assess + work.install


def lower_bound(works: Sequence[Work], limits: Limits, start: float) -> float:
    """Seconds in which no schedule whatever can be done.

    Relaxed: tokens keep for ever, polls are free, and an installation need not wait for its assessment. Then the
    longest tails take the first tokens, and the longest of all ways, assessed at once, is among them.
    """
    tails = sorted((_tail(work, kind) for work in works for kind in (ASSESS, INSTALL)), reverse=True)
    return max((token - start + tail for tail, token in zip(tails, _tokens(limits.starts, start))), default=0.0)


def _tokens(limits: Sequence[Limit], start: float) -> Iterator[float]:
    """When the first, second, third ... token is there in each of the buckets, if none ever overflows."""
    count = 0
    while True:
        count += 1
        yield max((_supplied(limit, count, start) for limit in limits), default=start)


def _supplied(limit: Limit, count: int, start: float) -> float:
    if count <= limit.level:
        return start
    steps = math.ceil((count - limit.level) / limit.refill)
    return (math.floor(start / limit.step) + steps) * limit.step


def allowed_by(limits: Sequence[Limit], sent: Sequence[float]) -> bool:
    """Whether requests sent at those moments keep within the limits: the arithmetic here must be the emulator's."""
    if not sent:
        return True
    ordered = sorted(sent)
    gate = _Gate(limits, ordered[0])
    return all(gate.enter(moment) for moment in ordered)
