# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients look at on their way to a machine: subscriptions, resource groups, providers, network interfaces."""

from __future__ import annotations

from typing import Any

from hotpatch_emulator.state import Fleet, VirtualMachine
from hotpatch_emulator.vm_body import nic_id, public_address_id


def subscription(fleet: Fleet, subscription_id: str) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{subscription_id}",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionId": subscription_id,
        "tenantId": fleet.tenant_id,
        "displayName": fleet.subscriptions[subscription_id],
        "state": "Enabled",
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": "PayAsYouGo_2014-09-01",
            "spendingLimit": "Off",
        },
    }


def resource_group(fleet: Fleet, subscription_id: str, machines: list[VirtualMachine]) -> dict[str, Any]:
    """A group as ARM shows it; one without tags has no such key."""
    first = machines[0]
    tags = fleet.group_tags.get(first.resource_group.lower())
    return {
        "id": f"/subscriptions/{subscription_id}/resourceGroups/{first.resource_group}",
        "name": first.resource_group,
        "type": "Microsoft.Resources/resourceGroups",
        "location": first.location,
        **({"tags": dict(tags)} if tags else {}),
        "properties": {"provisioningState": "Succeeded"},
    }


def tenant(fleet: Fleet) -> dict[str, Any]:
    return {
        "id": f"/tenants/{fleet.tenant_id}",
        "tenantId": fleet.tenant_id,
        "countryCode": "DE",
        "displayName": "Rehearsal",
        "tenantCategory": "Home",
    }


def provider(subscription_id: str, namespace: str, api_versions: tuple[str, ...]) -> dict[str, Any]:
    types = {
        "microsoft.compute": ["virtualMachines", "locations/operations"],
        "microsoft.network": ["networkInterfaces"],
    }.get(namespace.lower(), [])
    return {
        "id": f"/subscriptions/{subscription_id}/providers/{namespace}",
        "namespace": namespace,
        "registrationPolicy": "RegistrationRequired",
        "registrationState": "Registered",
        "resourceTypes": [
            {"resourceType": name, "locations": [], "apiVersions": list(reversed(api_versions)), "capabilities": "None"}
            for name in types
        ],
    }


def network_interface(machine: VirtualMachine) -> dict[str, Any]:
    """The interface of a machine; its private address is the guest's loopback address."""
    identifier = nic_id(machine)
    public = {"publicIPAddress": {"id": public_address_id(machine)}} if machine.public_address else {}
    return {
        "name": f"{machine.name}VMNic",
        "id": identifier,
        "type": "Microsoft.Network/networkInterfaces",
        "location": machine.location,
        "properties": {
            "provisioningState": "Succeeded",
            "primary": True,
            "enableIPForwarding": False,
            "enableAcceleratedNetworking": False,
            "macAddress": "00-0D-3A-00-00-01",
            "ipConfigurations": [
                {
                    "name": "ipconfig1",
                    "id": f"{identifier}/ipConfigurations/ipconfig1",
                    "properties": {
                        "provisioningState": "Succeeded",
                        "primary": True,
                        "privateIPAddress": machine.guest.address,
                        "privateIPAllocationMethod": "Dynamic",
                        "privateIPAddressVersion": "IPv4",
                        **public,
                    },
                }
            ],
            "dnsSettings": {"dnsServers": [], "appliedDnsServers": []},
            "virtualMachine": {"id": machine.id},
        },
    }


def public_address(machine: VirtualMachine) -> dict[str, Any]:
    """The public address of a machine's interface; one that is not assigned yet has no ``ipAddress``."""
    properties: dict[str, Any] = {
        "provisioningState": "Succeeded",
        "publicIPAddressVersion": "IPv4",
        "publicIPAllocationMethod": "Static",
        "idleTimeoutInMinutes": 4,
        "ipConfiguration": {"id": f"{nic_id(machine)}/ipConfigurations/ipconfig1"},
    }
    if machine.public_address != "unassigned":
        properties["ipAddress"] = machine.public_address
    return {
        "name": f"{machine.name}PublicIP",
        "id": public_address_id(machine),
        "type": "Microsoft.Network/publicIPAddresses",
        "location": machine.location,
        "properties": properties,
    }
