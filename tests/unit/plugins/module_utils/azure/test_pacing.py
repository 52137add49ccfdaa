# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic of request budgets."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.pacing import (
    BucketSize,
    Draw,
    Pacer,
    TokenBucket,
    classify,
    parse_remaining,
    parse_retry_after,
    throttled_scope,
)

SUB = "/subscriptions/S1/resourceGroups/RG/providers/Microsoft.Compute"
VM = f"{SUB}/virtualMachines/VM1".lower()
NOW = datetime(2026, 5, 13, 1, 0, tzinfo=timezone.utc)


def drained(bucket: TokenBucket, now: float) -> int:
    """Send as many requests as go at *now*, all answered without a word about the budget."""
    sent = 0
    while bucket.wait(now) <= 0:
        bucket.take(now)
        bucket.answered(now, None)
        sent += 1
    return sent


def test_refills_in_whole_steps_up_to_its_capacity() -> None:
    bucket = TokenBucket(BucketSize(6, 2, 60), 100.0)
    assert drained(bucket, 100) == 6
    assert bucket.wait(100) == 60
    assert bucket.wait(159) == 1
    assert drained(bucket, 160) == 2
    assert drained(bucket, 160 + 59) == 0
    assert drained(bucket, 160 + 120) == 4
    assert drained(bucket, 160 + 120 + 6000) == 6


def test_an_answer_lowers_the_guess() -> None:
    bucket = TokenBucket(BucketSize(600, 200, 60), 0.0)
    bucket.take(0)
    bucket.answered(1, 3)
    assert drained(bucket, 1) == 3


def test_an_answer_raises_the_guess_and_the_size() -> None:
    bucket = TokenBucket(BucketSize(200, 10, 1), 0.0)
    bucket.take(0)
    bucket.answered(0, 1199)
    assert (bucket.capacity, bucket.refill) == (1200, 60)
    assert drained(bucket, 0) == 1199


def test_requests_in_flight_are_left_out_of_the_correction() -> None:
    """Azure's number was written before it saw them all."""
    bucket = TokenBucket(BucketSize(100, 10, 60), 0.0)
    for dummy in range(10):
        bucket.take(0)
    assert bucket.level == 90
    bucket.answered(0, 99)
    assert bucket.level == 90
    for left in range(98, 89, -1):
        bucket.answered(0, left)
    assert (bucket.level, bucket.in_flight) == (90, 0)


def test_a_refusal_holds_everybody_as_long_as_azure_says_and_no_longer() -> None:
    bucket = TokenBucket(BucketSize(600, 200, 60), 0.0)
    bucket.take(0)
    bucket.answered(0, None)
    bucket.hold(0, 6)
    assert bucket.wait(0) == 6
    assert bucket.wait(5.5) == 0.5
    assert drained(bucket, 6) == 200


def test_a_request_that_did_not_leave_costs_nothing() -> None:
    bucket = TokenBucket(BucketSize(6, 2, 60), 0.0)
    bucket.take(0)
    bucket.give_back()
    assert (bucket.level, bucket.in_flight) == (6, 0)


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        (
            "POST",
            f"https://a{SUB}/virtualMachines/VM1/installPatches?api-version=1",
            Draw("s1", "writes", "VMGuestPatchOperation", "", VM),
        ),
        (
            "POST",
            f"https://a{SUB}/virtualMachines/VM1/assessPatches",
            Draw("s1", "writes", "VMGuestPatchOperation", "", VM),
        ),
        ("GET", f"https://a{SUB}/virtualMachines/VM1?$expand=instanceView", Draw("s1", "reads", "LowCostGet", "", VM)),
        ("GET", f"https://a{SUB}/virtualMachines/VM1/instanceView", Draw("s1", "reads", "LowCostGet", "", VM)),
        ("GET", f"https://a{SUB}/virtualMachines", Draw("s1", "reads", "HighCostGet")),
        (
            "GET",
            "https://a/subscriptions/S1/providers/Microsoft.Compute/virtualMachines",
            Draw("s1", "reads", "HighCostGet"),
        ),
        ("PATCH", f"https://a{SUB}/virtualMachines/VM1", Draw("s1", "writes", "UpdateVM", "", VM)),
        ("POST", f"https://a{SUB}/virtualMachines/VM1/restart", Draw("s1", "writes", "UpdateVM", "", VM)),
        ("POST", f"https://a{SUB}/virtualMachines/VM1/deallocate", Draw("s1", "writes", "DeleteVM", "", VM)),
        (
            "GET",
            "https://a/subscriptions/S1/providers/Microsoft.Compute/locations/WestUS/operations/OP?p=1&t=2",
            Draw(
                "s1",
                "reads",
                "GetOperation",
                "westus",
                "/subscriptions/s1/providers/microsoft.compute/locations/westus/operations/op",
            ),
        ),
        ("GET", "https://a/subscriptions/S1/providers/Microsoft.Other/things/1", Draw("s1", "reads")),
        ("DELETE", "https://a/subscriptions/S1/resourceGroups/RG", Draw("s1", "deletes")),
        ("POST", "https://a/providers/Microsoft.ResourceGraph/resources", Draw("", "writes")),
    ],
)
def test_what_a_request_draws_on(method: str, url: str, expected: Draw) -> None:
    assert classify(method, url) == expected


