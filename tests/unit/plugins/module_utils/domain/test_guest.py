# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import (
    FACTS,
    GuestFacts,
    UpdateEvent,
    enrolment_in_guest,
    guest_from_dict,
    product_of_build,
    unreachable_guest,
)

from .builders import ABSENT, NOW, UNREAD, guest


@pytest.mark.parametrize(
    ("build", "product"), [(20348, "ws2022"), (26100, "ws2025"), (26200, None), (17763, None), (0, None)]
)
def test_product_of_build(build: int, product: str | None) -> None:
    assert product_of_build(build) == product


@pytest.mark.parametrize(
    ("changes", "state", "value", "why"),
    [
        ({}, "value", True, "all there"),
        ({"hotpatch_package": ABSENT}, "value", False, "Enrollment Package"),
        ({"hotpatch_table_size": ABSENT}, "value", False, "HotPatchTableSize"),
        ({"hotpatch_table_size": 0}, "value", False, "HotPatchTableSize"),
        ({"vbs_status": 0}, "value", False, "status 0"),
        ({"vbs_status": 1}, "value", False, "status 1"),
        ({"vbs_status": ABSENT}, "value", False, "virtualization-based"),
        ({"hotpatch_package": UNREAD}, "unreadable", None, "access denied"),
        ({"hotpatch_table_size": UNREAD}, "unreadable", None, "access denied"),
        ({"vbs_status": UNREAD}, "unreadable", None, "access denied"),
        # One missing part is enough, whatever else could not be read.
        ({"vbs_status": UNREAD, "hotpatch_package": ABSENT}, "value", False, "Enrollment Package"),
        ({"hotpatch_package": ABSENT, "vbs_status": 1}, "value", False, "Package is not installed; virtualization"),
        ({"reachable": False, "why": "timed out"}, "unreadable", None, "timed out"),
    ],
)
def test_enrolment_in_guest(changes: dict[str, Any], state: str, value: bool | None, why: str) -> None:
    found = enrolment_in_guest(guest(**changes))
    assert (found.state, found.value) == (state, value)
    assert why in found.why


def test_a_guest_that_did_not_answer_has_nothing_but_unreadable_facts() -> None:
    found = unreachable_guest("connection refused", NOW, 1)
    facts = [value for value in vars(found).values() if isinstance(value, Fact)]
    assert len(facts) == len(FACTS) == 44
    assert {(fact.state, fact.why) for fact in facts} == {("unreadable", "connection refused")}
    assert (found.reachable, found.why, found.read_at, found.round_trips) == (False, "connection refused", NOW, 1)


@pytest.mark.parametrize(
    "found",
    [
        guest(),
        guest(kbs=UNREAD, skew_seconds=-3600.25, vbs_status=ABSENT),
        guest(
            services={"wuauserv": "Running"},
            kb_dates={"KB5087423": date(2026, 5, 12)},
            update_events=(UpdateEvent(NOW, 20, "KB5087423", "0x80072EE2", "timed out"),),
            security_properties=(1, 2, 3),
            sql_instances=("MSSQLSERVER",),
            cpu_percent=3.0,
        ),
        unreachable_guest("no", NOW),
    ],
)
def test_goes_through_json_and_back(found: Any) -> None:
    assert guest_from_dict(json.loads(json.dumps(found.to_dict()))) == found
    short = found.to_short_dict()
    assert guest_from_dict(json.loads(json.dumps(short))) == found
    assert not any("not asked" in str(fact) for fact in short.values())


def test_many_guests_fit_into_one_result() -> None:
    """AWX cuts a result at 700 kB: 500 guests that were polled, and as many that did not answer, fit."""
    polled = GuestFacts(True, "", NOW, **{name: getattr(guest(), name) for name in ("build", "ubr", "boot_time")})
    silent = unreachable_guest("the guest cannot be connected to (Connection refused); is WinRM listening there?", NOW)
    assert max(len(json.dumps(one.to_short_dict())) for one in (polled, silent)) < 600


def test_shape() -> None:
    plain = guest().to_dict()
    assert plain["kbs"] == {"state": "value", "value": ["KB5082063", "KB5054156"], "why": ""}
    assert plain["read_at"] == "2026-05-13T01:00:00Z"
