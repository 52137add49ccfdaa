# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows itself says about a machine, read over WS-Management, and what it means for hotpatching."""

# ruff: noqa: RUF009 -- the default that _fact gives is a frozen Fact
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from typing import Any

from .facts import Fact
from .plain import fields_to_plain, from_plain
from .products import product_of_build

__all__ = [
    "DOMAIN_CONTROLLERS",
    "FACTS",
    "INFERRED",
    "VBS_RUNNING",
    "GuestFacts",
    "UpdateEvent",
    "enrolment_in_guest",
    "guest_from_dict",
    "product_of_build",
    "unreachable_guest",
]

VBS_RUNNING = 2
"""Win32_DeviceGuard.VirtualizationBasedSecurityStatus: 0 not enabled, 1 enabled but not running, 2 running (Microsoft
Learn, "Enable Hotpatch for Azure Arc-enabled servers", 2025-10)."""


DOMAIN_CONTROLLERS = frozenset({4, 5})
"""Win32_ComputerSystem.DomainRole of a backup and of a primary domain controller (Microsoft's class reference)."""


def _fact(subset: str, captured: bool = False) -> Any:
    """A field of :class:`GuestFacts`: the probe's subset that reads it, and whether its wire shape was ever captured.

    What nobody has captured is inferred from documentation or from programs that parse it.
    """
    unread: Fact[Any] = Fact.unreadable(f"not asked: it takes the subset {subset}")
    settings = {"subset": subset, "captured": captured}
    return field(default=unread, metadata=settings)  # pylint: disable=invalid-field-call  # every caller is the class


@dataclass(frozen=True)
class UpdateEvent:
    """One event of Windows Update's client in the System log.

    :param event_id: 19 installed, 20 failed, 21 restart needed, 43 started, 44 downloading.
    :param hresult: of a failure, such as ``0x80072EE2``; empty without one. ``meaning`` is it in words.
    """

    time: datetime
    event_id: int
    title: str = ""
    hresult: str = ""
    meaning: str = ""


