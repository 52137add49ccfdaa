# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PATCH: what the model takes and what it refuses, in the service's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from azure_support import Running, Start


def settings(**patch_settings: Any) -> dict[str, Any]:
    return {"properties": {"osProfile": {"windowsConfiguration": {"patchSettings": patch_settings}}}}


REFUSED = [
    ("plain22", settings(enableHotpatching=True), 400, "InvalidParameter",
     "The selected VM image is not supported for hotpatching. Learn more at: https://aka.ms/HotpatchCompatibility"),
    ("ready25", settings(automaticByPlatformSettings={"bypassPlatformSafetyChecksOnUserSchedule": True}), 400,
     "InvalidParameter", "Hotpatch updates require platform safety checks."),
    ("ready25", settings(patchMode="AutomaticByOS"), 400, "InvalidParameter", "'enableHotpatching'"),
    ("ready25", settings(patchMode="AutomaticByOS", enableHotpatching=False), 400, "InvalidParameter",
     "hotpatch compatible VMs"),
    ("plain22", settings(patchMode="Manual"), 400, "InvalidParameter", "The patchMode 'Manual' is invalid."),
    ("plain22", settings(patchMode="Sometimes"), 400, "InvalidParameter", "The value 'Sometimes'"),
    ("plain22", settings(enableHotpatching="yes"), 400, "BadRequest", "System.Boolean"),
    ("plain22", settings(hotpatch=True), 400, "BadRequest", "Could not find member 'hotpatch'"),
    ("plain22", settings(patchMode="AutomaticByOS", automaticByPlatformSettings={"rebootSetting": "Never"}), 400,
     "InvalidParameter", "AutomaticByPlatformSettings cannot be set if the PatchMode is not"),
    ("plain22", {"properties": {"osProfile": {"windowsConfiguration": {"enableAutomaticUpdates": False}}}}, 409,
     "PropertyChangeNotAllowed", "Changing property 'windowsConfiguration.enableAutomaticUpdates' is not allowed."),
    ("plain22", {"properties": []}, 400, "BadRequest", "properties"),
    ("plain22", {"colour": "red"}, 400, "BadRequest", "Could not find member 'colour'"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "status", "code", "text"), REFUSED)
