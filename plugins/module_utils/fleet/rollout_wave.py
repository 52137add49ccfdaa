# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take one wave through its stages: who may start, what is installed, what became of it, whether the rollout goes on.

The stages only decide and remember; Azure and the guests are asked by the tasks between them. Each stage is handed
what those tasks returned, also when they failed: a machine whose stage broke ends with that as its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Optional

from ..domain.assessment import Assessment
from ..domain.eligibility import eligibility
from ..domain.enrolment import enrolment
from ..domain.errors import InputError
from ..domain.facts import Fact
from ..domain.guest import GuestFacts
from ..domain.joining import JournalEntry
from ..domain.machine import Machine
from ..domain.proof import Proof, prove
from ..domain.releases import CALENDAR, Calendar, Release, release_from_dict
from ..domain.selection import apply, make_selection
from ..domain.timestamps import parse_timestamp, to_iso
from ..domain.track import track
from ..domain.verdicts import COUNTS_AGAINST_BUDGET, Verdict, final_verdict, preflight_verdict
from ..domain.waves import allows, parse_budget
from .rollout_entries import azure_outcome, brief, offers_of
from .rollout_plan import BUDGET_OPTION, STILL_RUNNING
from .rollout_state import Record, Rollout


@dataclass(frozen=True)
class Sent:
    """What the journal says of the newest installation on a machine: the entry, and the KBs it installed."""

    entry: JournalEntry
    kbs: tuple[str, ...] = ()


Journal = Callable[[str], Optional[Sent]]  # noqa: UP045 - ansible-test's pylint refuses "|" here
NOT_SENT = frozenset({"not_started", "skipped"})


@dataclass
class WaveRun:
    """One wave of a rollout at work.

    :param records: the wave's machines that this run takes, in order.
    :param journal: tells the newest installation that was sent to a machine (lower-case ARM ID), of any rollout.
    :param proof: ``guest`` or ``azure`` (the user takes Azure's word).
    """

    rollout: Rollout
    number: int
    records: list[Record]
    now: datetime
    journal: Journal
    proof: Literal["guest", "azure"] = "guest"
    overrides: Collection[str] = ()
    calendar: Calendar = CALENDAR

    def sent(self, record: Record) -> Sent | None:
        """What this rollout sent the machine, if anything: never before it had been selected."""
        found = self.journal(record.key) if record.stage == "selected" and record.selected_at else None
        if found is None or found.entry.intent_time < parse_timestamp(str(record.selected_at)):
            return None
        return found

    @property
    def open(self) -> list[Record]:
        return [record for record in self.records if not record.judged]


@dataclass
class Preflight:
    """Who goes on: ``start`` may be sent an installation, ``join`` has one, ``done`` has one that ended. By host."""

    start: list[str] = field(default_factory=list)
    join: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)


def open_wave(
    rollout: Rollout,
    hosts: Sequence[str],
    now: datetime,
    journal: Journal,
    proof: Literal["guest", "azure"] = "guest",
    overrides: Collection[str] = (),
    calendar: Calendar = CALENDAR,
) -> WaveRun:
    """Find the wave that this batch of hosts is.

    The number is the first host's; a host of another wave or of none is left alone, whatever Ansible's patterns made
    of the names: nothing is ever sent to a machine outside its turn. Raises InputError when no host is of the plan.
    """
    records = [record for record in rollout.records(hosts) if record.wave is not None and record.key in rollout.scope]
    if not records:
        raise InputError("hosts", ", ".join(hosts), "hosts of the plan", "run winfleet.hotpatch.rollout as it is")
    number = records[0].wave or 0
    own = [record for record in records if record.wave == number]
    return WaveRun(rollout, number, own, now, journal, proof, overrides, calendar)


def release_of(record: Record) -> Fact[Release]:
    """The release this machine is to reach, as planned."""
    return Fact.of(release_from_dict(record.release)) if record.release else Fact.unreadable("no release was planned")


def preflight(wave: WaveRun, machines: Mapping[str, Machine], guests: Mapping[str, GuestFacts]) -> Preflight:
    """Judge who is not started, and say who goes on.

    :param machines: Azure's word of this wave, by lower-case ARM ID.
    :param guests: this run's readings by host; empty where the user takes Azure's word.
    """
    found = Preflight()
    started = wave.rollout.wave(wave.number)
    started.started = started.started or to_iso(wave.now)
    for record in wave.open:
        guest = guests.get(record.host)
        record.before = brief(guest) or record.before
        sent = wave.sent(record)
        machine = machines.get(record.key)
        if sent is not None and sent.entry.finished is not None:
            record.install = record.install or finished_entry(record, sent, machine)
            found.done.append(record.host)
        elif machine is None:
            _judge_unseen(record, sent)
        else:
            _preflight_one(wave, record, machine, guest, sent, found)
    return found


