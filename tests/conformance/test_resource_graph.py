# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded Resource Graph answers as Azure's OpenAPI document says and as recorded answers look."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emulator_process
import pytest
import requests
from material import ROOT, azure_material
from openapi import Contract

PATH = "/providers/Microsoft.ResourceGraph/resources"
# The document calls `data` an object; recorded answers hold an array of objects.
KNOWN_SLIP = "data: "
# The second detail of a recorded refusal has numbers beside its texts, where the document allows objects only.
KNOWN_NUMBERS = "error/details/1"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(azure_material("specs") / "resourcegraph")


def problems(contract: Contract, status: int, body: Any) -> list[str]:
    found = contract.problems("POST", PATH, status, body)
    return [problem for problem in found if not problem.startswith((KNOWN_SLIP, KNOWN_NUMBERS))]


def recorded() -> Iterator[tuple[str, dict[str, Any]]]:
    for pattern in ("arg_*.json", "py_arg_*.json"):
        for file in sorted(azure_material("recordings").glob(pattern)):
            for entry in json.loads(file.read_text(encoding="utf-8"))["interactions"]:
                if entry["request"]["uri"].split("?")[0].endswith("/resources"):
                    yield file.name, entry


def test_recorded_answers_pass(contract: Contract) -> None:
    judged = [(name, problems(contract, e["response"]["status"], e["response"]["body"])) for name, e in recorded()]
    assert len(judged) >= 5
    assert [found for found in judged if found[1]] == []


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator_process.Emulator]:
    run_dir = tmp_path_factory.mktemp("graph")
    fleet = ROOT / "emulator" / "fleets" / "dozen.yml"
    yield emulator_process.start(Path(sys.executable).parent, fleet, run_dir, "--speed", "1200")
    emulator_process.stop(run_dir)


@pytest.fixture(scope="module")
def ask(running: emulator_process.Emulator, contract: Contract) -> Any:
    ends = running.endpoints
    session = requests.Session()
    session.trust_env = False
    session.verify = str(ends["ca"])
    arm = ends["arm"].rstrip("/")
    token = session.post(
        f"{arm}/{ends['tenant_id']}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": ends["client_id"],
            "client_secret": ends["client_secret"],
            "scope": f"{arm}/.default",
        },
        timeout=10,
    ).json()["access_token"]

    def one(query: str, options: dict[str, Any], version: str = "2021-03-01") -> requests.Response:
        body = {"subscriptions": list(ends["subscription_ids"]), "query": query, "options": options}
        headers = {"Authorization": f"Bearer {token}"}
        answer = session.post(f"{arm}{PATH}?api-version={version}", json=body, headers=headers, timeout=10)
        assert problems(contract, answer.status_code, answer.json()) == [], answer.text[:500]
        return answer

    return one


@pytest.mark.parametrize(
    "query",
    [
        "project id",
        "Resources | where type =~ 'microsoft.compute/virtualmachines' | limit 2",
        "patchassessmentresources | where type !has 'softwarepatches' | project id, properties.osType",
        "patchinstallationresources | where type has 'softwarepatches'",
        "resources | summarize count() by location",
    ],
)
def test_answers_are_as_described(ask: Any, query: str) -> None:
    assert ask(query, {"$top": 3, "resultFormat": "objectArray"}).status_code == 200


def test_the_emulator_has_whatever_recorded_answers_have(ask: Any) -> None:
    """Keys, types and rate-limit headers of recorded answers, in ours."""
    for name, entry in recorded():
        theirs, options = entry["response"], entry["request"]["body"].get("options", {})
        if "$skipToken" in options:
            continue  # theirs means nothing to us
        version = entry["request"]["uri"].partition("api-version=")[2]
        ours = ask(entry["request"]["body"]["query"], options, version)
        assert ours.status_code == theirs["status"], name
        for header in theirs["headers"]:
            if header.startswith("x-ms-"):
                assert header in ours.headers, f"{name}: {header}"
        told, body = ours.json(), theirs["body"]
        for key in set(body) - {"$skipToken"}:
            assert type(told[key]) is type(body[key]), f"{name}: {key}"
        if "error" in body:
            details = zip(told["error"]["details"], body["error"]["details"], strict=True)
            assert all(mine.keys() == recorded_one.keys() for mine, recorded_one in details)
            assert told["error"]["details"] == body["error"]["details"], name
