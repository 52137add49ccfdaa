# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded Azure's answers are what Azure's OpenAPI documents say, for every machine and every verb it has."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emulator_process
import pytest
import requests
import yaml
from material import ROOT, azure_material
from openapi import Contract

API = "2024-07-01"
# Recorded installations carry it, the description of this api-version does not know it.
KNOWN_EXTRA = "'msrcSeverity' was unexpected"
FLEET = ROOT / "emulator" / "fleets" / "dozen.yml"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(azure_material("specs") / "compute")


def undescribed(problems: list[str]) -> list[str]:
    return [problem for problem in problems if KNOWN_EXTRA not in problem]


class Client:
    """Asks the emulator as any HTTP client would, and has every answer judged."""

    def __init__(self, running: emulator_process.Emulator, contract: Contract) -> None:
        self.arm = running.endpoints["arm"].rstrip("/")
        self.contract = contract
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(running.endpoints["ca"])
        token = self.session.post(
            f"{self.arm}/{running.endpoints['tenant_id']}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": running.endpoints["client_id"],
                "client_secret": running.endpoints["client_secret"],
                "scope": f"{self.arm}/.default",
            },
            timeout=10,
        )
        token.raise_for_status()
        self.session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        answer = self.session.request(
            method, self.arm + path, json=body, params={"api-version": API, **query}, timeout=10
        )
        content = answer.json() if answer.content else None
        problems = undescribed(self.contract.problems(method, path, answer.status_code, content))
        assert problems == [], f"{method} {path} -> {answer.status_code} {content}"
        return answer

    def follow(self, answer: requests.Response) -> tuple[dict[str, Any], requests.Response]:
        """Polls as the headers say until the operation ends; its last state and the final answer at `location`."""
        poll = answer.headers["Azure-AsyncOperation"]
        deadline = time.monotonic() + 60
        while True:
            state = self.session.get(poll, timeout=10).json()
            assert {"startTime", "status", "name"} <= state.keys()
            if state["status"] != "InProgress":
                return state, self.session.get(answer.headers["Location"], timeout=10)
            assert time.monotonic() < deadline, f"{poll} never ended"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator_process.Emulator]:
    run_dir = tmp_path_factory.mktemp("emulator")
    yield emulator_process.start(Path(sys.executable).parent, FLEET, run_dir, "--speed", "1200")
    emulator_process.stop(run_dir)


@pytest.fixture(scope="module")
def client(running: emulator_process.Emulator, contract: Contract) -> Client:
    return Client(running, contract)


@pytest.fixture(scope="module")
def machines(running: emulator_process.Emulator) -> dict[str, str]:
    """Resource IDs by the inventory's host names."""
    inventory = yaml.safe_load(running.inventory.read_text(encoding="utf-8"))
    found: dict[str, str] = {}

    def visit(group: dict[str, Any]) -> None:
        for host, variables in (group.get("hosts") or {}).items():
            if variables and "hotpatch_resource_id" in variables:
                found[host] = variables["hotpatch_resource_id"]
        for child in (group.get("children") or {}).values():
            visit(child or {})

    for group in inventory.values():
        visit(group)
    assert len(found) >= 12
    return found


def test_every_machine_is_described_as_azure_describes_one(client: Client, machines: dict[str, str]) -> None:
    for resource_id in machines.values():
        assert client.ask("GET", resource_id).json()["id"].lower() == resource_id.lower()
        assert "instanceView" in client.ask("GET", resource_id, **{"$expand": "instanceView"}).json()["properties"]
        client.ask("GET", f"{resource_id}/instanceView")


def test_lists_hold_every_machine(client: Client, machines: dict[str, str]) -> None:
    listed: set[str] = set()
    for subscription in {resource_id.split("/")[2] for resource_id in machines.values()}:
        path = f"/subscriptions/{subscription}/providers/Microsoft.Compute/virtualMachines"
        page = client.ask("GET", path).json()
        listed |= {machine["id"].lower() for machine in page["value"]}
        while "nextLink" in page:
            page = client.session.get(page["nextLink"], timeout=10).json()
            listed |= {machine["id"].lower() for machine in page["value"]}
    assert {resource_id.lower() for resource_id in machines.values()} <= listed
    some = next(iter(machines.values()))
    client.ask("GET", some.rsplit("/", 1)[0])


def test_what_does_not_exist_is_refused_as_azure_refuses(client: Client, machines: dict[str, str]) -> None:
    some = next(iter(machines.values()))
    missing = client.ask("GET", some + "-missing")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "ResourceNotFound"


def running_ones(client: Client, machines: dict[str, str]) -> list[str]:
    chosen = []
    for resource_id in machines.values():
        view = client.ask("GET", resource_id, **{"$expand": "instanceView"}).json()["properties"]["instanceView"]
        if {"code": "PowerState/running", "level": "Info", "displayStatus": "VM running"} in view["statuses"]:
            chosen.append(resource_id)
    return chosen


def test_assessments_and_installations_answer_as_described(client: Client, machines: dict[str, str]) -> None:
    """Both verbs on every running machine: the start, the operation, its result, and the summary on the machine."""
    ended: set[str] = set()
    body = {
        "maximumDuration": "PT2H",
        "rebootSetting": "Never",
        "windowsParameters": {"classificationsToInclude": ["Critical", "Security"]},
    }
    for resource_id in running_ones(client, machines):
        for verb, sent, definition in (
            ("assessPatches", None, "VirtualMachineAssessPatchesResult"),
            ("installPatches", body, "VirtualMachineInstallPatchesResult"),
        ):
            started = client.ask("POST", f"{resource_id}/{verb}", sent)
            if started.status_code != 202:
                assert started.status_code in (409, 400), started.text  # refusing is described too, and was judged
                continue
            state, final = client.follow(started)
            ended.add(f"{verb} {state['status']}")
            if state["status"] == "Succeeded":
                output = state["properties"]["output"]
                assert undescribed(client.contract.definition_problems("virtualMachine.json", definition, output)) == []
                assert undescribed(client.contract.problems("POST", f"{resource_id}/{verb}", 200, final.json())) == []
        client.ask("GET", resource_id, **{"$expand": "instanceView"})
    assert {"assessPatches Succeeded", "installPatches Succeeded"} <= ended


@pytest.mark.parametrize("verb", ["restart", "deallocate", "start"])
def test_power_verbs_answer_as_described(client: Client, machines: dict[str, str], verb: str) -> None:
    resource_id = running_ones(client, machines)[0] if verb == "restart" else next(iter(machines.values()))
    started = client.ask("POST", f"{resource_id}/{verb}")
    assert started.status_code == 202
    state, dummy = client.follow(started)
    assert state["status"] == "Succeeded"


def test_patch_answers_as_described(client: Client, machines: dict[str, str]) -> None:
    resource_id = running_ones(client, machines)[0]
    changed = client.ask("PATCH", resource_id, {"tags": {"ring": "canary"}})
    assert changed.json()["tags"] == {"ring": "canary"}
    client.ask("GET", resource_id)