def _judge_unseen(record: Record, sent: Sent | None) -> None:
    if sent is None:
        record.judge("not_started", "machine_unread", "Azure's answer does not hold the machine")
    else:
        record.judge("unproven", "machine_unread", "an installation was sent, and now Azure does not show the machine")


def _preflight_one(
    wave: WaveRun,
    record: Record,
    machine: Machine,
    guest: GuestFacts | None,
    sent: Sent | None,
    found: Preflight,
) -> None:
    release = release_of(record)
    fit, enrolled = eligibility(machine, wave.overrides), enrolment(machine, guest, wave.overrides)
    where = track(machine, enrolled, fit, guest, release, wave.calendar)
    record.track = where.name
    verdict = preflight_verdict(machine, guest, fit, enrolled, where, release)
    blocked = verdict is not None and verdict.name != "already_current"
    if sent is not None and (sent.entry.activity_id is not None or not blocked):
        # Ours is under way: whatever the guest shows meanwhile is its doing, so it is joined and then proven.
        found.join.append(record.host)
    elif sent is not None and verdict is not None:
        reason = f"whether an installation was sent is not known, and it may not be sent now: {verdict.reason}"
        record.judge("unproven", verdict.reason_code, reason)
    elif verdict is not None:
        reason = verdict.reason
        if record.earlier and verdict.name == "already_current":
            # It is current now; what was wrong with it then stays in sight.
            reason += f"; an earlier rollout left it {record.earlier['verdict']} ({record.earlier['reason']})"
        record.judge(verdict.name, verdict.reason_code, reason)
    elif record.earlier:
        _carry(record, record.earlier)
    else:
        # A run that died before it sent anything leaves "selected" behind; this run chooses anew.
        record.stage = "planned"
        found.start.append(record.host)


def _carry(record: Record, earlier: Mapping[str, Any]) -> None:
    """Keep the verdict of an installation that an earlier rollout sent: the same thing is not done twice unasked."""
    record.install = earlier["install"]
    reason = f"not tried again (hotpatch_retry is false); the earlier installation: {earlier['reason']}"
    record.judge(str(earlier["verdict"]), str(earlier["reason_code"]), reason)


def finished_entry(record: Record, sent: Sent, machine: Machine | None) -> dict[str, Any]:
    """Rebuild the result of an installation that ended while nobody was there to judge it.

    Its start is Azure's where the instance view still shows that activity, else our own note of sending it, which is
    a little earlier and so errs towards "restarted".
    """
    entry = sent.entry
    view = machine.installation if machine is not None else None
    ours = view is not None and (view.activity_id or "").lower() == (entry.activity_id or "-").lower()
    start = view.start_time if ours and view is not None and view.start_time is not None else entry.intent_time
    ended = f"the installation of an interrupted run ended {entry.finished}"
    if (entry.finished or "").lower() != "succeeded":
        outcome, reason = "failed", ended
    elif set(record.kbs) <= set(sent.kbs):
        outcome, reason = "claimed", f"{ended}, with {', '.join(record.kbs)} installed"
    else:
        missing = ", ".join(kb for kb in record.kbs if kb not in sent.kbs)
        outcome, reason = "withheld", f"{ended}, without {missing}"
    return {
        "id": record.id,
        "name": record.name,
        "outcome": outcome,
        "reason": reason,
        "status": entry.finished,
        "installation_activity_id": entry.activity_id,
        "started_by": "us",
        "start_time": to_iso(start),
    }


@dataclass
class Choice:
    """What is installed: hosts to send to, the KBs of all of them together, and all hosts to be proven."""

    install: list[str] = field(default_factory=list)
    prove: list[str] = field(default_factory=list)
    kbs: list[str] = field(default_factory=list)


def select(
    wave: WaveRun,
    going: Preflight,
    assessments: Mapping[str, Mapping[str, Any]],
    trouble: str,
    exclude_restarting: bool,
) -> Choice:
    """Choose what each machine is sent: the planned KBs that it is offered, and nothing else.

    :param assessments: entries of patch_assessment with ``details: all``, by lower-case ARM ID.
    :param trouble: why the assessment task as a whole broke, or empty.
    """
    choice = Choice()
    for record in wave.open:
        if record.host in going.start:
            kbs = _choose(record, assessments.get(record.key), trouble, exclude_restarting)
            if kbs:
                # From this moment on, its installation may be sent; what is written now is what a later run finds.
                record.stage, record.kbs, record.selected_at = "selected", kbs, to_iso(wave.now)
        if record.judged or record.stage != "selected":
            continue
        choice.prove.append(record.host)
        if record.host not in going.done:
            choice.install.append(record.host)
            choice.kbs += [kb for kb in record.kbs if kb not in choice.kbs]
    return choice


