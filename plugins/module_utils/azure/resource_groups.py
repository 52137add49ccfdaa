# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway to resource groups: their tags."""

from __future__ import annotations

from .session import ArmSession, unusable_answer

API_VERSION = "2021-04-01"


class ResourceGroups:
    """Requests about resource groups in one session."""

    def __init__(self, session: ArmSession) -> None:
        self._session = session

    async def tags(self, resource_group_id: str) -> dict[str, str]:
        """Return the tags of a resource group, named by its ARM ID. Raises AzureFailure."""
        operation = f"read the tags of {resource_group_id}"
        url = f"{self._session.cloud.resource_manager.rstrip('/')}{resource_group_id}?api-version={API_VERSION}"
        answer = await self._session.get(url, operation)
        tags = (answer.body or {}).get("tags") or {}
        if answer.body is None or not isinstance(tags, dict):
            raise unusable_answer(operation, answer.text[:80])
        return {str(name): str(value) for name, value in tags.items()}