def test_headers_in_both_recorded_forms() -> None:
    together = parse_remaining(
        "reads",
        [
            (
                "X-Ms-RateLimit-Remaining-Resource",
                "Microsoft.Compute/GetOperationResource;44,Microsoft.Compute/GetOperationSubscriptionMaximum;14976",
            ),
            ("x-ms-ratelimit-remaining-subscription-reads", "249"),
            ("x-ms-ratelimit-remaining-subscription-writes", "3"),
        ],
    )
    assert together.arm == 249
    assert together.compute == {("GetOperation", True): 44, ("GetOperation", False): 14976}
    repeated = parse_remaining(
        "writes",
        [
            ("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/VMGuestPatchOperationSubscriptionMaximum;599"),
            ("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/VMGuestPatchOperationResource;5"),
        ],
    )
    assert repeated.arm is None
    assert repeated.compute == {("VMGuestPatchOperation", False): 599, ("VMGuestPatchOperation", True): 5}


@pytest.mark.parametrize(
    "value",
    [
        "",
        ";",
        "Microsoft.Compute/LowCostGetResource;x",
        "Microsoft.Compute/GetOperation3Min;1",
        "a,b;c",
        "Microsoft.Compute/LowCostGetResource;-1",
    ],
)
def test_odd_headers_are_passed_over(value: str) -> None:
    assert parse_remaining("reads", [("x-ms-ratelimit-remaining-resource", value)]).compute == {}


def test_machines_of_one_region_share_a_bucket_and_have_their_own() -> None:
    pacer = Pacer()
    pacer.learn_region(VM, "WestUS")
    pacer.learn_region(VM.replace("vm1", "vm2"), "westus")
    pacer.learn_region(VM.replace("vm1", "vm3"), "eastus")
    one, two, three = (
        pacer.buckets(classify("POST", f"https://a{SUB}/virtualMachines/VM{n}/installPatches"), 0) for n in (1, 2, 3)
    )
    assert set(one) == {"arm", "region", "resource"}
    assert one["arm"] is two["arm"] is three["arm"]
    assert one["region"] is two["region"]
    assert one["region"] is not three["region"]
    assert one["resource"] is not two["resource"]
    assessed = pacer.buckets(classify("POST", f"https://a{SUB}/virtualMachines/VM1/assessPatches"), 0)
    assert assessed["resource"] is one["resource"], "assess and install share one bucket"


@pytest.mark.parametrize(
    ("code", "targets", "expected"),
    [
        ("SubscriptionRequestsThrottled", [], "arm"),
        ("ResourceRequestsThrottled", [], "arm"),
        ("OperationNotAllowed", ["VMGuestPatchOperationResource"], "resource"),
        ("OperationNotAllowed", ["VMGuestPatchOperationSubscriptionMaximum"], "region"),
        ("OperationNotAllowed", [], "region"),
        ("", [], "region"),
    ],
)
def test_which_bucket_refused(code: str, targets: list[str], expected: str) -> None:
    assert throttled_scope(code, [{"code": "TooManyRequests", "target": target} for target in targets]) == expected


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Retry-After": "10"}, "", 10.0),
        ({"Retry-After": "0"}, "", 0.0),
        ({"Retry-After": "1.5"}, "", 1.5),
        ({"Retry-After": "Wed, 13 May 2026 01:02:00 GMT"}, "", 120.0),
        ({"Retry-After": "Wed, 13 May 2026 00:00:00 GMT"}, "", 0.0),
        ({"Retry-After": "-5"}, "", None),
        ({"Retry-After": "nan"}, "", None),
        ({"Retry-After": "soon"}, "", None),
        ({"x-ms-retry-after-ms": "250"}, "", 0.25),
        ({"Retry-After": "7"}, "try again after '6' seconds", 7.0),
        ({}, "... exceeded the backend storage limit. Please try again after '6' seconds.", 6.0),
        ({}, "allowed 'GetOperationStatus' API calls.Please retry after '2026-05-13T01:04:57.0000000Z' UTC.", 297.0),
        ({}, "", None),
    ],
)
def test_retry_after(headers: dict[str, str], body: str, expected: float | None) -> None:
    assert parse_retry_after(headers, NOW, body) == expected
