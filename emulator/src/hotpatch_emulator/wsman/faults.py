# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest does wrong on demand, one behaviour per guest address.

A behaviour is set as a JSON-like mapping (a fleet file's, or the control port's)::

    {"dialect": "wsman",                        # how WMI errors are worded, see soap_faults.DIALECTS
     "denied_namespaces": ["root/Microsoft/Windows/DeviceGuard"],
     "missing_namespaces": ["root/Microsoft/Windows/WindowsUpdate"],
     "reboot": "silent",                        # how it takes Win32_OperatingSystem.Reboot, see REBOOTS
     "denied_keys": ["SYSTEM/CurrentControlSet/Control/DeviceGuard"],  # with all below; ReturnValue 5
     "shape": {"dates": "dmtf"},                # how answers are written, see shapes.SWITCHES; or "omi"
     "return_values": {"UBR": 5},               # what StdRegProv returns for values of that name
     "slow": {"Win32_QuickFixEngineering": 45}, # class or method: real seconds before it answers
     "broken_classes": ["Win32_DeviceGuard"],   # the provider cannot be loaded; "*": a damaged repository
     "answer": "doctype",                       # spoils answers, see ANSWERS
     "times": 2}                                # only that many answers; without it, all

Seconds are real ones: they are there to meet a client's socket time-outs, which are real too.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from aiohttp import web

from hotpatch_emulator.wsman.shapes import WINDOWS, Shape
from hotpatch_emulator.wsman.soap_faults import DIALECTS

ANSWERS = {
    "slow_drip": "the answer comes byte by byte, each within any read time-out",
    "hang": "the connection stays open and nothing comes",
    "reset": "the connection is reset instead of an answer",
    "truncate": "the connection ends in the middle of the answer",
    "endless_body": "the body never ends",
    "garbage": "HTTP 200 with bytes that are no XML",
    "http_error": "HTTP 503 with an HTML page",
    "doctype": "the answer declares a document type with entities that grow exponentially",
    "wrong_relates_to": "RelatesTo names another message",
    "endless_pulls": "every Pull hands out another context",
    "echo": "every text and fault tells the account's password back, in clear and as basic authentication sends it",
    "forget_session": "HTTP 400 without a body: the security context of a sealed connection is forgotten",
}

REBOOTS = {
    "answers": "the answer goes out, then the guest goes down",
    "silent": "the guest goes down before the answer goes out",
    "refused": "the account lacks the privilege to shut the system down",
}

SOAP_TYPE = "application/soap+xml;charset=UTF-8"
_DRIP_SECONDS = 0.2
_HANG_SECONDS = 600.0
_ENDLESS_BYTES = 1 << 30

_LAUGHS = "".join(
    f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' if level else '<!ENTITY a0 "ha">' for level in range(10)
)


@dataclass
class Behaviour:
    """How one guest departs from a healthy Windows. Names are lower case."""

    dialect: str = DIALECTS[0]
    denied_namespaces: frozenset[str] = frozenset()
    denied_keys: frozenset[str] = frozenset()
    broken_classes: frozenset[str] = frozenset()
    slow: Mapping[str, float] = field(default_factory=dict)
    answer: str | None = None
    times: int | None = None
    shape: Shape = WINDOWS
    return_values: Mapping[str, int] = field(default_factory=dict)
    missing_namespaces: frozenset[str] = frozenset()
    reboot: str = "answers"

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Behaviour:
        """Read a behaviour; ValueError says in one sentence what is wrong."""
        known = {
            *("dialect", "denied_namespaces", "denied_keys", "broken_classes", "slow", "answer", "times"),
            *("shape", "return_values", "missing_namespaces", "reboot"),
        }
        unknown = sorted(set(given) - known)
        if unknown:
            raise ValueError(f"guest fault {unknown[0]!r} is not known; allowed are {', '.join(sorted(known))}")
        dialect, answer = given.get("dialect", DIALECTS[0]), given.get("answer")
        if dialect not in DIALECTS:
            raise ValueError(f"guest fault dialect {dialect!r} is not allowed; choose one of {', '.join(DIALECTS)}")
        if answer is not None and answer not in ANSWERS:
            raise ValueError(f"guest fault answer {answer!r} is not allowed; choose one of {', '.join(ANSWERS)}")
        if given.get("reboot", "answers") not in REBOOTS:
            raise ValueError(
                f"guest fault reboot {given['reboot']!r} is not allowed; choose one of {', '.join(REBOOTS)}"
            )
        times = given.get("times")
        if times is not None and (isinstance(times, bool) or not isinstance(times, int) or times < 1):
            raise ValueError(f"guest fault times {times!r} is not allowed; give a whole number from 1")
        return cls(
            dialect,
            frozenset(str(name).lower() for name in given.get("denied_namespaces", ())),
            frozenset(str(path).lower().replace("/", "\\") for path in given.get("denied_keys", ())),
            frozenset(str(name).lower() for name in given.get("broken_classes", ())),
            {str(name).lower(): float(seconds) for name, seconds in dict(given.get("slow", {})).items()},
            answer,
            times,
            Shape.parse(given.get("shape", {})),
            {str(name).lower(): int(code) for name, code in dict(given.get("return_values", {})).items()},
            frozenset(str(name).lower() for name in given.get("missing_namespaces", ())),
            str(given.get("reboot", "answers")),
        )

    def take_answer(self) -> str | None:
        """The way to spoil this answer, counted against ``times``."""
        if self.answer is None or self.times == 0:
            return None
        if self.times is not None:
            self.times -= 1
        return self.answer


