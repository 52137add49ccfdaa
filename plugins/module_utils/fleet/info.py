# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what Azure says of machines: settings, power, last assessment and installation, and whether it can hotpatch.

Compute is asked about each machine and tells the truth of the moment; Resource Graph tells of thousands in one request
what it knew some minutes ago.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..azure.errors import AzureFailure
from ..clock import Clock
from ..domain.eligibility import eligibility
from ..domain.facts import Fact
from ..domain.fleet_scope import Scope
from ..domain.graph import GRAPH_LAG_SECONDS
from ..domain.machine import Machine, product, unread_machine
from ..domain.patch_settings import Wanted, difference, wanted_from
from ..domain.resource_id import ResourceId
from ..domain.timestamps import to_iso
from ..domain.waves import parse_budget
from . import info_scope, results
from .campaign import Campaign
from .context import Connect, Connection, connect, default_subscription, drive, read_targets, require_subscription
from .engine import exceeded_message, failure_entry, is_fleet_wide
from .guard import Guard
from .progress import Progress
from .pursuit import View, look
from .results import Entry


def run(
    params: Mapping[str, Any],
    clock: Clock,
    progress: Progress,
    environ: Mapping[str, str],
    guard: Guard,
    *,
    check_mode: bool = False,
    diff: bool = False,
    connect: Connect = connect,
) -> dict[str, Any]:
    """Read the machines that the parameters name: by ID, by name, or all of a group, a subscription or another scope.

    Raises InputError, ClockError and AzureFailure for what stops the whole run.
    """
    budget = parse_budget(params["max_failures"])
    wanted = wanted_from(params["expect_settings"]) if params.get("expect_settings") else None
    awaited = info_scope.expected_of(params)
    is_named = params.get("resource_ids") is not None or params.get("name") is not None
    subscription = default_subscription(params, environ)
    named = read_targets(params, subscription) if is_named else []
    by_graph = params["source"] == info_scope.GRAPH
    wide = info_scope.is_wide(params)
    scope = info_scope.scope_for(params, named, subscription) if by_graph or wide else None
    if not (is_named or scope):
        require_subscription(subscription)
    details = str(params["details"])

    def begin(machines: int) -> Campaign:
        progress.begin("read", machines)
        return Campaign(clock, guard, progress, total=machines, poll_interval=0, wait_timeout=None, max_failures=budget)

    async def main() -> dict[str, Any]:
        begun, read_at = clock.monotonic(), clock.now()
        told: list[str] = []
        async with connect(params, environ, clock) as connection:
            if by_graph and scope is not None:
                reading = await info_scope.read_by_graph(connection, scope, named, clock, params["gather"])
                entries = info_scope.entries_of(reading, named, details, wanted, _short)
                told += reading.warnings
                campaign = begin(len(entries))
                for entry in entries:
                    if entry["outcome"] == "failed":
                        campaign.finish(str(entry["id"]).lower(), True)
            else:
                group = params.get("resource_group")
                targets = named or await _listed(connection, subscription, group, scope, clock, told)
                campaign = begin(len(targets))
                entries = await _read_all(connection, campaign, targets, clock, details, wanted)
        result = _result(entries, campaign, str(params["max_failures"]))
        result["source"], result["read_at"] = params["source"], to_iso(read_at)
        result["may_lag_seconds"] = GRAPH_LAG_SECONDS if by_graph else 0
        if wanted is not None:
            result["drifted"] = [entry["id"] for entry in entries if entry.get("drift")]
        result["duration"] = round(clock.monotonic() - begun, 3)
        reconciled = info_scope.compare(awaited, entries)
        if awaited is not None:
            result["missing"] = list(reconciled.missing)
        warnings = [*connection.warnings, *told, *([reconciled.sentence] if reconciled.sentence else [])]
        return {**result, "warnings": warnings} if warnings else result

    return drive(main, guard)


async def _listed(
    connection: Connection,
    subscription: str,
    resource_group: str | None,
    scope: Scope | None,
    clock: Clock,
    told: list[str],
) -> list[ResourceId]:
    """The machines of a resource group, subscription or scope: no list has instance views, each is read again.

    *told* is given a sentence for what is left out.
    """
    if scope is not None:
        return await info_scope.list_scope(connection, scope, clock, told)
    bodies = await connection.gateway.list(subscription, resource_group or "")
    return [ResourceId.parse(str(body.get("id")), "id") for body in bodies]


async def _read_all(
    connection: Connection,
    campaign: Campaign,
    targets: list[ResourceId],
    clock: Clock,
    details: str,
    wanted: Wanted | None,
) -> list[Entry]:
    async def read(machine: ResourceId, alone: bool = False) -> Entry:
        campaign.occupy(machine.key)
        try:
            entry = _entry(await look(connection.gateway, machine, clock), details, wanted)
        except AzureFailure as failure:
            if alone and is_fleet_wide(failure):
                raise
            entry = _failed_entry(machine, failure, details)
        campaign.finish(machine.key, entry["outcome"] == "failed")
        return entry

    # The first one alone, so that a wrong secret is tried once and told once.
    first = [await read(machine, alone=True) for machine in targets[:1]]
    return first + await campaign.run(targets[1:], read)


def _entry(view: View, details: str, wanted: Wanted | None) -> Entry:
    machine = view.machine
    judged = eligibility(machine)
    own: Entry = {"outcome": "read", "read_at": to_iso(view.read_at), "product": product(machine).value}
    if wanted is not None:
        own["drift"] = difference(machine.patch_settings, wanted)
    if details == "none":
        own["eligibility"] = judged.state
        own["eligibility_codes"] = [reason.code for reason in judged.reasons]
        return results.fit({**_short(machine), **own})
    reasons = [{"code": reason.code, "text": reason.text} for reason in judged.reasons]
    return {**machine.to_dict(), **own, "eligibility": {"state": judged.state, "reasons": reasons}}


def _failed_entry(machine: ResourceId, failure: AzureFailure, details: str) -> Entry:
    own = failure_entry(failure, details != "none")
    if details == "none":
        return results.fit({"id": str(machine), "name": machine.name, **own})
    return {**unread_machine(machine, failure.to_dict()).to_dict(), **own}


def _short(machine: Machine) -> Entry:
    """The facts one looks at first; what could not be read is named in ``unreadable`` instead of being left out."""
    settings = machine.patch_settings
    facts: dict[str, Fact[Any]] = {
        "power_state": machine.power_state,
        "agent_status": machine.agent_status,
        "patch_mode": settings.patch_mode,
        "enable_hotpatching": settings.enable_hotpatching,
        "assessment_mode": settings.assessment_mode,
    }
    entry: Entry = {"id": str(machine.id), "name": machine.name, "location": machine.location}
    entry.update({name: fact.value for name, fact in facts.items()})
    unreadable = [name for name, fact in facts.items() if fact.is_unreadable]
    if unreadable:
        entry["unreadable"] = unreadable
    return entry


def _result(entries: list[Entry], campaign: Campaign, max_failures: str) -> dict[str, Any]:
    tally = results.counts(entries)
    result: dict[str, Any] = {
        "changed": False,
        "machines": entries,
        "counts": tally,
        "msg": results.in_words(tally) + ".",
    }
    if campaign.exceeded:
        worst = next(entry for entry in entries if entry["outcome"] == "failed")
        result["failed"] = True
        result["msg"] = exceeded_message(campaign.failures, tally, max_failures, worst)
    return result
