# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each machine of an enrolment campaign stands, for whom waiting makes sense, and when the campaign failed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import unread_machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.enrollment_progress import (
    Row,
    failure,
    foreseen,
    row_from_dict,
    seconds_between_looks,
    standing,
    totals,
)

from ..domain.builders import ABSENT, NOW, PATCH, UNREAD, VIEW, guest, machine, rid

CHANGED = {"outcome": "changed", "reason": "Set enableHotpatching=True."}
REFUSED = {"outcome": "refused", "reason_code": "scale_set_member", "reason": "it belongs to a scale set"}
OTHER_UUID = "99999999-4455-6677-8899-aabbccddeeff"
STOPPED = {f"{VIEW}__statuses": [{"code": "PowerState/deallocated"}]}


@pytest.mark.parametrize(
    ("entry", "changes", "inside", "state", "code", "waits"),
    [
        (CHANGED, {}, guest(), "enrolled", "effective", False),
        ({"outcome": "unchanged"}, {}, guest(), "enrolled", "effective", False),
        ({"outcome": "running"}, {}, guest(), "enrolled", "effective", False),
        (CHANGED, {}, None, "enrolling", "guest_not_asked", True),
        (CHANGED, {}, guest(hotpatch_package=ABSENT), "enrolling", "not_effective", True),
        (CHANGED, {}, guest(hotpatch_table_size=0), "enrolling", "not_effective", True),
        (CHANGED, {}, guest(vbs_status=0), "enrolling", "vbs_not_running", False),
        (CHANGED, {}, guest(vbs_status=UNREAD), "unknown", "guest_unread", True),
        (CHANGED, {}, unreachable_guest("timed out", NOW), "unreachable", "guest_unreachable", True),
        (CHANGED, {}, guest(smbios_uuid=OTHER_UUID), "failed", "wrong_guest", False),
        (CHANGED, {}, guest(smbios_uuid=UNREAD), "unknown", "guest_identity_unknown", True),
        (CHANGED, STOPPED, None, "enrolling", "stopped", False),
        (CHANGED, {f"{PATCH}__enableHotpatching": False}, guest(), "failed", "hotpatching_off", False),
        (REFUSED, {}, guest(), "refused", "scale_set_member", False),
        ({"outcome": "failed", "reason_code": "conflict"}, {}, guest(), "failed", "conflict", False),
        ({"outcome": "not_started", "reason_code": "stopped"}, {}, guest(), "failed", "stopped", False),
        (None, {}, guest(), "failed", "no_entry", False),
    ],
)
def test_standing(
    entry: dict[str, Any] | None,
    changes: dict[str, Any],
    inside: GuestFacts | None,
    state: str,
    code: str,
    waits: bool,
) -> None:
    row = standing("web1", rid(), entry, machine(**changes), inside)
    assert (row.state, row.reason_code, row.waits) == (state, code, waits)
    assert row_from_dict(row.to_dict()) == row


def test_what_has_to_be_restarted_is_told_with_the_next_step() -> None:
    row = standing("web1", rid(), CHANGED, machine(), guest(vbs_status=0))
    assert "status 0" in row.reason and "restart the guest" in row.reason and "never restarts" in row.reason


def test_machines_that_azure_does_not_show_failed() -> None:
    unread = unread_machine(ResourceId.parse(rid()), {"code": "AuthorizationFailed", "message": "no"})
    assert standing("web1", rid(), CHANGED, unread, guest()).reason == "AuthorizationFailed: no"
    assert standing("web1", rid(), CHANGED, None, guest()).reason_code == "machine_unread"


def test_the_registry_can_be_overridden() -> None:
    bare = guest(hotpatch_package=ABSENT, hotpatch_table_size=ABSENT)
    assert standing("web1", rid(), CHANGED, machine(), bare, ["enrolment_in_guest"]).state == "enrolled"


def test_check_mode_shows_outcomes() -> None:
    row = foreseen("web1", rid(), {"outcome": "would_change", "reason": "Would set x."})
    assert (row.state, row.reason, row.waits) == ("would_change", "Would set x.", False)
    assert foreseen("web1", rid(), None).state == "failed"
    assert totals([row, foreseen("web2", rid(), REFUSED)]) == {"machines": 2, "refused": 1, "would_change": 1}


@pytest.mark.parametrize(
    ("interval", "timeout", "seconds"), [(300, 3600, 300), (300, 14400, 600), (10, 86400, 3600), (0, 0, 1)]
)
def test_rounds_are_bounded(interval: float, timeout: float, seconds: float) -> None:
    assert seconds_between_looks(interval, timeout) == seconds


def rows(**states: int) -> list[Row]:
    return [
        Row(f"{state}{number}", rid(), state, "code", f"because {state}")
        for state, count in states.items()
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("states", "budget", "failed"),
    [
        ({"enrolled": 9, "enrolling": 3}, 0, False),
        ({"enrolled": 9, "refused": 1}, 0, True),
        ({"enrolled": 9, "unreachable": 1}, 0, True),
        ({"enrolled": 9, "unknown": 1}, 0, True),
        ({"enrolled": 9, "failed": 1}, 0, True),
        ({"enrolled": 9, "failed": 1}, 1, False),
        ({"enrolled": 8, "failed": 1, "refused": 1}, "10%", True),
        ({"enrolled": 9, "refused": 1}, "10%", False),
    ],
)
def test_the_budget(states: dict[str, int], budget: object, failed: bool) -> None:
    told = failure(rows(**states), budget)
    assert bool(told) is failed
    if failed:
        assert "because" in told and "hotpatch_error_budget" in told


def test_a_budget_that_cannot_be_is_refused() -> None:
    with pytest.raises(InputError):
        failure(rows(enrolled=1), "some")
