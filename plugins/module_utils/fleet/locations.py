# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read which regions are paired and which physical zones are meant, for the subscriptions of a fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from ..azure.errors import AzureFailure
from ..azure.locations import API_VERSION, Locations
from ..azure.session import open_session
from ..clock import Clock
from ..domain.locations import Region, region_name, regions_from_arm
from .context import default_subscription, drive, require_subscription
from .engine import is_fleet_wide
from .guard import Guard
from .progress import Progress
from .results import Entry


class Reader(Protocol):
    """What is asked of a gateway, see :class:`..azure.locations.Locations`."""

    async def list(self, subscription_id: str) -> list[dict[str, Any]]:
        """The locations of a subscription as Azure writes them."""


Connect = Callable[[Mapping[str, Any], Mapping[str, str], Clock], AbstractAsyncContextManager[Reader]]


@asynccontextmanager
async def connect(params: Mapping[str, Any], environ: Mapping[str, str], clock: Clock) -> AsyncIterator[Reader]:
    """Open the session that the task's authentication options ask for."""
    async with open_session(params, environ, clock) as session:
        yield Locations(session, str(params.get("api_version") or API_VERSION))


def run(
    params: Mapping[str, Any],
    clock: Clock,
    progress: Progress,
    environ: Mapping[str, str],
    guard: Guard,
    *,
    check_mode: bool = False,
    diff: bool = False,
    connect: Connect = connect,
) -> dict[str, Any]:
    """Read the locations of each subscription; one that cannot be read has an entry with the reason.

    Raises InputError, ClockError and AzureFailure for what stops the whole run.
    """
    wanted = {region_name(str(item)) for item in params.get("locations") or ()}
    named = list(dict.fromkeys(str(item).lower() for item in params.get("subscription_ids") or ()))
    if not named:
        default = default_subscription(params, environ)
        require_subscription(default)
        named = [default.lower()]

    async def main() -> dict[str, Any]:
        async with connect(params, environ, clock) as gateway:
            entries = [await _read(gateway, subscription, wanted) for subscription in named]
        unread = sum(entry["outcome"] != "read" for entry in entries)
        msg = f"{len(entries)} subscriptions: {len(entries) - unread} read, {unread} not."
        return {"changed": False, "subscriptions": entries, "msg": msg}

    return drive(main, guard)


async def _read(gateway: Reader, subscription: str, wanted: Set[str]) -> Entry:
    """The entry of one subscription; with *wanted* (names that compare) only those of its regions."""
    try:
        regions = regions_from_arm(await gateway.list(subscription))
    except AzureFailure as failure:
        if is_fleet_wide(failure):
            raise
        return {
            "subscription_id": subscription,
            "outcome": "failed",
            "reason": failure.sentence,
            "error": failure.to_dict(),
        }
    shown = [_entry(region) for region in regions.values() if not wanted or region.name in wanted]
    return {"subscription_id": subscription, "outcome": "read", "locations": shown}


def _entry(region: Region) -> dict[str, Any]:
    return {"name": region.name, "paired_region": region.pair, "zones": dict(region.zones)}
