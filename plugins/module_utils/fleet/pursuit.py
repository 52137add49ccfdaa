# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow one operation on one machine to its end without ever sending it twice.

An assessment and an installation go the same way.  First whatever may already run is joined: by the poll URL in the
journal, then by the instance view, then by Resource Graph.  Only when all show nothing
(:func:`..domain.joining.next_step` decides) is a POST sent, with its intent on the disk before.
What can go wrong then has one answer each:

* the answer is lost: nobody knows whether Azure took it, so the instance view is watched until it would have to show
  it; it is joined, or sent again once;
* 409: something else runs, so it is looked for and joined;
* the poll URL is gone, or may not be read: the instance view is asked instead, and Resource Graph when that shows
  another activity in its place;
* any other refusal: Azure did not take it, and says why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

from ..azure.errors import AzureFailure, PollUrlGone
from ..azure.operations import Operation as PolledOperation
from ..azure.operations import Started
from ..clock import Clock
from ..domain.graph import GraphInstallation
from ..domain.joining import (
    AlreadyDone,
    AskGraph,
    JoinActivity,
    JoinPollUrl,
    JournalEntry,
    NextStep,
    Operation,
    Start,
    Summary,
    WaitThenLook,
    next_step,
)
from ..domain.machine import Machine, machine_from_arm
from ..domain.resource_id import ResourceId
from .campaign import Campaign, NotAdmitted, Paused, WaitEnded
from .journal import Journal, JournalError, new_intent_id
from .witness import TRANSIENT_KINDS, UNFINISHED, Witness, same

ASSESS: Operation = "assess"
INSTALL: Operation = "install"
RESTART: Operation = "restart"

SETTLE_SECONDS: Mapping[Operation, float] = {ASSESS: 60.0, INSTALL: 600.0}
"""How long after a POST the instance view may still not show it.  Observers report a lag of up to five minutes; an
installation waits twice that, an assessment does no harm twice and waits less."""

FRESH_VIEW_SECONDS = 30.0
LOOK_SECONDS = 60.0
SENDINGS = 2
VERBS: Mapping[Operation, str] = {ASSESS: "assess", INSTALL: "install patches on"}

Check = Callable[[], None]
Send = Callable[[Check], Awaitable[Started]]


class Gateway(Protocol):
    """What the engine asks of Azure; every call may raise AzureFailure.

    ``check`` is called right before each sending of a request; what it raises keeps that from leaving.
    """

    async def get(self, resource_id: ResourceId, check: Check) -> Mapping[str, Any]:
        """Read the machine with its instance view."""

    async def start_assessment(self, resource_id: ResourceId, check: Check) -> Started:
        """Send assessPatches."""

    async def start_installation(self, resource_id: ResourceId, body: Mapping[str, Any], check: Check) -> Started:
        """Send installPatches with this body."""

    async def update(
        self, machine: ResourceId, body: Mapping[str, Any], check: Check, etag: str | None = None
    ) -> Started:
        """Send a PATCH with this body, only if the machine still has the etag."""

    async def restart(self, resource_id: ResourceId, check: Check) -> Started:
        """Send restart."""

    async def poll(self, url: str) -> PolledOperation:
        """Ask once how the operation stands."""


@dataclass(frozen=True)
class View:
    """A machine as Azure shows it, and when (the Clock's UTC) it was read."""

    machine: Machine
    read_at: datetime


async def look(gateway: Gateway, machine: ResourceId, clock: Clock) -> View:
    """Read a machine with its instance view, stamped with the time at which the request left: it is at least that new.

    Raises:
        AzureFailure: Azure does not show it.
    """
    asked_at = clock.now()

    def leaves() -> None:
        # Among a thousand others the request may have waited long for its turn; the answer is no older for that.
        nonlocal asked_at
        asked_at = clock.now()

    body = await gateway.get(machine, leaves)
    return View(machine_from_arm(body), asked_at)


@dataclass(frozen=True)
class Ending:
    """Where an operation stands when we stop following it.

    ``state`` is ``finished`` (``result``, ``summary`` or ``failure`` says how), ``running``, ``refused`` (never
    taken) or ``unknown``.  ``started_by`` is ``us`` or ``other``.
    """

    state: str
    started_by: str = "us"
    joined: bool = False
    activity_id: str = ""
    result: Mapping[str, Any] | None = None
    summary: Summary | None = None
    failure: AzureFailure | None = None
    reason: str = ""
    entry: JournalEntry | None = field(default=None, repr=False)


