# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook status over the embedded Azure: its table, its exit code, and that it only reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import audit_checker as check
import emulator_process
from ansible_runs import DOZEN, Rollout, run_module

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]


def status_over(rollout_over: RolloutOver, running: emulator_process.Emulator, **variables: Any) -> Rollout:
    made = rollout_over(running, **variables)
    made.playbook = "winfleet.hotpatch.status"
    return made


def needs(output: str) -> set[tuple[str, str]]:
    """Machine and need of each row of the table."""
    lines = output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("MACHINE"))
    rows = lines[start + 1 : lines.index("", start)]
    return {(row.split()[0], row.split()[1]) for row in rows}


def test_a_dozen_machines(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    running = start_emulator(DOZEN)
    status = status_over(rollout_over, running)
    code, output = status.run(tmp_path / "first.log")
    assert code == 2, output
    found = needs(output)
    assert {("app-ws25-nowinrm", "guest_unreachable"), ("app-ws25-notenrolled", "drift")} <= found, output
    assert {("old-ws22-image", "ineligible"), ("app-ws25-stopped", "stopped")} <= found, output
    assert "2 of 12 machines need a person (1 drift, 1 guest_unreachable)" in " ".join(output.split())
    assert check.writes(running.audit()) == []
    pages = [line for line in running.audit() if str(line.get("path", "")).endswith("ResourceGraph/resources")]
    assert len(pages) == 3
    asked = {line["resource_id"].rpartition("/")[2] for line in running.audit() if line["kind"] == "winrm"}
    assert len(asked) == 10, "all that run and answer"
    first = json.loads((status.state_dir / "status.json").read_text("utf-8"))["machines"]
    status.variables["hotpatch_status_fail_on"] = ["missing"]
    code, output = status.run(tmp_path / "second.log")
    assert code == 0, output
    second = json.loads((status.state_dir / "status.json").read_text("utf-8"))["machines"]
    assert second == first, "since when is remembered"


def test_somebody_else_patched_it(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    """An installation that is in our journal is ours; the same without the journal is somebody else's."""
    running = start_emulator(DOZEN, "--speed", "600")
    subscription = running.endpoints["subscription_ids"][0]
    base = f"/subscriptions/{subscription}/resourceGroups/rg-rehearsal/providers/Microsoft.Compute/virtualMachines"
    status = status_over(rollout_over, running, hotpatch_hosts="web-ws22-01", hotpatch_status_details="all")
    arguments = {
        "resource_ids": [f"{base}/web-ws22-01"],
        "kb_numbers_to_include": ["KB5087424"],
        "state_path": str(status.state_dir),
    }
    done = run_module("patch_installation", arguments, running.environment(), tmp_path)
    assert not done["failed"], done
    running.control("/emulator/clock", "PUT", {"advance_seconds": 1800})
    ours = status.run(tmp_path / "ours.log")[1]
    assert "patched_by_others" not in ours, ours
    (status.state_dir / "journal.jsonl").unlink()
    theirs = status.run(tmp_path / "theirs.log")[1]
    assert ("web-ws22-01", "patched_by_others") in needs(theirs), theirs


def test_by_scope_and_with_nothing_to_look_at(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(DOZEN)
    status = status_over(rollout_over, running, hotpatch_status_subscriptions=["all"], hotpatch_status_fail_on=[])
    status.inventory = tmp_path / "empty.yml"
    status.inventory.write_text("all: {hosts: {}}\n", "utf-8")
    code, output = status.run(tmp_path / "scope.log")
    assert code == 0 and "12 machines at" in output and "no guest was asked" in output, output
    assert not [line for line in running.audit() if line["kind"] == "winrm"]
    status.variables = {}
    code, output = status.run(tmp_path / "nothing.log")
    assert code == 2 and "there is nothing to look at" in output, output
