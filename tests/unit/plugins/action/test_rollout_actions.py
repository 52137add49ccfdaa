# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three rollout actions one after the other, as the play calls them, with a state folder of their own."""

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible_collections.winfleet.hotpatch.plugins.action import rollout_plan, rollout_report, rollout_wave
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import Process
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.lock import FolderLock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_events import read_events
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils import rollout_action
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import RolloutAction, plain

NOW = datetime(2026, 5, 13, 1, 0, tzinfo=timezone.utc)
VM_ID = "11111111-2222-3333-4444-555555555555"
RID = (
    "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg"
    "/providers/Microsoft.Compute/virtualMachines/a"
)


class StoppedClock:
    """A clock that stands still at the fleet's morning, sixty times as fast as real time."""

    rate = 60.0

    def now(self) -> datetime:
        return NOW


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_action, "open_clock", lambda environ, endpoints: StoppedClock())


def act(
    kind: type[RolloutAction], arguments: dict[str, Any], check_mode: bool = False, **hostvars: dict[str, Any]
) -> dict[str, Any]:
    action = kind(
        task=MagicMock(args=arguments, async_val=0, check_mode=check_mode, environment=[], action="rollout"),
        connection=MagicMock(),
        play_context=MagicMock(),
        loader=MagicMock(),
        templar=MagicMock(),
        shared_loader_obj=MagicMock(),
    )
    action._load_name = "rollout"
    result: dict[str, Any] = action.run(task_vars={"hostvars": hostvars})
    assert json.loads(json.dumps(result)) == result, "plain JSON types only"
    return result


def fact(value: Any) -> dict[str, Any]:
    return {"state": "value", "value": value, "why": ""}


def reading(ubr: int) -> dict[str, Any]:
    """What guest_info registers for an enrolled guest at this revision."""
    guest = {
        "reachable": True,
        "why": "",
        "read_at": (NOW + timedelta(hours=1)).isoformat(),
        "build": fact(26100),
        "ubr": fact(ubr),
        "boot_time": fact((NOW - timedelta(days=20)).isoformat()),
        "skew_seconds": fact(0.0),
        "hotpatch_package": fact("Hotpatch Enrollment Package"),
        "hotpatch_table_size": fact(4096),
        "vbs_status": fact(2),
        "pending_restart": fact(False),
        "kbs": fact([]),
        "smbios_uuid": fact(VM_ID),
    }
    return {"reachable": True, "guest": guest}


@pytest.fixture
def fleet() -> dict[str, Any]:
    """What machine_info returns for the one machine."""
    from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import machine_from_arm

    image = {"publisher": "MicrosoftWindowsServer", "offer": "WindowsServer", "sku": "2025-datacenter-azure-edition"}
    settings = {"patchMode": "AutomaticByPlatform", "enableHotpatching": True}
    windows = {"provisionVMAgent": True, "enableAutomaticUpdates": True, "patchSettings": settings}
    body = {
        "id": RID,
        "properties": {
            "vmId": VM_ID,
            "storageProfile": {"imageReference": image, "osDisk": {"osType": "Windows"}},
            "osProfile": {"windowsConfiguration": windows},
            "instanceView": {
                "vmAgent": {"statuses": [{"displayStatus": "Ready"}]},
                "statuses": [{"code": "PowerState/running"}],
            },
        },
    }
    return {"machines": [machine_from_arm(body).to_dict()]}


UPDATE = {"id": "1", "title": "x", "kb": ["5087423"], "categories": ["Security"], "reboot_behavior": "NeverReboots"}
ASSESSED = {"machines": [{"id": RID, "outcome": "assessed", "updates": {"1": UPDATE}}]}
INSTALLED = {
    "changed": True,
    "machines": [
        {
            "id": RID,
            "outcome": "claimed",
            "reason": "Azure says KB5087423 is Installed",
            "status": "Succeeded",
            "installation_activity_id": "x",
            "started_by": "us",
            "start_time": "2026-05-13T01:05:00Z",
        }
    ],
}


