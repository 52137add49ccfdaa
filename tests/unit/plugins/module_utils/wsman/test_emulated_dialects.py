# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""However a guest words its answers, the facts are the same; however it words its refusals, the reason is.

Every switch of the emulator (wsman.shapes, wsman.soap_faults) is met by the real probe over real TLS.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts

shapes = pytest.importorskip("hotpatch_emulator.wsman.shapes")
soap_faults = pytest.importorskip("hotpatch_emulator.wsman.soap_faults")
pytest.importorskip("winrm")

DOCUMENT = {
    "now": "2026-05-13T01:00:00.25Z",
    "speed": 0,
    "seed": 7,
    "machines": [{"name": "web01", "product": "ws2025", "guest": {"clock_skew_seconds": -90}}],
}
CASES = [(switch, value) for switch, values in shapes.SWITCHES.items() for value in values]
DEVICE_GUARD = "root/Microsoft/Windows/DeviceGuard"


@pytest.fixture
def guests(emulated: Any) -> Any:
    running = emulated(DOCUMENT)
    running.subset = "core"
    return running


def told(facts: GuestFacts) -> dict[str, tuple[str, Any]]:
    """State and value of every fact."""
    facts_of = {one.name: getattr(facts, one.name) for one in fields(facts)}
    return {name: (fact.state, fact.value) for name, fact in facts_of.items() if isinstance(fact, Fact)}


@pytest.mark.parametrize(("switch", "value"), CASES)
def test_every_shape_gives_the_same_facts(guests: Any, switch: str, value: str) -> None:
    """One item and many, either namespace, missing Items, nil, full rows, every form of a date."""
    expected = told(guests.probe("web01"))
    before = guests.requests()
    guests.behave("web01", shape={switch: value})
    found = told(guests.probe("web01"))
    if value == "whole_seconds":
        for name in ("local_time", "skew_seconds", "boot_time"):
            expected.pop(name), found.pop(name)
    if value in ("none_then_pull", "one_each", "refused"):
        # More trips are needed than a Windows server makes us take: what is left over is unreadable, and nothing else.
        found = {name: fact for name, fact in found.items() if fact[0] != "unreadable"}
        expected = {name: expected[name] for name in found}
        assert {"boot_time", "build", "ubr", "hotpatch_table_size"} <= set(found)
    assert found == expected
    assert guests.requests() - before > 0


def test_microsoft_omi(guests: Any) -> None:
    """It knows no projections, writes FALSE, ends with a context, and names outputs after the class."""
    expected = told(guests.probe("web01"))
    guests.behave("web01", shape="omi", dialect="omi")
    facts = guests.probe("web01")
    found = {name: fact for name, fact in told(facts).items() if fact[0] != "unreadable"}
    assert found == {name: expected[name] for name in found}
    lost = {name for name, fact in expected.items() if fact[0] != "unreadable"} - set(found)
    assert lost <= {"kbs", "kb_dates"}, "one trip more, no fact less but those of the last read"
    guests.behave("web01", shape="omi", dialect="omi")
    assert guests.probe("web01", subset="poll").boot_time.known


@pytest.mark.parametrize("dialect", soap_faults.DIALECTS)
@pytest.mark.parametrize(
    ("behaviour", "fact", "why"),
    [
        ({"denied_namespaces": [DEVICE_GUARD]}, "vbs_status", "may not read this; grant it Remote Enable"),
        ({"broken_classes": ["Win32_ComputerSystemProduct"]}, "smbios_uuid", "provider"),
        ({"denied_namespaces": ["root/cimv2"]}, "boot_time", "may not read this"),
    ],
)
def test_every_dialect_of_a_fault_gives_the_same_reason(
    guests: Any, dialect: str, behaviour: dict[str, Any], fact: str, why: str
) -> None:
    """By subcode, by number, by MSFT_WmiError in either namespace, by OMI_Error."""
    guests.behave("web01", dialect=dialect, **behaviour)
    facts = guests.probe("web01")
    found = getattr(facts, fact)
    assert found.is_unreadable, found
    assert why in found.why, found.why


@pytest.mark.parametrize(
    ("code", "state", "why"),
    [
        (1, "absent", ""),
        (2, "absent", ""),
        (5, "unreadable", "access to it is denied"),
        (6, "unreadable", "return value 6"),
        (2147749893, "unreadable", "another type"),
        (2147749891, "unreadable", "return value 2147749891"),
    ],
)
def test_return_values_of_the_registry(guests: Any, code: int, state: str, why: str) -> None:
    """StdRegProv fails by return value: missing is absent, anything else is unreadable, never "no"."""
    guests.behave("web01", return_values={"HotPatchTableSize": code})
    found = guests.probe("web01").hotpatch_table_size
    assert found.state == state
    assert why in found.why, found.why
