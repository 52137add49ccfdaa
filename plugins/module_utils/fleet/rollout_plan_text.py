# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a plan for people: rings and waves with their reasons on one screen, and who is left out.

A small fleet is shown machine by machine, a large one by its waves; the plan file has every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..domain.rings import RingRules
from ..domain.timestamps import parse_timestamp
from .rollout_forecast import Forecast
from .rollout_hosts import some
from .rollout_plan import NO_LIMIT
from .rollout_report import columns, printable
from .rollout_rings import Knowledge, waves_in_order
from .rollout_state import Record, Rollout, Wave
from .rollout_windows import rules_of

MOST_ROWS = 40
"""Up to so many machines are shown one by one."""
NAMES = 3
NAMES_LEFT_OUT = 8

_HELD_BACK = {
    "availability_sets": "availability set",
    "zones": "zone of a service",
    "region_pairs": "paired region",
    "domain_controllers": "domain controller",
    "clusters": "cluster",
    "windows": "window",
}


@dataclass(frozen=True)
class Pace:
    """What was assumed: the most that a machine takes, and what a wave is expected to."""

    needed: timedelta
    expected: timedelta


def plan_lines(
    rollout: Rollout, seen: Forecast, known: Knowledge, pace: Pace, every_machine: bool = False
) -> list[str]:
    """The whole plan as lines of text."""
    lines = [_head(rollout), *_times(seen, pace), ""]
    for ring in rollout.rings:
        lines += _ring(rollout, ring.name, rules_of(ring), seen)
    if every_machine or len(rollout.scope) <= MOST_ROWS:
        lines += [*_machines(rollout), ""]
    else:
        lines += _left_out(rollout)
    remarks = remarks_on(rollout, seen, known)
    if remarks:
        lines += ["Please note", *(f"  - {printable(remark)}" for remark in remarks), ""]
    return lines


def _head(rollout: Rollout) -> str:
    waiting = [record for record in rollout.in_scope if record.wave is not None and not record.judged]
    waves = {record.wave for record in waiting}
    kbs = sorted({kb for record in waiting for kb in record.kbs})
    taken_up = f", taken up again ({rollout.resumed})" if rollout.resumed else ""
    budget = "budgets by ring" if rollout.budget == NO_LIMIT else f"error budget {rollout.budget}"
    return (
        f"Plan of rollout {rollout.rollout_id}{taken_up}: {len(waiting)} of {len(rollout.scope)} machines in "
        f"{len(waves)} waves; installs {', '.join(kbs) or 'nothing'}; {budget}"
    )


def _times(seen: Forecast, pace: Pace) -> list[str]:
    restarts = f"{len(seen.restarts)} machines ({some(seen.restarts, NAMES)})" if seen.restarts else "none"
    if seen.starts is None or seen.ends is None:
        return [f"Restarts by the release: {restarts}"]
    span = f"Expected from {_short(seen.starts)} to {_short(seen.ends)} UTC"
    assumed = f"{_length(pace.expected)} a wave, where one machine may take {_length(pace.needed)}"
    return [f"{span}: {assumed}. Restarts by the release: {restarts}"]


def _ring(rollout: Rollout, name: str, rules: RingRules, seen: Forecast) -> list[str]:
    scope = set(rollout.scope)
    rows = []
    machines = 0
    for wave in waves_in_order(rollout):
        if wave.ring != name:
            continue
        records = [rollout.machines[key] for key in wave.machines if key in scope]
        waiting = [record for record in records if not record.judged]
        if waiting:
            machines += len(waiting)
            rows.append(_wave(wave, waiting, seen))
    if not rows:
        return []
    header = ("WAVE", "MACHINES", "START, UTC", "HOSTS", "WHY")
    return [f"Ring {name}: {machines} machines{_rules(rules)}", *columns(header, rows), ""]


def _rules(rules: RingRules) -> str:
    parts = []
    if rules.error_budget is not None:
        parts.append(f"error budget {rules.error_budget}")
    if rules.wave_error_budget is not None:
        parts.append(f"{rules.wave_error_budget} a wave")
    if rules.soak:
        parts.append(f"then a soak of {_length(rules.soak)}")
    if rules.window is not None:
        parts.append(f"window {rules.window}")
    if rules.blackout_dates:
        parts.append(f"not on {', '.join(map(str, rules.blackout_dates))}")
    return f" ({'; '.join(parts)})" if parts else ""


def _wave(wave: Wave, waiting: Sequence[Record], seen: Forecast) -> tuple[str, ...]:
    why = [f"{count} kept back: {_HELD_BACK.get(rule, rule)}" for rule, count in wave.held_back.items()]
    if wave.started:
        why.append(f"begun {wave.started}")
    late = seen.late.get(wave.number)
    if late:
        why.append(f"{len(late)} cannot start with it ({some(list(late), 1)}: {next(iter(late.values()))})")
    start = _short(parse_timestamp(wave.expected)) if wave.expected else "no window opens"
    size = str(len(waiting)) if wave.size in (None, len(waiting)) else f"{len(waiting)} of at most {wave.size}"
    hosts = some([record.host for record in waiting], NAMES)
    return (str(wave.number), size, start, printable(hosts), printable("; ".join(why)))


def _machines(rollout: Rollout) -> list[str]:
    rows = [tuple(map(printable, row)) for row in describe_plan(rollout)]
    return columns(("MACHINE", "RING", "WAVE", "PLAN", "REASON"), rows)


