# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the plan of a rollout: who takes part, in which ring and wave, and who does not, with the reason.

A machine that Azure says cannot be patched now gets its verdict here and takes no place in a wave: a canary wave of one
stopped machine would try nothing out. What only the guest knows is decided when its wave starts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..domain.eligibility import check_overrides, eligibility
from ..domain.enrolment import enrolment
from ..domain.errors import InputError
from ..domain.kb import parse_kb
from ..domain.machine import Machine, machine_from_dict, product
from ..domain.releases import CALENDAR, Calendar
from ..domain.rings import RingRules, parse_ring, parse_rings
from ..domain.timestamps import to_iso
from ..domain.track import track
from ..domain.verdicts import COUNTS_AGAINST_BUDGET, preflight_verdict
from ..domain.waves import parse_budget
from .rollout_hosts import EXEMPT_OPTION, HostSays
from .rollout_plan_file import FOLLOW_OPTION, PlanFile, follow
from .rollout_releases import KB_OPTION, Releases
from .rollout_rings import NO_RING, Knowledge, check_ring_names, place_all, ring_of, stand, take_rings, waves_in_order
from .rollout_state import RUNNING, STOPPED, Record, Rollout, new_rollout_id
from .rollout_windows import Windows, ZoneUnknown

STATE_OPTION = "hotpatch_state_dir"
BUDGET_OPTION = "hotpatch_error_budget"
BLOCKED_OPTION = "hotpatch_blocked_kbs"
STILL_RUNNING = "still_running"
HELD_CODE = "customer_schedule_flag"
"""Reason code of what holding a machine sets."""
NO_LIMIT = "100%"
"""The budget of a rollout that leaves it to its rings."""


@dataclass(frozen=True)
class Wishes:
    """What the user asked for, as given.

    :param error_budget: the rollout's; with rings and without it each ring has one of its own, 0 where none is given.
    :param needed: what a machine takes at most, from its start to its proof.
    :param restart_timeout: seconds a machine is given to come back where restarts were asked for, else 0.
    :param follow: a plan to follow to the letter; its rings and budgets count, not those given here.
    """

    wave_sizes: Sequence[object]
    error_budget: object = None
    kb_numbers: Sequence[object] = ()
    overrides: Collection[str] = ()
    retry: bool = False
    calendar: Calendar = CALENDAR
    rings: object = None
    wave_error_budget: object = None
    soak: object = None
    blackout_dates: object = None
    spread: object = None
    blocked_kbs: Sequence[object] = ()
    needed: timedelta = timedelta(hours=2)
    restart_timeout: int = 0
    follow: PlanFile | None = None

    def parsed_rings(self) -> tuple[RingRules, ...]:
        """The rings; InputError for what cannot be."""
        if self.follow is not None:
            return tuple(parse_ring(ring, {}, f"ring {ring.get('name')}") for ring in self.follow.rings)
        own = self.rings not in (None, "", [])
        defaults: dict[str, object] = {
            "waves": self.wave_sizes,
            "wave_error_budget": self.wave_error_budget,
            "soak": self.soak,
            "blackout_dates": self.blackout_dates,
            "spread": self.spread,
        }
        if own and not self.has_own_budget:
            defaults["error_budget"] = "0"
        return parse_rings(self.rings, defaults)

    @property
    def has_own_budget(self) -> bool:
        """Whether the user gave the rollout as a whole a budget."""
        return self.error_budget not in (None, "")

    def rollout_budget(self) -> str:
        """The rollout's budget as text; InputError for what is none."""
        if self.follow is not None:
            return self.follow.budget
        if self.has_own_budget:
            parse_budget(self.error_budget, BUDGET_OPTION)
            return str(self.error_budget)
        return NO_LIMIT if self.rings else "0"


def machines_by_key(entries: Sequence[Mapping[str, Any]]) -> dict[str, Machine]:
    """The machines of machine_info's result by lower-case ARM ID; ValueError for anything else."""
    found = (machine_from_dict(entry) for entry in entries)
    return {machine.id.key: machine for machine in found}


