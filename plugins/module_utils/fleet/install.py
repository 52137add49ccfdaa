# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install patches on a fleet: select from a fresh assessment, start once, follow, and say what Azure claims.

Nothing is sent to a machine whose assessment offers nothing that the selection takes.  An installation that runs
already, ours from an earlier run or somebody else's, is joined instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from ..azure.operations import Started
from ..clock import Clock
from ..domain.assessment import Assessment, AvailablePatch
from ..domain.installation import Installation, installation_from_arm, installation_from_summary, outcome
from ..domain.machine import Machine
from ..domain.patch_status import InstallationSummary
from ..domain.resource_id import ResourceId
from ..domain.selection import Selection, apply, make_selection, to_arm
from ..domain.timestamps import to_iso
from . import results
from .assess import assess, unassessed
from .campaign import NotAdmitted
from .context import Connect, at_least, connect
from .engine import COUNTS, Engine, Skip, conduct, failure_entry, must_run, summarize
from .given import GivenAssessments
from .guard import Guard
from .progress import Progress
from .pursuit import INSTALL, Check, Ending, View
from .results import Entry

DEFAULT_CLASSIFICATIONS = ("Critical", "Security")
JOIN_ONLY = "join_only"
"""Reason code of a machine on which nothing may be started, and nothing ran any more."""
RESTARTED = frozenset({"Started", "Completed", "Failed"})
"""Values of ARM's rebootStatus that mean the machine did restart, or tried to."""

Filtered = list[tuple[AvailablePatch, tuple[str, ...]]]


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
    """Install what the parameters select on the machines they name.

    Check mode selects and installs nothing; it assesses where no fresh assessment is given, which changes nothing in
    the guest.  Raises InputError, LockHeld, JournalError, ClockError and AzureFailure for what stops the whole run.
    """
    selection = read_selection(params)
    own = read_own_selections(params, selection)
    at_least(params, "max_age", 0)
    given = GivenAssessments(params.get("assessments") or (), int(params["max_age"]))

    async def work(engine: Engine) -> dict[str, Any]:
        installer = Installer(engine, selection, given, check_mode, own)
        entries = await engine.each(installer.install)
        result = summarize(engine, entries, changed=installer.changed)
        if diff:
            result["diff"] = [installer.diffs[key] for key in sorted(installer.diffs)]
        return result

    return conduct(params, clock, progress, environ, guard, "install", connect, work)


def read_selection(params: Mapping[str, Any]) -> Selection:
    """The selection of the options; without any list, Critical and Security.

    Raises:
        InputError: a KB, classification, date or duration that cannot be.
    """
    classifications = params.get("classifications_to_include")
    included = params.get("kb_numbers_to_include")
    if classifications is None:
        # An empty list is one that somebody worked out, and it must not turn into everything.
        classifications = DEFAULT_CLASSIFICATIONS if included is None else ()
    return make_selection(
        classifications,
        included or (),
        params.get("kb_numbers_to_exclude") or (),
        exclude_kbs_requiring_reboot=bool(params["exclude_kbs_requiring_reboot"]),
        max_patch_publish_date=params.get("max_patch_publish_date"),
        reboot_setting=str(params["reboot_setting"]),
        maximum_duration=str(params["maximum_duration"]),
    )


def read_own_selections(params: Mapping[str, Any], common: Selection) -> dict[str, Selection]:
    """The selections of machines with a list of KBs of their own, by lower-case ARM ID: that list and nothing else.

    Raises:
        InputError: a KB that is none, or no KB for a machine.
    """
    found = {}
    restarting = {str(item).lower() for item in params.get("include_kbs_requiring_reboot_on") or ()}
    for resource_id, kbs in (params.get("kb_numbers_by_machine") or {}).items():
        only_never = common.exclude_kbs_requiring_reboot and str(resource_id).lower() not in restarting
        own = make_selection(
            (),
            kbs if isinstance(kbs, (list, tuple)) else [kbs],
            common.kb_exclude,
            exclude_kbs_requiring_reboot=only_never,
            max_patch_publish_date=common.max_patch_publish_date,
            reboot_setting=common.reboot_setting,
            maximum_duration=common.maximum_duration,
        )
        found[str(resource_id).lower()] = own
    return found


