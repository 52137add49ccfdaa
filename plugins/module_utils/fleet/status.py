# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a whole fleet stands: every machine's track, who needs a person and why, since when; reads only.

Azure is read by Resource Graph, a thousand machines a request. Guests are read by whoever calls (the action) and come
as plain JSON; without them nothing is ever on track, only unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..domain.eligibility import availability, check_overrides
from ..domain.enrolment import enrolment
from ..domain.errors import InputError
from ..domain.facts import Fact
from ..domain.fleet_scope import named, reconcile
from ..domain.graph import GRAPH_LAG_SECONDS
from ..domain.graph_machine import UNSEEN, GraphMachine, ring_of
from ..domain.guest import GuestFacts, guest_from_dict
from ..domain.machine import Machine, product
from ..domain.needs import NEXT_STEPS, Need, check_codes, needs_of, patched_by
from ..domain.patch_settings import Wanted, difference, refusals, wanted_from
from ..domain.products import Product
from ..domain.reasons import texts
from ..domain.releases import Release
from ..domain.resource_id import ResourceId
from ..domain.timestamps import to_iso
from ..domain.track import track
from . import info_scope, status_table
from .calendar import load_calendar
from .collector import collector_paused
from .context import Connect, connect, default_subscription, drive, state_folder
from .guard import Guard
from .lock import LockHeld
from .machine_inventory import FleetReading
from .progress import Progress
from .results import Entry, fit, size_of
from .rollout_releases import Releases
from .rollout_state import StateError
from .status_memory import StatusMemory, load_memory, own_activities, save_memory

PARTS = ("assessments", "installations")
NO_RING = "none"
MOST_BYTES = 400_000
"""Of the entries of machines that need a person: AWX cuts a result at 700 kB, and Ansible copies every value of one a
dozen times. An entry has 0.4 to 1.1 kB."""


@dataclass(frozen=True)
class _Judge:
    """What a machine is held against, the same for all."""

    guests: Mapping[str, GuestFacts]
    names: Mapping[str, str]
    rings: Mapping[str, Any]
    ring_tag: str
    releases: Releases
    wanted: Wanted | None
    overrides: frozenset[str]
    own: frozenset[str]
    memory: StatusMemory
    read_at: datetime
    current: dict[Product, Fact[Release]] = field(default_factory=dict)

    def entry(self, found: GraphMachine) -> Entry:
        """The machine's standing as plain JSON."""
        machine, key = found.machine, found.key
        guest = self.guests.get(key)
        fit_, power = found.eligibility(self.overrides), availability(machine)
        enrolled = enrolment(machine, guest, self.overrides)
        where = track(machine, enrolled, fit_, guest, self._release_of(machine), self.releases.calendar)
        drift = difference(machine.patch_settings, self.wanted) if self.wanted is not None else {}
        by = patched_by(found.installation, self.own)
        # Where Azure would refuse the wanted settings, their absence is no drift: the machine is not what was thought.
        refused = (
            bool(drift) and self.wanted is not None and bool(refusals(machine, self.wanted, self.overrides | UNSEEN))
        )
        counted = {} if refused else drift
        needs = needs_of(found, guest, power=power, fit=fit_, enrolled=enrolled, where=where, drift=counted, by=by)
        entry = self._entry(machine.id, machine.location, ring_of(machine.tags, self.ring_tag), needs)
        entry.update(track=where.name, power_state=machine.power_state.value, patched_by=by)
        entry["track_reason"] = texts(where.reasons)
        if drift:
            since = self.memory.since(key, "drift", drift, self.read_at)
            entry["drift"] = {name: {**item, "since": since[name]} for name, item in drift.items()}
        else:
            self.memory.since(key, "drift", (), self.read_at)
        return entry

    def _release_of(self, machine: Machine) -> Fact[Release]:
        """The machine's release; the calendar is asked once for each product."""
        known = product(machine).value
        if known is None:
            return self.releases.of(machine)
        if known not in self.current:
            self.current[known] = self.releases.of(machine)
        return self.current[known]

    def unshown(self, machine: ResourceId) -> Entry:
        """The standing of a machine that Resource Graph does not show."""
        needs = [Need("missing", "Resource Graph does not show it")]
        entry = self._entry(machine, "", None, needs)
        return {**entry, "track": "unknown", "power_state": None, "patched_by": None, "track_reason": needs[0].text}

    def _entry(self, machine: ResourceId, location: str, tagged: str | None, needs: Sequence[Need]) -> Entry:
        since = self.memory.since(machine.key, "needs", [need.code for need in needs], self.read_at)
        told = [
            {"code": need.code, "text": need.text, "since": since[need.code], "next_step": need.next_step}
            for need in needs
        ]
        host = self.names.get(machine.key, machine.name)
        return {
            "host": host,
            "id": str(machine),
            "location": location,
            "ring": str(self.rings.get(host) or tagged or NO_RING),
            "needs": told,
        }


