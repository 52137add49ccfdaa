# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide between waves whether the rollout goes on: budgets, soaks, windows, and what somebody outside asks for.

A wave is approached (what does it wait for?), entered (is the earlier ring still well, who may start when?), and behind
it the gate is shut or stays open. A stop is remembered in the rollout's ``stop``: ``wave``, ``code``, ``reason``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..domain.budgets import Ended, Scope, first_spent
from ..domain.frozen import Key, Seen, proven
from ..domain.gates import Opening, wave_start
from ..domain.rings import RingRules
from ..domain.timestamps import parse_timestamp, to_iso
from ..domain.waves import parse_budget
from .rollout_plan import BUDGET_OPTION
from .rollout_state import Record, Ring, Rollout
from .rollout_wave import WaveRun
from .rollout_windows import Windows, ZoneUnknown, rules_of

RESTART_BUDGET_OPTION = "hotpatch_restart_budget"


@dataclass(frozen=True)
class Approach:
    """What the next wave waits for: a moment (None: nothing), in words, and the rings to be proven again then."""

    until: datetime | None = None
    waiting_for: str = ""
    soaking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """When the wave starts, and who may not: by host, with the reasons."""

    at: datetime | None
    refused: tuple[Record, ...] = field(default=())


def stop(rollout: Rollout, wave: int | None, code: str, reason: str) -> dict[str, Any]:
    """Let no further wave start; the first reason stays."""
    if rollout.stop is None:
        rollout.stop = {"wave": wave, "code": code, "reason": reason}
    return rollout.stop


def earlier_rings(rollout: Rollout, name: str) -> list[Ring]:
    """The rings before that one, in their order."""
    found = []
    for ring in rollout.rings:
        if ring.name == name:
            break
        found.append(ring)
    return found


def members(rollout: Rollout, ring: str) -> list[Record]:
    """The machines of that ring that have a wave, in this run's scope or not."""
    keys = [key for wave in rollout.waves_of(ring) for key in wave.machines]
    return [rollout.machines[key] for key in keys if key in rollout.machines]


def approach(rollout: Rollout, wave: int) -> Approach:
    """Say what the wave waits for before it is entered: the soaks of the rings before its own."""
    soaking = [ring for ring in earlier_rings(rollout, rollout.wave(wave).ring) if ring.soak_until and not ring.soaked]
    if not soaking:
        return Approach()
    last = max(soaking, key=lambda ring: parse_timestamp(str(ring.soak_until)))
    until = parse_timestamp(str(last.soak_until))
    return Approach(until, f"the soak of ring {last.name}", tuple(ring.name for ring in soaking))


def enter(wave: WaveRun, needed: timedelta, patience: timedelta) -> Entry:
    """Say when the wave starts by its machines' windows; those that may not be started get their verdict.

    :param needed: what a machine takes from its start to its proof.
    :param patience: how long windows are waited for.
    """
    made = Windows(wave.rollout)
    windows: dict[str, Opening | None] = {}
    refused = []
    for record in wave.open:
        if record.stage == "selected":
            # It has been started already, and is only joined and proven.
            windows[record.key] = None
            continue
        try:
            windows[record.key] = made.of(record)
        except ZoneUnknown as error:
            record.judge("not_started", "window_unknown", str(error))
            refused.append(record)
    start = wave_start(wave.now, windows, needed, patience)
    for key, why in start.refused.items():
        record = wave.rollout.machines[key]
        record.judge("not_started", why.code, why.reason)
        refused.append(record)
    return Entry(start.at, tuple(refused))


def begin(wave: WaveRun) -> Ring | None:
    """Note that the wave starts now; returns its ring when that starts with it."""
    now = to_iso(wave.now)
    ring = wave.rollout.ring(wave.rollout.wave(wave.number).ring)
    wave.rollout.wave(wave.number).started = wave.rollout.wave(wave.number).started or now
    if ring.started is not None:
        return None
    ring.started = now
    return ring


def proven_before(rollout: Rollout, ring: str, check_only: bool = False) -> Mapping[Key, frozenset[str]] | None:
    """What the rings before that one proved; None for the first, which tries out for the others.

    :param check_only: nothing was installed at all, so nothing can have been proven (check mode).
    """
    before = earlier_rings(rollout, ring)
    free = rollout.ring(ring).rules.get("frozen") is False
    if not before or check_only or free:
        return None
    return proven_of(rollout, [record for one in before for record in members(rollout, one.name)])


