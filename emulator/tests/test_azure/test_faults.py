# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand: answers replaced, lost before and after the deed, delayed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from azure_support import Running

MATCH = {"method": "POST", "path_regex": "installPatches", "machine": "READY25"}


def test_an_answer_is_replaced_and_nothing_done(azure: Running) -> None:
    azure.fault(MATCH, {"status": 503, "body": {"error": {"code": "ServerTimeout"}}, "headers": {"Retry-After": "7"}})
    spoilt = azure.install("ready25")
    assert (spoilt.status_code, spoilt.headers["Retry-After"]) == (503, "7")
    assert azure.audit("operation") == []
    # What was asked for is in the log all the same.
    (line,) = azure.audit("request", status=503)
    assert line["body"]["rebootSetting"] == "Never"
    assert azure.install("ready22").status_code == 202
    assert azure.install("ready25").status_code == 202


def test_nth_and_count(azure: Running) -> None:
    azure.fault({"path_regex": "/subscriptions", "method": "GET", "nth": 2, "count": 2}, {"status": 502, "body": "bad"})
    statuses = [azure.call("GET", azure.vm("ready25")).status_code for _n in range(4)]
    assert statuses == [200, 502, 502, 200]


def test_a_connection_lost_before_the_deed(azure: Running) -> None:
    azure.fault(MATCH, {"reset_before": True})
    azure.token()
    with pytest.raises(requests.ConnectionError):
        azure.install("ready25")
    assert azure.audit("operation") == []


def test_an_answer_lost_after_the_deed(azure: Running) -> None:
    azure.fault(MATCH, {"reset_after_accept": True})
    azure.token()
    with pytest.raises(requests.ConnectionError):
        azure.install("ready25")
    assert len(azure.audit("operation", event="started")) == 1
    (line,) = azure.audit("request", status=202)
    assert line["fault"] == 1


def test_delay(azure: Running) -> None:
    azure.fault({"path_regex": "ready25"}, {"delay": 0.3})
    azure.token()
    begun = time.monotonic()
    assert azure.call("GET", azure.vm("ready25")).status_code == 200
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize(
    "rule",
    [{}, {"action": {}}, {"match": {"nope": 1}, "action": {"status": 500}}, {"action": {"explode": True}},
     {"match": {"path_regex": "("}, "action": {"status": 500}}, {"match": {"nth": "x"}, "action": {"status": 500}}],
)  # fmt: skip
def test_rules_that_cannot_be_used(azure: Running, rule: dict[str, Any]) -> None:
    answer = azure.http.post(f"{azure.endpoints['control']}/emulator/faults", json=rule)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_faults_are_listed_and_cleared(azure: Running) -> None:
    url = f"{azure.endpoints['control']}/emulator/faults"
    azure.fault(MATCH, {"status": 500})
    azure.install("ready25")
    assert [(fault["matched"], fault["hits"]) for fault in azure.http.get(url).json()] == [(1, 1)]
    assert azure.http.delete(url).status_code == 204
    assert azure.http.get(url).json() == []
