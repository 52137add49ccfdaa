# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import (
    Machine,
    machine_from_arm,
    machine_from_dict,
    product,
    unread_machine,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId

from .builders import ASSESSED, IMAGE, INSTALLED, PATCH, VIEW, VM_ID, WINDOWS, machine, put, rid, vm_body


def value_at(found: Machine, path: str) -> Any:
    result: Any = found
    for name in path.split("."):
        result = getattr(result, name)
    return result


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "web1"),
        ("location", "westeurope"),
        ("vm_id", VM_ID),
        ("provisioning_state", "Succeeded"),
        ("power_state.value", "running"),
        ("os_type.value", "Windows"),
        ("image.value.sku", "2025-Datacenter-Azure-Edition"),  # the caller's case stays
        ("image.value.exact_version", "26100.32690.260409"),
        ("zones", ("2",)),
        ("availability_set", None),
        ("scale_set", None),
        ("agent_status.value", "Ready"),
        ("provision_vm_agent.value", True),
        ("enable_automatic_updates.value", True),
        ("allow_extension_operations.value", True),
        ("patch_settings.patch_mode.value", "AutomaticByPlatform"),
        ("patch_settings.enable_hotpatching.value", True),
        ("patch_settings.assessment_mode.value", "ImageDefault"),
        ("patch_settings.reboot_setting.state", "absent"),
        ("patch_settings.bypass_platform_safety_checks.value", False),
        ("assessment", None),
        ("installation", None),
        ("computer_name.value", "WEB1"),
        ("os_version.value", "Microsoft Windows NT 10.0.26100.0"),
        ("time_zone.state", "absent"),
        ("tags", {"service": "shop"}),
        ("platform_update_domain.value", 3),
        ("instance_view_read", True),
        ("error", None),
    ],
)
def test_reads_a_recorded_machine(path: str, value: object) -> None:
    assert value_at(machine(), path) == value


@pytest.mark.parametrize(
    ("change", "path", "state"),
    [
        # Without the view: unreadable, never "stopped" or "not ready".
        ({VIEW: ...}, "power_state", "unreadable"),
        ({VIEW: ...}, "agent_status", "unreadable"),
        ({VIEW: ...}, "os_version", "unreadable"),
        ({VIEW: ...}, "os_name", "unreadable"),
        ({VIEW: ...}, "platform_update_domain", "unreadable"),
        ({VIEW: ...}, "computer_name", "value"),  # the OS profile has it too
        ({VIEW: None}, "power_state", "unreadable"),
        ({f"{VIEW}__statuses": []}, "power_state", "unreadable"),
        ({f"{VIEW}__statuses": ...}, "power_state", "unreadable"),
        ({f"{VIEW}__vmAgent": ...}, "agent_status", "unreadable"),
        ({f"{VIEW}__vmAgent__statuses": []}, "agent_status", "unreadable"),
        ({f"{VIEW}__vmAgent__statuses": [{"code": "ProvisioningState/succeeded"}]}, "agent_status", "unreadable"),
        ({f"{VIEW}__osVersion": ...}, "os_version", "unreadable"),
        # A list with statusOnly carries no model at all.
        ({"properties__storageProfile": ..., "properties__osProfile": ...}, "os_type", "unreadable"),
        ({"properties__storageProfile": ..., "properties__osProfile": ...}, "image", "unreadable"),
        ({"properties__storageProfile": ..., "properties__osProfile": ...}, "provision_vm_agent", "unreadable"),
        ({"properties__storageProfile": ...}, "patch_settings.patch_mode", "unreadable"),
        ({"properties__storageProfile": ...}, "patch_settings.enable_hotpatching", "unreadable"),
        ({"properties__storageProfile": ...}, "patch_settings.bypass_platform_safety_checks", "unreadable"),
        ({"properties__storageProfile": ...}, "time_zone", "unreadable"),
        # A model that was read and does not hold it: absent.
        ({IMAGE: ...}, "image", "absent"),
        ({"properties__osProfile": ...}, "provision_vm_agent", "absent"),
        ({PATCH: ...}, "patch_settings.patch_mode", "absent"),
        ({f"{PATCH}__enableHotpatching": ...}, "patch_settings.enable_hotpatching", "absent"),
        ({f"{PATCH}__enableHotpatching": "true"}, "patch_settings.enable_hotpatching", "absent"),
        ({f"{VIEW}__platformUpdateDomain": ...}, "platform_update_domain", "absent"),
        ({"properties__osProfile": ..., f"{VIEW}__computerName": ...}, "computer_name", "unreadable"),
    ],
)
def test_absent_is_not_unreadable(change: dict[str, Any], path: str, state: str) -> None:
    assert value_at(machine(**change), path).state == state


