# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the emulator's own tests: a running emulator with real sockets, and foreign clients to judge it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient

from hotpatch_emulator.app import Emulator, Options, running
from hotpatch_emulator.state import VirtualMachine

FLEET: dict[str, Any] = {
    "now": "2026-05-13T01:00:00Z",
    "speed": 60,
    "seed": 7,
    "switches": {
        "platform_patches_by_itself": False,
        "patch_status_lag_minutes": [0, 0],
        "assess_minutes": [2, 2],
        "install_minutes": [4, 4],
    },
    "machines": [
        {"name": "ready25", "product": "ws2025"},
        {"name": "ready22", "product": "ws2022", "zone": 1},
        {"name": "off25", "product": "ws2025", "power": "deallocated"},
        {"name": "lcu25", "product": "ws2025", "patch_settings": {"enable_hotpatching": False}},
        {"name": "plain22", "product": "ws2022", "image": {"sku": "2022-datacenter-azure-edition"}},
    ],
}


class Running:
    """A running emulator, seen from outside (requests, SDK) and from inside (``world``)."""

    def __init__(self, emulator: Emulator, run_dir: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.emulator, self.run_dir, self._loop = emulator, run_dir, loop
        self.endpoints = emulator.endpoints
        self.arm: str = self.endpoints["arm"]
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = self.endpoints["ca"]

    @property
    def subscription(self) -> str:
        return str(self.endpoints["subscription_ids"][0])

    def machine(self, name: str) -> VirtualMachine:
        found = self.emulator.world.fleet.by_name(name)
        assert found is not None
        return found

    def token(self, principal: str = "rollout") -> str:
        who = self.endpoints["principals"][principal]
        answer = self.http.post(
            f"{self.arm}/{self.endpoints['tenant_id']}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": who["client_id"],
                "client_secret": who["client_secret"],
                "scope": "https://management.azure.com/.default",
            },
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def call(
        self, method: str, path: str, body: Any = None, *, principal: str = "rollout", version: str = "2024-07-01"
    ) -> requests.Response:
        separator = "&" if "?" in path else "?"
        return self.http.request(
            method,
            f"{self.arm}{path}{separator}api-version={version}",
            json=body,
            headers={"Authorization": f"Bearer {self.token(principal)}"},
        )

    def get(self, url: str, principal: str = "rollout") -> requests.Response:
        """GET an absolute URL as it stands, the way a poll URL must be used."""
        return self.http.get(url, headers={"Authorization": f"Bearer {self.token(principal)}"})

    def advance(self, seconds: float) -> None:
        answer = self.http.put(f"{self.endpoints['control']}/emulator/clock", json={"advance_seconds": seconds})
        assert answer.status_code == 200

    def fault(self, match: dict[str, Any], action: dict[str, Any]) -> None:
        answer = self.http.post(
            f"{self.endpoints['control']}/emulator/faults", json={"match": match, "action": action}
        )
        assert answer.status_code == 201, answer.text

    def audit(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in self.emulator.world.audit.lines()
            if line["kind"] == kind and all(line.get(name) == value for name, value in fields.items())
        ]

    def sdk(self) -> ComputeManagementClient:
        """The official client, pointed here."""
        credential = ClientSecretCredential(
            self.endpoints["tenant_id"],
            self.endpoints["client_id"],
            self.endpoints["client_secret"],
            authority=self.arm,
            disable_instance_discovery=True,
            connection_verify=self.endpoints["ca"],
        )
        return ComputeManagementClient(
            credential,
            self.subscription,
            base_url=self.arm,
            credential_scopes=[f"{self.arm}/.default"],
            connection_verify=self.endpoints["ca"],
            polling_interval=1,
        )


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start an emulator on a fleet; keyword arguments replace top-level keys, switches are merged."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    contexts: list[Any] = []

    def begin(*, switches: dict[str, Any] | None = None, **replaced: Any) -> Running:
        document = {**FLEET, **replaced, "switches": {**FLEET["switches"], **(switches or {})}}
        run_dir = tmp_path / f"run{len(contexts)}"
        fleet = tmp_path / f"fleet{len(contexts)}.yml"
        fleet.write_text(yaml.safe_dump(document), encoding="utf-8")
        context = running(Options(fleet=fleet, run_dir=run_dir))
        emulator = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(30)
        contexts.append(context)
        return Running(emulator, run_dir, loop)

    yield begin
    for context in reversed(contexts):
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def azure(start: Start) -> Running:
    """The usual fleet at 60 times real time."""
    return start()
