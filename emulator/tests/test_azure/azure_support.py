# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running emulator with real sockets, seen by foreign clients from outside and by tests from inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient

from hotpatch_emulator.app import Emulator
from hotpatch_emulator.state import VirtualMachine

FLEET: dict[str, Any] = {
    "now": "2026-05-13T01:00:00Z",
    "speed": 300,
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

    def __init__(self, emulator: Emulator, run_dir: Path) -> None:
        self.emulator, self.run_dir = emulator, run_dir
        self._tokens: dict[str, str] = {}
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
        """A token of the principal, asked for once."""
        if principal in self._tokens:
            return self._tokens[principal]
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
        self._tokens[principal] = str(answer.json()["access_token"])
        return self._tokens[principal]

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
        answer = self.http.post(f"{self.endpoints['control']}/emulator/faults", json={"match": match, "action": action})
        assert answer.status_code == 201, answer.text

    def vm(self, name: str, tail: str = "") -> str:
        return f"{self.machine(name).id}{tail}"

    def install(self, name: str, **body: Any) -> requests.Response:
        """POST installPatches; without a selection, the month's security updates."""
        given = {"rebootSetting": "Never", "windowsParameters": {"classificationsToInclude": ["Security"]}, **body}
        return self.call("POST", self.vm(name, "/installPatches"), given)

    def outcome(self, accepted: requests.Response, seconds: float = 3600) -> dict[str, Any]:
        """What the operation says once so much emulated time has passed."""
        assert accepted.status_code == 202, accepted.text
        self.advance(seconds)
        answer = self.get(accepted.headers["Azure-AsyncOperation"])
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def result(self, accepted: requests.Response, seconds: float = 3600) -> dict[str, Any]:
        """The result inside a Succeeded operation."""
        body = self.outcome(accepted, seconds)
        assert body["status"] == "Succeeded", body
        return dict(body["properties"]["output"])

    def audit(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        return [
            line
            for line in self.emulator.world.audit.lines()
            if line["kind"] == kind and all(line.get(name) == value for name, value in fields.items())
        ]

    def sdk(self) -> Any:  # the models of its majors differ in type, not in name
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