def plan_of(fleet: dict[str, Any], state: Path, **more: Any) -> dict[str, Any]:
    check_mode = more.pop("check_mode", False)
    targets = act(rollout_plan.ActionModule, {"phase": "targets", "hosts": ["a"]}, a={"id": RID})
    arguments = {"phase": "plan", "ids": targets["ids"], "machines": fleet["machines"], "state_dir": str(state)}
    return act(rollout_plan.ActionModule, {**arguments, **more}, check_mode=check_mode)


def test_a_rollout_from_plan_to_report(fleet: dict[str, Any], tmp_path: Path) -> None:
    state = tmp_path / "state"
    plan = plan_of(fleet, state)
    assert (plan["hosts"], plan["wave_sizes"]) == (["a"], [1])
    assert (state / "lock.json").exists()

    common = {"plan": plan, "hosts": ["a"], "guest_variable": "seen"}
    before = act(
        rollout_wave.ActionModule, {**common, "phase": "preflight", "machines": fleet}, a={"seen": reading(32690)}
    )
    assert before["start_ids"] == [RID]
    chosen = act(rollout_wave.ActionModule, {**common, "phase": "select", "preflight": before, "assessments": ASSESSED})
    assert (chosen["install_ids"], chosen["kb_numbers"], chosen["prove_hosts"]) == ([RID], ["KB5087423"], ["a"])
    assert chosen["kb_numbers_by_machine"] == {RID: ["KB5087423"]} and chosen["latest_starts"] == {}
    # From here on an installation may run, so that a run that dies now has to find it.
    assert json.loads((state / "rollout.json").read_text())["machines"][RID.lower()]["stage"] == "selected"

    judged = act(
        rollout_wave.ActionModule,
        {**common, "phase": "judge", "preflight": before, "installations": INSTALLED, "machines": fleet},
        a={"seen": reading(32772)},
    )
    assert judged["verdicts"] == {"a": "patched"}
    gate = act(rollout_wave.ActionModule, {**common, "phase": "gate", "judgement": judged})
    assert gate["stop"] is False
    told = [event["event"] for event in read_events(state)]
    assert told == ["verdict", "wave_finished", "gate", "ring_finished"]

    report = act(rollout_report.ActionModule, {"state_dir": str(state), "rollout_id": plan["rollout_id"]})
    assert report["failure"] == "" and report["totals"]["verdicts"] == {"patched": 1}
    assert not (state / "lock.json").exists()
    assert json.loads((state / "report.json").read_text())["machines"][0]["verdict"] == "patched"
    files = {kind: Path(path) for kind, path in report["report_files"].items()}
    drawn = {kind: path.read_bytes() for kind, path in files.items()}
    assert set(drawn) == {"json", "text", "html", "csv", "markdown", "junit"}
    for path in files.values():
        if path.suffix != ".json":
            path.unlink()
    again = act(rollout_report.ActionModule, {"state_dir": str(state), "print_only": True})
    assert again == report
    assert {kind: path.read_bytes() for kind, path in files.items()} == drawn


def test_the_report_of_a_rollout_that_was_cut_off_is_made_of_its_state(fleet: dict[str, Any], tmp_path: Path) -> None:
    state = tmp_path / "state"
    plan = plan_of(fleet, state)
    common = {"plan": plan, "hosts": ["a"], "guest_variable": "seen"}
    arguments = {**common, "phase": "preflight", "machines": fleet}
    before = act(rollout_wave.ActionModule, arguments, a={"seen": reading(32690)})
    act(rollout_wave.ActionModule, {**common, "phase": "select", "preflight": before, "assessments": ASSESSED})
    saved = (state / "rollout.json").read_bytes()

    # A report of an earlier rollout lies there; it is not what is asked for.
    arguments = {"state_dir": str(state), "print_only": True}
    (state / "report.json").write_text('{"format": 1}', encoding="utf-8")
    report = act(rollout_report.ActionModule, arguments)
    assert report["totals"]["status"] == "running" and report["totals"]["verdicts"] == {"no_verdict": 1}
    row = json.loads((state / "report.json").read_text())["machines"][0]
    assert (row["verdict"], row["stage"]) == (None, "selected") and "never sent twice" in row["next_step"]
    # Nothing is closed, and the lock stays with the run that has it.
    assert (state / "rollout.json").read_bytes() == saved and (state / "lock.json").exists()


