# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say before anything is sent when a rollout's waves would start, what would restart, and what Azure may do first.

A forecast is no promise: it takes every wave for as long as the user expects one to be, and nothing to go wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..domain.errors import InputError
from ..domain.gates import wave_start
from ..domain.machine import Machine
from ..domain.time_zones import find_zone
from ..domain.timestamps import parse_timestamp, to_iso
from ..domain.windows import OFF_PEAK, Window, WindowRules, parse_window
from .rollout_rings import waves_in_order
from .rollout_state import Record, Rollout
from .rollout_windows import Windows, rules_of

PATIENCE = timedelta(days=35)
"""How far the forecast looks for a window that opens."""


@dataclass(frozen=True)
class Forecast:
    """What a plan leads to.

    :param starts: when the first wave would start; None when there is none, or no window opens for it.
    :param ends: when the last one would be proven.
    :param late: hosts by number of wave that cannot be started with the rest of their wave, with the reason.
    :param restarts: hosts whose release restarts them.
    :param exposed: hosts that the platform may patch before their turn.
    """

    starts: datetime | None = None
    ends: datetime | None = None
    late: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    restarts: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()


def forecast(
    rollout: Rollout, machines: Mapping[str, Machine], now: datetime, needed: timedelta, expected: timedelta
) -> Forecast:
    """Work out the times of the waves that are still to be taken, and write them into the rollout.

    :param needed: what a machine takes at most; one that cannot finish so before its window closes is not started.
    :param expected: what a wave is expected to take.
    """
    windows = Windows(rollout)
    soaks = {ring.name: rules_of(ring).soak for ring in rollout.rings}
    late: dict[int, dict[str, str]] = {}
    first: datetime | None = None
    last: datetime | None = None
    moment, ring = now, ""
    scope = set(rollout.scope)
    for wave in waves_in_order(rollout):
        records = {key: rollout.machines[key] for key in wave.machines if key in scope}
        waiting = {key: record for key, record in records.items() if not record.judged}
        if not waiting:
            continue
        if ring and wave.ring != ring:
            moment += soaks.get(ring, timedelta())
        ring = wave.ring
        start = wave_start(moment, {key: windows.of(record) for key, record in waiting.items()}, needed, PATIENCE)
        if start.refused:
            late[wave.number] = {waiting[key].host: refused.reason for key, refused in start.refused.items()}
        wave.expected = to_iso(start.at) if start.at is not None else None
        if start.at is not None:
            first, moment = first or start.at, start.at + expected
            last = moment
    exposed = _expose(rollout, machines, now)
    restarts = tuple(record.host for record in _placed(rollout) if _restarts(record))
    return Forecast(first, last, late, restarts, exposed)


def _placed(rollout: Rollout) -> list[Record]:
    return [record for record in rollout.in_scope if record.wave is not None and not record.judged]


def _restarts(record: Record) -> bool:
    release = record.release or {}
    return release.get("kind") == "baseline" or not release.get("keeps_track", True)


def _expose(rollout: Rollout, machines: Mapping[str, Machine], now: datetime) -> tuple[str, ...]:
    """Write down from when to when each waiting machine is the platform's as well as ours.

    The platform patches in the off-peak hours of a machine's own time zone (see :mod:`..domain.windows`), some day
    within 30 of the release; whose time zone is not known may be reached from now on.
    """
    off_peak = parse_window(OFF_PEAK) or WindowRules()
    openings: dict[str, datetime] = {}
    found = []
    for record in _placed(rollout):
        machine = machines.get(record.key)
        record.exposed_from = record.exposed_until = None
        if machine is None or not patched_by_platform(machine):
            continue
        zone = record.time_zone or ""
        if zone not in openings:
            openings[zone] = _next_opening(off_peak, zone, now)
        expected = rollout.wave(record.wave or 1).expected
        if expected is not None and parse_timestamp(expected) <= openings[zone]:
            continue
        record.exposed_from, record.exposed_until = to_iso(openings[zone]), expected
        found.append(record.host)
    return tuple(found)


def patched_by_platform(machine: Machine) -> bool:
    """Whether Azure may patch the machine by itself; one whose settings were not read may be."""
    mode, bypass = machine.patch_settings.patch_mode, machine.patch_settings.bypass_platform_safety_checks
    if mode.is_unreadable:
        return True
    return str(mode.value).lower() == "automaticbyplatform" and bypass.value is not True


def _next_opening(rules: WindowRules, zone: str, now: datetime) -> datetime:
    try:
        return Window(rules, find_zone(zone)).next_opening(now) or now if zone else now
    except InputError:
        return now


def check_confirmation(machines: int, above: int, confirmed: object) -> None:
    """Refuse a rollout of more machines than *above* that nobody confirmed; InputError.

    :param machines: how many have a wave and would be started.
    :param confirmed: the number of machines that the user expects at most, or nothing.
    """
    if machines <= above:
        return
    option = "hotpatch_confirm"
    allowed = f"the number of machines that may be started, at least {machines}, for a rollout of more than {above}"
    step = f"look at the plan, then set {option} to {machines}; hotpatch_confirm_above moves the limit"
    if confirmed in (None, ""):
        raise InputError(option, "(not set)", allowed, step)
    try:
        number = int(str(confirmed))
    except ValueError:
        raise InputError(option, confirmed, allowed, step) from None
    if number < machines:
        raise InputError(option, confirmed, allowed, step)