@dataclass(frozen=True)
class GuestFacts:
    """One reading of one guest; times are UTC.

    :param reachable: whether the guest answered at all; when not, every fact is unreadable.
    :param why: why it did not answer.
    :param read_at: the controller's clock when it was read.
    :param boot_time: by the guest's clock, as is ``local_time``.
    :param skew_seconds: guest clock minus controller clock, at ``read_at``.
    :param hotpatch_package: the enrolment package's name in the registry.
    :param hotpatch_table_size: bytes of the kernel's hotpatch table.
    :param vbs_status: 2 is running; ``vbs_configured`` is only what the registry asks for at the next boot.
    :param security_properties: Win32_DeviceGuard.AvailableSecurityProperties, ``security_services_running`` likewise.
    :param pending_restart: by any of ``pending_restart_sources``; ``pending_restart_by_keys`` and
        ``pending_restart_by_windows_update`` are the two answers it was made of.
    :param pending_renames: how many files are to be renamed or deleted at the next boot; tells nothing by itself.
    :param kbs: installed updates as ``KB<digits>``, ``kb_dates`` those with a readable date of installation.
    :param smbios_uuid: as Windows shows it: ARM's vmId, its first three groups possibly byte-swapped.
    :param cpu_percent: of all processors, at that moment.
    :param system_drive_free_bytes: of the drive that Windows is on.
    :param update_policies: values below the policy key WindowsUpdate, ``AU\\`` before those of its subkey, as text.
    :param update_source: ``wsus`` or ``windows_update``, by those policies.
    :param services: state by service name (``Running``, ``Stopped`` ...), ``service_start_modes`` how it starts.
    :param update_events: newest first.
    :param licence_status: SoftwareLicensingProduct.LicenseStatus of Windows; 1 is licensed.
    :param licensing_mutex: whether DeviceLicensingServiceCommandMutex is there, the mark of Arc's licensing fault.
    :param licensing_override: Microsoft's feature override 4264695439 for that fault.
    :param hotpatch_extension_versions: of the WindowsHotpatch extension, by its folders in the guest.
    :param hotpatch_extension_reported: when that extension last wrote a status.
    :param domain_role: Win32_ComputerSystem.DomainRole; 4 and 5 are domain controllers.
    :param domain: the domain or workgroup.
    :param cluster_owner_node: the node that owns the core resources of the failover cluster.
    :param sql_instances: names of the SQL Server instances installed.
    :param round_trips: requests it took.
    """

    reachable: bool
    why: str
    read_at: datetime
    caption: Fact[str] = _fact("min", captured=True)
    computer_name: Fact[str] = _fact("min", captured=True)
    build: Fact[int] = _fact("min", captured=True)
    ubr: Fact[int] = _fact("min")
    operating_system_sku: Fact[int] = _fact("min", captured=True)
    boot_time: Fact[datetime] = _fact("min", captured=True)
    local_time: Fact[datetime] = _fact("min", captured=True)
    skew_seconds: Fact[float] = _fact("min", captured=True)
    hotpatch_package: Fact[str] = _fact("enrolment")
    hotpatch_package_version: Fact[str] = _fact("enrolment")
    hotpatch_table_size: Fact[int] = _fact("enrolment")
    vbs_status: Fact[int] = _fact("enrolment")
    vbs_configured: Fact[bool] = _fact("vbs")
    security_properties: Fact[tuple[int, ...]] = _fact("enrolment")
    security_services_running: Fact[tuple[int, ...]] = _fact("enrolment")
    pending_restart: Fact[bool] = _fact("restart", captured=True)
    pending_restart_by_keys: Fact[bool] = _fact("restart", captured=True)
    pending_restart_by_windows_update: Fact[bool] = _fact("restart")
    pending_restart_sources: tuple[str, ...] = ()
    pending_renames: Fact[int] = _fact("renames")
    kbs: Fact[tuple[str, ...]] = _fact("updates")
    kb_dates: Fact[Mapping[str, date]] = _fact("updates")
    smbios_uuid: Fact[str] = _fact("identity")
    free_memory_kb: Fact[int] = _fact("min", captured=True)
    total_memory_kb: Fact[int] = _fact("min", captured=True)
    cpu_percent: Fact[float] = _fact("load")
    edition_id: Fact[str] = _fact("edition")
    display_version: Fact[str] = _fact("edition")
    system_drive_free_bytes: Fact[int] = _fact("disk")
    system_drive_bytes: Fact[int] = _fact("disk")
    update_policies: Fact[Mapping[str, str]] = _fact("policies")
    update_source: Fact[str] = _fact("policies")
    services: Fact[Mapping[str, str]] = _fact("services")
    service_start_modes: Fact[Mapping[str, str]] = _fact("services")
    update_events: Fact[tuple[UpdateEvent, ...]] = _fact("events")
    licence_status: Fact[int] = _fact("licence")
    licensing_mutex: Fact[bool] = _fact("licence")
    licensing_override: Fact[int] = _fact("licence")
    hotpatch_extension_versions: Fact[tuple[str, ...]] = _fact("extension")
    hotpatch_extension_reported: Fact[datetime] = _fact("extension")
    domain_role: Fact[int] = _fact("roles")
    domain: Fact[str] = _fact("roles")
    cluster_name: Fact[str] = _fact("roles")
    cluster_owner_node: Fact[str] = _fact("roles")
    sql_instances: Fact[tuple[str, ...]] = _fact("roles")
    round_trips: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case; facts as ``{"state", "value", "why"}``."""
        return fields_to_plain(self)

    def to_short_dict(self) -> dict[str, Any]:
        """Return the same without facts that nobody asked about, and without any of a guest that did not answer.

        :func:`guest_from_dict` reads both forms alike; this one is for results that hold many guests.
        """
        known = {one.name: one.default for one in fields(self) if "subset" in one.metadata}
        return {
            name: value
            for name, value in self.to_dict().items()
            if name not in known or (self.reachable and getattr(self, name) != known[name])
        }


FACTS: tuple[str, ...] = tuple(one.name for one in fields(GuestFacts) if "subset" in one.metadata)
"""Names of all facts, in order."""

INFERRED: frozenset[str] = frozenset(
    one.name for one in fields(GuestFacts) if "subset" in one.metadata and not one.metadata["captured"]
)
"""Facts whose wire shape nobody has captured: none of them may fail a machine by itself."""


def guest_from_dict(raw: Mapping[str, Any]) -> GuestFacts:
    """Return the reading that :meth:`GuestFacts.to_dict` or ``to_short_dict`` wrote; ValueError when it is not one."""
    found = from_plain(GuestFacts, raw)
    return found if found.reachable else unreachable_guest(found.why, found.read_at, found.round_trips)


def unreachable_guest(why: str, read_at: datetime, round_trips: int = 0) -> GuestFacts:
    """Return the reading of a guest that did not answer: a result, not an error; all facts are unreadable."""
    unread: Fact[Any] = Fact.unreadable(why)
    facts: dict[str, Any] = dict.fromkeys(FACTS, unread)
    return replace(GuestFacts(False, why, read_at, round_trips=round_trips), **facts)


def enrolment_in_guest(guest: GuestFacts) -> Fact[bool]:
    """Return whether hotpatching is effective in the guest, with the reasons in ``why``.

    Effective is: the Hotpatch Enrollment Package is there, HotPatchTableSize is not zero, and virtualization-based
    security runs (Microsoft Learn, "Enable Hotpatch for Azure Edition servers", 2023-10, and "... for Azure
    Arc-enabled servers", 2025-10). One missing part is enough for "no"; an unreadable one with no missing part is
    unreadable. That these keys look the same on every image is inferred.
    """
    if not guest.reachable:
        return Fact.unreadable(guest.why or "the guest did not answer")
    parts: tuple[tuple[Fact[Any], bool, str], ...] = (
        (guest.hotpatch_package, guest.hotpatch_package.known, "the Hotpatch Enrollment Package is not installed"),
        (guest.hotpatch_table_size, bool(guest.hotpatch_table_size.value), "HotPatchTableSize is not set"),
        (
            guest.vbs_status,
            guest.vbs_status.value == VBS_RUNNING,
            f"virtualization-based security does not run (status {guest.vbs_status.value})",
        ),
    )
    missing = [reason for fact, there, reason in parts if not fact.is_unreadable and not there]
    if missing:
        return Fact.of(False, "; ".join(missing))
    unread = [fact.why for fact, *dummy in parts if fact.is_unreadable]
    if unread:
        return Fact.unreadable("; ".join(dict.fromkeys(unread)))
    return Fact.of(True, "enrolment package, hotpatch table and virtualization-based security are all there")
