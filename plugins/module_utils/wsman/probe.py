# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest probe: what one Windows guest says of itself, in a bounded number of small reads.

``core`` makes at most 12 round trips, ``poll`` at most 2, ``enrolment`` (is hotpatching effective, and is it the right
guest) at most 6. The cheapest read comes first and decides whether the guest
answers at all; the slow class (Win32_QuickFixEngineering, some guests need minutes for it) comes last, so that it
cannot cost the other facts. A read that fails makes its own facts unreadable and no others.
Where facts live: Microsoft Learn ("Enable Hotpatch for Azure Edition servers", "... for Azure Arc-enabled servers",
the WMI class references). Whose wire shape is inferred from client code, not from captured traffic: Win32_DeviceGuard,
MSFT_WUSettings, Win32_QuickFixEngineering and the Get methods of StdRegProv.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from ..domain.facts import Fact
from ..domain.guest import GuestFacts, unreachable_guest
from .cim import CimSession, Row, Sender, then
from .faults import BadAnswer, Unreachable, WsmanError, WsmanFault, printable
from .registry import list_keys, read_dword, read_string

T = TypeVar("T")

#: Subset name to the most round trips it makes.
SUBSETS: Mapping[str, int] = {"core": 12, "poll": 2, "enrolment": 6}

CIMV2 = "root/cimv2"
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

_TIMES = "SELECT BuildNumber,LastBootUpTime,LocalDateTime FROM Win32_OperatingSystem"

#: Subset to its first query, which also tells whether the guest answers.
FIRST_QUERIES: Mapping[str, str] = {
    "core": "SELECT Caption,BuildNumber,OperatingSystemSKU,CSName,LastBootUpTime,LocalDateTime,"
    "FreePhysicalMemory,TotalVisibleMemorySize FROM Win32_OperatingSystem",
    "poll": _TIMES,
    "enrolment": _TIMES,
}
PACKAGE_NAME = "Hotpatch Enrollment Package"

_KB = re.compile(r"KB\d{4,10}", re.IGNORECASE)
_VERSION = re.compile(r"\d+(\.\d+){1,5}")
_NO_UUIDS = frozenset({"0" * 32, "f" * 32})
# Texts a guest may fill as it likes; all others have a checked form.
_FREE_TEXTS = ("caption", "computer_name", "hotpatch_package")


class Now(Protocol):
    """The part of the collection's Clock that the probe needs."""

    def now(self) -> datetime:
        """Return the controller's aware UTC time."""


@dataclass
class _Reading:
    """What has been read so far, by the names of GuestFacts."""

    session: CimSession
    facts: dict[str, Any] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)


def probe(sender: Sender, clock: Now, subset: str = "core", redact: Callable[[str], str] = str) -> GuestFacts:
    """Read one guest. Never raises WsmanError: a guest that does not answer is a result.

    ``redact`` is applied to every text that the guest may have chosen freely, reasons among them.
    """
    reading = _Reading(CimSession(sender, SUBSETS[subset]))
    session = reading.session
    before = clock.now()
    try:
        row = session.query_one(CIMV2, FIRST_QUERIES[subset])
    except WsmanFault as fault:
        # It answers, it only refuses this one read.
        read_at = clock.now()
        _fail(reading, _OS_FACTS, f"Win32_OperatingSystem could not be read: {fault.why}")
    except (Unreachable, BadAnswer) as error:
        return unreachable_guest(redact(error.why), clock.now(), session.round_trips)
    else:
        # LocalDateTime was true somewhere between question and answer; the middle halves the error.
        read_at = before + (clock.now() - before) / 2
        _read_operating_system(reading, row, read_at, subset)
    if subset == "enrolment":
        _read_enrolment(reading)
        _read_identity(reading)
        session.close()
    else:
        reading.facts["ubr"] = read_dword(session, CURRENT_VERSION, "UBR")
    if subset == "core":
        _read_enrolment(reading)
        _read_pending_restart(reading)
        _read_identity(reading)
        _read_updates(reading)
        _explain_vbs(reading)
        session.close()
    unread: Fact[Any] = Fact.unreadable(f"the subset {subset} does not read this")
    names = [one.name for one in fields(GuestFacts) if isinstance(one.default, Fact)]
    guest = GuestFacts(
        reachable=True,
        why="",
        read_at=read_at,
        pending_restart_sources=tuple(reading.sources),
        round_trips=session.round_trips,
        **{name: reading.facts.get(name, unread) for name in names},
    )
    return _redacted(guest, redact)


