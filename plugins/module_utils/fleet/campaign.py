# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drive many machines from one task: admit starts, space out polls, stop at the budget, the deadline or an orphan.

Each machine is a coroutine of its own and shares one :class:`Campaign` with the rest:

* ``admit`` lets it start when fewer than ``max_concurrent`` run, nobody asked to stop and the guard agrees;
* ``occupy`` counts an operation that already runs on Azure, whoever started it;
* ``polled`` counts it among those that draw on the subscription's read budget;
* ``check_start`` is asked once more right before a POST leaves: somebody outside may have paused or aborted the
  rollout, or the machine's window no longer leaves it the time it needs;
* ``pause`` waits until the next poll.  The interval stretches so that all polls of one subscription together stay
  within a read budget: a poll that waits in a queue for the bucket would be no newer, and others draw on it too.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from ..clock import Clock
from ..domain.timestamps import to_iso
from ..domain.waves import Budget, allows
from .control import Steering
from .guard import Guard
from .progress import Progress

READS_PER_SECOND = 20.0
"""Polls a second and subscription.  ARM refills 25 reads a second for a subscription and principal (Microsoft Learn,
"Understand how Azure Resource Manager throttles requests", 2024); a fifth is left to the rest and to others."""

GUARD_SECONDS = 1.0
"""Real seconds between two looks at the guard while machines wait for their turn."""

T = TypeVar("T")
R = TypeVar("R")


