# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pywinrm meets when it reads a guest: facts, registry, paging, Get, Invoke, Identify."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree as ET

import pytest
import requests
from winrm.exceptions import InvalidCredentialsError, WSManFaultError
from wsman_support import ADDRESSING, CIMV2, ENUMERATION, SOAP, WMI, WSMAN, Client, Guests, context_of, items, value_of

REGISTRY = WMI + "root/cimv2/StdRegProv"
HKLM = 2147483650
CURRENT_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"
HOTPATCH = CURRENT_VERSION + r"\Update\TargetingInfo\DynamicInstalled\Hotpatch.amd64"
MEMORY = r"SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management"
SERVICING = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing"
AUTO_UPDATE = r"SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update"
Output = dict[str, list[str | None]]
GET = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"


def output(client: Client, method: str, key: str, value: str | None = None, uri: str = REGISTRY) -> Output:
    arguments = {"hDefKey": HKLM, "sSubKeyName": key}
    if value is not None:
        arguments["sValueName"] = value
    found: Output = {}
    for child in client.invoke(uri, method, **arguments):
        found.setdefault(child.tag.rpartition("}")[2], []).append(value_of(child))
    return found


def test_operating_system_tells_the_guests_own_time(guests: Guests, client: Client) -> None:
    guest = guests.guest()
    (row,) = client.rows(
        "SELECT BuildNumber,OperatingSystemSKU,LastBootUpTime,LocalDateTime FROM Win32_OperatingSystem"
    )
    assert row["BuildNumber"] == "26100"
    assert row["OperatingSystemSKU"] == str(guest.edition_sku)
    # the fixture's clock stands still and this guest is 90 seconds ahead
    assert row["LocalDateTime"] == "2026-05-13T01:01:30Z"
    booted = datetime.fromisoformat(str(row["LastBootUpTime"]).replace("Z", "+00:00"))
    assert booted - guest.booted_at == timedelta(seconds=90)
    guests.clock.advance(3600)
    (row,) = client.rows("SELECT LocalDateTime FROM Win32_OperatingSystem")
    assert row == {"LocalDateTime": "2026-05-13T02:01:30Z"}


def test_an_installation_shows_in_the_guest(guests: Guests, client: Client) -> None:
    wql = "SELECT HotFixID,InstalledOn FROM Win32_QuickFixEngineering WHERE HotFixID='KB5087423'"
    assert client.rows(wql) == []
    guests.guest().install("KB5087423", 32772, guests.clock.now())
    assert client.rows(wql) == [{"HotFixID": "KB5087423", "InstalledOn": "5/13/2026"}]
    assert output(client, "GetDWORDValue", CURRENT_VERSION, "UBR") == {"uValue": ["32772"], "ReturnValue": ["0"]}


def test_each_guest_answers_for_itself(guests: Guests) -> None:
    builds = {}
    for name in ("web01", "db01"):
        (row,) = Client(guests.protocol(name)).rows("SELECT BuildNumber,CSName FROM Win32_OperatingSystem")
        builds[row["CSName"]] = row["BuildNumber"]
    assert builds == {"WEB01": "26100", "DB01": "20348"}


def test_identity_load_and_device_guard(guests: Guests, client: Client) -> None:
    guest = guests.guest()
    assert client.rows("SELECT UUID FROM Win32_ComputerSystemProduct") == [{"UUID": guest.smbios_uuid}]
    guest.cpu_percent = 41
    load = "SELECT PercentProcessorTime FROM Win32_PerfFormattedData_PerfOS_Processor WHERE Name='_Total'"
    assert client.rows(load) == [{"PercentProcessorTime": "41"}]
    guest.vbs_status = 1
    status = "SELECT VirtualizationBasedSecurityStatus FROM Win32_DeviceGuard"
    assert client.rows(status, WMI + "root/Microsoft/Windows/DeviceGuard/*") == [
        {"VirtualizationBasedSecurityStatus": "1"}
    ]


