# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small fleet of guests that listen, and a foreign client (pywinrm) to meet them with."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import requests
import trustme
import xmltodict  # type: ignore[import-untyped]
from winrm.protocol import Protocol

from hotpatch_emulator import config
from hotpatch_emulator.audit import Audit
from hotpatch_emulator.clock import EmulatedClock
from hotpatch_emulator.state import Guest, VirtualMachine
from hotpatch_emulator.wsman.server import GuestListeners, start_guests

WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/"
CIMV2 = WMI + "root/cimv2/*"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
SOAP = "http://www.w3.org/2003/05/soap-envelope"

DOCUMENT = {
    "now": "2026-05-13T01:00:00Z",
    "speed": 0,
    "seed": 7,
    "machines": [
        {"name": "web01", "product": "ws2025", "guest": {"clock_skew_seconds": 90}},
        {"name": "db01", "product": "ws2022"},
        {"name": "mute01", "product": "ws2025", "guest": {"winrm": False}},
    ],
}


class Guests:
    """The listeners, running in a thread of their own, and calls to them from this one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fleet: config.FleetFile, ca: trustme.CA, folder: Path) -> None:
        self.loop = loop
        self.ca_file = folder / "ca.pem"
        ca.cert_pem.write_to_path(str(self.ca_file))
        self.fleet = fleet.fleet
        self.clock = EmulatedClock(fleet.now, fleet.speed)
        self.audit = Audit(folder / "audit.jsonl", self.clock)
        self.due: list[Any] = []
        self.http = requests.Session()
        self.http.trust_env = False  # no proxy stands between this test and a loopback address
        self.http.verify = str(self.ca_file)
        self.listeners: GuestListeners = self.run(
            start_guests(self.fleet, ca, self.audit, self.clock, before_answer=self._run_due)
        )

    def _run_due(self) -> None:
        while self.due:
            self.due.pop(0)()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def machine(self, name: str = "web01") -> VirtualMachine:
        machine = self.fleet.by_name(name)
        assert machine is not None
        return machine

    def guest(self, name: str = "web01") -> Guest:
        return self.machine(name).guest

    def behave(self, name: str = "web01", **behaviour: Any) -> None:
        self.listeners.faults.set(self.guest(name).address, behaviour)

    def url(self, name: str = "web01", scheme: str = "https") -> str:
        return f"{scheme}://{self.guest(name).address}:{5986 if scheme == 'https' else 5985}/wsman"

    def protocol(self, name: str = "web01", **options: Any) -> Protocol:
        guest = self.guest(name)
        settings: dict[str, Any] = {
            "endpoint": self.url(name),
            "transport": "basic",
            "username": guest.username,
            "password": guest.password,
            "ca_trust_path": str(self.ca_file),
            "operation_timeout_sec": 5,
            "read_timeout_sec": 10,
            "proxy": None,
        }
        return Protocol(**{**settings, **options})

    def log(self) -> list[dict[str, Any]]:
        return [line for line in self.audit.lines() if line["kind"] == "winrm"]


class Client:
    """pywinrm, asked for what it has no words for: any action with any body."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol

    def send(
        self,
        action: str,
        uri: str,
        body: dict[str, Any] | None,
        *,
        selectors: dict[str, str] | None = None,
        envelope_size: int = 153600,
        message_id: str | None = None,
    ) -> ET.Element:
        """The whole answer, parsed."""
        envelope = self.protocol.build_wsman_header(action, uri, message_id=message_id)
        header = envelope["env:Header"]
        header["w:MaxEnvelopeSize"]["#text"] = str(envelope_size)
        if selectors:
            header["w:SelectorSet"] = {
                "w:Selector": [{"@Name": name, "#text": value} for name, value in selectors.items()]
            }
        envelope["env:Body"] = body
        return ET.fromstring(self.protocol.send_message(xmltodict.unparse({"env:Envelope": envelope})))

    def enumerate(
        self, wql: str | None, uri: str = CIMV2, *, max_elements: int = 32000, optimize: bool = True, **options: Any
    ) -> ET.Element:
        request: dict[str, Any] = {"w:MaxElements": str(max_elements)}
        if optimize:
            request["w:OptimizeEnumeration"] = None
        if wql is not None:
            request["w:Filter"] = {"@Dialect": "http://schemas.microsoft.com/wbem/wsman/1/WQL", "#text": wql}
        return self.send(f"{ENUMERATION}/Enumerate", uri, {"n:Enumerate": request}, **options)

    def pull(self, context: str, uri: str = CIMV2, max_elements: int | None = 32000, **options: Any) -> ET.Element:
        request = {"n:EnumerationContext": context}
        if max_elements is not None:
            request["n:MaxElements"] = str(max_elements)
        return self.send(f"{ENUMERATION}/Pull", uri, {"n:Pull": request}, **options)

    def rows(self, wql: str, uri: str = CIMV2) -> list[dict[str, str | None]]:
        """Every row of a query, whatever the number of pulls, by local names."""
        answer = self.enumerate(wql, uri)
        found = items(answer)
        while context_of(answer):
            answer = self.pull(context_of(answer), uri)
            found += items(answer)
        return [{child.tag.rpartition("}")[2]: value_of(child) for child in row} for row in found]

    def invoke(self, class_uri: str, method: str, **arguments: Any) -> ET.Element:
        """The _OUTPUT element."""
        given: dict[str, Any] = {"@xmlns:p": class_uri}
        given.update({f"p:{name}": value for name, value in arguments.items()})
        answer = self.send(f"{class_uri}/{method}", class_uri, {f"p:{method}_INPUT": given})
        body = answer.find(f"{{{SOAP}}}Body")
        assert body is not None
        return body[0]


def value_of(node: ET.Element) -> str | None:
    if node.get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true":
        return None
    return (node[0].text if len(node) else node.text) or ""


def items(answer: ET.Element) -> list[ET.Element]:
    """The rows of an Enumerate or Pull answer."""
    return [
        row
        for namespace in (WSMAN, ENUMERATION)
        for group in answer.iterfind(f".//{{{namespace}}}Items")
        for row in group
    ]


def context_of(answer: ET.Element) -> str:
    return answer.findtext(f".//{{{ENUMERATION}}}EnumerationContext") or ""
