# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what a client needs into the run directory: endpoints, environment, inventory, expectations.

Files with secrets are made with mode 0600 before anything is written into them.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import yaml

from hotpatch_emulator.state import Fleet
from hotpatch_emulator.world import World


def write_private(path: Path, text: str) -> None:
    """Replace a file that only its owner may read."""
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


def publish(world: World, run_dir: Path, arm: str, control: str, winrm_port: int) -> dict[str, Any]:
    """Write all files and return what endpoints.json holds."""
    endpoints = _endpoints(world, run_dir, arm, control)
    write_private(run_dir / "environment.sh", _environment(endpoints, arm))
    write_private(run_dir / "inventory.yml", _inventory(world.fleet, run_dir, winrm_port))
    expected = {machine.name: machine.expect for machine in world.fleet if machine.expect}
    write_private(run_dir / "expect.json", json.dumps(expected, indent=1) + "\n")
    # Last of all: whoever waits for this file finds the others.
    write_private(run_dir / "endpoints.json", json.dumps(endpoints, indent=1) + "\n")
    return endpoints


def _endpoints(world: World, run_dir: Path, arm: str, control: str) -> dict[str, Any]:
    fleet = world.fleet
    services = [p for p in fleet.principals if not p.managed_identity]
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
        "principals": {
            p.name: {"client_id": p.client_id, "object_id": p.object_id}
            | ({} if p.managed_identity else {"client_secret": p.secret})
            for p in fleet.principals
        },
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


def _inventory(fleet: Fleet, run_dir: Path, winrm_port: int) -> str:
    hosts = {
        machine.name: {"ansible_host": machine.guest.address, "hotpatch_resource_id": machine.id} for machine in fleet
    }
    guest = next(iter(fleet)).guest
    variables = {
        "ansible_connection": "winrm",
        "ansible_port": winrm_port,
        "ansible_winrm_scheme": "https",
        "ansible_winrm_transport": "basic",
        "ansible_winrm_ca_trust_path": str(run_dir / "ca.pem"),
        "ansible_user": guest.username,
        "ansible_password": guest.password,
    }
    document = {"all": {"children": {"rehearsal": {"hosts": hosts, "vars": variables}}}}
    return "# The machines of the embedded Azure.\n" + yaml.safe_dump(document, sort_keys=False)
