# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control port (plain http on loopback): clock, audit log, faults, machines, managed identity.

======================================  =======================================================================
GET /emulator/ready                     {"ready": true}
GET /emulator/clock                     {"now": ISO 8601, "rate": emulated seconds per real second}
PUT /emulator/clock                     {"advance_seconds": n} or {"rate": n}
GET /emulator/audit?since=N             the audit lines after number N, one JSON object a line
GET, POST, DELETE /emulator/faults      list, add (see ``faults``), clear
GET /emulator/machines                  what is true of each machine, guest included
POST /emulator/machines/NAME/restart    {"down_seconds": n}: restart the guest behind Azure's back
PUT /emulator/machines/NAME/winrm       a guest's misbehaviour (see ``wsman.faults``)
PUT .../resource-groups/NAME/tags       {"name": "value"}: the tags that a resource group has from now on
PUT .../principals/NAME/permissions     {"withdraw": [action patterns], "scope": "", "after_seconds": 0}: from then on
                                        refused; {"restore": true} gives everything back
GET /metadata/identity/oauth2/token     managed identity as a virtual machine has it
GET /msi/token                          managed identity as IDENTITY_ENDPOINT has it
======================================  =======================================================================
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

from aiohttp import web

from hotpatch_emulator import catalogue
from hotpatch_emulator.faults import FaultError
from hotpatch_emulator.state import VirtualMachine
from hotpatch_emulator.wire import Reply
from hotpatch_emulator.world import World

SetGuestFault = Callable[[str, Mapping[str, Any]], Any]


def application(world: World, set_guest_fault: SetGuestFault) -> web.Application:
    app = web.Application()
    control = _Control(world, set_guest_fault)
    app.add_routes(
        [
            web.get("/emulator/ready", control.ready),
            web.get("/emulator/clock", control.clock),
            web.put("/emulator/clock", control.set_clock),
            web.get("/emulator/audit", control.audit),
            web.get("/emulator/faults", control.list_faults),
            web.post("/emulator/faults", control.add_fault),
            web.delete("/emulator/faults", control.clear_faults),
            web.get("/emulator/machines", control.machines),
            web.post("/emulator/machines/{name}/restart", control.restart),
            web.put("/emulator/machines/{name}/winrm", control.winrm),
            web.post("/emulator/machines/{name}/uninstall", control.uninstall),
            web.put("/emulator/resource-groups/{name}/tags", control.tags),
            web.put("/emulator/principals/{name}/permissions", control.permissions),
            web.get("/metadata/identity/oauth2/token", control.managed_identity(app_service=False)),
            web.get("/msi/token", control.managed_identity(app_service=True)),
        ]
    )
    return app


def _refusal(status: int, sentence: str) -> web.Response:
    return web.json_response({"error": sentence}, status=status)


async def _body(request: web.Request) -> Mapping[str, Any]:
    text = await request.text()
    try:
        value = json.loads(text) if text.strip() else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise web.HTTPBadRequest(text=json.dumps({"error": "the body must be a JSON object"}))
    return value