def run(
    params: Mapping[str, Any],
    clock: Clock,
    progress: Progress,
    environ: Mapping[str, str],
    guard: Guard,
    *,
    check_mode: bool = False,
    diff: bool = False,
    connect: Connect = connect,
) -> dict[str, Any]:
    """Read the machines that the parameters name or hold, and judge each.

    Raises InputError, ClockError, AzureFailure, StateError, LockHeld and OSError for what stops the whole run.
    """
    fail_on = check_codes("fail_on", params["fail_on"])
    names = names_of(params.get("hosts"))
    are_named = params.get("hosts") is not None
    targets = list(names)
    if are_named and not targets:
        raise InputError("hosts", {}, "a dictionary of at least one host and its machine's ARM ID")
    scope = info_scope.scope_for(params, targets, "" if are_named else default_subscription(params, environ))
    awaited = info_scope.expected_of(params)
    overrides = check_overrides("preflight_overrides", params["preflight_overrides"])
    wanted = wanted_from(params["expect_settings"]) if params.get("expect_settings") else None
    calendar = load_calendar(params)
    folder = state_folder(params, environ)
    memory = load_memory(folder)
    guests = {key.lower(): guest_from_dict(guest) for key, guest in (params.get("guests") or {}).items()}

    async def main() -> dict[str, Any]:
        begun = clock.monotonic()
        async with connect(params, environ, clock) as connection:
            reading = await info_scope.read_by_graph(connection, scope, targets, clock, PARTS)
            warnings = [*connection.warnings, *calendar.warnings, *reading.warnings]
        judge = _Judge(
            guests=guests,
            names={machine.key: host for machine, host in names.items()},
            rings=params.get("rings") or {},
            ring_tag=str(params["ring_tag"]),
            releases=Releases(reading.read_at, params["kb_numbers"], calendar.calendar),
            wanted=wanted,
            overrides=overrides,
            own=own_activities(folder),
            memory=memory,
            read_at=reading.read_at,
        )
        machines = [found.machine.id for found in reading.machines]
        entries = _entries(judge, reading, targets)
        reconciled = reconcile(awaited, machines)
        if reconciled.sentence:
            warnings.append(reconciled.sentence)
        result = summarize(entries, fail_on, reconciled.missing)
        result.update(
            read_at=to_iso(reading.read_at),
            may_lag_seconds=GRAPH_LAG_SECONDS,
            requests=reading.requests,
            guests={"asked": len(guests), "answered": sum(guest.reachable for guest in guests.values())},
            duration=round(clock.monotonic() - begun, 3),
        )
        result["table"] = status_table.lines(result)
        shown, result["left_out"] = _shown(entries, str(params["details"]))
        result["machines"] = shown
        return {**result, "warnings": warnings} if warnings else result

    with collector_paused():
        result = drive(main, guard)
    return result if check_mode else _remembered(result, folder, memory, clock)