def describe_plan(rollout: Rollout) -> list[tuple[str, str, str, str, str]]:
    """Rows for people: machine, ring, wave, what is to be installed or the verdict, why."""
    order = {wave.number: place for place, wave in enumerate(waves_in_order(rollout))}
    rows = []
    for key in sorted(rollout.scope, key=lambda item: order.get(rollout.machines[item].wave or 0, len(order))):
        record = rollout.machines[key]
        place = (record.host, record.ring or "-", str(record.wave or "-"))
        if record.judged:
            rows.append((*place, str(record.verdict), str(record.reason)))
        else:
            rows.append((*place, f"install {', '.join(record.kbs)}", _why(record)))
    return rows


def _why(record: Record) -> str:
    release = record.release or {}
    text = f"{release.get('kind', '').replace('_', '-')} of {release.get('date')} for {record.product}"
    if record.stage == "selected":
        text += "; its installation may be running and is joined"
    if record.earlier:
        text += f"; an earlier rollout left it {record.earlier['verdict']}, so hotpatch_retry decides on a second try"
    return text


def _left_out(rollout: Rollout) -> list[str]:
    """Who takes no part, by reason: named as far as there is room, never only counted."""
    by_reason: dict[tuple[str, str], list[Record]] = {}
    for record in rollout.in_scope:
        if record.judged and record.wave is None:
            by_reason.setdefault((str(record.verdict), str(record.reason_code)), []).append(record)
    if not by_reason:
        return []
    rows = []
    for (verdict, code), records in sorted(by_reason.items()):
        hosts = some([record.host for record in records], NAMES_LEFT_OUT)
        rows.append((str(len(records)), verdict, code, printable(hosts), printable(str(records[0].reason))))
    return ["Left out", *columns(("MACHINES", "VERDICT", "REASON", "HOSTS", "OF THE FIRST"), rows), ""]


def remarks_on(rollout: Rollout, seen: Forecast, known: Knowledge) -> list[str]:
    """What a plan does not know and how it took it, who is exposed, what was said of single machines."""
    waiting = [record for record in rollout.in_scope if record.wave is not None and not record.judged]
    remarks = [
        *_restarts(rollout, seen),
        *_exposure(waiting, seen),
        *_unknown_regions(waiting, known),
        *_unknown_roles(waiting, known),
    ]
    without = [item.host for item in waiting if item.availability_set and item.update_domain is None]
    if without:
        unknown = "no update domain is known"
        remarks.append(f"Of {some(without, NAMES)} {unknown}: nobody of the availability set goes with it.")
    remarks += [f"{record.host}: {note}." for record in rollout.in_scope for note in record.notes]
    return remarks


def _restarts(rollout: Rollout, seen: Forecast) -> list[str]:
    """What the word hotpatch_restart, or its lack, makes of a baseline month."""
    if not seen.restarts:
        return []
    who = f"{len(seen.restarts)} machines ({some(seen.restarts, NAMES)})"
    if rollout.restart_timeout:
        return [f"{who} are installed without a restart and then restarted, wave by wave (hotpatch_restart)."]
    return [f"{who} have a baseline before them, which is not installed without hotpatch_restart: true."]


def _exposure(waiting: Iterable[Record], seen: Forecast) -> list[str]:
    if not seen.exposed:
        return []
    exposed = [record for record in waiting if record.exposed_from]
    longest = max(exposed, key=lambda record: record.exposed_until or "9999")
    first = _short(parse_timestamp(longest.exposed_from or ""))
    until = f"{_short(parse_timestamp(longest.exposed_until))} UTC" if longest.exposed_until else "no turn in sight"
    who = f"Azure may patch {len(exposed)} machines by itself before their turn ({some(seen.exposed, NAMES)})"
    return [f"{who}; the longest exposed is {longest.host}, from {first} to {until}."]


def _unknown_regions(waiting: Sequence[Record], known: Knowledge) -> list[str]:
    regions = sorted({record.location for record in waiting if record.location})
    pairs = known.regions.pairs()
    remarks = []
    if len(regions) > 1 and any(region not in pairs for region in regions):
        unread = "; ".join(sorted(set(known.regions.unread.values()))) or "Azure's list does not hold all of them"
        remarks.append(f"Which regions are paired is not known ({unread}): no two of them share a wave.")
    by_number = [item.host for item in waiting if item.service and item.zone and " of subscription " in item.zone]
    if by_number:
        remarks.append(
            f"The physical zone of {some(by_number, NAMES)} is not known: zones are compared by number within their "
            "subscription, and those of different subscriptions count as different."
        )
    return remarks


def _unknown_roles(waiting: Sequence[Record], known: Knowledge) -> list[str]:
    if known.guests is None:
        named = any(record.domain or record.cluster for record in waiting)
        other = "beyond what the inventory says" if named else "unless the inventory says so"
        what = f"domain controllers and cluster nodes are not known {other}"
        return [f"Guests were not asked, so {what} (hotpatch_domain_controller_of, hotpatch_cluster)."]
    remarks = []
    silent = [record.host for record in waiting if record.role_silent]
    if silent:
        what = f"The guests of {some(silent, NAMES)} did not answer"
        remarks.append(f"{what}: they are not started unless they do, and tell then whether others wait for them.")
    unknown = [record for record in waiting if record.role_unknown]
    if unknown:
        hosts = some([record.host for record in unknown], NAMES)
        what = f"Whether {hosts} is a domain controller or a cluster node is not known ({unknown[0].role_unknown})"
        remarks.append(f"{what}: one at a time, and with none that is.")
    return remarks


def _short(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def _length(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes / 60
    return f"{hours:g} h" if hours < 48 else f"{hours / 24:.3g} days"
