# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""WS-Management messages: requests as text, answers as a checked tree.

Nothing here talks to the network. A request is built with a message id of its own, an answer is accepted
only if it relates to that id. The answer comes from the guest and is not trusted: no DOCTYPE or entity,
bounded bytes, depth and number of elements, no encoding but UTF-8 and UTF-16.

Sources: DMTF DSP0226 (WS-Management) and DSP0227 (its CIM binding), MS-WSMV, and published captures of
Windows Server 2003 to 2016 and of Microsoft OMI for the differences between their answers.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from .faults import BadAnswer, Fault, WsmanFault, printable

SOAP = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
WSMAN = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
ENUMERATION = "http://schemas.xmlsoap.org/ws/2004/09/enumeration"
TRANSFER = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi"
WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"

#: The largest answer accepted, in bytes. Windows is asked for at most MAX_ENVELOPE; the rest is tolerance.
MAX_BYTES = 1024 * 1024
#: MaxEnvelopeSize that is asked for, in bytes: the default quota of Windows Server 2012 and newer (500 KB).
MAX_ENVELOPE = 512000
#: MaxBatchItems of Windows' default configuration: the most rows one answer may carry.
MAX_BATCH = 32000
#: Nothing that Windows sends is nested deeper than about a dozen elements.
MAX_DEPTH = 64
MAX_ELEMENTS = 100_000


_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


@dataclass(frozen=True)
class Request:
    """One message ready to be sent: its envelope, and the id that the answer must relate to."""

    message_id: str
    action: str
    resource_uri: str
    envelope: str


@dataclass(frozen=True)
class Page:
    """One step of an enumeration: its rows, whether they were the last, and the context to pull the next ones with.

    ``context`` is empty if the answer named none; the one used before then stays valid (WS-Enumeration 3.2).
    """

    rows: tuple[Element, ...]
    ended: bool
    context: str


@dataclass(frozen=True)
class Address:
    """Where requests go, and how many seconds the guest may work on each before it gives up."""

    url: str
    operation_timeout: int = 20


def class_uri(namespace: str, class_name: str) -> str:
    """Name a WMI class as a resource; ``namespace`` with slashes, such as ``root/cimv2``."""
    return f"{WMI}/{namespace}/{class_name}"


def enumerate_request(address: Address, namespace: str, query: str) -> Request:
    """Ask for the rows of a WQL query (the resource must then be ``*``, DSP0227 6.2)."""
    body = (
        f"<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>{MAX_BATCH}</w:MaxElements>"
        f"<w:Filter Dialect={quoteattr(WQL)}>{_text(query)}</w:Filter></n:Enumerate>"
    )
    return _request(address, f"{ENUMERATION}/Enumerate", class_uri(namespace, "*"), body)


def pull_request(address: Address, namespace: str, context: str) -> Request:
    """Ask for the next rows of an enumeration that is under way."""
    body = (
        f"<n:Pull><n:EnumerationContext>{_text(context)}</n:EnumerationContext>"
        f"<n:MaxElements>{MAX_BATCH}</n:MaxElements></n:Pull>"
    )
    return _request(address, f"{ENUMERATION}/Pull", class_uri(namespace, "*"), body)


def release_request(address: Address, namespace: str, context: str) -> Request:
    """Tell the guest that an enumeration will not be pulled any further."""
    body = f"<n:Release><n:EnumerationContext>{_text(context)}</n:EnumerationContext></n:Release>"
    return _request(address, f"{ENUMERATION}/Release", class_uri(namespace, "*"), body)


def get_request(
    address: Address,
    namespace: str,
    class_name: str,
    selectors: Mapping[str, str] | None = None,
) -> Request:
    """Ask for one instance; without selectors the class must be a singleton."""
    return _request(address, f"{TRANSFER}/Get", class_uri(namespace, class_name), "", selectors)


