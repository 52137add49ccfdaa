# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request limits: buckets step with the emulated clock, refusals say when to come back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hotpatch_emulator.throttle import Bucket

if TYPE_CHECKING:
    from azure_support import Running, Start

QUIET = {"buckets": "documented", "others_draw_percent": 0}


def test_a_bucket_is_refilled_in_whole_steps() -> None:
    bucket = Bucket.full(6, 2, 60, now=30)
    for left in (5, 4, 3, 2, 1, 0):
        assert bucket.has(31) and bucket.take() == left
    assert not bucket.has(59.9)
    assert bucket.seconds_until_token(45) == 15
    assert bucket.has(60) and bucket.take() == 1
    assert bucket.has(60 + 60 * 100) and bucket.level == 6


def test_others_draw_too() -> None:
    alone, shared = Bucket.full(600, 200, 60, 0), Bucket.full(600, 200, 60, 0, drawn=0.25)
    assert (shared.level, shared.refill) == (alone.level * 0.75, alone.refill * 0.75)


def _drain(azure: Running) -> tuple[list[int], str, str]:
    """Assess a machine that refuses for being busy until the bucket is empty: refusals cost too."""
    left: list[int] = []
    for _attempt in range(20):
        answer = azure.call("POST", azure.vm("ready25", "/assessPatches"))
        if answer.status_code == 429:
            return left, answer.headers["Retry-After"], answer.text
        header = answer.headers["x-ms-ratelimit-remaining-resource"]
        left.append(int(header.split("VMGuestPatchOperationResource;")[1]))
    raise AssertionError("never throttled")


def test_a_machine_takes_six_patch_calls_a_window(start: Start) -> None:
    azure = start(speed=0, switches=QUIET)
    left, wait, body = _drain(azure)
    assert left == [5, 4, 3, 2, 1, 0]
    assert wait == "60"
    error = json.loads(body)["error"]
    assert error["code"] == "OperationNotAllowed"
    assert error["details"][0]["code"] == "TooManyRequests"
    assert error["details"][0]["target"] == "VMGuestPatchOperationResource"
    assert json.loads(error["details"][0]["message"])["allowedRequestCount"] == 6
    azure.advance(59)
    assert azure.call("POST", azure.vm("ready25", "/assessPatches")).status_code == 429
    azure.advance(1)
    assert azure.call("POST", azure.vm("ready25", "/assessPatches")).status_code == 409
    other = azure.call("POST", azure.vm("ready22", "/assessPatches"))
    assert other.headers["x-ms-ratelimit-remaining-resource"].endswith("VMGuestPatchOperationResource;5")


def test_by_default_buckets_are_smaller_than_documented(start: Start) -> None:
    left, _wait, _body = _drain(start(speed=0))
    assert len(left) < 6


def test_polls_are_refused_in_plain_text(start: Start) -> None:
    azure = start(speed=0, switches={"bucket_sizes": {"GetOperationResource": {"capacity": 2, "refill": 1}}})
    poll = azure.install("ready25").headers["Azure-AsyncOperation"]
    assert [azure.get(poll).status_code for _n in range(3)] == [200, 200, 429]
    refused = azure.get(poll)
    assert refused.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert refused.text == (
        "You have reached the limit of allowed 'GetOperationStatus' API calls.Please retry after "
        "'2026-05-13T01:01:00Z' UTC."
    )
    assert refused.headers["Retry-After"] == "60"


def test_the_resource_manager_limits_each_principal(start: Start) -> None:
    azure = start(speed=0, switches={**QUIET, "bucket_sizes": {"reads": {"capacity": 3, "refill": 1}}})
    path = f"/subscriptions/{azure.subscription}"
    answers = [azure.call("GET", path) for _n in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["x-ms-ratelimit-remaining-subscription-reads"] == "2"
    assert answers[0].headers["x-ms-ratelimit-remaining-subscription-global-reads"] == "3749"
    assert answers[3].json()["error"]["code"] == "SubscriptionRequestsThrottled"
    assert azure.call("GET", path, principal="reader").status_code == 200
    azure.advance(1)
    assert azure.call("GET", path).status_code == 200
