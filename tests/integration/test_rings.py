# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rings, soaks, budgets, holds, hooks and whoever pauses or aborts from outside, judged by the emulator's audit log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import audit_checker as check
import emulator_process
import pytest
from ansible_runs import FLEETS, Rollout
from report_checker import complaints
from test_interruptions import emulated_now, wait_for

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]

KB_2025, KB_2022 = "KB5087423", "KB5087424"
CANARIES, BROAD, OTHER = ["canary0001", "canary0002"], ["broad0001", "broad0002", "broad0003"], ["other"]
SOAK_MINUTES = 30
RINGS: list[dict[str, Any]] = [
    {"name": "canary", "hosts": CANARIES, "waves": ["100%"], "soak": f"PT{SOAK_MINUTES}M", "error_budget": 0},
    {"name": "broad", "hosts": [*BROAD, *OTHER], "waves": [2, "100%"], "error_budget": "100%"},
]


def ids(running: emulator_process.Emulator, names: list[str]) -> list[str]:
    found = {machine["name"]: machine["id"] for machine in running.control("/emulator/machines")}
    return [found[name] for name in names]


def verdicts(rollout: Rollout) -> dict[str, tuple[str, str]]:
    return {item["name"]: (item["verdict"], item["reason_code"]) for item in rollout.report()["machines"]}


def waves(rollout: Rollout) -> list[list[str]]:
    report = rollout.report()
    by_host = {item["host"]: item["id"] for item in report["machines"]}
    return [[by_host[host] for host in wave["machines"]] for wave in report["waves"]]


