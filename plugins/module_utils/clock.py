# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection's one clock: real time, or the time an emulated Azure publishes.

Everything that asks for the time or waits gets a Clock handed in. ``HOTPATCH_CLOCK`` is read in this file only; it
makes the collection follow an emulator's faster time, and is refused unless every endpoint in use is loopback, so
that nothing real is ever driven at the wrong pace.
Tokens, TLS and socket time-outs stay on real time: they never see a Clock.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import json
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol
from urllib.parse import urlsplit

CLOCK_VARIABLE = "HOTPATCH_CLOCK"
RESYNC_SECONDS = 1.0
"""Real seconds between two readings of a followed clock; also the longest real sleep before looking again."""
READ_TIMEOUT_SECONDS = 5.0
NOTICED_SECONDS = 0.05
"""Real seconds by which a followed clock must be elsewhere than thought before sleepers are woken to look again."""


class ClockError(Exception):
    """The clock that was asked for cannot be followed; the text is one sentence for the user."""


class Clock(Protocol):
    """Time as the collection knows it.

    ``rate`` is seconds of this clock per real second, ``now()`` an aware UTC datetime, ``monotonic()`` seconds of this
    clock since an arbitrary start (never going back), and both sleeps take seconds of this clock.
    """

    @property
    def rate(self) -> float:
        """Seconds of this clock per real second."""

    def now(self) -> datetime:
        """The time, aware and in UTC."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start, never going back."""

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds of this clock."""

    async def asleep(self, seconds: float) -> None:
        """Wait so many seconds of this clock, and let others work."""


class SystemClock:
    """Real time."""

    rate = 1.0

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


@dataclass(frozen=True)
class _Reading:
    """What a clock published: its time and rate, and the real monotonic second they were true at."""

    now: datetime
    rate: float
    read_at: float

    def extrapolated(self, real: float) -> datetime:
        return self.now + timedelta(seconds=(real - self.read_at) * self.rate)


class FollowedClock:
    """The time published at a loopback URL as ``{"now": iso8601, "rate": float}``.

    Between two readings time is extrapolated with the published rate. The clock is read again about once a real
    second while somebody waits, so a rate that changes or a clock that is set forward is noticed in the middle of a
    sleep. If a later reading fails, the last one keeps counting: an emulator that has gone away shows itself on the
    next request, with a better message than a clock could give.
    Raises ClockError if the first reading fails.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        # One attribute, so that a thread that reads the clock anew swaps all of it at once.
        self._reading = _read_clock(url)
        self._start = self._reading.now
        self._latest = 0.0
        self._sleepers: set[asyncio.Future[None]] = set()
        self._follower: asyncio.Task[None] | None = None

    @property
    def rate(self) -> float:
        return self._reading.rate

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        passed = (self._reading.extrapolated(time.monotonic()) - self._start).total_seconds()
        # A new reading may lie a few milliseconds behind what was extrapolated; time must not go back.
        self._latest = max(self._latest, passed)
        return self._latest

    def sleep(self, seconds: float) -> None:
        deadline = self.monotonic() + seconds
        while (real := self._real_seconds_until(deadline)) > 0:
            time.sleep(real)
            self._resync()

    async def asleep(self, seconds: float) -> None:
        deadline = self.monotonic() + seconds
        if seconds <= 0:
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        while (left := deadline - self.monotonic()) > 0:
            # Thousands sleep at once: each sleeps through, and one task reads the clock and wakes them if it changed.
            waker: asyncio.Future[None] = loop.create_future()
            alarm = loop.call_later(left / self.rate, _wake, waker)
            self._sleepers.add(waker)
            if self._follower is None or self._follower.done() or self._follower.get_loop() is not loop:
                self._follower = asyncio.ensure_future(self._follow())
            try:
                await waker
            finally:
                alarm.cancel()
                self._sleepers.discard(waker)

    async def _follow(self) -> None:
        """Read the clock about once a real second while somebody of this loop sleeps."""
        loop = asyncio.get_running_loop()
        known = self._reading
        while any(waker.get_loop() is loop for waker in self._sleepers):
            await asyncio.sleep(RESYNC_SECONDS)
            if self._due_for_resync():
                await asyncio.to_thread(self._resync)
            real, before, known = time.monotonic(), known, self._reading
            jump = abs((known.extrapolated(real) - before.extrapolated(real)).total_seconds())
            if known.rate != before.rate or jump > NOTICED_SECONDS * known.rate:
                for waker in [waker for waker in self._sleepers if waker.get_loop() is loop]:
                    _wake(waker)

    def _real_seconds_until(self, deadline: float) -> float:
        return min(RESYNC_SECONDS, (deadline - self.monotonic()) / self.rate)

    def _due_for_resync(self) -> bool:
        return time.monotonic() - self._reading.read_at >= RESYNC_SECONDS

    def _resync(self) -> None:
        # Thousands of sleepers wake together: one of them reads the clock for all.
        if not self._due_for_resync() or not self._lock.acquire(blocking=False):
            return
        try:
            self._reading = _read_clock(self._url)
        except ClockError:
            real = time.monotonic()
            self._reading = _Reading(self._reading.extrapolated(real), self._reading.rate, real)
        finally:
            self._lock.release()


