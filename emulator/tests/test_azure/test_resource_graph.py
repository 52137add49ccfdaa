# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource Graph on the wire: forms as recorded, late, and only what the caller may read."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import requests
    from azure_support import Running, Start

PATH = "/providers/Microsoft.ResourceGraph/resources"
QUICK = {"resource_graph_lag_minutes": [0, 0], "buckets": "documented"}


def ask(
    azure: Running, query: str, principal: str = "rollout", version: str = "2024-04-01", **options: Any
) -> requests.Response:
    subscriptions = options.pop("subscriptions", [azure.subscription])
    body = {"subscriptions": subscriptions, "query": query, "options": options}
    return azure.call("POST", PATH, body, principal=principal, version=version)


def rows(azure: Running, query: str, **more: Any) -> list[dict[str, Any]]:
    answer = ask(azure, query, **more)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


def test_machines_with_their_power_state(azure: Running) -> None:
    found = rows(
        azure,
        "Resources | where type =~ 'Microsoft.Compute/virtualMachines' "
        "| project id, name, resourceGroup, power = tostring(properties.extended.instanceView.powerState.code) "
        "| order by name asc",
    )
    assert [row["name"] for row in found] == ["lcu25", "off25", "plain22", "ready22", "ready25"]
    assert {row["name"]: row["power"] for row in found}["off25"] == "PowerState/deallocated"
    assert found[0]["id"] == azure.vm("lcu25") and found[0]["resourceGroup"] == "rg-rehearsal"


def test_pages_as_recorded(azure: Running) -> None:
    query = "where type endswith '/virtualmachines' | project id | order by id asc"
    first = ask(azure, query, **{"$top": 2}).json()
    assert (first["totalRecords"], first["count"], first["resultTruncated"], first["facets"]) == (5, 2, "false", [])
    inside = json.loads(base64.b64decode(first["$skipToken"]))
    assert (inside["$id"], inside["MaxRows"], inside["RowsToSkip"]) == ("1", 2, 2)
    second = ask(azure, query, **{"$skipToken": first["$skipToken"]}).json()
    third = ask(azure, query, **{"$skipToken": second["$skipToken"]}).json()
    assert "$skipToken" not in third
    collected = [row["id"] for page in (first, second, third) for row in page["data"]]
    assert collected == sorted(azure.vm(name) for name in ("lcu25", "off25", "plain22", "ready22", "ready25"))
    assert ask(azure, query, **{"$top": 3, "$skip": 4}).json()["count"] == 1


def test_without_ids_there_is_no_paging(azure: Running) -> None:
    answer = ask(azure, "project name", **{"$top": 2}).json()
    assert answer["resultTruncated"] == "true" and "$skipToken" not in answer


def test_tables_of_columns_and_rows(azure: Running) -> None:
    query = "where name == 'ready22' | project name, properties, zones, n = 1"
    table = ask(azure, query, resultFormat="table").json()["data"]
    assert table["columns"] == [
        {"name": "name", "type": "string"},
        {"name": "properties", "type": "object"},
        {"name": "zones", "type": "object"},
        {"name": "n", "type": "integer"},
    ]
    assert table["rows"][0][0] == "ready22" and table["rows"][0][2:] == [["1"], 1]
    assert ask(azure, query, version="2020-04-01-preview").json()["data"]["rows"] == table["rows"]


