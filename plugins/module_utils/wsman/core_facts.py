# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe's core: is hotpatching effective, is a restart pending, which machine is it, what is installed."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone

from ..domain.facts import Fact
from .cim import Row, then
from .faults import WsmanError, printable
from .notes import Notes, must
from .registry import list_keys, read_dword, read_string

DEVICE_GUARD = "root/Microsoft/Windows/DeviceGuard"
WINDOWS_UPDATE = "root/Microsoft/Windows/WindowsUpdate"

CURRENT_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
ENROLMENT_PACKAGE = CURRENT_VERSION + r"\Update\TargetingInfo\DynamicInstalled\Hotpatch.amd64"
MEMORY_MANAGEMENT = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management"
DEVICE_GUARD_KEY = r"SYSTEM\CurrentControlSet\Control\DeviceGuard"
SERVICING = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"
AUTO_UPDATE = r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update"

#: Registry key to those of its sub-keys that exist only while a restart is pending.
RESTART_KEYS: Mapping[str, tuple[str, ...]] = {
    SERVICING: ("RebootPending", "RebootInProgress", "PackagesPending"),
    AUTO_UPDATE: ("RebootRequired",),
}
WINDOWS_UPDATE_SAYS = "MSFT_WUSettings.IsPendingReboot"

_KB = re.compile(r"KB\d{4,10}", re.IGNORECASE)
_VERSION = re.compile(r"\d+(\.\d+){1,5}")
_NO_UUIDS = frozenset({"0" * 32, "f" * 32})
_US_DATE = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_FILETIME = re.compile(r"[0-9a-fA-F]{16}")


def read_enrolment(notes: Notes) -> None:
    """Read the enrolment package, the kernel's hotpatch table and virtualization-based security."""
    session = notes.session
    package = then(read_string(session, ENROLMENT_PACKAGE, "Name"), _checked_name)
    version = then(package, lambda dummy: then(read_string(session, ENROLMENT_PACKAGE, "Version"), _checked_version))
    notes.facts.update(hotpatch_package=package, hotpatch_package_version=version)
    names = ("vbs_status", "security_properties", "security_services_running")
    query = (
        "SELECT VirtualizationBasedSecurityStatus,AvailableSecurityProperties,SecurityServicesRunning "
        "FROM Win32_DeviceGuard"
    )
    row = notes.row(names, query, DEVICE_GUARD)
    if row is not None:
        notes.facts.update(
            vbs_status=must(row.integer("VirtualizationBasedSecurityStatus", 0, 2**32 - 1)),
            security_properties=_numbers(row, "AvailableSecurityProperties"),
            security_services_running=_numbers(row, "SecurityServicesRunning"),
        )
    notes.facts["hotpatch_table_size"] = read_dword(session, MEMORY_MANAGEMENT, "HotPatchTableSize")


def _checked_name(text: str) -> Fact[str]:
    return Fact.of(printable(text, 120)) if text else Fact.absent("the enrolment package's name is empty")


def _checked_version(text: str) -> Fact[str]:
    if not _VERSION.fullmatch(text):
        return Fact.unreadable(f"the package's version is {printable(text, 40)!r}, not a version")
    return Fact.of(text)


def _numbers(row: Row, name: str) -> Fact[tuple[int, ...]]:
    """An array of numbers; absent is what Windows makes of an empty one, and of one that it does not fill."""

    def numbers(texts: tuple[str, ...]) -> Fact[tuple[int, ...]]:
        if not all(re.fullmatch(r"[0-9]{1,10}", text.strip()) for text in texts):
            return Fact.unreadable(f"{name} does not hold whole numbers only")
        return Fact.of(tuple(int(text) for text in texts))

    return then(row.texts(name), numbers)


def read_vbs(notes: Notes) -> None:
    """Read what the registry asks for at the next boot; that says nothing of whether it runs."""
    configured = read_dword(notes.session, DEVICE_GUARD_KEY, "EnableVirtualizationBasedSecurity")
    notes.facts["vbs_configured"] = configured.map(lambda number: number != 0)


def explain_vbs(notes: Notes) -> None:
    """When Win32_DeviceGuard cannot be read, tell at least what is configured, as far as round trips remain."""
    vbs: Fact[int] | None = notes.facts.get("vbs_status")
    if vbs is None or not vbs.is_unreadable:
        return
    if "vbs_configured" not in notes.facts and notes.session.remaining > 0:
        read_vbs(notes)
    configured: Fact[bool] | None = notes.facts.get("vbs_configured")
    if configured is not None and not configured.is_unreadable:
        is_on = "is" if configured.value else "is not"
        notes.facts["vbs_status"] = Fact.unreadable(
            f"{vbs.why}; in the registry virtualization-based security {is_on} configured, which does not tell "
            "whether it runs"
        )


