# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification and preparation of guests over the embedded Azure, by real ansible-playbook, judged by its audit log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import audit_checker as check
import emulator_process
import pytest
import yaml
from ansible_runs import FLEETS, Rollout

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]
FLEET = FLEETS / "prerequisites.yml"
FINDING = re.compile(r"^(\w+) (?:is not ready|could be hotpatched)[^\n]*:\n +1\. (\w+): ", re.MULTILINE)
NEXT = re.compile(r"^ +\d+\. (\w+): [^\n]+\n +next: ([^\n]+) \(([^()]+)\)$", re.MULTILINE)


def expected() -> dict[str, str]:
    machines = yaml.safe_load(FLEET.read_text(encoding="utf-8"))["machines"]
    return {machine["name"]: machine["expect"]["verdict"] for machine in machines}


def by(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


def name(line: dict[str, Any]) -> str:
    return str(line["resource_id"]).rpartition("/")[2]


def written(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Machine and value of everything that was set in a registry."""
    return [(name(line), line["name"]) for line in by(lines, "state") if line["what"] == "registry" and "name" in line]


def test_verify_explains_every_machine(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    """Each with its first finding and a next step; nothing is written, and no guest is asked more than it may be."""
    running = start_emulator(FLEET)
    verifying = rollout_over(running)
    verifying.playbook = "winfleet.hotpatch.verify"
    code, output = verifying.run(tmp_path / "run.log")
    assert code == 0, output
    found = dict(FINDING.findall(output))
    assert found.pop("wsus") == "wsus", "a hint does not make a machine unready"
    assert found == {host: verdict for host, verdict in expected().items() if verdict != "ready"}, output
    steps = {finding: step for finding, step, dummy in NEXT.findall(output)}
    assert "playbook prerequisites" in steps["vbs_off"] and "role enroll" in steps["hotpatching_off"]
    assert "did not answer in time" in steps["update_failed"] and "without WSUS" not in steps["wsus"]
    lines = running.audit()
    assert check.writes(lines) == [] and by(lines, "restart") == [] and written(lines) == []
    asked = Counter(name(line) for line in by(lines, "winrm"))
    assert set(asked) == set(expected()) - {"silent", "asleep"} and max(asked.values()) <= 36, asked


def test_prepare_without_the_word_restarts_nothing(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    """What differs is written once; a second run writes nothing."""
    running = start_emulator(FLEET)
    preparing = rollout_over(running, hotpatch_hosts="ready:bare01:bare02:halfway:gen1:wsus")
    preparing.playbook = "winfleet.hotpatch.prerequisites"
    preparing.options = ("--check", "--diff")
    code, output = preparing.run(tmp_path / "check.log")
    assert code == 0, output
    assert "+HKLM\\SYSTEM\\CurrentControlSet\\Control\\DeviceGuard\\EnableVirtualizationBasedSecurity = 1" in output
    assert written(running.audit()) == []
    preparing.options = ()
    code, output = preparing.run(tmp_path / "first.log")
    assert code == 0, output
    vbs = "EnableVirtualizationBasedSecurity"
    assert sorted(written(running.audit())) == [("bare01", vbs), ("bare02", vbs), ("gen1", vbs)]
    assert "UEFI with Secure Boot" in output and "needs a restart" in output
    code, output = preparing.run(tmp_path / "second.log")
    assert code == 0 and re.search(r"bare01 +: ok=\d+ +changed=0 ", output), output
    lines = running.audit()
    assert len(written(lines)) == 3 and by(lines, "restart") == [] and check.writes(lines) == []


def test_prepare_with_the_word_restarts_one_after_the_other(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    """Only who needs it, each once, the next only when the one before is back; and then nobody any more."""
    running = start_emulator(FLEET)
    hosts = "ready:bare01:bare02:gen1:wsus"
    preparing = rollout_over(running, hotpatch_hosts=hosts, hotpatch_prerequisites_restart=True)
    preparing.playbook = "winfleet.hotpatch.prerequisites"
    code, output = preparing.run(tmp_path / "first.log")
    assert code == 0, output
    restarts = by(running.audit(), "restart")
    assert [name(line) for line in restarts] == ["bare01", "bare02"]
    first_up = next(
        line["seq"]
        for line in running.audit()
        if name(line) == "bare01" and line["kind"] == "winrm" and line["seq"] > restarts[0]["seq"]
    )
    assert first_up < restarts[1]["seq"], "the second is not touched before the first has answered again"
    code, output = preparing.run(tmp_path / "second.log")
    assert code == 0, output
    assert len(by(running.audit(), "restart")) == 2 and len(written(running.audit())) == 3


@pytest.mark.parametrize("host", ["stranger", "silent", "asleep"])
def test_whom_nobody_knows_is_left_alone(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path, host: str
) -> None:
    """Another machine's guest, and one that does not answer: the run fails, and nothing was done."""
    running = start_emulator(FLEET)
    preparing = rollout_over(running, hotpatch_hosts=host, hotpatch_prerequisites_restart=True)
    preparing.playbook = "winfleet.hotpatch.prerequisites"
    code, output = preparing.run(tmp_path / "run.log")
    assert code != 0 and "Nothing was changed" in output, output
    lines = running.audit()
    assert written(lines) == [] and by(lines, "restart") == []


def test_hosts_over_ssh_are_claimed_and_counted(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    """With hotpatch_proof azure no guest is asked and nobody fails: the verdict is claimed, never patched."""
    fleet = tmp_path / "fleet.yml"
    document = {
        "now": "2026-05-13T01:00:00Z",
        "speed": 300,
        "seed": 5,
        "switches": {"platform_patches_by_itself": False, "patch_status_lag_minutes": [0, 0]},
        "machines": [{"name": "web", "count": 2, "product": "ws2025"}],
    }
    fleet.write_text(yaml.safe_dump(document), encoding="utf-8")
    running = start_emulator(fleet)
    inventory = running.inventory.read_text(encoding="utf-8")
    assert "ansible_connection: winrm" in inventory
    by_ssh = inventory.replace("ansible_connection: winrm", "ansible_connection: ssh")
    running.inventory.write_text(by_ssh, encoding="utf-8")
    rolling = rollout_over(running, hotpatch_proof="azure")
    code, output = rolling.run(tmp_path / "run.log")
    assert code == 0, output
    report = rolling.report()
    assert {machine["verdict"] for machine in report["machines"]} == {"claimed"}
    assert report["counts"] == {"claimed": 2} and "2 claimed" in output
    assert by(running.audit(), "winrm") == []