def _wake(waker: asyncio.Future[None]) -> None:
    if not waker.done():
        waker.set_result(None)


def open_clock(environ: Mapping[str, str], endpoints: Iterable[str]) -> Clock:
    """Return the clock to live by: the system's, or the one HOTPATCH_CLOCK in *environ* names.

    *endpoints* are all URLs or host names this run talks to (ARM, login, guests). Raises ClockError if a clock is
    named and it, or one of them, is not a loopback address (127.0.0.0/8, ::1 or ``localhost``), or cannot be read.
    """
    url = environ.get(CLOCK_VARIABLE, "").strip()
    if not url:
        return SystemClock()
    if urlsplit(url).scheme != "http" or not is_loopback(url):
        raise ClockError(
            f"{CLOCK_VARIABLE} is {url!r}, but only an emulator's clock at a loopback http:// address can be followed; "
            f"unset {CLOCK_VARIABLE} to use real time."
        )
    require_loopback(environ, endpoints)
    return FollowedClock(url)


def require_loopback(environ: Mapping[str, str], endpoints: Iterable[str]) -> None:
    """Raise ClockError if a clock is followed while one of *endpoints* is not a loopback address.

    For endpoints that are learnt only later, such as those in a custom cloud's metadata.
    """
    if not environ.get(CLOCK_VARIABLE, "").strip():
        return
    foreign = sorted({endpoint for endpoint in endpoints if not is_loopback(endpoint)})
    if foreign:
        raise ClockError(
            f"{CLOCK_VARIABLE} is set, but {foreign[0]!r} is not a loopback address, and real systems are never driven "
            f"by an emulated clock; unset {CLOCK_VARIABLE}, or point every endpoint at the emulator."
        )


def is_loopback(endpoint: str) -> bool:
    """Tell whether *endpoint* (a URL, ``host`` or ``host:port``) names this machine by a loopback address.

    Only literal addresses and ``localhost`` count: what a name resolves to may change between check and use.
    """
    try:
        host = urlsplit(endpoint if "//" in endpoint else f"//{_bracketed(endpoint)}").hostname or ""
    except ValueError:
        return False
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _bracketed(host: str) -> str:
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _read_clock(url: str) -> _Reading:
    """Read the published clock once; raises ClockError."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    asked_at = time.monotonic()
    try:
        # http.client on purpose: no proxies and no redirects can lead away from the loopback address just checked.
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=READ_TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            status, body = answer.status, answer.read(65536)
        finally:
            connection.close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise ClockError(
            f"The clock at {CLOCK_VARIABLE}={url!r} did not answer ({error}); start the emulator or unset the variable."
        ) from error
    answered_at = time.monotonic()
    try:
        published = json.loads(body)
        # Python 3.10 reads no 'Z'.
        now = datetime.fromisoformat(str(published["now"]).replace("Z", "+00:00"))
        rate = float(published["rate"])
        valid = status == 200 and now.tzinfo is not None and 0 < rate < float("inf")
    except (ValueError, TypeError, KeyError, UnicodeDecodeError):
        valid = False
    if not valid:
        raise ClockError(
            f"The clock at {CLOCK_VARIABLE}={url!r} answered status {status} without a usable "
            '{"now": ISO 8601 with offset, "rate": seconds per second}.'
        )
    return _Reading(now.astimezone(timezone.utc), rate, (asked_at + answered_at) / 2)
