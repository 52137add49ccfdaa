# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of a subscription's locations: pairs, and which physical zone a zone's number means there.

The shape is that of published answers (az account list-locations, 2024 and 2025). Which number stands for which
building Azure draws for each subscription; here it is drawn by seed and subscription, so that two rarely agree.
"""

from __future__ import annotations

import random
from typing import Any

FIRST_WITH_ZONES = "2022-12-01"
"""Older versions answer without availabilityZoneMappings."""

_PAIRS = (
    ("westeurope", "northeurope"),
    ("eastus", "westus"),
    ("eastus2", "centralus"),
    ("uksouth", "ukwest"),
    ("francecentral", "francesouth"),
    ("germanywestcentral", "germanynorth"),
    ("japaneast", "japanwest"),
    ("australiaeast", "australiasoutheast"),
    ("southeastasia", "eastasia"),
)
_WITHOUT_ZONES = frozenset({"westus", "ukwest", "francesouth", "germanynorth", "australiasoutheast"})
_ONE_WAY = {"brazilsouth": "southcentralus", "southcentralus": "northcentralus", "northcentralus": "southcentralus"}
_UNPAIRED = ("qatarcentral", "polandcentral", "italynorth", "israelcentral", "spaincentral")


def locations(
    seed: int, subscription_id: str, *, with_zones: bool = True, extended: bool = False
) -> list[dict[str, Any]]:
    """All regions in Azure's shape; an edge zone too where extended locations were asked for."""
    pairs: dict[str, str | None] = {}
    for one, other in _PAIRS:
        pairs[one], pairs[other] = other, one
    pairs |= _ONE_WAY
    pairs |= dict.fromkeys(_UNPAIRED)
    found = [_region(seed, subscription_id, name, pair, with_zones) for name, pair in sorted(pairs.items())]
    return [*found, _edge_zone(subscription_id)] if extended else found


def _region(seed: int, subscription_id: str, name: str, pair: str | None, with_zones: bool) -> dict[str, Any]:
    root = f"/subscriptions/{subscription_id}/locations"
    metadata: dict[str, Any] = {
        "regionType": "Physical",
        "regionCategory": "Recommended",
        "geography": "Rehearsal",
        "geographyGroup": "Rehearsal",
        "longitude": "4.9",
        "latitude": "52.3667",
        "physicalLocation": "Loopback",
        # A region without a pair carries an empty list.
        "pairedRegion": [{"name": pair, "id": f"{root}/{pair}"}] if pair else [],
    }
    region: dict[str, Any] = {
        "id": f"{root}/{name}",
        "name": name,
        "type": "Region",
        "displayName": name.title(),
        "regionalDisplayName": f"(Rehearsal) {name.title()}",
        "metadata": metadata,
    }
    if with_zones and name not in _WITHOUT_ZONES:
        region["availabilityZoneMappings"] = [
            {"logicalZone": logical, "physicalZone": physical}
            for logical, physical in physical_zones(seed, subscription_id, name).items()
        ]
    return region


def physical_zones(seed: int, subscription_id: str, region: str) -> dict[str, str]:
    """The physical zone that each zone's number means in a subscription."""
    numbers = ["1", "2", "3"]
    random.Random(f"{seed}:zones:{subscription_id.lower()}:{region}").shuffle(numbers)
    return {str(logical): f"{region}-az{number}" for logical, number in enumerate(numbers, start=1)}


def _edge_zone(subscription_id: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{subscription_id}/locations/losangeles",
        "name": "losangeles",
        "type": "EdgeZone",
        "displayName": "Los Angeles",
        "regionalDisplayName": "(US) Los Angeles",
        "metadata": {"regionType": "Physical", "regionCategory": "Extended", "homeLocation": "westus"},
    }