_OS_FACTS = (
    *("caption", "computer_name", "build", "operating_system_sku", "boot_time", "local_time", "skew_seconds"),
    *("free_memory_kb", "total_memory_kb"),
)


def _fail(reading: _Reading, names: tuple[str, ...], why: str) -> None:
    for name in names:
        reading.facts[name] = Fact.unreadable(why)


def _must(fact: Fact[T]) -> Fact[T]:
    """A property that every Windows fills: that it is not there means that it was not read, never "no"."""
    return Fact.unreadable(fact.why or "Windows gave no value") if fact.is_absent else fact


def _read_operating_system(reading: _Reading, row: Row, read_at: datetime, subset: str) -> None:
    local_time = _must(row.timestamp("LocalDateTime"))
    reading.facts.update(
        build=_must(row.integer("BuildNumber", 0, 2**31)),
        boot_time=_must(row.timestamp("LastBootUpTime")),
        local_time=local_time,
        skew_seconds=local_time.map(lambda moment: round((moment - read_at) / timedelta(seconds=1), 3)),
    )
    if subset == "core":
        reading.facts.update(
            caption=_must(row.text("Caption")).map(lambda text: printable(text, 120)),
            computer_name=_must(row.text("CSName")).map(lambda text: printable(text, 64)),
            operating_system_sku=_must(row.integer("OperatingSystemSKU", 0, 2**32 - 1)),
            free_memory_kb=_must(row.integer("FreePhysicalMemory")),
            total_memory_kb=_must(row.integer("TotalVisibleMemorySize")),
        )


def _read_enrolment(reading: _Reading) -> None:
    session = reading.session
    package = then(read_string(session, ENROLMENT_PACKAGE, "Name"), _checked_name)
    version = then(package, lambda _name: then(read_string(session, ENROLMENT_PACKAGE, "Version"), _checked_version))
    try:
        row = session.query_one(DEVICE_GUARD, "SELECT VirtualizationBasedSecurityStatus FROM Win32_DeviceGuard")
        vbs = _must(row.integer("VirtualizationBasedSecurityStatus", 0, 2**32 - 1))
    except WsmanError as error:
        vbs = Fact.unreadable(f"Win32_DeviceGuard could not be read: {error.why}")
    reading.facts.update(
        hotpatch_package=package,
        hotpatch_package_version=version,
        hotpatch_table_size=read_dword(session, MEMORY_MANAGEMENT, "HotPatchTableSize"),
        vbs_status=vbs,
    )


def _checked_name(text: str) -> Fact[str]:
    return Fact.of(printable(text, 120)) if text else Fact.absent("the enrolment package's name is empty")


def _checked_version(text: str) -> Fact[str]:
    if not _VERSION.fullmatch(text):
        return Fact.unreadable(f"the package's version is {printable(text, 40)!r}, not a version")
    return Fact.of(text)


def _explain_vbs(reading: _Reading) -> None:
    """When Win32_DeviceGuard cannot be read, tell at least what is configured; that says nothing of it running."""
    vbs: Fact[int] = reading.facts["vbs_status"]
    if vbs.is_unreadable and reading.session.remaining > 0:
        configured = read_dword(reading.session, DEVICE_GUARD_KEY, "EnableVirtualizationBasedSecurity")
        if not configured.is_unreadable:
            is_on = "is" if configured.value else "is not"
            reading.facts["vbs_status"] = Fact.unreadable(
                f"{vbs.why}; in the registry virtualization-based security {is_on} configured, which does not tell "
                "whether it runs"
            )


