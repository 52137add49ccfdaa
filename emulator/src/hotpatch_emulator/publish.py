# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what a client needs into the run directory: endpoints, environment, inventory, expectations.

Files with secrets are made with mode 0600 before anything is written into them.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
import yaml

from hotpatch_emulator import identity_files
from hotpatch_emulator.identity_files import write_private
from hotpatch_emulator.state import Fleet, Guest, VirtualMachine
from hotpatch_emulator.world import World
from hotpatch_emulator.wsman import certificates


@dataclass(frozen=True)
class WinrmPorts:
    """Where all guests listen."""

    https: int
    http: int


def publish(
    world: World, run_dir: Path, authority: trustme.CA, arm: str, control: str, ports: WinrmPorts
) -> dict[str, Any]:
    """Write all files and return what endpoints.json holds."""
    endpoints = _endpoints(world, run_dir, arm, control)
    client = _client_certificates(world.fleet, run_dir, authority)
    if client:
        endpoints.update(winrm_cert_pem=client["ansible_winrm_cert_pem"])
        endpoints.update(winrm_cert_key_pem=client["ansible_winrm_cert_key_pem"])
    write_private(run_dir / "environment.sh", _environment(endpoints, arm))
    write_private(run_dir / "inventory.yml", _inventory(world.fleet, run_dir, ports, client))
    expected = {machine.name: machine.expect for machine in _listed(world.fleet) if machine.expect}
    write_private(run_dir / "expect.json", json.dumps(expected, indent=1) + "\n")
    # Last of all: whoever waits for this file finds the others.
    write_private(run_dir / "endpoints.json", json.dumps(endpoints, indent=1) + "\n")
    return endpoints


def _endpoints(world: World, run_dir: Path, arm: str, control: str) -> dict[str, Any]:
    fleet = world.fleet
    services = [p for p in fleet.principals if "secret" in p.proofs]
    first = services[0] if services else fleet.principals[0]
    guest = next(iter(fleet)).guest
    return {
        "arm": arm,
        "control": control,
        "clock": f"{control}/emulator/clock",
        "ca": str(run_dir / "ca.pem"),
        "audit": str(run_dir / "audit.jsonl"),
        "inventory": str(run_dir / "inventory.yml"),
        "environment": str(run_dir / "environment.sh"),
        "tenant_id": fleet.tenant_id,
        "client_id": first.client_id,
        "client_secret": first.secret,
        "principals": identity_files.publish(fleet.principals, world.identity, run_dir),
        "identity_endpoint": f"{control}/msi/token",
        "identity_header": world.identity.identity_header,
        "subscription_ids": list(fleet.subscriptions),
        "winrm_username": guest.username,
        "winrm_password": guest.password,
    }


def _environment(endpoints: dict[str, Any], arm: str) -> str:
    values = {
        "AZURE_TENANT": endpoints["tenant_id"],
        "AZURE_CLIENT_ID": endpoints["client_id"],
        "AZURE_SECRET": endpoints["client_secret"],
        "AZURE_SUBSCRIPTION_ID": endpoints["subscription_ids"][0],
        "AZURE_CLOUD_ENVIRONMENT": arm,
        "AZURE_DISABLE_INSTANCE_DISCOVERY": "true",
        "REQUESTS_CA_BUNDLE": endpoints["ca"],
        "SSL_CERT_FILE": endpoints["ca"],
        "HOTPATCH_CLOCK": endpoints["clock"],
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return "# Source this to make the embedded Azure yours.\n" + "\n".join(lines) + "\n"


def _client_certificates(fleet: Fleet, run_dir: Path, authority: trustme.CA) -> dict[str, str]:
    """The guests' account's certificate and key, where a guest takes one, as host variables."""
    accounts = {guest.username for guest in _guests(fleet) if "certificate" in guest.winrm_service.authentication}
    if not accounts:
        return {}
    certificate, key = certificates.issue_client(authority, certificates.principal_of(accounts.pop()))
    files = {run_dir / "winrm-client.pem": certificate, run_dir / "winrm-client-key.pem": key}
    for path, content in files.items():
        write_private(path, content.decode("ascii"))
    return dict(zip(("ansible_winrm_cert_pem", "ansible_winrm_cert_key_pem"), map(str, files), strict=True))


def _listed(fleet: Fleet) -> list[VirtualMachine]:
    """Whom the inventory lists: nobody told it of those that were deleted."""
    return [*fleet, *fleet.deleted]


def _guests(fleet: Fleet) -> list[Guest]:
    return [machine.guest for machine in fleet]


def _inventory(fleet: Fleet, run_dir: Path, ports: WinrmPorts, client: dict[str, str]) -> str:
    guest = next(iter(fleet)).guest
    variables = {
        "ansible_connection": "winrm",
        "ansible_port": ports.https,
        "ansible_winrm_scheme": "https",
        "ansible_winrm_transport": "basic",
        "ansible_winrm_ca_trust_path": str(run_dir / "ca.pem"),
        "ansible_user": guest.username,
        "ansible_password": guest.password,
    }
    hosts = {}
    rings: dict[str, dict[str, Any]] = {}
    for machine in _listed(fleet):
        own = _connection(machine.guest, ports, client)
        hosts[machine.host] = {
            "ansible_host": machine.guest.address,
            "hotpatch_resource_id": machine.id,
            **{name: value for name, value in own.items() if variables.get(name) != value},
        }
        if machine.ring is not None:
            rings.setdefault(machine.ring, {"hosts": {}})["hosts"][machine.name] = None
    children = {"rehearsal": {"hosts": hosts, "vars": variables}, **rings}
    document = {"all": {"children": children}}
    return "# The machines of the embedded Azure.\n" + yaml.safe_dump(document, sort_keys=False)


def _connection(guest: Guest, ports: WinrmPorts, client: dict[str, str]) -> dict[str, Any]:
    """How a guest is reached: by https if it listens there, with the first authentication of its list."""
    service = guest.winrm_service
    transport = service.authentication[0]
    variables: dict[str, Any] = {
        "ansible_port": ports.https if service.https_listener else ports.http,
        "ansible_winrm_scheme": "https" if service.https_listener else "http",
        "ansible_winrm_transport": transport,
    }
    return {**variables, **client} if transport == "certificate" else variables