def read_restart(notes: Notes) -> None:
    """Combine Windows Update's own answer with the registry keys.

    The keys decide. Windows Update's answer, whose wire shape nobody has captured, cannot alone hold a machine back nor
    clear it: where the keys do not say the same, the fact is unreadable and says who said what.
    """
    says = _ask_windows_update(notes)
    unread: list[str] = []
    for key, markers in RESTART_KEYS.items():
        names = list_keys(notes.session, key)
        if names.is_unreadable:
            unread.append(names.why)
        present = {name.lower() for name in names.value or ()}
        notes.sources += [f"HKLM\\{key}\\{marker}" for marker in markers if marker.lower() in present]
    by_keys: Fact[bool] = Fact.unreadable("; ".join(unread)) if unread else Fact.of(False)
    if notes.sources:
        by_keys = Fact.of(True)
    if says.value:
        notes.sources.append(WINDOWS_UPDATE_SAYS)
    pending = by_keys
    if says.value and not by_keys.value:
        rest = by_keys.why or "no registry key does"
        pending = Fact.unreadable(f"{WINDOWS_UPDATE_SAYS} says that a restart is pending, but {rest}")
    elif by_keys.value is False and not says.known:
        pending = Fact.of(False, says.why)
    notes.facts.update(pending_restart=pending, pending_restart_by_keys=by_keys, pending_restart_by_windows_update=says)


def _ask_windows_update(notes: Notes) -> Fact[bool]:
    try:
        outputs = notes.session.invoke(WINDOWS_UPDATE, "MSFT_WUSettings", "IsPendingReboot")
    except WsmanError as error:
        return Fact.unreadable(f"{WINDOWS_UPDATE_SAYS} could not be asked: {error.why}")
    code = outputs.integer("ReturnValue", -(2**31), 2**32 - 1)
    if code.value:
        return Fact.unreadable(f"{WINDOWS_UPDATE_SAYS} failed with return value {code.value}")
    return must(outputs.boolean("PendingReboot"))


def read_identity(notes: Notes) -> None:
    """Read the UUID that tells one machine from all others."""
    row = notes.row(("smbios_uuid",), "SELECT UUID FROM Win32_ComputerSystemProduct")
    if row is not None:
        notes.facts["smbios_uuid"] = then(must(row.text("UUID")), _checked_uuid)


def _checked_uuid(text: str) -> Fact[str]:
    try:
        number = uuid.UUID(text)
    except ValueError:
        return Fact.unreadable(f"the SMBIOS UUID is {printable(text, 40)!r}, not a UUID")
    if number.hex in _NO_UUIDS:
        return Fact.unreadable(f"the SMBIOS UUID is {number}, which stands for none")
    return Fact.of(str(number))


def read_updates(notes: Notes) -> None:
    """Read the installed updates with their dates."""
    names = ("kbs", "kb_dates")
    rows = notes.rows(names, "SELECT HotFixID,InstalledOn FROM Win32_QuickFixEngineering")
    if rows is None:
        return
    # The class also lists entries that are no KB articles ("File 1"); those say nothing about a release.
    listed = {(row.text("HotFixID").value or "").upper(): row.text("InstalledOn") for row in rows}
    found = {kb: when for kb, when in sorted(listed.items()) if _KB.fullmatch(kb)}
    if rows and not found:
        notes.fail(names, f"none of the {len(rows)} rows of Win32_QuickFixEngineering names a KB")
        return
    dates = {kb: day for kb, when in found.items() if (day := installed_on(when.value or "")) is not None}
    notes.facts["kbs"] = Fact.of(tuple(found))
    if dates or not found:
        notes.facts["kb_dates"] = Fact.of(dates)
    elif all(when.is_absent or not when.value for when in found.values()):
        notes.facts["kb_dates"] = Fact.absent("Windows gave no date of installation")
    else:
        given = next(when for when in found.values() if when.value or when.is_unreadable)
        shown = given.why or f"InstalledOn is {printable(given.value or '', 40)!r}, not a date that is known"
        notes.facts["kb_dates"] = Fact.unreadable(shown)


def installed_on(text: str) -> date | None:
    """Read InstalledOn: month/day/year as in the United States, or a FILETIME in hexadecimal digits."""
    try:
        if american := _US_DATE.fullmatch(text):
            return date(int(american[3]), int(american[1]), int(american[2]))
        if _FILETIME.fullmatch(text):
            moment = datetime(1601, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=int(text, 16) // 10)
            return moment.date()
    except (ValueError, OverflowError):
        pass
    return None