class NotAdmitted(Exception):
    """This machine must not be started; ``code`` is a word, the message one sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Paused(NotAdmitted):
    """Nothing may be started now, and nothing was; the machine may be admitted again later."""


class WaitEnded(Exception):
    """Waiting is over although the operation is not; ``code`` is ``timeout`` or ``stopped``."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Campaign:
    """What the coroutines of one task share."""

    def __init__(
        self,
        clock: Clock,
        guard: Guard,
        progress: Progress,
        *,
        total: int,
        poll_interval: float,
        wait_timeout: float | None,
        max_failures: Budget,
        max_concurrent: int | None = None,
        reads_per_second: float = READS_PER_SECOND,
        steering: Steering | None = None,
        latest_starts: Mapping[str, datetime] | None = None,
    ) -> None:
        """Make the campaign of one task.

        :param steering: what somebody outside may say meanwhile.
        :param latest_starts: by lower-case ARM ID, the last moment at which a machine may be started.
        """
        self.clock = clock
        self.guard = guard
        self.progress = progress
        self._total = total
        self._poll_interval = poll_interval
        self._wait_timeout = wait_timeout
        self._deadline = None if wait_timeout is None else clock.monotonic() + wait_timeout
        self._max_failures = max_failures
        self._max_concurrent = max_concurrent
        self._reads_per_second = reads_per_second
        self._running: set[str] = set()
        self._queue: deque[tuple[str, asyncio.Future[None]]] = deque()
        self._polled: Counter[str] = Counter()
        self._failures = 0
        self._stop: tuple[str, str] | None = None
        self._halt = asyncio.Event()
        self._looked_at = -math.inf
        self._steering = steering
        self._latest_starts = dict(latest_starts or {})
        self._paused_since: float | None = None
        self._may_go = asyncio.Event()
        self._may_go.set()

    @property
    def failures(self) -> int:
        """How many machines counted against ``max_failures`` so far."""
        return self._failures

    @property
    def exceeded(self) -> bool:
        """Whether more machines failed than ``max_failures`` allows."""
        return not allows(self._max_failures, self._total, self._failures)

    @property
    def stop_reason(self) -> str:
        """Why nothing more is started, empty while more may be."""
        return self._stop[1] if self._stop else ""

    @property
    def stop_code(self) -> str:
        """The same as one word: ``budget``, ``stopped``, ``timeout`` or a caller's own; empty while more may start."""
        return self._stop[0] if self._stop else ""

    def stop(self, code: str, reason: str) -> None:
        """Start nothing more; what runs is let finish."""
        if self._stop is None:
            self._stop = (code, reason)
            self._may_go.set()
            while self._queue:
                dummy, turn = self._queue.popleft()
                if not turn.done():
                    turn.set_exception(NotAdmitted(code, reason))

    async def admit(self, key: str) -> None:
        """Wait for this machine's turn, first come first served, and count it as running.

        While the rollout is paused nobody's turn comes. Whoever catches Paused at the very start asks again.

        Raises:
            NotAdmitted: nothing more may be started, or this machine not any more.
        """
        while True:
            await self._may_go.wait()
            try:
                await self._take_turn(key)
                return
            except Paused:
                # It is noticed here first, or came while the machine waited.
                continue

    async def _take_turn(self, key: str) -> None:
        self.check_start(key)
        if self._queue or not self._room():
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append((key, turn))
            # The machine is counted by whoever lets it in, so that its place cannot be taken in between.
            await turn
            try:
                self.check_start(key)
            except NotAdmitted:
                self.vacate(key)
                raise
        else:
            self.occupy(key)

    def _room(self) -> bool:
        return self._max_concurrent is None or len(self._running) < self._max_concurrent

    def check_start(self, key: str = "") -> None:
        """Raise NotAdmitted unless this machine may be started now (asked again right before a POST)."""
        refusal = self.guard.refusal()
        why_paused = self._steered()
        if refusal:
            self.stop("stopped", refusal)
        elif self._overdue():
            self.stop("timeout", self._timeout_reason())
        if self._stop is not None:
            raise NotAdmitted(*self._stop)
        latest = self._latest_starts.get(key)
        if latest is not None and self.clock.now() > latest:
            raise NotAdmitted("would_not_finish", f"It had to be started by {to_iso(latest)} to end within its window.")
        if why_paused:
            raise Paused("paused", f"The rollout is paused: {why_paused}.")

    async def resumed(self) -> None:
        """Wait until the rollout is no longer paused, or nothing may be started at all."""
        await self._may_go.wait()

    def blocked(self) -> Mapping[str, str]:
        """The KBs that nobody may be sent any more, with where that was said."""
        return self._steering.look().blocked if self._steering is not None else {}

    def _overdue(self) -> bool:
        """Whether the deadline has passed; while the rollout is paused it does not come nearer."""
        return self._deadline is not None and self._paused_since is None and self.clock.monotonic() >= self._deadline

    def _steered(self) -> str:
        """Look at what somebody outside says now; why nothing may be started while it is paused, else empty."""
        if self._steering is None:
            return ""
        said, now = self._steering.look(), self.clock.monotonic()
        if said.word == "abort":
            self.stop("aborted", f"The rollout was aborted: {said.why}; what runs is let finish.")
        if said.word == "pause" and self._paused_since is None:
            self._paused_since = now
            self._may_go.clear()
            self.progress.note(f"paused, nothing is started: {said.why}")
        elif said.word != "pause" and self._paused_since is not None:
            if self._deadline is not None:
                self._deadline += now - self._paused_since
            self._paused_since = None
            self._may_go.set()
            self.progress.note("going on")
        return said.why if said.word == "pause" else ""

    def occupy(self, key: str) -> None:
        """Count an operation that runs, ours or another's."""
        self._running.add(key)
        self.progress.running(key)

    def vacate(self, key: str) -> None:
        """The operation is over, or was never started: let the next one in."""
        self._running.discard(key)
        while self._queue and self._room():
            waiting, turn = self._queue.popleft()
            if not turn.done():
                self.occupy(waiting)
                turn.set_result(None)

    @contextmanager
    def polled(self, subscription: str) -> Iterator[None]:
        """Count one machine among those polled in this subscription while the block runs."""
        self._polled[subscription] += 1
        try:
            yield
        finally:
            self._polled[subscription] -= 1

    def finish(self, key: str, failed: bool) -> None:
        """This machine has its entry; count it, and stop starting when the budget is spent."""
        self.vacate(key)
        self.progress.done(key, failed)
        if failed:
            self._failures += 1
            if self.exceeded:
                self.stop(
                    "budget",
                    f"{self._failures} of {self._total} machines failed, more than max_failures allows, "
                    "so no further machine is started.",
                )

    def interval(self, subscription: str, retry_after: float | None = None) -> float:
        """Seconds of the Clock until the next poll of one machine of this subscription."""
        shared = self._polled[subscription] / self._reads_per_second
        return max(self._poll_interval, shared, retry_after or 0.0)

    async def pause(self, subscription: str, retry_after: float | None = None, at_least: float = 0.0) -> None:
        """Wait until this machine may be polled again.

        Raises:
            WaitEnded: the deadline has come, the guard refuses, or the run was told to stop.
        """
        self._check_wait()
        seconds = max(self.interval(subscription, retry_after), at_least)
        if self._deadline is not None and self._paused_since is None:
            seconds = min(seconds, max(0.0, self._deadline - self.clock.monotonic()))
        sleeper = asyncio.ensure_future(self.clock.asleep(seconds))
        halted = asyncio.ensure_future(self._halt.wait())
        try:
            await asyncio.wait({sleeper, halted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            halted.cancel()
        self._check_wait()

    def _check_wait(self) -> None:
        now = self.clock.monotonic()
        # Looking means reading from /proc. Starts are always checked; polls as often as the watcher looks.
        due = self._halt.is_set() or now - self._looked_at >= GUARD_SECONDS * self.clock.rate
        refusal = ""
        if due:
            refusal, self._looked_at = self.guard.refusal(), now
        if refusal:
            self.stop("stopped", refusal)
            raise WaitEnded("stopped", refusal)
        if self._overdue():
            reason = self._timeout_reason()
            self.stop("timeout", reason)
            raise WaitEnded("timeout", reason)

    def _timeout_reason(self) -> str:
        return (
            f"wait_timeout ({self._wait_timeout:g} s) has passed; what Azure is doing already goes on, "
            "and a later run joins it."
        )

    async def run(self, items: Sequence[T], work: Callable[[T], Awaitable[R]]) -> list[R]:
        """Run ``work`` for every item at once and return the results in order.

        ``work`` turns what goes wrong on one machine into that machine's result.  An exception out of it is a bug or
        a reason to end the run: the others are cancelled and it is raised.
        """
        watchers = [asyncio.ensure_future(self._watch())]
        if self._steering is not None:
            # A pause that was asked for before this task began has to hold its first start.
            await self._steering.refresh()
            watchers.append(asyncio.ensure_future(self._steering.follow()))
        tasks = [asyncio.ensure_future(work(item)) for item in items]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in (*tasks, *watchers):
                task.cancel()
            await asyncio.gather(*tasks, *watchers, return_exceptions=True)

    async def _watch(self) -> None:
        """Notice a dead parent, a signal or the deadline also while every machine waits for its turn or poll."""
        while not self._halt.is_set():
            await self.clock.asleep(GUARD_SECONDS * self.clock.rate)
            refusal = self.guard.refusal()
            self._steered()
            if refusal:
                self.stop("stopped", refusal)
                self._halt.set()
            elif self._overdue():
                self.stop("timeout", self._timeout_reason())
