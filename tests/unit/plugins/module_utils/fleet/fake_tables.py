# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Resource Graph without a wire: rows by table, handed out in small pages, and every query noted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.context import Connection

from ..domain.graph_rows import assessment_row, installation_row, interface_row, machine_row

MACHINES = "resources | where type in~ ('microsoft.compute"


class FakeTables:
    """``rows`` by what a query begins with; a query by ID gets the rows with these IDs."""

    def __init__(self, *machines: Mapping[str, Any], page: int = 2, **tables: Sequence[Mapping[str, Any]]) -> None:
        self.page = page
        self.asked: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        self.failures: dict[str, AzureFailure] = {}
        self.rows: dict[str, Sequence[Mapping[str, Any]]] = {
            MACHINES: machines,
            "resources | where type =~ 'microsoft.network/networkinterfaces'": tables.get("interfaces", ()),
            "resources | where type =~ 'microsoft.network/publicipaddresses'": tables.get("public", ()),
            "patchassessmentresources": tables.get("assessments", ()),
            "patchinstallationresources": tables.get("installations", ()),
        }

    async def pages(
        self, kql: str, *, subscriptions: Sequence[str], management_groups: Sequence[str], operation: str
    ) -> AsyncIterator[list[dict[str, Any]]]:
        self.asked.append((kql, tuple(subscriptions), tuple(management_groups)))
        table = next((name for name in self.rows if kql.startswith(name)), "")
        assert table, f"no table of this fake: {kql}"
        if table in self.failures:
            raise self.failures[table]
        rows = [dict(row) for row in self.rows[table]]
        if "| where id in~" in kql:
            rows = [row for row in rows if f"'{row['id'].lower()}'" in kql.lower()]
        for start in range(0, max(1, len(rows)), self.page):
            yield rows[start : start + self.page]

    @asynccontextmanager
    async def connect(self, params: Any, environ: Any, clock: Any) -> AsyncIterator[Connection]:
        yield Connection(None, tables=self)  # type: ignore[arg-type]

    def queries(self, start: str) -> list[str]:
        return [kql for kql, *dummy in self.asked if kql.startswith(start)]


def whole_fleet(*names: str) -> FakeTables:
    return FakeTables(
        *(machine_row(name) for name in names),
        interfaces=[interface_row(name, f"10.0.0.{number}") for number, name in enumerate(names)],
        assessments=[assessment_row(name) for name in names],
        installations=[
            row
            for name in names
            for row in (
                installation_row(name, "new"),
                installation_row(name, "old", startDateTime="2026-04-01T00:00:00Z"),
            )
        ],
    )
