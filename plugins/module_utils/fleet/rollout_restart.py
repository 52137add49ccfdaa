# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart a wave's machines in a baseline month: who, until when, and whether they have come back and settled.

By explicit word only (``hotpatch_restart``). What was decided, sent and seen is kept in each record's ``restart``; what
was sent is read from the journal, so that a run that died in between is taken up where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Optional

from ..domain.errors import InputError
from ..domain.facts import Fact
from ..domain.guest import GuestFacts
from ..domain.joining import JournalEntry
from ..domain.machine import Machine
from ..domain.proof import boot_time_corrected
from ..domain.restart import booted_anew, restart_decision, unsettled
from ..domain.timestamps import parse_timestamp, to_iso
from .rollout_entries import azure_outcome, brief
from .rollout_state import Record, Rollout
from .rollout_wave import WaveRun, release_of
from .rollout_windows import Windows, ZoneUnknown

RESTART_OPTION = "hotpatch_restart"
SUBSET = "core,services"
"""What is read of a guest before and after its restart."""
SENT_OUTCOMES = frozenset({"claimed", "unlisted"})

Lookup = Callable[[str], Optional[JournalEntry]]  # noqa: UP045 - ansible-test's pylint refuses "|" here


@dataclass
class Restarts:
    """Who is restarted: hosts and ARM IDs in order, and the last moment for each whose window closes (ISO 8601)."""

    hosts: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    latest_starts: dict[str, str] = field(default_factory=dict)


def check_restart(restart: bool, timeout: int, proof: str) -> int:
    """Return the seconds a machine is given to come back, 0 without the word; InputError for what cannot be."""
    if not restart:
        return 0
    if proof != "guest":
        raise InputError(
            "hotpatch_proof", proof, f"guest with {RESTART_OPTION}, since only a guest's boot time proves a restart"
        )
    if timeout < 1:
        raise InputError("hotpatch_restart_timeout", timeout, "a number of seconds of at least 1")
    return timeout


def is_baseline(record: Record) -> bool:
    """Whether the release that this machine is to reach restarts it."""
    return (record.release or {}).get("kind") == "baseline"


def is_restarted(rollout: Rollout, record: Record) -> bool:
    """Whether this machine is to be restarted after its installation: its release is a baseline, and the word given."""
    return rollout.restart_timeout > 0 and is_baseline(record)


def require_word(rollout: Rollout) -> None:
    """Refuse a rollout of which every machine would only be told that its baseline is due; InputError."""
    waiting = [record for record in rollout.in_scope if record.wave is not None and not record.judged]
    if rollout.restart_timeout or not waiting or not all(is_baseline(record) for record in waiting):
        return
    release = waiting[0].release or {}
    raise InputError(
        RESTART_OPTION,
        False,
        f"true in a month whose release restarts machines ({release.get('kb')} of {release.get('date')} is a baseline)",
        f"set {RESTART_OPTION} to true to have {len(waiting)} machines installed and then restarted, wave by wave",
    )


def decide(
    wave: WaveRun,
    installations: Mapping[str, Mapping[str, Any]],
    machines: Mapping[str, Machine],
    guests: Mapping[str, GuestFacts],
    journal: Lookup,
) -> Restarts:
    """Say which machines of the wave are restarted now, and note for each why or why not.

    :param installations: entries of patch_installation by lower-case ARM ID.
    :param guests: readings after the installations, by host, of :data:`SUBSET`.
    """
    found, windows = Restarts(), Windows(wave.rollout)
    for record in candidates(wave, installations):
        record.install = dict(installations.get(record.key) or record.install or {})
        before = sent_since(journal, record)
        if before is not None and record.restart is not None:
            # Sent by a run that was interrupted: it is followed to its end, and not sent again.
            found.hosts.append(record.host)
            found.ids.append(record.id)
            continue
        guest, machine = guests.get(record.host), machines.get(record.key)
        latest, too_late = _latest(wave, record, windows)
        start = record.install.get("start_time")
        began = parse_timestamp(str(start)) if start else _installation_sent(wave, record)
        decision = restart_decision(guest, began, release_of(record), machine.vm_id if machine else None, too_late)
        boot = boot_time_corrected(guest).value if guest is not None and guest.reachable else None
        record.restart = {
            "decision": decision.code,
            "reason": decision.reason,
            "decided_at": to_iso(wave.now),
            "boot_before": to_iso(boot) if boot else None,
            "services_before": dict(guest.services.value or {}) if guest is not None else {},
            "guest_before": brief(guest),
        }
        if decision.restart:
            found.hosts.append(record.host)
            found.ids.append(record.id)
            if latest:
                found.latest_starts[record.id] = latest
    return found


