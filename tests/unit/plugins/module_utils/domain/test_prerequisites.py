# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.prerequisites import another_boot, prepare

from .builders import ABSENT, NOW, UNREAD, at, guest

VBS = "EnableVirtualizationBasedSecurity"
OFF: dict[str, Any] = {"vbs_status": 0, "vbs_configured": ABSENT}
ISO: dict[str, Any] = {"build": 20348, "hotpatch_package": ABSENT, "hotpatch_package_version": ABSENT}


@pytest.mark.parametrize(
    ("changes", "written", "restart"),
    [
        ({"vbs_configured": ABSENT}, [], False),  # it runs without being asked to
        ({"vbs_configured": UNREAD}, [], False),
        ({"vbs_configured": True}, [], False),
        (OFF, [(VBS, 1, None)], True),
        ({**OFF, "vbs_configured": False}, [(VBS, 1, 0)], True),
        ({"vbs_status": 1, "vbs_configured": True}, [], True),  # a run that was cut off before its restart
        ({"vbs_status": UNREAD, "vbs_configured": ABSENT}, [(VBS, 1, None)], True),
        ({"vbs_status": UNREAD, "vbs_configured": True}, [], None),
        ({**OFF, "security_properties": (1, 2)}, [(VBS, 1, None)], True),
        ({**OFF, "security_properties": UNREAD}, [(VBS, 1, None)], True),
        ({**OFF, "security_properties": (1, 5)}, [(VBS, 1, None)], False),  # a restart would not help
        ({"vbs_status": 1, "vbs_configured": True, "security_properties": ()}, [], False),
    ],
)
def test_virtualization_based_security(changes: dict[str, Any], written: list[Any], restart: bool | None) -> None:
    plan = prepare(guest(**changes))
    assert plan.refusal is None
    assert [(change.name, change.value, change.before) for change in plan.changes] == written
    assert plan.restart_needed.value is restart and plan.restart_needed.why
    json.dumps([change.to_dict() for change in plan.changes])


@pytest.mark.parametrize(
    ("changes", "iso", "code"),
    [
        ({"vbs_status": 0, "vbs_configured": UNREAD}, False, "registry_unread"),
        ({"vbs_status": UNREAD, "vbs_configured": UNREAD}, False, "registry_unread"),
        ({}, True, "iso_enrolment_not_documented"),  # Windows Server 2025
        ({"build": 20348, "operating_system_sku": 8}, True, "iso_enrolment_not_documented"),
        ({"build": UNREAD}, True, "iso_enrolment_not_documented"),
        ({**ISO, "operating_system_sku": UNREAD}, True, "iso_enrolment_not_documented"),
        ({**ISO, "hotpatch_package": UNREAD}, True, "registry_unread"),
        ({**ISO, "hotpatch_table_size": UNREAD}, True, "registry_unread"),
    ],
)
def test_refusals(changes: dict[str, Any], iso: bool, code: str) -> None:
    """Nothing is written over what could not be read, nor where nobody documents it."""
    plan = prepare(guest(**changes), iso)
    assert plan.refusal is not None and plan.refusal.code == code
    assert plan.changes == () and plan.restart_needed.value is False


def test_a_silent_guest() -> None:
    plan = prepare(unreachable_guest("timed out", NOW))
    assert plan.refusal is not None and plan.refusal.code == "guest_unreachable"


@pytest.mark.parametrize(
    ("changes", "names", "warned"),
    [
        ({"hotpatch_table_size": ABSENT}, ["Name", "Version", "HotPatchTableSize"], True),
        ({"hotpatch_table_size": 0, "kbs": ("KB5003508",)}, ["Name", "Version", "HotPatchTableSize"], False),
        ({"kbs": UNREAD}, ["Name", "Version"], False),
        # A version that is there may be newer than the documentation's.
        (
            {"hotpatch_package": "Hotpatch Enrollment Package", "hotpatch_package_version": "10.0.20348.2000"},
            [],
            True,
        ),
        ({"hotpatch_package": "Something", "hotpatch_package_version": "1.0"}, ["Name"], True),
    ],
)
def test_enrolment_of_an_installation_from_iso(changes: dict[str, Any], names: list[str], warned: bool) -> None:
    plan = prepare(guest(**{**ISO, **changes}), iso_enrolment=True)
    assert [change.name for change in plan.changes] == names
    assert any("KB5003508" in text for text in plan.warnings) is warned
    assert plan.restart_needed.value is bool(names)


LATER = {"read_at": at(30), "local_time": at(30)}


@pytest.mark.parametrize(
    ("changes", "state", "value"),
    [
        ({}, "value", False),
        ({"boot_time": at(20)}, "value", True),
        ({"boot_time": UNREAD}, "unreadable", None),
        ({"skew_seconds": UNREAD}, "unreadable", None),
        ({"reachable": False, "why": "refused"}, "unreadable", None),
    ],
)
def test_another_boot(changes: dict[str, Any], state: str, value: bool | None) -> None:
    found = another_boot(guest(), guest(**{**LATER, **changes}))
    assert (found.state, found.value) == (state, value)


def test_a_clock_that_moves_is_no_boot() -> None:
    """Windows moves its boot time by seconds when its clock is set; and a skew moves both."""
    before = guest()
    boot = before.boot_time.value
    assert boot is not None
    moved = replace(before, boot_time=Fact.of(boot + (at(0.4) - NOW)))
    assert another_boot(before, moved).value is False
    skewed = replace(
        before, boot_time=Fact.of(boot + (at(60) - NOW)), skew_seconds=Fact.of(3600.0), local_time=Fact.of(at(60))
    )
    assert another_boot(before, skewed).value is False