@pytest.mark.parametrize(
    ("code", "power"),
    [
        ("PowerState/running", "running"),
        ("PowerState/deallocated", "deallocated"),
        ("powerstate/Stopped", "stopped"),
    ],
)
def test_power_state(code: str, power: str) -> None:
    assert machine(**{f"{VIEW}__statuses": [{"code": code}]}).power_state.value == power


def test_agent_right_after_creation_is_not_ready_with_azures_message() -> None:
    # Recorded 2024-08, 24 seconds after a hotpatch machine was created.
    status = {
        "code": "ProvisioningState/Unavailable",
        "displayStatus": "Not Ready",
        "message": "VM status blob is found but not yet populated.",
    }
    found = machine(**{f"{VIEW}__vmAgent": {"vmAgentVersion": "Unknown", "statuses": [status]}})
    assert (found.agent_status.value, found.agent_status.why) == ("Not Ready", status["message"])


def test_patch_status() -> None:
    found = machine(
        **{
            ASSESSED: {
                "status": "Succeeded",
                "assessmentActivityId": "a-1",
                "rebootPending": True,
                "criticalAndSecurityPatchCount": 1,
                "otherPatchCount": 2,
                "startTime": "2026-05-12T21:02:04.2556154Z",
                "lastModifiedTime": "2026-05-12T21:03:04Z",
                "error": None,
            },
            INSTALLED: {
                "status": "Succeeded",
                "installationActivityId": "i-1",
                "maintenanceWindowExceeded": False,
                "notSelectedPatchCount": 1,
                "excludedPatchCount": 2,
                "pendingPatchCount": 3,
                "installedPatchCount": 4,
                "failedPatchCount": 5,
                "startTime": "2026-05-12T21:02:04.2556154Z",
                "error": {"code": "Success", "message": "0 error/s reported", "details": []},
            },
            f"{VIEW}__patchStatus__configurationStatuses": [{"code": "PatchModeConfigurationState/Ready"}],
        }
    )
    assert found.assessment is not None
    assert found.installation is not None
    assert (found.assessment.reboot_pending, found.assessment.other_patch_count) == (True, 2)
    assert found.assessment.start_time is not None
    assert found.installation.error is None
    assert found.installation.last_modified_time is None
    assert (
        found.installation.not_selected_patch_count,
        found.installation.excluded_patch_count,
        found.installation.pending_patch_count,
        found.installation.installed_patch_count,
        found.installation.failed_patch_count,
    ) == (1, 2, 3, 4, 5)
    assert found.configuration_statuses == ("PatchModeConfigurationState/Ready",)


def test_a_summary_without_status_or_with_a_broken_time_is_kept() -> None:
    found = machine(**{ASSESSED: {"assessmentActivityId": "a-1", "startTime": "soon"}}).assessment
    assert found is not None
    assert (found.status, found.start_time, found.reboot_pending) == ("Unknown", None, None)


def test_gallery_and_set_members() -> None:
    found = machine(
        **{
            IMAGE: {"id": "/subscriptions/x/galleries/g/images/i"},
            "properties__availabilitySet": {"id": "/a/set"},
            "properties__virtualMachineScaleSet": {"id": "/a/scaleset"},
        }
    )
    assert found.image.value is not None
    assert (found.image.value.id, found.image.value.sku) == ("/subscriptions/x/galleries/g/images/i", None)
    assert (found.availability_set, found.scale_set) == ("/a/set", "/a/scaleset")


