# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take one wave through its stages; here the first: who may start, who has been started already, and who may not.

The stages only decide and remember; Azure and the guests are asked between them. Each stage is handed what was
answered, also when that failed: a machine whose stage broke ends with that as its reason. The others are in
``rollout_choose`` (what is installed), ``rollout_judge`` (what became of it) and ``rollout_gate`` (whether the rollout
goes on).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Optional

from ..domain.eligibility import eligibility
from ..domain.enrolment import enrolment
from ..domain.errors import InputError
from ..domain.facts import Fact
from ..domain.guest import GuestFacts, unreachable_guest
from ..domain.joining import JournalEntry
from ..domain.load import Impact, LoadLimits, hold_back, take
from ..domain.machine import Machine
from ..domain.reasons import texts
from ..domain.releases import CALENDAR, Calendar, Release, release_from_dict
from ..domain.server_role import ServerRole, server_role, surprises
from ..domain.timestamps import parse_timestamp, to_iso
from ..domain.track import track
from ..domain.verdicts import Verdict, preflight_verdict
from .rollout_entries import brief
from .rollout_state import Record, Rollout
from .rollout_windows import rules_of


@dataclass(frozen=True)
class Sent:
    """What the journal says of the newest installation on a machine: the entry, and the KBs it installed."""

    entry: JournalEntry
    kbs: tuple[str, ...] = ()


Journal = Callable[[str], Optional[Sent]]  # noqa: UP045 - ansible-test's pylint refuses "|" here
IN_PROGRESS = "InProgress"


@dataclass
class WaveRun:
    """One wave of a rollout at work.

    :param records: the wave's machines that this run takes, in order.
    :param journal: tells the newest installation that was sent to a machine (lower-case ARM ID), of any rollout.
    :param proof: ``guest`` or ``azure`` (the user takes Azure's word).
    :param limits: from which load on a guest is left alone.
    :param measure_load: whether the load is kept, before and after; limits ask for it as well.
    """

    rollout: Rollout
    number: int
    records: list[Record]
    now: datetime
    journal: Journal
    proof: Literal["guest", "azure"] = "guest"
    overrides: Collection[str] = ()
    calendar: Calendar = CALENDAR
    limits: LoadLimits = field(default_factory=LoadLimits)
    measure_load: bool = False

    def sent(self, record: Record) -> Sent | None:
        """What this rollout sent the machine, if anything: never before it had been selected."""
        found = self.journal(record.key) if record.stage == "selected" and record.selected_at else None
        if found is None or found.entry.intent_time < parse_timestamp(str(record.selected_at)):
            return None
        return found

    @property
    def reads_load(self) -> bool:
        """Whether guests are asked for their load, which is a request of its own."""
        return self.measure_load or self.limits.any

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


def in_doubt(wave: WaveRun, going: Preflight) -> list[str]:
    """The hosts that may start and whose guests did not answer the plan: nobody knows yet who leans on them."""
    rules = rules_of(wave.rollout.ring(wave.rollout.wave(wave.number).ring)).spread
    if not rules & {"domain_controllers", "clusters"} or len(going.start) + len(going.join) < 2:
        return []
    return [record.host for record in wave.open if record.role_silent and record.host in going.start]


