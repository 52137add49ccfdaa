# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge is judged first: each breach that it is there for, it must see."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import audit_checker as check

WEB1 = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/web1"
WEB2 = WEB1.replace("web1", "web2")


def log(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"seq": seq, "time": f"2026-05-13T01:00:{seq:02d}Z", **entry} for seq, entry in enumerate(entries)]


def install(machine: str, setting: str = "Never", status: int = 202) -> dict[str, Any]:
    path = f"{machine}/installPatches"
    body = {"rebootSetting": setting}
    return {"kind": "request", "method": "POST", "path": path, "resource_id": machine, "status": status, "body": body}


def operation(machine: str, event: str, activity: str) -> dict[str, Any]:
    known = {"kind": "operation", "operation": "installPatches", "status": "InProgress"}
    return {**known, "event": event, "resource_id": machine, "activity_id": activity}


def test_a_good_log_has_no_breach() -> None:
    lines = log(
        install(WEB1, status=429),
        install(WEB1),
        operation(WEB1, "started", "a"),
        operation(WEB1, "finished", "a"),
        install(WEB2),
        operation(WEB2, "started", "b"),
        {"kind": "restart", "cause": "fault", "resource_id": WEB2},
    )
    assert check.restarts_under_never(lines) == []
    assert check.installed_twice(lines) == []
    assert check.more_than_wave(lines, 1) == []
    assert check.outside_plan(lines, [WEB1.upper(), WEB2]) == []
    assert check.starts_after(lines, datetime(2026, 5, 13, 1, 0, 4, tzinfo=timezone.utc)) == []


def test_restarts_are_seen() -> None:
    restart = {"kind": "request", "method": "POST", "path": f"{WEB1}/restart", "resource_id": WEB1, "status": 202}
    lines = log(restart, install(WEB1, "IfRequired"), {"kind": "restart", "cause": "install", "resource_id": WEB1})
    assert [breach.split(":")[0] for breach in check.restarts_under_never(lines)] == ["line 0", "line 1", "line 2"]


def test_a_second_install_is_seen_in_any_spelling() -> None:
    assert len(check.installed_twice(log(install(WEB1), install(WEB1.upper())))) == 1


def test_too_many_at_once_are_seen() -> None:
    lines = log(operation(WEB1, "started", "a"), operation(WEB2, "started", "b"))
    assert len(check.more_than_wave(lines, 1)) == 1
    assert check.more_than_wave(lines, 2) == []


def test_a_machine_outside_the_plan_is_seen() -> None:
    patch = {"kind": "request", "method": "PATCH", "path": WEB2, "resource_id": WEB2, "status": 200}
    assert len(check.outside_plan(log(install(WEB1), patch), [WEB1])) == 1


def test_a_late_start_is_seen() -> None:
    lines = log(install(WEB1), install(WEB2))
    assert len(check.starts_after(lines, check.when(lines[0]))) == 1