def _read_pending_restart(reading: _Reading) -> None:
    """Combine Windows Update's own answer with the registry keys.

    The keys decide. Windows Update's answer, whose wire shape nobody has captured, cannot alone hold a machine back nor
    clear it: where the keys do not say the same, the fact is unreadable and says who said what.
    """
    says = _ask_windows_update(reading.session)
    unread: list[str] = []
    for key, markers in RESTART_KEYS.items():
        names = list_keys(reading.session, key)
        if names.is_unreadable:
            unread.append(names.why)
        present = {name.lower() for name in names.value or ()}
        reading.sources += [f"HKLM\\{key}\\{marker}" for marker in markers if marker.lower() in present]
    by_key = bool(reading.sources)
    if says.value:
        reading.sources.append(WINDOWS_UPDATE_SAYS)
    pending: Fact[bool]
    if by_key:
        pending = Fact.of(True)
    elif says.value:
        rest = "; ".join(unread) or "no registry key does"
        pending = Fact.unreadable(f"{WINDOWS_UPDATE_SAYS} says that a restart is pending, but {rest}")
    elif unread:
        pending = Fact.unreadable("; ".join(unread))
    else:
        pending = Fact.of(False, "" if says.known else says.why)
    reading.facts["pending_restart"] = pending


def _ask_windows_update(session: CimSession) -> Fact[bool]:
    try:
        outputs = session.invoke(WINDOWS_UPDATE, "MSFT_WUSettings", "IsPendingReboot")
    except WsmanError as error:
        return Fact.unreadable(f"{WINDOWS_UPDATE_SAYS} could not be asked: {error.why}")
    code = outputs.integer("ReturnValue", -(2**31), 2**32 - 1)
    if code.value:
        return Fact.unreadable(f"{WINDOWS_UPDATE_SAYS} failed with return value {code.value}")
    return _must(outputs.boolean("PendingReboot"))


def _read_identity(reading: _Reading) -> None:
    try:
        row = reading.session.query_one(CIMV2, "SELECT UUID FROM Win32_ComputerSystemProduct")
        reading.facts["smbios_uuid"] = then(_must(row.text("UUID")), _checked_uuid)
    except WsmanError as error:
        _fail(reading, ("smbios_uuid",), f"Win32_ComputerSystemProduct could not be read: {error.why}")


def _checked_uuid(text: str) -> Fact[str]:
    try:
        number = uuid.UUID(text)
    except ValueError:
        return Fact.unreadable(f"the SMBIOS UUID is {printable(text, 40)!r}, not a UUID")
    if number.hex in _NO_UUIDS:
        return Fact.unreadable(f"the SMBIOS UUID is {number}, which stands for none")
    return Fact.of(str(number))


def _read_updates(reading: _Reading) -> None:
    try:
        rows = reading.session.query(CIMV2, "SELECT HotFixID FROM Win32_QuickFixEngineering")
    except WsmanError as error:
        _fail(reading, ("kbs",), f"Win32_QuickFixEngineering could not be read: {error.why}")
        return
    # The class also lists entries that are no KB articles ("File 1"); those say nothing about a release.
    texts = [row.text("HotFixID").value or "" for row in rows]
    found = sorted({text.upper() for text in texts if _KB.fullmatch(text)})
    if rows and not found:
        _fail(reading, ("kbs",), f"none of the {len(rows)} rows of Win32_QuickFixEngineering names a KB")
        return
    reading.facts["kbs"] = Fact.of(tuple(found))


def _redacted(guest: GuestFacts, redact: Callable[[str], str]) -> GuestFacts:
    """Blank secrets out of what the guest may have written freely."""
    changed: dict[str, Any] = {}
    for one in fields(guest):
        fact = getattr(guest, one.name)
        if not isinstance(fact, Fact):
            continue
        value = fact.value
        if one.name in _FREE_TEXTS and value not in (None, PACKAGE_NAME):
            value = redact(value)
        changed[one.name] = replace(fact, value=value, why=redact(fact.why))
    return replace(guest, **changed)
