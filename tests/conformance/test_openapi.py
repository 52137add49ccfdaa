# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge is judged first: Azure's own examples and recorded answers must pass it, and spoilt ones must not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from material import azure_material
from openapi import Contract

VM = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v"
# Azure's examples break Azure's rules here: null for an absent error, and a network API version of a later year.
KNOWN_SLIPS = ("error: None is not of type 'object'", "networkApiVersion: ")


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract(azure_material("specs") / "compute")


def test_azures_own_examples_pass(contract: Contract) -> None:
    examples = list(contract.examples())
    assert len(examples) >= 10
    for method, path, status, body in examples:
        problems = contract.problems(method, path, status, body)
        assert [problem for problem in problems if not any(slip in problem for slip in KNOWN_SLIPS)] == []


def test_recorded_answers_pass(contract: Contract) -> None:
    judged = 0
    for file in sorted(azure_material("recordings").glob("vm_*.json")):
        for entry in json.loads(file.read_text(encoding="utf-8"))["interactions"]:
            method, path = entry["request"]["method"], entry["request"]["uri"].split(".com", 1)[1].split("?")[0]
            problems = contract.problems(method, path, entry["response"]["status"], entry["response"]["body"])
            if not any("is not described" in problem for problem in problems):  # poll URLs are not
                assert problems == [], file.name
                judged += 1
    assert judged >= 10


def _vm() -> dict[str, Any]:
    return {"location": "westeurope", "properties": {"vmId": "x", "instanceView": {"patchStatus": {}}}}


@pytest.mark.parametrize(
    ("where", "value", "complaint"),
    [
        (("location",), 7, "is not of type 'string'"),
        (("properties", "vmID"), "x", "Unevaluated properties are not allowed ('vmID'"),
        (
            ("properties", "instanceView", "patchStatus", "lastPatchInstallation"),
            {},
            "'lastPatchInstallation' was unexpected",
        ),
        (("properties", "timeCreated"), "yesterday", "is not a 'date-time'"),
    ],
)
def test_a_spoilt_answer_is_caught(contract: Contract, where: tuple[str, ...], value: Any, complaint: str) -> None:
    body = _vm()
    assert contract.problems("GET", VM, 200, body) == []
    spoilt = copy.deepcopy(body)
    target = spoilt
    for step in where[:-1]:
        target = target[step]
    target[where[-1]] = value
    assert any(complaint in problem for problem in contract.problems("GET", VM, 200, spoilt))


@pytest.mark.parametrize(
    ("method", "status", "body", "complaint"),
    [
        ("GET", 202, None, "status 202 is not one of"),
        ("POST", 200, {}, "is not described"),
        ("GET", 200, None, "has a body, but none came"),
        ("GET", 404, {"code": "x"}, "Unevaluated properties"),
    ],
)
def test_a_wrong_status_or_shape_is_caught(
    contract: Contract, method: str, status: int, body: Any, complaint: str
) -> None:
    assert any(complaint in problem for problem in contract.problems(method, VM, status, body))