@pytest.mark.parametrize("namespace", ["root/cimv2", "root/default", "ROOT/Default"])
def test_registry_reads(guests: Guests, client: Client, namespace: str) -> None:
    uri = f"{WMI}{namespace}/stdregprov"
    guest = guests.guest()
    assert output(client, "GetStringValue", HOTPATCH, "Name", uri)["sValue"] == ["Hotpatch Enrollment Package"]
    assert output(client, "GetStringValue", HOTPATCH, "version", uri)["sValue"] == [guest.hotpatch_package_version]
    assert output(client, "GetDWORDValue", MEMORY.upper(), "hotpatchtablesize", uri)["uValue"] == ["4096"]
    assert output(client, "GetQWORDValue", CURRENT_VERSION, "InstallTime", uri)["uValue"] == ["133400000000000000"]
    assert output(client, "GetExpandedStringValue", CURRENT_VERSION, "PathName", uri)["sValue"] == [r"C:\Windows"]
    assert output(client, "GetMultiStringValue", MEMORY, "PagingFiles", uri)["sValue"] == [r"?:\pagefile.sys"]


@pytest.mark.parametrize(
    ("method", "hive", "key", "value", "code"),
    [
        ("GetDWORDValue", HKLM, CURRENT_VERSION, "UBR", 0),
        ("GetDWORDValue", HKLM, CURRENT_VERSION, "Nonsense", 1),
        ("GetDWORDValue", HKLM, CURRENT_VERSION + r"\Nonsense", "UBR", 2),
        ("GetDWORDValue", HKLM, "\\" + CURRENT_VERSION, "UBR", 2),
        ("GetDWORDValue", HKLM, CURRENT_VERSION + "\\", "UBR", 0),
        ("GetDWORDValue", 2147483649, CURRENT_VERSION, "UBR", 2),
        ("GetDWORDValue", 42, CURRENT_VERSION, "UBR", 6),
        ("GetStringValue", HKLM, CURRENT_VERSION, "UBR", 0x80041005),
        ("GetDWORDValue", HKLM, CURRENT_VERSION, "EditionID", 0x80041005),
        ("GetMultiStringValue", HKLM, CURRENT_VERSION, "EditionID", 0x80041005),
    ],
)
def test_registry_return_values(client: Client, method: str, hive: int, key: str, value: str, code: int) -> None:
    answer = client.invoke(REGISTRY, method, hDefKey=hive, sSubKeyName=key, sValueName=value)
    found = {child.tag.rpartition("}")[2]: value_of(child) for child in answer}
    assert found["ReturnValue"] == str(code)
    assert (found.get("uValue", found.get("sValue")) is None) == (code != 0)


def test_a_closed_key_is_a_return_value(guests: Guests, client: Client) -> None:
    guests.behave(denied_keys=[CURRENT_VERSION.upper() + r"\Update"])
    for method, result in (("GetStringValue", {"sValue": [None]}), ("EnumKey", {"sNames": [None]})):
        assert output(client, method, HOTPATCH, "Name") == {**result, "ReturnValue": ["5"]}
    assert output(client, "GetDWORDValue", CURRENT_VERSION, "UBR")["ReturnValue"] == ["0"]


def test_pending_restart_shows_everywhere_and_ends_with_the_restart(guests: Guests) -> None:
    settings = WMI + "root/Microsoft/Windows/WindowsUpdate/MSFT_WUSettings"

    def look() -> tuple[object, ...]:
        client = Client(guests.protocol())
        (pending,) = (child.text for child in client.invoke(settings, "IsPendingReboot") if "Pending" in child.tag)
        return (
            pending,
            "RebootPending" in output(client, "EnumKey", SERVICING)["sNames"],
            "RebootRequired" in output(client, "EnumKey", AUTO_UPDATE)["sNames"],
            output(client, "GetDWORDValue", CURRENT_VERSION, "UBR")["uValue"],
        )

    before = look()
    assert before[:3] == ("false", False, False)
    guests.guest().install("KB5087423", 32772, guests.clock.now(), needs_restart=True)
    assert look() == ("true", True, True, before[3])
    guests.guest().restart(guests.clock.now(), 60)
    guests.clock.advance(61)
    assert look() == ("false", False, False, ["32772"])


