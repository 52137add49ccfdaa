# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.assessment import (
    Assessment,
    assessment_from_arm,
    is_fresh,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.patch_status import AssessmentSummary

from .builders import NOW, at

# The shape recorded 2020-08: digits only, offsets, no version, no error.
BODY: dict[str, Any] = {
    "status": "Succeeded",
    "assessmentActivityId": "4d72b76e-0000-4d6f-9560-66fc0cd5ed28",
    "rebootPending": True,
    "criticalAndSecurityPatchCount": 1,
    "otherPatchCount": 1,
    "startDateTime": "2026-05-13T00:14:58.1467491+00:00",
    "availablePatches": [
        {
            "patchId": "p-1",
            "name": "2026-05 Hotpatch (KB5087423)",
            "kbId": "5087423",
            "classifications": ["Security"],
            "rebootBehavior": "NeverReboots",
            "publishedDate": "2026-05-12T00:00:00+00:00",
            "activityId": "4d72b76e-0000-4d6f-9560-66fc0cd5ed28",
            "lastModifiedDateTime": "2026-05-13T00:16:38.0109206+00:00",
            "assessmentState": "Available",
        },
        {
            "patchId": "p-2",
            "name": "Windows Malicious Software Removal Tool x64 (KB890830)",
            "kbId": "890830",
            "classifications": ["UpdateRollUp"],
            "rebootBehavior": "CanRequestReboot",
            "publishedDate": "2026-05-12T00:00:00+00:00",
        },
        {"patchId": "p-3", "name": "Driver", "kbId": None, "classifications": None, "publishedDate": "soon"},
    ],
}


def test_reads_a_recorded_assessment() -> None:
    found = assessment_from_arm(BODY)
    assert (found.status, found.reboot_pending, found.error) == ("Succeeded", True, None)
    assert found.start_time == datetime(2026, 5, 13, 0, 14, 58, 146749, timezone.utc)
    assert [(patch.kb, patch.reboot_behavior, patch.classifications) for patch in found.patches] == [
        ("KB5087423", "NeverReboots", ("Security",)),
        ("KB890830", "CanRequestReboot", ("UpdateRollUp",)),
        (None, "Unknown", ()),
    ]
    assert found.patches[2].published is None
    assert json.loads(json.dumps(found.to_dict()))["patches"][0]["kb"] == "KB5087423"


def test_offer() -> None:
    found = assessment_from_arm(BODY)
    offered = found.offer("KB5087423")
    assert offered is not None
    assert offered.patch_id == "p-1"
    assert found.offer("KB5082063") is None


@pytest.mark.parametrize(
    "body", [{}, {"availablePatches": None}, {"availablePatches": "none"}, {"availablePatches": [None]}]
)
def test_an_answer_that_says_nothing_is_no_success(body: dict[str, Any]) -> None:
    found = assessment_from_arm(body)
    assert (found.status, found.patches, found.start_time) == ("Unknown", (), None)


GOOD = AssessmentSummary(status="Succeeded", activity_id="a", start_time=at(-30))


@pytest.mark.parametrize(
    ("changes", "arguments", "fresh", "reason"),
    [
        ({}, {}, True, "1800 s ago"),
        ({}, {"release_date": date(2026, 5, 12)}, True, "assessed"),
        ({}, {"last_installation_start": at(-60), "last_boot": at(-600)}, True, "assessed"),
        ({"start_time": at(4)}, {}, True, "assessed 0 s ago"),  # Azure's clock a little ahead
        ({"status": "succeeded"}, {}, True, "assessed"),
        ({"status": "InProgress"}, {}, False, "InProgress"),
        ({"status": "Failed"}, {}, False, "Failed"),
        ({"status": "Unknown"}, {}, False, "Unknown"),
        ({"status": "CompletedWithWarnings"}, {}, False, "CompletedWithWarnings"),
        ({"error": {"code": "X", "message": "broken"}}, {}, False, "X: broken"),
        ({"start_time": None}, {}, False, "not known"),
        ({"start_time": at(6)}, {}, False, "clocks differ"),
        ({"start_time": at(-61)}, {}, False, "3660 s old"),
        ({"start_time": at(-60)}, {}, True, "3600 s ago"),
        ({}, {"release_date": date(2026, 5, 13)}, False, "release of 2026-05-13"),
        ({}, {"last_installation_start": at(-30)}, False, "last installation"),
        ({}, {"last_installation_start": at(-10)}, False, "last installation"),
        ({}, {"last_boot": at(-10)}, False, "last boot"),
    ],
)
def test_is_fresh(changes: dict[str, Any], arguments: dict[str, Any], fresh: bool, reason: str) -> None:
    found, why = is_fresh(replace(GOOD, **changes), NOW, timedelta(hours=1), **arguments)
    assert found is fresh
    assert reason in why


def test_an_assessment_of_the_morning_of_patch_tuesday_is_older_than_the_release() -> None:
    morning = replace(GOOD, start_time=datetime(2026, 5, 12, 17, 59, tzinfo=timezone.utc))
    assert not is_fresh(morning, NOW, timedelta(days=1), date(2026, 5, 12))[0]
    evening = replace(GOOD, start_time=datetime(2026, 5, 12, 18, 0, tzinfo=timezone.utc))
    assert is_fresh(evening, NOW, timedelta(days=1), date(2026, 5, 12))[0]


def test_never_assessed_is_not_fresh() -> None:
    assert is_fresh(None, NOW, timedelta(hours=1)) == (False, "never assessed")


def test_takes_a_whole_assessment_too() -> None:
    found: Assessment = assessment_from_arm(BODY)
    assert is_fresh(found, NOW, timedelta(hours=1))[0]
