# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a machine the way Compute does: the model, the instance view, patchStatus. Shapes as recorded in 2024."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from hotpatch_emulator.state import VirtualMachine
from hotpatch_emulator.wire import net_time, whole_seconds

_POWER_TEXT = {
    "running": "VM running",
    "stopped": "VM stopped",
    "deallocated": "VM deallocated",
    "starting": "VM starting",
    "stopping": "VM stopping",
    "deallocating": "VM deallocating",
}
AGENT_VERSION = "2.7.41491.1172"


def _disk(machine: VirtualMachine) -> str:
    return f"{machine.name}_OsDisk_1_{hashlib.sha256(machine.key.encode()).hexdigest()[:32]}"


def _group_path(machine: VirtualMachine) -> str:
    return f"/subscriptions/{machine.subscription_id}/resourceGroups/{machine.resource_group}/providers"


def nic_id(machine: VirtualMachine) -> str:
    return f"{_group_path(machine)}/Microsoft.Network/networkInterfaces/{machine.name}VMNic"


def public_address_id(machine: VirtualMachine) -> str:
    return f"{_group_path(machine)}/Microsoft.Network/publicIPAddresses/{machine.name}PublicIP"


def _os_profile(machine: VirtualMachine) -> dict[str, Any]:
    profile: dict[str, Any] = {
        "computerName": machine.guest.computer_name,
        "adminUsername": "azureuser",
        "windowsConfiguration": {
            "provisionVMAgent": machine.provision_vm_agent,
            "enableAutomaticUpdates": machine.enable_automatic_updates,
            "patchSettings": machine.patch_settings.to_arm(),
        },
        "secrets": [],
        "allowExtensionOperations": machine.allow_extension_operations,
        "requireGuestProvisionSignal": True,
    }
    if machine.guest.time_zone != "UTC":
        profile["windowsConfiguration"]["timeZone"] = machine.guest.time_zone
    return profile


def model(machine: VirtualMachine, now: datetime, *, with_instance_view: bool = False) -> dict[str, Any]:
    """The body of a GET."""
    properties: dict[str, Any] = {
        "hardwareProfile": {"vmSize": machine.size},
        "provisioningState": machine.provisioning_state,
        "vmId": machine.vm_id,
    }
    if machine.availability_set:
        properties["availabilitySet"] = {
            # Compute writes this id in upper case; whoever compares ids must not mind.
            "id": f"{_group_path(machine)}/Microsoft.Compute/availabilitySets/{machine.availability_set.upper()}"
        }
    if machine.scale_set:
        properties["virtualMachineScaleSet"] = {
            "id": f"{_group_path(machine)}/Microsoft.Compute/virtualMachineScaleSets/{machine.scale_set}"
        }
    properties["storageProfile"] = {
        "imageReference": machine.image.to_arm(),
        "osDisk": {
            "osType": machine.os_type,
            "name": _disk(machine),
            "createOption": "FromImage",
            "caching": "ReadWrite",
            "managedDisk": {
                "storageAccountType": "Premium_LRS",
                "id": f"{_group_path(machine)}/Microsoft.Compute/disks/{_disk(machine)}",
            },
            "deleteOption": "Detach",
            "diskSizeGB": 127,
        },
        "dataDisks": [],
        "diskControllerType": "SCSI",
    }
    properties["osProfile"] = _os_profile(machine)
    properties["securityProfile"] = {
        "uefiSettings": {"secureBootEnabled": True, "vTpmEnabled": True},
        "securityType": "TrustedLaunch",
    }
    properties["networkProfile"] = {"networkInterfaces": [{"id": nic_id(machine)}]}
    if with_instance_view:
        properties["instanceView"] = instance_view(machine, now)
    properties["timeCreated"] = net_time(machine.time_created)
    body: dict[str, Any] = {
        "name": machine.name,
        "id": machine.id,
        "type": "Microsoft.Compute/virtualMachines",
        "location": machine.location,
        "tags": dict(machine.tags),
    }
    if machine.zones:
        body["zones"] = list(machine.zones)
    body["properties"] = properties
    body["etag"] = f'"{machine.etag}"'
    return body


