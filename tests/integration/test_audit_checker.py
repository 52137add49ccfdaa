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


def sent(machine: str, kbs: list[str], classes: list[str] | None = None) -> dict[str, Any]:
    line = install(machine)
    line["body"]["windowsParameters"] = {"kbNumbersToInclude": kbs, "classificationsToInclude": classes or []}
    return line


def test_batches_out_of_order_are_seen() -> None:
    begun = log(operation(WEB1, "started", "a"), operation(WEB2, "started", "b"))
    assert len(check.batches_in_order(begun, [[WEB1], [WEB2]])) == 1
    assert check.batches_in_order(begun, [[WEB1, WEB2]]) == []
    after = log(operation(WEB1, "started", "a"), operation(WEB1, "finished", "a"), operation(WEB2, "started", "b"))
    assert check.batches_in_order(after, [[WEB1], [WEB2]]) == []
    assert len(check.batches_in_order(after, [[WEB2], [WEB1.upper()]])) == 1
    platform = {**operation(WEB2, "started", "b"), "started_by": "Platform"}
    assert check.batches_in_order(log(operation(WEB1, "started", "a"), platform), [[WEB1], [WEB2]]) == []


def test_a_soak_cut_short_is_seen() -> None:
    lines = log(install(WEB1), operation(WEB1, "finished", "a"), install(WEB2))
    assert check.soaked(lines, [WEB1], [WEB2], 1) == []
    assert len(check.soaked(lines, [WEB1], [WEB2], 2)) == 1
    assert len(check.soaked(log(install(WEB2)), [WEB1], [WEB2], 0)) == 1


def test_other_updates_than_allowed_are_seen() -> None:
    allowed = {WEB1: ["KB5087423"], WEB2: ["KB5087424"]}
    assert check.other_than(log(sent(WEB1.upper(), ["KB5087423"])), allowed) == []
    assert len(check.other_than(log(sent(WEB1, ["KB5087423", "KB5087424"])), allowed)) == 1
    assert len(check.other_than(log(sent(WEB1, ["5087423"])), allowed)) == 1
    assert len(check.other_than(log(sent(WEB2, ["KB5087424"], ["Security"])), allowed)) == 1
    assert len(check.other_than(log(sent(WEB1.replace("web1", "web9"), ["KB5087423"])), allowed)) == 1


def test_a_start_beyond_the_budget_is_seen() -> None:
    lines = log(install(WEB1), install(WEB2))
    assert check.beyond_budget(lines, [[WEB1], [WEB2]], [WEB1], 1) == []
    assert len(check.beyond_budget(lines, [[WEB1], [WEB2]], [WEB1], 0)) == 1
    # A bad ending in the same wave is known only behind it.
    assert check.beyond_budget(lines, [[WEB1, WEB2]], [WEB1], 0) == []


def test_a_start_in_a_pause_is_seen() -> None:
    lines = log(install(WEB1), install(WEB2))
    begin, end = (datetime(2026, 5, 13, 1, 0, second, tzinfo=timezone.utc) for second in (0, 2))
    assert len(check.starts_between(lines, begin, end)) == 1


def test_changes_of_settings_are_found() -> None:
    def patch(machine: str, status: int) -> dict[str, Any]:
        return {"kind": "request", "method": "PATCH", "path": machine, "resource_id": machine, "status": status}

    assert len(check.settings_sent(log(patch(WEB1, 200), patch(WEB1, 409), patch(WEB2, 200)), WEB1.upper())) == 1
