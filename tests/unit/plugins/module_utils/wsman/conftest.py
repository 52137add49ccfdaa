# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that answers from a script, in any of the dialects that WS-Management servers speak; and emulated ones.

The answers are written afresh in the shapes that published captures show; see facts in the docstrings of the tests.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, unescape

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.connection import Deadline, GuestSender
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.envelope import (
    ADDRESSING,
    ENUMERATION,
    SOAP,
    WSMAN,
    Address,
    Request,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.probe import probe
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.reading import options_for

ADDRESS = Address("https://127.0.0.9:5986/wsman")
XSI = "http://www.w3.org/2001/XMLSchema-instance"


class Wire:
    """Builds answers."""

    @staticmethod
    def envelope(body: str, relates_to: str | None) -> bytes:
        related = f"<a:RelatesTo>{relates_to}</a:RelatesTo>" if relates_to else ""
        return (
            f'<s:Envelope xml:lang="en-US" xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:w="{WSMAN}" '
            f'xmlns:n="{ENUMERATION}"><s:Header>{related}</s:Header><s:Body>{body}</s:Body></s:Envelope>'
        ).encode()

    @staticmethod
    def properties(row: dict[str, Any], prefix: str = "", date_prefix: str = "") -> str:
        """Spell properties: None is nil, a list repeats the element, a ("date", text) nests a Datetime."""
        parts = []
        for name, value in row.items():
            for one in value if isinstance(value, list) else [value]:
                if one is None:
                    parts.append(f'<{prefix}{name} xsi:nil="true"/>')
                elif isinstance(one, tuple):
                    parts.append(
                        f"<{prefix}{name}><{date_prefix}Datetime>{one[1]}</{date_prefix}Datetime></{prefix}{name}>"
                    )
                else:
                    parts.append(f"<{prefix}{name}>{escape(str(one))}</{prefix}{name}>")
        return "".join(parts)

    @classmethod
    def fragment(cls, row: dict[str, Any]) -> str:
        """A row of a projection: XmlFragment with unqualified children."""
        return f'<w:XmlFragment xmlns:xsi="{XSI}">{cls.properties(row)}</w:XmlFragment>'

    @classmethod
    def full_row(cls, row: dict[str, Any], class_name: str = "Win32_Thing") -> str:
        """A row of select *: an element of the class, with qualified children and dates."""
        uri = f"http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/{class_name}"
        inner = cls.properties(row, "p:", "cim:")
        return (
            f'<p:{class_name} xmlns:xsi="{XSI}" xmlns:p="{uri}" xsi:type="p:{class_name}_Type" '
            f'xmlns:cim="http://schemas.dmtf.org/wbem/wscim/1/common">{inner}</p:{class_name}>'
        )

    @staticmethod
    def enumerated(rows: str, context: str = "", end: bool = True, prefix: str = "w") -> str:
        items = f"<{prefix}:Items>{rows}</{prefix}:Items>" if rows else ""
        over = f"<{prefix}:EndOfSequence/>" if end else ""
        named = f"<n:EnumerationContext>{context}</n:EnumerationContext>"
        return f"<n:EnumerateResponse>{named}{items}{over}</n:EnumerateResponse>"

    @staticmethod
    def pulled(rows: str, context: str | None = None, end: bool = True, prefix: str = "n") -> str:
        items = f"<{prefix}:Items>{rows}</{prefix}:Items>" if rows else ""
        over = f"<{prefix}:EndOfSequence/>" if end else ""
        named = "" if context is None else f"<n:EnumerationContext>{context}</n:EnumerationContext>"
        return f"<n:PullResponse>{named}{items}{over}</n:PullResponse>"

    @classmethod
    def output(cls, method: str, values: dict[str, Any], class_name: str = "StdRegProv") -> str:
        uri = f"http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/{class_name}"
        return (
            f'<p:{method}_OUTPUT xmlns:xsi="{XSI}" xmlns:p="{uri}">{cls.properties(values, "p:")}</p:{method}_OUTPUT>'
        )

    @staticmethod
    def fault(subcode: str = "", detail: str = "", reason: str = "It went wrong.") -> str:
        inner = f"<s:Subcode><s:Value>{subcode}</s:Value></s:Subcode>" if subcode else ""
        return (
            f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value>{inner}</s:Code>"
            f'<s:Reason><s:Text xml:lang="en-US">{reason}</s:Text></s:Reason><s:Detail>{detail}</s:Detail></s:Fault>'
        )

    @staticmethod
    def wsman_fault(code: int, message: str = "", inner: str = "") -> str:
        return (
            f'<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="{code}" Machine="x">'
            f"<f:Message>{message}{inner}</f:Message></f:WSManFault>"
        )


@dataclass
class Scripted:
    """A sender whose answers come one by one: a body, raw bytes, an exception, or a function of the request."""

    answers: list[Any]
    address: Address = ADDRESS
    requests: list[Request] = field(default_factory=list)

    def send(self, request: Request) -> bytes:
        self.requests.append(request)
        assert self.answers, f"nothing is scripted for {request.action}"
        answer = self.answers.pop(0)
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return answer
        return Wire.envelope(str(answer), request.message_id)


Handler = Callable[[str], Any]


@dataclass
class Guest:
    """A Windows Server 2025 that is enrolled and patched; a test overrides single reads by their ``what``.

    ``what`` is a WQL class name, ``Class.Method`` or ``Registry value name`` / ``last part of the key`` for EnumKey.
    An override is a body, bytes, an exception, or a function of the request.
    """

    overrides: dict[str, Any] = field(default_factory=dict)
    address: Address = ADDRESS
    asked: list[str] = field(default_factory=list)
    kb_pages: int = 1
    released: int = 0

    VALUES = {
        "UBR": 32772,
        "Name": "Hotpatch Enrollment Package",
        "Version": "10.0.26100.1742",
        "HotPatchTableSize": 4096,
        "EnableVirtualizationBasedSecurity": 1,
    }
    KEYS = {"Component Based Servicing": ["Packages", "SessionsPending"], "Auto Update": ["Results"]}
    ROWS = {
        "Win32_OperatingSystem": {
            "BuildNumber": "26100",
            "Caption": "Microsoft Windows Server 2025 Datacenter Azure Edition",
            "CSName": "WEB-01",
            "FreePhysicalMemory": "5242880",
            "LastBootUpTime": ("date", "2026-04-16T03:11:20.5Z"),
            "LocalDateTime": ("date", "2026-05-13T01:00:03Z"),
            "OperatingSystemSKU": "407",
            "SystemDrive": "C:",
            "TotalVisibleMemorySize": "8388608",
        },
        "Win32_DeviceGuard": {
            "VirtualizationBasedSecurityStatus": "2",
            "AvailableSecurityProperties": ["1", "2", "3"],
            "SecurityServicesRunning": ["2"],
        },
        "Win32_ComputerSystemProduct": {"UUID": "12345678-9ABC-DEF0-1234-56789ABCDEF0"},
    }
    KBS = [
        {"HotFixID": "KB5082063", "InstalledOn": "4/16/2026"},
        {"HotFixID": "KB5087423", "InstalledOn": "01dce1f3a1b2c3d4"},
        {"HotFixID": "File 1", "InstalledOn": None},
    ]

    def send(self, request: Request) -> bytes:
        what, answer = self.answer(request)
        self.asked.append(what)
        if what in self.overrides:
            answer = self.overrides[what]
            if callable(answer):
                answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else Wire.envelope(str(answer), request.message_id)

    def answer(self, request: Request) -> tuple[str, str]:
        action = request.action.rpartition("/")[2]
        if action == "Enumerate":
            found = re.search(r"SELECT (\S+) FROM (\w+)</w:Filter>", request.envelope)
            assert found, request.envelope
            columns, name = found[1].split(","), found[2]
            if name == "Win32_QuickFixEngineering":
                return name, Wire.enumerated(Wire.fragment(self.KBS[0]), "uuid:1", end=False)
            return name, Wire.enumerated(Wire.fragment({column: self.ROWS[name][column] for column in columns}))
        if action == "Pull":
            self.kb_pages -= 1
            rows = "".join(Wire.fragment(kb) for kb in self.KBS[1:])
            return "Pull", Wire.pulled(rows, "uuid:1", end=self.kb_pages == 0)
        if action == "Release":
            self.released += 1
            return "Release", ""
        if action == "IsPendingReboot":
            return action, Wire.output(action, {"PendingReboot": "false", "ReturnValue": 0}, "MSFT_WUSettings")
        key = unescape(self.argument(request, "sSubKeyName"))
        if action == "EnumKey":
            what = key.rpartition("\\")[2]
            return what, Wire.output(action, {"sNames": self.KEYS[what], "ReturnValue": 0})
        what = self.argument(request, "sValueName")
        output = "sValue" if action == "GetStringValue" else "uValue"
        return what, Wire.output(action, {output: self.VALUES[what], "ReturnValue": 0})

    @staticmethod
    def argument(request: Request, name: str) -> str:
        found = re.search(rf"<p:{name}>(.*?)</p:{name}>", request.envelope)
        assert found, request.envelope
        return found[1]


WRONG = "Not-the-passw0rd"


class EmulatedGuests:
    """The emulator's listeners in a thread of their own."""

    def __init__(self, folder: Path, document: dict[str, Any]) -> None:
        trustme = pytest.importorskip("trustme")
        server = pytest.importorskip("hotpatch_emulator.wsman.server")
        config = pytest.importorskip("hotpatch_emulator.config")
        audit = pytest.importorskip("hotpatch_emulator.audit")
        clock = pytest.importorskip("hotpatch_emulator.clock")
        self.seconds, self.subset = 10.0, "poll"
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        # A network of its own, so that another emulator on this machine is in nobody's way.
        network = f"127.{random.randint(60, 250)}.{random.randint(0, 255)}.0/24"
        fleet = config.parse(document, network=network)
        self.folder = folder
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        self.clock = clock.EmulatedClock(fleet.now, fleet.speed)
        self.audit = audit.Audit(folder / "audit.jsonl", self.clock)
        self.fleet = fleet.fleet
        self.listeners = self.run(server.start_guests(self.fleet, self.authority, self.audit, self.clock))

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        self.run(self.listeners.cleanup())
        self.audit.close()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def certificate(self, principal: str = "hotpatch-probe@localhost", authority: Any = None) -> dict[str, str]:
        certificates = pytest.importorskip("hotpatch_emulator.wsman.certificates")
        pem, key = certificates.issue_client(authority or self.authority, principal)
        (self.folder / "client.pem").write_bytes(pem)
        (self.folder / "client-key.pem").write_bytes(key)
        return {
            "ansible_winrm_cert_pem": str(self.folder / "client.pem"),
            "ansible_winrm_cert_key_pem": str(self.folder / "client-key.pem"),
        }

    def sender(self, name: str, transport: list[str], extras: dict[str, Any], **options: Any) -> GuestSender:
        guest = self.fleet.by_name(name).guest
        if transport[0].startswith("psrp:"):
            # What ansible-core hands on for a host without further variables, and what the test gives.
            values = {
                "port": 5986 if guest.winrm_service.https_listener else 5985,
                "remote_addr": guest.address,
                "remote_user": guest.username,
                "remote_password": guest.password,
                "auth": transport[0].removeprefix("psrp:"),
                "ca_cert": str(self.folder / "ca.pem"),
                "path": "wsman",
                "cert_validation": "validate",
                "message_encryption": extras.get("ansible_winrm_message_encryption", "auto"),
                "certificate_pem": extras.get("ansible_winrm_cert_pem"),
                "certificate_key_pem": extras.get("ansible_winrm_cert_key_pem"),
                "negotiate_service": "host",
                "read_timeout": 12,
                "operation_timeout": options.pop("connection_timeout", 10),
                **options,
            }
            self.found = options_for("psrp", values.get)
            return self.found.open(Deadline(self.seconds))
        common = {"ansible_winrm_ca_trust_path": str(self.folder / "ca.pem"), "ansible_winrm_proxy": None}
        values = {
            "port": 5986 if guest.winrm_service.https_listener else 5985,
            "remote_addr": guest.address,
            "remote_user": guest.username,
            "remote_password": guest.password,
            "transport": transport,
            "_extras": {**common, **extras},
            **options,
        }
        self.found = options_for("winrm", values.get)
        return self.found.open(Deadline(self.seconds))

    def behave(self, name: str, **behaviour: Any) -> None:
        """Give a guest a behaviour of the emulator's wsman.faults."""
        self.listeners.faults.set(self.fleet.by_name(name).guest.address, behaviour)

    def probe(
        self,
        name: str,
        transport: list[str] | None = None,
        extras: dict[str, Any] | None = None,
        subset: str | None = None,
        **options: Any,
    ) -> GuestFacts:
        """Read a guest with the real libraries; nothing outlives the deadline, and no password is in the facts."""
        sender = self.sender(name, transport or ["ssl"], extras or {}, **options)
        started = time.monotonic()
        try:
            facts = probe(sender, self.clock, subset or self.subset, self.found.redact)
        finally:
            sender.close()
        assert time.monotonic() - started < self.seconds + 5
        for secret in (self.fleet.by_name(name).guest.password, WRONG):
            assert secret not in str(facts)
        return facts

    def requests(self) -> int:
        """How many messages reached a guest."""
        return sum(1 for line in self.audit.lines() if line["kind"] == "winrm")

    def asked(self) -> list[tuple[str, bool]]:
        """How each answered read was asked: authentication, sealed."""
        lines = [line for line in self.audit.lines() if line["kind"] == "winrm" and "action" in line]
        return [(line["authentication"], line["sealed"]) for line in lines if line.get("fault") != "forget_session"]

    def statuses(self) -> set[int]:
        return {line["status"] for line in self.audit.lines() if line["kind"] == "winrm"}


@pytest.fixture
def emulated(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], EmulatedGuests]]:
    """Starts the emulator's guests of a fleet document, with real TLS and real cryptography; they end with the test."""
    running: list[EmulatedGuests] = []

    def start(document: dict[str, Any]) -> EmulatedGuests:
        running.append(EmulatedGuests(tmp_path, document))
        return running[-1]

    yield start
    for guests in running:
        guests.close()


@pytest.fixture
def wire() -> type[Wire]:
    """Builds answers."""
    return Wire


@pytest.fixture
def scripted() -> type[Scripted]:
    """Makes a sender with a list of answers."""
    return Scripted


@pytest.fixture
def windows() -> type[Guest]:
    """Makes a whole guest."""
    return Guest
