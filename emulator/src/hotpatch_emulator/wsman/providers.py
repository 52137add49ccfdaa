# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WMI classes a guest answers for, projected from its state.

Property names, their order (WMI's own, alphabetical here) and their types follow Microsoft's class references; what
the emulator has no state for is left NULL, as Windows leaves much of it. Times that the guest tells are its own: true
emulated time plus its clock's skew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hotpatch_emulator.wsman import names, registry, system_classes
from hotpatch_emulator.wsman.cim import Call, CimClass, Property, Source, Value

if TYPE_CHECKING:
    from hotpatch_emulator.state import Guest

CIMV2 = "root/cimv2"


def own_time(guest: Guest, moment: datetime) -> datetime:
    """What the guest's clock showed at a true moment."""
    return moment + timedelta(seconds=guest.clock_skew_seconds)


def _host_name(source: Source) -> str:
    return source.guest.computer_name.upper()


def _installed_at(source: Source) -> Value:
    first = min(source.guest.kbs.values(), default=source.guest.booted_at)
    return own_time(source.guest, first) - timedelta(days=1)


_OPERATING_SYSTEM: Mapping[str, Property] = {
    "BootDevice": r"\Device\HarddiskVolume1",
    "BuildNumber": lambda source: str(source.guest.os_build),
    "BuildType": "Multiprocessor Free",
    "Caption": lambda source: source.guest.caption,
    "CodeSet": "1252",
    "CountryCode": "1",
    "CreationClassName": "Win32_OperatingSystem",
    "CSCreationClassName": "Win32_ComputerSystem",
    "CSDVersion": None,
    "CSName": _host_name,
    "CurrentTimeZone": lambda source: source.guest.utc_offset_minutes,
    "Debug": False,
    "Description": "",
    "FreePhysicalMemory": lambda source: source.guest.free_memory_kb,
    "InstallDate": _installed_at,
    "LastBootUpTime": lambda source: own_time(source.guest, source.guest.booted_at),
    "LocalDateTime": lambda source: own_time(source.guest, source.now),
    "Locale": "0409",
    "Manufacturer": "Microsoft Corporation",
    "MUILanguages": ("en-US",),
    "Name": lambda source: source.guest.caption + r"|C:\Windows|\Device\Harddisk0\Partition4",
    "NumberOfProcesses": 112,
    "OperatingSystemSKU": lambda source: source.guest.edition_sku,
    "Organization": "",
    "OSArchitecture": "64-bit",
    "OSLanguage": 1033,
    "OSType": 18,
    "OtherTypeDescription": None,
    "Primary": True,
    "ProductType": 3,
    "ServicePackMajorVersion": 0,
    "ServicePackMinorVersion": 0,
    "Status": "OK",
    "SystemDirectory": r"C:\Windows\system32",
    "SystemDrive": "C:",
    "TotalVisibleMemorySize": lambda source: source.guest.total_memory_kb,
    "Version": lambda source: f"10.0.{source.guest.os_build}",
    "WindowsDirectory": r"C:\Windows",
}


def _updates(guest: Guest) -> Iterable[tuple[str, datetime]]:
    return ((kb, own_time(guest, installed)) for kb, installed in guest.kbs.items())


# InstalledOn is text in the US date form.
_HOTFIX: Mapping[str, Property] = {
    "Caption": lambda source: f"https://support.microsoft.com/help/{source.item[0].removeprefix('KB')}",
    "CSName": _host_name,
    "Description": "Security Update",
    "FixComments": "",
    "HotFixID": lambda source: source.item[0],
    "InstallDate": None,
    "InstalledBy": r"NT AUTHORITY\SYSTEM",
    "InstalledOn": lambda source: "{0.month}/{0.day}/{0.year}".format(source.item[1]),
    "Name": None,
    "ServicePackInEffect": "",
    "Status": None,
}

_COMPUTER_SYSTEM: Mapping[str, Property] = {
    "BootupState": "Normal boot",
    "Caption": _host_name,
    "CreationClassName": "Win32_ComputerSystem",
    "CurrentTimeZone": lambda source: source.guest.utc_offset_minutes,
    "DNSHostName": lambda source: source.guest.computer_name,
    "Domain": lambda source: source.guest.inside.domain,
    "DomainRole": lambda source: source.guest.inside.domain_role,
    "HypervisorPresent": True,
    "Manufacturer": "Microsoft Corporation",
    "Model": "Virtual Machine",
    "Name": _host_name,
    "NumberOfLogicalProcessors": 2,
    "NumberOfProcessors": 1,
    "PartOfDomain": lambda source: source.guest.inside.domain_role in (1, 3, 4, 5),
    "Roles": ("LM_Workstation", "LM_Server", "NT", "Server_NT"),
    "Status": "OK",
    "SystemType": "x64-based PC",
    "TotalPhysicalMemory": lambda source: source.guest.total_memory_kb * 1024,
    "UserName": None,
    "Workgroup": lambda source: None if source.guest.inside.domain_role in (1, 3, 4, 5) else source.guest.inside.domain,
}

_PRODUCT: Mapping[str, Property] = {
    "Caption": "Computer System Product",
    "Description": "Computer System Product",
    "IdentifyingNumber": "0000-0000-0000-0000-0000-0000-00",
    "Name": "Virtual Machine",
    "SKUNumber": None,
    "UUID": lambda source: source.guest.smbios_uuid,
    "Vendor": "Microsoft Corporation",
    "Version": "Hyper-V UEFI Release v4.1",
}

_SERVICE_NAMES = {
    "himds": "Azure Hybrid Instance Metadata Service",
    "TrustedInstaller": "Windows Modules Installer",
    "WindowsAzureGuestAgent": "Windows Azure Guest Agent",
    "WinRM": "Windows Remote Management (WS-Management)",
    "wuauserv": "Windows Update",
}


def _services(guest: Guest) -> Iterable[tuple[str, str]]:
    """Name and state of each service."""
    return sorted(guest.services.items(), key=lambda item: item[0].lower())


def _runs(source: Source) -> bool:
    return bool(source.item[1] == "Running")


def _display_name(source: Source) -> str:
    return _SERVICE_NAMES.get(source.item[0], str(source.item[0]))


def _start_mode(source: Source) -> str:
    return source.guest.inside.service_start_modes.get(source.item[0], "Auto" if _runs(source) else "Manual")


_SERVICE: Mapping[str, Property] = {
    "AcceptPause": False,
    "AcceptStop": _runs,
    "Caption": _display_name,
    "CreationClassName": "Win32_Service",
    "DelayedAutoStart": False,
    "Description": _display_name,
    "DesktopInteract": False,
    "DisplayName": _display_name,
    "ErrorControl": "Normal",
    "ExitCode": lambda source: 0 if _runs(source) else 1077,  # ERROR_SERVICE_NEVER_STARTED
    "InstallDate": None,
    "Name": lambda source: source.item[0],
    "PathName": lambda source: rf"C:\Windows\system32\svchost.exe -k netsvcs -p -s {source.item[0]}",
    "ServiceType": "Share Process",
    "Started": _runs,
    "StartMode": _start_mode,
    "StartName": "LocalSystem",
    "State": lambda source: source.item[1],
    "Status": "OK",
    "SystemCreationClassName": "Win32_ComputerSystem",
    "SystemName": _host_name,
}

_PROCESSOR: Mapping[str, Property] = {
    "Caption": None,
    "Description": None,
    "Name": lambda source: source.item,
    "PercentIdleTime": lambda source: max(0, 100 - source.guest.cpu_percent),
    "PercentProcessorTime": lambda source: source.guest.cpu_percent,
}

_DEVICE_GUARD: Mapping[str, Property] = {
    # 2 is Secure Boot, 3 protection of DMA; a machine of the first generation has neither.
    "AvailableSecurityProperties": lambda source: (1, 2, 3, 5, 6, 7) if source.guest.inside.secure_boot else (1, 5),
    "CodeIntegrityPolicyEnforcementStatus": 0,
    "InstanceIdentifier": "4ff40742-2649-41b8-bdd1-e80fad1cce80",
    "RequiredSecurityProperties": lambda source: (1,) if source.guest.vbs_configured else (0,),
    "SecurityServicesConfigured": (0,),
    "SecurityServicesRunning": lambda source: (2,) if source.guest.vbs_status == 2 else (0,),
    "UsermodeCodeIntegrityPolicyEnforcementStatus": 0,
    "Version": "1.0",
    "VirtualizationBasedSecurityStatus": lambda source: source.guest.vbs_status,
    "VirtualMachineIsolation": False,
    "VirtualMachineIsolationProperties": (),
}


def _pending_reboot(call: Call) -> Mapping[str, Value]:
    return {"PendingReboot": call.guest.pending_restart, "ReturnValue": 0}


def _reboot(call: Call) -> Mapping[str, Value]:
    """Win32_OperatingSystem.Reboot: 0 and down it goes, or the account may not."""
    if call.reboot == "refused":
        return {"ReturnValue": names.WBEM_PRIVILEGE_NOT_HELD}
    if call.deeds is not None:
        call.deeds.restart(silently=call.reboot == "silent")
    return {"ReturnValue": 0}


CLASSES: tuple[CimClass, ...] = (
    CimClass(
        CIMV2,
        "Win32_OperatingSystem",
        _OPERATING_SYSTEM,
        ("Name",),
        singleton=True,
        methods={"reboot": ("Reboot", _reboot)},
    ),
    CimClass(
        CIMV2,
        "Win32_QuickFixEngineering",
        _HOTFIX,
        ("CSName", "HotFixID", "InstalledOn", "ServicePackInEffect"),
        items=_updates,
    ),
    CimClass(CIMV2, "Win32_ComputerSystem", _COMPUTER_SYSTEM, ("Name",)),
    CimClass(CIMV2, "Win32_ComputerSystemProduct", _PRODUCT, ("IdentifyingNumber", "Name", "Version")),
    CimClass(CIMV2, "Win32_Service", _SERVICE, ("Name",), items=_services),
    CimClass(
        CIMV2,
        "Win32_PerfFormattedData_PerfOS_Processor",
        _PROCESSOR,
        ("Name",),
        items=lambda _guest: ("0", "1", "_Total"),
    ),
    CimClass("root/Microsoft/Windows/DeviceGuard", "Win32_DeviceGuard", _DEVICE_GUARD, ("InstanceIdentifier",)),
    CimClass(
        "root/Microsoft/Windows/WindowsUpdate",
        "MSFT_WUSettings",
        methods={"ispendingreboot": ("IsPendingReboot", _pending_reboot)},
    ),
    *system_classes.CLASSES,
    *registry.CLASSES,
)

_BY_NAME = {(item.namespace.lower(), item.name.lower()): item for item in CLASSES}
_NAMESPACES = {item.namespace.lower() for item in CLASSES}


def find(namespace: str, class_name: str) -> CimClass | None:
    """A class by namespace and name, whatever their case."""
    return _BY_NAME.get((namespace.lower(), class_name.lower()))


def has_namespace(guest: Guest, namespace: str) -> bool:
    return namespace.lower() in _NAMESPACES and not system_classes.hidden_from(guest, namespace)
