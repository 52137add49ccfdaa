# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a moment while somebody outside may pause or abort the rollout, and say what they asked for.

The state of the rollout is not touched: what is said here is remembered by the decision that comes after.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from ..clock import Clock
from ..domain.control import Control
from ..domain.errors import InputError
from ..domain.timestamps import parse_timestamp, to_iso
from .context import Connect, Connection, connect, drive, state_folder
from .control import TAG_SECONDS, Steering, check_groups
from .guard import Guard
from .progress import Progress, human_seconds
from .rollout_events import Events

LOOK_SECONDS = 1.0
"""Real seconds between two looks at the control file."""
TELL_SECONDS = 600.0
"""Real seconds between two lines that say how long it still waits."""


def run(
    params: Mapping[str, Any],
    clock: Clock,
    progress: Progress,
    environ: Mapping[str, str],
    guard: Guard,
    *,
    check_mode: bool = False,
    diff: bool = False,
    connect: Connect = connect,
) -> dict[str, Any]:
    """Wait as the parameters say. Check mode looks once and does not wait.

    Raises InputError, ClockError and AzureFailure for what cannot work at all.
    """
    until = _moment(params.get("until"))
    groups = check_groups("control_resource_groups", params.get("control_resource_groups") or ())
    folder = state_folder(params, environ)
    events = Events(None if check_mode else folder, str(params["rollout_id"]), clock)
    progress.begin("rollout", 0)

    async def main() -> dict[str, Any]:
        async with _open(params, environ, clock, connect, bool(groups)) as connection:
            steering = Steering(folder, clock, groups, connection.groups if connection is not None else None)
            waiting = Waiting(clock, progress, guard, steering, events, until, str(params["waiting_for"]))
            await steering.refresh()
            return result_of(steering.look(), clock) if check_mode else await waiting.wait()

    return drive(main, guard)


@asynccontextmanager
async def _open(
    params: Mapping[str, Any], environ: Mapping[str, str], clock: Clock, connect: Connect, needed: bool
) -> AsyncIterator[Connection | None]:
    """The way to Azure where a tag has to be read; none is opened for a file."""
    if not needed:
        yield None
        return
    async with connect(params, environ, clock) as connection:
        yield connection


def _moment(text: Any) -> datetime | None:
    if not text:
        return None
    try:
        return parse_timestamp(str(text))
    except ValueError:
        raise InputError("until", text, "a time in ISO 8601 with its offset") from None


class Waiting:
    """One wait."""

    def __init__(
        self,
        clock: Clock,
        progress: Progress,
        guard: Guard,
        steering: Steering,
        events: Events,
        until: datetime | None,
        waiting_for: str,
    ) -> None:
        self._clock = clock
        self._progress = progress
        self._guard = guard
        self._steering = steering
        self._events = events
        self._until = until
        self._waiting_for = waiting_for
        self._told_at = -math.inf
        self._read_at = clock.monotonic()
        self._paused = ""

    async def wait(self) -> dict[str, Any]:
        """Wait until the moment has come and nobody pauses, or somebody aborts, or the run ends."""
        while True:
            said, refusal = self._steering.look(), self._guard.refusal()
            self._note_pause(said)
            if refusal:
                return {"failed": True, "changed": False, "stop_code": "aborted", "msg": refusal}
            left = 0.0 if self._until is None else (self._until - self._clock.now()).total_seconds()
            if said.word == "abort" or (said.word == "resume" and left <= 0):
                return result_of(said, self._clock)
            self._tell(said, left)
            pause = LOOK_SECONDS * self._clock.rate
            await self._clock.asleep(min(left, pause) if left > 0 else pause)
            if self._clock.monotonic() - self._read_at >= TAG_SECONDS:
                await self._steering.refresh()
                self._read_at = self._clock.monotonic()

    def _note_pause(self, said: Control) -> None:
        why = said.why if said.word == "pause" else ""
        if bool(why) == bool(self._paused):
            return
        self._paused = why
        if why:
            self._events.write("paused", reason=why)
        else:
            self._events.write("going_on")
            self._progress.note("going on")
        self._told_at = -math.inf

    def _tell(self, said: Control, left: float) -> None:
        real = self._clock.monotonic() / self._clock.rate
        if real - self._told_at < TELL_SECONDS:
            return
        self._told_at = real
        if said.word == "pause":
            self._progress.note(f"paused: {said.why}")
        elif self._until is not None:
            shown = f"{self._waiting_for}, until {to_iso(self._until)}"
            self._progress.note(f"waiting for {shown}, about {human_seconds(left / self._clock.rate)} left")


def result_of(said: Control, clock: Clock) -> dict[str, Any]:
    """The task's result for what is said."""
    told = said.why or "nobody asked to pause or to abort"
    return {
        "changed": False,
        "word": said.word,
        "why": said.why,
        "blocked": dict(said.blocked),
        "looked_at": to_iso(clock.now()),
        "msg": told[:1].upper() + told[1:] + ".",
    }
