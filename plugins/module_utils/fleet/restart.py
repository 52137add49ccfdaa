# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart machines, each at most once: the intent is on the disk before the POST, and a lost answer is not sent again.

Azure has no record that tells afterwards whether a restart was taken, as it has of installations: only the boot time in
the guest does. So a restart whose answer was lost ends here with the outcome ``unknown``, for the guest to decide.
What Azure calls done says as little: the guest may go down later, and has come back only when it says so itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ..azure.errors import AzureFailure, PollUrlGone
from ..clock import Clock
from ..domain.errors import InputError
from ..domain.joining import JournalEntry
from ..domain.machine import Machine
from ..domain.resource_id import ResourceId
from ..domain.timestamps import parse_timestamp, to_iso
from . import results
from .campaign import NotAdmitted, Paused, WaitEnded
from .context import Connect, connect
from .engine import Engine, conduct, failure_entry, must_run, summarize
from .guard import Guard
from .journal import new_intent_id
from .progress import Progress
from .pursuit import RESTART
from .results import Entry
from .witness import TRANSIENT_KINDS, UNFINISHED

OPEN = timedelta(hours=1)
"""How long a restart whose end nobody saw may still be under way; recorded ones took 36 seconds (azure-cli, 2024)."""
LOST = "Azure's answer to the restart was lost; it is not sent again, and the guest's boot time tells"


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
    """Restart the machines that the parameters name.

    Raises InputError, LockHeld, JournalError, ClockError and AzureFailure for what stops the whole run.
    """
    if not params["confirm"]:
        raise InputError("confirm", False, "true, the explicit word that these machines may be restarted")
    once_since = _moment(params.get("once_since"))

    async def work(engine: Engine) -> dict[str, Any]:
        restarter = Restarter(engine, once_since, check_mode)
        entries = await engine.each(restarter.restart)
        return summarize(engine, entries, changed=restarter.changed)

    return conduct(params, clock, progress, environ, guard, "restart", connect, work)


def _moment(text: object) -> datetime | None:
    if text in (None, ""):
        return None
    try:
        return parse_timestamp(str(text))
    except ValueError:
        raise InputError("once_since", text, "a time in ISO 8601 with its offset") from None


def sent_before(entry: JournalEntry | None, now: datetime, once_since: datetime | None) -> bool:
    """Whether the journal shows a restart that is not sent again: one under way, or not older than *once_since*."""
    if entry is None:
        return False
    if once_since is not None and entry.intent_time >= once_since:
        return True
    return entry.finished is None and now - entry.intent_time < OPEN


