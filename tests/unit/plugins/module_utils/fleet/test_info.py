# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading machines: whole facts that can be read back, short ones, and machines that Azure does not show."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import machine_from_dict
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import results
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.context import Connection

from ..domain.builders import SUBSCRIPTION, rid
from ..domain.graph_rows import arc_row, machine_row
from .conftest import Task
from .fake_azure import FakeAzure, FakeMachine, Timeline
from .fake_tables import FakeTables, whole_fleet


def test_entries_are_machines_with_their_eligibility(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1"), FakeMachine("vm2", power="deallocated"))
    result = task("info", azure, resource_ids=[machine.id for machine in azure.machines.values()])
    first, second = result["machines"]
    assert machine_from_dict(json.loads(json.dumps(first))).power_state.value == "running"
    assert second["power_state"]["value"] == "deallocated"
    assert first["product"] == "ws2025" and first["eligibility"]["state"] == "eligible"
    assert result["changed"] is False and result["msg"] == "2 machines: 2 read."


def test_a_machine_that_is_not_there_is_an_entry_too(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1"))
    present = next(iter(azure.machines.values())).id
    result = task("info", azure, resource_ids=[present, present + "x"])
    missing = result["machines"][1]
    assert missing["outcome"] == "failed" and missing["error"]["code"] == "ResourceNotFound"
    assert machine_from_dict(missing).power_state.is_unreadable
    assert result["failed"] is True and "404" in result["msg"]
    assert "failed" not in task("info", azure, resource_ids=[present, present + "x"], max_failures="1")


def test_short_entries_fit_and_name_what_was_unreadable(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("a-machine-with-a-rather-long-name", power=""))
    azure.machines[next(iter(azure.machines))].power = ""
    (entry,) = task("info", azure, resource_ids=[next(iter(azure.machines))], details="none")["machines"]
    assert results.size_of(entry) < 600 and entry["unreadable"] == ["power_state"]
    assert entry["patch_mode"] == "AutomaticByPlatform"


def test_a_resource_group_is_listed_and_each_read(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1"), FakeMachine("vm2"))
    result = task("info", azure, resource_group="fleet", subscription_id=SUBSCRIPTION)
    assert azure.reads == ["vm1", "vm2"] and len(result["machines"]) == 2


def test_duplicates_are_read_once(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("vm1"))
    one = next(iter(azure.machines.values())).id
    result = task("info", azure, resource_ids=[one, one.upper(), one + "/"])
    assert azure.reads == ["vm1"] and len(result["machines"]) == 1


def test_a_fleet_by_resource_graph_says_how_old_and_who_is_missing(clock: Timeline, task: Task) -> None:
    tables = whole_fleet("web1", "web2")
    azure = FakeAzure(clock)
    azure.connect = tables.connect  # type: ignore[method-assign]
    result = task("info", azure, source="resource_graph", subscriptions=["all"], expect={"machines": ["web1", "web9"]})
    assert (result["source"], result["may_lag_seconds"]) == ("resource_graph", 900)
    assert result["missing"] == ["web9"] and "web9" in result["warnings"][0]
    first = result["machines"][0]
    assert machine_from_dict(json.loads(json.dumps(first))).assessment is not None
    assert first["eligibility"]["not_judged"] == ["agent_not_ready"] and first["read_at"] == result["read_at"]


def test_a_machine_that_resource_graph_does_not_show_is_a_failed_entry(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock)
    azure.connect = whole_fleet("web1").connect  # type: ignore[method-assign]
    result = task("info", azure, source="resource_graph", resource_ids=[rid("gone"), rid("web1")], details="none")
    gone, there = result["machines"]
    assert (gone["outcome"], gone["error"]["code"], there["outcome"]) == ("failed", "NotShown", "read")
    assert result["failed"] is True


def test_a_scope_is_listed_by_resource_graph_and_asked_of_compute(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("web1"), FakeMachine("web2"))
    tables = whole_fleet("web1", "web2")

    @asynccontextmanager
    async def connect(*dummy: Any) -> AsyncIterator[Connection]:
        yield Connection(azure, tables=tables)

    azure.connect = connect  # type: ignore[method-assign]
    result = task("info", azure, management_groups=["mg"], locations=["westeurope"], expect={"count": 2})
    assert sorted(azure.reads) == ["web1", "web2"] and len(tables.asked) == 1
    assert (result["source"], result["may_lag_seconds"], result["missing"]) == ("compute", 0, [])
    assert "warnings" not in result


def test_what_a_scope_holds_and_compute_does_not_is_said(clock: Timeline, task: Task) -> None:
    azure = FakeAzure(clock, FakeMachine("web1"))
    tables = FakeTables(machine_row("web1"), arc_row(), machine_row("web2", id="/no/machine"))

    @asynccontextmanager
    async def connect(*dummy: Any) -> AsyncIterator[Connection]:
        yield Connection(azure, tables=tables)

    azure.connect = connect  # type: ignore[method-assign]
    result = task("info", azure, management_groups=["mg"])
    assert azure.reads == ["web1"]
    assert "1 Arc-enabled servers are left out" in " ".join(result["warnings"])
    assert "1 rows of Resource Graph are left out" in " ".join(result["warnings"])
