# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WMI classes of disks, folders, event logs, licences and clusters, projected from a guest's state.

Property names and types follow Microsoft's class references. A class lists what a client asks for and its keys, not
everything that Windows has; nobody has captured these classes over WS-Management.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hotpatch_emulator.inside import LogEvent
from hotpatch_emulator.wsman.cim import CimClass, Property, Source

if TYPE_CHECKING:
    from hotpatch_emulator.state import Guest

CIMV2 = "root/cimv2"
CLUSTER = "root/MSCluster"
_PLUGINS = "\\packages\\plugins\\"
_EXTENSION = "microsoft.cplat.core.windowshotpatch"

_LOGICAL_DISK: Mapping[str, Property] = {
    "Caption": lambda source: source.item,
    "Description": "Local Fixed Disk",
    "DeviceID": lambda source: source.item,
    "DriveType": 3,
    "FileSystem": "NTFS",
    "FreeSpace": lambda source: source.guest.inside.system_drive_free_bytes if source.item == "C:" else 9_000_000_000,
    "Name": lambda source: source.item,
    "Size": lambda source: source.guest.inside.system_drive_bytes if source.item == "C:" else 17_000_000_000,
}

_LOG: Mapping[str, Property] = {
    "Category": 1,
    "ComputerName": lambda source: source.guest.computer_name,
    "EventCode": lambda source: source.item[1].code,
    "EventIdentifier": lambda source: source.item[1].code,
    "EventType": lambda source: 1 if source.item[1].code == 20 else 3,
    "InsertionStrings": lambda source: source.item[1].texts,
    "Logfile": "System",
    "Message": lambda source: " ".join(source.item[1].texts),
    "RecordNumber": lambda source: source.item[0],
    "SourceName": lambda source: (
        "Microsoft-Windows-WindowsUpdateClient" if source.item[1].code < 7000 else "Service Control Manager"
    ),
    "TimeGenerated": lambda source: source.item[1].time + timedelta(seconds=source.guest.clock_skew_seconds),
    "User": r"NT AUTHORITY\SYSTEM",
}


def _log(guest: Guest) -> Iterable[tuple[int, LogEvent]]:
    """Newest first, as Windows lists a log; an event of somebody else's is always among them."""
    other = LogEvent(guest.booted_at, 7036, ("Windows Update", "running"))
    events = sorted((*guest.inside.log, other), key=lambda event: event.time, reverse=True)
    return [(4000 - place, event) for place, event in enumerate(events)]


_LICENCE: Mapping[str, Property] = {
    "ApplicationID": "55c92734-d682-4d71-983e-d6ec3f16059f",
    "Description": lambda source: (
        "Windows(R) Operating System, " + ("AZURE channel" if source.item else "VOLUME channel")
    ),
    "ID": lambda source: f"00000000-0000-4000-8000-00000000000{source.item}",
    "LicenseStatus": lambda source: source.guest.inside.licence_status if source.item else 0,
    "Name": lambda source: "Windows(R), ServerDatacenter edition",
    "PartialProductKey": lambda source: "QGMK2" if source.item else None,
}


def _licences(guest: Guest) -> Iterable[int]:
    """Windows lists many products without a key; one has it, unless there is none at all."""
    return (0, 1) if guest.inside.licence_status is not None else (0,)


def _folders(guest: Guest) -> Iterable[tuple[str, str]]:
    """Parent and name of the folders below C:\\Packages that the account sees."""
    versions = guest.inside.extension_versions
    if versions is None:
        return []
    found = [(_PLUGINS, "microsoft.cplat.core.windowspatchextension"), (_PLUGINS, "microsoft.compute.vmaccessagent")]
    if versions:
        found.append((_PLUGINS, _EXTENSION))
        below = f"{_PLUGINS}{_EXTENSION}\\"
        found += [(below, version) for version in versions]
        found += [(f"{below}{version}\\", "status") for version in versions]
    return found


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _suffix(name: str) -> str:
    return name.rpartition(".")[2] if "." in name else ""


_DIRECTORY: Mapping[str, Property] = {
    "Drive": "c:",
    "Extension": lambda source: _suffix(source.item[1]),
    "FileName": lambda source: _stem(source.item[1]),
    "FileType": "File Folder",
    "Name": lambda source: f"c:{source.item[0]}{source.item[1]}",
    "Path": lambda source: source.item[0],
}


def _files(guest: Guest) -> Iterable[tuple[str, str, datetime]]:
    """Folder, name and time of the extension's files; only its newest version still reports."""
    versions, reported = guest.inside.extension_versions, guest.inside.extension_reported
    if not versions:
        return []
    newest = max(versions, key=lambda version: [int(part) for part in version.split(".")])
    folder = f"{_PLUGINS}{_EXTENSION}\\{newest}\\"
    files = [(folder, "handlermanifest.json", guest.booted_at)]
    if reported is not None:
        files += [(f"{folder}status\\", "0.status", reported - timedelta(days=1))]
        files += [(f"{folder}status\\", "1.status", reported)]
    return files


_DATA_FILE: Mapping[str, Property] = {
    "Drive": "c:",
    "Extension": lambda source: _suffix(source.item[1]),
    "FileName": lambda source: _stem(source.item[1]),
    "FileSize": 412,
    "LastModified": lambda source: source.item[2] + timedelta(seconds=source.guest.clock_skew_seconds),
    "Name": lambda source: f"c:{source.item[0]}{source.item[1]}",
    "Path": lambda source: source.item[0],
}


def _cluster_name(source: Source) -> str:
    return source.guest.inside.cluster_name or ""


_CLUSTER: Mapping[str, Property] = {
    "Caption": _cluster_name,
    "Fqdn": lambda source: f"{source.guest.inside.cluster_name}.{source.guest.inside.domain}",
    "Name": _cluster_name,
}

_GROUP: Mapping[str, Property] = {
    "Caption": lambda source: source.item,
    "Name": lambda source: source.item,
    "OwnerNode": lambda source: source.guest.inside.cluster_owner_node,
    "State": 0,
}

CLASSES: tuple[CimClass, ...] = (
    CimClass(CIMV2, "Win32_LogicalDisk", _LOGICAL_DISK, ("DeviceID",), items=lambda _guest: ("C:", "D:")),
    CimClass(CIMV2, "Win32_NTLogEvent", _LOG, ("Logfile", "RecordNumber"), items=_log),
    CimClass(CIMV2, "SoftwareLicensingProduct", _LICENCE, ("ID",), items=_licences),
    CimClass(CIMV2, "Win32_Directory", _DIRECTORY, ("Name",), items=_folders),
    CimClass(CIMV2, "CIM_DataFile", _DATA_FILE, ("Name",), items=_files),
    CimClass(CLUSTER, "MSCluster_Cluster", _CLUSTER, ("Name",)),
    CimClass(
        CLUSTER,
        "MSCluster_ResourceGroup",
        _GROUP,
        ("Name",),
        items=lambda _guest: ("Available Storage", "Cluster Group", "SQL Server (MSSQLSERVER)"),
    ),
)


def hidden_from(guest: Guest, namespace: str) -> bool:
    """Whether a guest lacks a namespace that others have: failover clustering is a feature of its own."""
    return namespace.lower() == CLUSTER.lower() and guest.inside.cluster_name is None