def invoke_request(
    address: Address,
    namespace: str,
    class_name: str,
    method: str,
    arguments: Mapping[str, str] | None = None,
) -> Request:
    """Call a static method of a WMI class with text arguments, in the order given."""
    uri = class_uri(namespace, class_name)
    inner = "".join(f"<p:{name}>{_text(value)}</p:{name}>" for name, value in (arguments or {}).items())
    body = f"<p:{method}_INPUT xmlns:p={quoteattr(uri)}>{inner}</p:{method}_INPUT>"
    return _request(address, f"{uri}/{method}", uri, body)


def _text(value: str) -> str:
    """Escape text for XML, refusing what XML 1.0 cannot carry at all (control characters, lone surrogates)."""
    if _NOT_XML.search(value):
        raise ValueError("a text to be sent to the guest holds characters that XML does not allow")
    return escape(value)


def _request(
    address: Address,
    action: str,
    resource_uri: str,
    body: str,
    selectors: Mapping[str, str] | None = None,
) -> Request:
    message_id = f"uuid:{str(uuid.uuid4()).upper()}"
    chosen = "".join(
        f"<w:Selector Name={quoteattr(name)}>{_text(value)}</w:Selector>" for name, value in (selectors or {}).items()
    )
    selector_set = f"<w:SelectorSet>{chosen}</w:SelectorSet>" if chosen else ""
    envelope = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{ADDRESSING}" xmlns:w="{WSMAN}" xmlns:n="{ENUMERATION}">'
        f"<s:Header><a:To>{_text(address.url)}</a:To>"
        f'<w:ResourceURI s:mustUnderstand="true">{_text(resource_uri)}</w:ResourceURI>'
        f'<a:ReplyTo><a:Address s:mustUnderstand="true">{ADDRESSING}/role/anonymous</a:Address></a:ReplyTo>'
        f'<a:Action s:mustUnderstand="true">{_text(action)}</a:Action>'
        f'<w:MaxEnvelopeSize s:mustUnderstand="true">{MAX_ENVELOPE}</w:MaxEnvelopeSize>'
        f"<a:MessageID>{message_id}</a:MessageID>"
        '<w:Locale xml:lang="en-US" s:mustUnderstand="false"/>'
        f"{selector_set}<w:OperationTimeout>PT{address.operation_timeout}S</w:OperationTimeout></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    )
    return Request(message_id, action, resource_uri, envelope)


class _Tree:
    """Builds an element tree from expat's events, and stops at the first thing that is not allowed."""

    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self.depth = 0
        self.elements = 0
        # "}" as separator gives names as ElementTree spells them, less the leading brace.
        self.parser = expat.ParserCreate("utf-8", "}")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.builder.data
        self.parser.StartDoctypeDeclHandler = self.doctype
        self.parser.EntityDeclHandler = self.entity

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self.elements += 1
        if self.depth > MAX_DEPTH or self.elements > MAX_ELEMENTS:
            raise BadAnswer(f"the answer is nested deeper than {MAX_DEPTH} or has more than {MAX_ELEMENTS} elements")
        self.builder.start(_name(name), {_name(key): value for key, value in attributes.items()})

    def end(self, name: str) -> None:
        self.depth -= 1
        self.builder.end(_name(name))

    def doctype(self, *_declaration: object) -> None:
        raise BadAnswer("the answer holds a DOCTYPE, which SOAP forbids; it was not read any further")

    def entity(self, *_declaration: object) -> None:
        raise BadAnswer("the answer declares an XML entity, which SOAP forbids; it was not read any further")


def _name(name: str) -> str:
    return "{" + name if "}" in name else name


def parse(data: bytes) -> Element:
    """Read an untrusted XML document into a tree. Raises :class:`BadAnswer` and nothing else."""
    if len(data) > MAX_BYTES:
        raise BadAnswer(f"the answer is larger than {MAX_BYTES} bytes")
    tree = _Tree()
    try:
        tree.parser.Parse(data, True)
        return tree.builder.close()
    except expat.ExpatError as error:
        raise BadAnswer(f"the answer is not well-formed XML: {printable(str(error), 100)}") from None


