# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Azure Resource Manager's front door: token, subscription, limits, API version, role, then the provider.

The order is Azure's: who may not do something is told so before he learns whether the resource exists, and a
request that is refused as invalid has still cost its tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hotpatch_emulator import batch, neighbours, regions, throttle
from hotpatch_emulator.arm_requests import (
    API_VERSIONS,
    VERBS,
    Request,
    Seen,
    action_of,
    arm_class,
    check_api_version,
    machine_id,
    parse_json,
    scope_of,
)
from hotpatch_emulator.compute import Change, Compute
from hotpatch_emulator.settings import Principal
from hotpatch_emulator.state import VirtualMachine
from hotpatch_emulator.wire import ArmError, PlainTextError, Reply
from hotpatch_emulator.world import World

BATCH = "/batch"
_SUB = r"/subscriptions/(?P<sub>[^/]+)"
_GROUP = _SUB + r"/resourcegroups/(?P<group>[^/]+)"
_MACHINES = r"/providers/microsoft\.compute/virtualmachines"
_ONE = _GROUP + _MACHINES + r"/(?P<machine>[^/]+)"


@dataclass(frozen=True)
class _Call:
    """A routed request."""

    request: Request
    parts: Mapping[str, str]
    principal: Principal
    now: datetime
    api_version: str


@dataclass(frozen=True)
class _Route:
    method: str
    path: re.Pattern[str]
    action: str
    handler: Callable[[_Call, Seen], Reply]
    policy: throttle.Policy | None = None
    scope_levels: int | None = None  # how many path segments make up the scope of the permission