class Pursuit:
    """The means to follow operations, shared by all machines of a task."""

    def __init__(
        self,
        gateway: Gateway,
        journal: Journal,
        campaign: Campaign,
        clock: Clock,
        wait: bool = True,
        witness: Witness | None = None,
    ) -> None:
        self.gateway = gateway
        self.journal = journal
        self.campaign = campaign
        self.clock = clock
        self.wait = wait
        self.witness = witness

    async def look(self, machine: ResourceId) -> View:
        """Read the machine with its instance view."""
        return await look(self.gateway, machine, self.clock)

    def is_running(self, machine: ResourceId, operation: Operation, view: View) -> bool:
        """Whether this operation runs on the machine as far as view and journal show."""
        return isinstance(self._step(machine, operation, view), (JoinPollUrl, JoinActivity))

    def _step(
        self, machine: ResourceId, operation: Operation, view: View, graph: Sequence[GraphInstallation] | None = None
    ) -> NextStep:
        entry = self.journal.latest(machine.key, operation)
        known = self.caught_up(view.machine)
        if self.witness is None:
            graph = ()
        return next_step(entry, known, view.read_at, SETTLE_SECONDS[operation], operation, graph)

    def caught_up(self, machine: Machine) -> Machine:
        """The machine with what the poll URL told us already, where the instance view is minutes behind."""
        install, assess = machine.installation, machine.assessment
        done = self.journal.latest(machine.id.key, INSTALL)
        if install is not None and done is not None and done.finished and same(install.activity_id, done.activity_id):
            machine = replace(machine, installation=replace(install, status=done.finished))
        done = self.journal.latest(machine.id.key, ASSESS)
        if assess is not None and done is not None and done.finished and same(assess.activity_id, done.activity_id):
            machine = replace(machine, assessment=replace(assess, status=done.finished))
        return machine

    async def join(self, machine: ResourceId, operation: Operation, view: View) -> tuple[Ending | None, View]:
        """Follow what already runs, or say None when a POST may be sent; with the newest view.

        Raises:
            WaitEnded: before it was clear whether something runs.
            AzureFailure: the machine cannot be read.
        """
        while True:
            entry = self.journal.latest(machine.key, operation)
            step = self._step(machine, operation, view)
            if isinstance(step, AskGraph):
                step = self._step(machine, operation, view, await self._asked(machine))
            if isinstance(step, Start):
                return None, view
            if isinstance(step, JoinPollUrl) and entry is not None:
                return await self._follow_url(machine, entry, step.url, joined=True), view
            if isinstance(step, JoinActivity):
                mine = entry if step.ours else None
                return await self._follow_view(machine, operation, step.activity_id, mine, joined=True), view
            if isinstance(step, AlreadyDone):
                return _done(step.summary, entry, step.ours, joined=True), view
            seconds = step.seconds if isinstance(step, WaitThenLook) else LOOK_SECONDS
            await self.campaign.pause(machine.subscription_id, at_least=min(seconds, LOOK_SECONDS))
            view = await self.look_patiently(machine)

    async def start(self, machine: ResourceId, operation: Operation, view: View, send: Send) -> Ending:
        """Send the POST unless something turns out to run after all, and follow it.

        Raises:
            NotAdmitted: nothing may be started any more, and nothing was.
            JournalError: the intent cannot be written, so nothing was sent.
            WaitEnded, AzureFailure: as ``join``, before anything was sent.
        """
        if (self.clock.now() - view.read_at).total_seconds() > FRESH_VIEW_SECONDS:
            # It may have waited long for its turn, and somebody else may have been quicker.
            view = await self.look(machine)
        ending, view = await self.join(machine, operation, view)
        lost = 0
        while lost < SENDINGS:
            try:
                if ending is None:
                    ending = await self._send(machine, operation, send)
            except Paused:
                # Nothing was sent. A pause may last for hours, in which somebody else may have been quicker.
                await self.campaign.resumed()
                ending, view = await self.join(machine, operation, await self.look_patiently(machine))
                continue
            if ending is None:
                lost += 1
                ending = await self._after_lost_answer(machine, operation)
            if ending is not None:
                return ending
        reason = f"Azure's answer was lost {SENDINGS} times, and the machine shows no trace of the operation."
        return Ending("unknown", reason=reason)

    async def _send(self, machine: ResourceId, operation: Operation, send: Send) -> Ending | None:
        """Send the POST once; None when its answer was lost."""
        intent_id = new_intent_id()

        def check() -> None:
            self.campaign.check_start(machine.key)
            self.journal.intend(str(machine), operation, intent_id, self.clock.now())

        def intent() -> JournalEntry | None:
            entry = self.journal.latest(machine.key, operation)
            return entry if entry is not None and entry.intent_id == intent_id else None

        async def refused() -> None:
            entry = intent()
            if entry is not None:
                await self.note(self.journal.refused(entry, self.clock.now()))

        try:
            started = await send(check)
        except NotAdmitted:
            # If it was sent at all, Azure had refused it with 429 before.
            await refused()
            raise
        except AzureFailure as failure:
            if failure.uncertain:
                return None
            await refused()
            if failure.kind == "conflict":
                return await self._after_conflict(machine, operation, failure)
            return Ending("refused", failure=failure, reason=failure.sentence)
        entry = intent()
        if entry is None:
            raise RuntimeError("the gateway sent a POST without asking first")
        await self.note(self.journal.accepted(entry, self.clock.now(), started.activity_id, started.poll_url))
        entry = replace(entry, activity_id=started.activity_id, poll_url=started.poll_url or None)
        if not started.poll_url:
            return Ending("finished", activity_id=started.activity_id, result=started.body, entry=entry)
        if not self.wait:
            return Ending("running", activity_id=started.activity_id, entry=entry)
        return await self._follow_url(machine, entry, started.poll_url, joined=False)

    async def _after_lost_answer(self, machine: ResourceId, operation: Operation) -> Ending | None:
        """Watch the machine until it shows what was sent, or None once it certainly would."""
        lost = "the answer to the request was lost, and it is not known yet whether Azure took it"
        try:
            # Azure cannot show it at once; the first look is worth waiting for.
            await self.campaign.pause(machine.subscription_id)
            view = await self.look_patiently(machine)
            ending, dummy = await self.join(machine, operation, view)
        except WaitEnded as ended:
            return Ending("running", reason=f"{lost}. {ended.reason}")
        except AzureFailure as failure:
            return Ending("unknown", failure=failure, reason=f"{lost}: {failure.sentence}")
        return ending

    async def look_patiently(self, machine: ResourceId) -> View:
        """Read the machine, again and again while Azure cannot be asked.

        Raises:
            WaitEnded: the deadline came first.
            AzureFailure: one that asking again does not mend.
        """
        while True:
            try:
                return await self.look(machine)
            except AzureFailure as failure:
                if failure.kind not in TRANSIENT_KINDS:
                    raise
                await self.campaign.pause(machine.subscription_id, failure.retry_after)

    async def _after_conflict(self, machine: ResourceId, operation: Operation, conflict: AzureFailure) -> Ending:
        """Look for what runs instead of ours; the instance view may take minutes to show it."""
        refusal = Ending("refused", failure=conflict, reason=conflict.sentence)
        give_up = self.clock.monotonic() + SETTLE_SECONDS[operation]
        try:
            while self.clock.monotonic() < give_up:
                step = self._step(machine, operation, await self.look_patiently(machine))
                if isinstance(step, JoinActivity):
                    return await self._follow_view(machine, operation, step.activity_id, None, joined=True)
                await self.campaign.pause(machine.subscription_id)
        except (WaitEnded, AzureFailure):
            # What is known for certain is the refusal.
            return refusal
        return refusal

    async def _follow_url(self, machine: ResourceId, entry: JournalEntry, url: str, joined: bool) -> Ending:
        """Poll until Azure says that it is over; an operation just started is given one interval first."""
        so_far = Ending("running", joined=joined, activity_id=entry.activity_id or "", entry=entry)
        subscription = machine.subscription_id
        retry_after: float | None = None
        wait_first = not joined
        with self.campaign.polled(subscription):
            while True:
                try:
                    if wait_first:
                        await self.campaign.pause(subscription, retry_after)
                    wait_first = True
                    polled = await self.gateway.poll(url)
                except WaitEnded as ended:
                    return replace(so_far, reason=ended.reason)
                except PollUrlGone:
                    await self.note(self.journal.gone(entry, self.clock.now()))
                    return await self._follow_view(machine, entry.operation, entry.activity_id, entry, joined)
                except AzureFailure as failure:
                    if failure.kind == "forbidden":
                        # Reading the machine may be allowed where reading operations is not.
                        return await self._follow_view(machine, entry.operation, entry.activity_id, entry, joined)
                    if failure.kind not in TRANSIENT_KINDS:
                        return replace(so_far, state="unknown", failure=failure, reason=failure.sentence)
                    retry_after = failure.retry_after
                    continue
                if polled.finished:
                    failed = polled.failure(f"{VERBS[entry.operation]} {machine.name}")
                    return replace(so_far, state="finished", result=polled.result, failure=failed)
                if not self.wait:
                    return so_far
                url, retry_after = polled.next_url or url, polled.retry_after

    async def _follow_view(
        self,
        machine: ResourceId,
        operation: Operation,
        activity_id: str | None,
        entry: JournalEntry | None,
        joined: bool,
    ) -> Ending:
        """Read the instance view until it shows the end of this activity, or another in its place."""
        ours = entry is not None
        so_far = Ending("running", "us" if ours else "other", joined, activity_id or "", entry=entry)
        give_up = self.clock.monotonic() + SETTLE_SECONDS[operation]
        try:
            with self.campaign.polled(machine.subscription_id):
                while True:
                    view = (await self.look_patiently(machine)).machine
                    summary = view.installation if operation == INSTALL else view.assessment
                    shown = summary is not None and (activity_id is None or same(summary.activity_id, activity_id))
                    if shown and summary is not None and summary.status not in UNFINISHED:
                        return _done(summary, entry, ours, joined)
                    if not shown and self.clock.monotonic() >= give_up:
                        found = await self._in_graph(machine, operation, activity_id)
                        if found is not None and found.summary.status not in UNFINISHED:
                            return _done(found.summary, entry, ours, joined)
                        if found is not None and self.wait:
                            await self.campaign.pause(machine.subscription_id)
                            continue
                        reason = f"the machine no longer shows activity {activity_id}, so its outcome cannot be read."
                        return replace(so_far, state="unknown", reason=reason)
                    if not self.wait:
                        return so_far
                    await self.campaign.pause(machine.subscription_id)
        except WaitEnded as ended:
            return replace(so_far, reason=ended.reason)
        except AzureFailure as failure:
            return replace(so_far, state="unknown", failure=failure, reason=failure.sentence)

    async def _asked(self, machine: ResourceId) -> Sequence[GraphInstallation]:
        return await self.witness.installations(machine) if self.witness is not None else ()

    async def _in_graph(
        self, machine: ResourceId, operation: Operation, activity_id: str | None
    ) -> GraphInstallation | None:
        """The row of one activity; assessments are not looked for, since a new one does no harm."""
        if self.witness is None or operation != INSTALL:
            return None
        return await self.witness.find(machine, activity_id)

    async def close(self, ending: Ending, status: str, kbs: tuple[str, ...] = ()) -> None:
        """Note the end of one of our own operations, so that no later run joins it again."""
        if ending.entry is not None and ending.entry.finished is None:
            now = self.clock.now()
            await self.note(self.journal.finished(ending.entry, now, status, kbs, ending.activity_id))

    async def note(self, writing: Awaitable[None]) -> None:
        """Write a line about something that has happened already.

        A full disk must not hide what Azure did: nothing more is started, but this machine is followed to its end.
        What the line would have said, the instance view tells the next run.
        """
        try:
            await writing
        except JournalError as error:
            self.campaign.stop("journal", str(error))


def _done(summary: Summary, entry: JournalEntry | None, ours: bool, joined: bool) -> Ending:
    by = "us" if ours else "other"
    return Ending("finished", by, joined, summary.activity_id or "", summary=summary, entry=entry)