def local(element: Element) -> str:
    """The name of an element without its namespace."""
    return str(element.tag).rpartition("}")[2]


def open_envelope(data: bytes, request: Request) -> Element:
    """Check an answer and return the first element of its body (an empty ``Empty`` element if there is none).

    Raises :class:`WsmanFault` for a SOAP fault and :class:`BadAnswer` for anything else than a SOAP 1.2
    envelope that relates to ``request``. A fault may lack RelatesTo (the header may not have been
    understood), but it may not relate to another message.
    """
    root = parse(data)
    if root.tag != f"{{{SOAP}}}Envelope":
        raise BadAnswer(f"the answer is not a SOAP envelope but <{printable(local(root), 60)}>")
    body = root.find(f"{{{SOAP}}}Body")
    if body is None:
        raise BadAnswer("the answer is a SOAP envelope without a body")
    fault = body.find(f"{{{SOAP}}}Fault")
    related = root.findtext(f"{{{SOAP}}}Header/{{{ADDRESSING}}}RelatesTo")
    if related is None and fault is None:
        raise BadAnswer("the answer does not say which message it relates to")
    if related is not None and _bare_id(related) != _bare_id(request.message_id):
        raise BadAnswer("the answer relates to another message than the one sent")
    if fault is not None:
        raise WsmanFault(_read_fault(fault))
    return body[0] if len(body) else Element("Empty")


def _bare_id(text: str) -> str:
    return text.strip().rpartition(":")[2].lower()


def _read_fault(fault: Element) -> Fault:
    subcodes: list[str] = []
    codes: list[int] = []
    hresults: list[int] = []
    words: list[str] = []
    statuses: list[int] = []
    for element in fault.iter():
        name = local(element)
        text = (element.text or "").strip()
        if name == "Value" and text:
            subcodes.append(printable(text.rpartition(":")[2], 60))
        elif name in ("Text", "Message", "Description") and text:
            words.append(text)
        elif name == "WSManFault":
            codes += _numbers(element.get("Code", ""))
        elif name in ("error_Code", "StatusCode"):
            hresults += _numbers(text)
        elif name == "CIMStatusCode":
            statuses += _numbers(text)
        elif name == "MessageID":
            hresults += _numbers(text.rpartition(" ")[2])
    plain = [code for code in subcodes if code not in ("Sender", "Receiver", "MustUnderstand", "VersionMismatch")]
    return Fault(
        tuple(dict.fromkeys(plain))[:4],
        tuple(dict.fromkeys(codes))[:4],
        tuple(dict.fromkeys(hresults))[:4],
        printable(" ".join(dict.fromkeys(words))),
        tuple(dict.fromkeys(statuses))[:4],
    )


def _numbers(text: str) -> list[int]:
    """Read a decimal or 0x number of 32 bits; an empty list if it is none. Negative HRESULTs are folded."""
    text = text.strip()
    if not text.isascii() or len(text) > 12:
        return []
    try:
        number = int(text, 16) if text.lower().startswith("0x") else int(text)
    except ValueError:
        return []
    return [number & 0xFFFFFFFF] if number else []


def read_page(response: Element) -> Page:
    """Read an EnumerateResponse or PullResponse.

    Items and EndOfSequence stand in the WS-Management namespace in one and in the enumeration namespace in the
    other; Items may be missing altogether; an ended enumeration may still carry a context. They are matched by
    namespace and only as direct children, since a WMI property may have the same name.
    """
    if local(response) not in ("EnumerateResponse", "PullResponse"):
        raise BadAnswer(f"the answer to a query is <{printable(local(response), 60)}>")
    rows: list[Element] = []
    ended = False
    for namespace in (WSMAN, ENUMERATION):
        for items in response.findall(f"{{{namespace}}}Items"):
            rows.extend(items)
        ended = ended or response.find(f"{{{namespace}}}EndOfSequence") is not None
    context = (response.findtext(f"{{{ENUMERATION}}}EnumerationContext") or "").strip()
    return Page(tuple(rows), ended, context)
