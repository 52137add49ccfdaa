# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the patch settings of a fleet to a state: read, refuse or PATCH what differs, follow it, read it back.

A settings request is sent once, and only on the model that was read (If-Match). It needs no journal: whether an answer
was lost or not, the machine itself shows what its settings are. Only Azure's 412, with which it says that the model has
changed and that it did nothing, leads to a new look, a new decision and another request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..azure.errors import AzureFailure, PollUrlGone
from ..azure.operations import Started
from ..clock import Clock
from ..domain.eligibility import check_overrides
from ..domain.patch_settings import (
    RULES,
    Wanted,
    change,
    difference,
    patch_body,
    refusals,
    to_arm,
    unread_settings,
    wanted_from,
)
from ..domain.reasons import Reason, texts
from ..domain.resource_id import ResourceId
from . import results
from .campaign import NotAdmitted, WaitEnded
from .context import Connect, connect
from .engine import COUNTS, Engine, conduct, failure_entry, summarize
from .guard import Guard
from .progress import Progress
from .pursuit import View
from .results import Entry
from .witness import TRANSIENT_KINDS

PRECONDITION_FAILED = 412
DECISIONS = 3
UPDATING = frozenset({"updating", "creating"})
LOST_LOOKS = 3
"""How often a machine is looked at after a lost answer before its settings count as unchanged."""


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
    """Bring the machines that the parameters name to the state that they ask for.

    Check mode reads and decides, and sends nothing. Raises InputError, LockHeld, JournalError, ClockError and
    AzureFailure for what stops the whole run.
    """
    wanted = wanted_from(params)
    overrides = check_overrides("preflight_overrides", params["preflight_overrides"])

    async def work(engine: Engine) -> dict[str, Any]:
        enroller = Enroller(engine, wanted, overrides, check_mode)
        entries = await engine.each(enroller.enroll)
        result = summarize(engine, entries, changed=enroller.changed)
        if diff:
            result["diff"] = [enroller.diffs[key] for key in sorted(enroller.diffs)]
        return result

    return conduct(params, clock, progress, environ, guard, "set", connect, work)