def test_enum_values_gives_names_and_types_side_by_side(client: Client) -> None:
    found = output(client, "EnumValues", CURRENT_VERSION)
    types = dict(zip(found["sNames"], found["Types"], strict=True))
    assert (types["UBR"], types["EditionID"], types["InstallTime"], types["PathName"]) == ("4", "1", "11", "2")
    assert output(client, "EnumKey", CURRENT_VERSION)["sNames"] == ["Update"]
    assert output(client, "EnumKey", HOTPATCH) == {"ReturnValue": ["0"]}  # an empty array is left out


def test_first_answer_carries_one_row_and_pulls_stay_below_75_kb(guests: Guests, client: Client) -> None:
    guests.guest().services = {f"svc{number:04d}": "Running" for number in range(300)}
    answer = client.enumerate("SELECT * FROM Win32_Service")
    assert len(items(answer)) == 1
    names, sizes = [items(answer)[0].findtext("{*}Name")], []
    contexts = [context_of(answer)]
    while contexts[-1]:
        answer = client.pull(contexts[-1])
        sizes.append(sum(len(ET.tostring(row)) for row in items(answer)))
        names += [row.findtext("{*}Name") for row in items(answer)]
        contexts.append(context_of(answer))
    assert names == sorted(guests.guest().services)
    assert len(sizes) >= 4
    assert all(60_000 < size < 100_000 for size in sizes[:-1])  # the parser's own prefixes add some
    assert len(set(contexts)) == len(contexts)
    with pytest.raises(WSManFaultError, match="context"):
        client.pull(contexts[0])  # a context that was used up


def test_element_counts_are_honoured(guests: Guests, client: Client) -> None:
    guests.guest().services = {f"svc{number}": "Running" for number in range(9)}
    answer = client.enumerate("SELECT Name FROM Win32_Service", optimize=False)
    assert items(answer) == []
    answer = client.pull(context_of(answer), max_elements=4)
    assert len(items(answer)) == 4
    answer = client.pull(context_of(answer), max_elements=None)
    assert len(items(answer)) == 1
    answer = client.pull(context_of(answer))
    assert len(items(answer)) == 4 and context_of(answer) == ""


def test_release_ends_an_enumeration(client: Client) -> None:
    context = context_of(client.enumerate("SELECT Name FROM Win32_Service"))
    client.send(f"{ENUMERATION}/Release", CIMV2, {"n:Release": {"n:EnumerationContext": context}})
    with pytest.raises(WSManFaultError) as caught:
        client.pull(context)
    assert (caught.value.fault_subcode, caught.value.wsman_fault_code) == ("n:InvalidEnumerationContext", 0x8033801B)


def test_a_pull_must_name_the_same_resource(client: Client) -> None:
    context = context_of(client.enumerate("SELECT Name FROM Win32_Service"))
    with pytest.raises(WSManFaultError) as caught:
        client.pull(context, WMI + "root/default/*")
    assert caught.value.wsman_fault_code == 0x803381AD
    assert items(client.pull(context))


def test_envelope_size_is_respected(guests: Guests, client: Client) -> None:
    guests.guest().services = {f"svc{number}": "Running" for number in range(100)}
    answer = client.enumerate("SELECT * FROM Win32_Service", envelope_size=8192)
    answer = client.pull(context_of(answer), envelope_size=8192)
    assert len(items(answer)) > 1 and len(ET.tostring(answer)) < 8192
    with pytest.raises(WSManFaultError) as caught:
        client.enumerate("SELECT * FROM Win32_Service", envelope_size=2500)
    assert (caught.value.fault_subcode, caught.value.wsman_fault_code) == ("w:EncodingLimit", 0x80338035)


def test_get(client: Client) -> None:
    answer = client.send(GET, WMI + "root/cimv2/Win32_OperatingSystem", None)
    assert answer.find("{*}Body")[0].findtext("{*}BuildNumber") == "26100"  # type: ignore[index]
    answer = client.send(GET, WMI + "root/CIMV2/win32_service", None, selectors={"name": "WUAUSERV"})
    assert answer.find("{*}Body")[0].findtext("{*}Name") == "wuauserv"  # type: ignore[index]
    for selectors, code in (({}, 0x803380FA), ({"Colour": "red"}, 0x8033803D)):
        with pytest.raises(WSManFaultError) as caught:
            client.send(GET, WMI + "root/cimv2/Win32_Service", None, selectors=selectors)
        assert caught.value.wsman_fault_code == code
    with pytest.raises(WSManFaultError) as caught:
        client.send(GET, WMI + "root/cimv2/Win32_Service", None, selectors={"Name": "nosuch"})
    assert caught.value.wmierror_code == 0x80041002