def _choose(record: Record, entry: Mapping[str, Any] | None, trouble: str, exclude_restarting: bool) -> list[str]:
    """The KBs to send, or the verdict why none."""
    if entry is None or entry.get("outcome") == "failed" or "updates" not in entry:
        why = str((entry or {}).get("reason") or trouble or "Azure's answer does not hold the machine")
        record.judge("not_started", "not_assessed", f"it could not be assessed: {why}")
        return []
    offered = offers_of(entry["updates"])
    wanted = make_selection(kb_include=record.kbs, exclude_kbs_requiring_reboot=exclude_restarting)
    taken, filtered = apply(wanted, Assessment("Succeeded", None, None, None, None, None, tuple(offered), None))
    if taken:
        return [kb for kb in record.kbs if kb in {patch.kb for patch in taken}]
    kept = [(patch, reasons) for patch, reasons in filtered if patch.kb in record.kbs]
    if not kept:
        names = ", ".join(record.kbs)
        record.judge("not_offered", "not_in_assessment", f"Azure does not offer {names} to it")
        return []
    patch, reasons = kept[0]
    record.judge(
        "withheld",
        reasons[0],
        f"{patch.kb} is offered with rebootBehavior {patch.reboot_behavior}, which may restart it",
    )
    return []


def judge(
    wave: WaveRun,
    installations: Mapping[str, Mapping[str, Any]],
    trouble: str,
    machines: Mapping[str, Machine],
    guests: Mapping[str, GuestFacts],
) -> None:
    """Give every machine of the wave that has none its verdict.

    :param installations: entries of patch_installation by lower-case ARM ID.
    :param trouble: why the wave as a whole broke, or empty.
    :param guests: readings after the installations, by host.
    """
    for record in wave.open:
        if record.stage != "selected":
            record.judge("not_started", "wave_broke", trouble or "its wave ended before it was its turn")
            continue
        record.install = dict(installations.get(record.key) or record.install or {}) or None
        guest = guests.get(record.host)
        record.after = brief(guest) or record.after
        _judge_one(wave, record, trouble, machines.get(record.key), guest)
    wave.rollout.wave(wave.number).finished = to_iso(wave.now)


def _judge_one(wave: WaveRun, record: Record, trouble: str, machine: Machine | None, guest: GuestFacts | None) -> None:
    sent = wave.sent(record)
    outcome_name = str((record.install or {}).get("outcome") or "")
    reason = str((record.install or {}).get("reason") or trouble or "the installation task gave no answer")
    if outcome_name in NOT_SENT or (record.install is None and sent is None):
        record.judge("not_started", "not_sent", reason)
        return
    install = record.install or {}
    if install.get("installation_activity_id") and install.get("started_by") != "other":
        wave.rollout.changed = True
    outcome = azure_outcome(install, record.kbs)
    if outcome is None:
        record.judge("unproven", STILL_RUNNING if outcome_name == "running" else "outcome_unknown", reason)
        return
    proof = _prove(record, machine, guest, sent) if wave.proof == "guest" else None
    if proof is not None:
        record.evidence += [item for item in proof.evidence if item not in record.evidence]
    started_by: Literal["us", "other"] = "other" if install.get("started_by") == "other" else "us"
    verdict = final_verdict(outcome, proof, guest, started_by)
    if outcome.name == "unlisted" and verdict.reason_code == "guest_not_patched":
        # The run succeeded and nothing in it failed, so that a patch which is not there was kept out of it.
        verdict = Verdict("withheld", "not_installed", verdict.reason)
    record.judge(verdict.name, verdict.reason_code, verdict.reason)


def _prove(record: Record, machine: Machine | None, guest: GuestFacts | None, sent: Sent | None) -> Proof | None:
    if guest is None:
        return None
    told = (record.install or {}).get("start_time")
    start = parse_timestamp(str(told)) if told else (sent.entry.intent_time if sent is not None else None)
    return prove(guest, start, release_of(record), machine.vm_id if machine is not None else None)


def gate(wave: WaveRun, trouble: str) -> dict[str, Any] | None:
    """Why no further wave may start, or None; remembered as the rollout's ``stop``.

    Counted are all machines of this run that were given a wave, whichever wave it was; machines left out by the plan
    neither count nor make the percentage larger.
    """
    rollout = wave.rollout
    placed = [record for record in rollout.in_scope if record.wave is not None]
    bad = [record for record in placed if record.verdict in COUNTS_AGAINST_BUDGET]
    budget = parse_budget(rollout.budget, BUDGET_OPTION)
    if trouble:
        rollout.stop = {"wave": wave.number, "code": "wave_broke", "reason": trouble}
    elif not allows(budget, len(placed), len(bad)):
        names = ", ".join(f"{record.host} ({record.verdict})" for record in bad[:10])
        more = f" and {len(bad) - 10} more" if len(bad) > 10 else ""
        rollout.stop = {
            "wave": wave.number,
            "code": "error_budget",
            "reason": f"the error budget of {rollout.budget} is used up after wave {wave.number}: "
            f"{len(bad)} of {len(placed)} machines ended badly: {names}{more}",
        }
    return rollout.stop
