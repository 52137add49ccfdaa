# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest's registry and StdRegProv, the WMI class that reads and writes it.

Keys and values are built from the guest's state for every call, so they are never behind it; what clients wrote lies
over them. A value below a key that does not exist is not set: that key must be created first (inferred).
StdRegProv tells failures by ReturnValue, never by a fault: 0 done, 1 no such value, 2 no such key, 5 access denied,
6 no such hive, 0x80041005 the value has another type (Microsoft's StdRegProv reference; winerror.h).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hotpatch_emulator.inside import Data
from hotpatch_emulator.state import HOTPATCH_PACKAGE_NAME
from hotpatch_emulator.wsman import names
from hotpatch_emulator.wsman.cim import Call, CimClass, Method, Value
from hotpatch_emulator.wsman.soap_faults import wmi_fault

if TYPE_CHECKING:
    from hotpatch_emulator.state import Guest

SZ, EXPAND_SZ, BINARY, DWORD, MULTI_SZ, QWORD = 1, 2, 3, 4, 7, 11

NO_VALUE, NO_KEY, DENIED, NO_HIVE = 1, 2, 5, 6
HKLM = 0x80000002
_HIVES = {0x80000000, 0x80000001, HKLM, 0x80000003, 0x80000005}

CURRENT_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
HOTPATCH_PACKAGE = CURRENT_VERSION + r"\Update\TargetingInfo\DynamicInstalled\Hotpatch.amd64"
SESSION_MANAGER = r"SYSTEM\CurrentControlSet\Control\Session Manager"
MEMORY_MANAGEMENT = SESSION_MANAGER + r"\Memory Management"
DEVICE_GUARD = r"SYSTEM\CurrentControlSet\Control\DeviceGuard"
COMPONENT_SERVICING = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"
POLICIES = r"SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate"
SUBSCRIPTIONS = CURRENT_VERSION + r"\Subscriptions"
OVERRIDES = r"SYSTEM\CurrentControlSet\Policies\Microsoft\FeatureManagement\Overrides"
SQL_INSTANCES = r"SOFTWARE\Microsoft\Microsoft SQL Server\Instance Names\SQL"
AUTO_UPDATE = r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update"


@dataclass
class Key:
    """A registry key: values and subkeys by lower-case name, each with the name as it is spelled."""

    values: dict[str, tuple[str, int, Data]] = field(default_factory=dict)
    subkeys: dict[str, tuple[str, Key]] = field(default_factory=dict)

    def key(self, path: str) -> Key:
        """The key at a path below this one, made where it is missing."""
        key = self
        for part in path.split("\\"):
            key = key.subkeys.setdefault(part.lower(), (part, Key()))[1]
        return key

    def set(self, path: str, name: str, kind: int, data: Data) -> None:
        self.key(path).values[name.lower()] = (name, kind, data)

    def find(self, path: str) -> Key | None:
        """The key at a path, or None. Case does not matter; one trailing backslash is tolerated."""
        key = self
        for part in path.removesuffix("\\").split("\\") if path else ():
            found = key.subkeys.get(part.lower())
            if found is None:
                return None
            key = found[1]
        return key


def local_machine(guest: Guest) -> Key:
    """HKEY_LOCAL_MACHINE as the guest's state implies it."""
    root = Key()
    build = str(guest.os_build)
    for name, kind, data in (
        ("CurrentBuild", SZ, build),
        ("CurrentBuildNumber", SZ, build),
        ("CurrentMajorVersionNumber", DWORD, 10),
        ("CurrentMinorVersionNumber", DWORD, 0),
        ("CurrentVersion", SZ, "6.3"),
        ("DisplayVersion", SZ, guest.display_version),
        ("EditionID", SZ, guest.edition_id),
        ("InstallationType", SZ, "Server"),
        ("ProductName", SZ, guest.caption.removeprefix("Microsoft ")),
        ("SystemRoot", SZ, r"C:\Windows"),
        ("PathName", EXPAND_SZ, r"%SystemDrive%\Windows"),
        ("UBR", DWORD, guest.ubr),
    ):
        root.set(CURRENT_VERSION, name, kind, data)
    root.key(CURRENT_VERSION + r"\Update\TargetingInfo\DynamicInstalled")
    if guest.hotpatch_package_version is not None:
        root.set(HOTPATCH_PACKAGE, "Name", SZ, HOTPATCH_PACKAGE_NAME)
        root.set(HOTPATCH_PACKAGE, "Version", SZ, guest.hotpatch_package_version)
    root.set(MEMORY_MANAGEMENT, "PagingFiles", MULTI_SZ, (r"?:\pagefile.sys",))
    root.set(MEMORY_MANAGEMENT, "ClearPageFileAtShutdown", DWORD, 0)
    if guest.hotpatch_table_size is not None:
        root.set(MEMORY_MANAGEMENT, "HotPatchTableSize", DWORD, guest.hotpatch_table_size)
    count = max(guest.inside.pending_renames, 1 if guest.pending_restart else 0)
    if count:
        # An empty target deletes at boot.
        renames = tuple(text for number in range(count) for text in (rf"\??\C:\Windows\Temp\{number}.tmp", ""))
        root.set(SESSION_MANAGER, "PendingFileRenameOperations", MULTI_SZ, renames)
    root.key(DEVICE_GUARD)
    if guest.vbs_configured:
        root.set(DEVICE_GUARD, "EnableVirtualizationBasedSecurity", DWORD, 1)
        root.set(DEVICE_GUARD, "RequirePlatformSecurityFeatures", DWORD, 1)
    _servicing(root, guest)
    _beyond(root, guest)
    for path, values in guest.inside.written.items():
        root.key(path).values.update(values)
    return root


def _beyond(root: Key, guest: Guest) -> None:
    """Update policies, licensing and SQL Server."""
    inside = guest.inside
    for name, value in inside.update_policies.items():
        path, _, last = name.rpartition("\\")
        key = f"{POLICIES}\\{path}" if path else POLICIES
        root.set(key, last, DWORD if isinstance(value, int) else SZ, value)
    if inside.licensing_mutex is not None:
        root.key(SUBSCRIPTIONS)
    if inside.licensing_mutex:
        root.set(SUBSCRIPTIONS, "DeviceLicensingServiceCommandMutex", DWORD, 1)
    if inside.licensing_override is not None:
        root.set(OVERRIDES, "4264695439", DWORD, inside.licensing_override)
    for name in inside.sql_instances:
        root.set(SQL_INSTANCES, name, SZ, f"MSSQL16.{name}")


def _servicing(root: Key, guest: Guest) -> None:
    for subkey in ("ApplicabilityEvaluationCache", "ComponentDetect", "Packages", "SessionsPending"):
        root.key(f"{COMPONENT_SERVICING}\\{subkey}")
    for subkey in guest.cbs_keys:
        root.key(f"{COMPONENT_SERVICING}\\{subkey}")
    root.key(AUTO_UPDATE + r"\Results")
    for subkey in guest.wu_keys:
        root.key(f"{AUTO_UPDATE}\\{subkey}")
    root.set(AUTO_UPDATE, "IncludeRecommendedUpdates", DWORD, 1)
    root.set(SESSION_MANAGER + r"\Environment", "Path", EXPAND_SZ, r"%SystemRoot%\system32;%SystemRoot%")
    root.set(r"SYSTEM\CurrentControlSet\Control\Windows", "ShutdownTime", BINARY, (0, 128, 62, 213, 222, 177, 157, 1))
    root.set(CURRENT_VERSION, "InstallTime", QWORD, 133_400_000_000_000_000)


def _reader(kind: int, result: str) -> Method:
    """A Get...Value method for one registry type."""

    def read(call: Call) -> Mapping[str, Value]:
        key, code = _open(call)
        scripted = call.return_values.get(call.one("sValueName", "").lower())
        if scripted is not None:
            return {result: None, "ReturnValue": scripted}
        if key is None:
            return {result: None, "ReturnValue": code}
        found = key.values.get(call.one("sValueName", "").lower())
        if found is None:
            return {result: None, "ReturnValue": NO_VALUE}
        _name, actual, data = found
        if actual != kind:
            return {result: None, "ReturnValue": names.WBEM_TYPE_MISMATCH}
        return {result: _expanded(str(data)) if kind == EXPAND_SZ else data, "ReturnValue": 0}

    return read


def _expanded(value: str) -> str:
    for variable, content in (("%SystemRoot%", r"C:\Windows"), ("%SystemDrive%", "C:")):
        value = value.replace(variable, content)
    return value


def _enum_key(call: Call) -> Mapping[str, Value]:
    key, code = _open(call)
    if key is None:
        return {"sNames": None, "ReturnValue": code}
    return {"sNames": tuple(key.subkeys[lower][0] for lower in sorted(key.subkeys)), "ReturnValue": 0}


def _enum_values(call: Call) -> Mapping[str, Value]:
    key, code = _open(call)
    if key is None:
        return {"sNames": None, "Types": None, "ReturnValue": code}
    values = list(key.values.values())
    return {
        "sNames": tuple(name for name, _, _ in values),
        "Types": tuple(kind for _, kind, _ in values),
        "ReturnValue": 0,
    }


def _writer(kind: int, parameter: str, default: str) -> Method:
    """A Set...Value method for one registry type."""

    def write(call: Call) -> Mapping[str, Value]:
        key, code = _open(call)
        if key is None:
            return {"ReturnValue": code}
        text = call.one(parameter, default)
        if kind == DWORD and not (text.isdecimal() and int(text) < 2**32):
            raise wmi_fault(names.WBEM_INVALID_PARAMETER, "root/cimv2", "ExecMethod", f"{parameter} {text}")
        if call.deeds is not None:
            data: Data = int(text) if kind == DWORD else text
            call.deeds.write_value(call.one("sSubKeyName", ""), call.one("sValueName", ""), kind, data)
        return {"ReturnValue": 0}

    return write


def _create_key(call: Call) -> Mapping[str, Value]:
    key, code = _open(call)
    if code in (DENIED, NO_HIVE) and key is None:
        return {"ReturnValue": code}
    if call.deeds is not None:
        call.deeds.create_key(call.one("sSubKeyName", ""))
    return {"ReturnValue": 0}


def _open(call: Call) -> tuple[Key | None, int]:
    """The key that the arguments name, or None and the ReturnValue that says why not."""
    hive_text = call.one("hDefKey", str(HKLM))
    if not hive_text.isdecimal():
        raise wmi_fault(names.WBEM_INVALID_PARAMETER, "root/cimv2", "ExecMethod", f"hDefKey {hive_text}")
    if int(hive_text) not in _HIVES:
        return None, NO_HIVE
    if "ssubkeyname" not in call.arguments:
        raise wmi_fault(names.WBEM_INVALID_PARAMETER, "root/cimv2", "ExecMethod", "sSubKeyName")
    path = call.one("sSubKeyName", "")
    if any(f"{path.lower()}\\".startswith(f"{denied}\\") for denied in call.denied_keys):
        return None, DENIED
    root = local_machine(call.guest) if int(hive_text) == HKLM else Key()
    return root.find(path), NO_KEY


_METHODS = {
    "GetDWORDValue": _reader(DWORD, "uValue"),
    "GetQWORDValue": _reader(QWORD, "uValue"),
    "GetStringValue": _reader(SZ, "sValue"),
    "GetExpandedStringValue": _reader(EXPAND_SZ, "sValue"),
    "GetMultiStringValue": _reader(MULTI_SZ, "sValue"),
    "GetBinaryValue": _reader(BINARY, "uValue"),
    "SetDWORDValue": _writer(DWORD, "uValue", "3"),  # 3 is the MOF's own default
    "SetStringValue": _writer(SZ, "sValue", "hello"),
    "CreateKey": _create_key,
    "EnumKey": _enum_key,
    "EnumValues": _enum_values,
}

CLASSES = tuple(
    CimClass(namespace, "StdRegProv", methods={name.lower(): (name, method) for name, method in _METHODS.items()})
    for namespace in ("root/cimv2", "root/default")
)