def test_a_query_that_cannot_be_read_is_refused_as_recorded(azure: Running) -> None:
    answer = ask(azure, "where where")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "BadRequest")
    assert error["message"].startswith("Please provide below info when asking for support: timestamp = 2026-05-13T")
    assert [detail["code"] for detail in error["details"]] == ["InvalidQuery", "ParserFailure"]
    assert error["details"][1] == {
        "code": "ParserFailure",
        "message": "ParserFailure",
        "line": 1,
        "characterPositionInLine": 11,
        "token": "<EOF>",
        "expectedToken": "\u01cf",
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query": "project id", "subscriptions": ["00000000-0000-0000-0000-00000000dead"]},
         "NoValidSubscriptionsInQueryRequest"),
        ({"query": ""}, "InvalidQuery"),
        ({"query": "healthresources"}, "InvalidQuery"),
        ({"query": "project id", "options": {"$top": 1001}}, "InvalidOptions"),
        ({"query": "project id", "options": {"$skipToken": "bm8="}}, "InvalidOptions"),
    ],
)  # fmt: skip
def test_other_refusals(azure: Running, body: dict[str, Any], code: str) -> None:
    answer = azure.call("POST", PATH, body, version="2024-04-01")
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["code"] == code


def test_fifteen_queries_in_five_seconds(start: Start) -> None:
    azure = start(speed=0, switches=QUICK)
    answers = [ask(azure, "count") for _number in range(16)]
    assert [answer.status_code for answer in answers] == [200] * 15 + [429]
    assert [answer.headers["x-ms-user-quota-remaining"] for answer in answers[:3]] == ["14", "13", "12"]
    assert answers[0].headers["x-ms-user-quota-resets-after"] == "00:00:05"
    assert answers[15].json()["error"]["details"][0]["code"] == "RateLimiting"
    assert answers[15].headers["Retry-After"] == "5"
    assert ask(azure, "count", principal="reader").status_code == 200
    azure.advance(5)
    assert ask(azure, "count").status_code == 200


INSTALLED = "patchinstallationresources | where type has 'softwarepatches' | project id, properties"


def test_an_installation_appears_late_with_its_patches(start: Start) -> None:
    azure = start(speed=0, switches={"resource_graph_lag_minutes": [10, 10]})
    accepted = azure.install("ready25")
    activity = azure.audit("operation", event="started")[0]["activity_id"]
    azure.advance(5 * 60)
    assert azure.get(accepted.headers["Azure-AsyncOperation"]).json()["status"] == "Succeeded"
    query = "patchinstallationresources | where type endswith 'patchinstallationresults'"
    assert rows(azure, query) == []
    azure.advance(5 * 60)
    (running,) = rows(azure, query)
    assert running["properties"]["status"] == "InProgress"
    assert rows(azure, INSTALLED) == []
    azure.advance(5 * 60)
    (done,) = rows(azure, query)
    assert done["id"] == f"{azure.vm('ready25')}/patchInstallationResults/{activity}"
    assert done["type"] == "microsoft.compute/virtualmachines/patchinstallationresults"
    properties = done["properties"]
    assert (properties["status"], properties["startedBy"], properties["rebootStatus"]) == (
        "Succeeded", "User", "NotNeeded",
    )  # fmt: skip
    assert properties["installationActivityId"] == activity and properties["installedPatchCount"] == 1
    states = {row["properties"]["kbId"]: row["properties"]["installationState"] for row in rows(azure, INSTALLED)}
    assert states["5087423"] == "Installed"


def test_assessments_count_by_class(start: Start) -> None:
    azure = start(speed=0, switches=QUICK)
    azure.result(azure.call("POST", azure.vm("ready25", "/assessPatches")))
    query = "patchassessmentresources | where type !has 'softwarepatches' | project id, properties"
    (found,) = rows(azure, query)
    assert found["id"].endswith("/patchAssessmentResults/latest")
    counted = found["properties"]["availablePatchCountByClassification"]
    assert (counted["security"], counted["definition"], counted["critical"]) == (1, 1, 0)
    patches = rows(azure, "patchassessmentresources | where type has 'softwarepatches'")
    assert {row["properties"]["rebootBehavior"] for row in patches} == {"NeverReboots", "CanRequestReboot"}
    azure.advance(8 * 86_400)
    assert rows(azure, query) == [], "assessments are kept for seven days"