def candidates(wave: WaveRun, installations: Mapping[str, Mapping[str, Any]]) -> list[Record]:
    """The machines whose own installation Azure calls done, so that their guests are asked."""
    found = []
    for record in wave.open:
        install = installations.get(record.key) or record.install
        if record.stage != "selected" or not install or not is_restarted(wave.rollout, record):
            continue
        outcome = azure_outcome(install, record.kbs)
        if outcome is not None and outcome.name in SENT_OUTCOMES and install.get("started_by") != "other":
            found.append(record)
    return found


def sent_since(journal: Lookup, record: Record) -> JournalEntry | None:
    """The restart that this rollout sent the machine, by the journal: none is older than its selection."""
    entry = journal(record.key)
    if entry is None or not record.selected_at or entry.intent_time < parse_timestamp(record.selected_at):
        return None
    return entry


def _installation_sent(wave: WaveRun, record: Record) -> datetime | None:
    sent = wave.sent(record)
    return sent.entry.intent_time if sent is not None else None


def _latest(wave: WaveRun, record: Record, windows: Windows) -> tuple[str, str]:
    """The last moment for its restart (empty: any), and why that has passed (empty: it has not)."""
    needed = timedelta(seconds=wave.rollout.restart_timeout)
    try:
        window = windows.of(record)
    except ZoneUnknown as error:
        return "", str(error)
    if window is None:
        return "", ""
    closes = window.closes_at(wave.now)
    if closes is None:
        return "", "its window has closed"
    if not window.fits(wave.now, needed):
        minutes = round(needed.total_seconds() / 60)
        return "", f"its window closes at {to_iso(closes)}, and it may take {minutes} minutes to come back"
    return to_iso(closes - needed), ""


def note_sent(wave: WaveRun, restarts: Mapping[str, Mapping[str, Any]], trouble: str, journal: Lookup) -> list[Record]:
    """Note what was sent; returns the machines that are to come back.

    :param restarts: entries of machine_restart by lower-case ARM ID.
    :param trouble: why that task broke as a whole, or empty.
    """
    found = []
    for record in wave.open:
        if record.restart is None or record.stage != "selected":
            continue
        entry, sent = restarts.get(record.key) or {}, sent_since(journal, record)
        if sent is not None:
            record.restart.update(sent=to_iso(sent.intent_time), outcome=entry.get("outcome", "unknown"))
            found.append(record)
        elif record.restart["decision"] == "restart_needed":
            why = entry.get("reason") or trouble or "the restart task gave no answer"
            record.restart.update(outcome=entry.get("outcome", "not_started"), waiting=f"it was not restarted: {why}")
        else:
            record.restart["waiting"] = record.restart["reason"]
    return found


def note_settled(records: list[Record], guests: Mapping[str, GuestFacts], now: datetime) -> list[Record]:
    """Note how far the restarted machines have come; returns those that have not settled."""
    found = []
    for record in records:
        guest, restart = guests.get(record.host), record.restart or {}
        if guest is None:
            waiting = "the guest was not asked"
        else:
            anew = seen_anew(record, guest) or Fact.of(False, "no restart was sent")
            waiting = unsettled(guest, anew, restart.get("services_before"))
        restart["waiting"] = waiting
        if waiting:
            found.append(record)
        else:
            restart["settled_at"] = to_iso(now)
    return found


def seen_anew(record: Record, guest: GuestFacts) -> Fact[bool] | None:
    """Whether the guest booted by our restart; None when none was sent."""
    restart = record.restart or {}
    if not restart.get("sent"):
        return None
    before = restart.get("boot_before")
    return booted_anew(guest, parse_timestamp(restart["sent"]), parse_timestamp(before) if before else None)
