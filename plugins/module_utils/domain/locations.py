# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure's regions as a subscription sees them: which one is paired with which, and which zone is which.

The number of an availability zone means another building in each subscription: machines of two subscriptions share a
zone when their *physical* zones are the same. Both facts come from the list of a subscription's locations (Microsoft
Learn, "Subscriptions - List Locations", api-version 2022-12-01; shape as in published answers of 2024 and 2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .arm import section, text


@dataclass(frozen=True)
class Region:
    """One region of one subscription.

    :param pair: the paired region's name, None where there is none.
    :param zones: physical zone (``westeurope-az1``) by the number that machines carry.
    """

    name: str
    pair: str | None = None
    zones: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Regions:
    """What is known of the regions of some subscriptions.

    :param by_subscription: regions by name, by subscription; both in lower case.
    :param unread: why a subscription's regions could not be read.
    """

    by_subscription: Mapping[str, Mapping[str, Region]] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)

    def physical_zone(self, subscription: str, location: str, zone: str) -> str | None:
        """The physical zone of a machine's zone number; None where it is not known."""
        region = self.by_subscription.get(subscription.lower(), {}).get(region_name(location))
        return region.zones.get(zone) if region is not None else None

    def pairs(self) -> dict[str, str | None]:
        """The paired region by region, from all subscriptions: a region's pair is the same for all of them."""
        found: dict[str, str | None] = {}
        for regions in self.by_subscription.values():
            for name, region in regions.items():
                found[name] = found.get(name) or region.pair
        return found


def region_name(location: str) -> str:
    """The name of a region as it compares: ``West Europe`` and ``westeurope`` are one."""
    return location.replace(" ", "").lower()


def regions_from_arm(items: Iterable[Any]) -> dict[str, Region]:
    """Return the regions of a list of locations by name; what is no region (an edge zone, a geography) is left out."""
    found = {}
    for item in items:
        name = text(item, "name") if isinstance(item, Mapping) else None
        kind = text(item, "type") if name else None
        if name and (kind or "Region").lower() == "region":
            found[region_name(name)] = Region(region_name(name), _pair(item), _zones(item))
    return found


def regions_from_entries(entries: Iterable[Mapping[str, Any]]) -> Regions:
    """Return what the entries of location_info's result say, one entry a subscription."""
    known: dict[str, dict[str, Region]] = {}
    unread: dict[str, str] = {}
    for entry in entries:
        subscription = str(entry.get("subscription_id") or "").lower()
        if entry.get("outcome") != "read":
            unread[subscription] = str(entry.get("reason") or "its locations were not read")
            continue
        known[subscription] = {
            region_name(str(item["name"])): Region(
                region_name(str(item["name"])),
                region_name(str(item["paired_region"])) if item.get("paired_region") else None,
                {str(number): str(physical) for number, physical in (item.get("zones") or {}).items()},
            )
            for item in entry.get("locations") or ()
        }
    return Regions(known, unread)


def _pair(item: Mapping[str, Any]) -> str | None:
    pairs = section(item, "metadata").get("pairedRegion")
    for pair in pairs if isinstance(pairs, list) else ():
        name = text(pair, "name") if isinstance(pair, Mapping) else None
        if name:
            return region_name(name)
    return None


def _zones(item: Mapping[str, Any]) -> dict[str, str]:
    mappings = item.get("availabilityZoneMappings")
    pairs = [entry for entry in mappings if isinstance(entry, Mapping)] if isinstance(mappings, list) else []
    found = {text(entry, "logicalZone"): text(entry, "physicalZone") for entry in pairs}
    return {logical: physical for logical, physical in found.items() if logical and physical}
