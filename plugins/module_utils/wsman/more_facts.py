# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe beyond its core: load, disk, services, update policies and events, licence, extension, and server roles.

The wire shape of all of it is inferred from Microsoft's class and registry references; nobody has captured any of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from ..domain.facts import Fact
from ..domain.guest import UpdateEvent
from ..domain.hresults import hresult_in, meaning
from ..domain.update_policy import NUMBERS, update_source
from .cim import CimSession, Row, then
from .core_facts import CURRENT_VERSION
from .faults import WsmanError, WsmanFault, printable
from .notes import Notes, literal, must, select
from .registry import DWORD, SZ, list_values, read_dword, read_string, read_strings

SESSION_MANAGER = r"SYSTEM\CurrentControlSet\Control\Session Manager"
POLICIES = r"SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
SUBSCRIPTIONS = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\Subscriptions"
OVERRIDES = r"SYSTEM\CurrentControlSet\Policies\Microsoft\FeatureManagement\Overrides"
SQL_INSTANCES = r"SOFTWARE\Microsoft\Microsoft SQL Server\Instance Names\SQL"
CLUSTER = "root/MSCluster"

SERVICES = (
    *("wuauserv", "UsoSvc", "BITS", "TrustedInstaller"),
    *("WindowsAzureGuestAgent", "RdAgent", "himds", "GCArcService", "ExtensionService", "ClusSvc"),
)
"""What updates, agents and clusters depend on."""

EVENT_DAYS = 7
MAX_EVENTS = 20
EVENT_SOURCE = "Microsoft-Windows-WindowsUpdateClient"
EVENT_CODES = frozenset({19, 20, 21, 43, 44})

WINDOWS_APPLICATION = "55c92734-d682-4d71-983e-d6ec3f16059f"
"""ApplicationID of Windows itself in SoftwareLicensingProduct."""

PLUGINS = "\\packages\\plugins\\"
EXTENSION = "microsoft.cplat.core.windowshotpatch"

_RENAMED = re.compile(r"(\*\d+)?\\\?\?\\")
_GUID = re.compile(r"\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?")
_VERSION = re.compile(r"\d+(\.\d+){1,4}")


def read_load(notes: Notes) -> None:
    """Read how busy all processors are together."""
    query = select("PercentProcessorTime", "Win32_PerfFormattedData_PerfOS_Processor", "Name='_Total'")
    row = notes.row(("cpu_percent",), query)
    if row is not None:
        notes.facts["cpu_percent"] = must(row.integer("PercentProcessorTime", 0, 100)).map(float)


def read_edition(notes: Notes) -> None:
    """Read the names of edition and version, for people; decisions use numbers."""
    for fact, name in (("edition_id", "EditionID"), ("display_version", "DisplayVersion")):
        text = read_string(notes.session, CURRENT_VERSION, name)
        notes.facts[fact] = then(text, lambda value: Fact.of_optional(printable(value, 80) or None, "it is empty"))


def read_disk(notes: Notes) -> None:
    """Read the room on the drive that Windows is on."""
    names = ("system_drive_free_bytes", "system_drive_bytes")
    if not re.fullmatch(r"[A-Za-z]:", notes.system_drive):
        notes.fail(names, "Windows did not say which drive it is on")
        return
    row = notes.row(names, select("FreeSpace,Size", "Win32_LogicalDisk", f"DeviceID={literal(notes.system_drive)}"))
    if row is not None:
        notes.facts["system_drive_free_bytes"] = must(row.integer("FreeSpace"))
        notes.facts["system_drive_bytes"] = must(row.integer("Size"))


def read_renames(notes: Notes) -> None:
    """Count the files to be renamed or deleted at the next boot: pairs of a source and a target that may be empty."""
    found = read_strings(notes.session, SESSION_MANAGER, "PendingFileRenameOperations")
    notes.facts["pending_renames"] = found.map(lambda texts: sum(1 for text in texts if _RENAMED.match(text)))


