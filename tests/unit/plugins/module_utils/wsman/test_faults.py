# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults mean the same whichever dialect a guest reports them in."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman import envelope
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import WsmanFault, classify, printable

REQUEST = envelope.pull_request(envelope.Address("https://127.0.0.9/wsman"), "root/cimv2", "x")
WMI_ERROR = (
    '<p:MSFT_WmiError xmlns:p="{namespace}"><p:CIMStatusCode>2</p:CIMStatusCode><p:Message>{message}</p:Message>'
    "<p:MessageID>HRESULT 0x{code:08x}</p:MessageID><p:error_Code>{code}</p:error_Code></p:MSFT_WmiError>"
)
EXTENDED = (
    '<f:ProviderFault xmlns:f="x" provider="WMI Provider"><f:WSManFault Code="2150858778">'
    "<f:Message>{words}</f:Message></f:WSManFault></f:ProviderFault>"
)


def read(wire: Any, body: str) -> WsmanFault:
    with pytest.raises(WsmanFault) as caught:
        envelope.open_envelope(wire.envelope(body, REQUEST.message_id), REQUEST)
    return caught.value


@pytest.mark.parametrize(
    ("subcode", "code", "kind"),
    [
        ("w:AccessDenied", None, "access_denied"),
        ("other:AccessDenied", None, "access_denied"),
        ("", 5, "access_denied"),
        ("w:AccessDenied", 5, "access_denied"),
        ("n:CannotProcessFilter", 2150858778, "bad_query"),
        ("", 2150858752, "not_found"),
        ("a:DestinationUnreachable", None, "not_found"),
        ("", 2150859002, "not_supported"),
        ("w:InternalError", 2150859010, "provider"),
        ("w:TimedOut", None, "timed_out"),
        ("", 2150858793, "timed_out"),
        ("w:QuotaLimit", 2150859174, "quota"),
        ("", 2150859173, "quota"),
        ("w:Newfangled", 4711, "other"),
        ("", None, "other"),
    ],
)
def test_by_subcode_or_number(wire: Any, subcode: str, code: int | None, kind: str) -> None:
    """WinRM 3.0 and newer name a subcode, WinRM 2.0 a number."""
    detail = "" if code is None else wire.wsman_fault(code)
    assert read(wire, wire.fault(subcode, detail)).kind == kind


@pytest.mark.parametrize(
    "namespace",
    [
        "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError",
        "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/MSFT_WmiError",
    ],
)
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x80041003, "access_denied"),
        (0x8004100E, "bad_namespace"),
        (0x80041010, "bad_class"),
        (0x80041017, "bad_query"),
        (0x80041013, "provider"),
    ],
)
def test_by_hresult_in_either_namespace(wire: Any, namespace: str, code: int, kind: str) -> None:
    """WMI's own error says more than the wrapping, here a generic InternalError."""
    detail = WMI_ERROR.format(namespace=namespace, message="Access denied ", code=code)
    fault = read(wire, wire.fault("w:InternalError", detail))
    assert fault.kind == kind
    assert f"0x{code:08X}" in fault.why


def test_an_unknown_class_in_a_query_is_told_from_a_bad_query(wire: Any) -> None:
    """Windows uses one code for both; the nested words tell which it is."""
    inner = EXTENDED.format(words="The specified class does not exist in the given namespace. ")
    assert (
        read(wire, wire.fault("n:CannotProcessFilter", wire.wsman_fault(2150858778, inner=inner))).kind == "bad_class"
    )


def test_the_sentence_is_clear_and_bounded(wire: Any) -> None:
    """It says what it means, the numbers, and the guest's words without control characters, cut."""
    fault = read(wire, wire.fault("w:AccessDenied", wire.wsman_fault(5, "A" * 5000 + "\n\tB"), "Access\r\nis denied."))
    assert fault.why.startswith("the account may not read this; grant it Remote Enable")
    assert "(AccessDenied, 0x00000005): Access is denied. AAAA" in fault.why
    assert len(fault.why) < 600 and fault.why.isprintable()


def test_numbers_out_of_range_are_left_out() -> None:
    """A fault with nonsense for codes still is a fault."""
    assert classify([], [], []) == "other"
    assert envelope._numbers("12345678901234567890") == []
    assert envelope._numbers("0xZZ") == []
    assert envelope._numbers("-2147217405") == [0x80041003]
    assert envelope._numbers("") == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\x1b[31mb\x00", "a [31mb"), ("a \n\n b", "a b"), ("x" * 20, "xxxxxxx..."), ("", "")],
)
def test_printable(text: str, shown: str) -> None:
    """No escape sequence of a guest reaches a terminal."""
    assert printable(text, 10) == shown
