# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a fleet besides what is asked: rings, deleted machines, colleagues, guests that an update spoils."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml

from hotpatch_emulator.config import FleetError, load, parse

if TYPE_CHECKING:
    from azure_support import Running, Start

FLEETS = Path(__file__).parents[2] / "fleets"
READY = {"name": "ready25", "product": "ws2025"}


def with_script(**script: Any) -> list[dict[str, Any]]:
    return [{**READY, "script": script}]


def test_rings_are_groups_and_tags_and_the_deleted_are_listed_but_gone(start: Start) -> None:
    gone = {"name": "gone22", "product": "ws2022", "ring": "canary", "deleted": True}
    azure = start(machines=[{**READY, "ring": "canary", "tags": {"system": "shop"}}, gone])
    children = yaml.safe_load((azure.run_dir / "inventory.yml").read_text())["all"]["children"]
    assert set(children["canary"]["hosts"]) == {"ready25", "gone22"} == set(children["rehearsal"]["hosts"])
    assert azure.call("GET", azure.vm("ready25")).json()["tags"] == {"system": "shop", "hotpatch-ring": "canary"}
    missing = azure.call("GET", children["rehearsal"]["hosts"]["gone22"]["hotpatch_resource_id"])
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "ResourceNotFound")
    listed = azure.call("GET", azure.vm("ready25").rpartition("/")[0]).json()["value"]
    assert [machine["name"] for machine in listed] == ["ready25"]


@pytest.mark.parametrize(("who", "started_by"), [("platform", "Platform"), ("reader", "User")])
def test_somebody_else_is_quicker_than_whoever_assessed(start: Start, who: str, started_by: str) -> None:
    azure = start(machines=with_script(assess={"then_installs": who}))
    accepted = azure.call("POST", azure.vm("ready25", "/assessPatches"))
    azure.advance(121)
    assert azure.get(accepted.headers["Azure-AsyncOperation"]).json()["status"] == "Succeeded"
    refused = azure.install("ready25")
    assert refused.status_code == 409, refused.text
    (theirs,) = azure.audit("operation", event="started", operation="installPatches")
    assert (theirs["started_by"], theirs["principal"]) == (started_by, None if who == "platform" else who)
    azure.advance(3600)
    assert azure.machine("ready25").guest.ubr == 32772
    assert azure.audit("restart") == []


def test_nobody_by_that_name_can_be_quicker() -> None:
    document = {"now": "2026-05-13T01:00:00Z", "machines": with_script(assess={"then_installs": "nobody"})}
    with pytest.raises(FleetError, match="then_installs 'nobody' is no principal"):
        parse(document)


def test_installed_with_warnings(start: Start) -> None:
    azure = start(machines=with_script(install={"outcome": "CompletedWithWarnings"}))
    result = azure.result(azure.install("ready25"))
    assert (result["status"], result["installedPatchCount"], result["failedPatchCount"]) == (
        "CompletedWithWarnings",
        1,
        0,
    )
    assert result["error"]["code"] == "PatchInstallationErrors"
    assert azure.machine("ready25").guest.ubr == 32772


def test_a_guest_is_spoilt_by_its_installation(start: Start) -> None:
    azure = start(machines=with_script(install={"winrm": {"answer": "reset"}}))
    url = f"https://{azure.machine('ready25').guest.address}:5986/wsman"
    account = (azure.endpoints["winrm_username"], azure.endpoints["winrm_password"])
    soap = {"data": b"<x/>", "auth": account, "headers": {"Content-Type": "application/soap+xml;charset=UTF-8"}}
    assert azure.http.post(url, **soap).status_code == 500
    azure.result(azure.install("ready25"))
    with pytest.raises(requests.ConnectionError):
        azure.http.post(url, **soap)


def test_a_fault_of_the_fleet_file(start: Start) -> None:
    rule = {"match": {"method": "GET", "machine": "ready25"}, "action": {"status": 503, "body": "busy"}}
    azure = start(faults=[rule])
    assert [azure.call("GET", azure.vm("ready25")).status_code for dummy in range(2)] == [503, 200]


def test_a_fault_that_cannot_be(start: Start) -> None:
    with pytest.raises(FleetError, match="a fault needs an action"):
        start(faults=[{"match": {}}])


def batch(azure: Running, *paths: str, **item: str) -> requests.Response:
    wanted = [
        {"httpMethod": "GET", "url": f"{azure.arm}{path}", "name": str(n), **item} for n, path in enumerate(paths)
    ]
    return azure.call("POST", "/batch", {"requests": wanted}, version="2015-11-01")


def test_a_batch_answers_each_as_if_alone(azure: Running) -> None:
    version = "?api-version=2024-07-01"
    known, unknown = azure.vm("ready25") + version, azure.vm("ready25") + "x" + version
    answer = batch(azure, known, unknown)
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["responses"]
    assert (first["name"], first["httpStatusCode"], first["content"]["name"]) == ("0", 200, "ready25")
    assert (second["name"], second["httpStatusCode"]) == ("1", 404)
    assert first["headers"]["x-ms-ratelimit-remaining-subscription-reads"]
    assert [line["status"] for line in azure.audit("request", batch=True)] == [200, 404]


@pytest.mark.parametrize("item", [{"httpMethod": "POST"}, {"url": ""}])
def test_a_batch_takes_nothing_but_reads(azure: Running, item: dict[str, str]) -> None:
    refused = batch(azure, azure.vm("ready25", "/assessPatches"), **item)
    assert (refused.status_code, azure.audit("operation")) == (400, [])


def test_the_sixty(tmp_path: Path) -> None:
    """Two rings over zones and availability sets, an expectation for everyone, and every verdict that there can be."""
    fleet = load(FLEETS / "sixty.yml").fleet
    machines = [*fleet, *fleet.deleted]
    assert len(machines) == 60
    assert Counter(machine.ring for machine in machines) == {"canary": 10, "broad": 50}
    assert {zone for machine in machines for zone in machine.zones} == {"1", "2", "3"}
    assert len({machine.availability_set for machine in machines} - {None}) == 3
    assert all(machine.expect["verdict"] for machine in machines), json.dumps([m.name for m in machines])
    assert len({machine.expect["verdict"] for machine in machines}) == 11