def events(rollout: Rollout) -> list[dict[str, Any]]:
    """The events as the run left them: whole lines, whatever ended it."""
    text = (rollout.state_dir / "events.jsonl").read_text(encoding="utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def names_of(told: list[dict[str, Any]]) -> list[str]:
    return [event["event"] for event in told]


def test_the_canaries_soak_and_freeze_what_the_others_get(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "two_rings.yml")
    rollout = rollout_over(running, hotpatch_rings=RINGS, hotpatch_not_started_limit=1)
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    found = verdicts(rollout)
    assert {found[name][0] for name in CANARIES + BROAD} == {"patched"}, output
    # No canary has its product, so that nobody tried its update out.
    assert found["other"] == ("not_started", "not_proven"), output
    lines, canaries, broad = running.audit(), ids(running, CANARIES), ids(running, BROAD)
    assert check.judge(lines, 2, ids(running, CANARIES + BROAD + OTHER)) == []
    assert check.batches_in_order(lines, waves(rollout)) == []
    assert check.batches_in_order(lines, [canaries, broad], "ring") == []
    assert check.soaked(lines, canaries, broad, SOAK_MINUTES * 60) == []
    assert check.other_than(lines, {machine: [KB_2025] for machine in [*canaries, *broad]}) == []
    told = names_of(events(rollout))
    order = ["planned", "ring_started", "wave_started", "machine_started", "machine_installed", "verdict", "gate"]
    order += ["ring_finished", "soak_started", "soak_proven"]
    places = [told.index(name) for name in order]
    assert places == sorted(places), told
    assert told[-1] == "finished" and told.count("ring_started") == 2 and told.count("machine_started") == 5

    # Another control node has neither state nor journal: what is there is found, and nothing is sent again.
    elsewhere = rollout_over(running, hotpatch_rings=RINGS, hotpatch_not_started_limit=1)
    elsewhere.state_dir = tmp_path / "another_node"
    code, output = elsewhere.run(tmp_path / "again.log")
    assert code == 0, output
    assert {verdicts(elsewhere)[name][0] for name in CANARIES + BROAD} == {"already_current"}, output
    assert verdicts(elsewhere)["other"] == ("not_started", "not_proven"), output
    assert check.install_requests(running.audit()) == check.install_requests(lines)


def test_a_word_lets_an_unproven_product_go_on(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    fleet = tmp_path / "fleet.yml"
    text = (FLEETS / "two_rings.yml").read_text(encoding="utf-8")
    fleet.write_text(text + "  - {name: busy, product: ws2025, guest: {cpu_percent: 77}}\n", encoding="utf-8")
    running = start_emulator(fleet)
    rings = [{**RINGS[0], "soak": 0}, {**RINGS[1], "hosts": [*RINGS[1]["hosts"], "busy"]}]
    limits = {"hotpatch_max_cpu_percent": 50, "hotpatch_not_started_limit": 1}
    rollout = rollout_over(running, hotpatch_rings=rings, hotpatch_unproven_products=["ws2022"], **limits)
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    found = verdicts(rollout)
    assert found.pop("busy") == ("not_started", "cpu_busy"), output
    assert {verdict for verdict, dummy in found.values()} == {"patched"}, output
    assert complaints(rollout.state_dir) == []
    report = rollout.report()
    loads = {item["name"]: item["load"] for item in report["machines"]}
    assert loads.pop("busy")["after"] is None
    assert {load["cpu_percent_change"] for load in loads.values()} == {0.0}
    assert report["load"]["cpu_percent"]["machines"] == len(loads) == 6
    kbs = {machine: [KB_2025] for machine in ids(running, CANARIES + BROAD)} | {ids(running, OTHER)[0]: [KB_2022]}
    # One task serves both products, and still each machine is sent its own KB alone.
    assert check.other_than(running.audit(), kbs) == []


def test_a_machine_that_goes_bad_in_the_soak_stops_the_rollout(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "two_rings.yml")
    rollout = rollout_over(running, hotpatch_rings=RINGS)
    output = tmp_path / "run.log"
    process = rollout.start(output)
    wait_for(lambda: "soak_started" in output_events(rollout), process, output)
    running.control("/emulator/machines/canary0002/restart", "POST", {"down_seconds": 60})
    assert process.wait(180) != 0
    text = output.read_text(encoding="utf-8")
    found = verdicts(rollout)
    assert found["canary0002"] == ("restarted_unexpectedly", "restarted_in_soak"), text
    assert found["canary0001"][0] == "patched"
    assert {found[name] for name in BROAD + OTHER} == {("not_started", "rollout_stopped")}, text
    assert check.beyond_budget(running.audit(), [ids(running, CANARIES), ids(running, BROAD)], [], 0) == []
    assert len(check.install_requests(running.audit())) == 2
    # Without a hold the report of the run names who Azure may still patch by itself.
    assert all(f"{name}: Azure may install" in text for name in BROAD)


def output_events(rollout: Rollout) -> list[str]:
    path = rollout.state_dir / "events.jsonl"
    return names_of(events(rollout)) if path.is_file() else []


@pytest.mark.parametrize("place", ["file", "tag"])
def test_pause_between_machines_and_resume(
    place: str, start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "two_rings.yml")
    group = ids(running, CANARIES)[0].partition("/providers")[0]
    options = {"hotpatch_control_resource_groups": [group]} if place == "tag" else {}
    rollout = rollout_over(running, hotpatch_waves=[1, "100%"], hotpatch_error_budget=0, **options)

    def say(word: str) -> None:
        if place == "tag":
            running.control("/emulator/resource-groups/rg-rings/tags", "PUT", {"Hotpatch-Rollout": word, "owner": "x"})
        else:
            (rollout.state_dir / "control").write_text(word, encoding="utf-8")

    output = tmp_path / "run.log"
    process = rollout.start(output)
    wait_for(lambda: len(check.install_requests(running.audit())) >= 1, process, output)
    say("pause")
    paused_at = emulated_now(running)
    # The one that runs finishes and is proven; the next wave does not begin.
    wait_for(lambda: "paused" in output_events(rollout), process, output)
    while emulated_now(running) < paused_at + timedelta(minutes=40):
        time.sleep(0.2)
    say("resume")
    resumed_at = emulated_now(running)
    assert process.wait(180) == 0, output.read_text(encoding="utf-8")
    lines = running.audit()
    # A tag is read every half minute.
    assert check.starts_between(lines, paused_at + timedelta(seconds=60), resumed_at) == []
    assert {verdict for verdict, dummy in verdicts(rollout).values()} == {"patched"}
    assert len(check.install_requests(lines)) == 6 and check.installed_twice(lines) == []


def test_abort_in_the_middle_of_a_wave(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "two_rings.yml")
    rollout = rollout_over(running, hotpatch_waves=[2, "100%"])
    output = tmp_path / "run.log"
    process = rollout.start(output)
    wait_for(lambda: len(check.install_requests(running.audit())) >= 2, process, output)
    (rollout.state_dir / "control").write_text("abort", encoding="utf-8")
    assert process.wait(180) != 0
    text = output.read_text(encoding="utf-8")
    report = rollout.report()
    assert report["stop"]["code"] == "aborted" and "control says abort" in report["failure"], text
    # What ran was let finish and proven, the rest was never started.
    assert sorted(verdict for verdict, dummy in verdicts(rollout).values()) == ["not_started"] * 4 + ["patched"] * 2
    assert len(check.install_requests(running.audit())) == 2
    assert names_of(events(rollout))[-1] == "stopped"


def test_a_failing_hook_counts_and_its_machine_is_not_touched(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "two_rings.yml")
    drain, note = tmp_path / "drain.yml", tmp_path / "note.yml"
    drain.write_text(
        "- name: Drain\n  ansible.builtin.assert:\n    that: inventory_hostname != 'canary0002'\n"
        "    fail_msg: the load balancer does not let it go\n",
        encoding="utf-8",
    )
    note.write_text(
        '- name: Note\n  ansible.builtin.copy:\n    content: "{{ hotpatch_hook.verdict }}"\n'
        '    dest: "{{ hotpatch_hook.vars.folder }}/{{ hotpatch_hook.stage }}-{{ inventory_hostname }}"\n'
        "    mode: '0600'\n",
        encoding="utf-8",
    )
    folder = tmp_path / "noted"
    folder.mkdir()
    noting = {"tasks": str(note), "on": "controller", "vars": {"folder": str(folder)}}
    stages = ["before_rollout", "before_ring", "before_wave", "after_machine", "after_wave", "after_ring"]
    hooks: dict[str, Any] = dict.fromkeys([*stages, "after_rollout"], noting)
    hooks["before_machine"] = [noting, str(drain)]
    limits = {"hotpatch_error_budget": 1, "hotpatch_not_started_limit": 1}
    rollout = rollout_over(running, hotpatch_hooks=hooks, hotpatch_waves=["100%"], **limits)
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    found = verdicts(rollout)
    assert found.pop("canary0002") == ("not_started", "hook_failed"), output
    assert {verdict for verdict, dummy in found.values()} == {"patched"}, output
    lines = running.audit()
    assert check.outside_plan(check.install_requests(lines), ids(running, list(found))) == []
    hosts = [*CANARIES, *BROAD, *OTHER]
    assert {path.name for path in folder.glob("*_machine-*")} == {
        f"{stage}-{host}" for stage in ("before_machine", "after_machine") for host in hosts
    }
    assert (folder / "after_machine-broad0001").read_text() == "patched"
    others = {path.name.partition("-")[0] for path in folder.iterdir()}
    assert others == {*stages, "before_machine", "after_rollout"}
    assert next(event for event in events(rollout) if event["event"] == "hook_failed")["host"] == "canary0002"


def test_a_failing_hook_of_a_wave_stops_before_it(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "two_rings.yml")
    hook = tmp_path / "hook.yml"
    hook.write_text("- name: Ask\n  ansible.builtin.fail:\n    msg: nobody is on call\n", encoding="utf-8")
    rollout = rollout_over(running, hotpatch_hooks={"before_wave": str(hook)})
    code, output = rollout.run(tmp_path / "run.log")
    assert code != 0, output
    report = rollout.report()
    assert report["stop"]["code"] == "hook_failed" and "nobody is on call" in report["failure"], output
    assert check.install_requests(running.audit()) == []


def test_a_spent_ring_budget_stops_and_the_rest_is_held(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    fleet = tmp_path / "fleet.yml"
    text = (FLEETS / "two_rings.yml").read_text(encoding="utf-8")
    failing = text.replace("  - name: canary\n", "  - name: canary\n    script: {install: {outcome: Failed}}\n")
    fleet.write_text(failing, encoding="utf-8")
    running = start_emulator(fleet)
    # The rollout as a whole would bear it, the ring does not.
    options = {"hotpatch_error_budget": "100%", "hotpatch_on_stop": "hold"}
    rollout = rollout_over(running, hotpatch_rings=RINGS, **options)
    code, output = rollout.run(tmp_path / "run.log")
    assert code != 0, output
    report = rollout.report()
    assert report["stop"]["code"] == "error_budget" and "ring canary" in report["failure"], output
    lines, canaries, rest = running.audit(), ids(running, CANARIES), ids(running, BROAD + OTHER)
    assert check.beyond_budget(lines, [canaries, rest], canaries, 0) == []
    assert len(check.install_requests(lines)) == 2
    for machine in rest:
        [line] = check.settings_sent(lines, machine)
        settings = line["body"]["properties"]["osProfile"]["windowsConfiguration"]["patchSettings"]
        assert settings["enableHotpatching"] is False, output
        assert settings["automaticByPlatformSettings"]["bypassPlatformSafetyChecksOnUserSchedule"] is True
    assert [check.settings_sent(lines, machine) for machine in canaries] == [[], []]


def test_rings_not_reached_are_held_and_released_in_time(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    running = start_emulator(FLEETS / "two_rings.yml")
    rings = [{**RINGS[0], "soak": 0}, {**RINGS[1], "hosts": BROAD, "waves": ["100%"]}]
    rollout = rollout_over(running, hotpatch_rings=rings, hotpatch_hold=True, hotpatch_hosts="all:!other")
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    assert {verdict for verdict, dummy in verdicts(rollout).values()} == {"patched"}, output
    lines = running.audit()
    first = check.install_requests(lines)[0]
    for machine in ids(running, BROAD):
        held, released = check.settings_sent(lines, machine)
        assert check.when(held) < check.when(first) < check.when(released)
        settings = released["body"]["properties"]["osProfile"]["windowsConfiguration"]["patchSettings"]
        assert settings["enableHotpatching"] is True
    assert names_of(events(rollout)).count("released") == 1
