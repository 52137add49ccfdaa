# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.installation import (
    installation_from_arm,
    installation_from_summary,
    outcome,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.patch_status import InstallationSummary

from .builders import at

KB = "KB5087423"


def body(state: str | None = "Installed", **changes: Any) -> dict[str, Any]:
    """An installation in the shape recorded 2024-08, with our KB in that state (None: not in the list)."""
    patches = [
        {
            "patchId": "p-2",
            "name": "Windows Malicious Software Removal Tool x64 - v5.127 (KB890830)",
            "kbId": "890830",
            "classifications": ["UpdateRollUp"],
            "installationState": "Excluded",
        }
    ]
    if state is not None:
        patches.append(
            {
                "patchId": "p-1",
                "name": f"2026-05 Hotpatch ({KB})",
                "kbId": KB[2:],
                "classifications": ["Security"],
                "installationState": state,
            }
        )
    return {
        "status": "Succeeded",
        "installationActivityId": "59bd89d2-0000-48fd-81cf-6dfde73c3eb1",
        "rebootStatus": "NotNeeded",
        "maintenanceWindowExceeded": False,
        "excludedPatchCount": 1,
        "notSelectedPatchCount": 0,
        "pendingPatchCount": 0,
        "installedPatchCount": 1,
        "failedPatchCount": 0,
        "patches": patches,
        "startDateTime": "2026-05-13T01:00:07+00:00",
        "error": {"details": [], "code": "Success", "message": "0 error/s reported"},
        **changes,
    }


REAL_ERROR = {"code": "VMGuestPatchInternalError", "message": "An internal execution error occurred.", "details": []}


@pytest.mark.parametrize(
    ("result", "name", "code", "reason"),
    [
        (body(), "claimed", "installed", f"{KB} is Installed"),
        (body(error=None), "claimed", "installed", ""),
        # Excluded that nobody excluded, as recorded: the status says Succeeded all the same
        (body("Excluded", installedPatchCount=0, excludedPatchCount=2), "withheld", "excluded", "Excluded"),
        (body("NotSelected"), "withheld", "not_selected", "NotSelected"),
        (body("Excluded", rebootStatus="Required"), "withheld", "excluded", ""),
        (body(None), "not_offered", "not_in_list", f"{KB} is not in the list"),
        (body(None, patches=[]), "not_offered", "not_in_list", ""),
        (body("Failed"), "failed", "patch_failed", "Failed"),
        (body("Pending"), "failed", "patch_failed", "Pending"),
        (body("Unknown"), "failed", "patch_failed", "Unknown"),
        (body("SomethingNew"), "failed", "patch_failed", "SomethingNew"),
        # The run itself
        (body(status="Failed"), "failed", "status_failed", "Azure says Failed, 1 installed"),
        (body(status="Failed", error=REAL_ERROR), "failed", "status_failed", "VMGuestPatchInternalError: An internal"),
        (body(status="CompletedWithWarnings"), "failed", "warnings", "CompletedWithWarnings"),
        (body(status="InProgress"), "failed", "not_finished", "InProgress"),
        (body(status="Unknown"), "failed", "not_finished", "Unknown"),
        ({}, "failed", "not_finished", "Unknown"),
        (body(maintenanceWindowExceeded=True), "failed", "window_exceeded", "maximum duration"),
        (
            body(status="Failed", maintenanceWindowExceeded=True, pendingPatchCount=2),
            "failed",
            "window_exceeded",
            "2 pending",
        ),
        (body(failedPatchCount=1), "failed", "patches_failed", "1 failed"),
        (body(pendingPatchCount=1), "failed", "patches_pending", "1 pending"),
        (body(rebootStatus="Failed"), "failed", "reboot_failed", "restart failed"),
        (body(error=REAL_ERROR), "failed", "error", "adds an error"),
        # No list to read
        (body(patches=None), "unlisted", "patches_unread", "lists no patches"),
        (body(patches=None, status="Failed"), "failed", "status_failed", ""),
    ],
)
def test_outcome_of_a_wanted_kb(result: dict[str, Any], name: str, code: str, reason: str) -> None:
    found = outcome(installation_from_arm(result), {KB})
    assert (found.name, found.code) == (name, code)
    assert reason in found.reason


