# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the emulated Windows Update holds: releases, images and editions.

Builds and KB numbers of baselines and hotpatches are those of Microsoft's Windows Server release information page
as of May 2026. The number of a hotpatch month's cumulative update stands in no source that was at hand, so those
are made up and start with 92, as are the patch ids; nothing outside the emulator may rely on them.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timezone

_UTC = timezone.utc


@dataclass(frozen=True)
class Release:
    """One month: in a hotpatch month both a hotpatch and a restarting cumulative update exist."""

    available: datetime
    baseline: bool
    lcu_kb: str
    lcu_ubr: int
    hotpatch_kb: str | None = None
    hotpatch_ubr: int | None = None


@dataclass(frozen=True)
class Product:
    """A Windows Server version with what its guests say of themselves."""

    name: str
    title: str
    build: int
    display_version: str
    hotpatch_package_version: str
    releases: tuple[Release, ...]
    preinstalled: tuple[str, ...] = ()

    def current(self, now: datetime) -> Release:
        """The newest release available at that moment."""
        found = [release for release in self.releases if release.available <= now]
        if not found:
            raise ValueError(
                f"the emulator knows no {self.name} release before {now.isoformat()}: "
                f"set 'now' in the fleet file to {self.releases[0].available.isoformat()} or later"
            )
        return found[-1]

    def baseline(self, now: datetime) -> Release:
        """The newest baseline available at that moment."""
        return [release for release in self.releases if release.available <= now and release.baseline][-1]

    def track_builds(self, now: datetime) -> set[int]:
        """The UBRs a machine on the hotpatch track may have: the baseline's and its hotpatches'."""
        base = self.baseline(now)
        later = [r for r in self.releases if base.available < r.available <= now and r.hotpatch_ubr is not None]
        return {base.lcu_ubr} | {r.hotpatch_ubr for r in later if r.hotpatch_ubr is not None}


def _on(year: int, month: int, day: int) -> datetime:
    # Microsoft publishes at 10:00 Pacific time, 17:00 or 18:00 UTC.
    return datetime(year, month, day, 17, tzinfo=_UTC)


_WS2022 = Product(
    name="ws2022",
    title="Windows Server 2022",
    build=20348,
    display_version="21H2",
    hotpatch_package_version="10.0.20348.1129",
    preinstalled=("KB5003508",),
    releases=(
        Release(_on(2025, 10, 14), True, "KB5066782", 4294),
        Release(_on(2025, 11, 11), False, "KB9220251", 4405, "KB5068840", 4346),
        Release(_on(2025, 12, 9), False, "KB9220252", 4529, "KB5071413", 4467),
        Release(_on(2026, 1, 13), True, "KB5073457", 4648),
        Release(_on(2026, 2, 10), False, "KB9220261", 4773, "KB5075943", 4711),
        Release(_on(2026, 3, 10), False, "KB9220262", 4893, "KB5078737", 4830),
        Release(_on(2026, 4, 14), True, "KB5082142", 5020),
        Release(_on(2026, 5, 12), False, "KB9220263", 5139, "KB5087424", 5074),
    ),
)

_WS2025 = Product(
    name="ws2025",
    title="Windows Server 2025",
    build=26100,
    display_version="24H2",
    hotpatch_package_version="10.0.26100.1742",
    releases=(
        Release(_on(2025, 10, 14), True, "KB5066835", 6899),
        Release(_on(2025, 11, 11), False, "KB9250251", 7171, "KB5068966", 7092),
        Release(_on(2025, 12, 9), False, "KB9250252", 7462, "KB5072014", 7392),
        Release(_on(2026, 1, 13), True, "KB5073379", 32230),
        Release(_on(2026, 2, 10), False, "KB9250261", 32370, "KB5075942", 32313),
        Release(_on(2026, 3, 10), False, "KB9250262", 32522, "KB5078736", 32463),
        Release(_on(2026, 4, 14), True, "KB5082063", 32690),
        Release(_on(2026, 5, 12), False, "KB9250263", 32860, "KB5087423", 32772),
    ),
)

PRODUCTS: dict[str, Product] = {product.name: product for product in (_WS2022, _WS2025)}

# The images Microsoft documents as fit for hotpatch; Azure compares without regard to case.
HOTPATCH_SKUS = frozenset(
    (
        "2022-datacenter-azure-edition-core",
        "2022-datacenter-azure-edition-core-smalldisk",
        "2022-datacenter-azure-edition-hotpatch",
        "2022-datacenter-azure-edition-hotpatch-smalldisk",
        "2025-datacenter-azure-edition",
        "2025-datacenter-azure-edition-smalldisk",
        "2025-datacenter-azure-edition-core",
        "2025-datacenter-azure-edition-core-smalldisk",
    )
)
# Guest patching covers more images than hotpatch does; of those the emulator needs only these families.
GUEST_PATCHING_PREFIXES = ("2016-datacenter", "2019-datacenter", "2022-datacenter", "2025-datacenter")


def supports_hotpatch(publisher: str, offer: str, sku: str) -> bool:
    return (
        publisher.lower() == "microsoftwindowsserver"
        and offer.lower() == "windowsserver"
        and sku.lower() in HOTPATCH_SKUS
    )


def supports_guest_patching(publisher: str, offer: str, sku: str) -> bool:
    return (
        publisher.lower() == "microsoftwindowsserver"
        and offer.lower() == "windowsserver"
        and sku.lower().startswith(GUEST_PATCHING_PREFIXES)
    )


@dataclass(frozen=True)
class Edition:
    """What Win32_OperatingSystem and the registry say: caption, OperatingSystemSKU, EditionID."""

    caption: str
    sku: int
    edition_id: str


def edition(product: Product, image_sku: str) -> Edition:
    """The edition that an image installs; 407 and 408 are Datacenter Azure Edition with desktop and Core."""
    core = "-core" in image_sku.lower()
    if "azure-edition" in image_sku.lower():
        return Edition(
            f"Microsoft {product.title} Datacenter Azure Edition",
            408 if core else 407,
            "ServerTurbineCor" if core else "ServerTurbine",
        )
    return Edition(f"Microsoft {product.title} Datacenter", 12 if core else 8, "ServerDatacenter")


def patch_id(*parts: str) -> str:
    """A stable made-up update id."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "https://hotpatch-emulator.invalid/" + "/".join(parts)))
