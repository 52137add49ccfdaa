# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a machine can be hotpatched at all, by what Azure says of it; and whether it is switched on.

What is not known makes a machine ``unknown``, never ``ineligible``. Every reason's code can be overridden by the user:
some of these rules rest on a single report, and Microsoft's lists grow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from .errors import InputError
from .machine import Machine
from .reasons import Reason

EligibilityState = Literal["eligible", "ineligible", "unknown"]

HOTPATCH_SKUS: frozenset[str] = frozenset(
    {
        "2022-datacenter-azure-edition-core",
        "2022-datacenter-azure-edition-core-smalldisk",
        "2022-datacenter-azure-edition-hotpatch",
        "2022-datacenter-azure-edition-hotpatch-smalldisk",
        "2025-datacenter-azure-edition",
        "2025-datacenter-azure-edition-smalldisk",
        "2025-datacenter-azure-edition-core",
        "2025-datacenter-azure-edition-core-smalldisk",
    }
)
"""SKUs of publisher MicrosoftWindowsServer, offer WindowsServer (Microsoft Learn, "Hotpatch for Windows Server",
2025-07, and "Automatic guest patching for Azure virtual machines", 2024-07); compare in lower case."""

CODES: dict[str, str] = {
    "machine_unread": "Azure did not show the machine",
    "not_an_azure_vm": "eligibility of Arc-enabled servers is decided elsewhere",
    "not_windows": "the operating system is not Windows",
    "os_type_unread": "the operating system was not read",
    "scale_set_member": "the machine belongs to a scale set",
    "image_not_supported": "the image is not in Microsoft's list",
    "image_unread": "the image was not read",
    "patch_mode": "hotpatching needs patch mode AutomaticByPlatform",
    "patch_mode_unread": "the patch mode was not read",
    "created_with_updates_off": "sources differ on whether enableAutomaticUpdates may be false",
    "vm_agent_off": "hotpatching needs provisionVMAgent",
    "vm_agent_unread": "provisionVMAgent was not read",
    "agent_not_ready": "the VM agent does not report Ready",
    "extension_operations_off": "allowExtensionOperations is false",
    "customer_schedule_flag": "bypassPlatformSafetyChecksOnUserSchedule is true",
}
"""Every code an eligibility can carry, with what it means."""

ENROLMENT_OVERRIDE = "enrolment_in_guest"
OVERRIDES: dict[str, str] = {
    **CODES,
    ENROLMENT_OVERRIDE: "the guest's registry does not show the enrolment package or HotPatchTableSize",
    "created_with_updates_on": "patch mode Manual needs enableAutomaticUpdates false",
}
"""Every code a user can override, in one list for all that take it; each decision looks for those that are its own.
The last two belong to :mod:`.enrolment` and :mod:`.patch_settings`."""


@dataclass(frozen=True)
class Eligibility:
    """The answer with its reasons; ``overridden`` are those that the user's word took away."""

    state: EligibilityState
    reasons: tuple[Reason, ...] = ()
    overridden: tuple[Reason, ...] = ()


def check_overrides(option: str, codes: Iterable[str]) -> frozenset[str]:
    """Return the codes a user wants overridden; InputError for one that does not exist."""
    wanted = frozenset(codes)
    for code in sorted(wanted):
        if code not in OVERRIDES:
            raise InputError(option, code, "one of " + ", ".join(sorted(OVERRIDES)))
    return wanted


def eligibility(
    machine: Machine, overrides: Collection[str] = (), skus: Collection[str] = HOTPATCH_SKUS
) -> Eligibility:
    """Return whether the machine can be hotpatched, with every reason against it, not only the first.

    :param overrides: codes of :data:`CODES` that shall not count.
    :param skus: image SKUs that can be hotpatched, any case.
    """
    if machine.error is not None:
        return Eligibility("unknown", (Reason("machine_unread", machine.power_state.why),))
    if machine.id.kind != "virtual_machine":
        return Eligibility("unknown", (Reason("not_an_azure_vm", CODES["not_an_azure_vm"]),))
    against = [*_against_system(machine), *_against_image(machine, skus), *_against_settings(machine)]
    unsure = [*_unread(machine), *_unsure_settings(machine)]
    counted = {code for code in (reason.code for reason in (*against, *unsure)) if code not in set(overrides)}
    reasons = tuple(reason for reason in (*against, *unsure) if reason.code in counted)
    overridden = tuple(reason for reason in (*against, *unsure) if reason.code not in counted)
    if any(reason.code in counted for reason in against):
        return Eligibility("ineligible", reasons, overridden)
    return Eligibility("unknown" if reasons else "eligible", reasons, overridden)


