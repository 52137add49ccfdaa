# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic of request budgets: token buckets, what a request draws on, and what Azure's headers say is left.

Azure Resource Manager refills per second, Compute in steps of a whole minute and per virtual machine besides. The
documented sizes below are first guesses ("Understand how Azure Resource Manager throttles requests" and "Compute API
throttling", Microsoft Learn, 2024 to 2026); other callers draw on the same buckets, and recorded traffic shows other
sizes, so every answer's headers correct them. All times are seconds of the collection's Clock.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from .token_bucket import BucketSize, TokenBucket

ARM_SIZES: Mapping[str, BucketSize] = {
    "reads": BucketSize(250, 25, 1),
    "writes": BucketSize(200, 10, 1),
    "deletes": BucketSize(200, 10, 1),
    "queries": BucketSize(15, 15, 5),
}
"""Per subscription and principal, in the region that the caller reaches; queries of Resource Graph per principal."""

COMPUTE_SIZES: Mapping[str, tuple[BucketSize, BucketSize | None]] = {
    "VMGuestPatchOperation": (BucketSize(600, 200, 60), BucketSize(6, 2, 60)),
    "GetOperation": (BucketSize(15000, 5000, 60), BucketSize(45, 15, 60)),
    "LowCostGet": (BucketSize(24000, 8000, 60), BucketSize(36, 12, 60)),
    "HighCostGet": (BucketSize(900, 300, 60), None),
    "UpdateVM": (BucketSize(1500, 500, 60), BucketSize(12, 4, 60)),
    "PutVM": (BucketSize(1500, 500, 60), BucketSize(12, 4, 60)),
    "DeleteVM": (BucketSize(1500, 500, 60), BucketSize(12, 4, 60)),
}
"""Per group of operations: the subscription's bucket in the resource's region, and that of one virtual machine."""


@dataclass(frozen=True)
class Draw:
    """What a request draws on: ARM's class of operation, Compute's group (or ""), region and single resource."""

    subscription: str
    arm_class: str
    group: str = ""
    region: str = ""
    resource: str = ""


GRAPH_PATH = "/providers/Microsoft.ResourceGraph/resources"
_COMPUTE_PATH = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)(?:/resourcegroups/(?P<resource_group>[^/]+))?/providers/microsoft\.compute/"
    r"(?:locations/(?P<location>[^/]+)/operations/(?P<operation>[^/]+)|virtualmachines(?:/(?P<machine>[^/]+))?"
    r"(?:/(?P<action>[^/]+))?)$"
)
_ACTION_GROUPS = {
    "assesspatches": "VMGuestPatchOperation",
    "installpatches": "VMGuestPatchOperation",
    "deallocate": "DeleteVM",
}
_METHOD_GROUPS = {"PATCH": "UpdateVM", "POST": "UpdateVM", "PUT": "PutVM", "DELETE": "DeleteVM"}


def classify(method: str, url: str) -> Draw:
    """Tell what a request to ARM draws on, by its method and URL; the region only where the URL has it."""
    path = urlsplit(url).path.lower().rstrip("/")
    if path.endswith(GRAPH_PATH.lower()):
        return Draw("", "queries")
    arm_class = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(method, "writes")
    match = _COMPUTE_PATH.search(path)
    if not match:
        subscription = re.search(r"/subscriptions/([^/]+)", path)
        return Draw(subscription.group(1) if subscription else "", arm_class)
    part = match.groupdict(default="")
    if part["operation"]:
        # One operation belongs to one virtual machine, whose name the poll URL does not tell.
        return Draw(part["subscription"], arm_class, "GetOperation", part["location"], path)
    if not part["machine"]:
        return Draw(part["subscription"], arm_class, "HighCostGet")
    if method == "GET":
        group = "LowCostGet"
    else:
        group = _ACTION_GROUPS.get(part["action"], _METHOD_GROUPS.get(method, "UpdateVM"))
    machine = path[: -len(part["action"]) - 1] if part["action"] else path
    return Draw(part["subscription"], arm_class, group, "", machine)


@dataclass(frozen=True)
class Remaining:
    """What one answer's headers say is left: ARM's number, and Compute's by (group, whether of one resource).

    ``resets_after`` is Resource Graph's: seconds until its whole quota is back.
    """

    arm: float | None
    compute: Mapping[tuple[str, bool], float]
    resets_after: float | None = None


