# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway to locations, by what goes over the wire."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.locations import Locations
from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import Clock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import locations
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.progress import Progress, silent

from .scripted_azure import SUBSCRIPTION, ManualClock, OpenSession, Reply, ScriptedAzure

WEST = {"name": "westeurope", "type": "Region", "metadata": {"pairedRegion": [{"name": "northeurope"}]}}
NORTH = {"name": "northeurope", "type": "Region", "metadata": {"pairedRegion": []}}


async def test_one_request_and_every_page(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    more = f"{azure.url}/subscriptions/{SUBSCRIPTION}/locations?api-version=2022-12-01&page=2"
    azure.script(Reply(200, {"value": [WEST], "nextLink": more}), Reply(200, {"value": [NORTH]}))
    async with open_scripted() as session:
        assert await Locations(session).list(SUBSCRIPTION) == [WEST, NORTH]
    first, second = azure.seen
    assert (first.method, first.target) == ("GET", f"/subscriptions/{SUBSCRIPTION}/locations?api-version=2022-12-01")
    assert second.target.endswith("&page=2")


async def test_an_answer_that_is_none(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(Reply(200, {"locations": []}))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure, match="read the locations"):
            await Locations(session).list(SUBSCRIPTION)


async def test_a_page_elsewhere_gets_no_token(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(Reply(200, {"value": [], "nextLink": "https://example.com/more"}))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure, match=r"example\.com"):
            await Locations(session).list(SUBSCRIPTION)
    assert len(azure.seen) == 1


class Scripted:
    """A gateway whose second subscription may not be read."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def list(self, subscription_id: str) -> list[dict[str, Any]]:
        self.asked.append(subscription_id)
        if subscription_id == "b":
            raise AzureFailure("Could not read: AuthorizationFailed.", kind="forbidden", operation="read", message="no")
        return [WEST, NORTH]

    async def __aenter__(self) -> Scripted:
        return self

    async def __aexit__(self, *dummy: object) -> None:
        return None


class Willing:
    """A guard that never refuses."""

    def refusal(self) -> str:
        return ""

    def stop(self, reason: str) -> None:
        raise AssertionError(reason)


def read(scripted: Scripted, **params: Any) -> dict[str, Any]:
    clock: Clock = ManualClock()  # type: ignore[assignment]
    return locations.run(params, clock, Progress(clock, silent), {}, Willing(), connect=lambda *dummy: scripted)


def test_each_subscription_once_and_its_trouble_told() -> None:
    scripted = Scripted()
    result = read(scripted, subscription_ids=["A", "b", "a"], locations=["West Europe"])
    assert scripted.asked == ["a", "b"]
    first, second = result["subscriptions"]
    assert first["locations"] == [{"name": "westeurope", "paired_region": "northeurope", "zones": {}}]
    assert second["outcome"] == "failed" and "AuthorizationFailed" in second["reason"]
    assert result["msg"] == "2 subscriptions: 1 read, 1 not." and "failed" not in result


def test_the_default_subscription_is_asked_where_none_is_named() -> None:
    scripted = Scripted()
    read(scripted, subscription_id="A")
    assert scripted.asked == ["a"]
