# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove a ring again after its soak: still the same boot, still the release, its services, its load.

A machine that went bad in the soak gets the verdict of that, counts against the budgets like any other, and keeps what
it had before in ``soak``. A ring that soaks is not to be restarted, so that a restart counts whoever asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..domain.guest import GuestFacts
from ..domain.proof import TOLERANCE_SECONDS, at_release, boot_time_corrected, restarted_since
from ..domain.timestamps import parse_timestamp, to_iso
from .rollout_entries import brief
from .rollout_gate import members
from .rollout_state import Record, Rollout
from .rollout_wave import release_of

PROVEN = frozenset({"patched", "patched_restarted_as_planned", "patched_by_platform", "already_current"})
"""Verdicts that rest on a reading of the guest, which a second reading can confirm."""


@dataclass(frozen=True)
class SoakRules:
    """What must hold after a soak beside boot and release.

    :param services: names of Windows services that must run.
    :param most_cpu_percent: the highest load, None: any.
    :param least_memory_kb: the least free memory, None: any.
    """

    services: Sequence[str] = ()
    most_cpu_percent: float | None = None
    least_memory_kb: int | None = None


def to_ask(rollout: Rollout, rings: Sequence[str]) -> list[Record]:
    """The machines whose guests are read again: those that were proven in the rings that soaked."""
    return [record for ring in rings for record in members(rollout, ring) if record.verdict in PROVEN]


def prove_again(
    rollout: Rollout,
    rings: Sequence[str],
    guests: Mapping[str, GuestFacts],
    rules: SoakRules,
    now: datetime,
    records: Sequence[Record],
) -> list[Record]:
    """Judge the machines of the rings anew and note that they soaked; returns those that went bad.

    :param guests: readings after the soak, by host.
    :param records: whose guests were asked (:func:`to_ask`); none where the user takes Azure's word.
    """
    bad = []
    for record in records:
        guest = guests.get(record.host)
        found = _found(record, guest, rules)
        record.soak = {
            "verdict_before": record.verdict,
            "reason_before": record.reason,
            "read_at": to_iso(guest.read_at) if guest is not None else None,
            "guest": brief(guest),
            "cpu_percent": guest.cpu_percent.value if guest is not None else None,
            "free_memory_kb": guest.free_memory_kb.value if guest is not None else None,
            "well": found is None,
        }
        if found is not None:
            verdict, code, reason = found
            record.judge(verdict, code, f"{reason}; before its soak it was {record.verdict}")
            bad.append(record)
    for name in rings:
        rollout.ring(name).soaked = to_iso(now)
    return bad


def _found(record: Record, guest: GuestFacts | None, rules: SoakRules) -> tuple[str, str, str] | None:
    """What went bad with a machine, as verdict, code and reason; None when it is well."""
    if guest is None:
        return "unproven", "soak_unread", "its guest was not read after the soak"
    if not guest.reachable:
        return "unreachable", "silent_after_soak", f"the guest did not answer after the soak: {guest.why}"
    return _restarted(record, guest) or _level(record, guest) or _services(guest, rules) or _load(guest, rules)


def _restarted(record: Record, guest: GuestFacts) -> tuple[str, str, str] | None:
    before = record.after or record.before or {}
    read_at = before.get("read_at")
    if not read_at:
        return "unproven", "soak_unread", "there is no reading from before the soak"
    same = _same_boot(before, guest)
    if same:
        return None
    restarted = restarted_since(guest, parse_timestamp(str(read_at)), 0)
    if restarted.value is None:
        return "unproven", "restart_unread", f"whether it restarted in the soak is not known: {restarted.why}"
    if restarted.value:
        shown = restarted.why.replace("installation began", "proven")
        return "restarted_unexpectedly", "restarted_in_soak", f"it restarted in the soak: {shown}"
    return None


def _same_boot(before: Mapping[str, Any], guest: GuestFacts) -> bool:
    """Whether the boot time is that of the reading before; Windows moves it by seconds when its clock is set."""
    boot = boot_time_corrected(guest)
    if not before.get("boot_time") or before.get("skew_seconds") is None or boot.value is None:
        return False
    then = parse_timestamp(str(before["boot_time"])) - timedelta(seconds=float(before["skew_seconds"]))
    return abs((boot.value - then).total_seconds()) <= TOLERANCE_SECONDS


def _level(record: Record, guest: GuestFacts) -> tuple[str, str, str] | None:
    level = at_release(guest, release_of(record))
    if level.value is None:
        return "unproven", "level_unread", f"its level could not be read after the soak: {level.why}"
    return None if level.value else ("failed", "not_at_release_after_soak", f"after the soak {level.why}")


def _services(guest: GuestFacts, rules: SoakRules) -> tuple[str, str, str] | None:
    if not rules.services:
        return None
    if guest.services.value is None:
        why = guest.services.why
        return "unproven", "services_unread", f"its services could not be read after the soak: {why}"
    states = {str(name).lower(): str(state) for name, state in guest.services.value.items()}
    down = [name for name in rules.services if states.get(name.lower(), "").lower() != "running"]
    if not down:
        return None
    shown = ", ".join(f"{name} is {states.get(name.lower()) or 'not there'}" for name in down)
    return "failed", "service_down_after_soak", f"after the soak {shown}"


def _load(guest: GuestFacts, rules: SoakRules) -> tuple[str, str, str] | None:
    for limit, fact, unit, low in (
        (rules.most_cpu_percent, guest.cpu_percent, "% of its processors are busy", False),
        (rules.least_memory_kb, guest.free_memory_kb, "kB of memory are free", True),
    ):
        if limit is None:
            continue
        if fact.value is None:
            return "unproven", "load_unread", f"its load could not be read after the soak: {fact.why}"
        if (fact.value < limit) if low else (fact.value > limit):
            return "failed", "load_after_soak", f"after the soak {fact.value:g} {unit}, the limit is {limit:g}"
    return None
