# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arithmetic of request budgets."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.pacing import (
    Draw,
    Pacer,
    classify,
    parse_remaining,
    parse_retry_after,
    throttled_scope,
)

SUB = "/subscriptions/S1/resourceGroups/RG/providers/Microsoft.Compute"
VM = f"{SUB}/virtualMachines/VM1".lower()
NOW = datetime(2026, 5, 13, 1, 0, tzinfo=timezone.utc)


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
        ("POST", "https://a/providers/Microsoft.ResourceGraph/resources?api-version=1", Draw("", "queries")),
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


def test_the_quota_of_resource_graph() -> None:
    headers = [("x-ms-user-quota-remaining", "11"), ("x-ms-user-quota-resets-after", "00:01:03")]
    told = parse_remaining("queries", headers)
    assert (told.arm, told.resets_after) == (11, 63)
    assert parse_remaining("reads", headers) == parse_remaining("reads", [])
    assert parse_remaining("queries", [("x-ms-user-quota-resets-after", "soon")]).resets_after is None


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
        ("RateLimiting", [], "arm"),
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
