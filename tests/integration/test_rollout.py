# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole rollouts over the embedded Azure, judged by its audit log and by what the fleet file expects."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible_runner
import audit_checker as check
import emulator_process
import pytest
import yaml
from ansible_runs import BIN, COLLECTIONS, DOZEN, FLEETS, SIXTY, Rollout
from report_checker import complaints

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]
# What Ansible says on the terminal when something of it went wrong beside the task's own result.
NOISE = ("Traceback", "[WARNING]", "[DEPRECATION WARNING]", "[ERROR]")


def expected(fleet: Path) -> dict[str, str]:
    document = yaml.safe_load(fleet.read_text(encoding="utf-8"))
    return {machine["name"]: machine["expect"]["verdict"] for machine in document["machines"]}


def expected_reasons(fleet: Path) -> dict[str, str]:
    document = yaml.safe_load(fleet.read_text(encoding="utf-8"))
    expects = {machine["name"]: machine["expect"] for machine in document["machines"]}
    return {name: expect["reason"] for name, expect in expects.items() if "reason" in expect}


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {machine["name"]: machine["verdict"] for machine in report["machines"]}


def widest(report: dict[str, Any]) -> int:
    return max(len(wave["machines"]) for wave in report["waves"])


def test_the_dozen(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    """Every machine ends in the verdict that the fleet file expects; a second rollout finds nothing to do."""
    running = start_emulator(DOZEN)
    rollout = rollout_over(running, hotpatch_error_budget="100%", hotpatch_not_started_limit="100%")
    code, output = rollout.run(tmp_path / "first.log")
    assert code == 0, output
    report = rollout.report()
    assert verdicts(report) == expected(DOZEN), output
    codes = {machine["name"]: machine["reason_code"] for machine in report["machines"]}
    assert {name: codes[name] for name in expected_reasons(DOZEN)} == expected_reasons(DOZEN)
    assert complaints(rollout.state_dir) == []
    assert [noise for noise in NOISE if noise in output] == [], output
    lines = running.audit()
    assert check.judge(lines, widest(report), [machine["id"] for machine in report["machines"]]) == []
    assert check.install_requests(lines)
    for machine in report["machines"]:
        assert machine["verdict"] in output
        assert machine["reason"]
    secrets = [running.endpoints["client_secret"], running.endpoints["winrm_password"]]
    written = output + "".join(
        file.read_text(errors="replace") for file in rollout.state_dir.rglob("*") if file.is_file()
    )
    assert [secret for secret in secrets if secret in written] == []

    code, output = rollout.run(tmp_path / "second.log")
    assert code == 0, output
    assert not rollout.report()["changed"]
    assert "nothing was changed" in output.lower()
    assert check.install_requests(running.audit()) == check.install_requests(lines)


def test_the_sixty(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    """The fleet of `make rehearsal`, with the states that a real one has, keeps every promise in the audit log."""
    running = start_emulator(SIXTY)
    variables = {"hotpatch_maximum_duration": "PT40M", "hotpatch_guest_timeout": 300}
    limits = {"hotpatch_error_budget": "100%", "hotpatch_not_started_limit": "100%"}
    rollout = rollout_over(running, hotpatch_waves=["20%", "100%"], **variables, **limits)
    code, output = rollout.run(tmp_path / "run.log", timeout=480)
    assert code == 0, output
    report = rollout.report()
    expects = json.loads((running.run_dir / "expect.json").read_text(encoding="utf-8"))
    assert len(expects) == 60
    assert verdicts(report) == {name: expect["verdict"] for name, expect in expects.items()}, output
    codes = {machine["name"]: machine["reason_code"] for machine in report["machines"]}
    reasons = {name: expect["reason"] for name, expect in expects.items() if "reason" in expect}
    assert {name: codes[name] for name in reasons} == reasons
    # What a colleague began is not the rollout's: it is left out before the log is judged.
    lines = [line for line in running.audit() if line.get("principal") != "colleague"]
    assert check.judge(lines, widest(report), [machine["id"] for machine in report["machines"]]) == []
    assert check.install_requests(lines)


def test_a_budget_of_nothing_stops_the_rollout_and_fails_it(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(DOZEN)
    rollout = rollout_over(running, hotpatch_waves=[1], hotpatch_error_budget=0)
    code, output = rollout.run(tmp_path / "run.log")
    assert code != 0, output
    report = rollout.report()
    assert report["stop"]
    assert complaints(rollout.state_dir) == []
    assert report["counting_against_budget"] == 1
    assert "not_started" in report["counts"]
    lines = running.audit()
    assert check.judge(lines, 1, [machine["id"] for machine in report["machines"]]) == []


def test_a_limit_keeps_to_itself(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    """With `hotpatch_hosts` nothing is sent to the others, not even a read inside their guests."""
    running = start_emulator(FLEETS / "steady.yml")
    inventory = running.inventory.read_text(encoding="utf-8")
    assert "bystander" in inventory
    rollout = rollout_over(running, hotpatch_hosts="all:!bystander", hotpatch_waves=["100%"])
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    report = rollout.report()
    assert set(verdicts(report).values()) == {"patched"}, output
    planned = [machine["id"] for machine in report["machines"]]
    assert len(planned) == 8
    assert check.judge(running.audit(), 8, planned) == []
    assert not [line for line in running.audit() if line["kind"] == "winrm" and "bystander" in str(line["resource_id"])]


def test_check_mode_changes_nothing(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    running = start_emulator(FLEETS / "steady.yml")
    rollout = rollout_over(running)
    rollout.options = ("--check",)
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    # An assessment is a POST as well, but it only asks the guest what is outstanding: what check mode has to know.
    assert {line["path"].rpartition("/")[2] for line in check.writes(running.audit())} <= {"assessPatches"}
    assert check.installations(running.audit(), "started") == []


def test_the_plan_playbook_sends_only_reads(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(DOZEN)
    rollout = rollout_over(running)
    rollout.playbook = "winfleet.hotpatch.plan"
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    assert check.writes(running.audit()) == []
    assert all(name in output for name in expected(DOZEN))


def test_by_ansible_runner(start_emulator: StartEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As AWX runs it: by the playbook's full name, with progress as events."""
    running = start_emulator(FLEETS / "steady.yml")
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")
    state = tmp_path / "state"
    (tmp_path / "runner").mkdir()
    run = ansible_runner.run(
        private_data_dir=str(tmp_path / "runner"),
        playbook="winfleet.hotpatch.rollout",
        inventory=str(running.inventory),
        extravars={"hotpatch_state_dir": str(state), "hotpatch_waves": [3, "100%"]},
        envvars={**running.environment(), "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS},
        quiet=True,
    )
    output = run.stdout.read()
    assert run.status == "successful", output
    report = json.loads((state / "report.json").read_text(encoding="utf-8"))
    assert set(verdicts(report).values()) == {"patched"}, output
    assert check.judge(running.audit(), widest(report), [machine["id"] for machine in report["machines"]]) == []
    # Progress that comes while an installation runs: events of their own, with counts and the time left.
    told = [event["stdout"] for event in run.events if event["event"] == "verbose" and "running" in event["stdout"]]
    assert told, output
