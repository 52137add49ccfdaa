# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of ``machine_info`` that goes by Resource Graph: which machines a scope holds, and entries made of rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ..clock import Clock
from ..domain.errors import InputError
from ..domain.fleet_scope import Expected, Reconciled, Scope, parse_expected, parse_scope, reconcile
from ..domain.graph_machine import GraphMachine
from ..domain.host_variables import installation_variables
from ..domain.machine import Machine, product, unread_machine
from ..domain.patch_settings import Wanted, difference
from ..domain.resource_id import ResourceId
from ..domain.timestamps import to_iso
from . import results
from .context import Connection
from .machine_inventory import FleetReading, FleetTables, read_fleet
from .results import Entry

Short = Callable[[Machine], Entry]

SCOPE_OPTIONS = ("subscriptions", "management_groups", "resource_groups", "locations", "tags", "power_states")
GRAPH = "resource_graph"
COMPUTE = "compute"
_UNSHOWN = (
    "Resource Graph does not show it: it is not there, it is newer than some minutes, or the account may not read it"
)


def is_wide(params: Mapping[str, Any]) -> bool:
    """Whether the options name a scope that only Resource Graph can list."""
    return any(params.get(name) for name in SCOPE_OPTIONS)


def scope_for(params: Mapping[str, Any], named: Sequence[ResourceId], default_subscription: str) -> Scope:
    """Return the scope to ask Resource Graph about; that of machines by ID is their subscriptions."""
    if named:
        return Scope(subscriptions=tuple(dict.fromkeys(item.subscription_id.lower() for item in named)))
    group = [params["resource_group"]] if params.get("resource_group") else []
    return parse_scope(
        {**params, "resource_groups": [*(params.get("resource_groups") or []), *group]}, default_subscription
    )


def tables_of(connection: Connection) -> FleetTables:
    """Return the way to Resource Graph; InputError where there is none."""
    if connection.tables is None:
        raise InputError("source", GRAPH, f"{COMPUTE}, where Resource Graph cannot be asked")
    return connection.tables


async def list_scope(connection: Connection, scope: Scope, clock: Clock, told: list[str]) -> list[ResourceId]:
    """The virtual machines of a scope, for Compute to be asked about each; *told* is given what is left out."""
    reading = await read_fleet(tables_of(connection), scope, clock, parts=())
    ids = [found.machine.id for found in reading.machines]
    machines = [item for item in ids if item.kind == "virtual_machine"]
    told += reading.warnings
    if len(machines) < len(ids):
        told.append(
            f"{len(ids) - len(machines)} Arc-enabled servers are left out: Compute does not hold them, so read them "
            f"with source={GRAPH}."
        )
    return machines


async def read_by_graph(
    connection: Connection, scope: Scope, named: Sequence[ResourceId], clock: Clock, parts: Sequence[str]
) -> FleetReading:
    """The machines of a scope, or those named, with the parts that are asked for."""
    return await read_fleet(tables_of(connection), scope, clock, parts=parts, ids=[str(item) for item in named])


def entries_of(
    reading: FleetReading, named: Sequence[ResourceId], details: str, wanted: Wanted | None, short: Short
) -> list[Entry]:
    """An entry a machine, in the order named; one that is not shown is ``failed``, as one that cannot be read."""
    by_key = {found.key: found for found in reading.machines}
    if not named:
        return [_entry(found, reading.read_at, details, wanted, short) for found in reading.machines]
    return [
        _entry(by_key[item.key], reading.read_at, details, wanted, short)
        if item.key in by_key
        else _unshown(item, details)
        for item in named
    ]


def _entry(found: GraphMachine, read_at: datetime, details: str, wanted: Wanted | None, short: Short) -> Entry:
    machine, judged = found.machine, found.eligibility()
    own: Entry = {"outcome": "read", "read_at": to_iso(read_at), "product": product(machine).value}
    if wanted is not None:
        own["drift"] = difference(machine.patch_settings, wanted)
    if details == "none":
        own["eligibility"] = judged.state
        own["eligibility_codes"] = [reason.code for reason in judged.reasons]
        return results.fit({**short(machine), **own})
    reasons = [{"code": reason.code, "text": reason.text} for reason in judged.reasons]
    not_judged = [reason.code for reason in judged.overridden]
    return {
        **machine.to_dict(),
        **own,
        "eligibility": {"state": judged.state, "reasons": reasons, "not_judged": not_judged},
        "size": found.size,
        "security_type": found.security_type,
        "private_addresses": found.addresses.private.to_dict(),
        "public_addresses": found.addresses.public.to_dict(),
        "last_installation": installation_variables(found),
    }


def _unshown(machine: ResourceId, details: str) -> Entry:
    error = {"code": "NotShown", "message": _UNSHOWN}
    own: Entry = {"outcome": "failed", "reason": _UNSHOWN, "error": error}
    if details == "none":
        return results.fit({"id": str(machine), "name": machine.name, **own})
    return {**unread_machine(machine, error).to_dict(), **own}


def expected_of(params: Mapping[str, Any]) -> Expected | None:
    """Return what the option ``expect`` expects."""
    return parse_expected(params.get("expect"))


def compare(expected: Expected | None, entries: Sequence[Mapping[str, Any]]) -> Reconciled:
    """Return what was expected and not read."""
    read = [ResourceId.parse(str(entry["id"])) for entry in entries if entry["outcome"] == "read"]
    return reconcile(expected, read)
