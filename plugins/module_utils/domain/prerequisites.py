# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be written into a guest's registry so that it can be hotpatched, and whether it takes a restart.

Microsoft documents two things. Virtualization-based security, for every machine: EnableVirtualizationBasedSecurity is
set to 1, and it begins with the next boot ("Enable Hotpatch for Azure Arc-enabled servers", 2025-10). The enrolment
package and HotPatchTableSize, for Windows Server 2022 Azure Edition that was installed from an ISO on Azure Local
("Enable Hotpatch for Azure Edition servers", 2023-10); on Azure the platform writes them itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from .diagnosis import SECURE_BOOT
from .facts import Fact
from .guest import VBS_RUNNING, GuestFacts
from .plain import fields_to_plain
from .proof import boot_time_corrected
from .reasons import Reason

DEVICE_GUARD = r"SYSTEM\CurrentControlSet\Control\DeviceGuard"
PACKAGE = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\Update\TargetingInfo\DynamicInstalled\Hotpatch.amd64"
MEMORY_MANAGEMENT = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management"

PACKAGE_NAME = "Hotpatch Enrollment Package"
PACKAGE_VERSION = "10.0.20348.1129"
TABLE_SIZE = 0x1000
SERVICING_PACKAGE = "KB5003508"

ISO_BUILD = 20348
AZURE_EDITIONS = frozenset({407, 408})
"""OperatingSystemSKU of Datacenter Azure Edition, with desktop and core."""

ANOTHER_BOOT_SECONDS = 30
"""Two boot times this far apart are two boots: Windows moves its boot time by seconds when its clock is set."""


@dataclass(frozen=True)
class RegistryValue:
    """A value below HKEY_LOCAL_MACHINE as it should be, and as it is; ``before`` is None where there is none."""

    key: str
    name: str
    value: int | str
    before: int | str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return fields_to_plain(self)


_NO_RESTART: Fact[bool] = Fact.of(False)


@dataclass(frozen=True)
class Preparation:
    """What is to be done to a guest.

    :param changes: values that differ, in the order in which they are to be written.
    :param refusal: why nothing may be done at all.
    :param restart_needed: whether the guest must boot before all of it counts; ``why`` says what for.
    :param warnings: what the user should know.
    """

    changes: tuple[RegistryValue, ...] = ()
    refusal: Reason | None = None
    restart_needed: Fact[bool] = _NO_RESTART
    warnings: tuple[str, ...] = ()


def prepare(guest: GuestFacts, iso_enrolment: bool = False) -> Preparation:
    """Return what brings a guest to hotpatch readiness.

    :param guest: read with the subsets ``enrolment``, ``vbs`` and ``updates``.
    :param iso_enrolment: write the enrolment as well, as Microsoft documents it for installations from an ISO.
    """
    if not guest.reachable:
        return Preparation(refusal=Reason("guest_unreachable", f"the guest did not answer: {guest.why}"))
    refusal = _iso_refusal(guest) if iso_enrolment else None
    if refusal is not None:
        return Preparation(refusal=refusal)
    unread = _unread(guest, iso_enrolment)
    if unread:
        return Preparation(refusal=Reason("registry_unread", f"what is set now could not be read: {unread}"))
    changes = [*_vbs(guest), *(_iso_values(guest) if iso_enrolment else ())]
    return Preparation(tuple(changes), None, _restart(guest, changes), tuple(_warnings(guest, iso_enrolment)))


def _iso_refusal(guest: GuestFacts) -> Reason | None:
    build, sku = guest.build.value, guest.operating_system_sku.value
    if build != ISO_BUILD or sku not in AZURE_EDITIONS:
        shown = f"build {build}, OperatingSystemSKU {sku}" if guest.build.known else guest.build.why
        text = f"Microsoft documents it for Windows Server 2022 Datacenter Azure Edition only, and this is {shown}"
        return Reason("iso_enrolment_not_documented", text)
    return None