def test_a_machine_changes_late(start: Start) -> None:
    azure = start(speed=0, switches={"resource_graph_lag_minutes": [2, 2]})
    query = "where name == 'ready25' | project id, tags, p = properties.extended.instanceView.powerState.code"
    azure.call("PATCH", azure.vm("ready25"), {"tags": {"ring": "canary"}})
    azure.advance(60)
    azure.call("POST", azure.vm("ready25", "/deallocate"))
    assert rows(azure, query)[0]["tags"] is None
    azure.advance(61)
    assert rows(azure, query)[0]["tags"] == {"ring": "canary"}
    assert rows(azure, query)[0]["p"] == "PowerState/running"
    azure.advance(120)
    assert rows(azure, query)[0]["p"] == "PowerState/deallocated"


def test_rows_that_the_caller_may_not_read_are_left_out_without_a_word(start: Start) -> None:
    vm = "Microsoft.Compute/virtualMachines"
    machines = [{"name": "in", "resource_group": "rg-in"}, {"name": "out", "resource_group": "rg-out"}]
    narrow = {"subscription": "rehearsal", "resource_group": "rg-in"}
    principals = [
        {"name": "rollout", "roles": [{"role": "Contributor"}]},
        {"name": "narrow", "roles": [{**narrow, "actions": [f"{vm}/read"]}]},
        {"name": "nobody"},
    ]
    azure = start(speed=0, machines=machines, principals=principals, switches=QUICK)
    azure.result(azure.install("in"))
    assert len(rows(azure, "where type == 'microsoft.compute/virtualmachines' | project id")) == 2
    assert len(rows(azure, "where type == 'microsoft.network/networkinterfaces' | project id")) == 2
    assert [row["id"] for row in rows(azure, "project id", principal="narrow")] == [azure.vm("in")]
    assert rows(azure, INSTALLED) and not rows(azure, INSTALLED, principal="narrow")
    assert ask(azure, "project id", principal="nobody").status_code == 400


def test_network_interfaces_and_public_addresses(start: Start) -> None:
    machines = [
        {"name": "a", "public_address": "203.0.113.7"},
        {"name": "b", "public_address": "unassigned"},
        {"name": "c"},
    ]
    azure = start(machines=machines, switches=QUICK)
    interfaces = rows(azure, "resources | where type =~ 'Microsoft.Network/networkInterfaces' | order by id asc")
    assert [row["properties"]["virtualMachine"]["id"] for row in interfaces] == [azure.vm(name) for name in "abc"]
    configurations = [row["properties"]["ipConfigurations"][0]["properties"] for row in interfaces]
    assert all(item["privateIPAddress"].startswith("127.") for item in configurations)
    public = rows(azure, "resources | where type =~ 'microsoft.network/publicipaddresses' | order by id asc")
    assert [item.get("publicIPAddress", {}).get("id") for item in configurations] == [
        *(row["id"] for row in public),
        None,
    ]
    assert [row["properties"].get("ipAddress") for row in public] == ["203.0.113.7", None]


def test_management_groups_and_the_whole_tenant(start: Start) -> None:
    subscriptions = [{"name": "one"}, {"name": "two"}]
    machines = [{"name": "a", "subscription": "one"}, {"name": "b", "subscription": "two"}]
    azure = start(subscriptions=subscriptions, machines=machines, management_groups={"mg": ["two"]}, switches=QUICK)
    tenant = azure.endpoints["tenant_id"]
    for scope, expected in (
        ({"managementGroups": ["MG"]}, ["b"]),
        ({"managementGroups": [tenant]}, ["a", "b"]),
        ({}, ["a", "b"]),
        ({"subscriptions": [azure.subscription]}, ["a"]),
    ):
        body = {**scope, "query": "where type has 'compute' | project id, name | order by name asc"}
        answer = azure.call("POST", PATH, body, version="2024-04-01").json()
        assert [row["name"] for row in answer["data"]] == expected
