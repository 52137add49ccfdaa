# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory of the fleet of all authentications: what it says of each guest is enough to be let in."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from auth_support import NAME
from winrm.protocol import Protocol
from wsman_support import Client

from hotpatch_emulator.app import Options, running

FLEET = Path(__file__).parents[2] / "fleets" / "authentication.yml"
WAYS = {
    "auth-basic": ("basic", "https", 5986),
    "auth-http": ("ntlm", "http", 5985),
    "auth-https": ("ntlm", "https", 5986),
    "auth-hardened": ("ntlm", "https", 5986),
    "auth-cert": ("certificate", "https", 5986),
    "auth-clear": ("basic", "http", 5985),
}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory, loop_thread: asyncio.AbstractEventLoop) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("run")
    context = running(Options(fleet=FLEET, run_dir=folder, speed=0))
    asyncio.run_coroutine_threadsafe(context.__aenter__(), loop_thread).result(30)
    yield folder
    asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop_thread).result(30)


def variables(run_dir: Path) -> dict[str, dict[str, Any]]:
    """Every host's variables, the group's included."""
    group = yaml.safe_load((run_dir / "inventory.yml").read_text())["all"]["children"]["rehearsal"]
    return {name: {**group["vars"], **own} for name, own in group["hosts"].items()}


def test_every_way_is_in_the_inventory(run_dir: Path) -> None:
    assert {
        name: (host["ansible_winrm_transport"], host["ansible_winrm_scheme"], host["ansible_port"])
        for name, host in variables(run_dir).items()
    } == WAYS


@pytest.mark.parametrize("name", WAYS)
def test_the_inventory_is_enough(run_dir: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    host = variables(run_dir)[name]
    protocol = Protocol(
        f"{host['ansible_winrm_scheme']}://{host['ansible_host']}:{host['ansible_port']}/wsman",
        transport=host["ansible_winrm_transport"],
        username=host["ansible_user"],
        password=host["ansible_password"],
        ca_trust_path=host["ansible_winrm_ca_trust_path"],
        cert_pem=host.get("ansible_winrm_cert_pem"),
        cert_key_pem=host.get("ansible_winrm_cert_key_pem"),
        proxy=None,
    )
    assert Client(protocol).rows(NAME) == [{"CSName": name.upper()}]


def test_secrets_are_their_owners(run_dir: Path) -> None:
    endpoints = json.loads((run_dir / "endpoints.json").read_text())
    for name in ("winrm_cert_pem", "winrm_cert_key_pem"):
        path = Path(endpoints[name])
        assert path.parent == run_dir and stat.S_IMODE(path.stat().st_mode) == 0o600
    for path in run_dir.iterdir():
        if b"PRIVATE KEY" in path.read_bytes() or endpoints["winrm_password"].encode() in path.read_bytes():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name
    assert "PRIVATE KEY" not in (run_dir / "audit.jsonl").read_text()