def read_services(notes: Notes) -> None:
    """Read state and start mode of :data:`SERVICES`; one that is not installed is not among them."""
    names = ("services", "service_start_modes")
    wanted = " OR ".join(f"Name={literal(name)}" for name in SERVICES)
    rows = notes.rows(names, select("Name,State,StartMode", "Win32_Service", wanted))
    if rows is None:
        return
    spelled = {name.lower(): name for name in SERVICES}
    for fact, column in (("services", "State"), ("service_start_modes", "StartMode")):
        found = {
            spelled[name]: printable(row.text(column).value or "unknown", 20)
            for row in rows
            if (name := (row.text("Name").value or "").lower()) in spelled
        }
        # Every Windows has the first of them: a list without it was cut by rights, not by what is installed.
        complete = SERVICES[0] in found
        notes.facts[fact] = (
            Fact.of(found)
            if complete
            else Fact.unreadable(f"Windows listed no {SERVICES[0]}; the account may not read services")
        )


def read_policies(notes: Notes) -> None:
    """Read the policies of Windows Update that are set, and by them where updates come from."""
    found: dict[str, str] = {}
    for key, prefix in ((POLICIES, ""), (POLICIES + r"\AU", "AU\\")):
        listed = list_values(notes.session, key)
        if listed.is_unreadable:
            notes.fail(("update_policies", "update_source"), listed.why)
            return
        for name, kind in (listed.value or {}).items():
            text = _policy(notes.session, key, name, kind)
            if text is None:
                continue
            if text.value is None:
                notes.fail(("update_policies", "update_source"), text.why)
                return
            found[prefix + _spelled(name)] = text.value
    notes.facts["update_policies"] = Fact.of(found)
    notes.facts["update_source"] = Fact.of(update_source(found))


_POLICY_TEXTS = ("WUServer", "WUStatusServer")
_SPELLED = {name.lower(): name for name in (*NUMBERS, *_POLICY_TEXTS)}


def _spelled(name: str) -> str:
    return _SPELLED[name.lower()]


def _policy(session: CimSession, key: str, name: str, kind: int) -> Fact[str] | None:
    """One policy as text; None for what nobody asks about. What is listed must be there."""
    if name.lower() not in _SPELLED:
        return None
    text: Fact[str]
    if kind == DWORD:
        text = read_dword(session, key, name).map(str)
    elif kind == SZ:
        text = read_string(session, key, name).map(lambda value: printable(value, 200))
    else:
        text = Fact.unreadable(f"HKLM\\{key} value {name} is of registry type {kind}")
    return must(text)


def read_events(notes: Notes) -> None:
    """Read what Windows Update did in the last :data:`EVENT_DAYS` days, from the System log.

    WMI scans the log for it, which can take longer than one request may; then the fact is unreadable.
    """
    since = (notes.now - timedelta(days=EVENT_DAYS)).strftime("%Y%m%d%H%M%S.000000+000")
    query = select(
        "EventCode,TimeGenerated,InsertionStrings",
        "Win32_NTLogEvent",
        *("Logfile='System'", f"SourceName={literal(EVENT_SOURCE)}", f"TimeGenerated>{literal(since)}"),
    )
    rows = notes.rows(("update_events",), query)
    if rows is not None:
        events = [event for event in map(_event, rows) if event is not None]
        newest = sorted(events, key=lambda event: event.time, reverse=True)[:MAX_EVENTS]
        notes.facts["update_events"] = Fact.of(tuple(newest))


def _event(row: Row) -> UpdateEvent | None:
    code, time = row.integer("EventCode", 0, 65535).value, row.timestamp("TimeGenerated").value
    if code not in EVENT_CODES or code is None or time is None:
        return None
    texts = row.texts("InsertionStrings").value or ()
    hresult = next((found for text in texts if (found := hresult_in(text))), "") if code == 20 else ""
    titles = [text for text in texts if text.strip() and not hresult_in(text) and not _GUID.fullmatch(text.strip())]
    return UpdateEvent(time, code, printable(titles[0], 160) if titles else "", hresult, meaning(hresult))


def read_licence(notes: Notes) -> None:
    """Read whether Windows is licensed, and the marks of the licensing fault of Arc machines of October 2025."""
    mine = f"ApplicationID={literal(WINDOWS_APPLICATION)}"
    query = select("LicenseStatus", "SoftwareLicensingProduct", mine, "PartialProductKey IS NOT NULL")
    rows = notes.rows(("licence_status",), query)
    if rows is not None:
        states = [state for row in rows if (state := row.integer("LicenseStatus", 0, 6).value) is not None]
        absent: Fact[int] = Fact.absent("Windows has no product key")
        # Several keys may be installed; one that is licensed licenses Windows.
        notes.facts["licence_status"] = (Fact.of(1) if 1 in states else Fact.of(states[0])) if states else absent
    listed = list_values(notes.session, SUBSCRIPTIONS)
    mutex = "devicelicensingservicecommandmutex"
    notes.facts["licensing_mutex"] = listed.map(lambda values: mutex in {name.lower() for name in values})
    notes.facts["licensing_override"] = read_dword(notes.session, OVERRIDES, "4264695439")


