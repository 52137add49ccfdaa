# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges by the audit log what a plan promises beyond order: spread, windows, blocked updates, budgets, true verdicts.

Like audit_checker it knows nothing of the collection: what it needs of a fleet and a plan it is told in its own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import audit_checker as check
from audit_checker import Line, key


@dataclass(frozen=True)
class Place:
    """Where a machine truly stands. ``zone`` is the building, "" for a machine that chose none; "" means none."""

    location: str = ""
    zone: str = ""
    availability_set: str = ""
    update_domain: int = 0
    service: str = ""
    domain: str = ""
    cluster: str = ""


@dataclass(frozen=True)
class Hours:
    """When a machine may be at work: from `start` to `end` o'clock of its own zone, on none of the dates."""

    start: time
    end: time
    zone: str = "UTC"
    not_on: tuple[date, ...] = ()

    def closes(self, moment: datetime) -> datetime | None:
        """When the hours that are open at this moment end; None where none are."""
        local = moment.astimezone(ZoneInfo(self.zone))
        for back in (0, 1):
            begin = datetime.combine(local.date() - timedelta(days=back), self.start, local.tzinfo)
            end = datetime.combine(begin.date(), self.end, local.tzinfo)
            end += timedelta(days=1) if self.end <= self.start else timedelta()
            dark = [datetime.combine(day, time(), local.tzinfo) for day in self.not_on]
            end = min([end, *(day for day in dark if day > local)])
            if begin <= local < end and local.date() not in self.not_on:
                return end
        return None


@dataclass(frozen=True)
class Purse:
    """A budget: of whom how many may end badly."""

    name: str
    machines: frozenset[str]
    most: int


def together(lines: Iterable[Line]) -> Iterator[tuple[Line, str, list[str]]]:
    """Each start of an installation of the rollout's, its machine, and the machines at work at that moment."""
    running: dict[str, str] = {}
    for line in lines:
        if line["kind"] != "operation" or line["operation"].lower() != "installpatches":
            continue
        if str(line.get("started_by", "User")).lower() == "platform":
            continue
        if line["event"] == "started":
            yield line, key(line["resource_id"]), list(running.values())
            running[line["activity_id"]] = key(line["resource_id"])
        else:
            running.pop(line["activity_id"], None)


def sets_broken(lines: Sequence[Line], places: Mapping[str, Place]) -> list[str]:
    """In an availability set one update domain at a time, and at most a fifth of its machines; in a small set one."""
    where = {key(machine): place for machine, place in places.items()}
    breaches = []
    for line, machine, others in together(lines):
        own = where[machine]
        if not own.availability_set:
            continue
        beside = [where[other] for other in others if where[other].availability_set == own.availability_set]
        size = sum(place.availability_set == own.availability_set for place in where.values())
        most = 1 if size < 10 else size // 5
        if len(beside) + 1 > most:
            breaches.append(check._tell(line, f"was number {len(beside) + 1} of a set of {size}"))
        elif any(place.update_domain != own.update_domain for place in beside):
            breaches.append(check._tell(line, "was started beside another update domain of its set"))
    return breaches


def zones_broken(lines: Sequence[Line], places: Mapping[str, Place]) -> list[str]:
    """Never two zones of one service; machines without a zone are in one of their own, by region."""
    return _apart(
        lines,
        places,
        lambda one, other: (
            bool(one.service)
            and one.service == other.service
            and (one.zone or one.location) != (other.zone or other.location)
        ),
        "another zone of its service",
    )


def pairs_broken(lines: Sequence[Line], places: Mapping[str, Place], pairs: Mapping[str, str]) -> list[str]:
    """Never both regions of a pair; a pair that only one side names is one."""
    return _apart(
        lines,
        places,
        lambda one, other: other.location == pairs.get(one.location) or one.location == pairs.get(other.location),
        "the other region of its pair",
    )


def roles_broken(lines: Sequence[Line], places: Mapping[str, Place]) -> list[str]:
    """Never two controllers of one domain, nor two nodes of one cluster."""
    same = _apart(lines, places, lambda one, other: bool(one.domain) and one.domain == other.domain, "its domain")
    return same + _apart(
        lines, places, lambda one, other: bool(one.cluster) and one.cluster == other.cluster, "its cluster"
    )


def _apart(lines: Sequence[Line], places: Mapping[str, Place], clash: Any, what: str) -> list[str]:
    where = {key(machine): place for machine, place in places.items()}
    return [
        check._tell(line, f"was started beside {other.rpartition('/')[2]}, of {what}")
        for line, machine, others in together(lines)
        for other in others
        if clash(where[machine], where[other])
    ]


