# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as Azure Resource Graph shows it: what Compute's model has, an extract of the instance view, no VM agent.

Rows have the columns that the collection's own query projects (:data:`COLUMNS`). Properties of virtual machines are
those of Microsoft.Compute with ``extended.instanceView`` (Microsoft Learn, "Understanding the Azure Resource Graph
query language", 2021-03: extended properties), those of Arc-enabled servers Microsoft.HybridCompute's of 2024-07-10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .addresses import NOT_ASKED, Addresses, addresses_of_arc, interfaces_of
from .api_error import real_error
from .arm import flag, moment, section, text
from .changed import changed
from .eligibility import Eligibility, eligibility
from .facts import Fact
from .graph import GraphInstallation
from .machine import Machine, machine_from_arm
from .patch_status import AssessmentSummary

_WINDOWS = "properties.osProfile.windowsConfiguration"
COLUMNS: Mapping[str, str] = {
    "vmId": "tostring(properties.vmId)",
    "provisioningState": "tostring(properties.provisioningState)",
    "size": "tostring(properties.hardwareProfile.vmSize)",
    "securityType": "tostring(properties.securityProfile.securityType)",
    "availabilitySet": "tostring(properties.availabilitySet.id)",
    "scaleSet": "tostring(properties.virtualMachineScaleSet.id)",
    "image": "properties.storageProfile.imageReference",
    "osType": "coalesce(tostring(properties.storageProfile.osDisk.osType), tostring(properties.osType))",
    "computerName": "tostring(properties.osProfile.computerName)",
    "extensions": "properties.osProfile.allowExtensionOperations",
    "agent": f"{_WINDOWS}.provisionVMAgent",
    "updates": f"{_WINDOWS}.enableAutomaticUpdates",
    "timeZone": f"tostring({_WINDOWS}.timeZone)",
    "settings": f"{_WINDOWS}.patchSettings",
    "view": "properties.extended.instanceView",
    "interfaces": "properties.networkProfile.networkInterfaces",
    "arcStatus": "tostring(properties.status)",
    "arcVersion": "tostring(properties.osVersion)",
    "arcSystem": "coalesce(tostring(properties.osSku), tostring(properties.osName))",
    "arcLicence": "properties.licenseProfile",
}
"""Columns by the expressions that make them, beside id, name, location, zones and tags. The whole of
windowsConfiguration is not asked for: it may hold more than patching needs."""

UNSEEN = frozenset({"agent_not_ready"})
"""Reasons of eligibility that Resource Graph has no facts for; whoever starts something reads Compute first."""
_NONE: Fact[str] = Fact.absent()
_NO_AGENT: Fact[str] = Fact.unreadable("Resource Graph does not show the VM agent")


@dataclass(frozen=True)
class GraphMachine:
    """A machine with what a fleet's overview wants to know besides.

    :param power: Azure's power state (``running``, ``deallocated``), of an Arc-enabled server ``connected`` and so on.
    :param interfaces: ARM IDs of the network interfaces, the primary one first.
    :param assessed: whether assessments were asked for: only then None means that Resource Graph shows none.
    :param installed: the same of installations, of which it keeps 30 days.
    :param licence: of an Arc-enabled server, the subscription status of its feature Hotpatch.
    """

    machine: Machine
    size: str | None
    security_type: str | None
    interfaces: tuple[str, ...] = ()
    addresses: Addresses = NOT_ASKED
    assessed: bool = False
    installed: bool = False
    installation: GraphInstallation | None = None
    licence: Fact[str] = _NONE

    @property
    def key(self) -> str:
        """The ID as Azure compares it."""
        return self.machine.id.key

    def eligibility(self, overrides: frozenset[str] = frozenset()) -> Eligibility:
        """Return whether it can be hotpatched, as far as Resource Graph shows it (:data:`UNSEEN` does not count)."""
        return eligibility(self.machine, overrides=UNSEEN | overrides)


def graph_machine(row: Mapping[str, Any]) -> GraphMachine:
    """Return the machine of a row; InputError when its ``id`` is not a machine's."""
    is_arc = "/microsoft.hybridcompute/" in str(row.get("id") or "").lower()
    machine = machine_from_arm(_arm_body(row, is_arc))
    arc_addresses = addresses_of_arc(row.get("interfaces")) if is_arc else NOT_ASKED
    return GraphMachine(
        machine=changed(machine, agent_status=_NO_AGENT, instance_view_read=False),
        size=text(row, "size"),
        security_type=text(row, "securityType"),
        interfaces=() if is_arc else interfaces_of(row.get("interfaces")),
        addresses=arc_addresses,
        licence=_licence(row.get("arcLicence")),
    )


def _arm_body(row: Mapping[str, Any], is_arc: bool) -> dict[str, Any]:
    """The row in the shape of Compute's answer, so that one reader serves both."""
    windows = {
        "provisionVMAgent": row.get("agent"),
        "enableAutomaticUpdates": row.get("updates"),
        "timeZone": row.get("timeZone"),
        "patchSettings": row.get("settings"),
    }
    profile = {
        "computerName": row.get("computerName"),
        "allowExtensionOperations": row.get("extensions"),
        "windowsConfiguration": windows,
    }
    properties = {
        "vmId": row.get("vmId"),
        "provisioningState": row.get("provisioningState"),
        "availabilitySet": {"id": row.get("availabilitySet")},
        "virtualMachineScaleSet": {"id": row.get("scaleSet")},
        "storageProfile": {"imageReference": row.get("image"), "osDisk": {"osType": row.get("osType")}},
        "osProfile": profile,
    }
    if is_arc or isinstance(row.get("view"), Mapping):
        properties["instanceView"] = _arc_view(row) if is_arc else _view(section(row, "view"))
    known = ("id", "name", "location", "zones", "tags")
    return {**{name: row.get(name) for name in known}, "properties": properties}


def _view(extract: Mapping[str, Any]) -> dict[str, Any]:
    power = text(section(extract, "powerState"), "code")
    return {**extract, "statuses": [{"code": power}] if power else []}


def _arc_view(row: Mapping[str, Any]) -> dict[str, Any]:
    """Whether an Arc-enabled server is connected is all that Azure knows of its power."""
    status = text(row, "arcStatus")
    return {
        "osVersion": row.get("arcVersion"),
        "osName": row.get("arcSystem"),
        "statuses": [{"code": f"PowerState/{status.lower()}"}] if status else [],
    }


def _licence(profile: Any) -> Fact[str]:
    for feature in section(profile, "productProfile").get("productFeatures") or ():
        if isinstance(feature, Mapping) and str(feature.get("name") or "").lower() == "hotpatch":
            return Fact.of_optional(text(feature, "subscriptionStatus"))
    return Fact.absent()


def graph_assessment(properties: Mapping[str, Any]) -> AssessmentSummary:
    """Return the assessment of a row of ``patchassessmentresources``, its counts summed as Compute sums them."""
    by_class = {
        str(name).lower(): number for name, number in section(properties, "availablePatchCountByClassification").items()
    }
    numbers = {name: number for name, number in by_class.items() if isinstance(number, int)}
    urgent = sum(numbers.get(name, 0) for name in ("critical", "security"))
    return AssessmentSummary(
        status=text(properties, "status") or "Unknown",
        activity_id=text(properties, "assessmentActivityId"),
        reboot_pending=flag(properties, "rebootPending"),
        critical_and_security_patch_count=urgent if numbers else None,
        other_patch_count=sum(numbers.values()) - urgent if numbers else None,
        start_time=moment(properties, "startDateTime"),
        last_modified_time=moment(properties, "lastModifiedDateTime"),
        error=real_error(properties.get("errorDetails")),
    )


def newest(found: GraphInstallation | None, other: GraphInstallation) -> GraphInstallation:
    """Return the later one of two installations, by their start."""
    if found is None:
        return other
    begun = found.summary.start_time or found.summary.last_modified_time
    other_begun = other.summary.start_time or other.summary.last_modified_time
    return other if other_begun is not None and (begun is None or other_begun > begun) else found


def ring_of(tags: Mapping[str, str], tag: str) -> str | None:
    """Return the value of a tag whose name compares without case, as Azure's do; None without it."""
    wanted = tag.lower()
    return next((value for name, value in tags.items() if name.lower() == wanted and value), None)


def age_seconds(read_at: datetime, since: datetime | None) -> int | None:
    """Return the seconds between a moment and the reading."""
    return None if since is None else max(0, int((read_at - since).total_seconds()))
