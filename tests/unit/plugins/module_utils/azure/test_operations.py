# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading acceptances and polls, by the recorded bodies."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import parse_error_object
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.operations import (
    Operation,
    operation_from,
    started_from,
)

URL = (
    "https://management.azure.com/subscriptions/s/providers/Microsoft.Compute/locations/westus/operations/op-1?p=1&t=2"
)
RESULT = {"status": "Succeeded", "installationActivityId": "op-1", "patches": []}
AGENT_SILENT = {
    "startTime": "2023-10-31T09:36:48.2949297+00:00",
    "endTime": "2023-10-31T10:01:58.6716895+00:00",
    "status": "Failed",
    "error": {"code": "VMAgentStatusCommunicationError", "message": "VM 'vm-000003' has not reported status."},
    "name": "op-1",
}
ARC_LOCATION = "https://management.azure.com/subscriptions/s/providers/Microsoft.HybridCompute/locations/e/updateCenterOperationResults/op-2?t=2"


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (
            200,
            {},
            {"startTime": "a", "status": "InProgress", "name": "op-1"},
            Operation("InProgress", None, None, None, URL, "a"),
        ),
        (
            200,
            {},
            {"startTime": "a", "endTime": "b", "status": "Succeeded", "properties": {"output": RESULT}, "name": "op-1"},
            Operation("Succeeded", RESULT, None, None, URL, "a", "b"),
        ),
        (200, {}, {"status": "Succeeded", "name": "op-1"}, Operation("Succeeded", None, None, None, URL)),
        (200, {}, RESULT, Operation("Succeeded", RESULT, None, None, URL)),
        (200, {}, None, Operation("Succeeded", None, None, None, URL)),
        (204, {}, None, Operation("Succeeded", None, None, None, URL)),
        (202, {"Location": ARC_LOCATION}, None, Operation("InProgress", None, None, None, ARC_LOCATION)),
        (
            200,
            {},
            AGENT_SILENT,
            Operation(
                "Failed",
                None,
                parse_error_object(AGENT_SILENT["error"]),
                None,
                URL,
                str(AGENT_SILENT["startTime"]),
                str(AGENT_SILENT["endTime"]),
            ),
        ),
    ],
)
def test_polls(status: int, headers: dict[str, str], body: Any, expected: Operation) -> None:
    assert operation_from(status, headers, body, URL, None) == expected


@pytest.mark.parametrize(
    ("word", "finished"),
    [
        ("InProgress", False),
        ("Running", False),
        ("Accepted", False),
        ("Succeeded", True),
        ("Failed", True),
        ("Canceled", True),
    ],
)
def test_only_three_words_are_final(word: str, finished: bool) -> None:
    assert operation_from(200, {}, {"status": word, "name": "n"}, URL, None).finished is finished


@pytest.mark.parametrize(
    "body", [AGENT_SILENT, {"status": "Canceled", "name": "n"}, {"status": "Failed", "name": "n", "error": {}}]
)
def test_a_failed_operation_has_a_failure(body: Any) -> None:
    failure = operation_from(200, {}, body, URL, None).failure("assess machine m")
    assert failure is not None
    assert failure.sentence.startswith("Could not assess machine m: Azure ended it with an error ")
    assert failure.code == (body.get("error") or {}).get("code", body["status"])
    assert not failure.uncertain


def test_a_running_operation_has_none() -> None:
    assert operation_from(200, {}, {"status": "InProgress", "name": "n"}, URL, None).failure("x") is None


def test_acceptances() -> None:
    both = started_from(202, {"Azure-AsyncOperation": URL, "Location": f"{URL}&monitor=true"}, None, None)
    assert (both.activity_id, both.poll_url, both.location) == ("op-1", URL, f"{URL}&monitor=true")
    arc = started_from(202, {"Location": ARC_LOCATION}, None, 60.0)
    assert (arc.activity_id, arc.poll_url, arc.retry_after) == ("op-2", ARC_LOCATION, 60.0)
    final = started_from(200, {}, {"installationActivityId": "op-3"}, None)
    assert (final.activity_id, final.poll_url) == ("op-3", "")
