# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what happens in a rollout, while it happens, as one JSON object a line: ``events.jsonl`` in its state folder.

Each line is on the disk before the rollout goes on, and is never changed afterwards, so that whatever ends the run
leaves all of them whole. Every line has ``time`` (ISO 8601, UTC), ``rollout_id`` and ``event``; the rest is the
event's own, named as in the report.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..domain.timestamps import to_iso

EVENTS_NAME = "events.jsonl"

EVENTS = (
    "planned",
    "resumed",
    "held",
    "ring_started",
    "ring_finished",
    "soak_started",
    "soak_proven",
    "wave_started",
    "wave_finished",
    "window_waited",
    "machine_started",
    "machine_installed",
    "machine_restarted",
    "machine_restart_lost",
    "machine_settled",
    "verdict",
    "hook_failed",
    "gate",
    "paused",
    "going_on",
    "released",
    "stopped",
    "finished",
)
"""All events there are."""


class Events:
    """The events of one rollout; several tasks and processes may write at once.

    Without a folder (check mode) nothing is written.
    """

    def __init__(self, folder: Path | None, rollout_id: str, clock: Clock) -> None:
        self._path = None if folder is None else folder / EVENTS_NAME
        self._rollout_id = rollout_id
        self._clock = clock

    def write(self, event: str, **told: Any) -> None:
        """Write one event; what is None is left out. Raises OSError when it cannot be written."""
        if event not in EVENTS:
            raise ValueError(f"{event!r} is no event")
        if self._path is None:
            return
        line = {"time": to_iso(self._clock.now()), "rollout_id": self._rollout_id, "event": event}
        line |= {name: value for name, value in told.items() if value is not None}
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                # The last line was cut short by a crash: leave it alone on its line.
                data = b"\n" + data
            # One write: lines of other processes stay whole beside it.
            os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_events(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a state folder, oldest first; a line that a crash cut short is left out."""
    try:
        text = (folder / EVENTS_NAME).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    found = []
    for line in text.splitlines():
        try:
            item = json.loads(line)
        except ValueError:
            continue
        if isinstance(item, dict):
            found.append(item)
    return found