def outside_hours(
    lines: Sequence[Line], hours: Mapping[str, Hours], needed: timedelta, tolerance: timedelta = timedelta()
) -> list[str]:
    """No install call came outside the machine's hours, nor so late that it could not be at its end before they close.

    :param tolerance: what may pass between the decision and the call.
    """
    known = {key(machine): value for machine, value in hours.items()}
    breaches = []
    for line in check.install_requests(lines):
        own, moment = known.get(check._machine(line)), check.when(line)
        if own is None:
            continue
        closes = own.closes(moment)
        if closes is None:
            breaches.append(check._tell(line, f"was started at {line['time']}, outside its hours"))
        elif moment + needed > closes + tolerance:
            breaches.append(check._tell(line, f"was started at {line['time']}, with its hours ending {closes}"))
    return breaches


def blocked_sent(lines: Sequence[Line], blocked: Iterable[str]) -> list[str]:
    """No accepted install call named a blocked KB, nor a class that it could come with."""
    never = {number.upper() for number in blocked}
    breaches = []
    for line in check.install_requests(lines):
        windows = (line.get("body") or {}).get("windowsParameters") or {}
        named = never & {number.upper() for number in windows.get("kbNumbersToInclude") or []}
        if named or (never and windows.get("classificationsToInclude")):
            breaches.append(check._tell(line, f"was sent {', '.join(sorted(named)) or 'a class'}, which is blocked"))
    return breaches


def bad_endings(lines: Sequence[Line]) -> dict[str, datetime]:
    """The machines whose installation (the rollout's) failed, or that restarted while it ran; and when that was."""
    at_work: dict[str, str] = {}
    found: dict[str, datetime] = {}
    for line in lines:
        machine = key(line["resource_id"]) if line.get("resource_id") else ""
        if line["kind"] == "restart" and machine in at_work.values():
            found.setdefault(machine, check.when(line))
        if line["kind"] != "operation" or line["operation"].lower() != "installpatches":
            continue
        if str(line.get("started_by", "User")).lower() == "platform":
            continue
        if line["event"] == "started":
            at_work[line["activity_id"]] = machine
        elif at_work.pop(line["activity_id"], None) and "Failed" in (line["status"], line.get("result_status")):
            found.setdefault(machine, check.when(line))
    return found


def overspent(lines: Sequence[Line], waves: Sequence[Iterable[str]], purses: Iterable[Purse]) -> list[str]:
    """No wave was begun once more machines of a purse had ended badly in the waves before than it allows."""
    number_of = {key(machine): number for number, wave in enumerate(waves) for machine in wave}
    bad = bad_endings(lines)
    given = list(purses)
    breaches = []
    for line in check.install_requests(lines):
        own = number_of.get(check._machine(line), 0)
        for purse in given:
            mine = {key(machine) for machine in purse.machines}
            before = [machine for machine in bad if machine in mine and number_of.get(machine, own) < own]
            if len(before) > purse.most:
                breaches.append(check._tell(line, f"was started after {len(before)} bad endings of {purse.name}"))
    return breaches


def wider_than(lines: Sequence[Line], machines: Iterable[str], most: int) -> list[str]:
    """Of these machines never more were at work at once."""
    mine = {key(machine) for machine in machines}
    return [
        check._tell(line, f"was number {1 + sum(other in mine for other in others)} at once, allowed are {most}")
        for line, machine, others in together(lines)
        if machine in mine and 1 + sum(other in mine for other in others) > most
    ]


def untrue(lines: Sequence[Line], verdicts: Mapping[str, str], truth: Mapping[str, Iterable[str]]) -> list[str]:
    """Whom the report calls patched has the update, by an accepted call, and ended well; nobody is left without word.

    :param verdicts: the report's, by ARM ID.
    :param truth: the updates that each machine has in the end, by ARM ID.
    """
    has = {key(machine): set(kbs) for machine, kbs in truth.items()}
    said = {key(machine): verdict for machine, verdict in verdicts.items()}
    bad, sent = bad_endings(lines), {}
    for line in check.install_requests(lines):
        windows = (line.get("body") or {}).get("windowsParameters") or {}
        sent[check._machine(line)] = set(windows.get("kbNumbersToInclude") or [])
    breaches = [f"{machine} has no verdict" for machine in has if not said.get(machine)]
    for machine, verdict in said.items():
        if verdict == "patched" and (machine not in sent or not sent[machine] or not sent[machine] <= has[machine]):
            breaches.append(f"{machine} is called patched, was sent {sent.get(machine)} and has {has[machine]}")
        if verdict in ("patched", "already_current", "claimed") and machine in bad:
            breaches.append(f"{machine} is called {verdict}, and ended badly at {bad[machine]}")
        if verdict in ("not_started", "skipped", "already_current") and machine in sent:
            breaches.append(f"{machine} is called {verdict}, and was sent {sent[machine]}")
    return breaches
