# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.eligibility import (
    CODES,
    HOTPATCH_SKUS,
    availability,
    check_overrides,
    eligibility,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import unread_machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId

from .builders import IMAGE, PATCH, VIEW, WINDOWS, machine, rid

OS_TYPE = "properties__storageProfile__osDisk__osType"
SET = "properties__virtualMachineScaleSet"
NOT_READY = {"statuses": [{"displayStatus": "Not Ready", "message": "not yet populated"}]}


@pytest.mark.parametrize(
    ("changes", "state", "codes"),
    [
        ({}, "eligible", []),
        ({OS_TYPE: "Linux"}, "ineligible", ["not_windows"]),
        ({OS_TYPE: "windows"}, "eligible", []),
        ({OS_TYPE: ...}, "unknown", ["os_type_unread"]),
        ({SET: {"id": "/set"}}, "ineligible", ["scale_set_member"]),
        # Images
        ({f"{IMAGE}__sku": "2022-DATACENTER-Azure-Edition-CORE-smalldisk"}, "eligible", []),
        ({f"{IMAGE}__publisher": "microsoftwindowsserver", f"{IMAGE}__offer": "WINDOWSSERVER"}, "eligible", []),
        ({f"{IMAGE}__sku": "2022-datacenter-azure-edition"}, "ineligible", ["image_not_supported"]),
        ({f"{IMAGE}__sku": "2022-datacenter-azure-edition-smalldisk"}, "ineligible", ["image_not_supported"]),
        ({f"{IMAGE}__sku": "2025-datacenter-g2"}, "ineligible", ["image_not_supported"]),
        ({f"{IMAGE}__publisher": "contoso"}, "ineligible", ["image_not_supported"]),
        ({f"{IMAGE}__offer": "WindowsServerHotpatch-previews"}, "ineligible", ["image_not_supported"]),
        ({IMAGE: {"id": "/gallery/image"}}, "ineligible", ["image_not_supported"]),
        ({IMAGE: ...}, "ineligible", ["image_not_supported"]),
        # Settings
        ({f"{PATCH}__patchMode": "Manual"}, "ineligible", ["patch_mode"]),
        ({f"{PATCH}__patchMode": "AutomaticByOS"}, "ineligible", ["patch_mode"]),
        ({f"{PATCH}__patchMode": ...}, "ineligible", ["patch_mode"]),
        ({f"{PATCH}__patchMode": "automaticbyplatform"}, "eligible", []),
        ({f"{PATCH}__enableHotpatching": False}, "eligible", []),  # eligible, only not enrolled
        ({f"{WINDOWS}__provisionVMAgent": False}, "ineligible", ["vm_agent_off"]),
        ({f"{WINDOWS}__enableAutomaticUpdates": False}, "eligible", []),  # Azure has accepted the mode
        (
            {f"{WINDOWS}__enableAutomaticUpdates": False, f"{PATCH}__patchMode": "Manual"},
            "ineligible",
            ["patch_mode", "created_with_updates_off"],
        ),
        ({"properties__osProfile__allowExtensionOperations": False}, "ineligible", ["extension_operations_off"]),
        ({"properties__osProfile__allowExtensionOperations": ...}, "eligible", []),
        (
            {f"{PATCH}__automaticByPlatformSettings__bypassPlatformSafetyChecksOnUserSchedule": True},
            "ineligible",
            ["customer_schedule_flag"],
        ),
        # The agent: not ready is not "no"
        ({f"{VIEW}__vmAgent": NOT_READY}, "unknown", ["agent_not_ready"]),
        ({f"{VIEW}__vmAgent": ...}, "unknown", ["agent_not_ready"]),
        ({f"{VIEW}__vmAgent": ..., f"{VIEW}__statuses": [{"code": "PowerState/deallocated"}]}, "eligible", []),
        ({VIEW: ...}, "eligible", []),  # the model was read; that the power is unknown is told by availability
        # What was not read is unknown, never ineligible
        (
            {"properties__storageProfile": ...},
            "unknown",
            ["os_type_unread", "image_unread", "patch_mode_unread", "vm_agent_unread"],
        ),
        # Ineligible wins over unknown, and all reasons are told
        ({SET: {"id": "/set"}, f"{VIEW}__vmAgent": NOT_READY}, "ineligible", ["scale_set_member", "agent_not_ready"]),
        ({OS_TYPE: "Linux", IMAGE: ...}, "ineligible", ["not_windows", "image_not_supported"]),
    ],
)
def test_eligibility(changes: dict[str, Any], state: str, codes: list[str]) -> None:
    found = eligibility(machine(**changes))
    assert (found.state, [reason.code for reason in found.reasons]) == (state, codes)
    assert set(codes) <= set(CODES)
    assert all(reason.text for reason in found.reasons)


