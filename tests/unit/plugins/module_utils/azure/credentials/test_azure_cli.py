# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Azure CLI's login, with a small az of our own on the PATH."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.azure_cli import parse_cli_token
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.session import open_session
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    MACHINE,
    ManualClock,
    Reply,
    ScriptedAzure,
)


def install_az(directory: Path, script: str) -> None:
    az = directory / "az"
    az.write_text(f'#!/bin/sh\necho "$@" >> {directory}/calls\n{script}\n')
    az.chmod(0o755)


def signed_out(environ: dict[str, str], directory: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in environ.items()
        if name not in ("AZURE_TENANT", "AZURE_CLIENT_ID", "AZURE_SECRET")
    }
    return {**kept, "PATH": f"{directory}:/usr/bin:/bin", "HOME": str(directory), "MARK": "from-the-task"}


@pytest.mark.parametrize("source", ["cli", "auto"])
async def test_uses_the_login_and_keeps_the_token(
    azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock, tmp_path: Path, source: str
) -> None:
    token = json.dumps({"accessToken": "cli-TOKEN", "expires_on": int(time.time()) + 3600}).replace("TOKEN", "$MARK")
    install_az(tmp_path, f"cat <<END\n{token}\nEND")
    azure.script(Reply(200, {"id": "x"}), Reply(200, {"id": "x"}))
    async with open_session(
        {"auth_source": source, "tenant": "t.example"}, signed_out(environ, tmp_path), clock
    ) as session:
        machines = VirtualMachines(session)
        await machines.get(MACHINE)
        await machines.get(MACHINE)
    assert azure.seen[0].headers["Authorization"] == "Bearer cli-from-the-task"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls == [
        "account get-access-token --output json --resource https://management.scripted/ --tenant t.example"
    ]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo \"ERROR: Please run 'az login' to setup account.\" >&2; exit 1", "az login"),
        ("echo 'ERROR: AADSTS70043: The refresh token has expired.' >&2; exit 1", "has expired"),
        ("echo nonsense", "no usable token"),
        ("exit 3", "status 3"),
    ],
)
async def test_a_cli_without_a_usable_login(
    azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock, tmp_path: Path, script: str, words: str
) -> None:
    install_az(tmp_path, script)
    async with open_session({"auth_source": "cli"}, signed_out(environ, tmp_path), clock) as session:
        with pytest.raises(AzureFailure, match=words) as caught:
            await VirtualMachines(session).get(MACHINE)
    assert caught.value.kind == "credential"


async def test_no_cli_at_all(azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock, tmp_path: Path) -> None:
    environ = {**signed_out(environ, tmp_path), "PATH": str(tmp_path)}
    async with open_session({"auth_source": "cli"}, environ, clock) as session:
        with pytest.raises(AzureFailure, match="no command 'az'"):
            await VirtualMachines(session).get(MACHINE)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"accessToken": "t", "expires_on": 1760000000}', ("t", 1760000000)),
        ('{"accessToken": "t", "expires_on": "1760000000"}', ("t", 1760000000)),
        ('{"accessToken": "t"}', None),
        ('{"accessToken": "", "expires_on": 1}', None),
        ("{}", None),
        ("[]", None),
        ("", None),
    ],
)
def test_tokens(output: str, expected: tuple[str, int] | None) -> None:
    assert parse_cli_token(output) == expected


def test_the_expiry_of_an_older_cli_is_local_time() -> None:
    local = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1760000000))
    assert parse_cli_token(json.dumps({"accessToken": "t", "expiresOn": f"{local}.000000"})) == ("t", 1760000000)