def test_a_folder_without_rollout_and_report_is_named(tmp_path: Path) -> None:
    result = act(rollout_report.ActionModule, {"state_dir": str(tmp_path), "print_only": True})
    assert result["failed"] and str(tmp_path) in result["msg"] and "hotpatch_report_dir" in result["msg"]
    (tmp_path / "report.json").write_text('{"format": 1}', encoding="utf-8")
    result = act(rollout_report.ActionModule, {"state_dir": str(tmp_path), "print_only": True})
    assert result["failed"] and "another version" in result["msg"]


def test_check_mode_prints_and_writes_no_report(fleet: dict[str, Any], tmp_path: Path) -> None:
    plan_of(fleet, tmp_path)
    files = sorted(tmp_path.iterdir())
    arguments = {"state_dir": str(tmp_path), "print_only": True}
    report = act(rollout_report.ActionModule, arguments, check_mode=True)
    assert "report_files" not in report and report["totals"]["machines"] == 1
    assert sorted(tmp_path.iterdir()) == files


def test_check_mode_chooses_and_writes_nothing(fleet: dict[str, Any], tmp_path: Path) -> None:
    state = tmp_path / "state"
    plan = plan_of(fleet, state, check_mode=True)
    common = {"plan": plan, "hosts": ["a"], "guest_variable": "seen"}
    arguments = {**common, "phase": "preflight", "machines": fleet}
    before = act(rollout_wave.ActionModule, arguments, check_mode=True, a={"seen": reading(32690)})
    arguments = {**common, "phase": "select", "preflight": before, "assessments": ASSESSED}
    assert act(rollout_wave.ActionModule, arguments, check_mode=True)["install_ids"] == [RID]
    assert not state.exists()


def test_a_guest_that_could_not_be_asked_is_not_started(fleet: dict[str, Any], tmp_path: Path) -> None:
    plan = plan_of(fleet, tmp_path / "state")
    arguments = {"plan": plan, "hosts": ["a"], "guest_variable": "seen", "phase": "preflight", "machines": fleet}
    before = act(rollout_wave.ActionModule, arguments, a={"seen": {"failed": True, "msg": "no pywinrm"}})
    assert before["start"] == []
    saved = json.loads((tmp_path / "state" / "rollout.json").read_text())["machines"][RID.lower()]
    assert saved["verdict"] == "not_started" and "no pywinrm" in saved["reason"]


def test_a_wave_whose_reading_broke_starts_nobody_and_stops(fleet: dict[str, Any], tmp_path: Path) -> None:
    plan = plan_of(fleet, tmp_path / "state")
    broken = {"failed": True, "msg": "invalid client secret"}
    common = {"plan": plan, "hosts": ["a"], "guest_variable": "seen", "machines": broken}
    before = act(rollout_wave.ActionModule, {**common, "phase": "preflight"}, a={"seen": reading(32690)})
    assert before["start_ids"] == []
    judged = act(rollout_wave.ActionModule, {**common, "phase": "judge", "preflight": before, "installations": {}})
    gate = act(rollout_wave.ActionModule, {**common, "phase": "gate", "judgement": judged})
    assert gate["stop"] is True and "invalid client secret" in gate["msg"]
    report = act(rollout_report.ActionModule, {"state_dir": str(tmp_path / "state")})
    assert "invalid client secret" in report["failure"] and report["totals"]["verdicts"] == {"not_started": 1}