class _Control:
    def __init__(self, world: World, set_guest_fault: SetGuestFault) -> None:
        self._world = world
        self._set_guest_fault = set_guest_fault

    async def ready(self, _request: web.Request) -> web.Response:
        return web.json_response({"ready": True})

    async def clock(self, _request: web.Request) -> web.Response:
        clock = self._world.clock
        return web.json_response({"now": clock.now().isoformat(), "rate": clock.rate})

    async def set_clock(self, request: web.Request) -> web.Response:
        body = await _body(request)
        unknown = sorted(set(body) - {"advance_seconds", "rate"})
        if unknown or not body:
            return _refusal(400, f"clock change {unknown or 'nothing'} is not known; give advance_seconds or rate")
        try:
            if "rate" in body:
                self._world.clock.set_rate(float(body["rate"]))
            if "advance_seconds" in body:
                self._world.clock.advance(float(body["advance_seconds"]))
        except (TypeError, ValueError) as error:
            return _refusal(400, str(error))
        self._world.agenda.run_due()
        self._world.agenda.poke()
        return await self.clock(request)

    async def audit(self, request: web.Request) -> web.Response:
        try:
            since = int(request.query.get("since", "0"))
        except ValueError:
            return _refusal(400, f"since {request.query['since']!r} is no number")
        self._world.agenda.run_due()
        text = "".join(json.dumps(line) + "\n" for line in self._world.audit.lines(since))
        return web.Response(text=text, content_type="application/x-ndjson")

    async def list_faults(self, _request: web.Request) -> web.Response:
        return web.json_response(self._world.faults.listing())

    async def add_fault(self, request: web.Request) -> web.Response:
        try:
            fault = self._world.faults.add(await _body(request))
        except (FaultError, TypeError, ValueError) as error:
            return _refusal(400, str(error))
        return web.json_response(fault.to_dict(), status=201)

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._world.faults.clear()
        return web.Response(status=204)

    def _machine(self, request: web.Request) -> VirtualMachine:
        machine = self._world.fleet.by_name(request.match_info["name"])
        if machine is None:
            text = json.dumps({"error": f"there is no machine {request.match_info['name']!r}"})
            raise web.HTTPNotFound(text=text, content_type="application/json")
        return machine

    async def machines(self, _request: web.Request) -> web.Response:
        self._world.agenda.run_due()
        return web.json_response([describe(machine) for machine in self._world.fleet])

    async def restart(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        body = await _body(request)
        self._world.agenda.run_due()
        down = float(body.get("down_seconds", 120))
        self._world.patching.restart_guest(machine, self._world.clock.now(), "fault", None, down)
        return web.json_response(describe(machine))

    async def winrm(self, request: web.Request) -> web.Response:
        machine = self._machine(request)
        try:
            self._set_guest_fault(machine.guest.address, await _body(request))
        except ValueError as error:
            return _refusal(400, str(error))
        return web.Response(status=204)

    async def uninstall(self, request: web.Request) -> web.Response:
        """What an administrator in the guest does with DISM: no command that reaches a guest is emulated."""
        machine, body = self._machine(request), await _body(request)
        self._world.agenda.run_due()
        kb, guest = str(body.get("kb")), machine.guest
        if kb not in guest.kbs:
            return _refusal(404, f"{kb} is not installed on {machine.name}")
        guest.uninstall(kb, catalogue.PRODUCTS[machine.product].baseline(self._world.clock.now()).lcu_ubr)
        self._world.audit.write("state", machine.id, what="uninstalling", kb=kb)
        return web.Response(status=204)

    async def tags(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await _body(request)
        if not any(machine.resource_group.lower() == name.lower() for machine in self._world.fleet):
            return _refusal(404, f"there is no resource group {name!r}")
        self._world.fleet.group_tags[name.lower()] = {str(key): str(value) for key, value in body.items()}
        self._world.audit.write("tags", None, resource_group=name, tags=body)
        return web.Response(status=204)

    async def permissions(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await _body(request)
        principal = next((p for p in self._world.fleet.principals if p.name == name), None)
        if principal is None:
            return _refusal(404, f"there is no principal {name!r}")
        actions = body.get("withdraw")
        if body.get("restore") is True:
            self._world.permissions.restore(principal)
        elif isinstance(actions, list) and all(isinstance(action, str) for action in actions):
            try:
                since = self._world.clock.now() + timedelta(seconds=float(body.get("after_seconds", 0)))
            except (TypeError, ValueError):
                return _refusal(400, f"after_seconds {body['after_seconds']!r} is no number")
            self._world.permissions.withdraw(principal, since, actions, str(body.get("scope", "")))
        else:
            return _refusal(400, "give withdraw, a list of action patterns, or restore: true")
        self._world.audit.write("permissions", None, principal=name, **body)
        return web.Response(status=204)

    def managed_identity(self, *, app_service: bool) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(request: web.Request) -> web.Response:
            reply: Reply = self._world.identity.managed_token(request.query, request.headers, app_service=app_service)
            self._world.audit.write(
                "request",
                None,
                method=request.method,
                path=request.path,
                status=reply.status,
                action="managed identity",
            )
            return web.json_response(reply.body, status=reply.status)

        return answer


def describe(machine: VirtualMachine) -> dict[str, Any]:
    """What is true of a machine now, whatever Azure or the guest say of it."""
    guest = machine.guest
    return {
        "name": machine.name,
        "id": machine.id,
        "power": machine.power_state,
        "provisioning_state": machine.provisioning_state,
        "operation": machine.running_operation,
        "address": guest.address,
        "winrm": guest.winrm,
        "build": f"{guest.os_build}.{guest.ubr}",
        "kbs": sorted(guest.kbs),
        "enrolled": guest.enrolled,
        "pending_restart": guest.pending_restart,
        "booted_at": guest.booted_at.isoformat(),
        "down_until": guest.down_until.isoformat() if guest.down_until else None,
        "expect": machine.expect,
    }
