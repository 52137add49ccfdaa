# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locations, as a foreign client reads them: pairs, zones that are numbered by subscription, and who may ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure_support import Start

TWO: dict[str, Any] = {"subscriptions": [{"name": "one"}, {"name": "two"}]}


def test_zones_are_numbered_by_subscription(start: Start) -> None:
    running = start(**TWO)
    answers = []
    for subscription in running.endpoints["subscription_ids"]:
        answer = running.call("GET", f"/subscriptions/{subscription}/locations", version="2022-12-01")
        assert answer.status_code == 200
        answers.append({item["name"]: item for item in answer.json()["value"]})
    first, second = (_zones(answer["westeurope"]) for answer in answers)
    assert set(first) == set(second) == {"1", "2", "3"}
    assert set(first.values()) == set(second.values()) == {f"westeurope-az{n}" for n in (1, 2, 3)}
    differing = [name for name in answers[0] if _zones(answers[0][name]) != _zones(answers[1][name])]
    assert differing, "two subscriptions number their zones alike everywhere"
    assert answers[0]["westeurope"]["metadata"]["pairedRegion"][0]["name"] == "northeurope"
    assert answers[0]["polandcentral"]["metadata"]["pairedRegion"] == []
    assert "losangeles" not in answers[0]


def _zones(location: dict[str, Any]) -> dict[str, str]:
    return {item["logicalZone"]: item["physicalZone"] for item in location.get("availabilityZoneMappings", [])}


def test_an_older_version_knows_no_zones_and_an_extended_list_has_more(start: Start) -> None:
    running = start(**TWO)
    path = f"/subscriptions/{running.subscription}/locations"
    old = running.call("GET", path, version="2020-01-01").json()["value"]
    more = running.call("GET", f"{path}?includeExtendedLocations=true", version="2022-12-01").json()["value"]
    assert not any("availabilityZoneMappings" in item for item in old)
    assert [item["type"] for item in more if item["name"] == "losangeles"] == ["EdgeZone"]


def test_who_may_ask(start: Start) -> None:
    roles = [{"name": "narrow", "actions": ["Microsoft.Compute/virtualMachines/*"]}]
    principals = [{"name": "rollout", "roles": [{"role": "narrow"}]}]
    running = start(**TWO, roles=roles, principals=principals)
    answer = running.call("GET", f"/subscriptions/{running.subscription}/locations", version="2022-12-01")
    assert answer.status_code == 403
    assert "Microsoft.Resources/subscriptions/locations/read" in answer.json()["error"]["message"]


def test_machines_of_a_set_stand_in_update_domains(start: Start) -> None:
    machines = [
        {"name": "set", "count": 7, "availability_set": "avset"},
        {"name": "own", "availability_set": "avset", "update_domain": 4},
        {"name": "alone"},
    ]
    running = start(machines=machines)
    domains = []
    for name in [*(f"set{n:04}" for n in range(1, 8)), "own", "alone"]:
        view = running.call("GET", running.vm(name, "/instanceView")).json()
        domains.append(view.get("platformUpdateDomain"))
    assert domains == [0, 1, 2, 3, 4, 0, 1, 4, None]
