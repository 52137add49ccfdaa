# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway to Azure Resource Graph: one query over many subscriptions, page after page, and IDs in batches.

Resource Graph is broad and late: it shows a change some minutes after it happened, and leaves out without a word what
the caller may not read. What it does not show is therefore not known to be absent.

azure-mgmt-resourcegraph is not used: it is one POST, which has to go through the session's own pacing anyway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .errors import AzureFailure
from .pacing import GRAPH_PATH
from .session import ArmSession, unusable_answer

API_VERSION = "2024-04-01"
PAGE_ROWS = 1000
"""The most rows that Resource Graph returns in one answer."""
BATCH_IDS = 250
"""IDs in one query; Microsoft asks for groups of less than 300 ("Guidance for throttled requests")."""
MOST_SUBSCRIPTIONS = 1000
"""Subscriptions named in one request; more are asked about in several."""
MOST_PAGES = 1000

T = TypeVar("T")


def quote(text: str) -> str:
    """Write a text as a literal of the Kusto Query Language."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def any_of(texts: Sequence[str]) -> str:
    """Write texts as the list that stands after ``in~``."""
    return f"({', '.join(quote(text) for text in texts)})"


def batches(items: Sequence[T], size: int = BATCH_IDS) -> Iterator[Sequence[T]]:
    """Cut a list into pieces of at most *size*."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


class ResourceGraph:
    """Queries in one session."""

    def __init__(self, session: ArmSession, api_version: str = API_VERSION) -> None:
        self._session = session
        self._path = f"{GRAPH_PATH}?api-version={api_version}"

    async def query(
        self,
        kql: str,
        *,
        subscriptions: Sequence[str] = (),
        management_groups: Sequence[str] = (),
        operation: str = "ask Azure Resource Graph",
    ) -> list[dict[str, Any]]:
        """Return all rows of a query, as :meth:`pages` gives them."""
        rows: list[dict[str, Any]] = []
        async for page in self.pages(
            kql, subscriptions=subscriptions, management_groups=management_groups, operation=operation
        ):
            rows += page
        return rows

    async def pages(
        self,
        kql: str,
        *,
        subscriptions: Sequence[str] = (),
        management_groups: Sequence[str] = (),
        operation: str = "ask Azure Resource Graph",
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the rows of a query page by page, a request each; without scopes, over all that the caller may see.

        *kql* must keep the column ``id`` (without it Resource Graph has no pages), and should order by it: rows may
        else move between pages. Raises AzureFailure, also when the rows told and the rows counted differ so that some
        would be missing.
        """
        if management_groups:
            scopes: list[dict[str, Any]] = [{"managementGroups": list(management_groups)}]
        elif subscriptions:
            scopes = [{"subscriptions": list(some)} for some in batches(subscriptions, MOST_SUBSCRIPTIONS)]
        else:
            scopes = [{}]
        for scope in scopes:
            async for page in self._of_scope({**scope, "query": kql}, operation):
                yield page

    async def _of_scope(self, body: Mapping[str, Any], operation: str) -> AsyncIterator[list[dict[str, Any]]]:
        options: dict[str, Any] = {"resultFormat": "objectArray", "$top": PAGE_ROWS}
        for _page in range(MOST_PAGES):
            answer = await self._session.query(self._path, {**body, "options": options}, operation)
            page, token = _read_page(answer.body, operation)
            yield page
            if not token:
                return
            options = {**options, "$skipToken": token}
        raise _too_many(operation)


def _read_page(body: Mapping[str, Any] | None, operation: str) -> tuple[list[dict[str, Any]], str]:
    """Return the rows of one answer and the token of the next page, "" if it was the last."""
    data = (body or {}).get("data")
    if body is None or not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise unusable_answer(operation, f"no rows in {str(body)[:80]}")
    token = str(body.get("$skipToken") or "")
    if str(body.get("resultTruncated", "false")).lower() == "true" and not token:
        raise AzureFailure(
            f"Could not {operation}: Azure cut the rows of the query short ({len(data)} of {body.get('totalRecords')}) "
            "and gave no way to the rest; keep the column id in the query.",
            operation=operation,
            message="resultTruncated without $skipToken",
        )
    return data, token


def _too_many(operation: str) -> AzureFailure:
    return AzureFailure(
        f"Could not {operation}: after {MOST_PAGES} pages Azure still had more; narrow the query.",
        operation=operation,
        message="too many pages",
    )
