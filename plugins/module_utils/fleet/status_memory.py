# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier looks at the fleet saw: since when each need and each drifted setting has been seen.

One JSON file, mode 0600, in the state folder: ``{"format", "updated", "machines": {key: {"needs": {code: since},
"drift": {setting: since}}}}``. Azure does not tell when a setting was changed; "since" is when a look first saw it, and
it starts anew when a look no longer does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..domain.timestamps import parse_timestamp, to_iso
from .journal import JOURNAL_NAME
from .lock import private_folder
from .rollout_state import write_durably

MEMORY_NAME = "status.json"
FORMAT = 1
_KINDS = ("needs", "drift")


@dataclass
class StatusMemory:
    """First sights by machine, kind (``needs``, ``drift``) and name."""

    machines: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)

    def since(self, key: str, kind: str, names: Iterable[str], now: datetime) -> dict[str, str]:
        """Return since when each of what is seen now was seen, and forget what is no longer seen."""
        before = self.machines.get(key, {}).get(kind, {})
        seen = {name: before.get(name) or to_iso(now) for name in names}
        kinds = self.machines.setdefault(key, {})
        if seen:
            kinds[kind] = seen
        else:
            kinds.pop(kind, None)
        if not kinds:
            del self.machines[key]
        return seen


def load_memory(folder: Path) -> StatusMemory:
    """Return what the folder remembers; a file that cannot be read as ours remembers nothing.

    Raises OSError where it is there and may not be read.
    """
    try:
        raw = json.loads((folder / MEMORY_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return StatusMemory()
    if not isinstance(raw, Mapping) or raw.get("format") != FORMAT or not isinstance(raw.get("machines"), Mapping):
        return StatusMemory()
    return StatusMemory({str(key): _kinds(kinds) for key, kinds in raw["machines"].items() if _kinds(kinds)})


def _kinds(raw: Any) -> dict[str, dict[str, str]]:
    found = {}
    for kind in _KINDS:
        inside = raw.get(kind) if isinstance(raw, Mapping) else None
        kept = (
            {str(name): since for name, since in inside.items() if isinstance(since, str) and _is_time(since)}
            if isinstance(inside, Mapping)
            else {}
        )
        if kept:
            found[kind] = kept
    return found


@lru_cache(maxsize=1024)
def _is_time(value: str) -> bool:
    try:
        parse_timestamp(value)
    except ValueError:
        return False
    return True


def save_memory(folder: Path, memory: StatusMemory, now: datetime) -> None:
    """Write it down for the next look. Raises StateError, LockHeld and OSError when the folder cannot be used."""
    text = json.dumps({"format": FORMAT, "updated": to_iso(now), "machines": memory.machines}, separators=(",", ":"))
    write_durably(private_folder(folder) / MEMORY_NAME, text + "\n")


def own_activities(folder: Path) -> frozenset[str]:
    """Return the activity IDs, in lower case, of all operations that this folder's journal says were sent.

    A line that is cut short is passed over. Raises OSError where the journal is there and may not be read.
    """
    found = set()
    try:
        with (folder / JOURNAL_NAME).open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                try:
                    activity = json.loads(line).get("activity_id")
                except (ValueError, AttributeError):
                    continue
                if activity:
                    found.add(str(activity).lower())
    except FileNotFoundError:
        return frozenset()
    return frozenset(found)
