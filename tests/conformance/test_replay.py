# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules against recorded exchanges with Azure, replayed over TLS: what they send, and what they make of answers.

The exchanges in exchanges/ were written for this project; those of real traffic are used where they are at hand.
"""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_runs import run_module
from material import EXCHANGES, azure_material
from openapi import Contract
from replay import Replay, RunningReplay

KB = "KB5087424"


Interactions = list[dict[str, Any]]


def recorded(file: Path) -> Interactions:
    """The exchanges of one file."""
    interactions: Interactions = json.loads(file.read_text(encoding="utf-8"))["interactions"]
    return interactions


def machine_of(interactions: Interactions) -> str:
    """The resource ID that exchanges are about."""
    for entry in interactions:
        path = str(entry["request"]["uri"]).split(".com", 1)[1].split("?")[0]
        if "/virtualMachines/" in path:
            return "/".join(path.split("/")[:9])
    raise AssertionError("these exchanges are about no machine")


def with_assessment(interactions: Interactions, kb: str) -> Interactions:
    """The exchanges with an assessment before them that offers this KB: nothing is installed unassessed."""
    text = json.dumps(recorded(EXCHANGES / "assess_succeeds.json")[1:])
    date = parsedate_to_datetime(interactions[0]["response"]["headers"]["date"])
    text = text.replace("2026-05-13T01:0", f"{date:%Y-%m-%dT%H}:0").replace(KB[2:], kb[2:])
    assessment = json.loads(text.replace(machine_of(json.loads(text)), machine_of(interactions)))
    return [*interactions, *assessment]


def install(interactions: Interactions, folder: Path, kb: str = KB) -> tuple[Replay, dict[str, Any], dict[str, Any]]:
    """Installs on the machine of the exchanges: the server's state, the task's result, and the machine's entry."""
    arguments = {
        "resource_ids": [machine_of(interactions)],
        "kb_numbers_to_include": [kb],
        "state_path": str(folder / "state"),
        "details": "all",
    }
    with RunningReplay(with_assessment(interactions, kb), folder) as replay:
        result = run_module("patch_installation", arguments, replay.environment(), folder)
    assert replay.unexpected == [], json.dumps(result, indent=1)
    (machine,) = result["machines"]
    return replay, result, machine


@pytest.mark.parametrize(
    ("exchange", "outcome", "starts"),
    [
        ("install_succeeds", "claimed", 1),
        ("install_excluded", "withheld", 1),
        ("install_warns", "failed", 1),
        ("operation_fails", "failed", 1),
        ("install_throttled", "claimed", 3),
        ("install_conflict", "failed", 1),
        ("install_forbidden", "failed", 1),
    ],
)
def test_an_installation_ends_as_its_answers_say(exchange: str, outcome: str, starts: int, tmp_path: Path) -> None:
    replay, result, machine = install(recorded(EXCHANGES / f"{exchange}.json"), tmp_path)
    posts = replay.posts("/installPatches")
    assert (machine["outcome"], len(posts)) == (outcome, starts), json.dumps(result, indent=1)
    assert bool(result.get("failed")) == (outcome != "claimed")
    # Names and types on the wire, not only what the SDK was called with.
    for post in posts:
        assert post.body == {
            "maximumDuration": "PT2H",
            "rebootSetting": "Never",
            "windowsParameters": {"kbNumbersToInclude": [KB], "excludeKbsRequiringReboot": True},
        }


@pytest.mark.parametrize(
    ("exchange", "status", "code"),
    [
        ("install_conflict", 409, "Conflict"),
        ("install_forbidden", 403, "AuthorizationFailed"),
        ("operation_fails", None, "VMAgentStatusCommunicationError"),
    ],
)
def test_azures_own_error_is_passed_on(exchange: str, status: int | None, code: str, tmp_path: Path) -> None:
    machine = install(recorded(EXCHANGES / f"{exchange}.json"), tmp_path)[2]
    assert machine["error"]["code"] == code
    if status is not None:
        assert machine["error"]["status"] == status


def test_a_missing_machine_is_named(tmp_path: Path) -> None:
    interactions = recorded(EXCHANGES / "machine_missing.json")
    with RunningReplay(interactions, tmp_path) as replay:
        arguments = {"resource_ids": [machine_of(interactions)]}
        result = run_module("machine_info", arguments, replay.environment(), tmp_path)
    assert result["failed"]
    assert "web01" in json.dumps(result["machines"])
    assert "ResourceNotFound" in json.dumps(result)


def test_check_mode_sends_nothing(tmp_path: Path) -> None:
    interactions = with_assessment(recorded(EXCHANGES / "install_succeeds.json"), KB)
    arguments = {
        "resource_ids": [machine_of(interactions)],
        "kb_numbers_to_include": [KB],
        "state_path": str(tmp_path / "state"),
    }
    with RunningReplay(interactions, tmp_path) as replay:
        result = run_module("patch_installation", arguments, replay.environment(), tmp_path, check=True)
    assert replay.posts("/installPatches") == []
    assert result["changed"]


def test_an_assessment_is_read_whole(tmp_path: Path) -> None:
    interactions = recorded(EXCHANGES / "assess_succeeds.json")
    with RunningReplay(interactions, tmp_path) as replay:
        arguments = {
            "resource_ids": [machine_of(interactions)],
            "details": "all",
            "state_path": str(tmp_path / "state"),
        }
        result = run_module("patch_assessment", arguments, replay.environment(), tmp_path)
    assert replay.unexpected == []
    assert len(replay.posts("/assessPatches")) == 1
    assert KB in json.dumps(result["machines"])
    assert "NeverReboots" in json.dumps(result["machines"])


@pytest.mark.parametrize("exchange", sorted(path.stem for path in EXCHANGES.glob("*.json")))
def test_exchanges_written_here_are_as_azure_describes(exchange: str) -> None:
    contract = Contract(azure_material("specs") / "compute")
    for entry in json.loads((EXCHANGES / f"{exchange}.json").read_text(encoding="utf-8"))["interactions"]:
        request, response = entry["request"], entry["response"]
        path = request["uri"].split(".com", 1)[1].split("?")[0]
        if "/operations/" not in path and not isinstance(response["body"], str):
            assert contract.problems(request["method"], path, response["status"], response["body"]) == []


def test_the_recorded_installation_on_a_hotpatch_machine(tmp_path: Path) -> None:
    """The only one there is (2024-08): Azure says Succeeded, installs nothing, and excludes what nobody excluded."""
    file = azure_material("recordings") / "vm_hotpatch_2022_installpatches_2024-08.json"
    dummy, result, machine = install(recorded(file), tmp_path, "KB890830")
    assert machine["outcome"] == "withheld", json.dumps(result, indent=1)
    assert machine["installation_activity_id"] == "59bd89d2-63ed-48fd-81cf-6dfde73c3eb1"
    assert machine["installed_update_count"] == 0
    assert machine["reboot_status"] == "NotNeeded"


def test_the_recorded_assessment(tmp_path: Path) -> None:
    interactions = recorded(azure_material("recordings") / "vm_assesspatches_win2019_2020-08.json")
    with RunningReplay(interactions, tmp_path) as replay:
        arguments = {
            "resource_ids": [machine_of(interactions)],
            "details": "all",
            "state_path": str(tmp_path / "state"),
        }
        result = run_module("patch_assessment", arguments, replay.environment(), tmp_path)
    assert replay.unexpected == []
    text = json.dumps(result["machines"])
    assert "4d72b76e-753c-4d6f-9560-66fc0cd5ed28" in text
    assert "KB4462930" in text or "4462930" in text
