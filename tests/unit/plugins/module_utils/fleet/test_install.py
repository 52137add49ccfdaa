# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing: what is sent, how often, and what is told; judged by what the fake Azure received."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure, ErrorBody
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import results
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.journal import Journal

from .conftest import Task
from .fake_azure import BASELINE, HOTPATCH, FakeAzure, FakeMachine, SwitchGuard, Timeline, offer

KB = f"KB{HOTPATCH}"


def of(azure: FakeAzure, kind: str) -> list[str]:
    """The machines that a POST of this kind was sent to, in order."""
    return [name for sent, name, dummy in azure.posts if sent == kind]


def fleet(clock: Timeline, number: int, **more: Any) -> FakeAzure:
    return FakeAzure(clock, *(FakeMachine(f"vm{index}", [offer()], **more) for index in range(1, number + 1)))


def test_one_machine_is_patched_once_and_told(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    result = task("install", azure, kb_numbers_to_include=[HOTPATCH])
    (entry,) = result["machines"]
    assert result["changed"] is True and "failed" not in result
    assert entry["outcome"] == "claimed" and entry["started_by"] == "us"
    assert (entry["found_update_count"], entry["installed_update_count"], entry["failed_update_count"]) == (1, 1, 0)
    assert entry["kbs"] == [KB] and entry["reboot_status"] == "NotNeeded" and entry["reboot_required"] is False
    assert entry["installation_activity_id"] == azure.machines[entry["id"].lower()].of("install")[0].activity_id
    assert of(azure, "assess") == of(azure, "install") == ["vm1"]
    assert result["counts"] == {"machines": 1, "claimed": 1}
    assert 400 <= result["duration"] <= 500


@pytest.mark.parametrize(
    ("options", "body"),
    [
        (
            {},
            {
                "maximumDuration": "PT2H",
                "rebootSetting": "Never",
                "windowsParameters": {
                    "classificationsToInclude": ["Critical", "Security"],
                    "excludeKbsRequiringReboot": True,
                },
            },
        ),
        (
            {"kb_numbers_to_include": [f"kb{HOTPATCH}"], "maximum_duration": "PT90M"},
            {
                "maximumDuration": "PT1H30M",
                "rebootSetting": "Never",
                "windowsParameters": {"kbNumbersToInclude": [KB], "excludeKbsRequiringReboot": True},
            },
        ),
        (
            {
                "classifications_to_include": ["Security"],
                "kb_numbers_to_exclude": [BASELINE],
                "exclude_kbs_requiring_reboot": False,
                "max_patch_publish_date": "2026-05-13T00:00:00+02:00",
                "reboot_setting": "IfRequired",
            },
            {
                "maximumDuration": "PT2H",
                "rebootSetting": "IfRequired",
                "windowsParameters": {
                    "classificationsToInclude": ["Security"],
                    "kbNumbersToExclude": [f"KB{BASELINE}"],
                    "excludeKbsRequiringReboot": False,
                    "maxPatchPublishDate": "2026-05-12T22:00:00Z",
                },
            },
        ),
    ],
)
def test_the_body_on_the_wire(clock: Timeline, task: Task, options: dict[str, Any], body: dict[str, Any]) -> None:
    azure = fleet(clock, 1)
    task("install", azure, **options)
    assert [sent for machine in azure.machines.values() for sent in machine.bodies] == [body]


def test_a_second_run_changes_nothing_and_says_so(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    task("install", azure, kb_numbers_to_include=[KB])
    again = task("install", azure, kb_numbers_to_include=[KB])
    (entry,) = again["machines"]
    assert again["changed"] is False and "failed" not in again
    assert (entry["outcome"], entry["reason_code"]) == ("claimed", "installed_before")
    assert of(azure, "install") == ["vm1"]


@pytest.mark.parametrize(
    ("offers", "options", "outcome", "reason", "fails"),
    [
        ([], {}, "nothing", "outstanding", False),
        ([], {"kb_numbers_to_include": [KB]}, "not_offered", KB, True),
        ([offer(behavior="CanRequestReboot")], {}, "withheld", f"{KB} (CanRequestReboot; may_reboot)", False),
        ([offer(behavior="Unknown")], {"kb_numbers_to_include": [KB]}, "withheld", "Unknown", True),
        ([offer(classification="Definition")], {}, "nothing", "outstanding", False),
        ([offer()], {"kb_numbers_to_exclude": [KB]}, "withheld", "kb_excluded", False),
    ],
)
def test_nothing_is_sent_when_nothing_is_selected(
    clock: Timeline,
    task: Task,
    offers: list[dict[str, Any]],
    options: dict[str, Any],
    outcome: str,
    reason: str,
    fails: bool,
) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", offers))
    result = task("install", azure, **options)
    (entry,) = result["machines"]
    assert entry["outcome"] == outcome and reason in entry["reason"]
    assert result.get("failed", False) is fails and result["changed"] is False
    assert of(azure, "install") == []


def test_each_machine_is_judged_by_the_kbs_it_is_offered(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("ws25", [offer()]), FakeMachine("ws22", [offer("5087424")]))
    result = task("install", azure, kb_numbers_to_include=[KB, "KB5087424"])
    assert [entry["outcome"] for entry in result["machines"]] == ["claimed", "claimed"]


def test_an_excluded_kb_is_withheld_and_counts(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1, states={HOTPATCH: "Excluded"})
    result = task("install", azure, kb_numbers_to_include=[KB])
    (entry,) = result["machines"]
    assert entry["outcome"] == "withheld" and KB in entry["reason"] and "NeverReboots" in entry["reason"]
    assert result["failed"] is True and result["changed"] is False
    update = entry["updates"][offer()["patchId"]]
    assert update["kb"] == [HOTPATCH] and update["installed"] is False
    assert update["installation_state"] == "Excluded"


def test_a_failed_patch_fails_with_azures_error(clock: Timeline, task: Task) -> None:
    error = {"code": "PatchInstallationErrors", "message": "1 error/s reported", "details": [{"code": "0x800F0922"}]}
    azure = fleet(clock, 1, states={HOTPATCH: "Failed"}, error=error)
    result = task("install", azure, kb_numbers_to_include=[KB])
    (entry,) = result["machines"]
    assert entry["outcome"] == "failed" and entry["failed_update_count"] == 1 and entry["error"] == error
    assert result["failed"] is True and "max_failures (0)" in result["msg"] and "vm1" in result["msg"]


def test_a_failed_operation_fails_with_azures_words(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", [offer()]))
    given = assessed(task, azure)
    azure.machines[next(iter(azure.machines))].operation_error = ErrorBody("VMAgentStatusCommunicationError", "silent")
    result = task("install", azure, assessments=given)
    (entry,) = result["machines"]
    assert entry["outcome"] == "failed" and entry["error"]["code"] == "VMAgentStatusCommunicationError"


@pytest.mark.parametrize("reboot_status", ["Completed", "Started", "Failed"])
def test_a_restart_under_never_is_told_and_fails(clock: Timeline, task: Task, reboot_status: str) -> None:
    result = task("install", fleet(clock, 1, reboot_status=reboot_status))
    (entry,) = result["machines"]
    assert entry["outcome"] == "failed" and "the machine restarted" in entry["reason"]
    assert result["failed"] is True and result["changed"] is True


def assessed(task: Task, azure: FakeAzure) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = task("assess", azure, details="all")["machines"]
    return found


def test_a_fresh_given_assessment_is_used(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 2)
    given = assessed(task, azure)
    result = task("install", azure, assessments=given)
    assert [entry["outcome"] for entry in result["machines"]] == ["claimed", "claimed"]
    assert of(azure, "assess") == ["vm1", "vm2"]


@pytest.mark.parametrize("why", ["too old", "older than the last installation", "without updates"])
def test_a_stale_given_assessment_is_made_anew(clock: Timeline, task: Task, why: str) -> None:
    azure = fleet(clock, 1)
    given = assessed(task, azure)
    if why == "too old":
        clock.passed += 14400
    elif why == "without updates":
        given[0].pop("updates")
    else:
        azure.platform_installs(next(iter(azure.machines.values())), 10, {"patches": []})
        clock.passed += 20
    task("install", azure, assessments=given)
    assert of(azure, "assess") == ["vm1", "vm1"]


@pytest.mark.parametrize("view_lag", [0.0, 300.0])
def test_a_lost_answer_does_not_install_twice(clock: Timeline, task: Task, view_lag: float) -> None:
    azure = fleet(clock, 1)
    azure.view_lag = view_lag
    given = assessed(task, azure)
    azure.machines[next(iter(azure.machines))].faults.append("lost")
    result = task("install", azure, assessments=given, kb_numbers_to_include=[KB], max_failures="1")
    (entry,) = result["machines"]
    assert of(azure, "install") == ["vm1"]
    # The instance view tells counts only: that it was installed, but not what.
    assert entry["outcome"] == "unlisted" and entry["started_by"] == "us" and entry["installed_update_count"] == 1
    assert result["changed"] is True


def test_a_request_that_never_arrived_is_sent_again_after_the_settle_time(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    given = assessed(task, azure)
    azure.machines[next(iter(azure.machines))].faults.append("lost_before")
    result = task("install", azure, assessments=given, kb_numbers_to_include=[KB])
    assert result["machines"][0]["outcome"] == "claimed"
    first, second = (moment for kind, dummy, moment in azure.posts if kind == "install")
    assert second - first >= 600


def test_a_request_that_gets_lost_again_is_given_up_as_unknown(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    given = assessed(task, azure)
    azure.machines[next(iter(azure.machines))].faults += ["lost_before"] * 5
    result = task("install", azure, assessments=given)
    (entry,) = result["machines"]
    assert (entry["outcome"], entry["reason_code"]) == ("failed", "outcome_unknown")
    assert of(azure, "install") == ["vm1", "vm1"]


@pytest.mark.parametrize("view_lag", [0.0, 300.0])
def test_a_conflict_is_looked_for_and_joined(clock: Timeline, task: Task, view_lag: float) -> None:
    azure = fleet(clock, 1)
    azure.view_lag = view_lag
    given = assessed(task, azure)
    azure.platform_installs(next(iter(azure.machines.values())), 900)
    result = task("install", azure, assessments=given, max_failures="1")
    (entry,) = result["machines"]
    assert entry["started_by"] == "other" and entry["joined"] is True and entry["status"] == "Succeeded"
    assert result["changed"] is False
    assert len(azure.machines[entry["id"].lower()].of("install")) == 1


def test_a_conflict_with_nothing_visible_ends_with_azures_error(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    given = assessed(task, azure)
    conflict = AzureFailure(
        "Could not install: Azure answered 409 Conflict.", kind="conflict", status=409, code="Conflict"
    )
    azure.machines[next(iter(azure.machines))].faults.append(conflict)
    result = task("install", azure, assessments=given)
    (entry,) = result["machines"]
    assert entry["outcome"] == "failed" and entry["error"]["code"] == "Conflict"
    # Nothing came of it, so the next run may start at once.
    assert task("install", azure, assessments=given)["machines"][0]["outcome"] == "claimed"


def test_a_running_installation_is_joined_without_a_post(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    azure.platform_installs(next(iter(azure.machines.values())), 400)
    result = task("install", azure)
    (entry,) = result["machines"]
    assert azure.posts == [] and entry["started_by"] == "other" and entry["outcome"] == "claimed"


def test_a_forgotten_poll_url_leads_to_the_instance_view(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    azure.view_lag = 200.0
    given = assessed(task, azure)
    azure.gone.add("00000002-0000-0000-0000-000000000000")
    result = task("install", azure, assessments=given)
    (entry,) = result["machines"]
    assert entry["outcome"] == "claimed" and entry["installed_update_count"] == 1 and of(azure, "install") == ["vm1"]


def test_trouble_while_polling_is_outlived(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    given = assessed(task, azure)
    azure.poll_failures += [
        AzureFailure("Could not read.", kind=kind) for kind in ("server", "unreachable", "throttled")
    ]
    assert task("install", azure, assessments=given)["machines"][0]["outcome"] == "claimed"


def test_polls_that_may_not_be_read_are_replaced_by_the_machines_own_view(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    given = assessed(task, azure)
    azure.poll_failures += [AzureFailure("Could not read: Azure answered 403.", kind="forbidden", status=403)] * 9
    (entry,) = task("install", azure, assessments=given)["machines"]
    assert entry["outcome"] == "claimed" and of(azure, "install") == ["vm1"]


def test_lost_permission_while_polling_is_no_success(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    given = assessed(task, azure)
    forbidden = AzureFailure("Could not read: Azure answered 403.", kind="forbidden", status=403)
    azure.poll_failures.append(forbidden)
    (machine,) = azure.machines.values()
    clock.at[clock.passed + 1] = lambda: setattr(machine, "read_failure", forbidden)
    clock.at[clock.passed + 4000] = lambda: setattr(machine, "read_failure", None)
    (entry,) = task("install", azure, assessments=given)["machines"]
    assert entry["outcome"] == "failed" and "not known" in entry["reason"]
    machine.read_failure = None
    # The journal still holds it: the next run joins by the poll URL.
    (again,) = task("install", azure, assessments=given)["machines"]
    assert again["joined"] is True and again["outcome"] == "claimed" and of(azure, "install") == ["vm1"]


def test_the_time_out_gives_partial_results_and_a_later_run_joins(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("quick", [offer()]), FakeMachine("slow", [offer()], install_seconds=5000))
    given = assessed(task, azure)
    result = task("install", azure, assessments=given, wait_timeout=1000)
    assert [entry["outcome"] for entry in result["machines"]] == ["claimed", "running"]
    assert result["failed"] is True and "wait_timeout" in result["msg"] and result["changed"] is True
    later = task("install", azure, wait_timeout=14400)
    assert later["machines"][1]["outcome"] == "claimed" and later["machines"][1]["joined"] is True
    assert later["changed"] is True and of(azure, "install") == ["quick", "slow"]


def test_without_waiting_a_later_run_joins(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 3)
    given = assessed(task, azure)
    started = task("install", azure, assessments=given, wait=False)
    assert {entry["outcome"] for entry in started["machines"]} == {"running"}
    assert started["changed"] is False and "failed" not in started
    joined = task("install", azure)
    assert {(entry["outcome"], entry["joined"]) for entry in joined["machines"]} == {("claimed", True)}
    assert joined["changed"] is True and of(azure, "install") == ["vm1", "vm2", "vm3"]


def test_the_budget_stops_starting_and_lets_running_ones_finish(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 6)
    machines = list(azure.machines.values())
    given = assessed(task, azure)
    machines[0].states = machines[1].states = {HOTPATCH: "Failed"}
    machines[2].install_seconds = 2000
    result = task("install", azure, assessments=given, max_concurrent=3, max_failures="1")
    outcomes = [entry["outcome"] for entry in result["machines"]]
    assert outcomes == ["failed", "failed", "claimed", "claimed", "not_started", "not_started"]
    assert result["failed"] is True and result["changed"] is True and len(result["machines"]) == 6
    assert result["machines"][5]["reason_code"] == "budget"
    assert of(azure, "install") == ["vm1", "vm2", "vm3", "vm4"]


def test_installations_of_others_count_against_the_concurrency(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 4)
    given = assessed(task, azure)
    azure.platform_installs(list(azure.machines.values())[3], 1000)
    task("install", azure, assessments=given, max_concurrent=2, max_failures="4")
    assert azure.most_installing == 2


def test_an_orphan_starts_nothing_more(clock: Timeline, task: Task, guard: SwitchGuard) -> None:
    azure = fleet(clock, 4)
    given = assessed(task, azure)
    dies_at = clock.passed + 200
    clock.at[dies_at] = lambda: guard.stop("The controlling process has ended.")
    result = task("install", azure, assessments=given, max_concurrent=1)
    assert [entry["outcome"] for entry in result["machines"]] == ["running"] + ["not_started"] * 3
    assert of(azure, "install") == ["vm1"]
    assert result["failed"] is True and clock.passed <= dies_at + 30


def test_a_guard_that_refuses_from_the_start_lets_nothing_out(clock: Timeline, task: Task, guard: SwitchGuard) -> None:
    azure = fleet(clock, 2)
    guard.stop("gone")
    result = task("install", azure)
    assert azure.posts == [] and {entry["outcome"] for entry in result["machines"]} == {"not_started"}


def test_what_cannot_be_journalled_is_not_sent(clock: Timeline, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Journal, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    azure = fleet(clock, 2)
    given = assessed(task, azure)
    monkeypatch.setattr(Journal, "_write", full)
    result = task("install", azure, assessments=given)
    assert of(azure, "install") == [] and result["failed"] is True
    assert {entry["reason_code"] for entry in result["machines"]} == {"journal"} and "No space left" in result["msg"]


def test_a_disk_that_fills_up_hides_nothing_that_azure_did(
    clock: Timeline, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    azure = fleet(clock, 2)
    given = assessed(task, azure)
    real = Journal._write

    def filling(self: Journal, data: bytes) -> None:
        if b'"accepted"' in data or b'"finished"' in data:
            raise OSError(28, "No space left on device")
        real(self, data)

    monkeypatch.setattr(Journal, "_write", filling)
    result = task("install", azure, assessments=given, max_concurrent=1)
    first, second = result["machines"]
    assert (first["outcome"], first["installed_update_count"]) == ("claimed", 1) and result["changed"] is True
    assert (second["outcome"], second["reason_code"]) == ("not_started", "journal")
    assert result["failed"] is True and "No space left" in result["msg"] and of(azure, "install") == ["vm1"]


def test_machines_that_cannot_be_patched_are_skipped(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("off", power="deallocated"), FakeMachine("linux", os_type="Linux"))
    result = task("install", azure)
    assert [entry["reason_code"] for entry in result["machines"]] == ["stopped", "not_windows"]
    assert "failed" not in result and azure.posts == []


def test_one_missing_machine_does_not_hide_the_others(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    present = next(iter(azure.machines.values())).id
    result = task("install", azure, resource_ids=[present, present.replace("vm1", "gone")], max_failures="50%")
    assert [entry["outcome"] for entry in result["machines"]] == ["claimed", "failed"]
    assert result["machines"][1]["error"]["code"] == "ResourceNotFound" and "failed" not in result


@pytest.mark.parametrize("kind", ["credential", "untrusted_certificate", "unreachable"])
def test_what_every_machine_would_meet_is_tried_once_and_told_once(clock: Timeline, task: Task, kind: str) -> None:
    azure = fleet(clock, 5, read_failure=AzureFailure("No way in.", kind=kind))
    with pytest.raises(AzureFailure, match="No way in"):
        task("install", azure)
    assert azure.reads == ["vm1"]


def test_check_mode_says_what_would_be_installed_and_installs_nothing(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1", [offer()]), FakeMachine("vm2", []))
    result = task("install", azure, check_mode=True, diff=True)
    assert of(azure, "install") == [] and result["changed"] is True
    assert [entry["outcome"] for entry in result["machines"]] == ["would_install", "nothing"]
    (shown,) = result["diff"]
    assert shown["before"] == f"{KB} outstanding\n" and shown["after"] == f"{KB} would be installed\n"


def test_check_mode_leaves_a_running_installation_alone(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    azure.platform_installs(next(iter(azure.machines.values())), 4000)
    result = task("install", azure, check_mode=True)
    assert result["machines"][0]["outcome"] == "running" and azure.posts == [] and clock.passed < 60


def test_diff_mode_shows_before_and_after(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 1)
    (shown,) = task("install", azure, diff=True)["diff"]
    assert shown["before"] == f"{KB} outstanding\n" and shown["after"] == f"{KB} installed\n"


@pytest.mark.parametrize("details", ["failures", "none"])
def test_an_entry_stays_under_600_bytes(clock: Timeline, task: Task, details: str) -> None:
    message = "Could not install: " + "Azure said a great deal about it. " * 50
    refused = AzureFailure(message, kind="invalid", status=400, code="InvalidParameter", message=message)
    name = "a-machine-with-a-rather-long-name"
    azure = FakeAzure(clock, FakeMachine(name, [offer()]), FakeMachine("refused", [offer()]))
    given = assessed(task, azure)
    azure.machines[next(key for key in azure.machines if key.endswith("refused"))].faults.append(refused)
    good, bad = task("install", azure, assessments=given, details=details)["machines"]
    assert results.size_of(good) < 600
    if details == "none":
        assert results.size_of(bad) < 600
    else:
        assert bad["error"]["message"] == message


def test_progress_is_told(clock: Timeline, task: Task, lines: list[str]) -> None:
    azure = FakeAzure(clock, *(FakeMachine(f"vm{n}", [offer()], install_seconds=100 * n) for n in range(1, 5)))
    given = assessed(task, azure)
    lines.clear()
    task("install", azure, assessments=given)
    assert lines[-1] == "install 4/4 done, 0 running, 0 failed"
    assert any(line.startswith("install 2/4 done, 2 running, 0 failed, about ") for line in lines)


def test_on_a_machine_that_may_only_be_joined_nothing_is_started(clock: Timeline, task: Task) -> None:
    azure = fleet(clock, 2)
    first, second = azure.machines
    result = task("install", azure, kb_numbers_to_include=[HOTPATCH], join_only=[first.upper()], max_failures="100%")
    entries = {entry["id"].lower(): entry for entry in result["machines"]}
    assert (entries[first]["outcome"], entries[first]["reason_code"]) == ("not_started", "join_only")
    assert entries[second]["outcome"] == "claimed"
    assert of(azure, "assess") == of(azure, "install") == ["vm2"]
