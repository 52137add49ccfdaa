# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Request limits: the Resource Manager's token buckets, those of Compute, and the quota of Resource Graph.

Sizes follow Microsoft's "Understand how Azure Resource Manager throttles requests" and "Throttling limits for Compute
resource providers", names and step-wise refill follow recorded traffic of 2024. Sizes differ between subscriptions
and over time, so by default they are smaller than documented and somebody else draws on the shared ones as well.
Who calls again before a Retry-After has elapsed is refused with a new one, whatever the bucket holds by then.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hotpatch_emulator.wire import ArmError, PlainTextError, net_time, support_sentence

if TYPE_CHECKING:
    from hotpatch_emulator.settings import Switches

# name: (capacity, refill a minute) as documented
_COMPUTE_DOCUMENTED: dict[str, tuple[float, float]] = {
    "VMGuestPatchOperationResource": (6, 2),
    "VMGuestPatchOperationSubscriptionMaximum": (600, 200),
    "PutVMResource": (12, 4),
    "PutVMSubscriptionMaximum": (1500, 500),
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
_TENANT_READS = (250.0, 25.0)
_GLOBAL_FACTOR = 15
_FACTORS = {"documented": 1.0, "smaller_than_documented": 0.8, "larger_than_documented": 4.0}
# Queries in a window of seconds (Microsoft: "Guidance for throttled requests in Azure Resource Graph").
_QUERIES = (15.0, 5.0)
# After so many steps any bucket is as full as it gets, whatever others draw.
_MOST_STEPS = 120


Draw = Callable[[float], float]
"""What share (0 to 1) others take of the refill at a moment."""


def _nobody(_now: float) -> float:
    return 0.0


@dataclass
class Bucket:
    """A token bucket that is refilled in whole steps of the emulated clock; times are POSIX seconds.

    Others take their share at each refill, or, ``evenly``, over the time until the next.
    """

    capacity: float
    refill: float
    step: float
    level: float
    last_step: int
    drawn: Draw = _nobody
    evenly: bool = False
    drawn_until: float = 0.0

    @classmethod
    def full(
        cls, capacity: float, refill: float, step: float, now: float, drawn: Draw = _nobody, evenly: bool = False
    ) -> Bucket:
        """A fresh bucket of which others have already drawn, and go on drawing, their share."""
        level = max(math.floor(capacity * (1 - drawn(now))), 1)
        return cls(capacity, refill, step, level, int(now // step), drawn, evenly, now)

    def fill(self, now: float) -> None:
        current = int(now // self.step)
        for index in range(max(self.last_step, current - _MOST_STEPS) + 1, current + 1):
            at = index * self.step
            self._draw_evenly(at)
            share = 0.0 if self.evenly else self.drawn(at)
            # Somebody who draws everything would stop everybody for ever.
            self.level = min(self.capacity, self.level + max(self.refill * (1 - share), min(self.refill, 1)))
        self.last_step = max(self.last_step, current)
        self._draw_evenly(now)

    def _draw_evenly(self, until: float) -> None:
        if self.evenly and until > self.drawn_until:
            seconds = min(until - self.drawn_until, self.step)
            self.level = max(min(self.level, 0.0), self.level - self.refill * self.drawn(until) * seconds / self.step)
        self.drawn_until = max(self.drawn_until, until)

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
        gained = max(self.refill * (1 - self.drawn(now)), min(self.refill, 1))
        steps = max(math.ceil(missing / gained), 1)
        return max(math.ceil((int(now // self.step) + steps) * self.step - now), 1)


@dataclass(frozen=True)
class Policy:
    """Which Compute buckets a call draws on, in the order in which the recorded header lists them."""

    name: str
    buckets: tuple[str, ...]


GUEST_PATCH = Policy(
    "VMGuestPatchOperation", ("VMGuestPatchOperationSubscriptionMaximum", "VMGuestPatchOperationResource")
)
PUT = Policy("PutVM", ("PutVMSubscriptionMaximum", "PutVMResource"))
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
        self._refused_until: dict[tuple[str, ...], float] = {}
        self._windows: dict[str, tuple[float, int]] = {}
        self._began: float | None = None

    def _size(self, name: str, documented: tuple[float, float]) -> tuple[float, float]:
        override: Mapping[str, float] | None = self._switches.bucket_sizes.get(name)
        if override is not None:
            return override["capacity"], override["refill"]
        factor = _FACTORS[self._switches.buckets]
        return max(math.floor(documented[0] * factor), 1), max(math.floor(documented[1] * factor), 1)

    def _others(self, now: float) -> float:
        """The share of the common limits that others draw: by the schedule (in minutes of the run), else the usual."""
        if self._began is None:
            self._began = now
        minute = (now - self._began) / 60
        for entry in self._switches.others_schedule:
            if entry["from_minutes"] <= minute < entry["to_minutes"]:
                return entry["percent"] / 100
        return self._switches.others_draw_percent / 100

    def _bucket(
        self, key: tuple[str, ...], name: str, documented: tuple[float, float], step: float, now: float, shared: bool
    ) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            capacity, refill = self._size(name, documented)
            drawn = self._others if shared else _nobody
            evenly = shared and self._switches.others_draw == "evenly"
            bucket = self._buckets[key] = Bucket.full(capacity, refill, step, now, drawn, evenly)
            if not name.endswith("Resource"):  # a machine's own are full: nobody has worked on it
                bucket.level = math.floor(bucket.level * (1 - self._switches.drained_percent / 100))
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
        for name, bucket in ((f"{principal}/{kind}", own), (f"{principal}/global-{kind}", wide)):
            wait = self._refusal(("arm", subscription, name), bucket, now)
            if wait:
                raise self._arm_429(subscription, operation, wait)
        return {
            f"x-ms-ratelimit-remaining-subscription-{kind}": str(own.take()),
            f"x-ms-ratelimit-remaining-subscription-global-{kind}": str(wide.take()),
        }

    def tenant(self, moment: datetime, tenant: str, principal: str, operation: str) -> dict[str, str]:
        """Draw on the bucket of reads outside any subscription."""
        now = moment.timestamp()
        bucket = self._bucket(("tenant", principal), "tenant-reads", _TENANT_READS, 1, now, False)
        wait = self._refusal(("tenant", principal), bucket, now)
        if wait:
            raise self._arm_429(tenant, operation, wait)
        return {"x-ms-ratelimit-remaining-tenant-reads": str(bucket.take())}

    @staticmethod
    def _arm_429(subscription: str, operation: str, wait: int) -> ArmError:
        return ArmError(
            429,
            "SubscriptionRequestsThrottled",
            f"Number of requests for subscription '{subscription}' and operation '{operation}' exceeded the "
            f"backend storage limit. Please try again after '{wait}' seconds.",
            headers={"Retry-After": str(wait), "x-ms-failure-cause": "gateway"},
        )

    def _refusal(self, key: tuple[str, ...], bucket: Bucket, now: float) -> int:
        """Seconds that this caller has to stay away from the bucket, 0 when it may draw on it."""
        there = bucket.has(now)
        until = self._refused_until.get(key, 0.0)
        if there and now >= until:
            return 0
        wait = max(bucket.seconds_until_token(now) if not there else 0, math.ceil(until - now), 1)
        self._refused_until[key] = now + wait
        return wait

    def graph(self, moment: datetime, principal: str) -> dict[str, str]:
        """Draw on the quota of Resource Graph: so many queries in a window that the first of them opens."""
        now = moment.timestamp()
        capacity, seconds = self._size("graph-queries", _QUERIES)[0], _QUERIES[1]
        opened, used = self._windows.get(principal, (now, 0))
        if now - opened >= seconds:
            opened, used = now, 0
        self._windows[principal] = (opened, used + 1)
        left = max(int(capacity) - used - 1, 0)
        rest = max(math.ceil(opened + seconds - now), 1)
        headers = {
            "x-ms-user-quota-remaining": str(left),
            "x-ms-user-quota-resets-after": f"00:00:{rest:02d}",
            "x-ms-ratelimit-remaining-tenant-resource-requests": str(left),
        }
        if used >= capacity:
            raise ArmError(
                429,
                "RateLimiting",
                support_sentence(moment),
                details=[
                    {
                        "code": "RateLimiting",
                        "message": "Client application has been throttled and should not attempt to repeat the "
                        "request until an amount of time has elapsed. Please see "
                        "https://aka.ms/resourcegraph-throttling for help.",
                    }
                ],
                headers={**headers, "Retry-After": str(rest)},
            )
        return headers

    def compute(
        self, moment: datetime, policy: Policy, subscription: str, region: str, resource: str, principal: str
    ) -> dict[str, str]:
        """Draw on the Compute buckets of a machine and of its subscription in its region."""
        now = moment.timestamp()
        drawn: list[tuple[str, Bucket]] = []
        for name in policy.buckets:
            of_resource = name.endswith("Resource")
            key = ("compute", name, subscription, resource if of_resource else region)
            bucket = self._bucket(key, name, _COMPUTE_DOCUMENTED[name], 60, now, not of_resource)
            wait = self._refusal((*key, principal), bucket, now)
            if wait:
                raise self._compute_429(moment, policy, name, bucket, wait)
            drawn.append((name, bucket))
        shown = ",".join(f"Microsoft.Compute/{name};{bucket.take()}" for name, bucket in drawn)
        return {"x-ms-ratelimit-remaining-resource": shown, "x-ms-request-charge": "1"}

    def _compute_429(
        self, moment: datetime, policy: Policy, name: str, bucket: Bucket, wait: int
    ) -> ArmError | PlainTextError:
        headers = {"Retry-After": str(wait), "x-ms-ratelimit-remaining-resource": f"Microsoft.Compute/{name};0"}
        form = self._switches.throttle_body
        if form == "text" or (policy is GET_OPERATION and form == "text_for_polls"):
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