def test_refusals(azure: Running, name: str, body: dict[str, Any], status: int, code: str, text: str) -> None:
    before = azure.call("GET", azure.vm(name)).json()
    answer = azure.call("PATCH", azure.vm(name), body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert text in answer.json()["error"]["message"]
    assert azure.call("GET", azure.vm(name)).json() == before


def test_gallery_images_take_neither(start: Start) -> None:
    image = "/subscriptions/x/resourceGroups/g/providers/Microsoft.Compute/galleries/c/images/i"
    azure = start(machines=[{"name": "m", "image": {"id": image}, "patch_settings": {"patch_mode": "AutomaticByOS"}}])
    assert azure.call("GET", azure.vm("m")).json()["properties"]["storageProfile"]["imageReference"] == {"id": image}
    answer = azure.call("PATCH", azure.vm("m"), settings(patchMode="AutomaticByPlatform"))
    assert "VMGuestPatchingCompatibility" in answer.json()["error"]["message"]


def test_only_what_is_sent_changes(azure: Running) -> None:
    before = azure.call("GET", azure.vm("plain22")).json()["properties"]["osProfile"]["windowsConfiguration"]
    answer = azure.call("PATCH", azure.vm("plain22"), settings(assessmentMode="AutomaticByPlatform"))
    after = answer.json()["properties"]["osProfile"]["windowsConfiguration"]
    assert after["patchSettings"].pop("assessmentMode") == "AutomaticByPlatform"
    assert before["patchSettings"].pop("assessmentMode") == "ImageDefault"
    assert after == before
    azure.advance(120)
    states = azure.call("GET", azure.vm("plain22", "/instanceView")).json()["patchStatus"]["configurationStatuses"]
    assert [item["code"] for item in states] == [
        "PatchModeConfigurationState/Ready", "AssessmentModeConfigurationState/Ready",
    ]  # fmt: skip


def test_mode_and_back_drops_and_refills_the_platform_settings(azure: Running) -> None:
    def patched(**values: Any) -> dict[str, Any]:
        answer = azure.call("PATCH", azure.vm("plain22"), settings(**values))
        assert answer.status_code == 200, answer.text
        azure.advance(120)
        found: dict[str, Any] = answer.json()["properties"]["osProfile"]["windowsConfiguration"]["patchSettings"]
        return found

    assert "automaticByPlatformSettings" not in patched(patchMode="AutomaticByOS")
    platform = patched(patchMode="AutomaticByPlatform")["automaticByPlatformSettings"]
    assert platform == {"bypassPlatformSafetyChecksOnUserSchedule": False}


def test_holding_a_machine(azure: Running) -> None:
    held = settings(enableHotpatching=False, automaticByPlatformSettings={
        "bypassPlatformSafetyChecksOnUserSchedule": True, "rebootSetting": "Never"})  # fmt: skip
    assert azure.call("PATCH", azure.vm("ready25"), held).status_code == 200
    azure.advance(120)
    assert azure.call("PATCH", azure.vm("ready25"), settings(enableHotpatching=True)).status_code == 400


def test_disabled_hotpatching_leaves_the_guest_late(start: Start) -> None:
    azure = start(switches={"enrolment_delay_minutes": [30, 30]})
    azure.call("PATCH", azure.vm("ready25"), settings(enableHotpatching=False))
    azure.advance(29 * 60)
    assert azure.machine("ready25").guest.enrolled
    azure.advance(120)
    assert not azure.machine("ready25").guest.enrolled


def bare_put(azure: Running, name: str) -> dict[str, Any]:
    """The model as azure.azcollection's azure_rm_virtualmachine sends it back: Windows without patch settings."""
    body: dict[str, Any] = azure.call("GET", azure.vm(name)).json()
    windows = body["properties"]["osProfile"]["windowsConfiguration"]
    windows.pop("patchSettings")
    body["tags"] = {**body.get("tags", {}), "owner": "app"}
    return body


def test_a_put_without_patch_settings_undoes_the_enrolment(azure: Running) -> None:
    answer = azure.call("PUT", azure.vm("ready25"), bare_put(azure, "ready25"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["properties"]["provisioningState"] == "Updating"
    azure.advance(120)
    model = azure.call("GET", azure.vm("ready25")).json()
    assert model["properties"]["osProfile"]["windowsConfiguration"]["patchSettings"] == {
        "patchMode": "AutomaticByOS", "assessmentMode": "ImageDefault",
    }  # fmt: skip
    assert (model["tags"]["owner"], model["etag"]) == ("app", '"3"')
    assert azure.audit("state", what="model")[-1]["patch_settings"]["patchMode"] == "AutomaticByOS"


def test_a_put_of_what_was_read_changes_nothing(azure: Running) -> None:
    body = azure.call("GET", azure.vm("ready25")).json()
    assert azure.call("PUT", azure.vm("ready25"), body).status_code == 200
    azure.advance(120)
    assert azure.call("GET", azure.vm("ready25")).json() == {**body, "etag": '"3"'}


def test_a_put_without_patch_settings_may_be_refused(start: Start) -> None:
    azure = start(switches={"put_without_patch_settings": "refused"})
    answer = azure.call("PUT", azure.vm("ready25"), bare_put(azure, "ready25"))
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "PatchSettings must be specified for hotpatch compatible VMs."
    assert azure.call("PUT", azure.vm("plain22"), bare_put(azure, "plain22")).status_code == 200


def test_if_match_refuses_another_version_of_the_model(azure: Running) -> None:
    url = f"{azure.arm}{azure.vm('ready25')}?api-version=2024-07-01"
    headers = {"Authorization": f"Bearer {azure.token()}", "If-Match": '"1"'}
    body = settings(assessmentMode="AutomaticByPlatform")
    refused = azure.http.patch(url, json=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (412, "PreconditionFailed")
    headers["If-Match"] = azure.call("GET", azure.vm("ready25")).json()["etag"]
    assert azure.http.patch(url, json=body, headers=headers).status_code == 200
