# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.eligibility import OVERRIDES
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.patch_settings import (
    RULES,
    change,
    difference,
    patch_body,
    refusals,
    to_arm,
    unread_settings,
    wanted_from,
    wanted_settings,
)

from .builders import IMAGE, PATCH, VIEW, WINDOWS, machine

OFF: dict[str, Any] = {f"{PATCH}__enableHotpatching": False}
BYPASS = f"{PATCH}__automaticByPlatformSettings__bypassPlatformSafetyChecksOnUserSchedule"
HELD: dict[str, Any] = {**OFF, BYPASS: True}
BY_OS: dict[str, Any] = {PATCH: {"patchMode": "AutomaticByOS", "assessmentMode": "ImageDefault"}}
MANUAL: dict[str, Any] = {PATCH: {"patchMode": "Manual"}, f"{WINDOWS}__enableAutomaticUpdates": False}
GONE: dict[str, Any] = {PATCH: ...}
PLATFORM = "automaticByPlatformSettings"
FLAG = "bypassPlatformSafetyChecksOnUserSchedule"
NOT_READY = {"statuses": [{"displayStatus": "Not Ready", "message": "not yet populated"}]}


@pytest.mark.parametrize(
    ("changes", "options", "sent"),
    [
        # present
        ({}, {}, {}),
        (OFF, {}, {"enableHotpatching": True}),
        ({f"{PATCH}__enableHotpatching": ...}, {}, {"enableHotpatching": True}),
        (BY_OS, {}, {"patchMode": "AutomaticByPlatform", "enableHotpatching": True}),
        (MANUAL, {}, {"patchMode": "AutomaticByPlatform", "enableHotpatching": True}),
        (GONE, {}, {"patchMode": "AutomaticByPlatform", "enableHotpatching": True}),
        (HELD, {}, {"enableHotpatching": True, PLATFORM: {FLAG: False}}),
        ({f"{PATCH}__patchMode": "automaticByPLATFORM"}, {}, {}),
        ({f"{PATCH}__{PLATFORM}": ...}, {}, {}),  # without the flag it is off
        ({}, {"assessment_mode": "ImageDefault"}, {}),
        ({f"{PATCH}__assessmentMode": ...}, {"assessment_mode": "ImageDefault"}, {}),
        ({}, {"assessment_mode": "AutomaticByPlatform"}, {"assessmentMode": "AutomaticByPlatform"}),
        ({}, {"reboot_setting": "Never"}, {PLATFORM: {"rebootSetting": "Never"}}),
        ({f"{PATCH}__{PLATFORM}__rebootSetting": "Never"}, {"reboot_setting": "Never"}, {}),
        ({f"{PATCH}__{PLATFORM}__rebootSetting": "Unknown"}, {"reboot_setting": "Never"},
         {PLATFORM: {"rebootSetting": "Never"}}),
        # absent
        ({}, {"state": "absent"}, {"enableHotpatching": False}),
        (OFF, {"state": "absent"}, {}),
        (GONE, {"state": "absent"}, {}),
        (HELD, {"state": "absent"}, {}),  # a customer's schedule is left alone
        (HELD, {"state": "absent", "bypass_platform_safety_checks": False}, {PLATFORM: {FLAG: False}}),
        ({}, {"state": "absent", "patch_mode": "AutomaticByOS"},
         {"patchMode": "AutomaticByOS", "enableHotpatching": False}),
        (GONE, {"state": "absent", "patch_mode": "AutomaticByOS"}, {}),  # it is Azure's default
        # held
        ({}, {"state": "held"}, {"enableHotpatching": False, PLATFORM: {FLAG: True}}),
        (HELD, {"state": "held"}, {}),
        (BY_OS, {"state": "held", "reboot_setting": "Never"},
         {"patchMode": "AutomaticByPlatform", PLATFORM: {"rebootSetting": "Never", FLAG: True}}),
    ],
)  # fmt: skip
def test_only_what_differs_is_sent(changes: dict[str, Any], options: dict[str, Any], sent: dict[str, Any]) -> None:
    current = machine(**changes).patch_settings
    wanted = wanted_from({"state": "present", **options})
    assert change(current, wanted) == sent
    assert bool(difference(current, wanted)) == bool(sent)


def test_the_body_holds_the_subtree_and_nothing_beside_it() -> None:
    assert patch_body({"enableHotpatching": True}) == {
        "properties": {"osProfile": {"windowsConfiguration": {"patchSettings": {"enableHotpatching": True}}}}
    }


def test_a_difference_names_wanted_and_actual() -> None:
    wanted = wanted_settings("present", reboot_setting="Never")
    assert difference(machine(**GONE).patch_settings, wanted) == {
        "patch_mode": {"wanted": "AutomaticByPlatform", "actual": None},
        "enable_hotpatching": {"wanted": True, "actual": None},
        "reboot_setting": {"wanted": "Never", "actual": None},
    }


def test_a_setting_that_was_not_read_is_a_difference_and_no_change() -> None:
    """Unreadable is never quietly equal, and nothing is sent on it."""
    current = machine(properties__storageProfile=...).patch_settings
    wanted = wanted_settings("present")
    assert difference(current, wanted)["enable_hotpatching"]["unreadable"]
    assert {reason.code for reason in unread_settings(current, wanted)} == {"settings_unread"}
    assert unread_settings(machine().patch_settings, wanted) == ()


