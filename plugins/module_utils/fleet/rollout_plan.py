# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the plan of a rollout: who takes part, in which wave, and who does not, with the reason.

A machine that Azure says cannot be patched now gets its verdict here and takes no place in a wave: a canary wave of one
stopped machine would try nothing out. What only the guest knows is decided when its wave starts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..domain.eligibility import check_overrides, eligibility
from ..domain.enrolment import enrolment
from ..domain.errors import InputError
from ..domain.machine import Machine, machine_from_dict, product
from ..domain.releases import CALENDAR, Calendar
from ..domain.resource_id import ResourceId
from ..domain.timestamps import to_iso
from ..domain.track import track
from ..domain.verdicts import COUNTS_AGAINST_BUDGET, preflight_verdict
from ..domain.waves import Share, cut_waves, parse_budget, parse_wave_sizes
from .rollout_releases import KB_OPTION, Releases
from .rollout_state import RUNNING, STOPPED, Record, Rollout, Wave, new_rollout_id

ID_OPTION = "hotpatch_resource_id"
STATE_OPTION = "hotpatch_state_dir"
BUDGET_OPTION = "hotpatch_error_budget"
STILL_RUNNING = "still_running"
_SHOWN = 5


@dataclass(frozen=True)
class Wishes:
    """What the user asked for, as given."""

    wave_sizes: Sequence[object]
    error_budget: object
    kb_numbers: Sequence[object] = ()
    overrides: Collection[str] = ()
    retry: bool = False
    calendar: Calendar = CALENDAR