def _provisioning_status(machine: VirtualMachine) -> dict[str, Any]:
    state = machine.provisioning_state
    text = {"Succeeded": "Provisioning succeeded", "Updating": "Updating", "Failed": "Provisioning failed"}[state]
    return {
        "code": f"ProvisioningState/{state[0].lower()}{state[1:]}",
        "level": "Info",
        "displayStatus": text,
        "time": net_time(machine.provisioned_at or machine.time_created),
    }


def instance_view(machine: VirtualMachine, now: datetime) -> dict[str, Any]:
    """The body of GET .../instanceView. A deallocated machine has neither agent, OS nor patchStatus, as recorded."""
    view: dict[str, Any] = {}
    if machine.update_domain is not None:
        view["platformUpdateDomain"] = machine.update_domain
        view["platformFaultDomain"] = machine.update_domain % 2
    allocated = machine.power_state not in ("deallocated", "deallocating")
    if allocated and machine.provision_vm_agent:
        view.update(_guest_part(machine, now))
    view["disks"] = [
        {
            "name": _disk(machine),
            "statuses": [
                {
                    "code": "ProvisioningState/succeeded",
                    "level": "Info",
                    "displayStatus": "Provisioning succeeded",
                    "time": net_time(machine.time_created + timedelta(seconds=2)),
                }
            ],
        }
    ]
    view["hyperVGeneration"] = "V2"
    patch_status = _patch_status(machine, now) if allocated else None
    if patch_status:
        view["patchStatus"] = patch_status
    view["statuses"] = [
        _provisioning_status(machine),
        {
            "code": f"PowerState/{machine.power_state}",
            "level": "Info",
            "displayStatus": _POWER_TEXT[machine.power_state],
        },
    ]
    return view


def _guest_part(machine: VirtualMachine, now: datetime) -> dict[str, Any]:
    guest = machine.guest
    if not machine.agent_ready:
        return {
            "vmAgent": {
                "vmAgentVersion": "Unknown",
                "statuses": [
                    {
                        "code": "ProvisioningState/Unavailable",
                        "level": "Warning",
                        "displayStatus": "Not Ready",
                        "message": "VM status blob is found but not yet populated.",
                        "time": whole_seconds(now),
                    }
                ],
            }
        }
    return {
        "computerName": guest.computer_name,
        "osName": guest.caption.removeprefix("Microsoft "),
        "osVersion": f"Microsoft Windows NT 10.0.{guest.os_build}.0",
        "vmAgent": {
            "vmAgentVersion": AGENT_VERSION,
            "statuses": [
                {
                    "code": "ProvisioningState/succeeded",
                    "level": "Info",
                    "displayStatus": "Ready",
                    "message": "GuestAgent is running and processing the extensions.",
                    "time": whole_seconds(now - timedelta(seconds=17)),
                }
            ],
            "extensionHandlers": [],
        },
    }


def _patch_status(machine: VirtualMachine, now: datetime) -> dict[str, Any]:
    status: dict[str, Any] = {}
    assessment = machine.view(machine.assessment_views, now)
    if assessment is not None:
        status["availablePatchSummary"] = assessment
    installation = machine.view(machine.installation_views, now)
    if installation is not None:
        status["lastPatchInstallationSummary"] = installation
    if machine.patch_settings.patch_mode == "AutomaticByPlatform":
        settled = net_time(machine.provisioned_at or machine.time_created)
        names = ["PatchMode"]
        if machine.patch_settings.assessment_mode == "AutomaticByPlatform":
            names.append("AssessmentMode")
        status["configurationStatuses"] = [
            {
                "code": f"{name}ConfigurationState/Ready",
                "level": "Info",
                "displayStatus": f"Status_{name}ConfigurationState_Ready",
                "time": settled,
            }
            for name in names
        ]
    return status
