# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a bad update off machines, one at a time: what is remembered between the steps, and between runs.

One file, ``rollback.json``, in the state folder; written before anything is done to a machine, so that a run that was
cut off is taken up: its pending restart is known to be ours, and the restart is not sent twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..domain.errors import InputError
from ..domain.facts import Fact
from ..domain.guest import GuestFacts
from ..domain.kb import parse_kb
from ..domain.proof import boot_time_corrected
from ..domain.restart import booted_anew
from ..domain.rollback import Decision, may_take_off, not_off_yet
from ..domain.time_zones import find_zone
from ..domain.timestamps import parse_timestamp, to_iso
from ..domain.windows import needs_machine_zone, window_of
from .rollout_hosts import HostSays
from .rollout_state import StateError, write_durably

FILE = "rollback.json"
KB_OPTION, CONFIRM_OPTION, TASKS_OPTION = "hotpatch_rollback_kb", "hotpatch_rollback_confirm", "hotpatch_rollback_tasks"


@dataclass
class Begun:
    """One machine whose update is being taken off; times are ISO 8601, UTC."""

    kb: str
    began: str
    boot_before: str | None = None
    services_before: dict[str, str] = field(default_factory=dict)
    finished: str | None = None


def check_wishes(kb: object, confirm: bool, tasks: str) -> str:
    """The KB to take off; InputError where the word is missing or nobody said how."""
    found = parse_kb(KB_OPTION, kb)
    if not confirm:
        wanted = f"true, the explicit word that {found} is taken off and machines are restarted"
        raise InputError(CONFIRM_OPTION, False, wanted)
    if not tasks or not Path(tasks).is_absolute() or not Path(tasks).is_file():
        raise InputError(TASKS_OPTION, tasks or "(not set)", "the absolute path of the tasks that uninstall the update")
    return found


def load(folder: Path) -> dict[str, Begun]:
    """What was begun, by lower-case ARM ID; StateError for a file that is none of ours."""
    path = folder / FILE
    try:
        return {key: Begun(**item) for key, item in json.loads(path.read_text(encoding="utf-8")).items()}
    except FileNotFoundError:
        return {}
    except (OSError, TypeError, ValueError, AttributeError) as error:
        raise StateError(f"The file {str(path)!r} cannot be read ({error}); move it away.") from error


def save(folder: Path, begun: Mapping[str, Begun]) -> None:
    """Write it durably; raises StateError."""
    write_durably(folder / FILE, json.dumps({key: asdict(item) for key, item in begun.items()}, indent=1) + "\n")


def begin(
    begun: dict[str, Begun], key: str, kb: str, guest: GuestFacts, vm_id: str | None, now: datetime, too_late: str
) -> Decision:
    """Decide on one machine, and note where it goes on; *begun* is to be saved before anything is done."""
    known = begun.get(key)
    under_way = known is not None and known.kb == kb and known.finished is None
    decision = may_take_off(guest, kb, vm_id, under_way, too_late)
    if decision.word == "go" and not under_way:
        boot = boot_time_corrected(guest).value
        begun[key] = Begun(kb, to_iso(now), to_iso(boot) if boot else None, dict(guest.services.value or {}))
    return decision


def waiting_for(item: Begun, guest: GuestFacts) -> str:
    """What is missing until the update is off, or empty."""
    before = parse_timestamp(item.boot_before) if item.boot_before else None
    anew: Fact[bool] = booted_anew(guest, parse_timestamp(item.began), before)
    return not_off_yet(guest, item.kb, anew, item.services_before)


def too_late(says: HostSays, now: datetime, needed: timedelta) -> str:
    """Why a machine's own window (``hotpatch_window``) forbids to begin now, or empty."""
    if says.window is None:
        return ""
    zone: Any = None
    if needs_machine_zone(says.window, ()):
        if not says.time_zone:
            return "its window is in its own time zone, which is not known; set hotpatch_time_zone"
        zone = find_zone(says.time_zone)
    window = window_of(says.window, (), zone)
    if window is None or window.fits(now, needed):
        return ""
    return f"its window ({says.window}) is closed, or closes within {round(needed.total_seconds() / 60)} minutes"