def make_plan(
    ids: Mapping[str, str],
    machines: Mapping[str, Machine],
    wishes: Wishes,
    now: datetime,
    previous: Rollout | None = None,
    known: Knowledge | None = None,
) -> Rollout:
    """Plan a new rollout, or take up the one that *previous* shows was interrupted.

    :param ids: ARM ID by host, in the order machines are to be taken.
    :param machines: what Azure says now, by lower-case ARM ID.
    :param previous: the last state of this folder; an interrupted one of the same release is resumed, and what an
        ended one sent without success is not sent again unless the user wishes a retry.
    :param known: what inventory, guests and Azure's locations say.
    Raises InputError for wishes that cannot be, and for a folder with an interrupted rollout of other machines.
    """
    known = known or Knowledge()
    rollout = _draft(ids, machines, wishes, now, previous, known)
    if wishes.follow is not None:
        follow(rollout, wishes.follow, machines, known.inventory.names)
    elif rollout.plan_digest is not None:
        raise InputError(
            FOLLOW_OPTION,
            "false",
            f"true for the interrupted rollout {rollout.rollout_id}, which follows the plan {rollout.plan_digest}",
        )
    else:
        place_all(rollout, known, now, wishes.needed)
    return rollout


def _draft(
    ids: Mapping[str, str],
    machines: Mapping[str, Machine],
    wishes: Wishes,
    now: datetime,
    previous: Rollout | None,
    known: Knowledge,
) -> Rollout:
    """The plan up to the waves: machines that have none yet are left without."""
    budget, rings = wishes.rollout_budget(), wishes.parsed_rings()
    check_overrides("hotpatch_preflight_overrides", wishes.overrides)
    check_ring_names(rings, known.inventory)
    maker = _RecordMaker(wishes, rings, known, now)
    planned = {
        resource_id.lower(): maker.record(host, resource_id, machines.get(resource_id.lower()))
        for host, resource_id in ids.items()
    }
    _require_a_release(list(planned.values()))
    resumed = previous if previous is not None and _goes_on(previous, planned, maker.blocked) else None
    rollout = resumed or Rollout(new_rollout_id(now), to_iso(now), to_iso(now), budget)
    if resumed is not None:
        resumed.resumed += 1
        resumed.budget = budget
        # A stop is decided anew at the next gate: the budget may be another now.
        resumed.stop = None
    elif previous is not None and not wishes.retry:
        for key, record in planned.items():
            record.earlier = earlier_installation(record, previous.machines.get(key))
    rollout.restart_timeout = wishes.restart_timeout
    take_rings(rollout, rings)
    _merge(rollout, planned)
    _leave_out_unknown_zones(rollout)
    return rollout


class _RecordMaker:
    """Makes the record of each machine, with the verdict that needs no word from the guest, if there is one."""

    def __init__(self, wishes: Wishes, rings: Sequence[RingRules], known: Knowledge, now: datetime) -> None:
        self._overrides = wishes.overrides
        self._rings = rings
        self._known = known
        self._now = now
        self._releases = Releases(now, wishes.kb_numbers, wishes.calendar)
        self.blocked = frozenset(parse_kb(BLOCKED_OPTION, item) for item in wishes.blocked_kbs)

    def record(self, host: str, resource_id: str, machine: Machine | None) -> Record:
        record = Record(host=host, id=resource_id, name=resource_id.rpartition("/")[2])
        says = self._known.inventory.of(host)
        record.ring = ring_of(host, says, machine.tags if machine is not None else {}, self._rings)
        if machine is not None:
            stand(record, machine, self._known)
        self._judge_by_inventory(record, says)
        if machine is None:
            if not record.judged:
                record.judge("not_started", "machine_unread", "Azure's answer does not hold the machine")
            return record
        self._judge_by_azure(record, machine)
        return record

    def _judge_by_inventory(self, record: Record, says: HostSays) -> None:
        exemption = says.exemption
        if exemption is not None and exemption.holds(self._now):
            text = f"exempt until {exemption.until.isoformat()}: {exemption.reason}"
            record.judge("skipped", "exempt", text)
        elif exemption is not None:
            ended = f"its exemption ({exemption.reason}) ended {exemption.until.isoformat()}"
            record.notes.append(f"{ended}; remove {EXEMPT_OPTION}, or set a new date")
        if not record.judged and record.ring is None:
            record.judge("skipped", NO_RING, "no ring of hotpatch_rings names it")

    def _judge_by_azure(self, record: Record, machine: Machine) -> None:
        record.product = product(machine).value
        release = self._releases.of(machine)
        if release.value is not None:
            wanted = self._releases.kbs_of(release.value)
            record.release = release.value.to_dict()
            record.kbs = [kb for kb in wanted if kb not in self.blocked] or wanted
        if record.judged:
            return
        fit, enrolled = eligibility(machine, self._overrides), enrolment(machine, None)
        where = track(machine, enrolled, fit, None, release, self._releases.calendar)
        verdict = preflight_verdict(machine, None, fit, enrolled, where, release)
        # The rest of what can stand against it is for the guest to say, when its wave starts.
        if verdict is not None and (verdict.name == "skipped" or verdict.reason_code == "machine_unread"):
            record.judge(verdict.name, verdict.reason_code, verdict.reason)
        elif release.value is None:
            record.judge("not_started", "release_unknown", release.why or "no release is known")
        elif set(record.kbs) <= self.blocked:
            record.judge("skipped", "kb_blocked", f"{', '.join(record.kbs)} is blocked ({BLOCKED_OPTION})")


