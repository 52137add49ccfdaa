# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests that are down, restart or misbehave, requests that are hostile, and many guests at once."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError
from wsman_support import DOCUMENT, SOAP, WMI, Client, Guests, context_of, items

from hotpatch_emulator import config
from hotpatch_emulator.audit import Audit
from hotpatch_emulator.clock import EmulatedClock
from hotpatch_emulator.wsman.faults import Behaviour
from hotpatch_emulator.wsman.server import start_guests

EXTERNAL_ENTITY = '<!DOCTYPE s:Envelope [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
NAME = "SELECT CSName FROM Win32_OperatingSystem"


def reachable(guests: Guests, name: str = "web01") -> bool:
    try:
        return len(Client(guests.protocol(name)).rows(NAME)) == 1
    except requests.ConnectionError:
        return False


def post(guests: Guests, data: bytes, **options: object) -> requests.Response:
    guest = guests.guest()
    headers = {"Content-Type": str(options.pop("content_type", "application/soap+xml;charset=UTF-8"))}
    settings: dict[str, Any] = {"auth": (guest.username, guest.password), "timeout": 5, **options}
    return guests.http.post(guests.url(), data=data, headers=headers, **settings)


def test_a_guest_without_winrm_does_not_listen(guests: Guests) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((guests.guest("mute01").address, 5986), 2)


def test_a_restart_takes_the_guest_away_and_brings_it_back(guests: Guests) -> None:
    guest = guests.guest()
    client = Client(guests.protocol())
    context = context_of(client.enumerate("SELECT Name FROM Win32_Service"))
    guest.restart(guests.clock.now(), 120)
    for _ in range(2):
        assert not reachable(guests)
        guests.clock.advance(59)
    assert reachable(guests, "db01")
    guests.clock.advance(3)
    assert reachable(guests)
    time.sleep(0.3)  # an idle connection from before is dropped in the meantime
    with pytest.raises(WSManFaultError, match="context"):
        client.pull(context)  # enumerations do not outlive the restart


def test_a_connection_in_use_is_reset_when_the_guest_goes_down(guests: Guests) -> None:
    guests.behave(slow={"Win32_OperatingSystem": 3})
    guest = guests.guest()

    async def restart() -> None:
        await asyncio.sleep(0.5)
        guest.restart(guests.clock.now(), 600)

    asyncio.run_coroutine_threadsafe(restart(), guests.loop)
    started = time.monotonic()
    with pytest.raises(requests.ConnectionError):
        Client(guests.protocol()).rows(NAME)
    assert time.monotonic() - started < 2.5
    assert guests.log() == []


def test_power_off_and_on(guests: Guests) -> None:
    guest = guests.guest()
    guest.power_off()
    assert not reachable(guests)
    guest.power_on(guests.clock.now(), 30)
    assert not reachable(guests)
    guests.clock.advance(31)
    assert reachable(guests)


def test_the_certificate_is_the_guests_own(guests: Guests) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        guests.http.post(guests.url(), data=b"", timeout=5, verify=True)
    context = ssl.create_default_context(cafile=str(guests.ca_file))
    seen = {}
    for name in ("web01", "db01"):
        address = guests.guest(name).address
        with (
            socket.create_connection((address, 5986), 5) as raw,
            context.wrap_socket(raw, server_hostname=address) as tls,
        ):
            certificate = tls.getpeercert()
            assert certificate is not None
            seen[name] = certificate["subjectAltName"]
            assert seen[name] == (("IP Address", address),)
    assert seen["web01"] != seen["db01"]


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"not xml",
        b"<a/>",
        b"\xff\xfe\x00",
        f'<s:Envelope xmlns:s="{SOAP}"/>'.encode(),
        f'{EXTERNAL_ENTITY}<s:Envelope xmlns:s="{SOAP}">&e;</s:Envelope>'.encode(),
        f'<!DOCTYPE s:Envelope><s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>'.encode("utf-16"),
        f'<?xml version="1.0" encoding="nonsense"?><s:Envelope xmlns:s="{SOAP}"/>'.encode(),
        f'<s:Envelope xmlns:s="{SOAP}"><s:Body/></s:Envelope>'.encode(),
    ],
)
def test_hostile_requests_get_a_fault(guests: Guests, document: bytes) -> None:
    answer = post(guests, document)
    assert answer.status_code in (400, 500)
    assert b"<s:Fault>" in answer.content and b"root:" not in answer.content
    assert reachable(guests)


def test_doctype_is_refused_by_name(guests: Guests) -> None:
    assert b"document type" in post(guests, f'<!DOCTYPE a><s:Envelope xmlns:s="{SOAP}"/>'.encode()).content


def test_http_limits(guests: Guests) -> None:
    assert post(guests, b"<a>" + b" " * 600_000 + b"</a>").status_code == 413
    assert post(guests, b"<a/>", content_type="text/xml").status_code == 415
    assert guests.http.get(guests.url(), timeout=5).status_code == 405
    assert guests.http.post(guests.url() + "/x", timeout=5).status_code == 404


