# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask Azure Resource Graph about installations of single machines, many machines in one query.

Its quota is some 15 queries in 5 seconds for a whole principal, so what the machines of a task ask within a moment is
gathered and asked together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from ..azure.errors import AzureFailure
from ..azure.resource_graph import any_of, batches
from ..clock import Clock
from ..domain.graph import (
    GRAPH_LAG_SECONDS,
    GraphInstallation,
    graph_installation,
    graph_patch,
    with_patches,
)
from ..domain.installation import Installation
from ..domain.resource_id import ResourceId
from .campaign import Campaign, WaitEnded

TRANSIENT_KINDS = frozenset({"unreachable", "server", "throttled"})
UNFINISHED = frozenset({"InProgress", "NotStarted"})
LOOK_SECONDS = 60.0
GATHER_SECONDS = 1.0
"""Seconds of the Clock in which questions are gathered."""

_TABLE = "patchinstallationresources | where type =~ 'microsoft.compute/virtualmachines/patchinstallationresults"
INSTALLATIONS = f"{_TABLE}' | extend owner = tostring(split(tolower(id), '/patchinstallationresults/')[0])"
PATCHES = f"{_TABLE}/softwarepatches' | extend owner = tostring(split(tolower(id), '/softwarepatches/')[0])"

Row = dict[str, Any]


class Graph(Protocol):
    """What is asked of Resource Graph; may raise AzureFailure."""

    async def query(self, kql: str, *, subscriptions: Sequence[str], operation: str) -> list[Row]:
        """Return all rows of the query. May raise AzureFailure."""


class Questions:
    """Questions of one kind that are asked together: for an owner (an ID in lower case) the rows below it."""

    def __init__(self, graph: Graph, clock: Clock, kql: str) -> None:
        self._graph = graph
        self._clock = clock
        self._kql = kql
        self._open: dict[str, tuple[str, asyncio.Future[list[Row]]]] = {}
        self._gathering: asyncio.Task[None] | None = None

    async def ask(self, owner: str, subscription: str) -> list[Row]:
        """Return the rows of an owner; raises the AzureFailure of the query that it was part of."""
        if owner not in self._open:
            self._open[owner] = (subscription, asyncio.get_running_loop().create_future())
        answer = self._open[owner][1]
        if self._gathering is None or self._gathering.done():
            self._gathering = asyncio.ensure_future(self._gather())
        # Whoever gives up waiting leaves the answer to the others.
        return await asyncio.shield(answer)

    async def _gather(self) -> None:
        await self._clock.asleep(GATHER_SECONDS)
        asked, self._open = self._open, {}
        try:
            for owners in batches(list(asked)):
                await self._answer({owner: asked[owner] for owner in owners})
        finally:
            for _subscription, answer in asked.values():
                if not answer.done():
                    answer.cancel()

    async def _answer(self, asked: dict[str, tuple[str, asyncio.Future[list[Row]]]]) -> None:
        kql = f"{self._kql} | where owner in {any_of(list(asked))} | project id, owner, properties | order by id asc"
        subscriptions = sorted({subscription for subscription, _answer in asked.values()})
        found: dict[str, list[Row]] = {owner: [] for owner in asked}
        try:
            for row in await self._graph.query(kql, subscriptions=subscriptions, operation="look for installations"):
                found.get(str(row.get("owner")), []).append(row)
        except AzureFailure as failure:
            for _subscription, answer in asked.values():
                answer.set_exception(failure)
                answer.exception()  # nobody may be waiting any more
            return
        for owner, (_subscription, answer) in asked.items():
            answer.set_result(found[owner])


class Witness:
    """What Resource Graph says of machines' installations, asked again while it cannot be asked.

    It is the third witness. Where it will not say (a missing permission, a query it does not take) the others decide,
    as they do for whoever may not read it: it omits such rows without a word anyway.
    """

    def __init__(self, graph: Graph, clock: Clock, campaign: Campaign, wait: bool = True) -> None:
        self._installations = Questions(graph, clock, INSTALLATIONS)
        self._patches = Questions(graph, clock, PATCHES)
        self._clock = clock
        self._campaign = campaign
        self._wait = wait

    async def installations(self, machine: ResourceId) -> list[GraphInstallation]:
        """Return the installations of the last 30 days that the caller may read and Resource Graph knows already.

        Raises:
            WaitEnded: the deadline came before it could be asked.
        """
        rows = await self._ask(self._installations, machine, machine.key)
        return [graph_installation(row["properties"]) for row in rows if isinstance(row.get("properties"), dict)]

    async def find(self, machine: ResourceId, activity_id: str | None) -> GraphInstallation | None:
        """Return one installation, None while Resource Graph does not show it; WaitEnded as ``installations``."""
        rows = await self.installations(machine)
        return next((row for row in rows if same(row.summary.activity_id, activity_id)), None)

    async def listed(self, machine: ResourceId, found: Installation) -> Installation:
        """Return an installation known by its counts, with its patches and rebootStatus once Resource Graph has them.

        It may be as late as GRAPH_LAG_SECONDS; what it has not shown by then stays unread.
        """
        if not found.finished or not found.activity_id:
            return found
        give_up = self._clock.monotonic() + GRAPH_LAG_SECONDS
        owner = f"{machine.key}/patchinstallationresults/{found.activity_id.lower()}"
        try:
            while True:
                graph = await self.find(machine, found.activity_id)
                if graph is not None and graph.summary.status not in UNFINISHED:
                    rows = await self._ask(self._patches, machine, owner)
                    found = with_patches(found, graph, [graph_patch(row) for row in rows])
                if found.patches.known or not self._wait or self._clock.monotonic() >= give_up:
                    return found
                await self._campaign.pause(machine.subscription_id, at_least=LOOK_SECONDS)
        except WaitEnded:
            return found

    async def _ask(self, questions: Questions, machine: ResourceId, owner: str) -> list[Row]:
        while True:
            try:
                return await questions.ask(owner, machine.subscription_id)
            except AzureFailure as failure:
                if failure.kind not in TRANSIENT_KINDS:
                    return []
                await self._campaign.pause(machine.subscription_id, failure.retry_after)


def same(one: str | None, other: str | None) -> bool:
    """Whether two activity ids are the same; Azure does not promise their case."""
    return bool(one) and (one or "").lower() == (other or "").lower()
