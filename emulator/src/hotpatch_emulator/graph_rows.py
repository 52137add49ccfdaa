# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of Resource Graph: machines, assessments, installations, and the patches of both.

Columns are those of recorded answers (2020, 2021), the properties of machines those of Compute plus ``extended``,
the properties of patch rows those that "Query resources with Azure Resource Graph" (Azure Update Manager) lists.
"""

from __future__ import annotations

import copy
from collections import Counter
from datetime import datetime
from typing import Any

from hotpatch_emulator import neighbours, vm_body
from hotpatch_emulator.operations import Operation
from hotpatch_emulator.state import VirtualMachine
from hotpatch_emulator.wire import net_time

Row = dict[str, Any]

_MACHINES = "microsoft.compute/virtualmachines"
_CLASSES = (
    "security", "critical", "updateRollup", "featurePack", "servicePack", "definition", "tools", "updates", "other",
)  # fmt: skip


def snapshot(machine: VirtualMachine) -> VirtualMachine:
    """The machine as it is now, for a row that is made later."""
    still = copy.copy(machine)
    still.patch_settings = copy.copy(machine.patch_settings)
    still.tags = dict(machine.tags)
    return still


def _row(machine: VirtualMachine, tenant: str, identifier: str, kind: str, properties: dict[str, Any]) -> Row:
    return {
        "id": identifier,
        "name": identifier.rsplit("/", 1)[-1],
        "type": kind,
        "tenantId": tenant,
        "kind": "",
        "location": machine.location,
        "resourceGroup": machine.resource_group.lower(),
        "subscriptionId": machine.subscription_id,
        "managedBy": "",
        "sku": None,
        "plan": None,
        "properties": properties,
        "tags": None,
        "identity": None,
        "zones": None,
        "extendedLocation": None,
    }


def machine_row(machine: VirtualMachine, tenant: str, now: datetime) -> Row:
    """A machine in the table ``resources``; where Compute has an instance view, ``extended`` has an extract of it."""
    body = vm_body.model(machine, now)
    view = vm_body.instance_view(machine, now)
    extract: dict[str, Any] = {
        key: view[key] for key in ("computerName", "hyperVGeneration", "osName", "osVersion") if key in view
    }
    power = view["statuses"][-1]
    extract["powerState"] = {key: power[key] for key in ("code", "displayStatus", "level")}
    properties = {**body["properties"], "extended": {"instanceView": extract}}
    row = _row(machine, tenant, machine.id, _MACHINES, properties)
    return {**row, "tags": body.get("tags") or None, "zones": body.get("zones")}


def network_rows(machine: VirtualMachine, tenant: str) -> list[Row]:
    """What stands beside a machine in the table ``resources``: its network interface, and its public address."""
    resources = [neighbours.network_interface(machine)]
    if machine.public_address:
        resources.append(neighbours.public_address(machine))
    return [_row(machine, tenant, body["id"], str(body["type"]).lower(), body["properties"]) for body in resources]


def _common(operation: Operation, now: datetime) -> dict[str, Any]:
    return {
        "osType": operation.machine.os_type,
        "startDateTime": net_time(operation.started),
        "lastModifiedDateTime": net_time(now),
        "startedBy": operation.started_by,
        "errorDetails": operation.error or (operation.output or {}).get("error"),
    }


def _patch_rows(operation: Operation, tenant: str, parent: Row, patches: list[dict[str, Any]]) -> list[Row]:
    kept = ("kbId", "classifications", "rebootBehavior", "assessmentState", "installationState", "msrcSeverity")
    modified = parent["properties"]["lastModifiedDateTime"]
    rows = []
    for patch in patches:
        properties = {"patchName": patch["name"], **{key: patch[key] for key in kept if key in patch}}
        if "publishedDate" in patch:
            properties["publishedDateTime"] = patch["publishedDate"]
            properties["rebootRequired"] = patch["rebootBehavior"] == "AlwaysRequiresReboot"
        properties["lastModifiedDateTime"] = modified
        identifier = f"{parent['id']}/softwarePatches/{patch['patchId']}"
        rows.append(_row(operation.machine, tenant, identifier, f"{parent['type']}/softwarepatches", properties))
    return rows


def assessment_rows(operation: Operation, tenant: str, now: datetime) -> list[Row]:
    """The newest assessment of a machine and the patches it found."""
    output = operation.output or {}
    patches = output.get("availablePatches", [])
    found = Counter(name.lower() for patch in patches for name in patch["classifications"])
    properties = {
        "status": _status(operation),
        "assessmentActivityId": operation.id,
        "rebootPending": output.get("rebootPending", operation.machine.guest.pending_restart),
        "patchServiceUsed": "WU",
        "availablePatchCountByClassification": {name: found[name.lower()] for name in _CLASSES},
        **_common(operation, now),
    }
    identifier = f"{operation.machine.id}/patchAssessmentResults/latest"
    parent = _row(operation.machine, tenant, identifier, f"{_MACHINES}/patchassessmentresults", properties)
    return [parent, *_patch_rows(operation, tenant, parent, patches)]


def installation_rows(operation: Operation, tenant: str, now: datetime) -> list[Row]:
    """One installation of a machine and what became of each patch."""
    output = operation.output or {}
    counts = ("excluded", "notSelected", "pending", "installed", "failed")
    properties = {
        "status": _status(operation),
        "installationActivityId": operation.id,
        "maintenanceRunId": None,
        "maintenanceWindowExceeded": output.get("maintenanceWindowExceeded", False),
        "rebootStatus": output.get("rebootStatus", "Unknown"),
        **{f"{name}PatchCount": output.get(f"{name}PatchCount", 0) for name in counts},
        **_common(operation, now),
    }
    identifier = f"{operation.machine.id}/patchInstallationResults/{operation.id}"
    parent = _row(operation.machine, tenant, identifier, f"{_MACHINES}/patchinstallationresults", properties)
    return [parent, *_patch_rows(operation, tenant, parent, output.get("patches", []))]


def _status(operation: Operation) -> str:
    """The status of the patching inside, which may be worse than the operation's."""
    return str((operation.output or {}).get("status") or operation.status)