class Installer:
    """One task's installations."""

    def __init__(
        self,
        engine: Engine,
        selection: Selection,
        given: GivenAssessments,
        check_mode: bool,
        own: Mapping[str, Selection] | None = None,
    ) -> None:
        self.engine = engine
        self.changed = False
        self.diffs: dict[str, dict[str, str]] = {}
        self._common = selection
        self._own = dict(own or {})
        self._join_only = {str(item).lower() for item in engine.params.get("join_only") or ()}
        self._given = given
        self._check_mode = check_mode
        self._unseen = len(engine.machines)
        self._all_seen = asyncio.Event()

    async def install(self, machine: ResourceId, entry: Entry) -> Entry:
        """Bring one machine to its entry."""
        engine, pursuit = self.engine, self.engine.pursuit
        try:
            engine.claim(machine)
            view = await engine.first_look(machine)
            if pursuit.is_running(machine, INSTALL, view):
                engine.campaign.occupy(machine.key)
        finally:
            self._seen()
        if self._check_mode:
            if pursuit.is_running(machine, INSTALL, view):
                reason = "An installation is in progress, which would be joined."
                return {**entry, "outcome": "running", "reason": reason}
        else:
            ending, view = await pursuit.join(machine, INSTALL, view)
            if ending is not None:
                return await self._ended(machine, entry, ending, {})
            if machine.key in self._join_only:
                raise NotAdmitted(JOIN_ONLY, "Nothing runs on it any more, and nothing may be started on it.")
        must_run(view)
        _must_be_windows(view.machine)
        assessment = self._given.fresh(machine, view, engine.clock.now())
        if assessment is None:
            assessment, assessed = await assess(pursuit, machine, view)
            if assessment is None:
                return self._without_assessment(entry, assessed)
        return await self._install_selected(machine, entry, view, assessment)

    def _selection(self, machine: ResourceId) -> Selection:
        return self._own.get(machine.key, self._common)

    def _seen(self) -> None:
        """Count the machines whose state is known: only then is it known how many run already."""
        self._unseen -= 1
        if self._unseen <= 0:
            self._all_seen.set()

    async def _everybody_seen(self) -> None:
        if self._all_seen.is_set():
            # Whoever was seen last need not wait; let those before it go first, in the order the user gave.
            await asyncio.sleep(0)
        await self._all_seen.wait()

    def _without_assessment(self, entry: Entry, ending: Ending) -> Entry:
        told = unassessed(ending, results.wants_details(self.engine.details, True))
        if told["outcome"] == "running":
            # The assessment runs, the installation was never started.
            told.update(outcome="not_started", reason_code="assessment_running")
        return {**entry, **told}

    async def _install_selected(self, machine: ResourceId, entry: Entry, view: View, assessment: Assessment) -> Entry:
        selection = self._selection(machine)
        selected, filtered = apply(selection, assessment)
        entry["found_update_count"] = len(selected)
        if not selected:
            return self._nothing_to_install(machine, entry, assessment, filtered)
        entry["kbs"] = sorted({patch.kb for patch in selected if patch.kb})
        self._note_diff(machine, selected, "would be installed" if self._check_mode else "outstanding")
        if self._check_mode:
            self.changed = True
            told = self._lists(False, results.available_updates(selected), filtered)
            return {**entry, "outcome": "would_install", "reason": f"Would install {_named(selected)}.", **told}
        campaign = self.engine.campaign
        if self.engine.params.get("max_concurrent") is not None:
            await self._everybody_seen()
        await campaign.admit(machine.key)
        body = to_arm(selection)

        def leaves(check: Check) -> None:
            # A KB may be blocked at any moment, also between the choice and the sending.
            blocked = self.engine.campaign.blocked()
            for kb in entry["kbs"]:
                if kb in blocked:
                    raise NotAdmitted("kb_blocked", f"{kb} is {blocked[kb]}.")
            check()

        async def send(check: Check) -> Started:
            gateway = self.engine.pursuit.gateway
            started = await gateway.start_installation(machine, body, lambda: leaves(check))
            self.engine.tell("machine_started", machine, kbs=entry["kbs"], activity_id=started.activity_id)
            return started

        ending = await self.engine.pursuit.start(machine, INSTALL, view, send)
        offered = {patch.kb: patch for patch in assessment.patches if patch.kb}
        return await self._ended(machine, entry, ending, offered, filtered)

    def _wanted(self, machine: ResourceId, known: set[str]) -> tuple[str, ...]:
        """The KBs to judge a machine by: of those named the ones that it is offered, or all when it is offered none.

        A list for a whole fleet names KBs of several products, of which each machine is offered its own.
        """
        named = self._selection(machine).kb_include
        return tuple(kb for kb in named if kb in known) or named

    def _nothing_to_install(
        self, machine: ResourceId, entry: Entry, assessment: Assessment, filtered: Filtered
    ) -> Entry:
        """Why the assessment leaves nothing to send: the wanted KBs are not offered or held back, or all is well."""
        wanted = self._selection(machine).kb_include
        done = self.engine.pursuit.journal.installed(machine.key)
        held = [
            (patch, why) for patch, why in filtered if patch.kb in wanted or (not wanted and "not_selected" not in why)
        ]
        missing = [kb for kb in wanted if assessment.offer(kb) is None]
        if held:
            told = _told("withheld", held[0][1][0], f"Held back: {_held(held)}.")
        elif any(kb in done for kb in missing):
            known = [kb for kb in missing if kb in done]
            before = ", ".join(f"{kb} by {done[kb].activity_id} on {to_iso(done[kb].time)}" for kb in known)
            told = _told("claimed", "installed_before", f"Installed before: {before}.")
        elif missing:
            why = "Azure offers it no longer or not yet; only the guest can tell whether it is installed"
            told = _told("not_offered", "not_in_assessment", f"{', '.join(missing)}: {why}.")
        else:
            told = _told("nothing", "nothing_outstanding", "Nothing selected is outstanding.")
        failed = bool(wanted) and told["outcome"] in ("withheld", "not_offered")
        entry.update(told, installed_update_count=0, failed_update_count=0)
        entry[COUNTS] = failed
        entry.update(self._lists(failed, {}, filtered))
        return entry

    async def _ended(
        self,
        machine: ResourceId,
        entry: Entry,
        ending: Ending,
        offered: Mapping[str, AvailablePatch],
        filtered: Filtered | None = None,
    ) -> Entry:
        """Turn the end of an installation into the entry, and note it in the journal when it was ours."""
        entry.update(started_by=ending.started_by, joined=ending.joined or None)
        entry["installation_activity_id"] = ending.activity_id
        if ending.state == "running":
            return {**entry, "outcome": "running", "status": "InProgress", "reason": ending.reason}
        found = _installation(ending)
        witness = self.engine.pursuit.witness
        if found is not None and ending.result is None and witness is not None:
            found = await witness.listed(machine, found)
        if found is None:
            if ending.state == "finished":
                await self.engine.pursuit.close(ending, "Failed")
            return {**entry, **_without_result(ending, results.wants_details(self.engine.details, True))}
        behaviors = {kb: patch.reboot_behavior for kb, patch in offered.items()}
        patches = found.patches.value or ()
        wanted = self._wanted(machine, {*offered, *(patch.kb for patch in patches if patch.kb)})
        judged = outcome(found, wanted, behaviors)
        installed = tuple(sorted({patch.kb for patch in patches if patch.state == "Installed" and patch.kb}))
        await self.engine.pursuit.close(ending, found.status, installed if ending.started_by == "us" else ())
        if ending.started_by == "us" and (found.installed_patch_count or installed):
            self.changed = True
            self._note_diff(machine, [offered[kb] for kb in installed if kb in offered], "installed")
        told = _told(judged.name, judged.code, judged.reason + _restart_told(found, self._common))
        if _restarted_unasked(found, self._common):
            told.update(outcome="failed", reason_code="restarted_unasked")
        failed = told["outcome"] != "claimed"
        told_event = {"outcome": told["outcome"], "status": found.status, "started_by": ending.started_by}
        self.engine.tell("machine_installed", machine, activity_id=found.activity_id, **told_event)
        entry.update(_installation_fields(found), **told)
        entry[COUNTS] = failed
        entry.update(self._lists(failed, results.installed_updates(patches), filtered or []))
        if failed and found.error:
            entry["error"] = _error(found.error, results.wants_details(self.engine.details, True))
        return entry

    def _lists(self, failed: bool, updates: dict[str, Any], filtered: Filtered) -> Entry:
        if not results.wants_details(self.engine.details, failed):
            return {}
        return {"updates": updates, "filtered_updates": results.filtered_updates(filtered)}

    def _note_diff(self, machine: ResourceId, patches: list[AvailablePatch], state: str) -> None:
        """Remember before and after for diff mode: which KBs are outstanding, and which are installed."""
        lines = "".join(f"{patch.kb or patch.name} {{}}\n" for patch in patches)
        found = self.diffs.setdefault(machine.key, {"before_header": str(machine), "after_header": str(machine)})
        found.setdefault("before", lines.format(*["outstanding"] * len(patches)))
        found["after"] = lines.format(*[state] * len(patches))


