# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe: every fact in its three states, the number of round trips, and guests that misbehave."""

from __future__ import annotations

from dataclasses import fields
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import FACTS, GuestFacts, guest_from_dict
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import (
    BadAnswer,
    DeadlinePassed,
    Unreachable,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.probe import probe
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.subsets import GROUPS

CORE = {"min", *GROUPS["core"]}
BEYOND_CORE = {one.name for one in fields(GuestFacts) if one.metadata.get("subset", "min") not in CORE}
NOW = datetime(2026, 5, 13, 1, 0, 0, tzinfo=timezone.utc)


class Ticking:
    """A clock that moves by two seconds whenever it is read."""

    def __init__(self) -> None:
        self.reads = -1

    def now(self) -> datetime:
        self.reads += 1
        return NOW + timedelta(seconds=2 * self.reads)


def read(guest: Any, subset: str = "core", redact: Any = str) -> GuestFacts:
    return probe(guest, Ticking(), subset, redact)


def test_a_healthy_guest(windows: Any) -> None:
    """All facts have values, and survive the way through JSON."""
    facts = read(windows())
    assert facts.reachable and facts.why == ""
    values = {name: getattr(facts, name).value for name in FACTS if name not in BEYOND_CORE}
    assert values == {
        "caption": "Microsoft Windows Server 2025 Datacenter Azure Edition",
        "computer_name": "WEB-01",
        "build": 26100,
        "ubr": 32772,
        "operating_system_sku": 407,
        "boot_time": datetime(2026, 4, 16, 3, 11, 20, 500000, timezone.utc),
        "local_time": NOW + timedelta(seconds=3),
        "skew_seconds": 2.0,
        "hotpatch_package": "Hotpatch Enrollment Package",
        "hotpatch_package_version": "10.0.26100.1742",
        "hotpatch_table_size": 4096,
        "vbs_status": 2,
        "security_properties": (1, 2, 3),
        "security_services_running": (2,),
        "pending_restart": False,
        "pending_restart_by_keys": False,
        "pending_restart_by_windows_update": False,
        "kbs": ("KB5082063", "KB5087423"),
        "kb_dates": {"KB5082063": date(2026, 4, 16), "KB5087423": date(2026, 5, 12)},
        "smbios_uuid": "12345678-9abc-def0-1234-56789abcdef0",
        "free_memory_kb": 5242880,
        "total_memory_kb": 8388608,
    }
    # The guest's clock was true in the middle between question (0 s) and answer (2 s).
    assert facts.read_at == NOW + timedelta(seconds=1)
    assert guest_from_dict(facts.to_dict()) == facts


def test_the_core_takes_twelve_round_trips(windows: Any) -> None:
    """Counted at the guest; the order is cheapest gate first, slow class last."""
    guest = windows()
    assert read(guest).round_trips == 12
    assert guest.asked == [
        "Win32_OperatingSystem",
        "UBR",
        "Name",
        "Version",
        "Win32_DeviceGuard",
        "HotPatchTableSize",
        "IsPendingReboot",
        "Component Based Servicing",
        "Auto Update",
        "Win32_ComputerSystemProduct",
        "Win32_QuickFixEngineering",
        "Pull",
    ]


def test_polling_takes_two_round_trips(windows: Any) -> None:
    """Boot time, build and UBR; what was not asked is unreadable, not absent."""
    guest = windows()
    facts = read(guest, "poll")
    assert guest.asked == ["Win32_OperatingSystem", "UBR"] and facts.round_trips == 2
    assert (
        facts.boot_time.known and facts.ubr.value == 32772 and facts.build.value == 26100 and facts.skew_seconds.known
    )
    for name in ("kbs", "pending_restart", "hotpatch_package", "smbios_uuid", "services"):
        fact = getattr(facts, name)
        assert fact.is_unreadable and "not asked: it takes the subset" in fact.why


@pytest.mark.parametrize("trouble", ["rubbish", "slow", "endless"])
def test_never_more_than_twelve(windows: Any, wire: Any, trouble: str) -> None:
    """Whatever goes wrong, and however many pages a guest has."""
    overrides: dict[str, Any] = {}
    if trouble == "rubbish":
        overrides = dict.fromkeys(["Win32_DeviceGuard", "IsPendingReboot", "Auto Update"], b"<!DOCTYPE x><x/>")
    elif trouble == "slow":
        overrides = {"Win32_DeviceGuard": Unreachable("slow")}
    guest = windows(overrides, kb_pages=100 if trouble == "endless" else 1)
    facts = read(guest)
    assert facts.reachable
    assert len(guest.asked) == facts.round_trips == 12
    if trouble == "endless":
        assert facts.kbs.is_unreadable and "did not finish its rows" in facts.kbs.why


@pytest.mark.parametrize("error", [Unreachable("connection refused"), DeadlinePassed("too late"), BadAnswer("HTML")])
def test_a_guest_that_does_not_answer_is_asked_once(windows: Any, error: Exception) -> None:
    """All its facts are unreadable with the same reason."""
    guest = windows({"Win32_OperatingSystem": error})
    facts = read(guest)
    assert (facts.reachable, facts.why, facts.round_trips) == (False, str(error), 1)
    assert guest.asked == ["Win32_OperatingSystem"]
    assert facts.boot_time == Fact.unreadable(str(error)) == facts.kbs


def test_a_first_fault_is_an_answer(windows: Any, wire: Any) -> None:
    """A damaged WMI class costs its own facts only."""
    broken = wire.fault("w:InternalError", "<MessageID>HRESULT 0x80041013</MessageID>")
    facts = read(windows({"Win32_OperatingSystem": broken}))
    assert facts.reachable
    assert facts.boot_time.is_unreadable and "WMI provider" in facts.boot_time.why
    assert facts.skew_seconds.is_unreadable and facts.caption.is_unreadable
    assert facts.ubr.value == 32772 and facts.kbs.known


def test_a_guest_that_falls_silent_keeps_what_was_read(windows: Any) -> None:
    """Two silences end the questions, the deadline too; the facts say why."""
    names = ["IsPendingReboot", "Component Based Servicing", "Auto Update", "Win32_ComputerSystemProduct"]
    guest = windows(dict.fromkeys(names, Unreachable("no answer in time")))
    facts = read(guest)
    assert facts.reachable and facts.boot_time.known and facts.vbs_status.value == 2
    assert guest.asked[-2:] == ["IsPendingReboot", "Component Based Servicing"]
    assert facts.pending_restart.is_unreadable and "no answer in time" in facts.pending_restart.why
    assert facts.kbs.is_unreadable and "stopped answering" in facts.kbs.why


FAULT = "fault"
# fact, what is overridden, state, part of the value or the reason
STATES = [
    ("ubr", "UBR", {"ReturnValue": 1}, "absent", "does not exist"),
    ("ubr", "UBR", {"ReturnValue": 5}, "unreadable", "denied"),
    ("ubr", "UBR", FAULT, "unreadable", "may not read"),
    ("hotpatch_package", "Name", {"ReturnValue": 2}, "absent", "does not exist"),
    ("hotpatch_package", "Name", {"sValue": "", "ReturnValue": 0}, "absent", "empty"),
    ("hotpatch_package", "Name", {"ReturnValue": 5}, "unreadable", "denied"),
    ("hotpatch_package_version", "Name", {"ReturnValue": 2}, "absent", "does not exist"),
    ("hotpatch_package_version", "Name", FAULT, "unreadable", "may not read"),
    ("hotpatch_package_version", "Version", {"sValue": "soon", "ReturnValue": 0}, "unreadable", "not a version"),
    ("hotpatch_table_size", "HotPatchTableSize", {"ReturnValue": 1}, "absent", "does not exist"),
    ("hotpatch_table_size", "HotPatchTableSize", {"uValue": 0, "ReturnValue": 0}, "value", 0),
    ("hotpatch_table_size", "HotPatchTableSize", Unreachable("slow"), "unreadable", "slow"),
    ("vbs_status", "Win32_DeviceGuard", FAULT, "unreadable", "may not read"),
    ("kbs", "Win32_QuickFixEngineering", Unreachable("timed out"), "unreadable", "timed out"),
    ("kbs", "Pull", FAULT, "unreadable", "may not read"),
    ("smbios_uuid", "Win32_ComputerSystemProduct", FAULT, "unreadable", "may not read"),
]


@pytest.mark.parametrize(("fact", "what", "answer", "state", "expected"), STATES)
def test_states(windows: Any, wire: Any, fact: str, what: str, answer: Any, state: str, expected: Any) -> None:
    """Value, absent, or unreadable with the reason; nothing unreadable turns into a no."""
    if answer == FAULT:
        answer = wire.fault("w:AccessDenied", wire.wsman_fault(5))
    elif isinstance(answer, dict):
        answer = wire.output("GetDWORDValue", answer)
    guest = windows({what: answer})
    facts = read(guest)
    found = getattr(facts, fact)
    assert found.state == state
    assert found.value == expected if state == "value" else expected in found.why
    assert facts.reachable and len(guest.asked) <= 12


@pytest.mark.parametrize(
    ("fact", "class_name", "row", "state", "why"),
    [
        ("vbs_status", "Win32_DeviceGuard", {"VirtualizationBasedSecurityStatus": None}, "unreadable", "no value"),
        ("vbs_status", "Win32_DeviceGuard", {}, "unreadable", "no value"),
        ("vbs_status", "Win32_DeviceGuard", {"VirtualizationBasedSecurityStatus": "1"}, "value", ""),
        ("boot_time", "Win32_OperatingSystem", {"LastBootUpTime": None}, "unreadable", "no value"),
        ("boot_time", "Win32_OperatingSystem", {"LastBootUpTime": "2026-04-16 03:11"}, "unreadable", "timestamp"),
        ("skew_seconds", "Win32_OperatingSystem", {"BuildNumber": "26100"}, "unreadable", "no value"),
        ("build", "Win32_OperatingSystem", {"BuildNumber": "ten"}, "unreadable", "whole number"),
        ("smbios_uuid", "Win32_ComputerSystemProduct", {"UUID": "none"}, "unreadable", "not a UUID"),
        (
            "smbios_uuid",
            "Win32_ComputerSystemProduct",
            {"UUID": "F" * 8 + "-FFFF" * 3 + "-" + "F" * 12},
            "unreadable",
            "none",
        ),
        ("kbs", "Win32_QuickFixEngineering", {"Caption": "x"}, "unreadable", "names a KB"),
        ("kbs", "Win32_QuickFixEngineering", {"HotFixID": "kb5087423"}, "value", ""),
    ],
)
def test_rows(windows: Any, wire: Any, fact: str, class_name: str, row: dict[str, Any], state: str, why: str) -> None:
    """A property that Windows always fills and is not there was not read."""
    facts = read(windows({class_name: wire.enumerated(wire.fragment(row))}))
    assert getattr(facts, fact).state == state
    assert why in getattr(facts, fact).why


def test_no_updates_is_a_value(windows: Any, wire: Any) -> None:
    """An empty list was read, and is empty."""
    assert read(windows({"Win32_QuickFixEngineering": wire.enumerated("")})).kbs.value == ()


def test_what_is_configured_explains_an_unreadable_vbs(windows: Any, wire: Any) -> None:
    """Where a trip remains; configured does not mean running, so the fact stays unreadable."""
    denied = wire.fault("w:AccessDenied", wire.wsman_fault(5))
    guest = windows({"Win32_DeviceGuard": denied, "Name": wire.output("GetStringValue", {"ReturnValue": 2})})
    facts = read(guest)
    assert guest.asked[-1] == "EnableVirtualizationBasedSecurity" and facts.round_trips == 12
    assert facts.vbs_status.is_unreadable
    assert "is configured, which does not tell whether it runs" in facts.vbs_status.why


SERVICING = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending"
UPDATE = r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired"
WUA = "MSFT_WUSettings.IsPendingReboot"
DENIED = {"ReturnValue": 5}


@pytest.mark.parametrize(
    ("servicing", "update", "says", "state", "value", "sources"),
    [
        ([], [], "false", "value", False, ()),
        (["RebootPending"], [], "false", "value", True, (SERVICING,)),
        (["REBOOTPENDING"], [], "true", "value", True, (SERVICING, WUA)),
        ([], ["RebootRequired"], "true", "value", True, (UPDATE, WUA)),
        ([], ["RebootRequired"], None, "value", True, (UPDATE,)),
        ([], [], None, "value", False, ()),
        # The inferred answer alone neither holds a machine nor clears it.
        ([], [], "true", "unreadable", None, (WUA,)),
        (DENIED, [], "false", "unreadable", None, ()),
        (DENIED, [], "true", "unreadable", None, (WUA,)),
        (DENIED, ["RebootRequired"], "false", "value", True, (UPDATE,)),
        # A key that does not exist holds no marker.
        ({"ReturnValue": 2}, {"ReturnValue": 2}, "false", "value", False, ()),
    ],
)
def test_pending_restart(
    windows: Any, wire: Any, servicing: Any, update: Any, says: str | None, state: str, value: Any, sources: Any
) -> None:
    """The registry keys decide, Windows Update's own answer agrees or makes it unreadable."""

    def keys(names: Any) -> Any:
        return wire.output("EnumKey", names if isinstance(names, dict) else {"sNames": ["X", *names], "ReturnValue": 0})

    answer = (
        wire.fault("w:AccessDenied")
        if says is None
        else wire.output("IsPendingReboot", {"PendingReboot": says, "ReturnValue": 0})
    )
    facts = read(
        windows({"Component Based Servicing": keys(servicing), "Auto Update": keys(update), "IsPendingReboot": answer})
    )
    assert (facts.pending_restart.state, facts.pending_restart.value) == (state, value)
    assert facts.pending_restart_sources == sources


def test_windows_update_may_fail_by_return_value(windows: Any, wire: Any) -> None:
    """Then it said nothing, whatever the output holds."""
    failed = wire.output("IsPendingReboot", {"PendingReboot": "true", "ReturnValue": 2147749889})
    facts = read(windows({"IsPendingReboot": failed}))
    assert facts.pending_restart.value is False and "return value 2147749889" in facts.pending_restart.why


def test_a_guest_that_echoes_the_password(windows: Any, wire: Any) -> None:
    """Basic authentication gave it away; it does not come back in facts or reasons."""
    secret = "Enrollment"  # also a word of the one text that must survive
    row = dict(windows.ROWS["Win32_OperatingSystem"], Caption=f"Windows {secret}", CSName=secret)
    guest = windows(
        {
            "Win32_OperatingSystem": wire.enumerated(wire.fragment(row)),
            "Win32_DeviceGuard": wire.fault("w:AccessDenied", reason=f"{secret} is wrong"),
            "Version": wire.output("GetStringValue", {"sValue": secret, "ReturnValue": 0}),
        }
    )
    facts = read(guest, redact=lambda text: text.replace(secret, "********"))
    assert facts.hotpatch_package.value == "Hotpatch Enrollment Package"
    shown = str(facts.to_dict()).replace("Hotpatch Enrollment Package", "")
    assert secret not in shown and shown.count("********") == 6


def test_control_characters_do_not_reach_the_terminal(windows: Any, wire: Any) -> None:
    """XML allows some that terminals obey (C1)."""
    row = dict(windows.ROWS["Win32_OperatingSystem"], Caption="Win\x9b31mdows\n" + "x" * 500)
    facts = read(windows({"Win32_OperatingSystem": wire.enumerated(wire.fragment(row))}))
    assert facts.caption.value is not None and facts.caption.value.isprintable() and len(facts.caption.value) == 120