class Enroller:
    """One task's changes of settings."""

    def __init__(self, engine: Engine, wanted: Wanted, overrides: frozenset[str], check_mode: bool) -> None:
        self.engine = engine
        self.changed = False
        self.diffs: dict[str, dict[str, Any]] = {}
        self._wanted = wanted
        self._overrides = overrides
        self._check_mode = check_mode

    async def enroll(self, machine: ResourceId, entry: Entry) -> Entry:
        """Bring one machine to its entry."""
        self.engine.claim(machine)
        view = await self.engine.first_look(machine)
        if not self._check_mode:
            view = await self._settled(machine, view)
        for decision in range(1, DECISIONS + 1):
            told = self._without_sending(machine, view)
            if told is not None:
                return {**entry, **told}
            try:
                return await self._send(machine, entry, view)
            except AzureFailure as failure:
                if failure.status != PRECONDITION_FAILED or decision == DECISIONS:
                    raise
            view = await self._settled(machine, await self.engine.pursuit.look(machine))
        raise AssertionError("the last decision ends in an entry or an error")

    def _without_sending(self, machine: ResourceId, view: View) -> Entry | None:
        """The end of a machine to which nothing is sent, or None."""
        current = view.machine.patch_settings
        unread = unread_settings(current, self._wanted)
        if unread:
            return {"outcome": "failed", "reason_code": unread[0].code, "reason": texts(unread)}
        settings = change(current, self._wanted)
        if not settings:
            return {"outcome": "unchanged", "reason": f"The settings are those of state {self._wanted.state}."}
        against = refusals(view.machine, self._wanted, self._overrides)
        if against:
            return _refused(against)
        self._note_diff(machine, view)
        if not self._check_mode:
            return None
        self.changed = True
        return {"outcome": "would_change", "reason": f"Would set {_named(settings)}.", "patch_settings": settings}

    async def _send(self, machine: ResourceId, entry: Entry, view: View) -> Entry:
        """Send the one PATCH and follow it to its end.

        Raises:
            NotAdmitted: nothing may be sent any more, and nothing was.
            AzureFailure: Azure did not take it.
        """
        settings = change(view.machine.patch_settings, self._wanted)
        entry = {**entry, "patch_settings": settings}
        campaign, gateway = self.engine.campaign, self.engine.pursuit.gateway
        await campaign.admit(machine.key)
        try:
            started = await gateway.update(
                machine, patch_body(settings), lambda: campaign.check_start(machine.key), view.machine.etag
            )
        except NotAdmitted:
            self.diffs.pop(machine.key, None)
            raise
        except AzureFailure as failure:
            if not failure.uncertain:
                campaign.vacate(machine.key)
                self.diffs.pop(machine.key, None)
                raise
            return await self._after_lost_answer(machine, entry, failure)
        self.changed = True
        try:
            failed = await self._follow(machine, started)
            if failed is not None:
                return {**entry, **self._failure(failed)}
            if not self.engine.pursuit.wait:
                return {**entry, "outcome": "running", "reason": "Azure took the change; it was not waited for."}
            return {**entry, **self._read_back(await self._patiently_settled(machine), settings)}
        except WaitEnded as ended:
            return {**entry, "outcome": "running", "reason": f"Azure took the change. {ended.reason}"}
        except AzureFailure as failure:
            told = self._failure(failure)
            told["reason"] = f"Azure took the change, but what became of it is not known: {failure.sentence}"
            return {**entry, **told}

    async def _follow(self, machine: ResourceId, started: Started) -> AzureFailure | None:
        """Poll until the change is over; its failure, if it failed. A forgotten operation is read off the machine."""
        url, retry_after = started.poll_url, started.retry_after
        if not url or not self.engine.pursuit.wait:
            return None
        subscription = machine.subscription_id
        with self.engine.campaign.polled(subscription):
            while True:
                await self.engine.campaign.pause(subscription, retry_after)
                try:
                    polled = await self.engine.pursuit.gateway.poll(url)
                except PollUrlGone:
                    return None
                except AzureFailure as failure:
                    if failure.kind not in TRANSIENT_KINDS:
                        raise
                    retry_after = failure.retry_after
                    continue
                if polled.finished:
                    return polled.failure(f"change the settings of {machine.name}")
                url, retry_after = polled.next_url or url, polled.retry_after

    async def _after_lost_answer(self, machine: ResourceId, entry: Entry, lost: AzureFailure) -> Entry:
        """Read off the machine whether Azure took a request whose answer was lost; never send it again."""
        settings = entry["patch_settings"]
        try:
            for dummy in range(LOST_LOOKS):
                await self.engine.campaign.pause(machine.subscription_id)
                view = await self._patiently_settled(machine)
                if not difference(view.machine.patch_settings, self._wanted):
                    self.changed = True
                    told = self._read_back(view, settings)
                    told["reason"] += " The answer was lost; the machine shows the settings."
                    return {**entry, **told}
        except (WaitEnded, AzureFailure) as ended:
            why = ended.reason if isinstance(ended, WaitEnded) else ended.sentence
            self.changed = True
            reason = f"Whether Azure took the change is not known: its answer was lost. {why}"
            return {**entry, **self._failure(lost), "reason_code": "outcome_unknown", "reason": reason}
        self.diffs.pop(machine.key, None)
        told = self._failure(lost)
        why = "Azure's answer was lost, and the machine does not show the change; run again"
        told["reason"] = f"{why}. {lost.sentence}"
        return {**entry, **told}

    def _read_back(self, view: View, settings: Mapping[str, Any]) -> Entry:
        """The end of a change by what the machine now shows: accepted is not yet applied."""
        left = difference(view.machine.patch_settings, self._wanted)
        if not left:
            return {"outcome": "changed", "reason": f"Set {_named(settings)}."}
        shown = ", ".join(f"{name} is {found['actual']!r}" for name, found in left.items())
        reason = f"Azure reported the change as done, but the machine shows otherwise: {shown}."
        return {"outcome": "failed", "reason_code": "not_applied", "reason": reason}

    async def _settled(self, machine: ResourceId, view: View) -> View:
        """Wait until no other change of the model is under way: its settings would be neither old nor new.

        Raises:
            WaitEnded: the deadline came first.
        """
        while self.engine.pursuit.wait and (view.machine.provisioning_state or "").lower() in UPDATING:
            await self.engine.campaign.pause(machine.subscription_id)
            view = await self.engine.pursuit.look_patiently(machine)
        return view

    async def _patiently_settled(self, machine: ResourceId) -> View:
        return await self._settled(machine, await self.engine.pursuit.look_patiently(machine))

    def _failure(self, failure: AzureFailure) -> Entry:
        return failure_entry(failure, results.wants_details(self.engine.details, True))

    def _note_diff(self, machine: ResourceId, view: View) -> None:
        """Remember the settings before and after, in ARM's shape, for diff mode."""
        current = view.machine.patch_settings
        self.diffs[machine.key] = {
            "before_header": str(machine),
            "after_header": str(machine),
            "before": {"patchSettings": to_arm(current)},
            "after": {"patchSettings": to_arm(current, self._wanted)},
        }


def _refused(against: tuple[Reason, ...]) -> Entry:
    told = "; ".join(f"{reason.text} (by {RULES[reason.code].evidence})" for reason in against)
    codes = [reason.code for reason in against]
    return {
        "outcome": "refused",
        "reason_code": codes[0],
        "reason": f"Not sent, Azure would refuse it: {told}. To send it all the same, set preflight_overrides: {codes}",
        "reason_codes": codes,
        COUNTS: True,
    }


def _named(settings: Mapping[str, Any]) -> str:
    """The change in one line, as in ``enableHotpatching=True, rebootSetting=Never``."""
    parts = []
    for name, value in settings.items():
        parts += [_named(value)] if isinstance(value, Mapping) else [f"{name}={value}"]
    return ", ".join(parts)
