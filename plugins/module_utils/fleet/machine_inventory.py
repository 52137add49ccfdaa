# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a whole fleet from Resource Graph: machines, addresses, last assessments and installations, pages side by side.

Rows become machines as they come: ten thousand rows are not kept beside ten thousand machines.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ..azure import fleet_queries as queries
from ..azure.resource_graph import batches
from ..clock import Clock
from ..domain.addresses import Network
from ..domain.changed import changed
from ..domain.errors import InputError
from ..domain.fleet_scope import Scope
from ..domain.graph import GraphInstallation, graph_installation
from ..domain.graph_machine import COLUMNS, GraphMachine, graph_assessment, graph_machine, newest
from ..domain.patch_status import AssessmentSummary

PARTS = ("addresses", "assessments", "installations")
"""What can be read beside the machines themselves."""
MOST_BY_ID = 1000
"""Machines that are asked for by ID; of more than that their whole subscriptions are listed, in fewer pages."""

Row = dict[str, Any]


class FleetTables(Protocol):
    """What is asked of Resource Graph; may raise AzureFailure."""

    def pages(
        self, kql: str, *, subscriptions: Sequence[str], management_groups: Sequence[str], operation: str
    ) -> AsyncIterator[list[Row]]:
        """Yield the rows of the query, a page a request."""


@dataclass
class FleetReading:
    """The machines found, by ID; ``requests`` counts the pages, ``malformed`` rows that are no machine's."""

    read_at: datetime
    machines: list[GraphMachine] = field(default_factory=list)
    requests: int = 0
    malformed: int = 0

    @property
    def warnings(self) -> list[str]:
        """What a reader should know of the reading, a sentence each."""
        if not self.malformed:
            return []
        return [f"{self.malformed} rows of Resource Graph are left out: their IDs are no machine's."]


class _Reader:
    """One reading: the queries of one scope, and what they have brought so far."""

    def __init__(self, tables: FleetTables, scope: Scope, read_at: datetime, only: Collection[str] = ()) -> None:
        self._tables = tables
        self._scope = scope
        self._only = frozenset(item.lower() for item in only)
        self._narrow = queries.filters(scope.resource_groups, scope.locations, {})
        self.reading = FleetReading(read_at)
        self.network = Network()
        self.assessments: dict[str, AssessmentSummary] = {}
        self.installations: dict[str, GraphInstallation] = {}

    async def machines(self, ids: Sequence[str] = ()) -> None:
        """All machines of the scope, or those with these IDs."""
        scope = self._scope
        narrowed = [
            *queries.filters(scope.resource_groups, scope.locations, scope.tags),
            *queries.power_filter(scope.power_states),
        ]
        for some in batches(ids) if ids else [()]:
            await self._ask(queries.machines(COLUMNS, narrowed, some), "list the machines", self._take_machines)

    def _take_machines(self, rows: list[Row]) -> None:
        for row in rows:
            try:
                found = graph_machine(row)
            except InputError:
                # A name that no rule of Azure's allows; it is counted, and told.
                self.reading.malformed += 1
                continue
            is_linux = (found.machine.os_type.value or "").lower() == "linux"
            if found.key in self._only or not (self._only or is_linux or not self._scope.takes(found.machine)):
                self.reading.machines.append(found)

    async def interfaces(self, ids: Sequence[str] = ()) -> None:
        for some in batches(ids) if ids else [()]:
            await self._ask(queries.interfaces(some), "list network interfaces", self.network.learn_interfaces)

    async def public(self, ids: Sequence[str] = ()) -> None:
        for some in batches(ids) if ids else [()]:
            await self._ask(queries.public_addresses(some), "list public addresses", self.network.learn_public)

    async def last_assessments(self) -> None:
        def take(rows: list[Row]) -> None:
            for row in rows:
                self.assessments[_owner(row, "/patchassessmentresults/")] = graph_assessment(
                    row.get("properties") or {}
                )

        await self._ask(queries.assessments(self._narrow), "list assessments", take)

    async def last_installations(self) -> None:
        def take(rows: list[Row]) -> None:
            for row in rows:
                owner = _owner(row, "/patchinstallationresults/")
                found = graph_installation(row.get("properties") or {})
                self.installations[owner] = newest(self.installations.get(owner), found)

        await self._ask(queries.installations(self._narrow), "list installations", take)

    async def _ask(self, kql: str, operation: str, take: Callable[[list[Row]], None]) -> None:
        scope = self._scope
        pages = self._tables.pages(
            kql, subscriptions=scope.subscriptions, management_groups=scope.management_groups, operation=operation
        )
        async for page in pages:
            self.reading.requests += 1
            take(page)


async def read_fleet(
    tables: FleetTables,
    scope: Scope,
    clock: Clock,
    *,
    parts: Collection[str] = PARTS,
    ids: Sequence[str] = (),
) -> FleetReading:
    """Read all machines of a scope, or those of these IDs, with the parts of :data:`PARTS` that are wanted.

    Raises AzureFailure: a part of a fleet is no fleet.
    """
    reader = _Reader(tables, scope, clock.now(), ids)
    by_id = ids if len(ids) <= MOST_BY_ID else ()
    wanted: list[Awaitable[None]] = []
    if "assessments" in parts:
        wanted.append(reader.last_assessments())
    if "installations" in parts:
        wanted.append(reader.last_installations())
    if by_id or scope.is_filtered:
        wanted.append(_narrow(reader, by_id, "addresses" in parts))
    else:
        wanted.append(reader.machines())
        if "addresses" in parts:
            wanted += [reader.interfaces(), reader.public()]
    await _all(wanted)
    reader.reading.machines = [_whole(machine, reader, parts) for machine in reader.reading.machines]
    return reader.reading


async def _narrow(reader: _Reader, ids: Sequence[str], addresses: bool) -> None:
    """Of a part of a scope the interfaces are asked for by ID: whose they are no row of theirs tells filters."""
    await reader.machines(ids)
    if not addresses:
        return
    interfaces = sorted({item.lower() for machine in reader.reading.machines for item in machine.interfaces})
    if interfaces:
        await reader.interfaces(interfaces)
    public = sorted({item for found in reader.network.interfaces.values() for item in found.public_ids})
    if public:
        await reader.public(public)


async def _all(wanted: Sequence[Awaitable[None]]) -> None:
    """Wait for all; the first failure ends the others and is raised."""
    tasks = [asyncio.ensure_future(item) for item in wanted]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _whole(found: GraphMachine, reader: _Reader, parts: Collection[str]) -> GraphMachine:
    installation = reader.installations.get(found.key)
    machine = changed(
        found.machine,
        assessment=reader.assessments.get(found.key),
        installation=installation.summary if installation else None,
    )
    is_arc = machine.id.kind == "arc_machine"
    with_addresses = "addresses" in parts and not is_arc
    return changed(
        found,
        machine=machine,
        addresses=reader.network.of(found.interfaces) if with_addresses else found.addresses,
        assessed="assessments" in parts,
        installed="installations" in parts,
        installation=installation,
    )


def _owner(row: Mapping[str, Any], mark: str) -> str:
    return str(row.get("id") or "").lower().partition(mark)[0]