class Gateway:
    """Answers requests to the Resource Manager."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._compute = Compute(world)
        self._routes = self._make_routes()

    def _make_routes(self) -> list[_Route]:
        compute = "Microsoft.Compute/virtualMachines"

        def route(
            method: str,
            path: str,
            action: str,
            handler: Callable[[_Call, Seen], Reply],
            policy: throttle.Policy | None = None,
            levels: int | None = None,
        ) -> _Route:
            return _Route(method, re.compile(path + "/?", re.IGNORECASE), action, handler, policy, levels)

        routes = [
            route("GET", "/tenants", "", self._tenants),
            route("GET", "/subscriptions", "", self._subscriptions),
            route("POST", r"/providers/microsoft\.resourcegraph/resources", "", self._graph),
            route("POST", BATCH, "", self._batch),
            route("GET", _SUB, "Microsoft.Resources/subscriptions/read", self._subscription),
            route("GET", _SUB + "/locations", "Microsoft.Resources/subscriptions/locations/read", self._locations,
                  levels=2),
            route("GET", _SUB + "/resourcegroups", "Microsoft.Resources/subscriptions/resourceGroups/read",
                  self._groups, levels=2),
            route("GET", _GROUP, "Microsoft.Resources/subscriptions/resourceGroups/read", self._group),
            route("GET", _SUB + r"/providers/(?P<namespace>[^/]+)", "Microsoft.Resources/subscriptions/read",
                  self._provider, levels=2),
            route("GET", _GROUP + r"/providers/microsoft\.network/networkinterfaces/(?P<nic>[^/]+)",
                  "Microsoft.Network/networkInterfaces/read", self._nic),
            route("GET", _SUB + r"/providers/microsoft\.compute/locations/(?P<location>[^/]+)/operations/(?P<op>[^/]+)",
                  "Microsoft.Compute/locations/operations/read", self._poll, throttle.GET_OPERATION, 2),
            route("GET", _SUB + _MACHINES, f"{compute}/read", self._list_all, throttle.HIGH_COST_GET, 2),
            route("GET", _GROUP + _MACHINES, f"{compute}/read", self._list_group, throttle.HIGH_COST_GET, 4),
            route("GET", _ONE, f"{compute}/read", self._get, throttle.LOW_COST_GET),
            route("GET", _ONE + "/instanceview", f"{compute}/instanceView/read", self._view,
                  throttle.LOW_COST_GET, 8),
            route("PATCH", _ONE, f"{compute}/write", self._patch, throttle.UPDATE),
            route("PUT", _ONE, f"{compute}/write", self._put, throttle.PUT),
            route("POST", _ONE + "/(?P<verb>assesspatches|installpatches)", "", self._patching,
                  throttle.GUEST_PATCH, 8),
            route("POST", _ONE + "/(?P<verb>restart|start|poweroff)", "", self._power, throttle.UPDATE, 8),
            route("POST", _ONE + "/(?P<verb>deallocate)", "", self._power, throttle.DELETE, 8),
        ]  # fmt: skip
        return routes

    # -- the way in ---------------------------------------------------------------------------------------------

    def answer(self, request: Request, seen: Seen) -> Reply:
        """Answer a request; refusals come back as replies too."""
        self._world.agenda.run_due()
        headers: dict[str, str] = {}
        try:
            reply = self._routed(request, seen, headers)
        except (ArmError, PlainTextError) as error:
            reply = error.reply()
        reply.headers = {**headers, **reply.headers}
        return reply

    def _routed(self, request: Request, seen: Seen, headers: dict[str, str]) -> Reply:
        now = self._world.clock.now()
        route, parts = self._match(request)
        action = action_of(route.action, parts)
        seen.action = action or None
        if "machine" in parts:
            known = self._world.fleet.machine(machine_id(parts))
            seen.resource_id = known.id if known else machine_id(parts)
        principal = self._world.identity.authenticate(request.authorization)
        seen.principal = principal.name
        if request.method in ("POST", "PATCH", "PUT"):
            seen.body = parse_json(request.body)
        subscription = self._subscription_of(parts)
        headers.update(self._draw_on_gateway(request, subscription, principal, now))
        api_version = request.query.get("api-version", "")
        check_api_version(api_version, parts)
        call = _Call(request, parts, principal, now, api_version)
        if action:
            self._world.permissions.require(principal, action, self._permission_scope(call, route), now)
        if route.policy is not None and subscription is not None:
            headers.update(self._draw(call, route.policy, subscription))
        return route.handler(call, seen)

    def _draw_on_gateway(
        self, request: Request, subscription: str | None, principal: Principal, now: datetime
    ) -> dict[str, str]:
        limits = self._world.throttle
        if request.path.lower() == BATCH:
            return {}  # what is in it is counted
        kind, operation = arm_class(request)
        if subscription is not None:
            return limits.arm(now, subscription, principal.name, kind, operation)
        if kind == "reads":
            return limits.tenant(now, self._world.fleet.tenant_id, principal.name, operation)
        return limits.graph(now, principal.name)

    def _permission_scope(self, call: _Call, route: _Route) -> str:
        """Where the permission is needed. Whether polls need one on the subscription nobody documents: a switch."""
        operation = self._world.operations.get(call.parts["op"]) if "op" in call.parts else None
        if operation is not None and self._world.fleet.switches.operations_read_scope == "machine":
            return operation.machine.id
        return scope_of(call.request.path, route.scope_levels)

    def _match(self, request: Request) -> tuple[_Route, Mapping[str, str]]:
        known_path = False
        for route in self._routes:
            match = route.path.fullmatch(request.path)
            if match is None:
                continue
            known_path = True
            if route.method == request.method:
                return route, match.groupdict()
        if known_path:
            raise ArmError(
                405, "HttpMethodNotAllowed", f"The emulator does not implement {request.method} for this resource."
            )
        raise ArmError(
            404,
            "InvalidResourceType",
            f"The emulator does not implement the resource type of '{request.path}'.",
        )

    def _subscription_of(self, parts: Mapping[str, str]) -> str | None:
        wanted = parts.get("sub")
        if wanted is None:
            return None
        for identifier in self._world.fleet.subscriptions:
            if identifier.lower() == wanted.lower():
                return identifier
        raise ArmError(
            404,
            "SubscriptionNotFound",
            f"The subscription '{wanted}' could not be found.",
            headers={"x-ms-failure-cause": "gateway"},
        )

    def _draw(self, call: _Call, policy: throttle.Policy, subscription: str) -> dict[str, str]:
        """Draw on Compute's buckets: of the machine and of the region where it stands, not where the caller sits."""
        if "machine" in call.parts:
            machine = self._machine(call)
            region, resource = machine.location, machine.key
        elif "op" in call.parts:
            operation = self._world.operations.get(call.parts["op"])
            region = call.parts["location"].lower()
            resource = operation.machine.key if operation else call.parts["op"].lower()
        else:
            region, resource = "global", subscription
        return self._world.throttle.compute(call.now, policy, subscription, region, resource, call.principal.name)

    def _machine(self, call: _Call) -> VirtualMachine:
        parts = call.parts
        machine = self._world.fleet.machine(machine_id(parts))
        if machine is not None:
            return machine
        headers = {"x-ms-failure-cause": "gateway"}
        if not self._world.fleet.has_group(parts["sub"], parts["group"]):
            raise ArmError(
                404,
                "ResourceGroupNotFound",
                f"Resource group '{parts['group']}' could not be found.",
                headers=headers,
            )
        raise ArmError(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.Compute/virtualMachines/{parts['machine']}' under resource group "
            f"'{parts['group']}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            headers=headers,
        )

    # -- handlers: neighbours -----------------------------------------------------------------------------------

    def _tenants(self, _call: _Call, _seen: Seen) -> Reply:
        return Reply(200, {"value": [neighbours.tenant(self._world.fleet)]})

    def _subscriptions(self, call: _Call, _seen: Seen) -> Reply:
        """Only those on which the caller has a role."""
        visible = []
        for identifier in self._world.fleet.subscriptions:
            if self._world.permissions.sees(call.principal, identifier):
                visible.append(neighbours.subscription(self._world.fleet, identifier))
        return Reply(200, {"value": visible, "count": {"type": "Total", "value": len(visible)}})

    def _graph(self, call: _Call, seen: Seen) -> Reply:
        return self._world.graph.query(call.principal, call.api_version, seen.body, call.now)

    def _batch(self, call: _Call, seen: Seen) -> Reply:
        return batch.answer(seen.body, call.request.authorization, self.answer, self._world.audit)

    def _subscription(self, call: _Call, _seen: Seen) -> Reply:
        identifier = self._subscription_of(call.parts)
        return Reply(200, neighbours.subscription(self._world.fleet, str(identifier)))

    def _locations(self, call: _Call, _seen: Seen) -> Reply:
        subscription = str(self._subscription_of(call.parts))
        found = regions.locations(
            self._world.fleet.seed,
            subscription,
            with_zones=call.api_version >= regions.FIRST_WITH_ZONES,
            extended=call.request.query.get("includeExtendedLocations", "").lower() == "true",
        )
        return Reply(200, {"value": found})

    def _groups(self, call: _Call, _seen: Seen) -> Reply:
        subscription = str(self._subscription_of(call.parts))
        groups: dict[str, list[VirtualMachine]] = {}
        for machine in self._world.fleet.subscription(subscription):
            groups.setdefault(machine.resource_group.lower(), []).append(machine)
        fleet = self._world.fleet
        return Reply(
            200, {"value": [neighbours.resource_group(fleet, subscription, found) for found in groups.values()]}
        )

    def _group(self, call: _Call, _seen: Seen) -> Reply:
        found = self._existing_group(call)
        return Reply(200, neighbours.resource_group(self._world.fleet, found[0].subscription_id, found))

    def _existing_group(self, call: _Call) -> list[VirtualMachine]:
        found = self._world.fleet.group(call.parts["sub"], call.parts["group"])
        if not found:
            raise ArmError(
                404,
                "ResourceGroupNotFound",
                f"Resource group '{call.parts['group']}' could not be found.",
                headers={"x-ms-failure-cause": "gateway"},
            )
        return found

    def _provider(self, call: _Call, _seen: Seen) -> Reply:
        subscription = str(self._subscription_of(call.parts))
        return Reply(200, neighbours.provider(subscription, call.parts["namespace"], API_VERSIONS))

    def _nic(self, call: _Call, _seen: Seen) -> Reply:
        wanted = call.parts["nic"].lower()
        for machine in self._existing_group(call):
            if wanted == f"{machine.name}vmnic".lower():
                return Reply(200, neighbours.network_interface(machine))
        raise ArmError(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.Network/networkInterfaces/{call.parts['nic']}' under resource group "
            f"'{call.parts['group']}' was not found. For more details please go to "
            "https://aka.ms/ARMResourceNotFoundFix",
        )

    # -- handlers: Compute --------------------------------------------------------------------------------------

    def _poll(self, call: _Call, seen: Seen) -> Reply:
        operation = self._world.operations.get(call.parts["op"])
        seen.resource_id = operation.machine.id if operation else None
        return self._world.operations.poll(
            call.parts["sub"], call.parts["location"], call.parts["op"], call.request.query, call.now
        )

    def _list_all(self, call: _Call, _seen: Seen) -> Reply:
        machines = self._world.fleet.subscription(call.parts["sub"])
        status_only = call.request.query.get("statusOnly", "").lower() == "true"
        return self._compute.list(machines, call.request.path, call.request.query, call.now, status_only=status_only)

    def _list_group(self, call: _Call, _seen: Seen) -> Reply:
        machines = self._existing_group(call)
        return self._compute.list(machines, call.request.path, call.request.query, call.now, status_only=False)

    def _get(self, call: _Call, _seen: Seen) -> Reply:
        return self._compute.get(self._machine(call), call.request.query, call.now)

    def _view(self, call: _Call, _seen: Seen) -> Reply:
        return self._compute.instance_view(self._machine(call), call.now)

    def _patch(self, call: _Call, seen: Seen) -> Reply:
        return self._write(call, seen, whole=False)

    def _put(self, call: _Call, seen: Seen) -> Reply:
        return self._write(call, seen, whole=True)

    def _write(self, call: _Call, seen: Seen, *, whole: bool) -> Reply:
        request = Change(seen.body, call.api_version, call.principal.name, call.request.if_match, whole)
        return self._compute.update(self._machine(call), request, call.now)

    def _patching(self, call: _Call, seen: Seen) -> Reply:
        machine = self._machine(call)
        if call.parts["verb"].lower() == "assesspatches":
            return self._compute.assess_patches(machine, call.api_version, call.now, call.principal.name)
        return self._compute.install_patches(machine, seen.body, call.api_version, call.now, call.principal.name)

    def _power(self, call: _Call, _seen: Seen) -> Reply:
        verb = VERBS[call.parts["verb"].lower()]
        return self._compute.power(verb, self._machine(call), call.api_version, call.now, call.principal.name)
