# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet is taken down by the playbook, loaded into another embedded Azure, and planned there by its own inventory."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import emulator_process
from ansible_runs import BIN, DOZEN, Rollout

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]


def planned(output: str) -> list[str]:
    """The table's lines that name a machine of the dozen, without when that would be."""
    lines = [line.strip() for line in output.splitlines() if "-ws2" in line]
    return [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "", line) for line in lines if not line.startswith(("ok:", "changed"))]


def snapshot(rollout: Rollout, folder: Path) -> dict[str, Any]:
    rollout.playbook = "winfleet.hotpatch.snapshot"
    rollout.variables["hotpatch_snapshot_file"] = str(folder / "snapshot.json")
    code, output = rollout.run(folder / "snapshot.log")
    assert code == 0, output
    found: dict[str, Any] = json.loads((folder / "snapshot.json").read_text(encoding="utf-8"))
    return found


def test_a_fleet_is_planned_on_its_own_machines(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    first = start_emulator(DOZEN)
    taken = snapshot(rollout_over(first), tmp_path)
    assert (tmp_path / "snapshot.json").stat().st_mode & 0o777 == 0o600
    requests = [line for line in first.audit() if line["kind"] == "request"]
    assert {line["method"] for line in requests if "/virtualMachines/" in line["path"]} == {"GET"}
    plan = rollout_over(first)
    plan.playbook = "winfleet.hotpatch.plan"
    code, before = plan.run(tmp_path / "plan.log")
    assert code == 0, before

    done = subprocess.run(
        [str(BIN / "hotpatch-own-fleet"), str(tmp_path / "snapshot.json"), str(tmp_path / "fleet.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"{len(taken['machines'])} machines written" in done.stdout
    emulator_process.stop(first.run_dir)
    second = emulator_process.start(BIN, tmp_path / "fleet.yml", tmp_path / "second")
    try:
        again = Rollout(first.inventory, tmp_path / "other-state", second.environment(), {})
        again.playbook = "winfleet.hotpatch.plan"
        # The fleet's own inventory, groups and variables; only its connections are those of the embedded Azure.
        again.options = ("-i", str(second.inventory))
        code, after = again.run(tmp_path / "again.log")
        assert code == 0, after
        assert planned(after) == planned(before)
        assert {name for name in taken["hosts"] if not any(name in line for line in planned(after))} == set()
        silent = {host for host, guest in taken["guests"].items() if not guest.get("reachable", True)}
        asked = snapshot(Rollout(again.inventory, tmp_path, second.environment(), {}, options=again.options), tmp_path)
        assert {host for host, guest in asked["guests"].items() if not guest.get("reachable", True)} == silent
        levels = {host: guest.get("ubr") for host, guest in taken["guests"].items() if host not in silent}
        assert {host: asked["guests"][host].get("ubr") for host in levels} == levels
    finally:
        emulator_process.stop(tmp_path / "second")
