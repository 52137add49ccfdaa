# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout killed in the middle of a wave starts nothing more, and the next one ends as if nothing had been."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import audit_checker as check
import emulator_process
import pytest
from ansible_runs import FLEETS, Rollout
from report_checker import complaints

POLL_INTERVAL = 30
WAVES = [2, 4, "100%"]
LOST_ANSWER = {
    "match": {"method": "POST", "path_regex": "installPatches", "nth": 2, "count": 2},
    "action": {"reset_after_accept": True},
}


def kill_parent(process: subprocess.Popen[bytes]) -> None:
    process.kill()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def terminate(process: subprocess.Popen[bytes]) -> None:
    process.terminate()


def interrupt(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def emulated_now(running: emulator_process.Emulator) -> datetime:
    return datetime.fromisoformat(str(running.control("/emulator/clock")["now"]).replace("Z", "+00:00"))


def wait_for(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], output: Path, timeout: float = 120
) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert process.poll() is None, output.read_text(errors="replace")
        assert time.monotonic() < deadline, output.read_text(errors="replace")
        time.sleep(0.02)


def assert_its_report_is_readable(rollout: Rollout, log: Path) -> None:
    """What the state of a rollout that was cut off says can be drawn, and changes nothing in it."""
    state = (rollout.state_dir / "rollout.json").read_bytes()
    code, text = replace(rollout, playbook="winfleet.hotpatch.report").run(log)
    assert code == 0, text
    assert complaints(rollout.state_dir) == []
    report = rollout.report()
    assert report["status"] == "running" and report["counts"]["no_verdict"] and report["counts"]["patched"]
    assert (rollout.state_dir / "rollout.json").read_bytes() == state


@pytest.mark.parametrize("killed_by", [kill_parent, kill_group, terminate, interrupt])
def test_killed_in_the_middle_of_a_wave(
    killed_by: Callable[[subprocess.Popen[bytes]], None],
    start_emulator: Callable[..., emulator_process.Emulator],
    rollout_over: Callable[..., Rollout],
    tmp_path: Path,
) -> None:
    running = start_emulator(FLEETS / "steady.yml")
    rollout = rollout_over(running, hotpatch_waves=WAVES, hotpatch_poll_interval=POLL_INTERVAL)
    output = tmp_path / "killed.log"
    process = rollout.start(output)
    # The first wave holds two machines; the third install call is the second wave's first.
    wait_for(lambda: len(check.install_requests(running.audit())) >= 3, process, output)
    killed_by(process)
    killed_at = emulated_now(running)
    process.wait(30)
    assert process.returncode != 0
    # The fleet's installations take up to 16 emulated minutes; a survivor would start the next wave after that.
    while emulated_now(running) < killed_at + timedelta(minutes=25):
        time.sleep(0.2)
    late = check.starts_after(running.audit(), killed_at + timedelta(seconds=POLL_INTERVAL))
    assert late == [], output.read_text(errors="replace")
    if killed_by is kill_group:
        assert_its_report_is_readable(rollout, tmp_path / "report.log")

    code, text = rollout.run(tmp_path / "again.log")
    assert code == 0, text
    report = rollout.report()
    assert len(report["machines"]) == 9
    assert {machine["verdict"] for machine in report["machines"]} <= {"patched", "already_current"}, text
    lines = running.audit()
    assert check.judge(lines, 4, [machine["id"] for machine in report["machines"]]) == []
    assert len(check.install_requests(lines)) == 9


def test_a_lost_answer_does_not_install_twice(
    start_emulator: Callable[..., emulator_process.Emulator], rollout_over: Callable[..., Rollout], tmp_path: Path
) -> None:
    """Azure takes the install call and starts, but the connection breaks before its answer."""
    running = start_emulator(FLEETS / "steady.yml")
    running.control("/emulator/faults", "POST", LOST_ANSWER)
    rollout = rollout_over(running, hotpatch_waves=["100%"])
    code, text = rollout.run(tmp_path / "run.log")
    lines = running.audit()
    assert check.installed_twice(lines) == [], text
    assert len(check.installations(lines, "started")) == 9, text
    assert code == 0, text
    assert {machine["verdict"] for machine in rollout.report()["machines"]} == {"patched"}, text
