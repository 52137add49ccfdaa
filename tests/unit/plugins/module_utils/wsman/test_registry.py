# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Registry reads: every ReturnValue has its state, and nothing unreadable looks like a missing value."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.cim import CimSession
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import BadAnswer, Unreachable
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.registry import list_keys, read_dword, read_string


def session(scripted: Any, answer: Any) -> CimSession:
    return CimSession(scripted([answer]))


def test_values(wire: Any, scripted: Any) -> None:
    """ReturnValue 0 gives the value."""
    dword = read_dword(session(scripted, wire.output("GetDWORDValue", {"uValue": 4096, "ReturnValue": 0})), "K", "V")
    assert dword.value == 4096
    text = read_string(session(scripted, wire.output("GetStringValue", {"sValue": " a ", "ReturnValue": 0})), "K", "V")
    assert text.value == "a"
    keys = list_keys(session(scripted, wire.output("EnumKey", {"sNames": ["A", "B"], "ReturnValue": 0})), "K")
    assert keys.value == ("A", "B")


def test_a_key_without_sub_keys_is_a_value(wire: Any, scripted: Any) -> None:
    """Windows leaves the empty array out, or says nil."""
    for outputs in ({"ReturnValue": 0}, {"sNames": None, "ReturnValue": 0}):
        assert list_keys(session(scripted, wire.output("EnumKey", outputs)), "K").value == ()


@pytest.mark.parametrize("code", [1, 2])
def test_missing_is_absent(wire: Any, scripted: Any, code: int) -> None:
    """1 is a missing value, 2 a missing key."""
    fact = read_dword(session(scripted, wire.output("GetDWORDValue", {"ReturnValue": code})), "A\\B", "V")
    assert fact.is_absent
    assert "HKLM\\A\\B value V does not exist" in fact.why


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        ({"ReturnValue": 5}, "access to it is denied (return value 5)"),
        ({"ReturnValue": 6}, "hive is not valid"),
        ({"ReturnValue": 2147749893}, "another type"),
        ({"ReturnValue": -2147217403}, "another type"),
        ({"ReturnValue": 1734}, "StdRegProv failed (return value 1734)"),
        ({"ReturnValue": None}, "no usable return value"),
        ({"ReturnValue": "zero"}, "no usable return value"),
        ({"uValue": 1}, "no usable return value"),
        ({"ReturnValue": 0}, "success without a value"),
        ({"uValue": None, "ReturnValue": 0}, "success without a value"),
        ({"uValue": "many", "ReturnValue": 0}, "not a whole number"),
        ({"uValue": 4294967296, "ReturnValue": 0}, "outside 0"),
    ],
)
def test_anything_else_is_unreadable(wire: Any, scripted: Any, outputs: dict[str, Any], why: str) -> None:
    """With the reason, never absent."""
    fact = read_dword(session(scripted, wire.output("GetDWORDValue", outputs)), "K", "V")
    assert fact.is_unreadable
    assert why in fact.why


@pytest.mark.parametrize("trouble", ["fault", Unreachable("gone"), BadAnswer("rubbish"), b"<!DOCTYPE x><x/>"])
def test_faults_silence_and_rubbish_are_unreadable(wire: Any, scripted: Any, trouble: Any) -> None:
    """The key and the reason are named."""
    answer = wire.fault("w:AccessDenied", wire.wsman_fault(5)) if trouble == "fault" else trouble
    for read in (
        lambda one: read_dword(one, "K", "V"),
        lambda one: read_string(one, "K", "V"),
        lambda one: list_keys(one, "K"),
    ):
        fact = read(session(scripted, answer))
        assert fact.is_unreadable
        assert "HKLM\\K" in fact.why and "could not be read" in fact.why
