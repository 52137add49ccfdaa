# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket of requests that somebody else keeps, as far as it can be known from the answers. Pure arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class BucketSize:
    """How much a bucket holds and gets back: ``refill`` tokens every ``step`` seconds, up to ``capacity``."""

    capacity: float
    refill: float
    step: float


FRESH_SECONDS = 2.0
"""How long an answer's number is taken for what is left now: others draw on the same buckets."""
PATIENCE_SECONDS = 5.0
"""How long requests wait for a slow answer's number before one more of them goes without it."""
DRIP_SECONDS = 5.0
"""Buckets with shorter steps are taken for ones that drip, and a reserve is left in them."""
DRIP_RESERVE = 0.08
STEP_RESERVE = 0.02
STEP_RESERVE_MOST = 12.0
"""How near its end a bucket is handled with care, as shares of its capacity."""
LEARN_SECONDS = 5.0
"""Over how long the refill of a bucket that drips is measured."""
BLIND_GROWTH = 2
LEAST_WAIT_SECONDS = 0.001
LEAST_REFILL = 0.1


@dataclass(frozen=True)
class Turn:
    """One request's token: its number in the bucket from 1 on, and when it was taken."""

    number: int
    at: float


class TokenBucket:
    """One bucket as we believe it to be; ``take`` before a request, ``answered`` after it.

    Sizes are guesses and others draw too, so nothing is believed for long. A number in an answer is taken for what is
    left, less the requests still in flight. Whenever none is fresh (at the beginning, after a pause, after a refill
    that we only expect) one request goes ahead and the others wait for its answer. Near the end of a bucket that is
    refilled in long steps they go one by one; in one that drips a reserve is left, which costs nothing.

    When a stepped bucket refills is learnt from numbers that rise and from the Retry-After of a refusal. A bucket that
    many machines share is tried once, when it seems empty and the moment of its refill is not known: the refusal tells.
    """

    def __init__(self, size: BucketSize, now: float, shared: bool = True) -> None:
        self.capacity = size.capacity
        self.refill = self._documented = size.refill
        self.step = size.step
        self.level = size.capacity
        self.in_flight = 0
        self._shared = shared
        self._sent = 0
        self._told_number = 0
        self._lowest = math.inf
        self._lowest_at = -math.inf
        self._told_at = -math.inf
        self._last_sent_at = -math.inf
        self._round_trip = 0.0
        self._blind = 1
        self._highest = 0.0
        self._measured_from: tuple[float, float, float] | None = None
        self._granted = 0
        self._stepped_at = now
        self._before_step = size.capacity
        self._phase_known = not shared or self.drips
        self._held_until = now

    @property
    def drips(self) -> bool:
        return self.step < DRIP_SECONDS

    def wait(self, now: float) -> float:
        """Return the seconds until a request may go, 0 if it may now; an answer may shorten the wait."""
        wait = self._seconds(now)
        # Less than a clock can tell apart would be waited for again and again.
        return max(wait, LEAST_WAIT_SECONDS) if wait > 0 else 0.0

    def _seconds(self, now: float) -> float:
        self._advance(now)
        if now < self._held_until:
            return self._held_until - now
        needed = 1 + self._reserve() if self.drips else 1.0
        if self.level < needed:
            if self.drips and self.level >= 1 and not self._is_fresh(now):
                return self._behind(now, 1)  # what is left above nothing is enough to hear how much it is
            trying = not self._phase_known and self.level > -self.refill
            return self._behind(now, 1) if trying else self._until(now, needed)
        if not self._is_fresh(now) or (not self.drips and self.level < self._reserve()):
            return self._behind(now, self._blind)
        return 0.0

    def take(self, now: float) -> Turn:
        self._advance(now)
        self.level -= 1
        self.in_flight += 1
        self._sent += 1
        self._last_sent_at = now
        return Turn(self._sent, now)

    def give_back(self) -> None:
        """Undo ``take`` for a request that was not sent after all."""
        self.in_flight -= 1
        self.level += 1

    def answered(self, turn: Turn, now: float, remaining: float | None) -> None:
        """A request came back; *remaining* is what Azure says is left, or None where it says nothing.

        Requests are served in another order than they were sent, so that of all still in flight nobody knows whether
        *remaining* counts them: they are taken off once more until their own answers come.
        """
        self._advance(now)
        self.in_flight -= 1
        self._round_trip = now - turn.at
        self._granted += 1
        if remaining is None:
            self._blind *= BLIND_GROWTH
            if self.drips:
                self.refill = min(self.refill * 1.01, self._documented)
            return
        if remaining + 1 > self.capacity:
            # The highest recorded values are one below the bucket's size. What holds more also refills faster.
            self.refill *= (remaining + 1) / self.capacity
            self.capacity = remaining + 1
        self._highest = max(self._highest, remaining + 1)
        if turn.at < self._stepped_at and not self.drips:
            return  # older than the last refill
        if self.drips:
            if turn.number < self._told_number:
                return  # overtaken by the answer to a later request
            self._learn_drip(now, remaining)
            self._lowest = remaining
        else:
            self._learn_step(turn, now, remaining)
        self.level = self._lowest - self.in_flight
        self._told_number = turn.number
        self._told_at = now

    def lost(self) -> None:
        """A request was sent and nobody answered."""
        self.in_flight -= 1

    def hold(self, now: float, seconds: float) -> None:
        """Azure refused for *seconds*: nothing may go before, and it refills at that moment."""
        self._advance(now)
        if self.drips:
            # Whatever we took it for, it refills more slowly; what the answers show later counts again.
            self.refill = max(self.refill * 0.8, LEAST_REFILL)
            self._measured_from = None
        elif self._lowest == math.inf:
            # No answer says what is left: what was granted since the last refill is all there was.
            self.refill = max(1.0, min(self.refill, float(self._granted)))
        self._blind = 1
        self._told_at = -math.inf
        self._held_until = max(self._held_until, now + seconds)
        self._stepped_at = self._held_until - self.step
        self.level = self._before_step = min(self.level, 0.0)
        self._lowest = math.inf
        self._phase_known = True

    def settle_window(self, now: float, remaining: float, resets_after: float) -> None:
        """The whole bucket comes back in *resets_after* seconds, says an answer (Resource Graph's quota)."""
        self._stepped_at = now + resets_after - self.step
        self.refill = self.capacity
        self._phase_known = True
        self.level = self._before_step = min(self.level, remaining)

    def _reserve(self) -> float:
        capacity = self._highest or self.capacity
        if self.drips:
            return math.floor(DRIP_RESERVE * capacity)
        return math.floor(min(STEP_RESERVE * capacity, STEP_RESERVE_MOST))

    def _is_fresh(self, now: float) -> bool:
        return now - self._told_at <= max(FRESH_SECONDS, 4 * self._round_trip) or (not self._shared and self._sent > 0)

    def _behind(self, now: float, window: int) -> float:
        """Wait for answers to the requests ahead, but not for ever; 0 when few enough are on their way."""
        if self.in_flight < window:
            return 0.0
        return max(0.0, self._last_sent_at + max(PATIENCE_SECONDS, 4 * self._round_trip) - now)

    def _until(self, now: float, needed: float) -> float:
        missing = (needed - self.level) / self.refill * self.step
        if self.drips:
            return min(missing, FRESH_SECONDS) if self.level >= 1 else missing
        return max(0.0, self._stepped_at + math.ceil((needed - self.level) / self.refill) * self.step - now)

    def _advance(self, now: float) -> None:
        passed = now - self._stepped_at
        if self.drips:
            if passed > 0:
                self.level = min(self.capacity, self.level + passed * self.refill / self.step)
                self._stepped_at = now
            return
        steps = math.floor(passed / self.step)
        if steps > 0:
            self._granted = 0
            self._before_step = self.level
            self.level = min(self.capacity, self.level + steps * self.refill)
            self._stepped_at += steps * self.step
            self._told_at = -math.inf
            self._lowest = math.inf

    def _learn_drip(self, now: float, remaining: float) -> None:
        """Measure what came back over some seconds.

        Nothing is learnt near the brim or over a pause, where refills get lost, nor while a burst is in flight, of
        which nobody knows what the number counts.
        """
        steady = 2 + 2 * self.refill / self.step * max(self._round_trip, 0.1)
        if remaining > 0.9 * self._highest or self.in_flight > steady:
            self._measured_from = None
            return
        served = self._granted + self.in_flight / 2
        since, before, level = self._measured_from or (-math.inf, 0.0, 0.0)
        if now - since < LEARN_SECONDS:
            return
        if now - since < 3 * LEARN_SECONDS:
            measured = (remaining - level + served - before) / (now - since) * self.step
            self.refill = max((self.refill + measured) / 2, LEAST_REFILL)
        self._measured_from = (now, served, remaining)

    def _learn_step(self, turn: Turn, now: float, remaining: float) -> None:
        """Keep the lowest number since the last refill; from the others learn when and by how much it refills."""
        slack = max(2.0, 0.1 * self.refill)
        if self._lowest < math.inf:
            if remaining > self._lowest + slack and turn.at >= self._lowest_at:
                # Sent after the lowest number came, it saw more: the refill came earlier than we thought.
                self._stepped_at = turn.at
                self._phase_known = True
                self._lowest = remaining
        elif self._told_number and self._before_step + self.refill <= self.capacity:
            gained = remaining + 1 - self._before_step
            if gained < min(slack, 0.5 * self.refill):
                # What we believed to be a refill was none yet: when it comes is not known after all.
                self._phase_known = not self._shared
            elif gained < self.refill:
                self.refill = max(1.0, gained)
        if remaining <= self._lowest:
            self._lowest, self._lowest_at = remaining, now