@pytest.mark.parametrize(
    ("changes", "options", "after"),
    [
        (OFF, {}, {"patchMode": "AutomaticByPlatform", "enableHotpatching": True, "assessmentMode": "ImageDefault",
                   PLATFORM: {FLAG: False}}),
        # With another mode the platform's own settings are gone.
        ({}, {"state": "absent", "patch_mode": "AutomaticByOS"},
         {"patchMode": "AutomaticByOS", "enableHotpatching": False, "assessmentMode": "ImageDefault"}),
    ],
)  # fmt: skip
def test_the_settings_after_the_change(changes: dict[str, Any], options: dict[str, Any], after: dict[str, Any]) -> None:
    current = machine(**changes).patch_settings
    assert to_arm(current, wanted_from({"state": "present", **options})) == after


def test_the_settings_as_read() -> None:
    assert to_arm(machine(**GONE).patch_settings) == {}
    assert to_arm(machine(**HELD).patch_settings)[PLATFORM] == {FLAG: True}


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"patch_mode": "Manual"}, "patch_mode"),
        ({"state": "held", "patch_mode": "AutomaticByOS"}, "patch_mode"),
        ({"bypass_platform_safety_checks": True}, "bypass_platform_safety_checks"),
        ({"state": "held", "bypass_platform_safety_checks": False}, "bypass_platform_safety_checks"),
        # "AutomaticByPlatformSettings cannot be set if the PatchMode is not 'AutomaticByPlatform'."
        ({"state": "absent", "patch_mode": "Manual", "reboot_setting": "Never"}, "reboot_setting"),
        ({"state": "absent", "patch_mode": "AutomaticByOS", "bypass_platform_safety_checks": False},
         "bypass_platform_safety_checks"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other(options: dict[str, Any], option: str) -> None:
    with pytest.raises(InputError) as caught:
        wanted_from({"state": "present", **options})
    assert caught.value.option == option


STOPPED = {f"{VIEW}__statuses": [{"code": "PowerState/deallocated"}], f"{VIEW}__vmAgent": ...}
ABSENT_BY_OS = {"state": "absent", "patch_mode": "AutomaticByOS"}
UPDATES_OFF = {f"{WINDOWS}__enableAutomaticUpdates": False}


@pytest.mark.parametrize(
    ("changes", "options", "codes"),
    [
        ({}, {}, []),
        ({"properties__storageProfile__osDisk__osType": "Linux", **OFF}, {"state": "absent"}, ["not_windows"]),
        ({"properties__virtualMachineScaleSet": {"id": "/set"}}, {}, ["scale_set_member"]),
        ({"properties__virtualMachineScaleSet": {"id": "/set"}}, {"state": "absent"}, ["scale_set_member"]),
        ({f"{IMAGE}__sku": "2022-datacenter-azure-edition"}, {}, ["image_not_supported"]),
        ({IMAGE: {"id": "/gallery/image"}}, {}, ["image_not_supported"]),
        ({f"{IMAGE}__sku": "2022-datacenter-azure-edition"}, {"state": "held"}, []),
        ({f"{WINDOWS}__provisionVMAgent": False}, {}, ["vm_agent_off"]),
        ({f"{WINDOWS}__provisionVMAgent": False, **BY_OS}, {"state": "absent"}, []),
        ({f"{WINDOWS}__provisionVMAgent": False}, {"state": "held"}, ["vm_agent_off"]),
        ({"properties__osProfile__allowExtensionOperations": False}, {}, ["extension_operations_off"]),
        ({f"{VIEW}__vmAgent": NOT_READY}, {}, ["agent_not_ready"]),
        ({f"{VIEW}__vmAgent": NOT_READY}, {"state": "absent"}, []),
        (STOPPED, {}, []),  # a stopped machine's agent says nothing
        (HELD, {}, ["customer_schedule_flag"]),
        (HELD, {"state": "absent"}, []),
        (HELD, {"state": "held"}, []),
        # What only creating a machine can set
        (UPDATES_OFF, ABSENT_BY_OS, ["created_with_updates_off"]),
        ({}, ABSENT_BY_OS, []),
        ({}, {"state": "absent", "patch_mode": "Manual"}, ["created_with_updates_on"]),
        (UPDATES_OFF, {"state": "absent", "patch_mode": "Manual"}, []),
        # Manual with false to AutomaticByPlatform: schema and documentation contradict each other, Azure decides
        (MANUAL, {}, []),
        (BY_OS, {}, []),  # another patch mode is what is to be changed
        ({"properties__storageProfile__osDisk__osType": ...}, {}, []),  # not read is no evidence
    ],
)
def test_refusals(changes: dict[str, Any], options: dict[str, Any], codes: list[str]) -> None:
    found = refusals(machine(**changes), wanted_from({"state": "present", **options}))
    assert [reason.code for reason in found] == codes
    assert all(reason.text and RULES[reason.code].evidence for reason in found)


def test_an_override_lifts_its_rule_and_no_other() -> None:
    spoilt = machine(**HELD, **{f"{IMAGE}__sku": "2025-datacenter-g2"})
    wanted = wanted_settings("present")
    assert {reason.code for reason in refusals(spoilt, wanted)} == {"image_not_supported", "customer_schedule_flag"}
    left = refusals(spoilt, wanted, ["image_not_supported"])
    assert [reason.code for reason in left] == ["customer_schedule_flag"]
    assert refusals(spoilt, wanted, list(RULES)) == ()


def test_every_rule_can_be_overridden() -> None:
    assert RULES.keys() <= OVERRIDES.keys()
