# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a fleet against the embedded Azure: what arrives on the wire, by the emulator's audit log."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import argspec, enroll, info, results
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import perform

pytest.importorskip("hotpatch_emulator")
pytest.importorskip("azure.mgmt.compute")
emulator_process = pytest.importorskip("emulator_process")

FLAG = "bypassPlatformSafetyChecksOnUserSchedule"
FLEET: dict[str, Any] = {
    "now": "2026-05-13T01:00:00Z",
    "speed": 240,
    "seed": 5,
    "switches": {"platform_patches_by_itself": False, "conflict_code": "Conflict"},
    "defaults": {
        "product": "ws2025",
        "resource_group": "rg",
        "patch_settings": {"patch_mode": "AutomaticByPlatform", "enable_hotpatching": False},
    },
    "machines": [
        {"name": "off"},
        {"name": "on", "patch_settings": {"enable_hotpatching": True}},
        {"name": "manual", "patch_settings": {"patch_mode": "Manual", "enable_hotpatching": None},
         "enable_automatic_updates": False},
        {"name": "flagged", "patch_settings": {"bypass_platform_safety_checks": True}},
        {"name": "plain", "product": "ws2022", "image": {"sku": "2022-datacenter-azure-edition"}},
        {"name": "byos", "product": "ws2022", "image": {"sku": "2022-datacenter-azure-edition"},
         "patch_settings": {"enable_hotpatching": None}, "enable_automatic_updates": False},
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def writes_at_once() -> None:
    """Here time is real."""


class Azure:
    """A running emulator and the tasks over it."""

    def __init__(self, running: Any) -> None:
        self.running = running
        self.environ = {"HOME": str(running.run_dir), **running.environment()}

    def id(self, name: str) -> str:
        subscription = self.running.endpoints["subscription_ids"][0]
        return f"/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/{name}"

    def enroll(self, *names: str, check_mode: bool = False, diff: bool = False, **given: Any) -> dict[str, Any]:
        params = {name: option.get("default") for name, option in argspec.enrollment_spec().options.items()}
        params.update(
            resource_ids=[self.id(name) for name in names], state_path=None, poll_interval=5, wait_timeout=36000
        )
        return perform(enroll.run, {**params, **given}, self.environ, check_mode=check_mode, diff=diff)

    def read(self, *names: str, **given: Any) -> list[dict[str, Any]]:
        params = {name: option.get("default") for name, option in argspec.machine_info_spec().options.items()}
        params.update(resource_ids=[self.id(name) for name in names])
        return list(perform(info.run, {**params, **given}, self.environ)["machines"])

    def settings(self, name: str) -> dict[str, Any]:
        found = self.read(name)[0]["patch_settings"]
        return {setting: fact["value"] for setting, fact in found.items()}

    def patches(self) -> list[dict[str, Any]]:
        return [line for line in self.running.audit() if line["kind"] == "request" and line["method"] == "PATCH"]

    def sent(self) -> list[dict[str, Any]]:
        """The patchSettings of each PATCH; each body holds that subtree and nothing beside it."""
        found = []
        for line in self.patches():
            body = line["body"]
            windows = body["properties"]["osProfile"]["windowsConfiguration"]
            assert body == {"properties": {"osProfile": {"windowsConfiguration": {"patchSettings": {
                **windows["patchSettings"]}}}}}  # fmt: skip
            found.append(windows["patchSettings"])
        return found

    def fault(self, action: dict[str, Any], method: str = "PATCH", **match: Any) -> None:
        rule = {"match": {"method": method, **match}, "action": action}
        self.running.control("/emulator/faults", "POST", rule)


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Azure]:
    path = tmp_path / "fleet.yml"
    path.write_text(json.dumps(FLEET), encoding="utf-8")
    run_dir = tmp_path / "emulator"
    yield Azure(emulator_process.start(Path(sys.executable).parent, path, run_dir))
    emulator_process.stop(run_dir)


def outcomes(result: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry.get("reason_code", entry["outcome"]) for entry in result["machines"]}


def test_present_sends_only_what_differs_and_then_nothing(azure: Azure) -> None:
    result = azure.enroll("off", "on", "manual")
    assert (result["changed"], outcomes(result)) == (True, {"off": "changed", "on": "unchanged", "manual": "changed"})
    sent = {line["path"].rpartition("/")[2]: body for line, body in zip(azure.patches(), azure.sent())}
    assert sent == {
        "off": {"enableHotpatching": True},
        "manual": {"patchMode": "AutomaticByPlatform", "enableHotpatching": True},
    }
    assert azure.settings("manual")["enable_hotpatching"] is True
    again = azure.enroll("off", "on", "manual")
    assert (again["changed"], again["counts"]) == (False, {"machines": 3, "unchanged": 3})
    assert len(azure.patches()) == 2
    assert [line for line in azure.running.audit() if line["kind"] == "restart"] == []


def test_check_mode_and_diff_send_nothing_and_show_before_and_after(azure: Azure) -> None:
    result = azure.enroll("off", "on", check_mode=True, diff=True, reboot_setting="Never")
    assert (result["changed"], outcomes(result)) == (True, {"off": "would_change", "on": "would_change"})
    assert azure.patches() == []
    off = next(item for item in result["diff"] if item["before_header"].endswith("/off"))
    assert off["before"]["patchSettings"] == {
        "patchMode": "AutomaticByPlatform", "enableHotpatching": False, "assessmentMode": "ImageDefault",
        "automaticByPlatformSettings": {FLAG: False},
    }  # fmt: skip
    assert off["after"]["patchSettings"] == {
        "patchMode": "AutomaticByPlatform", "enableHotpatching": True, "assessmentMode": "ImageDefault",
        "automaticByPlatformSettings": {FLAG: False, "rebootSetting": "Never"},
    }  # fmt: skip


def test_held_and_back(azure: Azure) -> None:
    azure.enroll("on", state="held", reboot_setting="Never")
    assert azure.settings("on") == {
        "patch_mode": "AutomaticByPlatform", "enable_hotpatching": False, "assessment_mode": "ImageDefault",
        "reboot_setting": "Never", "bypass_platform_safety_checks": True,
    }  # fmt: skip
    assert outcomes(azure.enroll("on")) == {"on": "customer_schedule_flag"}
    assert outcomes(azure.enroll("on", preflight_overrides=["customer_schedule_flag"])) == {"on": "changed"}
    assert azure.sent()[-1] == {"enableHotpatching": True, "automaticByPlatformSettings": {FLAG: False}}


def test_absent(azure: Azure) -> None:
    assert outcomes(azure.enroll("on", "off", "flagged", state="absent")) == {
        "on": "changed", "off": "unchanged", "flagged": "unchanged",
    }  # fmt: skip
    assert azure.sent() == [{"enableHotpatching": False}]


def test_refusals_cite_their_evidence_count_and_can_be_lifted(azure: Azure) -> None:
    """Lifted, Azure's own refusal comes whole."""
    result = azure.enroll("plain", "off")
    # With max_failures 0 the first refusal lets nothing more be sent.
    assert (result["failed"], outcomes(result)) == (True, {"plain": "image_not_supported", "off": "budget"})
    refused = result["machines"][0]
    assert refused["outcome"] == "refused" and "recorded 2021-03" in refused["reason"]
    assert "preflight_overrides: ['image_not_supported']" in refused["reason"]
    assert azure.patches() == []

    result = azure.enroll("plain", preflight_overrides=["image_not_supported"])
    (entry,) = result["machines"]
    assert entry["outcome"] == "failed" and entry["error"]["status"] == 400
    assert entry["error"]["code"] == "InvalidParameter"
    assert entry["error"]["target"] == "windowsConfiguration.patchSettings.enableHotpatching"
    assert entry["error"]["message"] == (
        "The selected VM image is not supported for hotpatching. Learn more at: https://aka.ms/HotpatchCompatibility"
    )
    assert entry["error"]["request_id"]


def test_azures_words_for_a_machine_created_with_updates_off(azure: Azure) -> None:
    options = {"state": "absent", "patch_mode": "AutomaticByOS"}
    assert outcomes(azure.enroll("byos", **options)) == {"byos": "created_with_updates_off"}
    (entry,) = azure.enroll("byos", preflight_overrides=["created_with_updates_off"], **options)["machines"]
    assert entry["error"]["message"] == (
        "The patchMode 'AutomaticByOS' is invalid. For patchMode 'AutomaticByOS', the property "
        "'enableAutomaticUpdates' must be set to true."
    )


def test_an_answer_lost_after_azure_took_it_is_read_off_the_machine(azure: Azure) -> None:
    azure.fault({"reset_after_accept": True})
    result = azure.enroll("off")
    assert result["changed"] is True and outcomes(result) == {"off": "changed"}
    assert "answer was lost" in result["machines"][0]["reason"]
    assert len(azure.patches()) == 1


def test_a_request_lost_before_azure_took_it_is_told_and_not_sent_again(azure: Azure) -> None:
    azure.fault({"reset_before": True})
    result = azure.enroll("off")
    assert (result["failed"], result["changed"]) == (True, False)
    assert "does not show the change" in result["machines"][0]["reason"]
    assert len(azure.patches()) == 1 and azure.settings("off")["enable_hotpatching"] is False
    assert outcomes(azure.enroll("off")) == {"off": "changed"}


def test_throttling_is_waited_for(azure: Azure) -> None:
    """The one answer on which a PATCH is sent again."""
    azure.fault({"status": 429, "headers": {"Retry-After": "5"}, "body": {"error": {"code": "TooManyRequests"}}})
    assert outcomes(azure.enroll("off")) == {"off": "changed"}
    assert [line["status"] for line in azure.patches()] == [429, 200]


def test_other_errors_are_not_repeated(azure: Azure) -> None:
    for sent, status in enumerate((409, 500, 503), start=1):
        azure.fault({"status": status, "body": {"error": {"code": "Spoilt", "message": "Not now."}}})
        (entry,) = azure.enroll("off")["machines"]
        assert (entry["outcome"], entry["error"]["code"]) == ("failed", "Spoilt")
        assert (len(azure.patches()), azure.patches()[-1]["status"]) == (sent, status)


def test_a_model_that_changed_meanwhile_is_read_again(azure: Azure) -> None:
    """412 says that nothing was done: a new look, a new decision, another request."""
    azure.fault({"status": 412, "body": {"error": {"code": "PreconditionFailed"}}})
    assert outcomes(azure.enroll("off")) == {"off": "changed"}
    assert [line["status"] for line in azure.patches()] == [412, 200]


def test_a_model_that_never_stands_still_fails(azure: Azure) -> None:
    azure.fault({"status": 412, "body": {"error": {"code": "PreconditionFailed"}}}, count=-1)
    (entry,) = azure.enroll("off")["machines"]
    assert (entry["outcome"], entry["error"]["status"], len(azure.patches())) == ("failed", 412, 3)


def test_without_waiting_the_change_runs_and_a_later_run_finds_it(azure: Azure) -> None:
    first = azure.enroll("off", wait=False)
    assert (first["changed"], outcomes(first)) == (True, {"off": "running"})
    assert outcomes(azure.enroll("off")) == {"off": "unchanged"}
    assert azure.read("off")[0]["provisioning_state"] == "Succeeded"
    assert len(azure.patches()) == 1


def test_drift_is_shown_and_repaired(azure: Azure) -> None:
    """What azure.azcollection's azure_rm_virtualmachine does when it updates a machine."""
    wanted = {"state": "present"}
    assert azure.read("on", expect_settings=wanted)[0]["drift"] == {}
    put_bare_model(azure, "on")
    (entry,) = azure.read("on", expect_settings=wanted)
    assert entry["drift"] == {
        "patch_mode": {"wanted": "AutomaticByPlatform", "actual": "AutomaticByOS"},
        "enable_hotpatching": {"wanted": True, "actual": None},
    }
    (short,) = azure.read("on", expect_settings=wanted, details="none")
    assert short["drift"] == entry["drift"] and results.size_of(short) < results.ENTRY_BYTES
    assert outcomes(azure.enroll("on")) == {"on": "changed"}
    assert azure.read("on", expect_settings=wanted)[0]["drift"] == {}


def put_bare_model(azure: Azure, name: str) -> None:
    requests = pytest.importorskip("requests")
    ends = azure.running.endpoints
    form = {
        "grant_type": "client_credentials",
        "client_id": ends["client_id"],
        "client_secret": ends["client_secret"],
        "scope": "https://management.azure.com/.default",
    }
    session = requests.Session()
    session.trust_env, session.verify = False, ends["ca"]
    token = session.post(f"{ends['arm']}/{ends['tenant_id']}/oauth2/v2.0/token", data=form).json()["access_token"]
    session.headers["Authorization"] = f"Bearer {token}"
    url = f"{ends['arm']}{azure.id(name)}?api-version=2024-07-01"
    body = session.get(url).json()
    del body["properties"]["osProfile"]["windowsConfiguration"]["patchSettings"]
    assert session.put(url, json=body).status_code == 200


def test_options_that_cannot_work(azure: Azure) -> None:
    wrong = {"preflight_overrides": ["image"], "patch_mode": "Manual", "poll_interval": 1, "max_failures": "few"}
    for option, value in wrong.items():
        result = azure.enroll("off", **{option: value})
        assert result["failed"] is True and option in result["msg"]
    assert azure.patches() == []
