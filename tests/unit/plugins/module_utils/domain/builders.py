# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small machines, guests and ARM bodies for the tables: a good one, of which each row spoils one thing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import Machine, machine_from_arm
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR, Release

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
VM_ID = "00112233-4455-6677-8899-aabbccddeeff"
VM_ID_SWAPPED = "33221100-5544-7766-8899-AABBCCDDEEFF"
NOW = datetime(2026, 5, 13, 1, 0, tzinfo=timezone.utc)
UNREAD: Fact[Any] = Fact.unreadable("access denied")
ABSENT: Fact[Any] = Fact.absent()


def rid(name: str = "web1") -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/fleet/providers/Microsoft.Compute/virtualMachines/{name}"


def at(minutes: float) -> datetime:
    """The moment so many minutes after NOW."""
    return NOW + timedelta(minutes=minutes)


def vm_body() -> dict[str, Any]:
    """GET virtual machine with instance view, in the shape recorded 2024-08 from a hotpatch machine."""
    return {
        "name": "web1",
        "id": rid(),
        "type": "Microsoft.Compute/virtualMachines",
        "location": "westeurope",
        "zones": ["2"],
        "tags": {"service": "shop"},
        "properties": {
            "provisioningState": "Succeeded",
            "vmId": VM_ID,
            "storageProfile": {
                "imageReference": {
                    "publisher": "MicrosoftWindowsServer",
                    "offer": "WindowsServer",
                    "sku": "2025-Datacenter-Azure-Edition",
                    "version": "latest",
                    "exactVersion": "26100.32690.260409",
                },
                "osDisk": {"osType": "Windows", "name": "web1_disk"},
                "dataDisks": [],
            },
            "osProfile": {
                "computerName": "web1",
                "adminUsername": "operator",
                "windowsConfiguration": {
                    "provisionVMAgent": True,
                    "enableAutomaticUpdates": True,
                    "patchSettings": {
                        "patchMode": "AutomaticByPlatform",
                        "automaticByPlatformSettings": {"bypassPlatformSafetyChecksOnUserSchedule": False},
                        "assessmentMode": "ImageDefault",
                        "enableHotpatching": True,
                    },
                },
                "allowExtensionOperations": True,
            },
            "instanceView": {
                "platformUpdateDomain": 3,
                "computerName": "WEB1",
                "osName": "Windows Server 2025 Datacenter Azure Edition",
                "osVersion": "Microsoft Windows NT 10.0.26100.0",
                "vmAgent": {
                    "vmAgentVersion": "2.7.41491.1095",
                    "statuses": [
                        {
                            "code": "ProvisioningState/succeeded",
                            "level": "Info",
                            "displayStatus": "Ready",
                            "message": "GuestAgent is running and processing the extensions.",
                            "time": "2026-05-13T00:58:11+00:00",
                        }
                    ],
                },
                "statuses": [
                    {
                        "code": "ProvisioningState/succeeded",
                        "level": "Info",
                        "time": "2026-05-01T09:51:27.1881045+00:00",
                    },
                    {"code": "PowerState/running", "level": "Info", "displayStatus": "VM running"},
                ],
            },
        },
        "etag": '"2"',
    }


def put(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Set ``a.b.c`` inside the body; a value of ... removes the key."""
    *steps, last = path.split(".")
    inner = body
    for step in steps:
        inner = inner.setdefault(step, {})
    if value is ...:
        inner.pop(last, None)
    else:
        inner[last] = value
    return body


def machine(**changes: Any) -> Machine:
    """A good machine with these paths of its ARM body changed; ``__`` stands for the dot."""
    body = vm_body()
    for path, value in changes.items():
        put(body, path.replace("__", "."), value)
    return machine_from_arm(body)


IMAGE = "properties__storageProfile__imageReference"
WINDOWS = "properties__osProfile__windowsConfiguration"
PATCH = f"{WINDOWS}__patchSettings"
VIEW = "properties__instanceView"
ASSESSED = f"{VIEW}__patchStatus__availablePatchSummary"
INSTALLED = f"{VIEW}__patchStatus__lastPatchInstallationSummary"


def guest(**changes: Any) -> GuestFacts:
    """A guest at the April 2026 baseline, enrolled, booted three weeks ago; plain values become facts."""
    good = GuestFacts(
        reachable=True,
        why="",
        read_at=NOW,
        caption=Fact.of("Microsoft Windows Server 2025 Datacenter Azure Edition"),
        computer_name=Fact.of("WEB1"),
        build=Fact.of(26100),
        ubr=Fact.of(32690),
        operating_system_sku=Fact.of(407),
        boot_time=Fact.of(NOW - timedelta(days=21)),
        local_time=Fact.of(NOW),
        skew_seconds=Fact.of(0.0),
        hotpatch_package=Fact.of("Hotpatch Enrollment Package"),
        hotpatch_package_version=Fact.of("10.0.26100.1"),
        hotpatch_table_size=Fact.of(4096),
        vbs_status=Fact.of(2),
        pending_restart=Fact.of(False),
        kbs=Fact.of(("KB5082063", "KB5054156")),
        smbios_uuid=Fact.of(VM_ID),
        free_memory_kb=Fact.of(4_000_000),
        total_memory_kb=Fact.of(8_000_000),
        round_trips=11,
    )
    facts: dict[str, Any] = {
        name: value if isinstance(value, Fact) or name in _NO_FACTS else Fact.of(value)
        for name, value in changes.items()
    }
    return replace(good, **facts)


_NO_FACTS = {"reachable", "why", "read_at", "pending_restart_sources", "round_trips"}


def known(product: str, kb: str) -> Release:
    """The calendar's release of that KB."""
    found = CALENDAR.find(product, kb)  # type: ignore[arg-type]
    assert found is not None
    return found


MAY = known("ws2025", "KB5087423")
APRIL = known("ws2025", "KB5082063")
