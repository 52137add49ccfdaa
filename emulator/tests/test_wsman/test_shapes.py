# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shapes on the wire, byte by byte where prefixes and namespaces matter to clients in the field.

Written after what captures of Windows Server 2003 to 2012 show: which namespace rows, items and the end carry.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from winrm.exceptions import WSManFaultError
from winrm.transport import Transport
from wsman_support import CIMV2, WMI, Client, Guests, context_of

from hotpatch_emulator.wsman import names

WSMAN_URI, ENUMERATION_URI = names.WSMAN, names.ENUMERATION


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The raw text of every answer pywinrm receives."""
    answers: list[str] = []
    send = Transport.send_message

    def note(self: Transport, message: str) -> bytes:
        answer: bytes = send(self, message)
        answers.append(answer.decode())
        return answer

    monkeypatch.setattr(Transport, "send_message", note)
    return answers


def test_projection_of_one_row(guests: Guests, client: Client, wire: list[str]) -> None:
    guests.guest().booted_at = datetime(2026, 5, 1, 10, 0, 0, 500000, tzinfo=timezone.utc)
    client.enumerate(
        "select CSName, csdversion, Description, LastBootUpTime, Primary, muilanguages from win32_operatingsystem"
    )
    (answer,) = wire
    assert (
        "<n:EnumerateResponse><n:EnumerationContext></n:EnumerationContext><w:Items>"
        f'<w:XmlFragment xmlns:xsi="{names.XSI}" xmlns:w="{WSMAN_URI}">'
        '<CSDVersion xsi:nil="true"/><CSName>WEB01</CSName><Description></Description>'
        "<LastBootUpTime><Datetime>2026-05-01T10:01:30.5Z</Datetime></LastBootUpTime>"
        "<MUILanguages>en-US</MUILanguages><Primary>true</Primary></w:XmlFragment></w:Items>"
        "<w:EndOfSequence/></n:EnumerateResponse>"
    ) in answer
    assert f'xmlns:n="{ENUMERATION_URI}"' in answer and f'xmlns:w="{WSMAN_URI}"' in answer


def test_typed_row(guests: Guests, client: Client, wire: list[str]) -> None:
    guests.guest().booted_at = datetime(2026, 5, 1, 10, 0, 0, tzinfo=timezone.utc)
    client.enumerate("select * from Win32_OperatingSystem")
    (answer,) = wire
    uri = WMI + "root/cimv2/Win32_OperatingSystem"
    assert re.search(
        rf'<w:Items><p:Win32_OperatingSystem xmlns:xsi="[^"]+" xmlns:p="{re.escape(uri)}" xmlns:cim="{names.CIM}" '
        r'xsi:type="p:Win32_OperatingSystem_Type"><p:BootDevice>',
        answer,
    )
    assert "<p:LastBootUpTime><cim:Datetime>2026-05-01T10:01:30Z</cim:Datetime></p:LastBootUpTime>" in answer
    assert '<p:CSDVersion xsi:nil="true"/>' in answer
    assert "<p:Description></p:Description>" in answer


def test_repeated_elements(client: Client, wire: list[str]) -> None:
    client.enumerate("select Roles from Win32_ComputerSystem")
    assert "<Roles>LM_Workstation</Roles><Roles>LM_Server</Roles><Roles>NT</Roles>" in wire[0]
    client.enumerate(
        "select VirtualMachineIsolation, VirtualMachineIsolationProperties from Win32_DeviceGuard",
        WMI + "root/microsoft/windows/deviceguard/*",
    )
    assert "<VirtualMachineIsolation>false</VirtualMachineIsolation></w:XmlFragment>" in wire[1]


def test_items_and_the_end_change_their_namespace_between_enumerate_and_pull(client: Client, wire: list[str]) -> None:
    client.pull(context_of(client.enumerate("select Name from Win32_Service")))
    first, second = wire
    assert re.search(
        r"<n:EnumerateResponse><n:EnumerationContext>uuid:[0-9A-F-]{36}</n:EnumerationContext>"
        r"<w:Items><w:XmlFragment [^>]+><Name>[^<]+</Name></w:XmlFragment></w:Items></n:EnumerateResponse>",
        first,
    )
    assert re.search(r"<n:PullResponse><n:Items><w:XmlFragment .+</n:Items><n:EndOfSequence/></n:PullResponse>", second)


def test_nothing_found(client: Client, wire: list[str]) -> None:
    client.enumerate("select Name from Win32_Service where Name='nosuch'")
    assert (
        "<n:EnumerateResponse><n:EnumerationContext></n:EnumerationContext><w:EndOfSequence/></n:EnumerateResponse>"
        in wire[0]
    )


def test_method_output(client: Client, wire: list[str]) -> None:
    uri = WMI + "root/default/StdRegProv"
    key = r"SYSTEM\CurrentControlSet\Control\DeviceGuard"
    client.invoke(uri, "GetDWORDValue", sSubKeyName=key, sValueName="EnableVirtualizationBasedSecurity")
    client.invoke(uri, "GetDWORDValue", sSubKeyName=key, sValueName="Nonsense")
    for answer in wire:
        assert f"<a:Action>{uri}/GetDWORDValueResponse</a:Action>" in answer
        assert re.search(rf'<p:GetDWORDValue_OUTPUT xmlns:xsi="[^"]+" xmlns:p="{re.escape(uri)}"', answer)
    assert "<p:uValue>1</p:uValue><p:ReturnValue>0</p:ReturnValue></p:GetDWORDValue_OUTPUT>" in wire[0]
    assert '<p:uValue xsi:nil="true"/><p:ReturnValue>1</p:ReturnValue>' in wire[1]


def fault(client: Client, wql: str, uri: str = CIMV2) -> WSManFaultError:
    with pytest.raises(WSManFaultError) as caught:
        client.enumerate(wql, uri)
    return caught.value


@pytest.mark.parametrize(
    ("wql", "namespace", "subcode", "hresult", "status"),
    [
        ("SELECT * FROM Nonsense", "root/cimv2", "n:CannotProcessFilter", 0x80041010, 5),
        ("SELECT Nonsense FROM Win32_Service", "root/cimv2", "n:CannotProcessFilter", 0x80041017, 15),
        ("SELEKT", "root/cimv2", "n:CannotProcessFilter", 0x80041017, 15),
        ("SELECT * FROM Win32_Service", "root/nonsense", "a:DestinationUnreachable", 0x8004100E, 3),
        ("SELECT * FROM Win32_DeviceGuard", "root/cimv2", "n:CannotProcessFilter", 0x80041010, 5),
    ],
)
def test_wmi_errors_of_winrm_3(
    guests: Guests, client: Client, wql: str, namespace: str, subcode: str, hresult: int, status: int
) -> None:
    error = fault(client, wql, f"{WMI}{namespace}/*")
    assert (error.code, error.fault_subcode, error.wmierror_code) == (500, subcode, hresult)
    assert f'<p:MessageID xsi:type="cim:cimString">HRESULT 0x{hresult:08x}</p:MessageID>' in error.response
    assert f'<p:CIMStatusCode xsi:type="cim:cimUnsignedInt">{status}</p:CIMStatusCode>' in error.response
    guests.behave(dialect="wmi_namespaced")
    error = fault(client, wql, f"{WMI}{namespace}/*")
    assert error.wmierror_code is None  # pywinrm knows the DMTF namespace only
    assert f'xmlns:p="{WMI}{namespace}/MSFT_WmiError"' in error.response


def test_wmi_errors_of_winrm_2(guests: Guests, client: Client) -> None:
    guests.behave(dialect="wsman")
    error = fault(client, "SELECT * FROM Nonsense")
    assert (error.fault_code, error.fault_subcode, error.wsman_fault_code) == (
        "s:Sender",
        "n:CannotProcessFilter",
        2150858778,
    )
    assert "The specified class does not exist in the given namespace. " in error.response
    assert "<p:ParameterInfo>SELECT * FROM Nonsense</p:ParameterInfo>" in error.response
    assert 'Machine="web01"' in error.response
    error = fault(client, "SELECT * FROM Win32_Service", WMI + "root/nonsense/*")
    assert error.wsman_fault_code == 2150859010


def test_access_denied_by_namespace(guests: Guests, client: Client) -> None:
    uri = WMI + "root/Microsoft/Windows/DeviceGuard/*"
    for dialect, code in (("wmi", None), ("wsman", 5)):
        guests.behave(dialect=dialect, denied_namespaces=["root/Microsoft/Windows/DeviceGuard"])
        error = fault(client, "SELECT * FROM Win32_DeviceGuard", uri)
        assert (error.fault_subcode, error.wsman_fault_code) == ("w:AccessDenied", code)
    assert len(client.rows("SELECT Name FROM Win32_ComputerSystem")) == 1
    guests.behave(denied_namespaces=["root/cimv2"])
    with pytest.raises(WSManFaultError) as caught:
        client.invoke(WMI + "root/cimv2/StdRegProv", "EnumKey", sSubKeyName="SOFTWARE")
    assert caught.value.wmierror_code == 0x80041003


def test_unknown_methods_classes_actions_and_resources(client: Client) -> None:
    registry = WMI + "root/cimv2/StdRegProv"
    cases = [
        (registry + "/DeleteKey", registry, "a:ActionNotSupported", 0x8004102E),
        (WMI + "root/cimv2/Nonsense/Run", WMI + "root/cimv2/Nonsense", "a:DestinationUnreachable", 0x80041010),
        (names.TRANSFER + "/Put", registry, "a:ActionNotSupported", 0x80338013),
        (names.GET, "http://example.org/nothing", "a:DestinationUnreachable", 0x8033803B),
        (names.ENUMERATE, registry, "w:SchemaValidationError", 0x80338041),  # without a body
    ]
    for action, uri, subcode, code in cases:
        with pytest.raises(WSManFaultError) as caught:
            client.send(action, uri, None)
        assert (caught.value.fault_subcode, caught.value.wmierror_code or caught.value.wsman_fault_code) == (
            subcode,
            code,
        )


def test_wql_needs_the_star_resource_and_its_own_dialect(client: Client) -> None:
    assert fault(client, "SELECT * FROM Win32_Service", WMI + "root/cimv2/Win32_Service").wsman_fault_code == 0x8033803B
    body = {"n:Enumerate": {"w:Filter": {"@Dialect": "http://www.w3.org/TR/1999/REC-xpath-19991116", "#text": "a"}}}
    with pytest.raises(WSManFaultError) as caught:
        client.send(names.ENUMERATE, CIMV2, body)
    assert caught.value.fault_subcode == "n:FilterDialectRequestedUnavailable"
    rows = client.enumerate(None, WMI + "root/cimv2/Win32_ComputerSystem")  # a class without a filter is fine
    assert "WEB01" in [node.text for node in rows.iter()]


def test_method_parameters_are_checked(client: Client) -> None:
    uri = WMI + "root/cimv2/StdRegProv"
    bodies = {
        "no parameters element": None,
        "foreign namespace": {"p:EnumKey_INPUT": {"@xmlns:p": WMI + "root/default/StdRegProv", "p:sSubKeyName": "a"}},
        "other method": {"p:EnumValues_INPUT": {"@xmlns:p": uri, "p:sSubKeyName": "a"}},
        "hive is no number": {"p:EnumKey_INPUT": {"@xmlns:p": uri, "p:hDefKey": "HKLM", "p:sSubKeyName": "a"}},
        "key is missing": {"p:EnumKey_INPUT": {"@xmlns:p": uri, "p:hDefKey": "2147483650"}},
    }
    for body in bodies.values():
        with pytest.raises(WSManFaultError) as caught:
            client.send(uri + "/EnumKey", uri, body)
        assert caught.value.fault_subcode in ("w:SchemaValidationError", "w:InvalidParameter")


def test_no_shell_is_opened(client: Client) -> None:
    with pytest.raises(WSManFaultError, match="remote shell") as caught:
        client.protocol.open_shell()
    assert (caught.value.fault_subcode, caught.value.wsman_fault_code) == ("w:AccessDenied", 0x803381AC)
