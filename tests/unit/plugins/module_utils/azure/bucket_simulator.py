# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service with token buckets, others who draw on them, and a client that paces itself, in simulated time."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.token_bucket import (
    BucketSize,
    TokenBucket,
    Turn,
)


@dataclass
class Service:
    """A bucket as it really is; ``phase`` is when its steps fall, ``others`` how much of each refill others take."""

    capacity: float
    refill: float
    step: float
    phase: float = 0.0
    others: float = 0.0
    start: float = 1.0
    level: float = field(init=False)
    _now: float = 0.0

    def __post_init__(self) -> None:
        self.level = math.floor(self.capacity * self.start)

    def advance(self, now: float) -> None:
        """Refill at every step passed; others draw all the time."""
        while self._now < now:
            following = (math.floor((self._now - self.phase) / self.step + 1e-9) + 1) * self.step + self.phase
            until = min(following, now)
            drawn = self.others * self.refill * (until - self._now) / self.step
            self.level = max(min(self.level, 0.0), self.level - drawn)
            self._now = until
            if until == following:
                self.level = min(self.capacity, self.level + self.refill)

    def seconds_until_token(self) -> float:
        steps = max(1, math.ceil((1 - self.level) / self.refill))
        first = (math.floor((self._now - self.phase) / self.step + 1e-9) + 1) * self.step + self.phase
        return max(1.0, math.ceil(first + (steps - 1) * self.step - self._now))

    def optimum(self, requests: int) -> float:
        """Seconds until a caller who knows everything, and gets what others leave, has sent so many."""
        total, moment = math.floor(self.capacity * self.start), self.phase % self.step or self.step
        while total < requests:
            total += self.refill * (1 - self.others)
            last, moment = moment, moment + self.step
        return 0.0 if requests <= self.capacity * self.start else last


@dataclass
class Outcome:
    sent: int
    refused: int
    seconds: float


def simulate(  # noqa: C901 - one loop over the events
    pairs: Sequence[tuple[BucketSize, Service]],
    requests: int,
    *,
    seed: int = 1,
    latency: tuple[float, float] = (0.05, 0.3),
    told: bool = True,
    every: float = 0.0,
) -> Outcome:
    """Send so many requests, each drawing on all buckets, as fast as the pacing allows; one ready every so often."""
    rng, order = random.Random(seed), itertools.count()
    buckets = [TokenBucket(size, 0.0) for size, _service in pairs]
    services = [service for _size, service in pairs]
    events: list[tuple[float, int, str, tuple[object, ...]]] = []
    waiting: deque[int] = deque()
    for number in range(requests):
        heapq.heappush(events, (number * every, next(order), "ready", (number,)))
    outcome, done, now, looking = Outcome(0, 0, 0.0), 0, 0.0, 0.0

    def arrive(turns: list[Turn], delay: float) -> None:
        outcome.sent += 1
        for service in services:
            service.advance(now)
        empty = next((index for index, service in enumerate(services) if service.level < 1), None)
        remaining: list[float | None] = [None] * len(services)
        wait = 0.0
        if empty is None:
            for index, service in enumerate(services):
                service.level -= 1
                remaining[index] = math.floor(service.level) if told else None
        else:
            wait = services[empty].seconds_until_token()
        heapq.heappush(events, (now + delay, next(order), "answer", (turns, empty, wait, remaining)))

    while done < requests:
        now, _order, kind, what = heapq.heappop(events)
        if kind == "ready":
            waiting.append(what[0])  # type: ignore[arg-type]
        elif kind == "arrive":
            arrive(*what)  # type: ignore[arg-type]
        elif kind == "answer":
            turns, empty, wait, remaining = what
            for index, bucket in enumerate(buckets):
                if empty is None:
                    bucket.answered(turns[index], now, remaining[index])  # type: ignore[index]
                else:
                    bucket.give_back()
                    if index == empty:
                        bucket.hold(now, wait)  # type: ignore[arg-type]
            if empty is None:
                done += 1
            else:
                outcome.refused += 1
                waiting.append(0)
        while waiting:
            pause = max(bucket.wait(now) for bucket in buckets)
            if pause > 0:
                if not now < looking <= now + pause:
                    looking = now + pause
                    heapq.heappush(events, (looking, next(order), "look", ()))
                break
            waiting.popleft()
            half = rng.uniform(*latency) / 2
            taken = [bucket.take(now) for bucket in buckets]
            heapq.heappush(events, (now + half, next(order), "arrive", (taken, half)))
    outcome.seconds = now
    return outcome
