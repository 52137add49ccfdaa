# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small fleet for the tests of the rollout's decisions: machines as ARM shows them, guests as they answer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import Machine, machine_from_arm
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import Wishes

NOW = datetime(2026, 5, 13, 1, 0, tzinfo=timezone.utc)
KB_2025, KB_2022 = "KB5087423", "KB5087424"
UBR = {"ws2022": (20348, 5020, 5074), "ws2025": (26100, 32690, 32772)}
SKU = {"ws2022": "2022-datacenter-azure-edition-core", "ws2025": "2025-datacenter-azure-edition"}


def rid(name: str) -> str:
    return (
        "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg"
        f"/providers/Microsoft.Compute/virtualMachines/{name}"
    )


def vm_id(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def machine(name: str, product: str = "ws2025", power: str = "running", sku: str = "", **view: Any) -> Machine:
    """A machine that can be hotpatched unless told otherwise; ``view`` goes into the instance view's patchStatus."""
    image = {"publisher": "MicrosoftWindowsServer", "offer": "WindowsServer", "sku": sku or SKU[product]}
    settings = {"patchMode": "AutomaticByPlatform", "enableHotpatching": True}
    windows = {"provisionVMAgent": True, "enableAutomaticUpdates": True, "patchSettings": settings}
    return machine_from_arm(
        {
            "id": rid(name),
            "name": name,
            "location": "westeurope",
            "properties": {
                "vmId": vm_id(name),
                "storageProfile": {"imageReference": image, "osDisk": {"osType": "Windows"}},
                "osProfile": {"allowExtensionOperations": True, "windowsConfiguration": windows},
                "instanceView": {
                    "vmAgent": {"statuses": [{"displayStatus": "Ready"}]},
                    "statuses": [{"code": f"PowerState/{power}"}],
                    "patchStatus": view,
                },
            },
        }
    )


def guest(name: str, product: str = "ws2025", current: bool = False, **other: Any) -> GuestFacts:
    """A healthy enrolled guest at the April baseline, or with the May hotpatch where ``current``."""
    build, baseline, hotpatch = UBR[product]
    facts: dict[str, Any] = {
        "build": Fact.of(build),
        "ubr": Fact.of(hotpatch if current else baseline),
        "boot_time": Fact.of(NOW - timedelta(days=20)),
        "local_time": Fact.of(NOW + timedelta(hours=1)),
        "skew_seconds": Fact.of(0.0),
        "hotpatch_package": Fact.of("Hotpatch Enrollment Package"),
        "hotpatch_table_size": Fact.of(4096),
        "vbs_status": Fact.of(2),
        "pending_restart": Fact.of(False),
        "kbs": Fact.of(("KB5082063",)),
        "smbios_uuid": Fact.of(vm_id(name)),
    }
    return GuestFacts(True, "", NOW + timedelta(hours=1), **{**facts, **other})


def installed(
    name: str, outcome: str = "claimed", kb: str = KB_2025, state: str = "Installed", **other: Any
) -> dict[str, Any]:
    """An entry of patch_installation, its list of patches in it."""
    return {
        "id": rid(name),
        "name": name,
        "outcome": outcome,
        "reason": f"Azure says {outcome}",
        "reason_code": outcome,
        "status": "Succeeded",
        "installation_activity_id": f"activity-{name}",
        "started_by": "us",
        "start_time": "2026-05-13T01:05:00Z",
        "updates": {"1": {"id": "1", "title": kb, "kb": [kb[2:]], "categories": [], "installation_state": state}},
        **other,
    }


def assessed(name: str, kb: str = KB_2025, behavior: str = "NeverReboots") -> dict[str, Any]:
    """An entry of patch_assessment with details."""
    update = {"id": "1", "title": kb, "kb": [kb[2:]], "categories": ["Security"], "reboot_behavior": behavior}
    return {"id": rid(name), "outcome": "assessed", "updates": {"1": {**update, "published_date": None}}}


def wishes(**other: Any) -> Wishes:
    given: Mapping[str, Any] = {"wave_sizes": ["1", "100%"], "error_budget": "0", **other}
    return Wishes(**given)


def ids(*names: str) -> dict[str, str]:
    return {name: rid(name) for name in names}


def keyed(*machines: Machine) -> dict[str, Machine]:
    return {item.id.key: item for item in machines}
