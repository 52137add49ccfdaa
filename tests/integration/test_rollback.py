# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An update taken off by word: one machine after the other, one restart each, also when the run is cut off."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import audit_checker as check
import emulator_process
from ansible_runs import FLEETS, Rollout
from test_interruptions import kill_group, wait_for
from test_rings import ids

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]

PATCHED, KB = ["patched0001", "patched0002"], "KB5087423"


def rollback(running: emulator_process.Emulator, over: RolloutOver, folder: Path, **variables: Any) -> Rollout:
    """A rollback whose tasks do in the emulated guest what an administrator does with DISM."""
    tasks = folder / "uninstall.yml"
    url = f"{running.endpoints['control']}/emulator/machines"
    tasks.write_text(
        "- name: Remove the package\n  ansible.builtin.uri:\n"
        f'    url: "{url}/{{{{ inventory_hostname }}}}/uninstall"\n'
        "    method: POST\n    body_format: json\n    body: {kb: '{{ hotpatch_rollback.kb }}'}\n"
        "    status_code: [204, 404]\n  delegate_to: localhost\n"
    )
    given = {"hotpatch_rollback_kb": KB, "hotpatch_rollback_tasks": str(tasks), **variables}
    found = over(running, **given)
    found.playbook = "winfleet.hotpatch.rollback"
    return found


def kb_listed(running: emulator_process.Emulator) -> list[str]:
    return [machine["name"] for machine in running.control("/emulator/machines") if KB in machine["kbs"]]


def test_taken_off_by_word_alone(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    running = start_emulator(FLEETS / "rollback.yml")
    code, output = rollback(running, rollout_over, tmp_path).run(tmp_path / "without.log")
    assert code != 0 and "hotpatch_rollback_confirm" in output and check.writes(running.audit()) == []

    back = rollback(running, rollout_over, tmp_path, hotpatch_rollback_confirm=True)
    code, output = back.run(tmp_path / "run.log")
    assert code == 0, output
    lines = running.audit()
    assert sorted(line["resource_id"] for line in lines if line["kind"] == "restart") == sorted(ids(running, PATCHED))
    assert len(check.restart_requests(lines)) == 2
    # Serial: the second is not touched before the first is back.
    staged = [line for line in lines if line.get("what") == "uninstalling"]
    restarts = [line for line in lines if line["kind"] == "restart"]
    away = restarts[0]["down_seconds"]
    assert (check.when(staged[1]) - check.when(restarts[0])).total_seconds() >= away
    assert kb_listed(running) == []

    code, output = back.run(tmp_path / "again.log")
    assert code == 0 and "is not installed" in output, output
    assert len(check.restart_requests(running.audit())) == 2


def test_tasks_that_leave_no_trace_restart_nobody(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "rollback.yml")
    back = rollback(running, rollout_over, tmp_path, hotpatch_rollback_confirm=True)
    (tmp_path / "uninstall.yml").write_text("- name: Nothing\n  ansible.builtin.meta: noop\n")
    code, output = back.run(tmp_path / "run.log")
    assert code != 0 and "is not restarted" in output, output
    assert check.restart_requests(running.audit()) == []


def test_cut_off_and_taken_up(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    running = start_emulator(FLEETS / "rollback.yml")
    back = rollback(running, rollout_over, tmp_path, hotpatch_rollback_confirm=True)
    output = tmp_path / "killed.log"
    process = back.start(output)
    wait_for(lambda: len(check.restart_requests(running.audit())) >= 1, process, output)
    kill_group(process)
    process.wait(30)
    code, text = back.run(tmp_path / "again.log")
    assert code == 0, text
    assert kb_listed(running) == [] and len(check.restart_requests(running.audit())) == 2
