# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP in front of the emulated Azure: sign-in service, cloud metadata and Resource Manager on one https port."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from hotpatch_emulator.arm import Gateway
from hotpatch_emulator.arm_requests import Request, Seen
from hotpatch_emulator.faults import Fault
from hotpatch_emulator.wire import ArmError, Reply, common_headers, new_id
from hotpatch_emulator.world import World

_LIMITS = "x-ms-ratelimit-remaining-resource"
_LARGEST_BODY = 4 * 1024 * 1024


def application(world: World) -> web.Application:
    app = web.Application(client_max_size=_LARGEST_BODY)
    azure = _Azure(world)
    app.router.add_route("*", "/{path:.*}", azure.handle)
    return app


class _Azure:
    def __init__(self, world: World) -> None:
        self._world = world
        self._gateway = Gateway(world)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, unless a fault does; either way one line goes to the audit log."""
        seen = Seen()
        body = await request.read()
        fault = self._world.faults.hit(request.method, request.path_qs, _machine_name(request.path))
        if fault is not None and fault.action.get("delay"):
            await asyncio.sleep(float(fault.action["delay"]))
        if fault is not None:
            # What was asked for is judged by the log also where nobody takes it; no JSON holds a secret.
            seen.body = _json_of(request, body)
        if fault is not None and fault.action.get("reset_before"):
            self._log(request, seen, Reply(0), fault)
            return _drop(request)
        reply = self._spoilt(fault) if fault is not None else None
        if reply is None:
            reply = await self._reply(request, body, seen)
        request_id = reply.request_id or new_id()
        reply.request_id = request_id
        self._log(request, seen, reply, fault)
        if fault is not None and fault.action.get("reset_after_accept"):
            return _drop(request)
        headers: CIMultiDict[str] = CIMultiDict(common_headers(self._world.clock.now(), request_id))
        headers.update(reply.headers)
        if self._world.fleet.switches.ratelimit_headers == "repeated" and _LIMITS in headers:
            policies = headers.popall(_LIMITS)
            headers.extend((_LIMITS, policy) for policy in ",".join(policies).split(","))
        client_id = request.headers.get("x-ms-client-request-id")
        if client_id and request.headers.get("x-ms-return-client-request-id", "").lower() == "true":
            headers["x-ms-client-request-id"] = client_id
        return _response(reply, headers)

    @staticmethod
    def _spoilt(fault: Fault) -> Reply | None:
        status = fault.action.get("status")
        if status is None:
            return None
        given = fault.action.get("headers") or {}
        return Reply(int(status), fault.action.get("body"), {str(k): str(v) for k, v in given.items()})

    async def _reply(self, request: web.Request, body: bytes, seen: Seen) -> Reply:
        segments = request.path.strip("/").split("/")
        lowered = [segment.lower() for segment in segments]
        if lowered[:2] == ["metadata", "endpoints"]:
            version = request.query.get("api-version", "")
            try:
                return Reply(200, self._world.identity.metadata_endpoints(version))
            except ArmError as error:
                return error.reply()
        document = self._world.identity.document(request.path, request.query)
        if document is not None:
            return document
        if lowered[-2:] == [".well-known", "openid-configuration"]:
            return self._world.identity.openid_configuration(segments[0])
        if lowered[-2:] == ["discovery", "instance"]:
            return self._world.identity.instance_discovery()
        if lowered[-1] == "token" and "oauth2" in lowered:
            if request.method != "POST":
                return Reply(405)
            form = await request.post()
            fields = {key: value for key, value in form.items() if isinstance(value, str)}
            caller = self._world.identity.principal_of(fields)
            seen.principal = caller.name if caller else None
            return self._world.identity.token(segments[0], fields, version_one="v2.0" not in lowered)
        return self._gateway.answer(
            Request(
                request.method,
                request.path,
                request.query,
                request.headers.get("Authorization"),
                body,
                request.headers.get("If-Match"),
            ),
            seen,
        )

    def _log(self, request: web.Request, seen: Seen, reply: Reply, fault: Fault | None) -> None:
        fields: dict[str, Any] = {
            "method": request.method,
            "path": request.path,
            "query": _plain_query(request.query),
            "api_version": request.query.get("api-version"),
            "principal": seen.principal,
            "status": reply.status,
            "action": seen.action,
            "request_id": reply.request_id,
        }
        if seen.body is not None:
            fields["body"] = seen.body
        if reply.operation_id is not None:
            fields["activity_id"] = reply.operation_id
        if isinstance(reply.body, Mapping) and isinstance(reply.body.get("error"), Mapping):
            fields["error_code"] = reply.body["error"].get("code")
        if fault is not None:
            fields["fault"] = fault.id
        self._world.audit.write("request", seen.resource_id, **fields)


def _json_of(request: web.Request, body: bytes) -> Any:
    """The JSON of a request that changes something, None where it has none."""
    if not body or request.content_type != "application/json":
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


def _plain_query(query: Mapping[str, str]) -> dict[str, str]:
    """The query without the kilobytes of a poll URL's signature."""
    return {key: value if len(value) < 200 else f"<{len(value)} characters>" for key, value in query.items()}


def _machine_name(path: str) -> str | None:
    segments = path.split("/")
    for index, segment in enumerate(segments[:-1]):
        if segment.lower() == "virtualmachines":
            return segments[index + 1]
    return None


def _drop(request: web.Request) -> web.Response:
    """No answer: the connection is gone."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _response(reply: Reply, headers: CIMultiDict[str]) -> web.Response:
    if reply.body is None:
        return web.Response(status=reply.status, headers=headers)
    if isinstance(reply.body, str):
        return web.Response(
            status=reply.status, text=reply.body, content_type="text/plain", charset="utf-8", headers=headers
        )
    text = json.dumps(reply.body, separators=(",", ":"))
    return web.Response(
        status=reply.status, text=text, content_type="application/json", charset="utf-8", headers=headers
    )
