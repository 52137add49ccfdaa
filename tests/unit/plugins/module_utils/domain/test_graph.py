# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of Resource Graph, and what they add to an installation that is known by its counts."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.graph import (
    graph_installation,
    graph_patch,
    with_patches,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.installation import (
    installation_from_summary,
    outcome,
)

ROW: dict[str, Any] = {
    "status": "Succeeded",
    "installationActivityId": "a-1",
    "startedBy": "Platform",
    "rebootStatus": "NotNeeded",
    "maintenanceWindowExceeded": False,
    "installedPatchCount": 1,
    "excludedPatchCount": 1,
    "failedPatchCount": 0,
    "startDateTime": "2026-05-13T01:00:00.1234567+00:00",
    "lastModifiedDateTime": "2026-05-13T01:05:00Z",
    "errorDetails": {"code": "Success", "details": [], "message": "0 error/s reported"},
}


def patch(kb: str, state: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/s/.../patchInstallationResults/a-1/softwarePatches/patch-{kb}",
        "properties": {"patchName": f"Update {kb}", "kbId": kb, "classifications": ["Security"],
                       "installationState": state},
    }  # fmt: skip


def test_a_row_is_a_summary_and_more() -> None:
    found = graph_installation(ROW)
    assert (found.reboot_status, found.started_by) == ("NotNeeded", "Platform")
    summary = found.summary
    assert (summary.status, summary.activity_id, summary.installed_patch_count) == ("Succeeded", "a-1", 1)
    assert summary.start_time is not None and summary.error is None
    assert graph_installation({}).summary.status == "Unknown"


def test_a_patch() -> None:
    found = graph_patch(patch("5087423", "Installed"))
    assert (found.patch_id, found.kb, found.state) == ("patch-5087423", "KB5087423", "Installed")
    assert graph_patch({"id": "x", "properties": None}).state == "Unknown"


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([patch("5087423", "Installed"), patch("890830", "Excluded")], "claimed"),
        ([patch("5087423", "Excluded"), patch("890830", "Installed")], "withheld"),
        ([patch("890830", "Installed")], "not_offered"),
        ([patch("5087423", "Pending")], "unlisted"),  # from before the end: the counts differ
        ([], "unlisted"),
    ],
)
def test_patches_are_taken_when_they_agree_with_the_counts(rows: list[dict[str, Any]], name: str) -> None:
    graph = graph_installation(ROW)
    known = with_patches(installation_from_summary(graph.summary), graph, map(graph_patch, rows))
    assert outcome(known, ["KB5087423"]).name == name
    assert known.reboot_status == "NotNeeded"