def _must_be_windows(machine: Machine) -> None:
    if machine.os_type.known and str(machine.os_type.value).lower() != "windows":
        raise Skip("not_windows", f"The operating system is {machine.os_type.value}; only Windows is patched here.")


def _installation(ending: Ending) -> Installation | None:
    if ending.result is not None:
        return installation_from_arm(ending.result)
    if isinstance(ending.summary, InstallationSummary):
        return installation_from_summary(ending.summary)
    return None


def _without_result(ending: Ending, details: bool) -> Entry:
    """The part of an entry for an installation that left no result: refused, failed as an operation, or unknown."""
    told: Entry = {"outcome": "failed", "reason_code": f"installation_{ending.state}", "reason": ending.reason}
    if ending.failure is not None:
        told.update(failure_entry(ending.failure, details))
    if ending.state == "unknown":
        told["reason"] = f"Whether it was installed is not known: {ending.reason}"
        told["reason_code"] = "outcome_unknown"
    elif not told["reason"]:
        told["reason"] = "Azure ended the installation without saying what it did."
    return told


def _installation_fields(found: Installation) -> Entry:
    """What an entry says of an installation, in ARM's words and win_updates' counts."""
    return {
        "status": found.status,
        "installation_activity_id": found.activity_id,
        "start_time": to_iso(found.start_time) if found.start_time else None,
        "reboot_status": found.reboot_status,
        "reboot_required": found.reboot_status == "Required" if found.reboot_status else None,
        "maintenance_window_exceeded": found.window_exceeded or None,
        "installed_update_count": found.installed_patch_count,
        "failed_update_count": found.failed_patch_count,
    }


def _restarted_unasked(found: Installation, selection: Selection) -> bool:
    return found.reboot_status in RESTARTED and selection.reboot_setting == "Never"


def _restart_told(found: Installation, selection: Selection) -> str:
    """A restart is never left untold, asked for or not."""
    if found.reboot_status not in RESTARTED:
        return ""
    asked = "although reboot_setting is Never" if selection.reboot_setting == "Never" else "as reboot_setting allows"
    return f". Azure reports rebootStatus {found.reboot_status}: the machine restarted {asked}"


def _error(error: Mapping[str, Any], details: bool) -> dict[str, Any]:
    return dict(error) if details else {key: error[key] for key in ("code", "message") if error.get(key)}


def _told(outcome_name: str, code: str, reason: str) -> Entry:
    return {"outcome": outcome_name, "reason_code": code, "reason": reason}


def _named(patches: list[AvailablePatch]) -> str:
    return ", ".join(patch.kb or patch.name for patch in patches)


def _held(filtered: Filtered) -> str:
    return ", ".join(f"{patch.kb or patch.name} ({patch.reboot_behavior}; {', '.join(why)})" for patch, why in filtered)
