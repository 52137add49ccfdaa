# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a wave after its installations: one verdict for each machine, from Azure's word and the guest's proof."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ..domain.guest import GuestFacts
from ..domain.installation import Outcome
from ..domain.load import Impact, impact_from_dict, take
from ..domain.machine import Machine
from ..domain.proof import Proof, prove
from ..domain.restart import restarted_verdict
from ..domain.timestamps import parse_timestamp, to_iso
from ..domain.verdicts import Verdict, final_verdict
from .install import JOIN_ONLY
from .rollout_entries import azure_outcome, brief, reading_of
from .rollout_plan import STILL_RUNNING
from .rollout_restart import is_restarted, seen_anew
from .rollout_state import Record
from .rollout_wave import Sent, WaveRun, release_of

NOT_SENT = frozenset({"not_started", "skipped"})
OWN_CODES = frozenset(
    {"aborted", "paused", "stopped", "timeout", "would_not_finish", "kb_blocked", "claimed_elsewhere"}
)
"""Reasons of the installation task that are a verdict's own; the rest is told as not_sent."""


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
        if wave.reads_load and guest is not None:
            before = impact_from_dict(record.load).before if record.load else None
            record.load = Impact(before, take(guest)).to_dict()
        _judge_one(wave, record, trouble, machines.get(record.key), guest)
    wave.rollout.wave(wave.number).finished = to_iso(wave.now)


def _judge_one(wave: WaveRun, record: Record, trouble: str, machine: Machine | None, guest: GuestFacts | None) -> None:
    sent = wave.sent(record)
    outcome_name = str((record.install or {}).get("outcome") or "")
    if outcome_name in NOT_SENT and (record.install or {}).get("reason_code") == JOIN_ONLY:
        _judge_ended(wave, record, machine, guest)
        return
    reason = str((record.install or {}).get("reason") or trouble or "the installation task gave no answer")
    if outcome_name in NOT_SENT or (record.install is None and sent is None):
        code = str((record.install or {}).get("reason_code") or "")
        record.judge("not_started", code if code in OWN_CODES else "not_sent", reason)
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
    anew = seen_anew(record, guest) if guest is not None else None
    planned = anew is not None and anew.value is not False
    verdict = final_verdict(outcome, proof, guest, started_by, planned)
    if is_restarted(wave.rollout, record):
        waiting = str((record.restart or {}).get("waiting") or "")
        verdict = restarted_verdict(verdict, guest, release_of(record), anew, waiting)
    if outcome.name == "unlisted" and verdict.reason_code == "guest_not_patched":
        # The run succeeded and nothing in it failed, so that a patch which is not there was kept out of it.
        verdict = Verdict("withheld", "not_installed", verdict.reason)
    record.judge(verdict.name, verdict.reason_code, verdict.reason)


def _judge_ended(wave: WaveRun, record: Record, machine: Machine | None, guest: GuestFacts | None) -> None:
    """Somebody else's installation ended before it could be followed: the guest says what it left."""
    reason = "an installation that was not this rollout's ran on it and ended; run the rollout again for this machine"
    verdict = Verdict("not_started", JOIN_ONLY, reason)
    if wave.proof == "guest" and guest is not None:
        view = machine.installation if machine is not None else None
        vm_id = machine.vm_id if machine is not None else None
        proof = prove(guest, view.start_time if view is not None else None, release_of(record), vm_id)
        record.evidence += [item for item in proof.evidence if item not in record.evidence]
        found = final_verdict(Outcome("unlisted", JOIN_ONLY, reason), proof, guest, "other")
        verdict = verdict if found.reason_code == "guest_not_patched" else found
    record.judge(verdict.name, verdict.reason_code, verdict.reason)


def _prove(record: Record, machine: Machine | None, guest: GuestFacts | None, sent: Sent | None) -> Proof | None:
    if guest is None:
        return None
    told = (record.install or {}).get("start_time")
    start = parse_timestamp(str(told)) if told else (sent.entry.intent_time if sent is not None else None)
    vm_id = machine.vm_id if machine is not None else None
    return prove(guest, start, release_of(record), vm_id, before=reading_of(record.before))
