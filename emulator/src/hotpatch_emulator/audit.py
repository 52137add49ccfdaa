# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit log: one JSON line for every call, operation, state change and restart, with emulated time.

Tests judge a client by this log, not by what the client says of itself. Every line is written with one system call
before the answer goes out, so a client that is killed leaves a whole log. Kinds and their fields:

=========  ==========================================================================================
kind       fields beside seq, time (emulated, ISO 8601), kind, resource_id
=========  ==========================================================================================
request    method, path, query, api_version, principal, status, action, request_id, body (POST, PATCH), fault
operation  event (started, finished), operation, activity_id, status, started_by, principal, and more
restart    cause (install, user, fault, platform, guest), activity_id, down_seconds
state      what, and the values that changed
winrm      address, action, resource_uri (written by the guests' listeners)
=========  ==========================================================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from hotpatch_emulator.clock import EmulatedClock


class Audit:
    """Appends to ``audit.jsonl`` in the run directory (mode 0600)."""

    def __init__(self, path: Path, clock: EmulatedClock) -> None:
        self.path = path
        self._clock = clock
        self._sequence = 0
        self._listeners: list[Callable[[dict[str, Any]], None]] = []
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)

    def write(self, kind: str, resource_id: str | None = None, *, at: datetime | None = None, **fields: Any) -> int:
        """Write one line and return its number. ``at`` is the emulated moment, by default now."""
        self._sequence += 1
        line: dict[str, Any] = {
            "seq": self._sequence,
            "time": (at or self._clock.now()).isoformat(),
            "kind": kind,
            "resource_id": resource_id,
        }
        line.update(fields)
        os.write(self._descriptor, (json.dumps(line, default=str) + "\n").encode())
        for listener in self._listeners:
            listener(line)
        return self._sequence

    def listen(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """Show every line written from now on to ``listener`` as well."""
        self._listeners.append(listener)

    def lines(self, since: int = 0) -> Iterator[dict[str, Any]]:
        """The lines after number ``since``, oldest first."""
        with self.path.open(encoding="utf-8") as log:
            for text in log:
                line = json.loads(text)
                if line["seq"] > since:
                    yield line

    def close(self) -> None:
        os.close(self._descriptor)
