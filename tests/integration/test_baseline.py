# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A baseline month: installed under Never, restarted by word, once each, in the window; judged by the audit log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import audit_checker as check
import emulator_process
from ansible_runs import FLEETS, Rollout
from test_interruptions import emulated_now, kill_group, wait_for
from test_rings import events, ids, names_of, verdicts

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]

BEHIND = ["server0001", "server0002", "server0003", "server0004", "server0005", "older"]
WAVES = [1, 2, "100%"]
KB_2025, KB_2022 = "KB5082063", "KB5082142"
AS_PLANNED = ("patched_restarted_as_planned", "proven")


def behind(running: emulator_process.Emulator) -> list[str]:
    return ids(running, BEHIND)


def test_without_the_word_nothing_is_installed(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "baseline.yml")
    code, output = rollout_over(running, hotpatch_waves=WAVES).run(tmp_path / "run.log")
    assert code != 0 and "hotpatch_restart" in output and "Traceback" not in output
    assert check.writes(running.audit()) == []


def test_a_baseline_month(start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path) -> None:
    running = start_emulator(FLEETS / "baseline.yml")
    rollout = rollout_over(running, hotpatch_waves=WAVES, hotpatch_restart=True)
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    found = verdicts(rollout)
    assert {found[name] for name in BEHIND} == {AS_PLANNED}, output
    assert found["current"][0] == "already_current", output
    lines, planned = running.audit(), behind(running)
    assert check.restarted_as_planned(lines, planned, 4) == []
    assert check.installed_twice(lines) == [] and check.outside_plan(lines, planned) == []
    assert len(check.restart_requests(lines)) == len(BEHIND) == len(check.install_requests(lines))
    kbs = {machine: [KB_2025] for machine in ids(running, BEHIND[:-1])} | {ids(running, ["older"])[0]: [KB_2022]}
    assert check.other_than(lines, kbs) == []
    told = names_of(events(rollout))
    assert told.count("machine_restarted") == len(BEHIND)
    assert told.index("machine_installed") < told.index("machine_restarted") < told.index("gate")

    # Why: the chain of one machine from the state folder alone, with Azure and the guests unasked.
    why = replace(rollout, playbook="winfleet.hotpatch.why", variables={"hotpatch_why": "server0003"})
    code, output = why.run(tmp_path / "why.log")
    assert code == 0, output
    assert len(running.audit()) == len(lines)
    for said in ("baseline_due", "selection", "takes effect with a restart", "back and at rest"):
        assert said in output, output
    chain = [line.split()[0] for line in output.splitlines() if line.startswith("  ") and line.strip()]
    order = ["rollout", "release", "wave", "enrolment", "track", "selection", "installation", "restart", "verdict"]
    assert [chain.index(step) for step in order] == sorted(chain.index(step) for step in order), output

    # Again: what is there is found, and nothing is sent or restarted once more.
    code, output = rollout.run(tmp_path / "again.log")
    assert code == 0, output
    assert {verdict for verdict, dummy in verdicts(rollout).values()} == {"already_current"}, output
    assert len(check.restart_requests(running.audit())) == len(BEHIND)


def test_killed_while_machines_restart(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "baseline.yml")
    rollout = rollout_over(running, hotpatch_waves=["100%"], hotpatch_restart=True)
    output = tmp_path / "killed.log"
    process = rollout.start(output)
    wait_for(lambda: len(check.restart_requests(running.audit())) >= 2, process, output, 200)
    kill_group(process)
    killed_at = emulated_now(running)
    process.wait(30)
    while emulated_now(running) < killed_at + timedelta(minutes=5):
        time.sleep(0.1)
    code, text = rollout.run(tmp_path / "again.log")
    assert code == 0, text
    found = verdicts(rollout)
    assert {found[name] for name in BEHIND} == {AS_PLANNED}, text
    lines = running.audit()
    assert check.restarted_as_planned(lines, behind(running), len(BEHIND)) == [], text
    assert len(check.restart_requests(lines)) == len(check.install_requests(lines)) == len(BEHIND)


def test_a_lost_answer_does_not_restart_twice(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "baseline.yml")
    match = {"method": "POST", "path_regex": "/restart", "nth": 2, "count": 2}
    running.control("/emulator/faults", "POST", {"match": match, "action": {"reset_after_accept": True}})
    rollout = rollout_over(running, hotpatch_waves=["100%"], hotpatch_restart=True)
    code, text = rollout.run(tmp_path / "run.log")
    assert code == 0, text
    assert {verdicts(rollout)[name] for name in BEHIND} == {AS_PLANNED}, text
    assert check.restarted_as_planned(running.audit(), behind(running), len(BEHIND)) == [], text


def test_the_word_restarts_nobody_in_a_hotpatch_month(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "two_rings.yml")
    rollout = rollout_over(running, hotpatch_waves=["100%"], hotpatch_restart=True)
    code, text = rollout.run(tmp_path / "run.log")
    assert code == 0, text
    assert {verdict for verdict, dummy in verdicts(rollout).values()} == {"patched"}, text
    assert check.restarts_under_never(running.audit()) == []
