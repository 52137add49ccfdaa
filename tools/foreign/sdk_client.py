# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by `make foreign-read` in an environment of one azure-mgmt-compute: works on a fleet, prints JSON of what it saw.

Arguments: the Resource Manager's URL, tenant, client, subscription, resource group, and a machine to assess, install on
and update; the secret is in FOREIGN_SECRET.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient, models


def read(machine: Any) -> dict[str, Any]:
    """One machine, in the words of the fleet file."""
    windows = machine.os_profile.windows_configuration
    settings, image = windows.patch_settings, machine.storage_profile.image_reference
    platform = settings.automatic_by_platform_settings
    power = next((s.code for s in machine.instance_view.statuses if s.code.startswith("PowerState/")), None)
    return {
        "id": machine.id,
        "vm_id": machine.vm_id,
        "location": machine.location,
        "zone": (machine.zones or [None])[0],
        "availability_set": machine.availability_set.id if machine.availability_set else None,
        "scale_set": machine.virtual_machine_scale_set.id if machine.virtual_machine_scale_set else None,
        "sku": image.sku,
        "tags": dict(machine.tags or {}),
        "power": power.rpartition("/")[2] if power else None,
        "patch_mode": settings.patch_mode,
        "enable_hotpatching": settings.enable_hotpatching,
        "bypass": platform.bypass_platform_safety_checks_on_user_schedule if platform else None,
        "enable_automatic_updates": windows.enable_automatic_updates,
        "allow_extension_operations": machine.os_profile.allow_extension_operations,
        "agent": machine.instance_view.vm_agent.statuses[0].display_status if machine.instance_view.vm_agent else None,
    }


def install(kbs: list[str]) -> Any:
    """The input of an installation; some versions want a timedelta, some text."""
    parameters: Any = models.VirtualMachineInstallPatchesParameters
    takes = str(parameters.__doc__)
    return parameters(
        maximum_duration=timedelta(hours=2) if "timedelta" in takes else "PT2H",
        reboot_setting="Never",
        windows_parameters=models.WindowsParameters(kb_numbers_to_include=kbs, exclude_kbs_requiring_reboot=True),
    )


def work_on(client: Any, group: str, name: str) -> dict[str, Any]:
    """Assess, install what is offered without a restart, update a tag; the pollers' own results."""
    virtual_machines = client.virtual_machines
    assessed = virtual_machines.begin_assess_patches(group, name, polling_interval=1).result()
    wanted = [p for p in assessed.available_patches if "Security" in p.classifications]
    kbs = [f"KB{patch.kb_id}" for patch in wanted]
    installed = virtual_machines.begin_install_patches(group, name, install(kbs), polling_interval=1).result()
    change = models.VirtualMachineUpdate(tags={"judge": version("azure-mgmt-compute")})
    updated = virtual_machines.begin_update(group, name, change, polling_interval=1).result()
    return {
        "assessed": assessed.status,
        "offered": kbs,
        "reboot_behaviors": [patch.reboot_behavior for patch in wanted],
        "installed": installed.status,
        "installed_count": installed.installed_patch_count,
        "states": {f"KB{patch.kb_id}": patch.installation_state for patch in installed.patches},
        "updated": updated.provisioning_state,
        "tags": dict(updated.tags),
        "still_hotpatching": updated.os_profile.windows_configuration.patch_settings.enable_hotpatching,
    }


def main() -> None:
    """Reads everything, works on one machine, prints."""
    arm, tenant, client_id, subscription, group, worked_on = sys.argv[1:]
    credential = ClientSecretCredential(
        tenant, client_id, os.environ["FOREIGN_SECRET"], authority=arm, disable_instance_discovery=True
    )
    client: Any = ComputeManagementClient(
        credential, subscription, base_url=arm, credential_scopes=["https://management.azure.com/.default"]
    )
    listed = [machine.name for machine in client.virtual_machines.list_all()]
    with_status = {
        machine.name: [status.code for status in machine.instance_view.statuses]
        for machine in client.virtual_machines.list_all(status_only="true")
    }
    in_group = [machine.name for machine in client.virtual_machines.list(group)]
    seen = {}
    for machine in client.virtual_machines.list_all():
        name, its_group = machine.name, machine.id.split("/")[4]
        seen[name] = read(client.virtual_machines.get(its_group, name, expand="instanceView"))
    json.dump(
        {
            "version": version("azure-mgmt-compute"),
            "listed": listed,
            "with_status": with_status,
            "in_group": in_group,
            "machines": seen,
            "work": work_on(client, group, worked_on),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