def keep_apart(wave: WaveRun, going: Preflight, guests: Mapping[str, GuestFacts]) -> None:
    """Take those out of the start of whom only now shows that they must not go with others of this wave.

    :param guests: readings of the hosts :func:`in_doubt`, with their roles.
    """
    under_way = [*going.join, *going.done]
    known = [record for record in wave.open if record.host in [*under_way, *going.start] and record.host not in guests]
    roles = {record.host: ServerRole(record.domain, record.cluster, unknown=record.role_unknown) for record in known}
    roles.update({host: server_role(guest) for host, guest in guests.items()})
    held = {host: why for host, why in surprises(roles).items() if host in guests}
    for record in wave.open:
        if record.host in held:
            record.judge("not_started", "spread", held[record.host])
    going.start = [host for host in going.start if host not in held]


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
    if sent is None:
        record.checks = {
            "read_at": to_iso(wave.now),
            "eligibility": {"state": fit.state, "why": texts(fit.reasons)},
            "enrolment": {"state": enrolled.state, "why": texts(enrolled.reasons)},
            "track": {"state": where.name, "why": texts(where.reasons)},
        }
    verdict = _baseline(wave, record, preflight_verdict(machine, guest, fit, enrolled, where, release))
    blocked = verdict is not None and verdict.name != "already_current"
    if sent is not None and (sent.entry.activity_id is not None or not blocked):
        # Ours is under way: whatever the guest shows meanwhile is its doing, so it is joined and then proven.
        found.join.append(record.host)
    elif sent is not None and verdict is not None:
        reason = f"whether an installation was sent is not known, and it may not be sent now: {verdict.reason}"
        record.judge("unproven", verdict.reason_code, reason)
    elif verdict is None and record.earlier:
        # First of all: Azure's view is minutes late and may still show the earlier installation as running. Who joined
        # that would find it ended, and send another.
        _carry(record, record.earlier)
    elif verdict is None and _runs(machine):
        # Not sent by this rollout as far as its journal tells: the platform's, or ours from another control node.
        record.stage, record.selected_at = "selected", None
        found.join.append(record.host)
    elif verdict is not None:
        verdict = _by_platform(wave, machine, verdict)
        reason = verdict.reason
        if record.earlier and verdict.name == "already_current":
            # It is current now; what was wrong with it then stays in sight.
            reason += f"; an earlier rollout left it {record.earlier['verdict']} ({record.earlier['reason']})"
        record.judge(verdict.name, verdict.reason_code, reason)
    elif not _held_by_load(wave, record, guest):
        # A run that died before it sent anything leaves "selected" behind; this run chooses anew.
        record.stage = "planned"
        found.start.append(record.host)


def _baseline(wave: WaveRun, record: Record, verdict: Verdict | None) -> Verdict | None:
    """A baseline is due in a baseline month: it is what is installed then, where restarts were asked for."""
    due = verdict is not None and verdict.reason_code == "baseline_due" and (record.release or {})["kind"] == "baseline"
    if not due or verdict is None:
        return verdict
    if wave.rollout.restart_timeout:
        return None
    text = f"{verdict.reason}; it restarts the machine, which takes the word hotpatch_restart"
    return Verdict(verdict.name, verdict.reason_code, text)


def _held_by_load(wave: WaveRun, record: Record, guest: GuestFacts | None) -> bool:
    """Keep the load of a machine that would be started now; leave it alone where it is too busy."""
    if wave.reads_load and guest is not None:
        record.load = Impact(take(guest), None).to_dict()
    why = hold_back(guest or unreachable_guest("the guest was not asked", wave.now), wave.limits)
    if why is not None:
        record.judge("not_started", why.code, why.text)
    return why is not None


def _runs(machine: Machine) -> bool:
    return machine.installation is not None and machine.installation.status == IN_PROGRESS


def _by_platform(wave: WaveRun, machine: Machine, verdict: Verdict) -> Verdict:
    """Tell a machine that somebody else patched since the rollout began from one that was current before."""
    view = machine.installation
    if verdict.name != "already_current" or view is None or view.start_time is None:
        return verdict
    if view.start_time < parse_timestamp(wave.rollout.started) or not view.installed_patch_count:
        return verdict
    sent = wave.journal(machine.id.key)
    if sent is not None and (sent.entry.activity_id or "").lower() == (view.activity_id or "-").lower():
        return verdict
    when = to_iso(view.start_time)
    text = f"{verdict.reason}; installed since the rollout began, on {when}, by an installation that is not ours"
    return Verdict("patched_by_platform", "installed_between_waves", text)


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