def proven_of(rollout: Rollout, records: Sequence[Record]) -> dict[Key, frozenset[str]]:
    """What these machines of a rollout proved, beside what the rollout that it catches up with did."""
    found = proven(_seen(record) for record in records)
    for product, track, kbs in rollout.proven:
        found[(product, track)] = found.get((product, track), frozenset()) | frozenset(kbs)
    return found


def _seen(record: Record) -> Seen:
    kbs = record.kbs
    if record.verdict == "already_current":
        # The guest shows the release's own level; of other KBs nothing was read.
        kbs = [str(record.release["kb"])] if record.release else []
    return Seen(record.product, record.track, record.verdict, kbs)


def ended(record: Record) -> Ended:
    """How a machine ended, as far as budgets care."""
    return Ended(record.host, record.verdict, record.reason_code, any(record.hooks_failed.values()))


def scopes(rollout: Rollout, wave: int | None, restart_budget: object = None) -> list[Scope]:
    """The budgets that count after a wave: its own, its ring's, the brake's, the rollout's.

    Counted are all machines of the run that have a wave; those that the plan left out neither count nor make the
    percentage larger. After a soak (*wave* None) every ring's is asked.
    """
    limit = parse_budget(restart_budget, RESTART_BUDGET_OPTION) if restart_budget not in (None, "") else None
    placed = [record for record in rollout.in_scope if record.wave is not None]
    found = []
    names = [ring.name for ring in rollout.rings]
    if wave is not None:
        names = [rollout.wave(wave).ring]
        own = [ended(record) for record in placed if record.wave == wave]
        found.append(Scope("wave", f"wave {wave}", _rules(rollout, names[0]).wave_error_budget, own))
    for name in names:
        inside = [ended(record) for record in placed if rollout.wave(record.wave or 0).ring == name]
        found.append(Scope("restarts", f"ring {name}", limit, inside))
        found.append(Scope("ring", f"ring {name}", _rules(rollout, name).error_budget, inside))
    everybody = [ended(record) for record in placed]
    found.append(Scope("rollout", "", parse_budget(rollout.budget, BUDGET_OPTION), everybody))
    return found


def _rules(rollout: Rollout, name: str) -> RingRules:
    return rules_of(rollout.ring(name))


def gate(wave: WaveRun, trouble: str, restart_budget: object = None) -> dict[str, Any] | None:
    """Why no further wave may start, or None; remembered as the rollout's ``stop``."""
    rollout = wave.rollout
    if trouble and rollout.stop is None:
        stop(rollout, wave.number, "wave_broke", trouble)
    close_ring(rollout, wave.number, wave.now)
    spend(rollout, wave.number, wave.number, restart_budget)
    return rollout.stop


def spend(rollout: Rollout, at_wave: int, counted_wave: int | None, restart_budget: object = None) -> None:
    """Stop the rollout where a budget is spent."""
    spent = first_spent(scopes(rollout, counted_wave, restart_budget))
    if spent is not None:
        code = "hotpatch_brake" if spent.scope == "restarts" else "error_budget"
        when = f"after wave {at_wave}" if counted_wave is not None else f"in the soak before wave {at_wave}"
        stop(rollout, at_wave, code, f"{when}: {spent.reason}")


def close_ring(rollout: Rollout, wave: int, now: datetime) -> Ring | None:
    """Note that the wave's ring has ended, where it has, and until when it soaks; returns the ring then."""
    ring = rollout.ring(rollout.wave(wave).ring)
    if ring.finished is not None or not all(record.judged for record in members(rollout, ring.name)):
        return None
    ring.finished = to_iso(now)
    soak = rules_of(ring).soak
    if soak:
        ring.soak_until = to_iso(now + soak)
    else:
        ring.soaked = ring.finished
    return ring


def steered(rollout: Rollout, wave: int | None, control: Mapping[str, Any]) -> None:
    """Stop the rollout where the task that waited says that somebody aborted it, or broke."""
    if control.get("failed"):
        reason = f"waiting for the next wave broke: {control.get('msg') or 'no reason given'}"
        stop(rollout, wave, str(control.get("stop_code") or "wait_broke"), reason)
    elif control.get("word") == "abort":
        stop(rollout, wave, "aborted", f"the rollout was aborted: {control.get('why')}")


def blocked_kbs(given: Sequence[str], control: Mapping[str, Any]) -> dict[str, str]:
    """All blocked KBs with where that was said: the user's variable and the places outside."""
    return {**dict.fromkeys(given, "hotpatch_blocked_kbs"), **dict(control.get("blocked") or {})}
