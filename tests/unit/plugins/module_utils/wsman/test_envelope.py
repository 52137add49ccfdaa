# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envelopes: what is sent is well-formed, what comes back is checked, and nothing hostile gets through."""

from __future__ import annotations

import time
from typing import Any
from xml.etree import ElementTree

import pytest

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman import cim, envelope  # noqa: E402
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.envelope import Address  # noqa: E402
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import (  # noqa: E402
    BadAnswer,
    WsmanError,
    WsmanFault,
)

HERE = Address("https://guest.example:5986/wsman", 17)
NS = {"s": envelope.SOAP, "a": envelope.ADDRESSING, "w": envelope.WSMAN, "n": envelope.ENUMERATION}


def test_enumerate_carries_the_query_and_its_own_header() -> None:
    """The resource of a WQL query is '*', the query is escaped, and the timeout and size are ours."""
    request = envelope.enumerate_request(HERE, "root/cimv2", "SELECT A FROM B WHERE C<'x&y'")
    root = ElementTree.fromstring(request.envelope)
    assert root.findtext("s:Header/a:To", None, NS) == HERE.url
    assert root.findtext("s:Header/a:MessageID", None, NS) == request.message_id
    assert root.findtext("s:Header/w:OperationTimeout", None, NS) == "PT17S"
    assert root.findtext("s:Header/w:MaxEnvelopeSize", None, NS) == "512000"
    assert (
        root.findtext("s:Header/w:ResourceURI", None, NS)
        == "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/*"
    )
    assert root.findtext("s:Header/a:Action", None, NS) == envelope.ENUMERATION + "/Enumerate"
    filtered = root.find("s:Body/n:Enumerate/w:Filter", NS)
    assert filtered is not None and filtered.text == "SELECT A FROM B WHERE C<'x&y'"
    assert filtered.get("Dialect") == envelope.WQL
    assert root.find("s:Body/n:Enumerate/w:OptimizeEnumeration", NS) is not None


def test_pull_and_release_name_the_context_and_the_same_resource() -> None:
    """Pull and Release go to the resource of their Enumerate."""
    for build, name in ((envelope.pull_request, "Pull"), (envelope.release_request, "Release")):
        request = build(HERE, "root/cimv2", "uuid:<1>")
        root = ElementTree.fromstring(request.envelope)
        assert root.findtext(f"s:Body/n:{name}/n:EnumerationContext", None, NS) == "uuid:<1>"
        assert request.resource_uri.endswith("/root/cimv2/*")


def test_invoke_and_get() -> None:
    """Arguments are elements of the class's namespace, selectors stand in the header."""
    request = envelope.invoke_request(HERE, "root/cimv2", "StdRegProv", "EnumKey", {"sSubKeyName": "A\\B & <C>"})
    root = ElementTree.fromstring(request.envelope)
    uri = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/StdRegProv"
    assert root.findtext("s:Header/a:Action", None, NS) == uri + "/EnumKey"
    assert root.findtext(f"s:Body/{{{uri}}}EnumKey_INPUT/{{{uri}}}sSubKeyName", None, NS) == "A\\B & <C>"
    got = ElementTree.fromstring(envelope.get_request(HERE, "root/cimv2", "Win32_X", {"Name": 'a"b'}).envelope)
    selector = got.find("s:Header/w:SelectorSet/w:Selector", NS)
    assert selector is not None and selector.get("Name") == "Name" and selector.text == 'a"b'


def test_what_xml_cannot_carry_is_not_sent() -> None:
    """A control character would make the guest refuse the whole message."""
    with pytest.raises(ValueError, match="XML does not allow"):
        envelope.pull_request(HERE, "root/cimv2", "a\x00b")


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY l0 "ha">{entities}]><x>&l9;</x>'.encode()