def entry(kb: str, state: str) -> dict[str, Any]:
    return {"patchId": kb + state, "name": kb, "kbId": kb[2:], "classifications": [], "installationState": state}


@pytest.mark.parametrize(
    ("states", "name"),
    [
        ([(KB, "Installed"), ("KB5087424", "Installed")], "claimed"),
        ([(KB, "Installed")], "not_offered"),
        ([(KB, "Installed"), ("KB5087424", "Excluded")], "withheld"),
        ([(KB, "Excluded"), ("KB5087424", "Failed")], "failed"),
        ([(KB, "Excluded"), (KB, "NotSelected"), ("KB5087424", "Installed")], "withheld"),
        ([(KB, "Excluded"), (KB, "NotSelected"), (KB, "Installed"), ("KB5087424", "Installed")], "claimed"),
        ([(KB, "NotSelected")], "withheld"),  # withheld is told before not offered
        ([(KB, "Installed"), (KB, "NotSelected"), ("KB5087424", "Installed")], "claimed"),  # listed twice
        ([(KB, "Installed"), (KB, "Failed"), ("KB5087424", "Installed")], "failed"),
    ],
)
def test_the_worst_of_several_kbs_speaks(states: list[tuple[str, str]], name: str) -> None:
    result = body(patches=[entry(kb, state) for kb, state in states])
    assert outcome(installation_from_arm(result), [KB, "KB5087424"]).name == name


def test_a_withheld_kb_is_told_with_its_reboot_behavior() -> None:
    found = outcome(installation_from_arm(body("Excluded")), [KB], {KB: "CanRequestReboot"})
    assert found.reason == f"{KB} came back Excluded (rebootBehavior CanRequestReboot)"


def test_a_selection_by_class_is_judged_by_the_run_alone() -> None:
    assert outcome(installation_from_arm(body(None, installedPatchCount=0)), ()).name == "claimed"
    assert outcome(installation_from_arm(body(failedPatchCount=1)), ()).name == "failed"
    # Nothing installed is said in so many words; the other zeros are left out.
    assert outcome(installation_from_arm(body(None, installedPatchCount=0)), ()).reason == "0 installed, 1 excluded"
    assert outcome(installation_from_arm({"status": "Succeeded"}), ()).reason == "no counts"


def test_reads_a_recorded_installation() -> None:
    found = installation_from_arm(body())
    assert (found.error, found.reboot_status, found.window_exceeded) == (None, "NotNeeded", False)
    assert found.start_time == at(7 / 60)
    assert found.patches.value is not None
    assert [(patch.kb, patch.state) for patch in found.patches.value] == [("KB890830", "Excluded"), (KB, "Installed")]
    assert json.loads(json.dumps(found.to_dict()))["patches"]["value"][1]["kb"] == KB


@pytest.mark.parametrize(
    ("status", "finished"),
    [("Succeeded", True), ("Failed", True), ("CompletedWithWarnings", True), ("InProgress", False), ("Unknown", False)],
)
def test_finished(status: str, finished: bool) -> None:
    assert installation_from_arm({"status": status}).finished is finished


def test_the_instance_views_summary_has_counts_only() -> None:
    summary = InstallationSummary(
        status="Succeeded", activity_id="i-1", installed_patch_count=1, excluded_patch_count=4, start_time=at(0)
    )
    found = installation_from_summary(summary)
    assert (found.activity_id, found.reboot_status, found.start_time) == ("i-1", None, at(0))
    # A count of one may be any patch: it claims nothing about our KB.
    result = outcome(found, [KB])
    assert (result.name, result.code) == ("unlisted", "patches_unread")
    assert result.reason.startswith("1 installed, 4 excluded, but which patches")
