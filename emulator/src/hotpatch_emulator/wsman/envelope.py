# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SOAP envelopes: requests parsed safely, answers written in the shape Windows gives them.

A request is untrusted: its size is bounded by the HTTP server, a DOCTYPE is refused before anything in it is read.
Answers are written as text rather than through an element tree, because prefixes and the place of the namespace
declarations are part of the shape that clients meet.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from hotpatch_emulator.wsman import names, soap_faults

_DURATION = re.compile(r"^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?$")
_SMALLEST_ENVELOPE = 512
# Characters that XML 1.0 cannot carry at all, escaped or not.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Request:
    """One WS-Management request. ``operation_timeout`` is in seconds, sizes are in bytes."""

    action: str
    message_id: str
    resource_uri: str
    body: ET.Element | None
    selectors: Mapping[str, str] = field(default_factory=dict)
    max_envelope_size: int = names.MAX_ENVELOPE_BYTES
    operation_timeout: float = names.MAX_TIMEOUT_SECONDS

    @property
    def is_identify(self) -> bool:
        return self.body is not None and self.body.tag == f"{{{names.IDENTITY}}}Identify"


class _NoDoctype(ET.TreeBuilder):
    """Refuses a document type before its declarations are read (entity expansion, external files)."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:
        raise soap_faults.invalid_xml("A document type declaration is not allowed.")


def parse(data: bytes) -> Request:
    """Read a request; raises :class:`~.soap_faults.SoapFault` for anything that is no WS-Management request."""
    try:
        root = ET.fromstring(data, parser=ET.XMLParser(target=_NoDoctype()))
    except (ET.ParseError, LookupError, ValueError) as error:
        raise soap_faults.invalid_xml(f"The XML is invalid: {error}.") from error
    body = root.find(f"{{{names.SOAP}}}Body")
    if root.tag != f"{{{names.SOAP}}}Envelope" or body is None:
        raise soap_faults.schema_error("a SOAP 1.2 envelope with a body is needed")
    first = next(iter(body), None)
    header = root.find(f"{{{names.SOAP}}}Header")
    if header is None:
        header = ET.Element("none")
    request = Request(
        action=_text(header, names.ADDRESSING, "Action"),
        message_id=_text(header, names.ADDRESSING, "MessageID"),
        resource_uri=_text(header, names.WSMAN, "ResourceURI"),
        body=first,
        selectors={
            selector.get("Name", ""): selector.text or ""
            for selector in header.iterfind(f"{{{names.WSMAN}}}SelectorSet/{{{names.WSMAN}}}Selector")
        },
        max_envelope_size=_envelope_size(_text(header, names.WSMAN, "MaxEnvelopeSize")),
        operation_timeout=_timeout(_text(header, names.WSMAN, "OperationTimeout")),
    )
    if not request.is_identify:
        for value, name in ((request.action, "wsa:Action"), (request.message_id, "wsa:MessageID")):
            if not value:
                raise soap_faults.header_required(name)
    return request


def _text(parent: ET.Element, namespace: str, name: str) -> str:
    return (parent.findtext(f"{{{namespace}}}{name}") or "").strip()


def _envelope_size(text: str) -> int:
    """What the client asks for, at most the server's own limit."""
    if not text:
        return names.MAX_ENVELOPE_BYTES
    if not text.isdecimal() or int(text) < _SMALLEST_ENVELOPE:
        raise soap_faults.schema_error(f"MaxEnvelopeSize {text} is not allowed")
    return min(int(text), names.MAX_ENVELOPE_BYTES)


def _timeout(text: str) -> float:
    if not text:
        return names.MAX_TIMEOUT_SECONDS
    match = _DURATION.match(text)
    if match is None:
        raise soap_faults.schema_error(f"OperationTimeout {text} is not an xs:duration in hours, minutes and seconds")
    hours, minutes, seconds = match.groups()
    return min(int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0), names.MAX_TIMEOUT_SECONDS)


def text(value: str) -> str:
    """Escape a value for an answer; what XML cannot carry becomes a replacement character."""
    return escape(_NOT_XML.sub("\ufffd", value))


def answer(action: str, relates_to: str, body: str) -> bytes:
    """A whole envelope. ``body`` is XML; an empty ``relates_to`` leaves the header out."""
    relates = f"<a:RelatesTo>{text(relates_to)}</a:RelatesTo>" if relates_to else ""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{names.SOAP}" xmlns:a="{names.ADDRESSING}" '
        f'xmlns:x="{names.TRANSFER}" xmlns:n="{names.ENUMERATION}" xmlns:w="{names.WSMAN}" '
        f'xmlns:p="{names.MS_WSMAN}"><s:Header><a:Action>{text(action)}</a:Action>'
        f"<a:MessageID>uuid:{str(uuid.uuid4()).upper()}</a:MessageID>{relates}"
        f"<a:To>{names.ANONYMOUS}</a:To></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


def identity(product_version: str) -> bytes:
    """The answer to Identify, which carries no addressing headers."""
    return (
        f'<s:Envelope xml:lang="en-US" xmlns:s="{names.SOAP}"><s:Header/><s:Body>'
        f'<wsmid:IdentifyResponse xmlns:wsmid="{names.IDENTITY}">'
        f"<wsmid:ProtocolVersion>{names.WSMAN}</wsmid:ProtocolVersion>"
        "<wsmid:ProductVendor>Microsoft Corporation</wsmid:ProductVendor>"
        f"<wsmid:ProductVersion>{text(product_version)}</wsmid:ProductVersion>"
        "</wsmid:IdentifyResponse></s:Body></s:Envelope>"
    ).encode()