class GuestFaults:
    """The behaviours of all guests, by address."""

    def __init__(self) -> None:
        self._by_address: dict[str, Behaviour] = {}

    def set(self, address: str, given: Mapping[str, Any]) -> Behaviour:
        """Give a guest a behaviour in place of the one it has; an empty mapping makes it healthy."""
        behaviour = Behaviour.parse(given)
        self._by_address[address] = behaviour
        return behaviour

    def of(self, address: str) -> Behaviour:
        return self._by_address.setdefault(address, Behaviour())


def with_doctype(answer: bytes) -> bytes:
    """The answer behind a document type; its one entity reference would grow to ten billion characters."""
    head, tail = answer.split(b"</s:Body>", 1)
    return f"<!DOCTYPE s:Envelope [{_LAUGHS}]>".encode() + head + b"&a9;</s:Body>" + tail


def spoil_content(kind: str | None, status: int, answer: bytes, account: tuple[str, str]) -> tuple[int, bytes]:
    """Status and content of an answer whose content is what is wrong with it; the account is its name and password."""
    if kind == "echo":
        token = base64.b64encode(":".join(account).encode()).decode()
        told = escape(f"{account[1]} {token}").encode()
        return status, re.sub(rb"<(Caption|CSName|s:Text xml:lang=\"en-US\")>[^<]*", rb"<\1>" + told, answer)
    if kind == "doctype":
        return status, with_doctype(answer)
    if kind == "garbage":
        return 200, b"\x00\xfe<html>not what you asked for" * 20
    return status, answer


async def spoil(
    kind: str, request: web.Request, status: int, answer: bytes, headers: Mapping[str, str]
) -> web.StreamResponse:
    """Answer in a way that is broken outside the content; ``kind`` is one of ANSWERS."""
    if kind == "forget_session":
        return web.Response(status=400)
    if kind == "http_error":
        return web.Response(status=503, text="<html><h2>Service Unavailable</h2></html>", content_type="text/html")
    if kind == "hang":
        await _while_connected(request, _HANG_SECONDS)
    elif kind in ("slow_drip", "truncate", "endless_body"):
        await _broken_stream(kind, request, status, answer, headers)
    reset(request)
    return web.Response()


async def _broken_stream(
    kind: str, request: web.Request, status: int, answer: bytes, headers: Mapping[str, str]
) -> None:
    response = web.StreamResponse(status=status, headers=headers)
    if kind == "truncate":
        response.content_length = len(answer)
    else:
        response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        if kind == "truncate":
            await response.write(answer[: len(answer) // 2])
            await asyncio.sleep(0.05)  # let the half arrive before the reset
        elif kind == "slow_drip":
            for position in range(len(answer)):
                await response.write(answer[position : position + 1])
                await asyncio.sleep(_DRIP_SECONDS)
        else:
            await response.write(answer[: len(answer) * 3 // 4])
            for _ in range(_ENDLESS_BYTES // 65536):
                await response.write(b" " * 65536)
    except ConnectionError:
        return  # the client had enough


async def _while_connected(request: web.Request, seconds: float) -> None:
    for _ in range(int(seconds / 0.5)):
        if request.transport is None or request.transport.is_closing():
            return
        await asyncio.sleep(0.5)


def reset(request: web.Request) -> None:
    """Drop the connection without a goodbye."""
    if request.transport is not None:
        request.transport.abort()
