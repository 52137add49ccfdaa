# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The managed identity: through azure-identity at a scripted endpoint."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from aiohttp import web

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.managed_identity import (
    needs_own_process,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.session import open_session
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    MACHINE,
    ManualClock,
    Reply,
    ScriptedAzure,
)


async def serve(seen: list[web.Request], status: int = 200) -> tuple[web.AppRunner, str]:
    async def token(request: web.Request) -> web.Response:
        seen.append(request)
        if status != 200:
            return web.json_response(
                {"error": "invalid_request", "error_description": "Identity not found"}, status=status
            )
        expires_on = str(int(time.time()) + 3600)
        resource = request.query["resource"]
        return web.json_response({"access_token": "msi-token", "expires_on": expires_on, "resource": resource})

    app = web.Application()
    app.router.add_get("/metadata/identity/oauth2/token", token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.mark.parametrize("client_id", [None, "user-assigned"])
async def test_asks_the_instance_metadata_service(
    azure: ScriptedAzure,
    environ: dict[str, str],
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    client_id: str | None,
) -> None:
    seen: list[web.Request] = []
    runner, url = await serve(seen)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", url)
    for name in ("AZURE_TENANT", "AZURE_CLIENT_ID", "AZURE_SECRET"):
        del environ[name]
    environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = url
    azure.script(Reply(200, {"id": "x"}))
    try:
        async with open_session({"auth_source": "msi", "client_id": client_id}, environ, clock) as session:
            await VirtualMachines(session).get(MACHINE)
    finally:
        await runner.cleanup()
    assert azure.seen[0].headers["Authorization"] == "Bearer msi-token"
    assert seen[0].headers["Metadata"] == "true"
    assert seen[0].query.get("client_id") == client_id
    assert seen[0].query["resource"] == "https://management.scripted/"


async def test_comes_last_in_auto(
    azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runner, url = await serve([])
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", url)
    for name in ("AZURE_TENANT", "AZURE_CLIENT_ID", "AZURE_SECRET"):
        del environ[name]
    environ |= {"AZURE_POD_IDENTITY_AUTHORITY_HOST": url, "PATH": str(tmp_path), "HOME": str(tmp_path)}
    azure.script(Reply(200, {"id": "x"}))
    try:
        async with open_session({}, environ, clock) as session:
            await VirtualMachines(session).get(MACHINE)
    finally:
        await runner.cleanup()
    assert azure.seen[0].headers["Authorization"] == "Bearer msi-token"


async def test_no_credentials_anywhere(
    azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runner, url = await serve([], status=400)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", url)
    for name in ("AZURE_TENANT", "AZURE_CLIENT_ID", "AZURE_SECRET"):
        del environ[name]
    environ |= {"AZURE_POD_IDENTITY_AUTHORITY_HOST": url, "PATH": str(tmp_path), "HOME": str(tmp_path)}
    try:
        async with open_session({}, environ, clock) as session:
            with pytest.raises(AzureFailure, match="give client_id, secret and tenant, run 'az login'"):
                await VirtualMachines(session).get(MACHINE)
    finally:
        await runner.cleanup()


async def test_an_identity_that_is_not_there(
    azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, url = await serve([], status=400)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", url)
    environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = url
    try:
        async with open_session({"auth_source": "msi"}, environ, clock) as session:
            with pytest.raises(AzureFailure) as caught:
                await VirtualMachines(session).get(MACHINE)
    finally:
        await runner.cleanup()
    assert caught.value.kind == "credential"
    assert "managed identity" in caught.value.sentence
    assert "Identity not found" in caught.value.sentence


async def test_an_endpoint_that_only_the_task_knows_is_not_passed_over(
    azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """azure-identity would ask whatever os.environ names, which may be another identity."""
    monkeypatch.delenv("IDENTITY_ENDPOINT", raising=False)
    environ["IDENTITY_ENDPOINT"] = "http://127.0.0.1:1"
    assert needs_own_process(environ)
    async with open_session({"auth_source": "msi"}, environ, clock) as session:
        with pytest.raises(AzureFailure, match="task's environment"):
            await VirtualMachines(session).get(MACHINE)
