# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A scripted Azure on loopback TLS, and a clock that is moved by hand."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.session import ArmSession
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "66666666-7777-8888-9999-000000000000"
SECRET = "s3cr3t~value-of-the-test"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
GROUP = "rg-test"
VM_PATH = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.Compute/virtualMachines/vm1"
MACHINE = ResourceId.parse(VM_PATH)

OpenSession = Callable[..., AbstractAsyncContextManager[ArmSession]]


class ManualClock:
    """Stands still until somebody sleeps; remembers the sleeps."""

    rate = 1.0

    def __init__(self, now: datetime = datetime(2026, 5, 13, 1, 0, tzinfo=timezone.utc)) -> None:
        self._start = now
        self._passed = 0.0
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self._passed += max(0.0, seconds)

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)


@dataclass
class Reply:
    """One scripted answer; ``drop`` closes the connection instead."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] | list[tuple[str, str]] = field(default_factory=dict)
    drop: bool = False


@dataclass(frozen=True)
class Seen:
    """One request as it came over the wire; ``target`` is the raw path with its query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: Any
    connection: int


class ScriptedAzure:
    """Serves the login endpoint, the metadata, and for everything else the scripted replies in their order.

    ``expired`` holds what requests with a given Authorization header get instead.
    """

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.ca_path = directory / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca_path))
        self.replies: list[Reply] = []
        self.seen: list[Seen] = []
        self.tokens: list[dict[str, str]] = []
        self.token_reply: Reply | None = None
        self.token_paths: list[str] = []
        self.realms: list[str] = []
        self.expired: dict[str, Reply] = {}
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/metadata/endpoints", self._metadata)
        app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery)
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        app.router.add_get("/common/userrealm/{user}", self._realm)
        app.router.add_route("*", "/{rest:.*}", self._scripted)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"https://127.0.0.1:{port}"

    async def stop(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def script(self, *replies: Reply) -> None:
        self.replies.extend(replies)

    async def _metadata(self, _request: web.Request) -> web.Response:
        return web.json_response(
            {
                "name": "scripted",
                "resourceManager": self.url,
                "authentication": {"loginEndpoint": f"{self.url}/", "audiences": ["https://management.scripted/"]},
            }
        )

    async def _discovery(self, request: web.Request) -> web.Response:
        tenant = request.match_info["tenant"]
        return web.json_response(
            {
                "token_endpoint": f"{self.url}/{tenant}/oauth2/v2.0/token",
                "authorization_endpoint": f"{self.url}/{tenant}/oauth2/v2.0/authorize",
                "issuer": f"{self.url}/{tenant}/v2.0",
            }
        )

    async def _token(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.tokens.append({key: str(value) for key, value in form.items()})
        self.token_paths.append(request.path)
        if self.token_reply is not None:
            return web.json_response(self.token_reply.body, status=self.token_reply.status)
        token = f"token-{len(self.tokens)}"
        return web.json_response({"token_type": "Bearer", "expires_in": 3599, "access_token": token})

    async def _realm(self, request: web.Request) -> web.Response:
        self.realms.append(request.match_info["user"])
        return web.json_response({"ver": "1.0", "account_type": "Managed", "domain_name": "example.com"})

    async def _scripted(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        body = json.loads(text) if text else None
        self.seen.append(Seen(request.method, request.raw_path, request.headers.copy(), body, id(request.transport)))
        over = self.expired.get(request.headers.get("Authorization", ""))
        if over is not None:
            return web.json_response(over.body, status=over.status, headers=dict(over.headers))
        assert self.replies, f"nothing was scripted for {request.method} {request.raw_path}"
        reply = self.replies.pop(0)
        if reply.drop:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        if isinstance(reply.body, (dict, list)):
            response = web.json_response(reply.body, status=reply.status)
        else:
            response = web.Response(status=reply.status, text=reply.body)
        items = reply.headers.items() if isinstance(reply.headers, Mapping) else reply.headers
        for name, value in items:
            response.headers.add(name, value)
        return response
