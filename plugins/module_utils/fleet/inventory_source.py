# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory plugin is made of: its options into a reading of the fleet, and the reading into plain hosts."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..azure.credentials.options import read_auth_options
from ..azure.resource_graph import ResourceGraph
from ..azure.session import open_session
from ..domain.errors import InputError
from ..domain.fleet_scope import Expected, parse_expected, parse_scope, reconcile
from ..domain.host_variables import ADDRESSES, host_variables
from ..domain.timestamps import to_iso
from .context import clock_for
from .machine_inventory import PARTS, FleetReading, read_fleet

Variables = dict[str, Any]

SHAPE = 1
"""Of what is cached; another number is not read."""

_CHOOSING = (
    "subscriptions", "management_groups", "resource_groups", "locations", "tags", "power_states", "gather",
    "ring_tag", "address_order", "expect", "subscription_id", "client_id", "ad_user", "tenant", "profile",
    "cloud_environment",
)  # fmt: skip
"""Options that decide what is found and how it is put; a cache made with others is not used. No secrets."""


@dataclass(frozen=True)
class Hosts:
    """The variables of every machine found; plain JSON, so that it can be cached.

    :param missing: expected machines that were not found, as they were named.
    :param unmet: what was expected and is not so, as a sentence; empty when all is as expected.
    :param warnings: other sentences for the user.
    """

    read_at: str
    variables: list[Variables]
    missing: list[str]
    unmet: str
    warnings: list[str]

    def to_cache(self, digest: str) -> dict[str, Any]:
        """Return what is kept in Ansible's inventory cache."""
        return {"shape": SHAPE, "options": digest, **vars(self)}


def from_cache(kept: Any, digest: str) -> Hosts | None:
    """Return what :meth:`Hosts.to_cache` gave, None when it was made by other options or another version."""
    if not isinstance(kept, Mapping) or kept.get("shape") != SHAPE or kept.get("options") != digest:
        return None
    return Hosts(kept["read_at"], kept["variables"], kept["missing"], kept["unmet"], kept["warnings"])


def options_digest(params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return a digest of all that decides what is found; secrets are not part of it."""
    auth = read_auth_options(params, environ)
    given = {name: params.get(name) for name in _CHOOSING}
    given["subscription_id"] = auth.get("subscription_id")
    given["cloud_environment"] = auth.get("cloud_environment")
    return hashlib.sha256(json.dumps(given, sort_keys=True, default=str).encode()).hexdigest()[:16]


def collect(params: Mapping[str, Any], environ: Mapping[str, str], base: Path) -> Hosts:
    """Read the fleet that the options mean.

    :param base: the folder that a relative ``expect.file`` starts from.

    Raises:
        InputError, ClockError, AzureFailure: as ``open_session``, and for options that cannot work.
    """
    expected = _expected(params.get("expect"), base)
    scope = parse_scope(params, read_auth_options(params, environ).get("subscription_id"))
    parts = _choice(params, "gather", PARTS)
    order = _choice(params, "address_order", ADDRESSES)
    clock = clock_for(params, environ)

    async def read() -> tuple[FleetReading, list[str]]:
        async with open_session(params, environ, clock) as session:
            return await read_fleet(ResourceGraph(session), scope, clock, parts=parts), list(session.warnings)

    reading, warnings = asyncio.run(read())
    reconciled = reconcile(expected, [found.machine.id for found in reading.machines])
    warnings += reading.warnings
    return Hosts(
        to_iso(reading.read_at),
        _variables(reading, str(params["ring_tag"]), order),
        list(reconciled.missing),
        reconciled.sentence,
        warnings,
    )


def _variables(reading: FleetReading, ring_tag: str, order: tuple[str, ...]) -> list[Variables]:
    """The variables of all machines; the reading is emptied, so that both are never there whole."""
    made = []
    while reading.machines:
        found = reading.machines.pop()
        made.append(host_variables(found, reading.read_at, ring_tag=ring_tag, address_order=order))
    made.reverse()
    return made


def _choice(params: Mapping[str, Any], option: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    for item in params[option]:
        if item not in allowed:
            raise InputError(option, item, "a list of " + ", ".join(allowed))
    return tuple(params[option])


def _expected(options: Any, base: Path) -> Expected | None:
    given = options or {}
    unknown = sorted(set(given) - {"count", "machines", "file"})
    if unknown:
        raise InputError("expect", unknown[0], "a dictionary of count, machines and file")
    listed: list[str] = []
    if given.get("file"):
        path = base / Path(str(given["file"])).expanduser()
        try:
            listed = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("expect.file", str(path), f"a readable text file ({error})") from error
    return parse_expected(given, listed)
