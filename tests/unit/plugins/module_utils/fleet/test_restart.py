# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restarting: by word only, once, never sent again after a lost answer, and not over what else runs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso

from ..domain.builders import NOW
from .conftest import Task
from .fake_azure import FakeAzure, FakeMachine, SwitchGuard, Timeline

SINCE = to_iso(NOW)


def restarts(azure: FakeAzure) -> list[str]:
    return [name for kind, name, dummy in azure.posts if kind == "restart"]


def test_without_the_word_nothing_is_asked_of_azure(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1"))
    with pytest.raises(InputError, match="confirm"):
        task("restart", azure)
    assert azure.posts == [] and azure.reads == []


def test_each_machine_is_restarted_once(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1"), FakeMachine("vm2"), FakeMachine("off", power="deallocated"))
    result = task("restart", azure, confirm=True, once_since=SINCE)
    assert result["changed"] and result["counts"] == {"machines": 3, "restarted": 2, "skipped": 1}
    assert sorted(restarts(azure)) == ["vm1", "vm2"]
    again = task("restart", azure, confirm=True, once_since=SINCE)
    assert sorted(restarts(azure)) == ["vm1", "vm2"] and not again["changed"]
    assert {entry.get("reason_code") for entry in again["machines"]} == {"sent_before", "stopped"}
    # Another rollout began later: it is free to restart them.
    clock.passed += 100
    task("restart", azure, confirm=True, once_since=to_iso(NOW + timedelta(seconds=clock.passed)))
    assert sorted(restarts(azure)) == ["vm1", "vm1", "vm2", "vm2"]


@pytest.mark.parametrize("fault", ["lost", "lost_before"])
def test_a_lost_answer_is_never_sent_again(clock: Timeline, task: Task, fault: str) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", faults=[fault]))
    (entry,) = task("restart", azure, confirm=True, once_since=SINCE)["machines"]
    assert (entry["outcome"], entry["reason_code"]) == ("unknown", "answer_lost") and entry["sent"]
    clock.passed += 7200
    (entry,) = task("restart", azure, confirm=True, once_since=SINCE)["machines"]
    assert (entry["outcome"], entry["joined"]) == ("unknown", True) and restarts(azure) == ["vm1"]
    # Without a rollout that has to remember it, a new word counts again once it cannot be under way any more.
    (entry,) = task("restart", azure, confirm=True)["machines"]
    assert entry["outcome"] == "restarted" and restarts(azure) == ["vm1", "vm1"]


def test_it_waits_for_what_runs_and_is_refused_without_harm(clock: Timeline, task: Task) -> None:
    conflict = AzureFailure("Azure answered 409.", kind="conflict", status=409, code="Conflict")
    azure = FakeAzure(clock, FakeMachine("vm1", faults=[conflict, conflict]))
    (entry,) = task("restart", azure, confirm=True, once_since=SINCE)["machines"]
    assert entry["outcome"] == "restarted" and len(azure.machines[entry["id"].lower()].of("restart")) == 1


def test_a_refusal_is_a_failure_and_may_be_tried_again(clock: Timeline, task: Task) -> None:
    refused = AzureFailure("Azure answered 403.", kind="forbidden", status=403, code="AuthorizationFailed")
    azure = FakeAzure(clock, FakeMachine("vm1", faults=[refused]))
    result = task("restart", azure, confirm=True, once_since=SINCE)
    assert result["failed"] and result["machines"][0]["outcome"] == "failed"
    assert task("restart", azure, confirm=True, once_since=SINCE)["machines"][0]["outcome"] == "restarted"


def test_neither_check_mode_nor_a_dead_parent_nor_a_closed_window_restarts(
    clock: Timeline, task: Task, guard: SwitchGuard
) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1"))
    (entry,) = task("restart", azure, confirm=True, check_mode=True)["machines"]
    assert entry["outcome"] == "would_restart"
    late = {next(iter(azure.machines)): to_iso(NOW - timedelta(seconds=1))}
    (entry,) = task("restart", azure, confirm=True, latest_starts=late)["machines"]
    assert (entry["outcome"], entry["reason_code"]) == ("not_started", "would_not_finish")
    guard.reason = "its parent died"
    (entry,) = task("restart", azure, confirm=True)["machines"]
    assert entry["outcome"] == "not_started" and azure.posts == []