HOSTILE = {
    "doctype": (b"<!DOCTYPE x><x/>", "DOCTYPE"),
    "external entity": (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', "DOCTYPE"),
    "billion laughs": (laughs(), "DOCTYPE"),
    "unknown entity": (b"<x>&e;</x>", "not well-formed"),
    "deep": (b"<x>" * 500 + b"</x>" * 500, "nested deeper"),
    "wide": (b"<x>" + b"<y/>" * 150_000 + b"</x>", "more than 100000 elements"),
    "too large": (b"<x>" + b" " * (1024 * 1024) + b"</x>", "larger than"),
    "empty": (b"", "not well-formed"),
    "html": (b"<html><body>Sign in<br></body></html>", "not well-formed"),
    "utf-16": ("<!DOCTYPE x><x/>".encode("utf-16"), "DOCTYPE"),
    "another encoding": (b'<?xml version="1.0" encoding="utf-7"?><x/>', "not a SOAP envelope"),
    "cut off": (b"<s:Envelope xmlns:s='x'><s:Body>", "not well-formed"),
    "not soap": (b"<x/>", "not a SOAP envelope but <x>"),
    "soap 1.1": (b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"/>', "not a SOAP envelope"),
    "no body": (f'<e:Envelope xmlns:e="{envelope.SOAP}"/>'.encode(), "without a body"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_answers_are_refused_at_once(name: str) -> None:
    """None of them costs time or memory, and each gives its reason."""
    data, why = HOSTILE[name]
    request = envelope.pull_request(HERE, "root/cimv2", "x")
    started = time.monotonic()
    with pytest.raises(BadAnswer, match=why):
        envelope.open_envelope(data, request)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("related", "accepted"),
    [
        (lambda ours: ours, True),
        (lambda ours: ours.lower(), True),
        (lambda ours: "urn:" + ours, True),
        (lambda ours: f"\n {ours} ", True),
        (lambda ours: "uuid:11111111-2222-3333-4444-555555555555", False),
        (lambda ours: "", False),
        (lambda ours: None, False),
    ],
)
def test_an_answer_must_relate_to_our_message(wire: Any, related: Any, accepted: bool) -> None:
    """Servers differ in case and prefix of the id; another id is another message's answer."""
    request = envelope.pull_request(HERE, "root/cimv2", "x")
    data = wire.envelope("<n:PullResponse/>", related(request.message_id))
    if accepted:
        assert envelope.local(envelope.open_envelope(data, request)) == "PullResponse"
    else:
        with pytest.raises(BadAnswer, match="relate"):
            envelope.open_envelope(data, request)


def test_a_fault_may_lack_relates_to_but_not_relate_to_another(wire: Any) -> None:
    """The server may not have understood our header; a foreign fault is not ours all the same."""
    request = envelope.pull_request(HERE, "root/cimv2", "x")
    with pytest.raises(WsmanFault):
        envelope.open_envelope(wire.envelope(wire.fault("w:AccessDenied"), None), request)
    with pytest.raises(BadAnswer, match="another message"):
        envelope.open_envelope(wire.envelope(wire.fault("w:AccessDenied"), "uuid:2"), request)


PAGES = {
    # name: (body, rows, ended, context)
    "one row and the end, w (Windows)": (lambda w: w.enumerated(w.fragment({"A": 1})), 1, True, ""),
    "end and context (OMI)": (lambda w: w.enumerated(w.full_row({"A": 1}), "7", prefix="n"), 1, True, "7"),
    "first of many": (lambda w: w.enumerated(w.fragment({"A": 1}), "uuid:1", end=False), 1, False, "uuid:1"),
    "no items": (lambda w: w.enumerated("", "uuid:1", end=False), 0, False, "uuid:1"),
    "no items and the end": (lambda w: w.enumerated(""), 0, True, ""),
    "pulled, n": (lambda w: w.pulled(w.fragment({"A": 1}) * 3), 3, True, ""),
    "pulled, w, new context": (lambda w: w.pulled(w.fragment({"A": 1}), "2", False, "w"), 1, False, "2"),
    "pulled, context stays": (lambda w: w.pulled(w.fragment({"A": 1}), None, False), 1, False, ""),
    "property named as a control": (
        lambda w: w.enumerated(w.fragment({"EndOfSequence": 1, "Items": 2}), "3", end=False),
        1,
        False,
        "3",
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_in_every_dialect(wire: Any, name: str) -> None:
    """Items and EndOfSequence in both namespaces, missing Items, contexts that stay or change."""
    build, rows, ended, context = PAGES[name]
    request = envelope.pull_request(HERE, "root/cimv2", "x")
    page = envelope.read_page(envelope.open_envelope(wire.envelope(build(wire), request.message_id), request))
    assert (len(page.rows), page.ended, page.context) == (rows, ended, context)


def test_another_answer_than_a_page_is_refused(wire: Any) -> None:
    """For example a shell's answer."""
    request = envelope.pull_request(HERE, "root/cimv2", "x")
    with pytest.raises(BadAnswer, match="<Shell>"):
        envelope.read_page(envelope.open_envelope(wire.envelope("<Shell/>", request.message_id), request))


NAMES = st.sampled_from(
    [
        "s:Envelope",
        "s:Header",
        "s:Body",
        "s:Fault",
        "s:Code",
        "s:Value",
        "a:RelatesTo",
        "n:EnumerateResponse",
        "w:Items",
        "n:Items",
        "w:XmlFragment",
        "n:EnumerationContext",
        "w:EndOfSequence",
        "A",
        "Datetime",
        "f:WSManFault",
        "MessageID",
    ]
)
TEXTS = st.one_of(
    st.text(max_size=20).map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;")),
    st.sampled_from(
        ["uuid:1", "", "9" * 30, "&bad;", "<![CDATA[x]]>", "<!-- x -->", "<?pi?>", "HRESULT 0x80041003", "-1"]
    ),
)
ATTRIBUTES = st.sampled_from(["", ' xsi:nil="true"', ' Code="5"', ' Code="0xzz"', ' Code="-99999"', ' a="1" a="2"'])
TREES = st.recursive(
    TEXTS,
    lambda inner: st.builds(
        lambda name, attributes, parts: f"<{name}{attributes}>{''.join(parts)}</{name}>",
        NAMES,
        ATTRIBUTES,
        st.lists(inner, max_size=4),
    ),
    max_leaves=20,
)
DECLARED = (
    f'xmlns:s="{envelope.SOAP}" xmlns:a="{envelope.ADDRESSING}" xmlns:w="{envelope.WSMAN}" '
    f'xmlns:n="{envelope.ENUMERATION}" xmlns:f="x" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)


def swallow(data: bytes) -> None:
    """Read an answer all the way to typed values; only WsmanError may come out."""
    request = envelope.Request("uuid:1", "a", "r", "e")
    try:
        response = envelope.open_envelope(data, request)
        for element in envelope.read_page(response).rows:
            row = cim.read_row(element)
            for name in row.properties:
                row.text(name)
                row.integer(name)
                row.boolean(name)
                row.timestamp(name)
    except WsmanError as error:
        assert error.why and len(error.why) < 800
        assert error.why.isprintable()


@settings(max_examples=300, deadline=2000)
@given(st.binary(max_size=2000))
def test_any_bytes_never_break_the_parser(data: bytes) -> None:
    """Whatever arrives, the parser answers with WsmanError or a tree."""
    swallow(data)


@settings(max_examples=500, deadline=2000)
@given(st.lists(TREES, max_size=4), st.booleans())
def test_any_tree_never_breaks_the_reader(parts: list[str], related: bool) -> None:
    """Envelopes that are nearly right: wrong order, repeated, nested, with numbers out of range."""
    header = "<s:Header><a:RelatesTo>uuid:1</a:RelatesTo></s:Header>" if related else ""
    text = f"<s:Envelope {DECLARED}>{header}<s:Body>{''.join(parts)}</s:Body></s:Envelope>"
    swallow(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=300, deadline=2000)
@given(st.data())
def test_a_damaged_real_answer_never_breaks_the_reader(data: Any) -> None:
    """Flip, drop and insert bytes in a good answer."""
    rows = '<w:XmlFragment><A xsi:nil="true"/><B><Datetime>2026-05-13T01:00:00Z</Datetime></B><C>7</C></w:XmlFragment>'
    good = (
        f"<s:Envelope {DECLARED}><s:Header><a:RelatesTo>uuid:1</a:RelatesTo></s:Header><s:Body><n:EnumerateResponse>"
        f"<n:EnumerationContext/><w:Items>{rows}</w:Items><w:EndOfSequence/></n:EnumerateResponse></s:Body></s:Envelope>"
    )
    damaged = bytearray(good.encode())
    for _damage in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 8))] = data.draw(st.binary(max_size=8))
        if not damaged:
            break
    swallow(bytes(damaged))
