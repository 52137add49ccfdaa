# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway to a subscription's locations: one GET that tells paired regions and physical zones.

Needs ``Microsoft.Resources/subscriptions/locations/read``, which the built-in role Reader has.
"""

from __future__ import annotations

from typing import Any

from .errors import AzureFailure
from .session import ArmSession, unusable_answer

API_VERSION = "2022-12-01"
"""The first version that Microsoft documents ``availabilityZoneMappings`` for."""
MOST_PAGES = 20


class Locations:
    """Reads locations in one session."""

    def __init__(self, session: ArmSession, api_version: str = API_VERSION) -> None:
        self._session = session
        self._api_version = api_version

    async def list(self, subscription_id: str) -> list[dict[str, Any]]:
        """Return the locations as Azure writes them; AzureFailure for every error answer and for no list at all."""
        operation = f"read the locations of subscription {subscription_id}"
        base = self._session.cloud.resource_manager.rstrip("/")
        url = f"{base}/subscriptions/{subscription_id}/locations?api-version={self._api_version}"
        items: list[dict[str, Any]] = []
        for _page in range(MOST_PAGES):
            body = (await self._session.get(url, operation)).body
            found = (body or {}).get("value")
            if body is None or not isinstance(found, list):
                raise unusable_answer(operation, f"no list in {str(body)[:80]}")
            items += [item for item in found if isinstance(item, dict)]
            # The documented answer is one page; a link to another is followed all the same.
            url = str(body.get("nextLink") or "")
            if not url:
                return items
        raise AzureFailure(
            f"Could not {operation}: after {MOST_PAGES} pages Azure still had more.",
            operation=operation,
            message="too many pages",
        )
