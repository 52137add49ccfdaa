# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a foreign client meets beyond patches: roles, folders, events, licences; and writing, and restarting."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from winrm.exceptions import WSManFaultError
from wsman_support import WMI, Client, Guests, value_of

from hotpatch_emulator.inside import LogEvent

REGISTRY = WMI + "root/cimv2/StdRegProv"
OPERATING_SYSTEM = WMI + "root/cimv2/Win32_OperatingSystem"
HKLM = 2147483650
DEVICE_GUARD = r"SYSTEM\CurrentControlSet\Control\DeviceGuard"
PLUGINS = r"\\packages\\plugins\\"


def invoke(client: Client, method: str, uri: str = REGISTRY, **arguments: Any) -> dict[str, str | None]:
    return {child.tag.rpartition("}")[2]: value_of(child) for child in client.invoke(uri, method, **arguments)}


def registry(client: Client, method: str, key: str, **arguments: Any) -> dict[str, str | None]:
    return invoke(client, method, hDefKey=HKLM, sSubKeyName=key, **arguments)


def test_a_value_is_set_and_read_back(guests: Guests, client: Client) -> None:
    """The audit log holds it; the key must be there, or be made first."""
    assert registry(client, "SetDWORDValue", r"SOFTWARE\Nobody", sValueName="A", uValue=5) == {"ReturnValue": "2"}
    assert registry(client, "CreateKey", r"SOFTWARE\Nobody") == {"ReturnValue": "0"}
    assert registry(client, "SetDWORDValue", r"SOFTWARE\Nobody", sValueName="A", uValue=5) == {"ReturnValue": "0"}
    assert registry(client, "SetStringValue", r"SOFTWARE\Nobody", sValueName="B", sValue="x y") == {"ReturnValue": "0"}
    assert registry(client, "GetDWORDValue", r"software\NOBODY", sValueName="a") == {"uValue": "5", "ReturnValue": "0"}
    assert registry(client, "GetStringValue", r"SOFTWARE\Nobody", sValueName="B")["sValue"] == "x y"
    lines = [line for line in guests.audit.lines() if line["kind"] == "state"]
    assert [(line["key"], line.get("name"), line.get("data")) for line in lines] == [
        (r"SOFTWARE\Nobody", None, None),
        (r"SOFTWARE\Nobody", "A", 5),
        (r"SOFTWARE\Nobody", "B", "x y"),
    ]


def test_writing_is_refused_where_reading_is(guests: Guests, client: Client) -> None:
    guests.listeners.faults.set(guests.guest().address, {"denied_keys": [DEVICE_GUARD]})
    name = "EnableVirtualizationBasedSecurity"
    assert registry(client, "CreateKey", DEVICE_GUARD) == {"ReturnValue": "5"}
    assert registry(client, "SetDWORDValue", DEVICE_GUARD, sValueName=name, uValue=1) == {"ReturnValue": "5"}
    with pytest.raises(WSManFaultError):
        registry(client, "SetDWORDValue", r"SOFTWARE\Microsoft", sValueName=name, uValue=2**32)
    assert not [line for line in guests.audit.lines() if line["kind"] == "state"]


def reboot(guests: Guests, client: Client, **behaviour: Any) -> list[dict[str, Any]]:
    guests.listeners.faults.set(guests.guest().address, behaviour)
    assert invoke(client, "Reboot", OPERATING_SYSTEM)["ReturnValue"] == ("0" if not behaviour else "2147749986")
    for _ in range(50):
        lines = [line for line in guests.audit.lines() if line["kind"] == "restart"]
        if lines or behaviour:
            return lines
        time.sleep(0.1)
    return []


@pytest.mark.parametrize(("secure_boot", "status"), [(True, 2), (False, 1)])
def test_a_restart_from_inside(guests: Guests, client: Client, secure_boot: bool, status: int) -> None:
    """The answer goes out first; virtualization-based security that was asked for begins with the boot."""
    guest = guests.guest()
    guest.vbs_status, guest.inside.secure_boot = 0, secure_boot
    registry(client, "SetDWORDValue", DEVICE_GUARD, sValueName="EnableVirtualizationBasedSecurity", uValue=1)
    assert guest.vbs_status == 0
    (line,) = reboot(guests, client)
    assert line["cause"] == "guest" and guest.vbs_status == status
    assert guest.down_until is not None and guest.down_until > guests.clock.now()


def test_a_restart_that_the_account_may_not_make(guests: Guests, client: Client) -> None:
    booted = guests.guest().booted_at
    assert reboot(guests, client, reboot="refused") == [] and guests.guest().booted_at == booted


def test_a_guest_without_clustering_has_no_such_namespace(guests: Guests, client: Client) -> None:
    uri = WMI + "root/MSCluster/*"
    with pytest.raises(WSManFaultError, match=r"8004100[eE]|2147749902|namespace"):
        client.rows("SELECT Name FROM MSCluster_Cluster", uri)
    guests.guest().inside.cluster_name, guests.guest().inside.cluster_owner_node = "CLU", "DB02"
    assert client.rows("SELECT Name FROM MSCluster_Cluster", uri) == [{"Name": "CLU"}]
    assert client.rows("SELECT OwnerNode FROM MSCluster_ResourceGroup WHERE Name='Cluster Group'", uri) == [
        {"OwnerNode": "DB02"}
    ]


def test_folders_and_files_of_the_extension(guests: Guests, client: Client) -> None:
    inside = guests.guest().inside
    inside.extension_versions, inside.extension_reported = ("1.0.9.2", "1.0.10.1"), guests.clock.now()
    rows = client.rows(f"SELECT Name FROM Win32_Directory WHERE Drive='c:' AND Path='{PLUGINS}'")
    assert r"c:\packages\plugins\microsoft.cplat.core.windowshotpatch" in [row["Name"] for row in rows]
    path = PLUGINS + r"microsoft.cplat.core.windowshotpatch\\1.0.10.1\\status\\"
    files = client.rows(f"SELECT FileName,Extension FROM CIM_DataFile WHERE Path='{path}'")
    assert [row["Extension"] for row in files] == ["status", "status"]
    inside.extension_versions = None
    assert client.rows(f"SELECT Name FROM Win32_Directory WHERE Path='{PLUGINS}'") == []


def test_events_are_found_by_source_and_time(guests: Guests, client: Client) -> None:
    now = guests.clock.now()
    guests.guest().inside.log = (
        LogEvent(now - timedelta(hours=1), 20, ("0x80072EE2", "An update")),
        LogEvent(now - timedelta(days=9), 19, ("An older one",)),
    )
    since = "SourceName='Microsoft-Windows-WindowsUpdateClient' AND TimeGenerated>'20260506010000.000000+000'"
    rows = client.rows(f"SELECT EventCode FROM Win32_NTLogEvent WHERE Logfile='System' AND {since}")
    assert rows == [{"EventCode": "20"}]


def test_only_the_product_with_a_key_is_licensed(guests: Guests, client: Client) -> None:
    query = "SELECT LicenseStatus FROM SoftwareLicensingProduct WHERE PartialProductKey IS NOT NULL"
    assert client.rows(query) == [{"LicenseStatus": "1"}]
    guests.guest().inside.licence_status = None
    assert client.rows(query) == []