def read_extension(notes: Notes) -> None:
    """Read the folders of the WindowsHotpatch extension: its versions, and when it last wrote a status.

    The files' content is out of WMI's reach. That there are no folders at all means that the account may not see them.
    """
    names = ("hotpatch_extension_versions", "hotpatch_extension_reported")
    plugins = _folders(notes, names, PLUGINS)
    if plugins is None:
        return
    if not plugins:
        notes.fail(names, "no folder below C:\\Packages\\Plugins is visible; the account may not read it")
        return
    if EXTENSION not in plugins:
        notes.facts.update(dict.fromkeys(names, Fact.absent("the WindowsHotpatch extension has no folder")))
        return
    folders = _folders(notes, names, f"{PLUGINS}{EXTENSION}\\")
    if folders is None:
        return
    versions = sorted((name for name in folders if _VERSION.fullmatch(name)), key=_as_numbers)
    if not versions:
        notes.fail(names, "the folder of the WindowsHotpatch extension holds no folder of a version")
        return
    notes.facts["hotpatch_extension_versions"] = Fact.of(tuple(versions))
    path = f"{PLUGINS}{EXTENSION}\\{versions[-1]}\\status\\"
    query = select("LastModified", "CIM_DataFile", "Drive='c:'", f"Path={literal(path)}", "Extension='status'")
    rows = notes.rows(names[1:], query)
    if rows is not None:
        times = [moment for row in rows if (moment := row.timestamp("LastModified").value) is not None]
        never = "the WindowsHotpatch extension has written no status"
        notes.facts["hotpatch_extension_reported"] = Fact.of_optional(max(times, default=None), never)


def _folders(notes: Notes, names: tuple[str, ...], path: str) -> set[str] | None:
    rows = notes.rows(names, select("FileName,Extension", "Win32_Directory", "Drive='c:'", f"Path={literal(path)}"))
    if rows is None:
        return None
    # WMI takes what follows the last dot of a folder's name for its extension.
    parts = ((row.text("FileName").value or "", row.text("Extension").value or "") for row in rows)
    return {f"{name}.{extension}".lower() if extension else name.lower() for name, extension in parts if name}


def _as_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def read_roles(notes: Notes) -> None:
    """Read what a rollout spreads machines by: domain controller, failover cluster, SQL Server."""
    row = notes.row(("domain_role", "domain"), "SELECT DomainRole,Domain FROM Win32_ComputerSystem")
    if row is not None:
        notes.facts["domain_role"] = must(row.integer("DomainRole", 0, 5))
        notes.facts["domain"] = must(row.text("Domain")).map(lambda text: printable(text, 253))
    notes.facts["cluster_name"] = _cluster(notes, "SELECT Name FROM MSCluster_Cluster", "Name")
    notes.facts["cluster_owner_node"] = then(
        notes.facts["cluster_name"],
        lambda dummy: _cluster(
            notes, "SELECT OwnerNode FROM MSCluster_ResourceGroup WHERE Name='Cluster Group'", "OwnerNode"
        ),
    )
    instances = list_values(notes.session, SQL_INSTANCES)
    notes.facts["sql_instances"] = instances.map(_instance_names)


def _instance_names(values: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(sorted(printable(name, 40) for name in values))


def _cluster(notes: Notes, query: str, column: str) -> Fact[str]:
    """A text of the cluster; a guest without the namespace is no node of one."""
    try:
        row = notes.session.query_one(CLUSTER, query)
    except WsmanFault as fault:
        if fault.kind == "bad_namespace":
            return Fact.absent("the guest is no node of a failover cluster: it has no namespace root/MSCluster")
        return Fact.unreadable(f"the cluster could not be read: {fault.why}")
    except WsmanError as error:
        return Fact.unreadable(f"the cluster could not be read: {error.why}")
    return must(row.text(column)).map(lambda text: printable(text, 120))
