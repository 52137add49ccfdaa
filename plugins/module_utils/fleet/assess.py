# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask Azure which patches each machine is offered, or take an assessment that is fresh enough."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ..azure.operations import Started
from ..clock import Clock
from ..domain.assessment import Assessment, assessment_from_arm, is_fresh
from ..domain.patch_status import AssessmentSummary
from ..domain.resource_id import ResourceId
from ..domain.timestamps import to_iso
from . import results
from .context import Connect, at_least, connect
from .engine import Engine, conduct, failure_entry, must_run, summarize
from .guard import Guard
from .progress import Progress
from .pursuit import ASSESS, Check, Ending, Pursuit, View
from .results import Entry


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
    """Assess the machines that the parameters name.

    An assessment changes nothing in the guest, so that check mode makes no difference.
    Raises InputError, LockHeld, JournalError, ClockError and AzureFailure for what stops the whole run.
    """
    at_least(params, "max_age", 0)

    async def work(engine: Engine) -> dict[str, Any]:
        async def one(machine: ResourceId, entry: Entry) -> Entry:
            return await _assess_entry(engine, machine, entry)

        return summarize(engine, await engine.each(one), changed=False)

    return conduct(params, clock, progress, environ, guard, "assess", connect, work)


async def _assess_entry(engine: Engine, machine: ResourceId, entry: Entry) -> Entry:
    engine.claim(machine)
    view = await engine.first_look(machine)
    must_run(view)
    summary = view.machine.assessment
    if summary is not None and _usable(engine, view):
        return {**entry, "outcome": "assessed", "source": "instance_view", **_summary_fields(summary)}
    await engine.campaign.admit(machine.key)
    assessment, ending = await assess(engine.pursuit, machine, view)
    entry.update(started_by=ending.started_by, joined=ending.joined or None, source="assessment")
    if assessment is None:
        return {**entry, **unassessed(ending, results.wants_details(engine.details, True))}
    entry.update(outcome="assessed", **assessment_fields(assessment))
    if results.wants_details(engine.details, False):
        entry["updates"] = results.available_updates(assessment.patches)
    return entry


def _usable(engine: Engine, view: View) -> bool:
    """Whether the instance view's own summary is new enough; it has counts, so that lists need a new assessment."""
    max_age = int(engine.params["max_age"])
    if max_age == 0 or engine.details == "all":
        return False
    last = view.machine.installation.start_time if view.machine.installation else None
    age = timedelta(seconds=max_age)
    return is_fresh(view.machine.assessment, engine.clock.now(), age, last_installation_start=last)[0]


async def assess(pursuit: Pursuit, machine: ResourceId, view: View) -> tuple[Assessment | None, Ending]:
    """Assess one machine and return its patches, or None and how it ended instead.

    An assessment of another's is waited for, and then repeated: only our own poll URL leads to the list of patches.
    Raises NotAdmitted, JournalError, WaitEnded and AzureFailure as :class:`Pursuit` does.
    """

    async def send(check: Check) -> Started:
        return await pursuit.gateway.start_assessment(machine, check)

    for dummy in range(3):
        ending = await pursuit.start(machine, ASSESS, view, send)
        if ending.state != "finished":
            return None, ending
        found = assessment_from_arm(ending.result) if ending.result is not None else None
        status = found.status if found else _status(ending)
        await pursuit.close(ending, status)
        if found is not None:
            return (found if found.status == "Succeeded" else None), ending
        if ending.failure is not None:
            return None, ending
        view = await pursuit.look(machine)
    reason = "other assessments kept running on this machine, so that its patches could not be listed."
    return None, Ending("unknown", "other", reason=reason)


def _status(ending: Ending) -> str:
    if ending.failure is not None:
        return "Failed"
    return ending.summary.status if ending.summary is not None else "Succeeded"


def unassessed(ending: Ending, details: bool) -> Entry:
    """The part of an entry that tells why there is no assessment."""
    if ending.state == "running":
        return {
            "outcome": "running",
            "status": "InProgress",
            "assessment_activity_id": ending.activity_id,
            "reason": ending.reason,
        }
    if ending.failure is not None:
        return {**failure_entry(ending.failure, details), "assessment_activity_id": ending.activity_id}
    if ending.result is not None:
        found = assessment_from_arm(ending.result)
        error = dict(found.error) if found.error else None
        said = f": {(error or {}).get('message', '')}" if error else ""
        return {
            "outcome": "failed",
            "reason_code": "assessment_failed",
            "reason": f"Azure ended the assessment as {found.status}{said}",
            "status": found.status,
            "assessment_activity_id": found.activity_id,
            "error": error,
        }
    return {"outcome": "failed", "reason_code": "assessment_unknown", "reason": ending.reason}


def assessment_fields(assessment: Assessment) -> Entry:
    """What an entry says of an assessment, in ARM's words and win_updates' count."""
    return {
        "status": assessment.status,
        "assessment_activity_id": assessment.activity_id,
        "start_time": to_iso(assessment.start_time) if assessment.start_time else None,
        "reboot_pending": assessment.reboot_pending,
        "critical_and_security_patch_count": assessment.critical_and_security_patch_count,
        "other_patch_count": assessment.other_patch_count,
        "found_update_count": len(assessment.patches),
    }


def _summary_fields(summary: AssessmentSummary) -> Entry:
    counted = (summary.critical_and_security_patch_count, summary.other_patch_count)
    return {
        "status": summary.status,
        "assessment_activity_id": summary.activity_id,
        "start_time": to_iso(summary.start_time) if summary.start_time else None,
        "reboot_pending": summary.reboot_pending,
        "critical_and_security_patch_count": summary.critical_and_security_patch_count,
        "other_patch_count": summary.other_patch_count,
        "found_update_count": sum(counted) if None not in counted else None,
    }
