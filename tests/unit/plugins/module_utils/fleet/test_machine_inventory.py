# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet from pages of rows: joined here, asked for by ID where it is narrow, and never half of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure import fleet_queries
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.fleet_scope import Scope
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.machine_inventory import (
    MOST_BY_ID,
    FleetReading,
    read_fleet,
)

from ..domain.builders import SUBSCRIPTION, rid
from ..domain.graph_rows import arc_row, machine_row, nic_id
from .fake_azure import Timeline
from .fake_tables import MACHINES, FakeTables, whole_fleet

EVERYTHING = Scope(management_groups=("mg",))


def read(tables: FakeTables, scope: Scope = EVERYTHING, **more: Any) -> FleetReading:
    return asyncio.run(read_fleet(tables, scope, Timeline(), **more))


def test_all_parts_of_all_pages_are_joined() -> None:
    tables = whole_fleet("web1", "web2", "web3")
    reading = read(tables)
    assert [found.machine.name for found in reading.machines] == ["web1", "web2", "web3"]
    second = reading.machines[1]
    assert second.addresses.private.value == ("10.0.0.1",) and second.assessed and second.installed
    assert second.machine.assessment and second.machine.assessment.critical_and_security_patch_count == 3
    assert second.installation and second.installation.summary.activity_id == "new"
    assert reading.requests == 2 + 2 + 1 + 2 + 3, "a request a page"
    assert {(subscriptions, groups) for dummy, subscriptions, groups in tables.asked} == {((), ("mg",))}
    assert all("| project id" in kql and kql.endswith("| order by id asc") for kql, *dummy in tables.asked)
    assert not any(word in kql for kql, *dummy in tables.asked for word in ("join", "summarize", "mv-expand"))


def test_only_what_is_wanted_is_asked_for() -> None:
    tables = whole_fleet("web1")
    (found,) = read(tables, parts=()).machines
    assert len(tables.asked) == 1 and not found.assessed and found.addresses.private.is_unreadable


def test_of_a_filtered_scope_interfaces_are_asked_for_by_id() -> None:
    tables = whole_fleet("web1", "web2")
    reading = read(tables, Scope(resource_groups=("fleet",), tags={"service": ("shop",)}, power_states=("running",)))
    assert len(reading.machines) == 2 and reading.machines[0].addresses.private.known
    (machines,) = tables.queries(MACHINES)
    assert "resourceGroup in~ ('fleet')" in machines and "tostring(tags) contains 'service'" in machines
    assert "in~ ('PowerState/running') or isempty(" in machines
    (interfaces,) = tables.queries("resources | where type =~ 'microsoft.network/networkinterfaces'")
    assert f"'{nic_id('web1').lower()}'" in interfaces


def test_machines_by_id_and_very_many_of_them() -> None:
    tables = whole_fleet("web1", "web2", "web3")
    scope = Scope(subscriptions=(SUBSCRIPTION,))
    reading = read(tables, scope, ids=[rid("web3").upper(), rid("gone")])
    assert [found.machine.name for found in reading.machines] == ["web3"]
    assert len(tables.queries(MACHINES)) == 1 and "id in~" in tables.queries(MACHINES)[0]
    many = [rid(f"x{number}") for number in range(MOST_BY_ID)]
    reading = read(tables, scope, ids=[*many, rid("web2")])
    assert [found.machine.name for found in reading.machines] == ["web2"]
    assert "id in~" not in tables.queries(MACHINES)[-1], "their whole subscription takes fewer pages"


def test_linux_and_malformed_rows_are_no_machines_and_arc_enabled_servers_are() -> None:
    tables = FakeTables(
        machine_row("web1"), machine_row("lin", osType="Linux"), machine_row(id="/subscriptions/x/odd"), arc_row()
    )
    reading = read(tables)
    assert [found.machine.name for found in reading.machines] == ["web1", "shop1"] and reading.malformed == 1
    assert reading.machines[1].addresses.private.value == ("10.1.0.4",)


def test_one_table_that_cannot_be_read_is_a_failure() -> None:
    tables = whole_fleet("web1")
    tables.failures["patchinstallationresources"] = AzureFailure("Could not list installations.", kind="server")
    with pytest.raises(AzureFailure, match="installations"):
        read(tables)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"ring": ("canary",)}, ["tostring(tags) contains 'ring'", "tostring(tags) contains 'canary'"]),
        ({"ring": ("a", "b")}, ["tostring(tags) contains 'ring'"]),
        ({'quo"te': ("x\\y",)}, []),
        ({"größe": ()}, []),
    ],
)
def test_a_query_never_leaves_out_what_a_tags_filter_takes(tags: Any, found: list[str]) -> None:
    assert fleet_queries.filters((), (), tags) == found
