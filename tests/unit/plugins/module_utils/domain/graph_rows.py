# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of Resource Graph as the collection's own queries project them, a good one of each kind."""

from __future__ import annotations

from typing import Any

from .builders import SUBSCRIPTION, VM_ID, rid

ARC_ID = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/edge/providers/Microsoft.HybridCompute/machines/shop1"


def nic_id(name: str = "web1") -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/net/providers/Microsoft.Network/networkInterfaces/{name}-nic"


def public_id(name: str = "web1") -> str:
    return f"/subscriptions/{SUBSCRIPTION}/resourceGroups/net/providers/Microsoft.Network/publicIPAddresses/{name}-ip"


def machine_row(name: str = "web1", **changed: Any) -> dict[str, Any]:
    return {
        "id": rid(name),
        "name": name,
        "location": "westeurope",
        "zones": ["2"],
        "tags": {"service": "shop", "Hotpatch-Ring": "canary"},
        "vmId": VM_ID,
        "provisioningState": "Succeeded",
        "size": "Standard_D2s_v5",
        "securityType": "TrustedLaunch",
        "availabilitySet": "",
        "scaleSet": "",
        "image": {
            "publisher": "MicrosoftWindowsServer",
            "offer": "WindowsServer",
            "sku": "2025-Datacenter-Azure-Edition",
            "version": "latest",
            "exactVersion": "26100.32690.260409",
        },
        "osType": "Windows",
        "computerName": name,
        "extensions": True,
        "agent": True,
        "updates": True,
        "timeZone": "W. Europe Standard Time",
        "settings": {
            "patchMode": "AutomaticByPlatform",
            "automaticByPlatformSettings": {"bypassPlatformSafetyChecksOnUserSchedule": False},
            "assessmentMode": "ImageDefault",
            "enableHotpatching": True,
        },
        "view": {
            "computerName": name,
            "hyperVGeneration": "V2",
            "osName": "Windows Server 2025 Datacenter Azure Edition",
            "osVersion": "Microsoft Windows NT 10.0.26100.0",
            "powerState": {"code": "PowerState/running", "displayStatus": "VM running", "level": "Info"},
        },
        "interfaces": [{"id": nic_id(name)}],
        "arcStatus": "",
        "arcVersion": "",
        "arcSystem": "",
        "arcLicence": None,
        **changed,
    }


def arc_row(**changed: Any) -> dict[str, Any]:
    """An Arc-enabled server; properties of Microsoft.HybridCompute 2024-07-10, never recorded by this project."""
    row = dict.fromkeys(machine_row(), None)
    row.update(
        id=ARC_ID,
        name="shop1",
        location="westeurope",
        osType="windows",
        arcStatus="Connected",
        arcVersion="10.0.26100.32690",
        arcSystem="Windows Server 2025 Datacenter",
        interfaces=[{"ipAddresses": [{"address": "10.1.0.4", "ipAddressVersion": "IPv4"}]}],
        arcLicence={"productProfile": {"productFeatures": [{"name": "Hotpatch", "subscriptionStatus": "Enabled"}]}},
    )
    return {**row, **changed}


def interface_row(name: str = "web1", private: str = "10.0.0.4", public: str | None = None) -> dict[str, Any]:
    properties: dict[str, Any] = {"privateIPAddress": private, "primary": True}
    if public:
        properties["publicIPAddress"] = {"id": public.upper()}
    return {"id": nic_id(name).upper(), "configurations": [{"name": "ipconfig1", "properties": properties}]}


def assessment_row(name: str = "web1", **changed: Any) -> dict[str, Any]:
    properties = {
        "status": "Succeeded",
        "assessmentActivityId": "a-1",
        "rebootPending": False,
        "osType": "Windows",
        "startDateTime": "2026-05-12T20:00:00Z",
        "lastModifiedDateTime": "2026-05-12T20:03:00Z",
        "availablePatchCountByClassification": {"security": 2, "Critical": 1, "updateRollup": 0, "definition": 4},
        "errorDetails": None,
        **changed,
    }
    return {"id": f"{rid(name)}/patchAssessmentResults/latest", "properties": properties}


def installation_row(name: str = "web1", activity: str = "i-1", **changed: Any) -> dict[str, Any]:
    properties = {
        "status": "Succeeded",
        "installationActivityId": activity,
        "rebootStatus": "NotNeeded",
        "startedBy": "User",
        "osType": "Windows",
        "startDateTime": "2026-05-11T20:00:00Z",
        "lastModifiedDateTime": "2026-05-11T20:10:00Z",
        "installedPatchCount": 1,
        "failedPatchCount": 0,
        "pendingPatchCount": 0,
        "errorDetails": {"code": "Success", "message": "0 error/s reported"},
        **changed,
    }
    return {"id": f"{rid(name)}/patchInstallationResults/{activity}", "properties": properties}
