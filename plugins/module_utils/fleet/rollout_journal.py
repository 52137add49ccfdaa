# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, for the rollout's own decisions, what the installation engine's journal says was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ..domain.joining import JournalEntry
from .journal import JOURNAL_NAME, Journal
from .pursuit import INSTALL, RESTART
from .rollout_wave import Journal as Lookup
from .rollout_wave import Sent


def read_restarts(state_dir: str) -> Callable[[str], JournalEntry | None]:
    """Return the look-up of the newest restart sent to a machine (lower-case ARM ID).

    Raises JournalError when the journal is there and cannot be read.
    """
    journal = _open(state_dir)
    return lambda key: journal.latest(key, RESTART) if journal is not None else None


def _open(state_dir: str) -> Journal | None:
    """The journal as it stands, None where there is none yet."""
    folder = Path(state_dir).expanduser()
    if not (folder / JOURNAL_NAME).exists():
        return None
    journal = Journal(folder)
    asyncio.run(journal.close())
    return journal


def read_journal(state_dir: str) -> Lookup:
    """Return the look-up of installations in this state folder; it knows nothing where there is no journal yet.

    Raises JournalError when the journal is there and cannot be read.
    """
    journal = _open(state_dir)
    if journal is None:
        return lambda key: None

    def look(key: str) -> Sent | None:
        entry = journal.latest(key, INSTALL)
        if entry is None:
            return None
        installed = journal.installed(key).values()
        kbs = tuple(item.kb for item in installed if item.activity_id.lower() == (entry.activity_id or "-").lower())
        return Sent(entry, kbs)

    return look
