# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables: who is restarted after a baseline, when it has come back, and its verdict."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR, Release
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.restart import (
    booted_anew,
    restart_decision,
    restarted_verdict,
    unsettled,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import Verdict

from .builders import NOW, VM_ID, guest

BASELINE: Fact[Release] = Fact.of(next(item for item in CALENDAR.of("ws2025") if item.kb == "KB5082063"))
LONG_AGO = NOW - timedelta(days=20)
START = NOW - timedelta(minutes=20)
SENT = NOW - timedelta(minutes=10)


def reading(**facts: Any) -> GuestFacts:
    """A guest that has the baseline installed and waits for its restart."""
    found: dict[str, Any] = {
        "build": 26100,
        "ubr": 32463,
        "kbs": ("KB5082063",),
        "boot_time": LONG_AGO,
        "local_time": NOW,
        "skew_seconds": 0.0,
        "pending_restart": True,
        "services": {"wuauserv": "Running", "TrustedInstaller": "Stopped"},
        "service_start_modes": {"wuauserv": "Auto", "TrustedInstaller": "Manual"},
        **facts,
    }
    return replace(
        guest(),
        **{name: value if isinstance(value, Fact) else Fact.of(value) for name, value in found.items()},
    )


SILENT = unreachable_guest("no answer", NOW)
BACK: dict[str, Any] = {"ubr": 32690, "boot_time": SENT + timedelta(minutes=3), "pending_restart": False}


@pytest.mark.parametrize(
    ("seen", "too_late", "code"),
    [
        (reading(), "", "restart_needed"),
        (reading(), "its window closes", "outside_window"),
        (None, "", "guest_silent"),
        (SILENT, "", "guest_silent"),
        (reading(smbios_uuid="00000000-0000-4000-8000-000000000001"), "", "wrong_guest"),
        (reading(boot_time=START + timedelta(minutes=5)), "", "restarted_already"),
        (reading(boot_time=START + timedelta(seconds=30)), "", "boot_unread"),
        (reading(kbs=()), "", "not_installed"),
        (reading(kbs=Fact.unreadable("denied")), "", "level_unread"),
        (reading(ubr=32690, pending_restart=False), "", "in_effect"),
        (reading(ubr=32690), "", "restart_needed"),
    ],
)
def test_who_is_restarted(seen: GuestFacts | None, too_late: str, code: str) -> None:
    found = restart_decision(seen, START, BASELINE, VM_ID, too_late)
    assert found.code == code, found
    assert found.restart is (code == "restart_needed")


@pytest.mark.parametrize(
    ("seen", "before", "anew"),
    [
        (reading(**BACK), LONG_AGO, True),
        (reading(boot_time=SENT + timedelta(seconds=20)), LONG_AGO, True),
        (reading(boot_time=SENT - timedelta(seconds=60)), LONG_AGO, True),
        (reading(boot_time=SENT - timedelta(minutes=5)), LONG_AGO, False),
        (reading(), LONG_AGO, False),
        (reading(), None, None),
        (reading(boot_time=Fact.unreadable("denied")), LONG_AGO, None),
        (SILENT, LONG_AGO, None),
    ],
)
def test_whether_our_restart_was_seen(seen: GuestFacts, before: Any, anew: bool | None) -> None:
    assert booted_anew(seen, SENT, before).value is anew


@pytest.mark.parametrize(
    ("seen", "ran", "words"),
    [
        (reading(**BACK), {"wuauserv": "Running"}, ""),
        (reading(**{**BACK, "pending_restart": True}), {}, "pending"),
        (reading(**BACK, services={"TrustedInstaller": "Running"}), {}, "servicing"),
        (reading(**BACK, services=Fact.unreadable("denied")), {}, "not read"),
        (reading(**BACK, services={"wuauserv": "Stopped"}), {"wuauserv": "Running"}, "wuauserv"),
        (reading(**BACK, services={"wuauserv": "Stopped"}), {"wuauserv": "Stopped"}, ""),
        (reading(), {}, "not restarted yet"),
        (SILENT, {}, "does not answer"),
    ],
)
def test_what_a_guest_has_to_settle_to(seen: GuestFacts, ran: dict[str, str], words: str) -> None:
    found = unsettled(seen, booted_anew(seen, SENT, LONG_AGO), ran)
    assert (words in found) if words else found == ""


@pytest.mark.parametrize(
    ("verdict", "seen", "anew", "waiting", "expected"),
    [
        ("patched_restarted_as_planned", reading(**BACK), True, "", ("patched_restarted_as_planned", "proven")),
        ("patched_restarted_as_planned", reading(**BACK), True, "pending", ("unproven", "not_settled")),
        ("patched_restarted_as_planned", reading(), True, "", ("failed", "not_in_effect")),
        ("patched_restarted_as_planned", reading(), False, "", ("unproven", "restart_not_seen")),
        ("patched_restarted_as_planned", reading(), "unread", "", ("unproven", "restart_unread")),
        ("patched", reading(), None, "outside", ("unproven", "restart_outstanding")),
        ("patched", reading(**BACK), None, "", ("patched", "proven")),
        ("failed", reading(**BACK), True, "", ("failed", "proven")),
        ("restarted_unexpectedly", reading(**BACK), None, "", ("restarted_unexpectedly", "proven")),
        ("unreachable", SILENT, True, "", ("unreachable", "proven")),
    ],
)
def test_the_verdict(verdict: Any, seen: GuestFacts, anew: Any, waiting: str, expected: tuple[str, str]) -> None:
    fact = None if anew is None else Fact.unreadable("unread") if anew == "unread" else Fact.of(anew)
    found = restarted_verdict(Verdict(verdict, "proven", "said"), seen, BASELINE, fact, waiting)
    assert (found.name, found.reason_code) == expected
