# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of regions, pairs and physical zones, from answers as Azure publishes them."""

from __future__ import annotations

from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.locations import (
    Region,
    Regions,
    regions_from_arm,
    regions_from_entries,
)

WEST: dict[str, Any] = {
    "availabilityZoneMappings": [
        {"logicalZone": "1", "physicalZone": "westeurope-az3"},
        {"logicalZone": "2", "physicalZone": "westeurope-az1"},
    ],
    "displayName": "West Europe",
    "id": "/subscriptions/s/locations/westeurope",
    "metadata": {
        "pairedRegion": [{"id": "/subscriptions/s/locations/northeurope", "name": "northeurope"}],
        "regionType": "Physical",
    },
    "name": "westeurope",
    "type": "Region",
}


def test_a_region_with_pair_and_zones() -> None:
    found = regions_from_arm([WEST])
    assert found == {"westeurope": Region("westeurope", "northeurope", {"1": "westeurope-az3", "2": "westeurope-az1"})}


def test_what_has_no_pair_no_zones_or_is_no_region() -> None:
    items = [
        {"name": "qatarcentral", "type": "Region", "metadata": {"pairedRegion": []}},
        {"name": "asia", "type": "Region", "metadata": {"regionType": "Logical"}},
        {"name": "losangeles", "type": "EdgeZone", "metadata": {"homeLocation": "westus"}},
        {"displayName": "nameless"},
        "text",
        {"name": "odd", "metadata": {"pairedRegion": "westus"}, "availabilityZoneMappings": [{"logicalZone": 1}]},
    ]
    found = regions_from_arm(items)
    assert set(found) == {"qatarcentral", "asia", "odd"}
    assert all(region.pair is None and not region.zones for region in found.values())


def test_machines_are_looked_up_whatever_their_spelling() -> None:
    regions = Regions({"sub-1": regions_from_arm([WEST])})
    assert regions.physical_zone("SUB-1", "West Europe", "2") == "westeurope-az1"
    assert regions.physical_zone("sub-1", "westeurope", "3") is None
    assert regions.physical_zone("sub-2", "westeurope", "2") is None
    assert regions.pairs() == {"westeurope": "northeurope"}


def test_one_subscription_that_cannot_be_read_does_not_hide_the_other() -> None:
    entries = [
        {"subscription_id": "A", "outcome": "failed", "reason": "403"},
        {
            "subscription_id": "b",
            "outcome": "read",
            "locations": [{"name": "westeurope", "paired_region": None, "zones": {"1": "westeurope-az3"}}],
        },
    ]
    regions = regions_from_entries(entries)
    assert regions.unread == {"a": "403"}
    assert regions.pairs() == {"westeurope": None}
    assert regions.physical_zone("b", "westeurope", "1") == "westeurope-az3"
