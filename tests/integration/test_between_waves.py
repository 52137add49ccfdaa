# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes between the waves of a real run: waits that a signal ends, windows, the platform, catching up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import audit_checker as check
import emulator_process
import pytest
from ansible_runs import FLEETS, Rollout
from test_interruptions import emulated_now, wait_for
from test_rings import BROAD, CANARIES, RINGS, events, ids, names_of, output_events, verdicts

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]


def processes_of(rollout: Rollout) -> list[int]:
    """Everything that still runs for this rollout: ansible-playbook and the workers that it forked."""
    wanted, found = str(rollout.state_dir).encode(), []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes()
        except OSError:
            continue
        if b"ansible-playbook" in text and wanted in text:
            found.append(int(entry.parent.name))
    return found


@pytest.mark.parametrize("waits_for", ["soak", "resume", "silent_guest"])
def test_a_sigterm_ends_every_wait_at_once(
    waits_for: str, start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    """As AWX cancels a job: nothing lives on, nothing is decided by it, and the next run goes on from there."""
    running = start_emulator(FLEETS / "two_rings.yml")
    rings = [{**RINGS[0], "soak": "P1D"}, RINGS[1]]
    options = {"hotpatch_guest_timeout": 86400, "hotpatch_unproven_products": ["all"]}
    rollout = rollout_over(running, hotpatch_rings=rings, **options)
    output = tmp_path / "run.log"
    process = rollout.start(output)
    wait_for(lambda: "soak_started" in output_events(rollout), process, output)
    if waits_for == "resume":
        (rollout.state_dir / "control").write_text("pause", encoding="utf-8")
        wait_for(lambda: "paused" in output_events(rollout), process, output)
    if waits_for == "silent_guest":
        running.control("/emulator/machines/canary0002/restart", "POST", {"down_seconds": 10**6})
        running.control("/emulator/clock", "PUT", {"advance_seconds": 86400})
        wait_for(lambda: "do not answer yet: canary0002" in output.read_text("utf-8"), process, output)
    else:
        wait_for(lambda: "Wait for the ring before it to soak" in output.read_text("utf-8"), process, output)
    kept = (rollout.state_dir / "rollout.json").read_bytes()
    process.terminate()
    assert process.wait(60) != 0
    # All of these waits are to last for a day, which takes six minutes here.
    deadline = time.monotonic() + 60
    while processes_of(rollout):
        assert time.monotonic() < deadline, f"still there: {processes_of(rollout)}"
        time.sleep(0.1)
    state = json.loads((rollout.state_dir / "rollout.json").read_text(encoding="utf-8"))
    assert state["status"] == "running" and state["stop"] is None
    assert (rollout.state_dir / "rollout.json").read_bytes() == kept
    assert "soak_proven" not in names_of(events(rollout))
    lines = running.audit()
    assert len(check.install_requests(lines)) == len(CANARIES)
    if waits_for != "soak":
        return
    running.control("/emulator/clock", "PUT", {"advance_seconds": 86400})
    code, text = rollout.run(tmp_path / "again.log")
    assert code == 0, text
    assert {verdict for verdict, dummy in verdicts(rollout).values()} == {"patched"}, text
    assert len(check.install_requests(running.audit())) == 6 and check.installed_twice(running.audit()) == []


def test_who_was_out_of_reach_is_caught_up_and_nobody_else(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    fleet = tmp_path / "fleet.yml"
    text = (FLEETS / "two_rings.yml").read_text(encoding="utf-8")
    more = "  - {name: asleep, product: ws2025, power: deallocated}\n  - {name: bystander, product: ws2025}\n"
    fleet.write_text(text + more, encoding="utf-8")
    running = start_emulator(fleet)
    rings = [{**RINGS[0], "soak": 0}, {**RINGS[1], "hosts": [*BROAD, "asleep", "bystander"]}]
    options = {"hotpatch_not_started_limit": 1, "hotpatch_plan_asks_guests": False}
    rollout = rollout_over(running, hotpatch_rings=rings, hotpatch_hosts="all:!bystander:!other", **options)
    running.control("/emulator/machines/broad0003/restart", "POST", {"down_seconds": 10**5})
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    found = verdicts(rollout)
    assert found["broad0003"] == ("not_started", "guest_unreachable"), output
    assert found["asleep"] == ("skipped", "stopped"), output
    before = check.install_requests(running.audit())
    running.control("/emulator/clock", "PUT", {"advance_seconds": 10**5})
    # The others' hosts are in it now, and stay outside.
    del rollout.variables["hotpatch_hosts"]
    rollout.playbook = "winfleet.hotpatch.catch_up"
    code, output = rollout.run(tmp_path / "catch_up.log")
    assert code == 0, output
    assert verdicts(rollout)["broad0003"][0] == "patched", output
    assert verdicts(rollout)["asleep"] == ("skipped", "stopped") and len(verdicts(rollout)) == 2
    lines = running.audit()
    sent = [line["resource_id"].rpartition("/")[2] for line in check.install_requests(lines)]
    assert len(sent) == len(before) + 1 and sent[-1] == "broad0003" and check.installed_twice(lines) == []
    assert not [line for line in lines if line["kind"] == "winrm" and "bystander" in str(line["resource_id"])]


def test_a_window_is_waited_for_and_what_the_platform_did_meanwhile_is_told_apart(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    """While the canaries soak, Azure patches one of the others by itself; the rest wait for their evening."""
    fleet = tmp_path / "fleet.yml"
    text = (FLEETS / "two_rings.yml").read_text(encoding="utf-8")
    quick = "  - {name: quick, product: ws2025, script: {platform: {install_after_minutes: 900}}}\n"
    fleet.write_text(text + quick, encoding="utf-8")
    running = start_emulator(fleet)
    window = {"start": "20:00", "end": "04:00", "time_zone": "UTC"}
    broad = {**RINGS[1], "hosts": [*BROAD, "quick"], "waves": ["100%"], "window": window}
    rings = [{**RINGS[0], "soak": "P1D"}, broad]
    rollout = rollout_over(running, hotpatch_rings=rings, hotpatch_hosts="all:!other", hotpatch_error_budget=0)
    output = tmp_path / "run.log"
    process = rollout.start(output)
    wait_for(lambda: "soak_started" in output_events(rollout), process, output)
    soaking_from = emulated_now(running)
    running.control("/emulator/clock", "PUT", {"advance_seconds": 54000})
    (quick_id,) = ids(running, ["quick"])

    def installed() -> bool:
        ended = check.installations(running.audit(), "finished")
        return check.key(quick_id) in {check.key(line["resource_id"]) for line in ended}

    wait_for(installed, process, output)
    running.control("/emulator/clock", "PUT", {"advance_seconds": 54000})
    wait_for(lambda: "window_waited" in output_events(rollout), process, output)
    now = emulated_now(running)
    opening = now.replace(hour=20, minute=0, second=0, microsecond=0)
    assert opening > now, "the fleet's morning is to be long over, and its evening still to come"
    running.control("/emulator/clock", "PUT", {"advance_seconds": (opening - now).total_seconds()})
    assert process.wait(240) == 0, output.read_text(encoding="utf-8")
    found = verdicts(rollout)
    assert found.pop("quick") == ("patched_by_platform", "installed_between_waves"), output.read_text(encoding="utf-8")
    assert {verdict for verdict, dummy in found.values()} == {"patched"}
    lines = running.audit()
    assert check.starts_between(lines, soaking_from, opening) == []
    sent = {check.key(line["resource_id"]) for line in check.install_requests(lines)}
    assert len(sent) == 5 and check.key(quick_id) not in sent and check.installed_twice(lines) == []
    closing = opening + timedelta(hours=8)
    assert not [line for line in check.installations(lines, "finished") if check.when(line) > closing]