def test_relates_to_and_action_answer_the_request(client: Client) -> None:
    answer = client.enumerate(
        "SELECT Name FROM Win32_ComputerSystem", message_id="11111111-2222-3333-4444-555555555555"
    )
    header = answer.find(f"{{{SOAP}}}Header")
    assert header is not None
    assert header.findtext(f"{{{ADDRESSING}}}RelatesTo") == "uuid:11111111-2222-3333-4444-555555555555"
    assert header.findtext(f"{{{ADDRESSING}}}Action") == f"{ENUMERATION}/EnumerateResponse"
    assert header.findtext(f"{{{ADDRESSING}}}MessageID", "").startswith("uuid:")
    assert answer.find(f".//{{{WSMAN}}}EndOfSequence") is not None


def test_wrong_password_and_foreign_account(guests: Guests) -> None:
    for options in ({"password": "wrong"}, {"username": "nobody"}, {"username": r"OTHERHOST\hotpatch-probe"}):
        with pytest.raises(InvalidCredentialsError):
            Client(guests.protocol(**options)).rows("SELECT Name FROM Win32_ComputerSystem")
    assert [line["status"] for line in guests.log()] == [401, 401, 401]
    own = guests.protocol(username=r"web01\HOTPATCH-PROBE")
    assert len(Client(own).rows("SELECT Name FROM Win32_ComputerSystem")) == 1


def test_challenge_names_basic(guests: Guests) -> None:
    answer = guests.http.post(guests.url(), data=b"", headers={"Content-Type": "application/soap+xml"}, timeout=10)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="WSMAN"')


def test_identify_tells_the_build_only_to_those_it_knows(guests: Guests) -> None:
    body = (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd">'
        "<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>"
    )
    guest = guests.guest()

    def product(auth: tuple[str, str] | None = None, **headers: str) -> str:
        headers["Content-Type"] = "application/soap+xml;charset=UTF-8"
        answer = guests.http.post(guests.url(), data=body, headers=headers, auth=auth, timeout=10)
        answer.raise_for_status()
        return ET.fromstring(answer.content).findtext(".//{*}ProductVersion") or ""

    assert product(WSMANIDENTIFY="unauthenticated") == "OS: 0.0.0 SP: 0.0 Stack: 3.0"
    assert product((guest.username, guest.password)) == "OS: 10.0.26100 SP: 0.0 Stack: 3.0"
    with pytest.raises(requests.HTTPError, match="401"):
        product()


def test_every_request_is_in_the_audit_log(guests: Guests, client: Client) -> None:
    client.rows("SELECT HotFixID FROM Win32_QuickFixEngineering")
    client.invoke(REGISTRY, "GetDWORDValue", hDefKey=HKLM, sSubKeyName=CURRENT_VERSION, sValueName="UBR")
    with pytest.raises(WSManFaultError):
        client.rows("SELECT * FROM Nonsense")
    log = guests.log()
    assert [line["status"] for line in log] == [200, 200, 200, 500]
    assert [line["action"].rpartition("/")[2] for line in log] == ["Enumerate", "Pull", "GetDWORDValue", "Enumerate"]
    assert log[0]["wql"] == "SELECT HotFixID FROM Win32_QuickFixEngineering"
    assert {(line["address"], line["machine"], line["resource_id"]) for line in log} == {
        (guests.guest().address, "web01", guests.machine().id)
    }
    assert log[2]["resource_uri"] == REGISTRY
    assert guests.guest().password not in guests.audit.path.read_text()


def test_due_events_happen_before_the_answer(guests: Guests, client: Client) -> None:
    guest = guests.guest()
    guests.due.append(lambda: guest.install("KB5087423", 32772, datetime.now(timezone.utc)))
    assert output(client, "GetDWORDValue", CURRENT_VERSION, "UBR")["uValue"] == ["32772"]