def test_a_slow_class_times_out_with_the_operation(guests: Guests) -> None:
    guests.behave(slow={"Win32_QuickFixEngineering": 30, "GetDWORDValue": 0.3})
    client = Client(guests.protocol(operation_timeout_sec=1))
    started = time.monotonic()
    with pytest.raises(WinRMOperationTimeoutError):
        client.rows("SELECT HotFixID FROM Win32_QuickFixEngineering")
    assert 0.9 < time.monotonic() - started < 3
    assert len(client.rows(NAME)) == 1
    started = time.monotonic()
    client.invoke(WMI + "root/cimv2/StdRegProv", "GetDWORDValue", sSubKeyName="SOFTWARE", sValueName="a")
    assert time.monotonic() - started > 0.29


def test_a_provider_that_cannot_be_loaded(guests: Guests, client: Client) -> None:
    guests.behave(broken_classes=["Win32_OperatingSystem"])
    with pytest.raises(WSManFaultError) as caught:
        client.rows(NAME)
    assert (caught.value.fault_subcode, caught.value.wmierror_code) == ("w:InternalError", 0x80041013)


def test_spoilt_answers(guests: Guests) -> None:
    query = '<w:Filter Dialect="http://schemas.microsoft.com/wbem/wsman/1/WQL">' + NAME + "</w:Filter>"
    request = (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration" '
        'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header>'
        "<a:Action>http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate</a:Action><a:MessageID>uuid:1</a:MessageID>"
        f"<w:ResourceURI>{WMI}root/cimv2/*</w:ResourceURI></s:Header><s:Body><n:Enumerate><w:OptimizeEnumeration/>"
        f"{query}</n:Enumerate></s:Body></s:Envelope>"
    ).encode()

    def spoilt(answer: str, **options: object) -> requests.Response:
        guests.behave(answer=answer)
        return post(guests, request, **options)

    assert b"uuid:1<" not in spoilt("wrong_relates_to").content
    assert spoilt("doctype").content.startswith(b"<!DOCTYPE s:Envelope [<!ENTITY a0")
    garbage = spoilt("garbage")
    assert garbage.status_code == 200 and garbage.content.startswith(b"\x00")
    assert spoilt("http_error").status_code == 503
    for kind in ("reset", "truncate"):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            spoilt(kind)
    with pytest.raises(requests.Timeout):
        spoilt("hang", timeout=1)
    drip = spoilt("slow_drip", stream=True)
    started = time.monotonic()
    assert len(next(drip.iter_content(4))) <= 4 and next(drip.iter_content(1)) and time.monotonic() - started < 3
    drip.close()
    endless = spoilt("endless_body", stream=True)
    assert sum(len(chunk) for chunk, _ in zip(endless.iter_content(65536), range(64), strict=False)) > 2_000_000
    endless.close()
    assert [line.get("fault") for line in guests.log()] == [
        "wrong_relates_to",
        "doctype",
        "garbage",
        "http_error",
        "reset",
        "truncate",
        "hang",
        "slow_drip",
        "endless_body",
    ]
    guests.behave()
    assert reachable(guests)


def test_a_fault_for_a_number_of_answers(guests: Guests, client: Client) -> None:
    guests.behave(answer="http_error", times=2)
    for _ in range(2):
        with pytest.raises(WinRMTransportError):
            client.rows(NAME)
    assert len(client.rows(NAME)) == 1


def test_endless_pulls(guests: Guests, client: Client) -> None:
    guests.behave(answer="endless_pulls")
    answer = client.enumerate("SELECT Name FROM Win32_Service")
    for _ in range(20):
        answer = client.pull(context_of(answer))
        assert items(answer) and context_of(answer)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"anser": "hang"}, {"answer": "nonsense"}, {"dialect": "cobol"}, {"times": 0}, {"times": True}),
        *({"times": "two"}, {"shape": {"dates": "roman"}}, {"shape": "cobol"}),
    ],
)
def test_a_behaviour_that_does_not_exist_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        Behaviour.parse(wrong)


def test_an_address_in_use_is_told(guests: Guests, authority: trustme.CA) -> None:
    with pytest.raises(OSError, match=r"guest address 127\.[0-9.]+:5986 cannot be listened on"):
        guests.run(start_guests(guests.fleet, authority, guests.audit, guests.clock))
    assert reachable(guests)


async def test_hundreds_of_guests_start_at_once_and_end_whole(authority: trustme.CA, tmp_path: Path) -> None:
    document = {**DOCUMENT, "machines": [{"name": "vm", "product": "ws2025", "count": 500}]}
    network = f"127.{random.randint(60, 250)}.{random.randint(0, 15) * 16}.0/20"
    fleet = config.parse(document, network=network)
    clock = EmulatedClock(fleet.now, 0)
    audit = Audit(tmp_path / "audit.jsonl", clock)
    before = len(os.listdir("/proc/self/fd"))
    started = time.monotonic()
    listeners = await start_guests(fleet.fleet, authority, audit, clock)
    assert time.monotonic() - started < 2
    context = ssl.create_default_context()
    authority.configure_trust(context)
    for machine in list(fleet.fleet)[::50]:
        address = machine.guest.address
        reader, writer = await asyncio.open_connection(address, 5986, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()
    await listeners.cleanup()
    audit.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(machine.guest.address, 5986)
    await asyncio.sleep(0.1)
    assert len(os.listdir("/proc/self/fd")) <= before + 5
