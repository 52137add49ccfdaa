# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe, with the real pywinrm, against the emulator's guests: a second opinion on every dialect and every trouble.

Emulator and collection share no code, so that a misunderstanding of the wire in one shows here. What was asked is
counted in the emulator's audit log, not in our own result.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import (
    FACTS,
    GuestFacts,
    enrolment_in_guest,
)

from .test_probe import BEYOND_CORE

pytest.importorskip("winrm")

DOCUMENT = {
    "now": "2026-05-13T01:00:00Z",
    "speed": 0,
    "seed": 7,
    "machines": [
        {"name": "web01", "product": "ws2025", "guest": {"clock_skew_seconds": -90}},
        {"name": "mute01", "product": "ws2022", "guest": {"winrm": False}},
    ],
}
SECONDS = 3.0


@pytest.fixture
def guests(emulated: Any) -> Any:
    running = emulated(DOCUMENT)
    running.seconds, running.subset = SECONDS, "core"
    return running


def unread(facts: GuestFacts) -> set[str]:
    """What of the core could not be read."""
    return {name for name in FACTS if getattr(facts, name).is_unreadable} - BEYOND_CORE


def test_a_healthy_guest(guests: Any) -> None:
    """Every fact is what the guest's state holds."""
    facts = guests.probe("web01")
    state = guests.fleet.by_name("web01").guest
    assert facts.reachable and unread(facts) == set()
    assert (facts.build.value, facts.ubr.value) == (state.os_build, state.ubr)
    assert facts.caption.value == state.caption and facts.operating_system_sku.value == state.edition_sku
    assert set(facts.kbs.value or ()) == set(state.kbs)
    assert facts.skew_seconds.value == pytest.approx(-90, abs=1)
    assert facts.boot_time.value is not None
    assert abs((facts.boot_time.value - state.booted_at).total_seconds() + 90) < 1
    assert enrolment_in_guest(facts).value is True
    assert facts.pending_restart.value is False


def test_round_trips_are_counted_by_the_guest(guests: Any) -> None:
    """At most 12 for the core, 2 for polling, 7 for the enrolment of the right machine."""
    assert guests.probe("web01").round_trips == guests.requests() == 12
    assert guests.probe("web01", subset="poll").round_trips == guests.requests() - 12 == 2
    facts = guests.probe("web01", subset="enrolment,identity")
    assert facts.round_trips == guests.requests() - 14 == 7
    assert enrolment_in_guest(facts).value is True and facts.smbios_uuid.known
    assert facts.kbs.is_unreadable and "updates" in facts.kbs.why


def test_a_guest_that_is_not_ready(guests: Any) -> None:
    """Missing is absent, pending is told with its sources."""
    state = guests.fleet.by_name("web01").guest
    state.hotpatch_package_version = state.hotpatch_table_size = None
    state.pending_restart = True
    state.wu_keys.add("RebootRequired")
    facts = guests.probe("web01")
    assert facts.hotpatch_package.is_absent and facts.hotpatch_table_size.is_absent
    assert enrolment_in_guest(facts).value is False
    assert facts.pending_restart.value is True and len(facts.pending_restart_sources) == 2


@pytest.mark.parametrize("dialect", ["wmi", "wmi_namespaced", "wsman"])
def test_denied_and_broken_classes_cost_their_own_facts_only(guests: Any, dialect: str) -> None:
    """In each way that Windows words WMI's errors."""
    guests.behave(
        "web01",
        dialect=dialect,
        denied_namespaces=["root/Microsoft/Windows/DeviceGuard"],
        broken_classes=["Win32_ComputerSystemProduct", "MSFT_WUSettings"],
    )
    facts = guests.probe("web01")
    assert unread(facts) == {
        *("vbs_status", "security_properties", "security_services_running"),
        *("smbios_uuid", "pending_restart_by_windows_update"),
    }
    assert "may not read" in facts.vbs_status.why and "provider" in facts.smbios_uuid.why
    assert facts.pending_restart.value is False, "the registry keys decide"
    assert guests.requests() <= 12


def test_a_slow_class_costs_its_own_fact_only(guests: Any) -> None:
    """Win32_QuickFixEngineering takes minutes on some guests."""
    guests.behave("web01", slow={"Win32_QuickFixEngineering": 30})
    facts = guests.probe("web01")
    assert facts.reachable and unread(facts) == {"kbs", "kb_dates"}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("slow_drip", "3 seconds allowed in total"),
        ("hang", "3 seconds allowed in total|did not answer in time"),
        ("reset", "closed the connection"),
        ("truncate", "closed the connection"),
        ("endless_body", "larger than 1048576 bytes"),
        ("garbage", "not well-formed"),
        ("http_error", "HTTP 503"),
        ("doctype", "DOCTYPE"),
        ("wrong_relates_to", "another message"),
    ],
)
def test_every_trouble_ends_in_time_with_a_reason(guests: Any, answer: str, why: str) -> None:
    """The guest counts as not reachable, and was asked once."""
    guests.behave("web01", answer=answer)
    facts = guests.probe("web01")
    assert not facts.reachable and guests.requests() == 1
    assert any(part in facts.why for part in why.split("|")), facts.why


def test_endless_pulls_end_with_the_budget(guests: Any) -> None:
    """All other facts are there."""
    guests.behave("web01", answer="endless_pulls")
    facts = guests.probe("web01")
    assert facts.reachable and unread(facts) == {"kbs", "kb_dates"} and guests.requests() == 12


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"remote_password": "not-the-one"}, "refused the credentials"),
        ({"extras": {"ansible_winrm_ca_trust_path": None}}, "not trusted"),
        ({"path": "/other"}, "HTTP 404"),
        ({"port": 1}, "Connection refused"),
    ],
)
def test_wrong_options(guests: Any, options: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result with the reason."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    facts = guests.probe("web01", **options)
    assert not facts.reachable and why in facts.why


def test_a_guest_without_winrm(guests: Any) -> None:
    """Nobody listens."""
    facts = guests.probe("mute01")
    assert not facts.reachable and "Connection refused" in facts.why


def test_a_damaged_repository(guests: Any) -> None:
    """Nothing can be read, nothing is "no", and it does not take more requests than a healthy guest."""
    guests.behave("web01", broken_classes=["*"])
    facts = guests.probe("web01")
    assert facts.reachable and guests.requests() <= 12
    assert {"boot_time", "build", "ubr", "kbs", "vbs_status", "smbios_uuid", "pending_restart"} <= unread(facts)
    assert "provider" in facts.boot_time.why and enrolment_in_guest(facts).is_unreadable


def test_a_guest_that_tells_the_password_back(guests: Any) -> None:
    """It was given it, by basic authentication; what it says is blanked in facts and reasons."""
    guests.behave("web01", answer="echo", denied_namespaces=["root/Microsoft/Windows/DeviceGuard"])
    facts = guests.probe("web01")
    assert facts.caption.value == "******** ********"
    assert facts.computer_name.value == "******** ********...", "it was too long, and cut"
    assert "******** ********" in facts.vbs_status.why
