# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Permissions by action and scope, and permissions that end while a run goes on."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from hotpatch_emulator.rbac import Grant, Permissions, Role
from hotpatch_emulator.settings import FleetError, Principal

if TYPE_CHECKING:
    from azure_support import Running, Start

NOW = datetime(2026, 5, 13, tzinfo=timezone.utc)
VM = "Microsoft.Compute/virtualMachines"
MACHINE = "/subscriptions/S/resourceGroups/RG/providers/Microsoft.Compute/virtualMachines/vm1"


def _principal(*grants: Grant) -> Principal:
    return Principal("p", "c", "o", "s", False, grants)


@pytest.mark.parametrize(
    ("scope", "actions", "not_actions", "action", "allowed"),
    [
        ("", ("*",), (), f"{VM}/installPatches/action", True),
        ("", ("*/read",), (), f"{VM}/read", True),
        ("", ("*/read",), (), f"{VM}/write", False),
        ("", (f"{VM}/*",), (f"{VM}/installPatches/action",), f"{VM}/installPatches/action", False),
        ("", (f"{VM}/*",), (f"{VM}/installPatches/action",), f"{VM}/assessPatches/action", True),
        ("/subscriptions/s", ("*",), (), f"{VM}/read", True),
        ("/subscriptions/s/resourcegroups/rg", ("*",), (), f"{VM}/read", True),
        ("/subscriptions/s/resourcegroups/r", ("*",), (), f"{VM}/read", False),
        ("/subscriptions/other", ("*",), (), f"{VM}/read", False),
    ],
)
def test_roles(scope: str, actions: Any, not_actions: Any, action: str, allowed: bool) -> None:
    who = _principal(Grant(scope, Role(actions, not_actions)))
    assert Permissions().allows(who, action, MACHINE, NOW) is allowed


def test_what_one_role_takes_away_another_gives() -> None:
    who = _principal(Grant("", Role(("*",), (f"{VM}/write",))), Grant("", Role((f"{VM}/write",))))
    assert Permissions().allows(who, f"{VM}/write", MACHINE, NOW)


CALLS = [
    ("GET", "", f"{VM}/read"),
    ("GET", "/instanceView", f"{VM}/instanceView/read"),
    ("PATCH", "", f"{VM}/write"),
    ("PUT", "", f"{VM}/write"),
    ("POST", "/assessPatches", f"{VM}/assessPatches/action"),
    ("POST", "/installPatches", f"{VM}/installPatches/action"),
    ("POST", "/restart", f"{VM}/restart/action"),
    ("POST", "/start", f"{VM}/start/action"),
    ("POST", "/powerOff", f"{VM}/powerOff/action"),
    ("POST", "/deallocate", f"{VM}/deallocate/action"),
]


def test_every_call_needs_its_own_action(start: Start) -> None:
    everything_but = [
        {"name": action, "roles": [{"role": "Contributor", "not_actions": [action]}]}
        for action in sorted({action for _method, _tail, action in CALLS})
    ]
    azure = start(speed=0, principals=[{"name": "rollout"}, *everything_but])
    for method, tail, action in CALLS:
        answer = azure.call(method, azure.vm("ready25", tail), {}, principal=action)
        who = azure.endpoints["principals"][action]
        assert answer.status_code == 403
        assert answer.json()["error"] == {
            "code": "AuthorizationFailed",
            "message": f"The client '{who['client_id']}' with object id '{who['object_id']}' does not have "
            f"authorization to perform action '{action}' over scope '{azure.vm('ready25')}' or the scope is invalid. "
            "If access was recently granted, please refresh your credentials.",
        }
        for other in (item["name"] for item in everything_but if item["name"] != action):
            assert azure.call(method, azure.vm("ready22", tail), {}, principal=other).status_code != 403


@pytest.fixture
def two_groups(start: Start) -> Running:
    machines = [
        {"name": "in", "resource_group": "rg-in"},
        {"name": "out", "resource_group": "rg-out"},
    ]
    narrow = {"role": "patcher", "subscription": "rehearsal", "resource_group": "rg-in"}
    roles = [{"name": "patcher", "actions": [f"{VM}/*", "Microsoft.Compute/locations/operations/read"]}]
    principals = [{"name": "rollout", "roles": [narrow]}, {"name": "nobody"}]
    return start(speed=0, machines=machines, roles=roles, principals=principals)


def test_a_role_of_the_fleet_file_on_one_group(two_groups: Running) -> None:
    azure = two_groups
    assert azure.call("GET", azure.vm("in")).status_code == 200
    assert azure.call("GET", azure.vm("out")).status_code == 403
    assert azure.call("GET", "/subscriptions").json()["value"][0]["subscriptionId"] == azure.subscription
    assert azure.call("GET", "/subscriptions", principal="nobody").json()["value"] == []


@pytest.mark.parametrize(("switch", "status"), [("subscription", 403), ("machine", 200)])
def test_whether_polls_need_a_role_on_the_subscription_is_a_switch(start: Start, switch: str, status: int) -> None:
    narrow = {"role": "Contributor", "subscription": "rehearsal", "resource_group": "rg-rehearsal"}
    azure = start(
        speed=0, principals=[{"name": "rollout", "roles": [narrow]}], switches={"operations_read_scope": switch}
    )
    assert azure.get(azure.install("ready25").headers["Azure-AsyncOperation"]).status_code == status


def test_permissions_are_withdrawn_at_a_moment_and_come_back(start: Start) -> None:
    azure = start(speed=0)
    url = f"{azure.endpoints['control']}/emulator/principals/rollout/permissions"
    body = {"withdraw": [f"{VM}/installPatches/action"], "after_seconds": 60}
    assert azure.http.put(url, json=body).status_code == 204
    assert azure.install("ready25").status_code == 202
    azure.advance(60)
    assert azure.install("ready22").status_code == 403
    assert azure.call("POST", azure.vm("ready22", "/assessPatches")).status_code == 202
    assert azure.http.put(url, json={"restore": True}).status_code == 204
    assert azure.install("off25").status_code == 202
    assert len(azure.audit("permissions", principal="rollout")) == 2


@pytest.mark.parametrize("body", [{}, {"withdraw": "all"}, {"withdraw": [], "after_seconds": "soon"}])
def test_a_withdrawal_that_says_nothing_is_refused(start: Start, body: dict[str, Any]) -> None:
    azure = start(speed=0)
    control = f"{azure.endpoints['control']}/emulator/principals"
    assert azure.http.put(f"{control}/rollout/permissions", json=body).status_code == 400
    assert azure.http.put(f"{control}/somebody/permissions", json={"restore": True}).status_code == 404


def test_an_unknown_role_is_refused_by_name(start: Start) -> None:
    with pytest.raises(FleetError, match="role 'Owner of all' is not known; allowed are Contributor, "):
        start(principals=[{"name": "rollout", "roles": [{"role": "Owner of all"}]}])