def find_targets(variables: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the ARM ID by host, from the host variables ``hotpatch_resource_id`` or else ``id``.

    Raises InputError for hosts without one, for malformed ones, and for two hosts that name the same machine: it would
    be patched twice.
    """
    without = [host for host, values in variables.items() if not _given_id(values)]
    if without:
        raise InputError(
            ID_OPTION,
            f"(not set) for {_some(without)}",
            "the ARM ID of each host's machine",
            "set it, or leave these hosts out with hotpatch_hosts or --limit",
        )
    ids: dict[str, str] = {}
    owners: dict[str, str] = {}
    for host, values in variables.items():
        rid = ResourceId.parse(str(_given_id(values)), f"{ID_OPTION} of host {host}")
        first = owners.setdefault(rid.key, host)
        if first != host:
            raise InputError(f"{ID_OPTION} of host {host}", str(rid), f"another machine than that of host {first}")
        ids[host] = str(rid)
    return ids


def _given_id(values: Mapping[str, Any]) -> object:
    return values.get(ID_OPTION) or values.get("id")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


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
) -> Rollout:
    """Plan a new rollout, or take up the one that *previous* shows was interrupted.

    :param ids: ARM ID by host, in the order machines are to be taken.
    :param machines: what Azure says now, by lower-case ARM ID.
    :param previous: the last state of this folder; an interrupted one of the same release is resumed, and what an
        ended one sent without success is not sent again unless the user wishes a retry.
    Raises InputError for wishes that cannot be, and for a folder with an interrupted rollout of other machines.
    """
    sizes = parse_wave_sizes(wishes.wave_sizes)
    parse_budget(wishes.error_budget, BUDGET_OPTION)
    check_overrides("hotpatch_preflight_overrides", wishes.overrides)
    releases = Releases(now, wishes.kb_numbers, wishes.calendar)
    planned = {key: _fresh_record(host, rid, machines.get(key), releases, wishes) for host, rid, key in _keyed(ids)}
    _require_a_release(list(planned.values()))
    resumed = previous if previous is not None and _goes_on(previous, planned) else None
    rollout = resumed or Rollout(new_rollout_id(now), to_iso(now), to_iso(now), str(wishes.error_budget))
    if resumed is not None:
        resumed.resumed += 1
        resumed.budget = str(wishes.error_budget)
        # A stop is decided anew at the next gate: the budget may be another now.
        resumed.stop = None
    elif previous is not None and not wishes.retry:
        for key, record in planned.items():
            record.earlier = earlier_installation(record, previous.machines.get(key))
    _merge(rollout, planned)
    _place(rollout, sizes)
    return rollout


def _keyed(ids: Mapping[str, str]) -> list[tuple[str, str, str]]:
    return [(host, resource_id, resource_id.lower()) for host, resource_id in ids.items()]


def _fresh_record(host: str, resource_id: str, machine: Machine | None, releases: Releases, wishes: Wishes) -> Record:
    """A machine's record with the verdict that needs no word from the guest, if there is one."""
    record = Record(host=host, id=resource_id, name=resource_id.rpartition("/")[2])
    if machine is None:
        record.judge("not_started", "machine_unread", "Azure's answer does not hold the machine")
        return record
    record.product = product(machine).value
    release = releases.of(machine)
    if release.value is not None:
        record.release, record.kbs = release.value.to_dict(), releases.kbs_of(release.value)
    fit, enrolled = eligibility(machine, wishes.overrides), enrolment(machine, None)
    where = track(machine, enrolled, fit, None, release, wishes.calendar)
    verdict = preflight_verdict(machine, None, fit, enrolled, where, release)
    # The rest of what can stand against it is for the guest to say, when its wave starts.
    if verdict is not None and (verdict.name == "skipped" or verdict.reason_code == "machine_unread"):
        record.judge(verdict.name, verdict.reason_code, verdict.reason)
    elif release.value is None:
        record.judge("not_started", "release_unknown", release.why or "no release is known")
    return record


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


def _goes_on(previous: Rollout, planned: Mapping[str, Record]) -> bool:
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
    same = all(planned[key].kbs == previous.machines[key].kbs for key in shared if not planned[key].judged)
    if not same:
        # A month later: the interrupted rollout's release is no longer what anybody wants.
        previous.status = STOPPED
    return same


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
        if not known.judged and known.stage == "planned" and record.judged:
            known.judge(str(record.verdict), str(record.reason_code), str(record.reason))


def _place(rollout: Rollout, sizes: Sequence[Share]) -> None:
    """Give every machine that has neither verdict nor wave its wave, behind those there are."""
    waiting = [key for key in rollout.scope if not rollout.machines[key].judged and rollout.machines[key].wave is None]
    for keys in cut_waves(waiting, sizes):
        wave = Wave(len(rollout.waves) + 1, keys)
        rollout.waves.append(wave)
        for key in keys:
            rollout.machines[key].wave = wave.number


def open_waves(rollout: Rollout) -> list[list[str]]:
    """The host names still to be taken, wave by wave, in order; waves with nobody left are not in it."""
    wanted = set(rollout.scope)
    waves = []
    for wave in rollout.waves:
        records = [rollout.machines[key] for key in wave.machines if key in wanted]
        hosts = [record.host for record in records if not record.judged]
        if hosts:
            waves.append(hosts)
    return waves


def describe_plan(rollout: Rollout) -> list[tuple[str, str, str, str]]:
    """Rows for people: machine, wave, what is to be installed or the verdict, why."""
    rows = []
    for key in sorted(rollout.scope, key=lambda item: rollout.machines[item].wave or len(rollout.waves) + 1):
        record = rollout.machines[key]
        if record.judged:
            rows.append((record.host, str(record.wave or "-"), str(record.verdict), str(record.reason)))
        else:
            wanted = ", ".join(record.kbs)
            rows.append((record.host, str(record.wave), f"install {wanted}", _why(record)))
    return rows


def _why(record: Record) -> str:
    release = record.release or {}
    text = f"{release.get('kind', '').replace('_', '-')} of {release.get('date')} for {record.product}"
    if record.stage == "selected":
        text += "; its installation may be running and is joined"
    if record.earlier:
        text += f"; an earlier rollout left it {record.earlier['verdict']}, so hotpatch_retry decides on a second try"
    return text
