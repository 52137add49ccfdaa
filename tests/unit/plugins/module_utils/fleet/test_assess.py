# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessing: lists and counts, freshness, joining, and what is told when it does not work."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure, ErrorBody
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import results

from .conftest import Task
from .fake_azure import HOTPATCH, FakeAzure, FakeMachine, Timeline, offer


def test_updates_carry_win_updates_keys_and_arms(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", [offer()]))
    result = task("assess", azure, details="all")
    (entry,) = result["machines"]
    assert result["changed"] is False and entry["outcome"] == "assessed" and entry["found_update_count"] == 1
    patch_id = offer()["patchId"]
    assert entry["updates"] == {
        patch_id: {
            "id": patch_id,
            "title": f"2026-05 Update (KB{HOTPATCH})",
            "kb": [HOTPATCH],
            "categories": ["Security"],
            "downloaded": False,
            "installed": False,
            "reboot_behavior": "NeverReboots",
            "published_date": "2026-05-12T17:00:00Z",
        }
    }


@pytest.mark.parametrize("details", ["failures", "none"])
def test_an_entry_without_details_is_short(clock: Timeline, task: Task, details: str) -> None:
    azure = FakeAzure(clock, FakeMachine("a-machine-with-a-rather-long-name", [offer()]))
    (entry,) = task("assess", azure, details=details)["machines"]
    assert "updates" not in entry and results.size_of(entry) < 600


@pytest.mark.parametrize(
    ("max_age", "details", "passed", "posts"),
    [(0, "none", 200, 2), (3600, "none", 200, 1), (3600, "all", 200, 2), (3600, "none", 4000, 2)],
)
def test_a_fresh_summary_is_taken_where_counts_are_enough(
    clock: Timeline, task: Task, max_age: int, details: str, passed: float, posts: int
) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", [offer()]))
    task("assess", azure)
    clock.passed += passed
    (entry,) = task("assess", azure, max_age=max_age, details=details)["machines"]
    assert len(azure.posts) == posts and entry["outcome"] == "assessed" and entry["found_update_count"] == 1
    assert entry["source"] == ("instance_view" if posts == 1 else "assessment")


def test_a_summary_older_than_the_last_installation_is_not_taken(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", [offer()]))
    task("assess", azure)
    azure.platform_installs(next(iter(azure.machines.values())), 100)
    clock.passed += 200
    task("assess", azure, max_age=3600, details="none")
    assert len(azure.posts) == 2


def test_an_interrupted_assessment_is_joined(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", [offer()]))
    started = task("assess", azure, wait=False)
    assert started["machines"][0]["outcome"] == "running"
    (entry,) = task("assess", azure)["machines"]
    assert entry["outcome"] == "assessed" and entry["joined"] is True and len(azure.posts) == 1


def test_an_assessment_of_another_is_waited_for_and_then_made(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", [offer()]))
    azure._begin(next(iter(azure.machines.values())), "assess", 200, {"availablePatches": []})
    (entry,) = task("assess", azure)["machines"]
    assert entry["outcome"] == "assessed" and entry["started_by"] == "us"
    assert azure.posts[0][2] >= 200


def test_a_failed_assessment_is_told_in_azures_words(clock: Timeline, task: Task) -> None:
    error = ErrorBody("VMGuestPatchInternalError", "An internal execution error occurred. Please retry later.")
    azure = FakeAzure(clock, FakeMachine("vm1", operation_error=error), FakeMachine("vm2", [offer()]))
    result = task("assess", azure)
    bad, good = result["machines"]
    assert bad["outcome"] == "failed" and bad["error"]["code"] == "VMGuestPatchInternalError"
    assert good["outcome"] == "assessed" and result["failed"] is True


def test_a_refusal_is_told_in_azures_words(clock: Timeline, task: Task) -> None:
    denied = AzureFailure(
        "Could not assess: Azure answered 403.", kind="forbidden", status=403, code="AuthorizationFailed"
    )
    azure = FakeAzure(clock, FakeMachine("vm1", faults=[denied]))
    result = task("assess", azure, max_failures="100%")
    assert result["machines"][0]["error"]["code"] == "AuthorizationFailed" and "failed" not in result


def test_the_lagging_view_does_not_hold_up_the_next_step(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", [offer()]), view_lag=240)
    (entry,) = task("install", azure)["machines"]
    # 100 s to assess, 300 s to install, and not the minutes for which the view still shows the assessment.
    assert entry["outcome"] == "claimed" and clock.passed < 500


def test_stopped_machines_are_skipped(clock: Timeline, task: Task) -> None:
    result = task("assess", FakeAzure(clock, FakeMachine("vm1", power="stopped")))
    assert result["machines"][0]["outcome"] == "skipped" and "failed" not in result


def test_a_view_is_as_old_as_its_request_not_as_the_wait_for_its_turn(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", [offer()]))
    azure.queue_seconds = 300.0
    assert task("assess", azure)["counts"] == {"machines": 1, "assessed": 1}
    assert azure.reads == ["vm1"]