def parse_remaining(arm_class: str, headers: Iterable[tuple[str, str]]) -> Remaining:
    """Read the rate-limit headers of an answer; what is malformed or unknown is passed over.

    ``x-ms-ratelimit-remaining-resource: Microsoft.Compute/GetOperationResource;44,...`` comes comma-separated or as
    repeated headers; the names before 2023 (``GetOperation3Min``) follow another scheme and are not used.
    """
    arm: float | None = None
    resets_after: float | None = None
    compute: dict[tuple[str, bool], float] = {}
    of_graph = arm_class == "queries"
    arm_header = "x-ms-user-quota-remaining" if of_graph else f"x-ms-ratelimit-remaining-subscription-{arm_class}"
    for name, value in headers:
        name = name.lower()
        if name == arm_header:
            arm = _number(value)
        elif of_graph and name == "x-ms-user-quota-resets-after":
            resets_after = _clock_seconds(value)
        elif name == "x-ms-ratelimit-remaining-resource":
            for policy, _semicolon, left in (item.strip().partition(";") for item in value.split(",")):
                match = re.fullmatch(r"microsoft\.compute/(\w+?)(resource|subscriptionmaximum)?", policy, re.IGNORECASE)
                number = _number(left)
                if match and number is not None and match.group(1) in COMPUTE_SIZES:
                    compute[(match.group(1), (match.group(2) or "").lower() == "resource")] = number
    return Remaining(arm, compute, resets_after)


def _clock_seconds(text: str) -> float | None:
    """Seconds of hh:mm:ss."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d)", text.strip())
    return None if match is None else float(match[1]) * 3600 + float(match[2]) * 60 + float(match[3])


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None


class News:
    """Wakes whoever waits for the next answer."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def tell(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    def next(self) -> asyncio.Future[None]:
        """A future that ends with the next answer."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        return waiter


class Pacer:
    """All buckets of one principal, the queues before them, and the news of answers."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, ...], TokenBucket] = {}
        self._regions: dict[str, str] = {}
        self._lanes: dict[tuple[str, ...], asyncio.Lock] = {}
        self.news = News()

    def learn_region(self, resource_id: str, region: str) -> None:
        """Remember where a machine lives; until then its subscription's machines share one bucket."""
        self._regions[resource_id.lower()] = region.lower()

    def buckets(self, draw: Draw, now: float) -> dict[str, TokenBucket]:
        """Return the buckets *draw* draws on, by ``arm``, ``region`` and ``resource`` (those that apply)."""
        found = {"arm": self._bucket(("arm", draw.subscription, draw.arm_class), ARM_SIZES[draw.arm_class], now)}
        if draw.group:
            region = draw.region or self._regions.get(draw.resource, "")
            shared, single = COMPUTE_SIZES[draw.group]
            found["region"] = self._bucket(("region", draw.subscription, region, draw.group), shared, now)
            if single and draw.resource:
                key = ("resource", draw.resource, draw.group)
                found["resource"] = self._bucket(key, single, now, shared=False)
        return found

    def lane(self, draw: Draw) -> asyncio.Lock:
        """Whoever holds this lock is the next to go of all requests that draw on the same shared buckets."""
        region = draw.region or self._regions.get(draw.resource, "") if draw.group else ""
        return self._lanes.setdefault((draw.subscription, draw.arm_class, draw.group, region), asyncio.Lock())

    def _bucket(self, key: tuple[str, ...], size: BucketSize, now: float, shared: bool = True) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(size, now, shared)
        return bucket


def throttled_scope(code: str, details: Iterable[Mapping[str, object]]) -> str:
    """Name the bucket a 429 came from (``arm``, ``region`` or ``resource``) by its code and details."""
    if code.endswith("RequestsThrottled") or code == "RateLimiting":
        return "arm"
    targets = [str(detail.get("target") or "") for detail in details]
    return "resource" if any(target.endswith("Resource") for target in targets) else "region"


_TEXT_SECONDS = re.compile(r"try again after '(\d+(?:\.\d+)?)' seconds", re.IGNORECASE)
_TEXT_TIME = re.compile(r"retry after '(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z' UTC", re.IGNORECASE)


def parse_retry_after(headers: Mapping[str, str], now: datetime, body: str = "") -> float | None:
    """Return the seconds to wait that an answer asks for, or None if it asks for nothing.

    Reads ``Retry-After`` as seconds (0 is a value) or as an HTTP date, Azure's millisecond headers, and, without
    those, the sentence in a 429's *body* (recorded ARM 2022 and Arc 2023).
    """
    for name in ("retry-after-ms", "x-ms-retry-after-ms"):
        milliseconds = _number(headers.get(name, ""))
        if milliseconds is not None:
            return milliseconds / 1000
    value = headers.get("Retry-After", "").strip()
    seconds = _number(value)
    if seconds is not None:
        return seconds
    if value:
        try:
            moment = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            moment = None
        if moment is not None:
            return max(0.0, (_aware(moment) - now).total_seconds())
    match = _TEXT_SECONDS.search(body)
    if match:
        return float(match.group(1))
    match = _TEXT_TIME.search(body)
    if match:
        return max(0.0, (_aware(datetime.fromisoformat(match.group(1))) - now).total_seconds())
    return None


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
