# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request limits: the Resource Manager's token buckets and those of the Compute resource provider.

Sizes follow Microsoft's "Understand how Azure Resource Manager throttles requests" and "Throttling limits for Compute
resource providers", names and step-wise refill follow recorded traffic of 2024. Sizes differ between subscriptions
and over time, so by default they are smaller than documented and somebody else draws on the shared ones as well.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hotpatch_emulator.wire import ArmError, PlainTextError, net_time

if TYPE_CHECKING:
    from hotpatch_emulator.settings import Switches

# name: (capacity, refill a minute) as documented
_COMPUTE_DOCUMENTED: dict[str, tuple[float, float]] = {
    "VMGuestPatchOperationResource": (6, 2),
    "VMGuestPatchOperationSubscriptionMaximum": (600, 200),
    "UpdateVMResource": (12, 4),
    "UpdateVMSubscriptionMaximum": (1500, 500),
    "DeleteVMResource": (12, 4),
    "DeleteVMSubscriptionMaximum": (1500, 500),
    "LowCostGetResource": (36, 12),
    "LowCostGetSubscriptionMaximum": (24000, 8000),
    "HighCostGetSubscriptionMaximum": (900, 300),
    "GetOperationResource": (45, 15),
    "GetOperationSubscriptionMaximum": (15000, 5000),
}
# class: (capacity, refill a second)
_ARM_DOCUMENTED: dict[str, tuple[float, float]] = {"reads": (250, 25), "writes": (200, 10), "deletes": (200, 10)}
_GLOBAL_FACTOR = 15
_SMALLER = 0.8