def names_of(hosts: Any) -> dict[ResourceId, str]:
    """Return host names by machine, the first where two hosts mean the same one; InputError for what is no ID."""
    found: dict[ResourceId, str] = {}
    for host, text in (hosts or {}).items():
        found.setdefault(ResourceId.parse(text, f"hosts.{host}"), str(host))
    return found


def _remembered(result: dict[str, Any], folder: Path, memory: StatusMemory, clock: Clock) -> dict[str, Any]:
    """Write down what was seen; that it cannot be is no reason not to tell it."""
    try:
        save_memory(folder, memory, clock.now())
    except (StateError, LockHeld, OSError) as error:
        warning = f"What was seen is not remembered, so the next look begins anew: {error}"
        return {**result, "warnings": [*result.get("warnings", ()), warning]}
    return result


def _entries(judge: _Judge, reading: FleetReading, targets: Sequence[ResourceId]) -> list[Entry]:
    """A standing a machine, in the order named; what is read is dropped as it is judged."""
    entries = {}
    while reading.machines:
        found = reading.machines.pop()
        entries[found.key] = judge.entry(found)
    if not targets:
        return [entries[key] for key in reversed(entries)]
    return [entries[item.key] if item.key in entries else judge.unshown(item) for item in targets]


def summarize(entries: Sequence[Entry], fail_on: frozenset[str], missing: Sequence[str] = ()) -> dict[str, Any]:
    """Return counts, who needs a person, and the sentence that fails the run ("" when all is well).

    :param missing: expected machines that are not there, by name; they count as the need ``missing``.
    """
    needs = Counter(need["code"] for entry in entries for need in entry["needs"])
    needs["missing"] += len(missing)
    alarming = [str(entry["host"]) for entry in entries if any(need["code"] in fail_on for need in entry["needs"])]
    alarming += missing if "missing" in fail_on else []
    failure = ""
    if alarming:
        said = ", ".join(f"{number} {code}" for code, number in needs.items() if code in fail_on and number)
        total = len(entries) + len(missing)
        failure = f"{len(alarming)} of {total} machines need a person ({said}): {named(alarming)}."
    well = f"{len(entries)} machines, none of which needs a person for {', '.join(sorted(fail_on)) or 'anything'}."
    return {
        "changed": False,
        "machines": list(entries),
        "missing": list(missing),
        "counts": {
            "machines": len(entries),
            "track": dict(Counter(entry["track"] for entry in entries)),
            "ring": _by(entries, "ring"),
            "region": _by(entries, "location"),
            "needs": {code: number for code, number in needs.items() if number},
        },
        "failure": failure,
        "msg": failure or well,
    }


def _shown(entries: Sequence[Entry], details: str) -> tuple[list[Entry], int]:
    """The entries that are returned: all, those of machines that need a person, or none; how many found no room."""
    if details == "none":
        return [], 0
    if details == "all":
        return [fit(entry) for entry in entries], 0
    order = list(NEXT_STEPS)
    needy = [entry for entry in entries if entry["needs"]]
    # The sort is stable: machines of the same need stay in the order named.
    needy.sort(key=lambda entry: order.index(entry["needs"][0]["code"]))
    kept = list(_up_to(MOST_BYTES, (fit(entry) for entry in needy)))
    return kept, len(needy) - len(kept)


def _up_to(most: int, entries: Iterable[Entry]) -> Iterator[Entry]:
    """The first entries, as many as have so many bytes together."""
    for entry in entries:
        most -= size_of(entry)
        if most < 0:
            return
        yield entry


def _by(entries: Sequence[Entry], name: str) -> dict[str, dict[str, int]]:
    """Machines by value and track."""
    found: dict[str, Counter[str]] = {}
    for entry in entries:
        found.setdefault(str(entry[name] or "unknown"), Counter())[str(entry["track"])] += 1
    return {value: dict(found[value]) for value in sorted(found)}
