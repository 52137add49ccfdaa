# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guest that answers from a script, in any of the dialects that WS-Management servers speak.

The answers are written afresh in the shapes that published captures show; see facts in the docstrings of the tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape, unescape

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.envelope import (
    ADDRESSING,
    ENUMERATION,
    SOAP,
    WSMAN,
    Address,
    Request,
)

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