def _unread(guest: GuestFacts, iso_enrolment: bool) -> str:
    facts: list[Fact[Any]] = []
    if guest.vbs_status.value != VBS_RUNNING:
        facts.append(guest.vbs_configured)
    if iso_enrolment:
        facts += [guest.hotpatch_package, guest.hotpatch_table_size]
        if guest.hotpatch_package.known:
            facts.append(guest.hotpatch_package_version)
    return "; ".join(dict.fromkeys(fact.why for fact in facts if fact.is_unreadable))


def _vbs(guest: GuestFacts) -> list[RegistryValue]:
    """Nothing where it runs already: some machines run it without being asked to by this value."""
    if guest.vbs_status.value == VBS_RUNNING or guest.vbs_configured.value:
        return []
    before = 0 if guest.vbs_configured.known else None
    return [RegistryValue(DEVICE_GUARD, "EnableVirtualizationBasedSecurity", 1, before)]


def _iso_values(guest: GuestFacts) -> list[RegistryValue]:
    found: list[RegistryValue] = []
    if guest.hotpatch_package.value != PACKAGE_NAME:
        found.append(RegistryValue(PACKAGE, "Name", PACKAGE_NAME, guest.hotpatch_package.value))
    # A version that is there may be a newer one than the documentation's.
    if guest.hotpatch_package_version.value is None:
        found.append(RegistryValue(PACKAGE, "Version", PACKAGE_VERSION))
    if not guest.hotpatch_table_size.value:
        before = guest.hotpatch_table_size.value
        found.append(RegistryValue(MEMORY_MANAGEMENT, "HotPatchTableSize", TABLE_SIZE, before))
    return found


def _restart(guest: GuestFacts, changes: list[RegistryValue]) -> Fact[bool]:
    if no_secure_boot(guest):
        return Fact.of(False, "a restart would not start virtualization-based security: Windows finds no Secure Boot")
    if changes:
        return Fact.of(True, f"{', '.join(change.name for change in changes)} counts from the next boot on")
    if guest.vbs_status.value == VBS_RUNNING:
        return Fact.of(False, "virtualization-based security runs")
    if guest.vbs_status.value is None:
        return Fact.unreadable(f"whether virtualization-based security runs was not read: {guest.vbs_status.why}")
    return Fact.of(True, "virtualization-based security is asked for and does not run yet")


def no_secure_boot(guest: GuestFacts) -> bool:
    """Return whether virtualization-based security cannot start here, as far as Windows says."""
    properties = guest.security_properties.value
    return guest.vbs_status.value != VBS_RUNNING and properties is not None and SECURE_BOOT not in properties


def _warnings(guest: GuestFacts, iso_enrolment: bool) -> list[str]:
    found = []
    if no_secure_boot(guest):
        found.append(
            "Windows finds no Secure Boot: virtualization-based security will not start before the machine has UEFI "
            "with Secure Boot, which takes generation 2"
        )
    if iso_enrolment and guest.kbs.value is not None and SERVICING_PACKAGE not in guest.kbs.value:
        found.append(
            f"{SERVICING_PACKAGE}, which Microsoft wants installed on machines from an ISO, is not listed; it is not "
            "in the update catalogue, see Enable Hotpatch for Azure Edition servers"
        )
    return found


def another_boot(before: GuestFacts, after: GuestFacts) -> Fact[bool]:
    """Return whether the guest has booted between two readings, by boot times corrected for its clock."""
    if not after.reachable:
        return Fact.unreadable(after.why or "the guest did not answer")
    boots = (boot_time_corrected(before), boot_time_corrected(after))
    for boot in boots:
        if boot.value is None:
            return Fact.unreadable(boot.why)
    first, second = (boot.value for boot in boots)
    if first is None or second is None:  # said above; the type checker does not see it
        return Fact.unreadable("the boot time was not read")
    return Fact.of(second - first > timedelta(seconds=ANOTHER_BOOT_SECONDS))
