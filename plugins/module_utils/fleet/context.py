# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a task's parameters to what the engine works with: targets, clock, state folder, the way to Azure."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ..azure.clouds import known_cloud
from ..azure.credentials.options import read_auth_options
from ..azure.resource_graph import ResourceGraph
from ..azure.resource_groups import ResourceGroups
from ..azure.session import open_session
from ..azure.virtual_machines import VirtualMachines
from ..clock import Clock, open_clock
from ..domain.errors import InputError
from ..domain.resource_id import ResourceId
from .control import Tags
from .guard import Guard
from .machine_inventory import FleetTables
from .pursuit import Gateway
from .witness import Graph

Params = Mapping[str, Any]
Environ = Mapping[str, str]


class FleetGateway(Gateway, Protocol):
    """The engine's gateway that can also list."""

    async def list(self, subscription_id: str, resource_group: str = "") -> list[dict[str, Any]]:
        """List the virtual machines of a subscription or a resource group."""


@dataclass(frozen=True)
class Connection:
    """An open way to Azure.

    ``warnings`` are for the user; ``graph`` and ``tables`` are Resource Graph where it can be asked, for single
    machines and for whole fleets; ``groups`` are the resource groups.
    """

    gateway: FleetGateway
    warnings: Sequence[str] = field(default=())
    graph: Graph | None = None
    groups: Tags | None = None
    tables: FleetTables | None = None


Connect = Callable[[Params, Environ, Clock], AbstractAsyncContextManager[Connection]]


@asynccontextmanager
async def connect(params: Params, environ: Environ, clock: Clock) -> AsyncIterator[Connection]:
    """Open the session that the task's authentication options ask for.

    Raises:
        InputError, ClockError, AzureFailure: see ``open_session``.
    """
    async with open_session(params, environ, clock) as session:
        versions = {"": str(params["api_version"])} if params.get("api_version") else {}
        graph = ResourceGraph(session)
        yield Connection(VirtualMachines(session, versions), session.warnings, graph, ResourceGroups(session), graph)


def clock_for(params: Params, environ: Environ) -> Clock:
    """The clock for this cloud; what a custom cloud's metadata adds is checked again when the session opens.

    Raises:
        ClockError: an emulated clock was asked for with real endpoints.
        InputError: ``cloud_environment`` names no cloud.
    """
    name = read_auth_options(params, environ).get("cloud_environment")
    cloud = known_cloud(name)
    return open_clock(environ, cloud.endpoints if cloud else [name])


def default_subscription(params: Params, environ: Environ) -> str:
    """The subscription of option or environment, empty when neither names one."""
    return read_auth_options(params, environ).get("subscription_id")


def read_targets(params: Params, subscription_id: str) -> list[ResourceId]:
    """The machines a task names, each once, in the order given.

    Raises:
        InputError: a malformed ID, an Arc-enabled server, or a name without a subscription.
    """
    if params.get("resource_ids") is not None:
        found = {rid.key: rid for rid in (_virtual_machine(text) for text in params["resource_ids"])}
        return list(found.values())
    require_subscription(subscription_id)
    text = (
        f"/subscriptions/{subscription_id}/resourceGroups/{params['resource_group']}"
        f"/providers/Microsoft.Compute/virtualMachines/{params['name']}"
    )
    return [ResourceId.parse(text, "resource_group, name")]


def _virtual_machine(text: str) -> ResourceId:
    rid = ResourceId.parse(text, "resource_ids")
    if rid.kind != "virtual_machine":
        raise InputError(
            "resource_ids",
            text,
            "the ARM ID of a virtual machine",
            "Arc-enabled servers are not handled by this module yet",
        )
    return rid


def require_subscription(subscription_id: str) -> None:
    """Raise InputError unless a default subscription is known."""
    if not subscription_id:
        raise InputError(
            "subscription_id",
            subscription_id,
            "the GUID of a subscription when machines are not named by resource_ids",
            "set it in the task or in AZURE_SUBSCRIPTION_ID",
        )


def at_least(params: Params, option: str, least: int) -> int:
    """The whole number of an option; InputError when it is too small."""
    value = int(params[option])
    if value < least:
        raise InputError(option, value, f"a whole number of at least {least}")
    return value


def state_folder(params: Params, environ: Environ) -> Path:
    """The folder of the journal: ``state_path``, else below XDG_STATE_HOME or the home directory."""
    if params.get("state_path"):
        return Path(str(params["state_path"])).expanduser()
    base = environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path(environ.get("HOME") or Path.home()) / ".local" / "state") / "winfleet.hotpatch"


def drive(main: Callable[[], Coroutine[Any, Any, dict[str, Any]]], guard: Guard) -> dict[str, Any]:
    """Run the coroutine to its end; SIGTERM makes the guard refuse, so that it ends early with partial results."""

    async def with_signal() -> dict[str, Any]:
        if threading.current_thread() is not threading.main_thread():
            return await main()
        before = signal.getsignal(signal.SIGTERM)
        reason = "SIGTERM was received, so nothing more is started; what Azure is doing already goes on."
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, guard.stop, reason)
        try:
            return await main()
        finally:
            asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
            # Removing leaves the default action behind, but Ansible's workers have a handler of their own.
            signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)

    return asyncio.run(with_signal())