def _against_system(machine: Machine) -> list[Reason]:
    found = []
    if machine.os_type.known and str(machine.os_type.value).lower() != "windows":
        found.append(Reason("not_windows", f"the operating system is {machine.os_type.value}, not Windows"))
    if machine.scale_set is not None:
        found.append(Reason("scale_set_member", f"the machine belongs to the scale set {machine.scale_set}"))
    return found


def _against_image(machine: Machine, skus: Collection[str]) -> list[Reason]:
    if machine.image.is_absent:
        # Azure Backup restored to another place drops the reference, and such a machine counts as custom.
        return [Reason("image_not_supported", machine.image.why)]
    image = machine.image.value
    if image is None:
        return []
    if image.sku is None:
        return [Reason("image_not_supported", f"made from the custom image {image.id}, not from the marketplace")]
    supported = (
        (image.publisher or "").lower() == "microsoftwindowsserver"
        and (image.offer or "").lower() == "windowsserver"
        and (image.sku.lower() in skus or image.sku.lower() in {sku.lower() for sku in skus})
    )
    if supported:
        return []
    return [Reason("image_not_supported", f"the image {image.publisher}/{image.offer}/{image.sku} is not supported")]


def _against_settings(machine: Machine) -> list[Reason]:
    found = []
    mode = machine.patch_settings.patch_mode
    if mode.is_absent or (mode.value is not None and mode.value.lower() != "automaticbyplatform"):
        shown = mode.value or "not set, which means AutomaticByOS"
        found.append(Reason("patch_mode", f"the patch mode is {shown}; hotpatching needs AutomaticByPlatform"))
    if machine.provision_vm_agent.value is False:
        found.append(Reason("vm_agent_off", "provisionVMAgent is false; hotpatching needs the VM agent"))
    if machine.allow_extension_operations.value is False:
        found.append(Reason("extension_operations_off", "allowExtensionOperations is false; Azure cannot patch it"))
    if machine.patch_settings.bypass_platform_safety_checks.value is True:
        # "Hotpatch updates require platform safety checks.": one report, github.com/claranet/
        # terraform-azurerm-windows-vm/pull/4, 2025-03.
        found.append(
            Reason(
                "customer_schedule_flag",
                "bypassPlatformSafetyChecksOnUserSchedule is true; Azure was reported to refuse hotpatching with it",
            )
        )
    return found


def _unread(machine: Machine) -> list[Reason]:
    facts = (
        ("os_type_unread", "the operating system", machine.os_type),
        ("image_unread", "the image", machine.image),
        ("patch_mode_unread", "the patch mode", machine.patch_settings.patch_mode),
        ("vm_agent_unread", "provisionVMAgent", machine.provision_vm_agent),
    )
    return [Reason(code, f"{what} was not read: {fact.why}") for code, what, fact in facts if fact.is_unreadable]


def _unsure_settings(machine: Machine) -> list[Reason]:
    found = []
    by_platform = str(machine.patch_settings.patch_mode.value or "").lower() == "automaticbyplatform"
    if machine.enable_automatic_updates.value is False and not by_platform:
        # The schema wants true for AutomaticByPlatform, the guest patching page of 2024-07 allows false. A machine
        # that is in that mode has been accepted by Azure, whatever the papers say.
        found.append(
            Reason(
                "created_with_updates_off",
                "it was created with enableAutomaticUpdates false, and Microsoft's pages differ on what that allows",
            )
        )
    running = machine.power_state.value == "running"
    if running and not (machine.agent_status.value or "").lower().startswith("ready"):
        # A stopped machine's agent says nothing; a starting machine's agent is not ready yet.
        status = machine.agent_status
        found.append(Reason("agent_not_ready", f"the VM agent is not ready: {status.value or status.why}"))
    return found


AvailabilityState = Literal["running", "stopped", "changing", "unknown"]

_POWER: dict[str, AvailabilityState] = {
    "running": "running",
    "stopped": "stopped",
    "deallocated": "stopped",
    "starting": "changing",
    "stopping": "changing",
    "deallocating": "changing",
    "creating": "changing",
}


@dataclass(frozen=True)
class Availability:
    """Whether the machine is switched on."""

    state: AvailabilityState
    reason: Reason


def availability(machine: Machine) -> Availability:
    """Return whether the machine runs, by Azure's power state; a state it does not report is ``unknown``."""
    power = machine.power_state
    if power.value is None:
        return Availability("unknown", Reason("power_unknown", f"the power state was not read: {power.why}"))
    state = _POWER.get(power.value.lower(), "unknown")
    code = {"running": "running", "stopped": "stopped", "changing": "power_changing"}.get(state, "power_unknown")
    return Availability(state, Reason(code, f"the machine is {power.value}"))
