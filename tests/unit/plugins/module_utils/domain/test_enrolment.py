# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.enrolment import enrolment
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest

from .builders import ABSENT, NOW, PATCH, UNREAD, guest, machine

OFF: dict[str, Any] = {f"{PATCH}__enableHotpatching": False}
UNSET: dict[str, Any] = {f"{PATCH}__enableHotpatching": ...}
UNREAD_MODEL: dict[str, Any] = {"properties__storageProfile": ...}


@pytest.mark.parametrize(
    ("changes", "inside", "state", "code"),
    [
        ({}, guest(), "enrolled", "effective"),
        ({}, guest(hotpatch_package=ABSENT), "enrolling", "not_effective"),
        ({}, guest(vbs_status=1), "enrolling", "not_effective"),
        ({}, guest(hotpatch_table_size=0), "enrolling", "not_effective"),
        ({}, guest(vbs_status=UNREAD), "unknown", "guest_unread"),
        ({}, unreachable_guest("timed out", NOW), "unknown", "guest_unreachable"),
        ({}, None, "unknown", "guest_not_asked"),
        (OFF, guest(), "not_enrolled", "hotpatching_off"),  # the guest lags behind a disenrolment
        (OFF, None, "not_enrolled", "hotpatching_off"),
        (UNSET, guest(), "not_enrolled", "hotpatching_off"),
        (UNREAD_MODEL, guest(), "unknown", "setting_unread"),
        (UNREAD_MODEL, None, "unknown", "setting_unread"),
    ],
)
def test_enrolment(changes: dict[str, Any], inside: GuestFacts | None, state: str, code: str) -> None:
    found = enrolment(machine(**changes), inside)
    assert (found.state, found.reasons[0].code) == (state, code)
    assert found.reasons[0].text


@pytest.mark.parametrize(
    ("changes", "inside", "state", "code"),
    [
        ({}, guest(hotpatch_package=ABSENT, hotpatch_table_size=ABSENT), "enrolled", "overridden"),
        ({}, guest(hotpatch_package=UNREAD), "enrolled", "overridden"),
        ({}, guest(), "enrolled", "effective"),
        # What Microsoft documents for all products still counts
        ({}, guest(hotpatch_package=ABSENT, vbs_status=1), "enrolling", "not_effective"),
        ({}, guest(hotpatch_package=ABSENT, vbs_status=UNREAD), "enrolling", "not_effective"),
        ({}, guest(vbs_status=UNREAD), "unknown", "guest_unread"),
        ({}, unreachable_guest("timed out", NOW), "unknown", "guest_unreachable"),
        (OFF, guest(hotpatch_package=ABSENT), "not_enrolled", "hotpatching_off"),
        ({}, None, "unknown", "guest_not_asked"),
    ],
)
def test_the_registry_can_be_overridden(
    changes: dict[str, Any], inside: GuestFacts | None, state: str, code: str
) -> None:
    """Of enrolment in the guest only the two values that are inferred for Windows Server 2025."""
    found = enrolment(machine(**changes), inside, ["enrolment_in_guest"])
    assert (found.state, found.reasons[0].code) == (state, code)
    assert enrolment(machine(**changes), inside, ["image_not_supported"]) == enrolment(machine(**changes), inside)
