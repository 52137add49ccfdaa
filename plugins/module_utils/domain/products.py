# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two products that can be hotpatched, by build number and by image SKU."""

from __future__ import annotations

import re
from typing import Literal

Product = Literal["ws2022", "ws2025"]

PRODUCTS: tuple[Product, ...] = ("ws2022", "ws2025")

PRODUCT_NAMES: dict[Product, str] = {
    "ws2022": "Windows Server 2022 Datacenter: Azure Edition",
    "ws2025": "Windows Server 2025",
}
"""As Microsoft Learn's hotpatch pages name them."""

BUILDS: dict[int, Product] = {20348: "ws2022", 26100: "ws2025"}
"""OS build numbers (Microsoft Learn, "Windows Server release information"). Windows 11 24H2 shares 26100."""

_YEARS: dict[str, Product] = {"2022": "ws2022", "2025": "ws2025"}
_SKU_YEAR = re.compile(r"(?:^|-)(20\d\d)-")


def product_of_build(build: int) -> Product | None:
    """Return the product of an OS build number, None for any other build."""
    return BUILDS.get(build)


def build_of_product(product: Product) -> int:
    """Return the OS build number of a product."""
    return next(build for build, name in BUILDS.items() if name == product)


def product_of_sku(sku: str) -> Product | None:
    """Return the product of a MicrosoftWindowsServer image SKU such as ``2025-datacenter-azure-edition``, any case."""
    found = _SKU_YEAR.search(sku.lower())
    return _YEARS.get(found[1]) if found else None
