# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that leads an enrolment from round to round: who is asked again, how long it sleeps, when it ends."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any
from unittest.mock import MagicMock

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible_collections.winfleet.hotpatch.plugins.action import enrollment_progress
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import machine_from_arm
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils import rollout_action

NOW = datetime(2026, 5, 13, 1, 0, tzinfo=timezone.utc)
VM_ID = "11111111-2222-3333-4444-555555555555"
HOSTS = ("a", "b", "c")
IDS = {
    host: "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg"
    f"/providers/Microsoft.Compute/virtualMachines/{host}"
    for host in HOSTS
}


class Clock:
    """A clock that moves only by sleeping."""

    rate = 60.0

    def __init__(self) -> None:
        self.passed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rollout_action, "open_clock", lambda environ, endpoints: clock)
    return clock


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(rollout_action.display, "display", said.append)
    return said


def machines() -> dict[str, Any]:
    windows = {
        "provisionVMAgent": True,
        "patchSettings": {"patchMode": "AutomaticByPlatform", "enableHotpatching": True},
    }
    bodies = [
        {
            "id": resource_id,
            "properties": {
                "vmId": VM_ID,
                "storageProfile": {"osDisk": {"osType": "Windows"}},
                "osProfile": {"windowsConfiguration": windows},
                "instanceView": {"statuses": [{"code": "PowerState/running"}]},
            },
        }
        for resource_id in IDS.values()
    ]
    return {"machines": [machine_from_arm(body).to_dict() for body in bodies]}


def enrolled(**outcomes: str) -> dict[str, Any]:
    """What enrollment returned: changed, unless told otherwise."""
    return {
        "machines": [
            {"id": resource_id.upper(), "outcome": outcomes.get(host, "changed"), "reason": "said so"}
            for host, resource_id in IDS.items()
        ]
    }


def reading(effective: bool) -> dict[str, Any]:
    def fact(value: Any) -> dict[str, Any]:
        return {"state": "absent" if value is None else "value", "value": value, "why": ""}

    guest = {
        "reachable": True,
        "why": "",
        "read_at": NOW.isoformat(),
        "hotpatch_package": fact("Hotpatch Enrollment Package" if effective else None),
        "hotpatch_table_size": fact(4096),
        "vbs_status": fact(2),
        "smbios_uuid": fact(VM_ID),
    }
    return {"reachable": True, "guest": guest}


def act(arguments: dict[str, Any], check_mode: bool = False, **readings: dict[str, Any]) -> dict[str, Any]:
    given = {
        "ids": IDS,
        "enrollment": enrolled(),
        "machines": machines(),
        "timeout": 3600,
        "interval": 600,
        **arguments,
    }
    action = enrollment_progress.ActionModule(
        task=MagicMock(args=given, async_val=0, check_mode=check_mode, environment=[], action="enrollment_progress"),
        connection=MagicMock(),
        play_context=MagicMock(),
        loader=MagicMock(),
        templar=MagicMock(),
        shared_loader_obj=MagicMock(),
    )
    action._load_name = "enrollment_progress"
    hostvars = {host: {"guest": result} for host, result in readings.items()}
    result: dict[str, Any] = action.run(task_vars={"hostvars": hostvars})
    assert json.loads(json.dumps(result)) == result, "plain JSON types only"
    return result


def states(result: dict[str, Any]) -> dict[str, str]:
    return {row["host"]: row["state"] for row in result["machines"]}


def test_rounds_end_when_nobody_is_waited_for(clock: Clock, lines: list[str]) -> None:
    first = act({"enrollment": enrolled(c="refused")})
    assert (first["again"], first["pending"], clock.slept) == (True, ["a", "b"], [])
    second = act(
        {"enrollment": enrolled(c="refused"), "previous": first, "guest_variable": "guest"},
        a=reading(True),
        b=reading(False),
    )
    assert (second["again"], second["pending"], clock.slept) == (True, ["b"], [600])
    assert "enrol 1/3 effective, 1 waited for" in lines[-1]
    # Whoever was enrolled is not asked again, and its earlier reading holds.
    third = act(
        {"enrollment": enrolled(c="refused"), "previous": second, "guest_variable": "guest", "error_budget": "1"},
        a={"skipped": True},
        b=reading(True),
    )
    assert (third["again"], third["pending"], third["failure"]) == (False, [], "")
    assert states(third) == {"a": "enrolled", "b": "enrolled", "c": "refused"}
    assert third["totals"] == {"machines": 3, "enrolled": 2, "refused": 1}
    assert "MACHINE" in lines[-1] and "said so" in lines[-1]


def test_time_runs_out_with_the_reasons_told(clock: Clock, lines: list[str]) -> None:
    result = act({})
    rounds = 0
    while result["again"]:
        rounds += 1
        result = act({"previous": result, "guest_variable": "guest"}, a=reading(False), b=reading(True))
    assert rounds == 7 and sum(clock.slept) == 3600
    assert states(result) == {"a": "enrolling", "b": "enrolled", "c": "unreachable"}
    assert "1 of 3 machines" in result["failure"] and "c: it was not asked" in result["failure"]
    assert "Hotpatch Enrollment Package" in lines[-1]


def test_without_time_each_guest_is_asked_once(clock: Clock, lines: list[str]) -> None:
    first = act({"timeout": 0})
    assert first["pending"] == ["a", "b", "c"]
    arguments = {"timeout": 0, "previous": first, "guest_variable": "guest"}
    second = act(arguments, a=reading(False), b=reading(False), c=reading(True))
    assert (second["again"], clock.slept, second["failure"]) == (False, [], "")
    assert states(second) == {"a": "enrolling", "b": "enrolling", "c": "enrolled"}


def test_check_mode_asks_nobody_and_fails_nobody(clock: Clock, lines: list[str]) -> None:
    result = act(
        {"enrollment": enrolled(a="would_change", c="refused"), "machines": {"skipped": True}}, check_mode=True
    )
    assert (result["again"], result["failure"]) == (False, "")
    assert states(result) == {"a": "would_change", "b": "changed", "c": "refused"}


def test_the_registry_can_be_overridden(clock: Clock, lines: list[str]) -> None:
    first = act({})
    arguments = {"previous": first, "guest_variable": "guest", "preflight_overrides": ["enrolment_in_guest"]}
    assert states(act(arguments, a=reading(False), b=reading(False), c=reading(True))) == dict.fromkeys(
        HOSTS, "enrolled"
    )


def test_a_code_that_does_not_exist_is_refused(clock: Clock) -> None:
    result = act({"preflight_overrides": ["registry"]})
    assert result["failed"] is True and "enrolment_in_guest" in result["msg"]
