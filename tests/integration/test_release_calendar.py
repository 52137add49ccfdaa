# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release calendar as a user meets it: the module, the playbook that refreshes it, and rollouts that go by it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import audit_checker as check
import emulator_process
import pytest
import yaml
from ansible_runs import BIN, DOZEN, Rollout, environment, run_module
from msrc_stand_in import CUMULATIVE, WS2025, StandIn, document, fix, running

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]

AUGUST = document(
    "2026-Aug",
    "2026-08-11",
    [
        fix("5120001", "10.0.26100.33250", WS2025),
        fix("5120233", "10.0.26100.33296", WS2025, CUMULATIVE, "5099536"),
    ],
)


@pytest.fixture
def msrc(tmp_path: Path) -> Iterator[StandIn]:
    with running(tmp_path) as found:
        found.publish(AUGUST)
        yield found


def play(folder: Path, environ: dict[str, str], **variables: Any) -> str:
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "winfleet.hotpatch.calendar", "-e", json.dumps(variables)],
        env=environment(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_module_answers_without_network_or_account(tmp_path: Path) -> None:
    found = run_module("release_info", {"at": "2026-05-13T01:00:00Z"}, {}, tmp_path)
    assert not found["failed"], found
    assert found["products"]["ws2025"]["current"]["value"]["kb"] == "KB5087423"
    assert found["changed"] is False
    refused = run_module("release_info", {"calendar_file": str(tmp_path / "none.yml")}, {}, tmp_path)
    assert refused["failed"]
    assert "hotpatch_calendar_file" in refused["msg"]


def test_the_playbook_refreshes_and_saves_the_calendar(msrc: StandIn, tmp_path: Path) -> None:
    saved = tmp_path / "calendar.json"
    environ = {"SSL_CERT_FILE": str(msrc.ca_file), "HOME": str(tmp_path)}
    wanted = {"hotpatch_msrc_url": msrc.msrc_url, "hotpatch_calendar_save": str(saved)}
    output = play(tmp_path, environ, hotpatch_msrc_months=["2026-08"], **wanted)
    assert msrc.paths == ["/cvrf/v3.0/cvrf/2026-Aug"]
    assert "2026-08 ws2025: added" in output
    assert "Windows Server 2025" in output
    kept = json.loads(saved.read_text(encoding="utf-8"))
    assert [(row["kb"], row["source"]) for row in kept["releases"]] == [("KB5120001", "MSRC, 2026-Aug")]

    # From then on the file is enough: nothing is fetched, and saving it again changes nothing.
    output = play(tmp_path, {"HOME": str(tmp_path)}, hotpatch_calendar_file=str(saved), **wanted)
    assert len(msrc.asked) == 1
    assert "changed=0" in output
    question = {"calendar_file": str(saved), "at": "2026-08-20T00:00:00Z"}
    found = run_module("release_info", question, {}, tmp_path)
    assert found["products"]["ws2025"]["current"]["value"]["kb"] == "KB5120001"


def test_a_rollout_goes_by_the_users_calendar(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    """An update that leaves the track, of which only the user's file knows, keeps its machines from being started."""
    fleet = start_emulator(DOZEN)
    rows = [
        # What every emulated WS2022 guest lists as installed stands for the update.
        {"product": "ws2022", "kind": "out_of_band", "date": "2026-05-01", "kb": "KB5003508", "keeps_track": False},
        {"product": "ws2025", "kind": "hotpatch", "date": "2026-05-12", "kb": "KB5087423", "ubr": 32773},
    ]
    path = tmp_path / "calendar.yml"
    path.write_text(yaml.safe_dump({"releases": rows}), encoding="utf-8")
    rollout = rollout_over(
        fleet, hotpatch_calendar_file=str(path), hotpatch_error_budget="100%", hotpatch_not_started_limit="100%"
    )
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    # The difference to the built-in calendar is said.
    assert "ubr is 32773" in " ".join(output.split())
    machines = {machine["id"].lower(): machine for machine in rollout.report()["machines"]}
    knocked_off = [machine for machine in machines.values() if "left the hotpatch track" in machine["reason"]]
    assert knocked_off
    assert {machine["product"] for machine in knocked_off} == {"ws2022"}
    assert all("2026-09-08" in machine["reason"] for machine in knocked_off)
    installed = {line["path"].lower() for line in check.install_requests(fleet.audit())}
    assert installed
    for machine in knocked_off:
        assert machine["verdict"] == "not_started"
        assert not [path for path in installed if f"/virtualmachines/{machine['name']}/".lower() in path]
    assert all(path.endswith("/installpatches") for path in installed)

    rollout.playbook = "winfleet.hotpatch.verify"
    code, output = rollout.run(tmp_path / "verify.log")
    assert "off_track" in output