class Restarter:
    """One task's restarts."""

    def __init__(self, engine: Engine, once_since: datetime | None, check_mode: bool) -> None:
        self.engine = engine
        self.changed = False
        self._once_since = once_since
        self._check_mode = check_mode

    async def restart(self, machine: ResourceId, entry: Entry) -> Entry:
        """Bring one machine to its entry."""
        engine = self.engine
        engine.claim(machine)
        view = await engine.first_look(machine)
        known = engine.pursuit.journal.latest(machine.key, RESTART)
        if known is not None and sent_before(known, engine.clock.now(), self._once_since):
            entry.update(joined=True, sent=to_iso(known.intent_time))
            return {**entry, **await self._join(machine, known)}
        must_run(view)
        if self._check_mode:
            self.changed = True
            return {**entry, "outcome": "would_restart", "reason": "Would be restarted."}
        await engine.campaign.admit(machine.key)
        return {**entry, **await self._start(machine, view.machine)}

    async def _start(self, machine: ResourceId, seen: Machine) -> Entry:
        """Wait until nothing else runs on the machine, then send the restart, once."""
        campaign, pursuit = self.engine.campaign, self.engine.pursuit
        while True:
            try:
                told = None if busy(pursuit.caught_up(seen)) else await self._send(machine)
            except Paused:
                # Nothing was sent. A pause may last for hours, so that the machine is looked at anew.
                await campaign.resumed()
                seen = (await pursuit.look_patiently(machine)).machine
                continue
            if told is not None:
                return told
            await campaign.pause(machine.subscription_id)
            seen = (await pursuit.look_patiently(machine)).machine

    async def _send(self, machine: ResourceId) -> Entry | None:
        """Send the restart; None when Azure refused it because something else runs, so that it was not taken."""
        campaign, pursuit, clock = self.engine.campaign, self.engine.pursuit, self.engine.clock
        intent_id = new_intent_id()

        def check() -> None:
            campaign.check_start(machine.key)
            pursuit.journal.intend(str(machine), RESTART, intent_id, clock.now())

        def intent() -> JournalEntry | None:
            found = pursuit.journal.latest(machine.key, RESTART)
            return found if found is not None and found.intent_id == intent_id else None

        try:
            started = await pursuit.gateway.restart(machine, check)
        except NotAdmitted:
            await self._refused(intent())
            raise
        except AzureFailure as failure:
            if failure.uncertain:
                found = intent()
                told = to_iso(found.intent_time) if found else None
                self.engine.tell("machine_restart_lost", machine, reason=failure.sentence)
                return {"outcome": "unknown", "reason_code": "answer_lost", "reason": f"{LOST}.", "sent": told}
            await self._refused(intent())
            if failure.kind == "conflict":
                return None
            return failure_entry(failure, results.wants_details(self.engine.details, True))
        found = intent()
        if found is None:
            raise RuntimeError("the gateway sent a POST without asking first")
        self.changed = True
        await pursuit.note(pursuit.journal.accepted(found, clock.now(), started.activity_id, started.poll_url))
        self.engine.tell("machine_restarted", machine, activity_id=started.activity_id)
        found = replace(found, activity_id=started.activity_id, poll_url=started.poll_url or None)
        accepted: Entry = {"sent": to_iso(found.intent_time), "activity_id": started.activity_id}
        return {**accepted, **await self._follow(machine, found)}

    async def _refused(self, entry: JournalEntry | None) -> None:
        if entry is not None:
            pursuit = self.engine.pursuit
            await pursuit.note(pursuit.journal.refused(entry, self.engine.clock.now()))

    async def _join(self, machine: ResourceId, entry: JournalEntry) -> Entry:
        """Tell of a restart that was sent before, or follow it to its end."""
        told: Entry = {"activity_id": entry.activity_id}
        if entry.finished is not None:
            outcome = "restarted" if entry.finished.lower() == "succeeded" else "failed"
            reason = f"It was sent on {to_iso(entry.intent_time)}, and ended {entry.finished}."
            return {**told, "outcome": outcome, "reason_code": "sent_before", "reason": reason}
        if entry.poll_url is None:
            return {**told, "outcome": "unknown", "reason_code": "answer_lost", "reason": f"{LOST}."}
        self.engine.campaign.occupy(machine.key)
        return {**told, **await self._follow(machine, entry)}

    async def _follow(self, machine: ResourceId, entry: JournalEntry) -> Entry:
        """Poll until Azure says that the restart is over."""
        engine, url = self.engine, entry.poll_url
        retry_after: float | None = None
        with engine.campaign.polled(machine.subscription_id):
            while url and engine.pursuit.wait:
                try:
                    await engine.campaign.pause(machine.subscription_id, retry_after)
                    polled = await engine.pursuit.gateway.poll(url)
                except WaitEnded as ended:
                    return {"outcome": "running", "reason_code": ended.code, "reason": ended.reason}
                except PollUrlGone:
                    await engine.pursuit.note(engine.pursuit.journal.gone(entry, engine.clock.now()))
                    break
                except AzureFailure as failure:
                    if failure.kind not in TRANSIENT_KINDS:
                        break
                    retry_after = failure.retry_after
                    continue
                if polled.finished:
                    now = engine.clock.now()
                    await engine.pursuit.note(engine.pursuit.journal.finished(entry, now, polled.status))
                    failed = polled.failure(f"restart {machine.name}")
                    if failed is not None:
                        return failure_entry(failed, results.wants_details(engine.details, True))
                    reason = "Azure says that it restarted; only its boot time proves it."
                    return {"outcome": "restarted", "reason_code": "accepted", "reason": reason}
                url, retry_after = polled.next_url or url, polled.retry_after
        if url and engine.pursuit.wait:
            reason = "Azure took the restart and no longer tells how it ended; the guest's boot time does."
            return {"outcome": "unknown", "reason_code": "poll_url_gone", "reason": reason}
        return {"outcome": "running", "reason_code": "not_waited_for", "reason": "It was sent and not waited for."}


def busy(machine: Machine) -> bool:
    """Whether Azure shows an assessment or installation in progress, in which a restart would cut it off."""
    return any(
        summary is not None and summary.status in UNFINISHED for summary in (machine.installation, machine.assessment)
    )