@pytest.mark.parametrize(
    ("changes", "overrides", "state", "left", "overridden"),
    [
        ({IMAGE: ...}, ["image_not_supported"], "eligible", [], ["image_not_supported"]),
        (
            {f"{PATCH}__automaticByPlatformSettings__bypassPlatformSafetyChecksOnUserSchedule": True},
            ["customer_schedule_flag"],
            "eligible",
            [],
            ["customer_schedule_flag"],
        ),
        (
            {OS_TYPE: "Linux", IMAGE: ...},
            ["image_not_supported"],
            "ineligible",
            ["not_windows"],
            ["image_not_supported"],
        ),
        ({f"{VIEW}__vmAgent": NOT_READY}, ["agent_not_ready"], "eligible", [], ["agent_not_ready"]),
        (
            {SET: {"id": "/set"}, f"{VIEW}__vmAgent": NOT_READY},
            ["scale_set_member"],
            "unknown",
            ["agent_not_ready"],
            ["scale_set_member"],
        ),
        ({}, ["image_not_supported"], "eligible", [], []),
    ],
)
def test_overrides(
    changes: dict[str, Any], overrides: list[str], state: str, left: list[str], overridden: list[str]
) -> None:
    found = eligibility(machine(**changes), overrides)
    assert found.state == state
    assert [reason.code for reason in found.reasons] == left
    assert [reason.code for reason in found.overridden] == overridden


def test_the_list_of_skus_is_data() -> None:
    plain = machine(**{f"{IMAGE}__sku": "2028-Datacenter-Azure-Edition"})
    assert eligibility(plain).state == "ineligible"
    assert eligibility(plain, skus=[*HOTPATCH_SKUS, "2028-datacenter-azure-edition"]).state == "eligible"


def test_an_unknown_override_is_refused() -> None:
    assert check_overrides("preflight_overrides", ["patch_mode"]) == {"patch_mode"}
    with pytest.raises(InputError, match=r"preflight_overrides has the value 'everything'.*image_not_supported"):
        check_overrides("preflight_overrides", ["everything"])


def test_a_machine_that_azure_did_not_show_is_unknown() -> None:
    unread = unread_machine(ResourceId.parse(rid()), {"code": "AuthorizationFailed", "message": "no"})
    found = eligibility(unread)
    assert (found.state, found.reasons[0].code) == ("unknown", "machine_unread")
    assert "AuthorizationFailed" in found.reasons[0].text


def test_arc_is_not_judged_by_the_rules_of_azure_machines() -> None:
    arc = rid().replace("Microsoft.Compute/virtualMachines", "Microsoft.HybridCompute/machines")
    found = eligibility(machine(id=arc))
    assert (found.state, found.reasons[0].code) == ("unknown", "not_an_azure_vm")


@pytest.mark.parametrize(
    ("power", "state", "code"),
    [
        ("running", "running", "running"),
        ("stopped", "stopped", "stopped"),
        ("deallocated", "stopped", "stopped"),
        ("starting", "changing", "power_changing"),
        ("stopping", "changing", "power_changing"),
        ("deallocating", "changing", "power_changing"),
        ("creating", "changing", "power_changing"),
        ("unknown", "unknown", "power_unknown"),
        ("hibernated", "unknown", "power_unknown"),
    ],
)
def test_availability(power: str, state: str, code: str) -> None:
    found = availability(machine(**{f"{VIEW}__statuses": [{"code": f"PowerState/{power}"}]}))
    assert (found.state, found.reason.code) == (state, code)
    assert power in found.reason.text


@pytest.mark.parametrize("change", [{VIEW: ...}, {f"{VIEW}__statuses": []}])
def test_an_unread_power_state_is_not_stopped(change: dict[str, Any]) -> None:
    found = availability(machine(**change))
    assert (found.state, found.reason.code) == ("unknown", "power_unknown")
