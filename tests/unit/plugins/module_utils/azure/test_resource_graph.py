# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource Graph's gateway, by what goes over the wire. Answers have the form of recorded ones (2021)."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.resource_graph import (
    MOST_SUBSCRIPTIONS,
    ResourceGraph,
    any_of,
    batches,
    quote,
)

from .scripted_azure import SUBSCRIPTION, ManualClock, OpenSession, Reply, ScriptedAzure

QUERY = "resources | project id | order by id asc"


def page(*names: str, token: str | None = None, left: int = 14, **more: Any) -> Reply:
    body = {
        "totalRecords": 3,
        "count": len(names),
        "data": [{"id": name} for name in names],
        "facets": [],
        "resultTruncated": "false",
        **more,
    }
    if token:
        body["$skipToken"] = token
    headers = {"x-ms-user-quota-remaining": str(left), "x-ms-user-quota-resets-after": "00:00:05"}
    return Reply(200, body, headers)


async def test_pages_until_the_last(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(page("a", "b", token="opaque=="), page("c", left=13))
    async with open_scripted() as session:
        rows = await ResourceGraph(session).query(QUERY, subscriptions=[SUBSCRIPTION])
    assert rows == [{"id": "a"}, {"id": "b"}, {"id": "c"}]
    first, second = azure.seen
    assert first.method == "POST"
    assert first.target == "/providers/Microsoft.ResourceGraph/resources?api-version=2024-04-01"
    assert first.body == {
        "subscriptions": [SUBSCRIPTION],
        "query": QUERY,
        "options": {"resultFormat": "objectArray", "$top": 1000},
    }
    assert second.body["options"] == {"resultFormat": "objectArray", "$top": 1000, "$skipToken": "opaque=="}
    assert second.body["query"] == QUERY


@pytest.mark.parametrize(
    ("scope", "sent"),
    [
        ({}, {}),
        ({"management_groups": ["mg"]}, {"managementGroups": ["mg"]}),
        ({"subscriptions": ["s"]}, {"subscriptions": ["s"]}),
    ],
)
async def test_scopes(azure: ScriptedAzure, open_scripted: OpenSession, scope: Any, sent: Any) -> None:
    azure.script(page())
    async with open_scripted() as session:
        assert await ResourceGraph(session).query(QUERY, **scope) == []
    assert {key: value for key, value in azure.seen[0].body.items() if key not in ("query", "options")} == sent


async def test_very_many_subscriptions_take_several_requests(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(page("a"), page("b"))
    many = [f"s{number}" for number in range(MOST_SUBSCRIPTIONS + 1)]
    async with open_scripted() as session:
        assert len(await ResourceGraph(session).query(QUERY, subscriptions=many)) == 2
    assert [len(seen.body["subscriptions"]) for seen in azure.seen] == [MOST_SUBSCRIPTIONS, 1]


async def test_a_query_is_repeated_like_a_read(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(Reply(503), Reply(drop=True), page("a"))
    async with open_scripted() as session:
        assert await ResourceGraph(session).query(QUERY) == [{"id": "a"}]
    assert len(azure.seen) == 3


async def test_a_spent_quota_is_waited_for(
    azure: ScriptedAzure, open_scripted: OpenSession, clock: ManualClock
) -> None:
    azure.script(page("a", left=0), page("b"))
    async with open_scripted() as session:
        graph = ResourceGraph(session)
        await graph.query(QUERY)
        before = clock.monotonic()
        await graph.query(QUERY)
    assert 4.9 < clock.monotonic() - before < 5.5


async def test_a_refusal_for_too_many_queries_is_waited_for(
    azure: ScriptedAzure, open_scripted: OpenSession, clock: ManualClock
) -> None:
    """The form is a user's of 2021 (azure-cli-extensions issue 3325)."""
    inside = {"code": "RateLimiting", "message": "Client application has been throttled and should not ..."}
    body = {"error": {"code": "RateLimiting", "message": "Please provide below info ...", "details": [inside]}}
    azure.script(Reply(429, body, {"x-ms-user-quota-resets-after": "00:00:04"}), page("a"))
    async with open_scripted() as session:
        assert await ResourceGraph(session).query(QUERY) == [{"id": "a"}]
    assert clock.monotonic() >= 4


async def test_a_bad_query_is_told_in_azures_words(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    details = [
        {"code": "InvalidQuery", "message": "Query is invalid."},
        {"code": "ParserFailure", "message": "ParserFailure", "line": 1, "characterPositionInLine": 11},
    ]
    azure.script(Reply(400, {"error": {"code": "BadRequest", "message": "Please provide ...", "details": details}}))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure) as caught:
            await ResourceGraph(session).query("where where", operation="look for machines")
    assert caught.value.kind == "invalid"
    assert caught.value.details[1]["characterPositionInLine"] == 11
    assert "look for machines" in caught.value.sentence


@pytest.mark.parametrize(
    "body",
    [
        {"totalRecords": 5, "count": 1, "data": [{"name": "a"}], "resultTruncated": "true"},
        {"data": {"columns": [], "rows": []}},
        {"data": ["text"]},
        {},
    ],
)
async def test_rows_that_would_be_missing_are_a_failure(
    azure: ScriptedAzure, open_scripted: OpenSession, body: Any
) -> None:
    azure.script(Reply(200, body))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure):
            await ResourceGraph(session).query(QUERY)


@pytest.mark.parametrize(
    ("text", "literal"),
    [("vm-1", "'vm-1'"), ("a'b", "'a\\'b'"), ("a\\' or 1", "'a\\\\\\' or 1'"), ("a\nb", "'a\\nb'")],
)
def test_texts_cannot_leave_their_quotes(text: str, literal: str) -> None:
    assert quote(text) == literal
    assert any_of([text, "x"]) == f"({literal}, 'x')"


def test_batches() -> None:
    assert [len(some) for some in batches(list(range(601)))] == [250, 250, 101]
    assert list(batches([])) == []
