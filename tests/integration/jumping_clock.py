# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lets hours of an embedded Azure pass in milliseconds: while a rollout only waits, its clock is set forward.

An emulated clock that only runs fast makes a slow machine a slow world: a request that takes a second too long comes
half an hour late. Here time goes slowly while somebody works, and jumps to the next thing that is waited for once no
request is under way. The clock set forward is the emulator's, by its control port; the collection follows it.
"""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import aiohttp
import in_process

from ansible_collections.winfleet.hotpatch.plugins.module_utils import clock as collection_clock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import FollowedClock, _Reading

# Ansible's loader has to know the collection before anything of it is imported, which in_process sees to.
COLLECTION = in_process.COLLECTION
QUIET_SECONDS = 0.002
"""Real seconds in which nobody asks for anything before time jumps; looked at twice."""

_under_way = 0


class JumpingClock(FollowedClock):
    """A followed clock that sets the one it follows forward instead of waiting for it."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._deadlines: dict[asyncio.Future[None], float] = {}
        self._jumper: asyncio.Task[None] | None = None

    def sleep(self, seconds: float) -> None:
        """Nobody else works in a thread that sleeps: jump at once."""
        if seconds > 0:
            self._jump(seconds)

    async def asleep(self, seconds: float) -> None:
        """Wait until all others wait, too, and this wait is the one that ends first."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._deadlines[waker] = self.monotonic() + seconds
        if self._jumper is None or self._jumper.done():
            self._jumper = asyncio.ensure_future(self._jump_on())
        try:
            await waker
        finally:
            self._deadlines.pop(waker, None)

    async def _jump_on(self) -> None:
        quiet = 0
        while self._deadlines:
            await asyncio.sleep(QUIET_SECONDS)
            quiet = 0 if _under_way else quiet + 1
            if quiet >= 2 and self._deadlines:
                left = min(self._deadlines.values()) - self.monotonic()
                if left > 0:
                    self._jump(left)
                quiet = 0
            now = self.monotonic()
            for waker in [waker for waker, deadline in self._deadlines.items() if deadline <= now]:
                self._deadlines.pop(waker)
                if not waker.done():
                    waker.set_result(None)

    def _jump(self, seconds: float) -> None:
        body = json.dumps({"advance_seconds": seconds}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"}, method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            told = json.loads(answer.read())
        self._reading = _Reading(
            datetime.fromisoformat(told["now"]), float(told["rate"]), time.monotonic()
        )


@contextmanager
def jumping() -> Iterator[None]:
    """Follow emulated clocks by jumps, in this process and from here on."""
    followed, request = collection_clock.FollowedClock, aiohttp.ClientSession._request

    async def counted(self: aiohttp.ClientSession, *arguments: Any, **keywords: Any) -> Any:
        global _under_way
        _under_way += 1
        try:
            return await request(self, *arguments, **keywords)
        finally:
            _under_way -= 1

    collection_clock.FollowedClock = JumpingClock  # type: ignore[misc]
    aiohttp.ClientSession._request = counted  # type: ignore[method-assign]
    try:
        yield
    finally:
        collection_clock.FollowedClock = followed  # type: ignore[misc]
        aiohttp.ClientSession._request = request  # type: ignore[method-assign]