@pytest.mark.parametrize(
    "change", [{}, {VIEW: ...}, {"properties": {}}, {IMAGE: ...}, {ASSESSED: {"status": "InProgress"}}]
)
def test_goes_through_json_and_back(change: dict[str, Any]) -> None:
    found = machine(**change)
    plain = json.loads(json.dumps(found.to_dict()))
    assert machine_from_dict(plain) == found
    assert plain["id"] == rid()
    assert plain["kind"] == "virtual_machine"


def test_a_machine_that_azure_did_not_show() -> None:
    error = {"code": "AuthorizationFailed", "message": "no permission", "status": 403}
    found = unread_machine(ResourceId.parse(rid()), error)
    assert found.power_state.why == "AuthorizationFailed: no permission"
    assert found.image.is_unreadable
    assert found.patch_settings.enable_hotpatching.is_unreadable
    assert machine_from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_not_a_machines_body() -> None:
    with pytest.raises(InputError, match="Option id"):
        machine_from_arm(put(vm_body(), "id", "/subscriptions/x"))


@pytest.mark.parametrize(
    ("sku", "expected"),
    [
        ("2022-datacenter-azure-edition-core", "ws2022"),
        ("2022-Datacenter-Azure-Edition-Hotpatch", "ws2022"),
        ("2025-DATACENTER-AZURE-EDITION", "ws2025"),
        ("windows-server-2025-azure-edition-hotpatch", "ws2025"),
        ("2019-datacenter-gensecond", None),
        ("win11-24h2-pro", None),
    ],
)
def test_product_by_sku(sku: str, expected: str | None) -> None:
    found = product(machine(**{f"{IMAGE}__sku": sku}))
    assert (found.value, found.is_absent) == (expected, expected is None)


@pytest.mark.parametrize(
    ("os_version", "os_name", "os_type", "state", "expected"),
    [
        (
            "Microsoft Windows NT 10.0.20348.0",
            "Windows Server 2022 Datacenter Azure Edition",
            "Windows",
            "value",
            "ws2022",
        ),
        ("Microsoft Windows NT 10.0.20348.0", ..., "Windows", "value", "ws2022"),
        ("10.0.26100.32690", "Windows Server 2025 Datacenter", "Windows", "value", "ws2025"),
        ("Microsoft Windows NT 10.0.26100.0", "Windows 11 Enterprise", "Windows", "absent", None),
        ("Microsoft Windows NT 10.0.26100.0", ..., "Windows", "unreadable", None),
        ("Microsoft Windows NT 10.0.14393.0", "Windows Server 2016 Datacenter", "Windows", "absent", None),
        ("something", ..., "Windows", "unreadable", None),
        (..., ..., "Windows", "unreadable", None),
        ("22.04", "ubuntu", "Linux", "absent", None),
    ],
)
def test_product_of_a_custom_image(
    os_version: Any, os_name: Any, os_type: str, state: str, expected: str | None
) -> None:
    found = product(
        machine(
            **{
                IMAGE: {"id": "/gallery/image"},
                f"{VIEW}__osVersion": os_version,
                f"{VIEW}__osName": os_name,
                "properties__storageProfile__osDisk__osType": os_type,
            }
        )
    )
    assert (found.state, found.value) == (state, expected)


def test_another_publishers_year_is_not_windows_servers() -> None:
    found = product(
        machine(**{f"{IMAGE}__publisher": "microsoftsqlserver", f"{IMAGE}__sku": "2022-web", f"{VIEW}__osVersion": ...})
    )
    assert found.is_unreadable


def test_model_settings_of_a_plain_windows_machine() -> None:
    # Sent as windowsConfiguration {}, recorded answer of 2024.
    found = machine(**{WINDOWS: {"provisionVMAgent": True, "patchSettings": {"patchMode": "AutomaticByOS"}}})
    assert found.patch_settings.patch_mode.value == "AutomaticByOS"
    assert found.patch_settings.enable_hotpatching.is_absent
