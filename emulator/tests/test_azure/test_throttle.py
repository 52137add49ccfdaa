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
    bucket = Bucket.full(600, 200, 60, 0, drawn=lambda _now: 0.25)
    assert bucket.level == 450
    for _call in range(450):
        bucket.take()
    assert bucket.seconds_until_token(20) == 40
    assert bucket.has(60) and bucket.level == 150


def test_others_draw_between_refills_as_well() -> None:
    """What a caller was told a minute ago is not there any more."""
    bucket = Bucket.full(600, 200, 60, 0, drawn=lambda _now: 0.3, evenly=True)
    bucket.fill(30)
    assert bucket.level == 420 - 30
    bucket.fill(59)
    assert bucket.level == 420 - 59
    bucket.fill(60)
    assert bucket.level == 420 - 60 + 200


def test_a_long_rest_fills_a_bucket_and_costs_no_time() -> None:
    bucket = Bucket.full(250, 25, 1, 0, drawn=lambda _now: 0.9)
    bucket.fill(1_000_000_000)
    assert bucket.level == 250


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


def _first_read(azure: Running) -> dict[str, str]:
    return dict(azure.call("GET", azure.vm("ready25")).headers)


def test_others_draw_by_a_schedule(start: Start) -> None:
    schedule = [{"from_minutes": 10, "to_minutes": 20, "percent": 50}]
    azure = start(speed=0, switches={**QUIET, "others_schedule": schedule})
    assert "SubscriptionMaximum;23999" in _first_read(azure)["x-ms-ratelimit-remaining-resource"]
    azure.advance(11 * 60)
    region = azure.emulator.world.throttle._buckets[
        ("compute", "LowCostGetSubscriptionMaximum", azure.subscription, "westeurope")
    ]
    now = azure.emulator.world.clock.now().timestamp()
    region.fill(now)
    region.level = 0
    region.fill(now + 60)
    assert region.level == 4000


def test_sizes_may_be_larger_and_the_start_half_drained(start: Start) -> None:
    azure = start(speed=0, switches={**QUIET, "buckets": "larger_than_documented", "drained_percent": 50})
    assert _first_read(azure)["x-ms-ratelimit-remaining-subscription-reads"] == "499"


def test_who_comes_back_too_early_is_refused_with_a_new_value(start: Start) -> None:
    azure = start(speed=0, switches={**QUIET, "bucket_sizes": {"reads": {"capacity": 1, "refill": 1}}})
    path = f"/subscriptions/{azure.subscription}"
    assert azure.call("GET", path).status_code == 200
    throttle, now = azure.emulator.world.throttle, azure.emulator.world.clock.now().timestamp()
    first = azure.call("GET", path)
    assert (first.status_code, first.headers["Retry-After"]) == (429, "1")
    assert "Please try again after '1' seconds." in first.json()["error"]["message"]
    # Told to stay away for longer than the bucket needs, the caller is refused although there is a token again.
    key = ("arm", azure.subscription, "rollout/reads")
    throttle._refused_until[key] = now + 6
    azure.advance(2)
    assert azure.call("GET", path).headers["Retry-After"] == "4"
    azure.advance(4)
    assert azure.call("GET", path).status_code == 200


def test_headers_come_together_or_one_by_one(start: Start) -> None:
    def policies(azure: Running) -> list[str]:
        raw = azure.http.get(
            f"{azure.arm}{azure.vm('ready25')}?api-version=2024-07-01",
            headers={"Authorization": f"Bearer {azure.token()}"},
        ).raw.headers
        return list(raw.getlist("x-ms-ratelimit-remaining-resource"))

    together, apart = (
        policies(start(speed=0, switches=QUIET)),
        policies(start(speed=0, switches={**QUIET, "ratelimit_headers": "repeated"})),
    )
    assert len(together) == 1
    assert (
        together[0].split(",")
        == apart
        == [
            "Microsoft.Compute/LowCostGetSubscriptionMaximum;23999",
            "Microsoft.Compute/LowCostGetResource;35",
        ]
    )


def test_any_refusal_of_compute_may_be_plain_text(start: Start) -> None:
    sizes = {"LowCostGetResource": {"capacity": 1, "refill": 1}}
    azure = start(speed=0, switches={**QUIET, "bucket_sizes": sizes, "throttle_body": "text"})
    _first_read(azure)
    refused = azure.call("GET", azure.vm("ready25"))
    assert refused.status_code == 429
    assert refused.headers["Content-Type"].startswith("text/plain")


def test_reads_outside_a_subscription_have_a_bucket_of_their_own(start: Start) -> None:
    azure = start(speed=0, switches=QUIET)
    assert azure.call("GET", "/subscriptions").headers["x-ms-ratelimit-remaining-tenant-reads"] == "249"
