# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enrolment campaigns over the embedded Azure, judged by its audit log and by what the fleet file expects."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible_runner
import audit_checker as check
import emulator_process
import pytest
import yaml
from ansible_runs import BIN, COLLECTIONS, FLEETS, Rollout, run_module

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]
FLEET = FLEETS / "enrolling.yml"
ROW = re.compile(
    r"^(\w+) +(enrolled|enrolling|refused|unreachable|unknown|failed|would_change|unchanged) ", re.MULTILINE
)


def expected() -> dict[str, str]:
    found: dict[str, str] = {}
    for machine in yaml.safe_load(FLEET.read_text(encoding="utf-8"))["machines"]:
        count = machine.get("count")
        names = [machine["name"]] if count is None else [f"{machine['name']}{n:04d}" for n in range(1, count + 1)]
        found.update(dict.fromkeys(names, machine["expect"]["verdict"]))
    return found


def sent(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The body of each machine's PATCH; nothing else was written, and no machine got two."""
    written = check.writes(lines)
    assert {line["method"] for line in written} <= {"PATCH"}
    bodies = {line["resource_id"].rpartition("/")[2]: line["body"] for line in written}
    assert len(bodies) == len(written)
    return bodies


def settings(**wanted: Any) -> dict[str, Any]:
    return {"properties": {"osProfile": {"windowsConfiguration": {"patchSettings": wanted}}}}


def campaign(rollout_over: RolloutOver, running: emulator_process.Emulator, **variables: Any) -> Rollout:
    made = rollout_over(running, hotpatch_enroll_timeout=5400, **variables)
    made.playbook = "winfleet.hotpatch.enroll"
    return made


def test_a_campaign_and_another(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    """Everybody ends as the fleet file expects; the second campaign changes nothing. Nothing ever restarts."""
    running = start_emulator(FLEET)
    enrolling = campaign(rollout_over, running, hotpatch_error_budget="50%")
    code, output = enrolling.run(tmp_path / "first.log")
    assert code == 0, output
    assert dict(ROW.findall(output)) == expected(), output
    on = settings(enableHotpatching=True)
    assert sent(running.audit()) == {
        **dict.fromkeys(("fresh0001", "fresh0002", "fresh0003", "fresh22", "insecure", "asleep", "silent"), on),
        "manual": settings(patchMode="AutomaticByPlatform", enableHotpatching=True),
    }
    assert "restart the guest when it suits" in output
    enrolling.variables["hotpatch_enroll_timeout"] = 0
    code, output = enrolling.run(tmp_path / "second.log")
    assert code == 0, output
    assert dict(ROW.findall(output)) == expected(), output
    assert len(check.writes(running.audit())) == 8
    assert [line for line in running.audit() if line["kind"] == "restart"] == []
    # Nobody is looked at who need not be.
    asked = {line["resource_id"].rpartition("/")[2] for line in running.audit() if line["kind"] == "winrm"}
    assert asked.isdisjoint({"scheduled", "oldimage", "scaled", "agentless", "unready", "asleep"})


def test_a_refusal_beyond_the_budget_fails_the_run(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEET)
    enrolling = campaign(rollout_over, running, hotpatch_hosts="fresh22:oldimage")
    code, output = enrolling.run(tmp_path / "run.log")
    assert code != 0
    assert "oldimage: Not sent, Azure would refuse it" in output and "hotpatch_error_budget (0)" in output
    assert dict(ROW.findall(output)) == {"fresh22": "enrolled", "oldimage": "refused"}, output


def test_check_mode_shows_the_difference_and_changes_nothing(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEET)
    enrolling = campaign(rollout_over, running)
    enrolling.options = ("--check",)
    code, output = enrolling.run(tmp_path / "run.log")
    assert code == 0, output
    assert check.writes(running.audit()) == []
    assert not [line for line in running.audit() if line["kind"] == "winrm"]
    assert re.search(r'^-.*"enableHotpatching": false', output, re.MULTILINE), output
    assert re.search(r'^\+.*"enableHotpatching": true', output, re.MULTILINE), output
    foreseen = dict(ROW.findall(output))
    assert (foreseen["fresh22"], foreseen["already"], foreseen["scaled"]) == ("would_change", "unchanged", "refused")


def test_by_ansible_runner(start_emulator: StartEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As AWX runs it: by the playbook's full name, with the totals as stats."""
    running = start_emulator(FLEET)
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")
    (tmp_path / "runner").mkdir()
    run = ansible_runner.run(
        private_data_dir=str(tmp_path / "runner"),
        playbook="winfleet.hotpatch.enroll",
        inventory=str(running.inventory),
        extravars={
            "hotpatch_hosts": "fresh0001:already",
            "hotpatch_state_dir": str(tmp_path / "state"),
            "hotpatch_enroll_timeout": 5400,
        },
        envvars={**running.environment(), "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS},
        quiet=True,
    )
    assert run.status == "successful", run.stdout.read()
    totals = [event["event_data"].get("artifact_data") for event in run.events if event["event"] == "playbook_on_stats"]
    assert totals == [{"hotpatch_enrollment": {"machines": 2, "enrolled": 2}}]


@pytest.mark.parametrize("way", ["action", "module"])
def test_the_module_and_its_action_do_the_same(start_emulator: StartEmulator, tmp_path: Path, way: str) -> None:
    """In the controller's process, and as an ordinary module, which become forces."""
    running = start_emulator(FLEET)
    subscription = running.endpoints["subscription_ids"][0]
    base = f"/subscriptions/{subscription}/resourceGroups/rg-enrolling/providers/Microsoft.Compute/virtualMachines"
    arguments = {
        "resource_ids": [f"{base}/fresh0001", f"{base}/already", f"{base}/scheduled"],
        "max_failures": 1,
        "wait_timeout": 36000,
        "state_path": str(tmp_path / "state"),
        "assessment_mode": "AutomaticByPlatform",
    }
    environ = running.environment()
    if way == "module":
        # Nothing to import in the controller's process; the module finds the libraries in its own.
        environ["ANSIBLE_BECOME"] = "true"
        environ["ANSIBLE_BECOME_EXE"] = str(become_nobody(tmp_path))
    result = run_module("enrollment", arguments, environ, tmp_path)
    assert not result["failed"], result
    assert [entry["outcome"] for entry in result["machines"]] == ["changed", "changed", "refused"]
    both = {"assessmentMode": "AutomaticByPlatform"}
    assert sent(running.audit()) == {
        "fresh0001": settings(enableHotpatching=True, **both),
        "already": settings(**both),
    }
    again = run_module("enrollment", arguments, environ, tmp_path)
    assert (again["changed"], again["counts"]) == (False, {"machines": 3, "refused": 1, "unchanged": 2})


def become_nobody(folder: Path) -> Path:
    """A sudo that changes nobody: it runs the command that follows its options."""
    script = folder / "sudo"
    script.write_text('#!/bin/sh\nwhile [ "$1" != "/bin/sh" ]; do shift; done\nexec "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return script