def test_a_running_rollout_keeps_others_out(fleet: dict[str, Any], tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    # Somebody alive who is not our parent: this very process.
    FolderLock(state, Process.of(os.getpid())).acquire()
    refused = plan_of(fleet, state)
    assert refused["failed"] and str(os.getpid()) in refused["msg"]
    assert not (state / "rollout.json").exists()


def test_another_runs_state_is_not_written_over(fleet: dict[str, Any], tmp_path: Path) -> None:
    state = tmp_path / "state"
    plan = plan_of(fleet, state)
    plan["rollout_id"] = "another"
    arguments = {"plan": plan, "hosts": ["a"], "phase": "preflight", "machines": fleet, "guest_variable": "seen"}
    refused = act(rollout_wave.ActionModule, arguments, a={"seen": reading(32690)})
    assert refused["failed"] and "no longer holds rollout another" in refused["msg"]


def test_a_plan_is_written_handed_on_and_followed(fleet: dict[str, Any], tmp_path: Path) -> None:
    state, path = tmp_path / "state", tmp_path / "plan.json"
    drawn = plan_of(fleet, state, print_only=True, plan_file=str(path))
    assert not state.exists() and json.loads(path.read_text()) == drawn["plan"]
    for more in ({"plan_file": str(path)}, {"plan": drawn["plan"]}):
        followed = plan_of(fleet, state, follow=True, **more)
        assert (followed["hosts"], followed["digest"]) == (["a"], drawn["digest"])
    refused = plan_of(fleet, state, follow=True)
    assert refused["failed"] and "hotpatch_follow_plan" in refused["msg"]
    # A rollout that makes its own plan does not write over the one that was looked at.
    path.write_text("looked at")
    plan_of(fleet, tmp_path / "other", plan_file=str(path))
    assert path.read_text() == "looked at"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"confirm_above": 0}, "Option hotpatch_confirm has the value '(not set)'"),
        ({"rings": [{"name": "x", "window": "late"}]}, "hotpatch_rings[0].window"),
        ({"spread": "anywhere"}, "Option hotpatch_spread"),
        ({"blocked_kbs": ["the last one"]}, "Option hotpatch_blocked_kbs"),
        ({"maximum_duration": "long"}, "Option hotpatch_maximum_duration"),
        ({"soak": "long"}, "Option hotpatch_soak"),
        ({"follow": True, "plan_file": "/nowhere/plan.json"}, "Option hotpatch_plan_file"),
    ],
)
def test_a_plan_that_cannot_be_leaves_no_state(
    fleet: dict[str, Any], tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    refused = plan_of(fleet, tmp_path / "state", **options)
    assert refused["failed"] and said in refused["msg"]
    assert not (tmp_path / "state" / "rollout.json").exists()


def test_the_inventory_and_the_guests_are_asked(
    fleet: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def read(hosts: list[str], task_vars: Any, *dummy: Any, **options: Any) -> dict[str, Any]:
        asked.append(hosts)
        return {host: unreachable_guest("timed out", NOW) for host in hosts}

    monkeypatch.setattr(rollout_plan, "read_guests", read)
    targets = act(rollout_plan.ActionModule, {"phase": "targets", "hosts": ["a"]}, a={"id": RID})
    arguments = {"phase": "plan", "ids": targets["ids"], "machines": fleet["machines"], "state_dir": str(tmp_path)}
    exempt = {"hotpatch_exempt": {"reason": "audit", "until": "2026-12-31"}}
    drawn = act(rollout_plan.ActionModule, {**arguments, "ask_guests": True, "print_only": True}, a=exempt)
    assert drawn["draft"]["machines"][RID.lower()]["reason_code"] == "exempt"
    assert drawn["draft"]["machines"][RID.lower()]["role_silent"] and asked == [["a"]]
    wrong = act(rollout_plan.ActionModule, {**arguments, "print_only": True}, a={"hotpatch_exempt": "forever"})
    assert wrong["failed"] and "hotpatch_exempt of host a has the value 'forever'" in wrong["msg"]


def test_targets_name_what_is_missing() -> None:
    refused = act(rollout_plan.ActionModule, {"phase": "targets", "hosts": ["a"]}, a={})
    assert refused["failed"] and "hotpatch_resource_id" in refused["msg"]


def test_verify_compares_with_the_current_release(fleet: dict[str, Any]) -> None:
    arguments = {
        "phase": "verify",
        "plan": {"ids": {"a": RID}},
        "hosts": ["a"],
        "machines": fleet,
        "guest_variable": "g",
    }
    for ubr, state, patched in ((32772, "at_release", True), (32690, "outstanding", False)):
        found = act(rollout_wave.ActionModule, arguments, a={"g": reading(ubr)})
        assert (found["machines"][0]["state"], found["machines"][0]["patched"]) == (state, patched)
        assert found["current"] == int(patched)


def test_the_waves_go_by_the_calendar_of_the_plan(fleet: dict[str, Any], tmp_path: Path) -> None:
    rows = [
        {"product": "ws2025", "kind": "hotpatch", "date": "2026-05-12", "kb": "KB5087999"},
        {"product": "ws2025", "kind": "out_of_band", "date": "2026-05-01", "kb": "KB5086000", "keeps_track": False},
    ]
    path = tmp_path / "calendar.json"
    path.write_text(json.dumps({"releases": rows}), encoding="utf-8")
    state = tmp_path / "state"
    plan = plan_of(fleet, state, calendar_file=str(path))
    assert plan["calendar_options"] == {"calendar_file": str(path)}
    # May had another KB.
    assert len(plan["warnings"]) == 1 and "KB5087999" in plan["warnings"][0]
    machines = json.loads((state / "rollout.json").read_text())["machines"]
    assert machines[RID.lower()]["kbs"] == ["KB5087999"]
    seen = reading(32690)
    seen["guest"]["kbs"] = fact(["KB5082063", "KB5086000"])
    arguments = {"plan": plan, "hosts": ["a"], "guest_variable": "seen", "phase": "preflight", "machines": fleet}
    assert act(rollout_wave.ActionModule, arguments, a={"seen": seen})["start"] == []
    saved = json.loads((state / "rollout.json").read_text())["machines"][RID.lower()]
    assert (saved["verdict"], saved["track"]) == ("not_started", "off_track")
    assert "KB5086000" in saved["reason"]


def test_verify_goes_by_the_calendar_it_is_given(fleet: dict[str, Any]) -> None:
    row = {"product": "ws2025", "kind": "hotpatch", "date": "2026-05-12", "kb": "KB5087999", "ubr": 32800}
    arguments = {
        "phase": "verify",
        "plan": {"ids": {"a": RID}},
        "hosts": ["a"],
        "machines": fleet,
        "guest_variable": "g",
        "calendar": {"releases": [row]},
    }
    found = act(rollout_wave.ActionModule, arguments, a={"g": reading(32772)})
    assert (found["machines"][0]["release"]["kb"], found["machines"][0]["patched"]) == ("KB5087999", False)


@pytest.mark.parametrize("kind", [rollout_plan.ActionModule, rollout_wave.ActionModule])
def test_a_calendar_that_cannot_be_read_stops_everything(
    fleet: dict[str, Any], tmp_path: Path, kind: type[RolloutAction]
) -> None:
    missing = str(tmp_path / "none.json")
    if kind is rollout_plan.ActionModule:
        refused = plan_of(fleet, tmp_path / "state", calendar_file=missing)
    else:
        plan = plan_of(fleet, tmp_path / "state")
        plan["calendar_options"] = {"calendar_file": missing}
        arguments = {"plan": plan, "hosts": ["a"], "guest_variable": "g", "phase": "preflight", "machines": fleet}
        refused = act(kind, arguments, a={"g": reading(32690)})
    assert refused["failed"] and "hotpatch_calendar_file" in refused["msg"] and "none.json" in refused["msg"]


def test_arguments_become_plain_types() -> None:
    class Tagged(str):
        """As ansible-core 2.19 tags text."""

    found = plain({Tagged("a"): (Tagged("b"), 1, True, None, 1.5, {"c"})})
    assert found == {"a": ["b", 1, True, None, 1.5, ["c"]]}
    assert {key.__class__ for key in found} == {str} and found["a"][0].__class__ is str
