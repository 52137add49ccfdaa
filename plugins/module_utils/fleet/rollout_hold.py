# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep machines whose ring is not reached from the platform's own patching, let them go in time, or say who is exposed.

Holding is the settings' state ``held`` of the module enrollment: by platform, hotpatching off, the customer schedule's
flag on, no schedule (facts of Microsoft's documentation of 2024-01; nobody has verified it live).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..domain.enrolment import enrolment
from ..domain.guest import GuestFacts
from ..domain.machine import Machine
from ..domain.timestamps import to_iso
from .rollout_gate import members
from .rollout_state import Record, Rollout

SENT_OUTCOMES = frozenset({"changed", "unchanged", "running"})


def to_hold(rollout: Rollout) -> list[Record]:
    """The machines of rings that are not reached yet, to be held when the rollout begins."""
    waiting = [record for record in rollout.in_scope if record.wave is not None and not record.judged]
    first = next((ring.name for ring in rollout.rings if any(record.ring == ring.name for record in waiting)), None)
    return [record for record in waiting if record.ring != first and _untouched(rollout, record) and not record.held]


def _untouched(rollout: Rollout, record: Record) -> bool:
    ring = rollout.ring(record.ring) if record.ring else None
    return record.stage == "planned" and (ring is None or ring.started is None)


def to_release(rollout: Rollout, ring: str) -> list[Record]:
    """The held machines of a ring whose turn has come."""
    return [record for record in members(rollout, ring) if record.held and not record.judged]


def unreached(rollout: Rollout) -> list[Record]:
    """The machines that a stop kept from their turn: the platform may patch each of them by itself."""
    return [
        record
        for record in rollout.in_scope
        if record.wave is not None and record.stage == "planned" and not record.judged and not record.held
    ]


def note_held(rollout: Rollout, entries: Mapping[str, Mapping[str, Any]], now: datetime) -> tuple[list[str], list[str]]:
    """Note who is held now, by the results of the module enrollment; returns the hosts held, and those that are not.

    :param entries: by lower-case ARM ID.
    """
    held, failed = [], []
    for key, entry in entries.items():
        record = rollout.machines.get(key)
        if record is None:
            continue
        if entry.get("outcome") in SENT_OUTCOMES:
            record.held = to_iso(now)
            held.append(record.host)
        else:
            failed.append(record.host)
            record.notes.append(f"it could not be held from the platform's own patching: {entry.get('reason')}")
    return held, failed


def note_released(rollout: Rollout, entries: Mapping[str, Mapping[str, Any]]) -> list[Record]:
    """Note who is no longer held, by the module enrollment's results; returns those whose guests are waited for."""
    waited = []
    for key, entry in entries.items():
        record = rollout.machines.get(key)
        if record is None or record.judged:
            continue
        if entry.get("outcome") in SENT_OUTCOMES:
            record.held = None
            waited.append(record)
        else:
            why = f"it was held, and hotpatching could not be switched on again: {entry.get('reason')}"
            record.judge("not_started", "not_released", why)
    return waited


def still_enrolling(
    records: list[Record], machines: Mapping[str, Machine], guests: Mapping[str, GuestFacts], overrides: Any
) -> list[Record]:
    """Those whose guests do not show the enrolment yet, so that waiting makes sense."""
    found = []
    for record in records:
        machine = machines.get(record.key)
        if machine is not None and enrolment(machine, guests.get(record.host), overrides).state != "enrolled":
            found.append(record)
    return found


def exposure(record: Record) -> str:
    """How long the platform may patch an unreached machine by itself, in words."""
    release = record.release or {}
    return (
        f"{record.host}: Azure may install {release.get('kb', 'the release')} by itself at any of its off-peak hours "
        f"within 30 days of {release.get('date', 'its publication')}"
    )