@dataclass
class Bucket:
    """A token bucket that is refilled in whole steps of the emulated clock; times are POSIX seconds."""

    capacity: float
    refill: float
    step: float
    level: float
    last_step: int

    @classmethod
    def full(cls, capacity: float, refill: float, step: float, now: float, drawn: float = 0.0) -> Bucket:
        """A fresh bucket of which others have already drawn, and go on drawing, the share ``drawn`` (0 to 1)."""
        return cls(
            capacity,
            max(refill * (1 - drawn), min(refill, 1)),
            step,
            max(math.floor(capacity * (1 - drawn)), 1),
            int(now // step),
        )

    def fill(self, now: float) -> None:
        steps = int(now // self.step) - self.last_step
        if steps > 0:
            self.level = min(self.capacity, self.level + steps * self.refill)
            self.last_step += steps

    def has(self, now: float) -> bool:
        self.fill(now)
        return self.level >= 1

    def take(self) -> int:
        """Take one token and return what the header shows."""
        self.level -= 1
        return int(self.level)

    def seconds_until_token(self, now: float) -> int:
        """Whole seconds until there is a token again."""
        missing = max(1 - self.level, 0)
        steps = max(math.ceil(missing / self.refill), 1)
        return max(math.ceil((int(now // self.step) + steps) * self.step - now), 1)


@dataclass(frozen=True)
class Policy:
    """Which Compute buckets a call draws on, in the order in which the recorded header lists them."""

    name: str
    buckets: tuple[str, ...]


GUEST_PATCH = Policy(
    "VMGuestPatchOperation", ("VMGuestPatchOperationSubscriptionMaximum", "VMGuestPatchOperationResource")
)
UPDATE = Policy("UpdateVM", ("UpdateVMSubscriptionMaximum", "UpdateVMResource"))
DELETE = Policy("DeleteVM", ("DeleteVMSubscriptionMaximum", "DeleteVMResource"))
LOW_COST_GET = Policy("LowCostGet", ("LowCostGetSubscriptionMaximum", "LowCostGetResource"))
HIGH_COST_GET = Policy("HighCostGet", ("HighCostGetSubscriptionMaximum",))
GET_OPERATION = Policy("GetOperationStatus", ("GetOperationResource", "GetOperationSubscriptionMaximum"))


class Throttle:
    """All buckets of all subscriptions, principals, regions and machines, made when first drawn on."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._buckets: dict[tuple[str, ...], Bucket] = {}

    def _size(self, name: str, documented: tuple[float, float]) -> tuple[float, float]:
        override: Mapping[str, float] | None = self._switches.bucket_sizes.get(name)
        if override is not None:
            return override["capacity"], override["refill"]
        if self._switches.buckets == "documented":
            return documented
        return max(math.floor(documented[0] * _SMALLER), 1), max(math.floor(documented[1] * _SMALLER), 1)

    def _bucket(
        self, key: tuple[str, ...], name: str, documented: tuple[float, float], step: float, now: float, shared: bool
    ) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            capacity, refill = self._size(name, documented)
            drawn = self._switches.others_draw_percent / 100 if shared else 0.0
            bucket = self._buckets[key] = Bucket.full(capacity, refill, step, now, drawn)
        return bucket

    def arm(self, moment: datetime, subscription: str, principal: str, kind: str, operation: str) -> dict[str, str]:
        """Draw on the Resource Manager's buckets; returns headers or raises the 429."""
        now = moment.timestamp()
        capacity, refill = _ARM_DOCUMENTED[kind]
        own = self._bucket(("arm", subscription, principal, kind), kind, (capacity, refill), 1, now, False)
        wide = self._bucket(
            ("arm", subscription, kind),
            f"global-{kind}",
            (capacity * _GLOBAL_FACTOR, refill * _GLOBAL_FACTOR),
            1,
            now,
            True,
        )
        for bucket in (own, wide):
            if not bucket.has(now):
                wait = bucket.seconds_until_token(now)
                raise ArmError(
                    429,
                    "SubscriptionRequestsThrottled",
                    f"Number of requests for subscription '{subscription}' and operation '{operation}' exceeded the "
                    f"backend storage limit. Please try again after '{wait}' seconds.",
                    headers={"Retry-After": str(wait), "x-ms-failure-cause": "gateway"},
                )
        return {
            f"x-ms-ratelimit-remaining-subscription-{kind}": str(own.take()),
            f"x-ms-ratelimit-remaining-subscription-global-{kind}": str(wide.take()),
        }

    def compute(
        self, moment: datetime, policy: Policy, subscription: str, region: str, resource: str
    ) -> dict[str, str]:
        """Draw on the Compute buckets of a machine and of its subscription in its region."""
        now = moment.timestamp()
        drawn: list[tuple[str, Bucket]] = []
        for name in policy.buckets:
            of_resource = name.endswith("Resource")
            key = ("compute", name, subscription, resource if of_resource else region)
            bucket = self._bucket(key, name, _COMPUTE_DOCUMENTED[name], 60, now, not of_resource)
            if not bucket.has(now):
                raise self._compute_429(moment, policy, name, bucket)
            drawn.append((name, bucket))
        shown = ",".join(f"Microsoft.Compute/{name};{bucket.take()}" for name, bucket in drawn)
        return {"x-ms-ratelimit-remaining-resource": shown}

    def _compute_429(self, moment: datetime, policy: Policy, name: str, bucket: Bucket) -> ArmError | PlainTextError:
        wait = bucket.seconds_until_token(moment.timestamp())
        headers = {"Retry-After": str(wait), "x-ms-ratelimit-remaining-resource": f"Microsoft.Compute/{name};0"}
        if policy is GET_OPERATION and self._switches.throttle_body == "text_for_polls":
            until = net_time(moment + timedelta(seconds=wait)).replace("+00:00", "Z")
            return PlainTextError(
                429,
                f"You have reached the limit of allowed '{policy.name}' API calls.Please retry after '{until}' UTC.",
                headers,
            )
        measured = {
            "operationGroup": name,
            "startTime": net_time(moment - timedelta(minutes=1)),
            "endTime": net_time(moment),
            "allowedRequestCount": int(bucket.capacity),
            "measuredRequestCount": int(bucket.capacity) + 1,
        }
        return ArmError(
            429,
            "OperationNotAllowed",
            "The server rejected the request because too many requests have been received for this subscription.",
            details=[{"code": "TooManyRequests", "target": name, "message": json.dumps(measured)}],
            headers=headers,
        )