def _leave_out_unknown_zones(rollout: Rollout) -> None:
    """A machine whose window cannot be told is not started: nobody knows that it may be."""
    windows = Windows(rollout)
    for record in rollout.in_scope:
        if record.judged or record.wave is not None:
            continue
        try:
            windows.of(record)
        except ZoneUnknown as unknown:
            record.judge("not_started", "time_zone_unknown", str(unknown))


def _require_a_release(records: Sequence[Record]) -> None:
    """Refuse a rollout of nothing: where no release is known for any machine, the user has to name the KB."""
    unknown = [record for record in records if record.reason_code == "release_unknown"]
    if unknown and all(record.judged for record in records):
        raise InputError(
            KB_OPTION,
            "[]" if not any(record.kbs for record in records) else "(given)",
            "set where the calendar knows no current release",
            f"for {unknown[0].host}: {unknown[0].reason}",
        )


def _goes_on(previous: Rollout, planned: Mapping[str, Record], blocked: Collection[str]) -> bool:
    """Whether *previous* was interrupted and this run continues it."""
    if previous.status != RUNNING:
        return False
    shared = [key for key in planned if key in previous.machines]
    if not shared:
        raise InputError(
            STATE_OPTION,
            f"a folder with the interrupted rollout {previous.rollout_id} of {len(previous.machines)} other machines",
            "the folder of a rollout of these machines, or one without an interrupted rollout",
            "run that rollout to its end first, or name another folder",
        )
    same = all(_same_release(planned[key], previous.machines[key], blocked) for key in shared)
    if not same:
        # A month later: the interrupted rollout's release is no longer what anybody wants.
        previous.status = STOPPED
    return same


def _same_release(planned: Record, before: Record, blocked: Collection[str]) -> bool:
    """Whether a machine is to reach what it was to reach before; one left out by either plan says nothing.

    That a KB was blocked meanwhile does not end the rollout: the stage that sends it leaves it out.
    """
    if planned.judged or not before.kbs:
        return True
    return planned.kbs == [kb for kb in before.kbs if kb not in blocked]


def earlier_installation(record: Record, before: Record | None) -> dict[str, Any] | None:
    """What an ended rollout sent this machine for the same release without success, so that it is not sent again."""
    if before is None or before.kbs != record.kbs:
        return None
    if before.earlier is not None:
        return before.earlier
    bad = before.verdict in COUNTS_AGAINST_BUDGET and before.install is not None
    if not bad or before.reason_code == STILL_RUNNING:
        return None
    return {
        "verdict": before.verdict,
        "reason_code": before.reason_code,
        "reason": before.reason,
        "install": before.install,
    }


def _merge(rollout: Rollout, planned: Mapping[str, Record]) -> None:
    """Take the planned machines into the rollout; what it already knows of a machine stays."""
    rollout.scope = list(planned)
    for key, record in planned.items():
        known = rollout.machines.get(key)
        if known is None:
            rollout.machines[key] = record
            continue
        # The host's name in the inventory may have changed since; the machine is the same.
        known.host = record.host
        if known.held and record.reason_code == HELD_CODE:
            # The rollout holds it itself, and lets it go when its ring's turn comes.
            continue
        if not known.judged and known.stage == "planned" and record.judged:
            known.judge(str(record.verdict), str(record.reason_code), str(record.reason))
        if known.judged and known.wave is None and known.verdict in ("skipped", "not_started") and not record.judged:
            # Left out when the plan was made, and fit now: it is caught up like one that is new.
            rollout.machines[key] = record


def open_waves(rollout: Rollout) -> list[list[str]]:
    """The host names still to be taken, wave by wave, in order; waves with nobody left are not in it."""
    wanted = set(rollout.scope)
    waves = []
    for wave in waves_in_order(rollout):
        records = [rollout.machines[key] for key in wave.machines if key in wanted]
        hosts = [record.host for record in records if not record.judged]
        if hosts:
            waves.append(hosts)
    return waves
