# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What assessments and installations do to machines: offers, selection, restarts, failures, the platform."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from azure_support import Running, Start

KB25 = "KB5087423"


def offered(azure: Running, name: str) -> list[tuple[str, str]]:
    output = azure.result(azure.call("POST", azure.vm(name, "/assessPatches")))
    return [(patch["kbId"], patch["rebootBehavior"]) for patch in output["availablePatches"]]


def state_of(output: dict[str, Any], kb: str) -> str | None:
    return next((p["installationState"] for p in output["patches"] if p["kbId"] == kb.removeprefix("KB")), None)


def one(**machine: Any) -> list[dict[str, Any]]:
    return [{"name": "m", "product": "ws2025", **machine}]


@pytest.mark.parametrize(
    ("machine", "first"),
    [
        ({}, ("5087423", "NeverReboots")),
        ({"guest": {"level": "current"}}, ("890830", "CanRequestReboot")),
        ({"guest": {"level": "behind"}}, ("9250263", "AlwaysRequiresReboot")),
        ({"guest": {"level": "off_track"}}, ("9250263", "AlwaysRequiresReboot")),
        ({"guest": {"vbs_status": 1}}, ("9250263", "AlwaysRequiresReboot")),
        ({"guest": {"hotpatch_table_size": 0}}, ("9250263", "AlwaysRequiresReboot")),
        ({"guest": {"enrolled": False}}, ("9250263", "AlwaysRequiresReboot")),
        ({"patch_settings": {"enable_hotpatching": False}, "guest": {"enrolled": True}},
         ("9250263", "AlwaysRequiresReboot")),
        ({"script": {"offer": {"rebootBehavior": "CanRequestReboot"}}}, ("5087423", "CanRequestReboot")),
        ({"script": {"offer": {"hidden": True}}}, ("890830", "CanRequestReboot")),
        ({"product": "ws2022"}, ("5087424", "NeverReboots")),
    ],
)  # fmt: skip
def test_offers_follow_the_guest(start: Start, machine: dict[str, Any], first: tuple[str, str]) -> None:
    assert offered(start(machines=one(**machine)), "m")[0] == first


def test_hotpatches_may_be_offered_as_restarting(start: Start) -> None:
    azure = start(switches={"hotpatch_reboot_behavior": "CanRequestReboot"})
    assert offered(azure, "ready25")[0] == ("5087423", "CanRequestReboot")
    parameters = {"kbNumbersToInclude": [KB25], "excludeKbsRequiringReboot": True}
    output = azure.result(azure.install("ready25", windowsParameters=parameters))
    assert (output["installedPatchCount"], state_of(output, KB25)) == (0, "Excluded")
    assert azure.machine("ready25").guest.ubr == 32690


@pytest.mark.parametrize(
    ("parameters", "installed"),
    [
        ({"kbNumbersToInclude": ["KB5087423"]}, {"5087423"}),
        ({"kbNumbersToInclude": ["KB2267602"], "classificationsToInclude": ["Security"]}, {"5087423", "2267602"}),
        ({"classificationsToInclude": ["Security"], "kbNumbersToExclude": ["KB5087423"]}, set()),
        ({"kbNumbersToInclude": ["KB5087423"], "kbNumbersToExclude": ["KB5087423"]}, set()),
        ({"classificationsToInclude": ["Definition", "UpdateRollUp"]}, {"2267602", "890830"}),
        ({"classificationsToInclude": ["UpdateRollUp"], "excludeKbsRequiringReboot": True}, set()),
        ({"classificationsToInclude": ["Security"], "maxPatchPublishDate": "2026-05-01T00:00:00.0000000Z"}, set()),
        ({"classificationsToInclude": ["Critical"]}, set()),
        ({"kbNumbersToInclude": ["KB1234567"]}, set()),
    ],
)
def test_selection(azure: Running, parameters: dict[str, Any], installed: set[str]) -> None:
    output = azure.result(azure.install("ready25", windowsParameters=parameters))
    assert {p["kbId"] for p in output["patches"] if p["installationState"] == "Installed"} == installed
    assert output["installedPatchCount"] == len(installed)
    assert output["status"] == "Succeeded"


@pytest.mark.parametrize("state", ["Excluded", "NotSelected"])
def test_what_nobody_selected_comes_back_either_way(start: Start, state: str) -> None:
    azure = start(switches={"unselected_state": state})
    output = azure.result(azure.install("ready25", windowsParameters={"kbNumbersToInclude": [KB25]}))
    assert state_of(output, "2267602") == state
    assert output["excludedPatchCount" if state == "Excluded" else "notSelectedPatchCount"] == 2


def test_a_restart_may_begin_after_azure_calls_it_done(start: Start) -> None:
    switches = {"restart_late_seconds": [80, 80], "baseline_down_seconds": [300, 300], "servicing_seconds": [60, 60]}
    azure = start(speed=0, switches=switches)
    azure.result(azure.install("lcu25"))
    guest, clock = azure.machine("lcu25").guest, azure.emulator.world.clock
    booted = guest.booted_at
    restarted = azure.outcome(azure.call("POST", azure.vm("lcu25", "/restart")), seconds=60)
    assert restarted["status"] == "Succeeded" and azure.audit("restart") == []
    assert guest.booted_at == booted and guest.answers(clock.now())
    azure.advance(30)
    assert len(azure.audit("restart", cause="user")) == 1 and not guest.answers(clock.now())
    azure.advance(300)
    assert guest.answers(clock.now()) and guest.ubr == 32860 and guest.services["TrustedInstaller"] == "Running"
    azure.advance(60)
    assert guest.services["TrustedInstaller"] == "Stopped"


def test_never_keeps_a_restarting_update_waiting(azure: Running) -> None:
    output = azure.result(azure.install("lcu25", rebootSetting="Never"))
    guest = azure.machine("lcu25").guest
    assert output["rebootStatus"] == "Required"
    assert azure.audit("restart") == []
    assert guest.pending_restart and guest.cbs_keys and guest.wu_keys
    assert guest.ubr == 32690
    azure.outcome(azure.call("POST", azure.vm("lcu25", "/restart")))
    assert (guest.ubr, guest.pending_restart, guest.cbs_keys) == (32860, False, set())


@pytest.mark.parametrize(("name", "setting", "restarts"), [("lcu25", "IfRequired", 1), ("ready25", "IfRequired", 0),
                                                             ("ready25", "Always", 1)])  # fmt: skip
def test_restarts_follow_need_and_setting(azure: Running, name: str, setting: str, restarts: int) -> None:
    guest = azure.machine(name).guest
    booted = guest.booted_at
    output = azure.result(azure.install(name, rebootSetting=setting))
    found = azure.audit("restart", cause="install")
    assert len(found) == restarts
    assert (guest.booted_at > booted) is bool(restarts)
    assert output["rebootStatus"] == ("Completed" if restarts else "NotNeeded")


def test_a_restarting_guest_is_silent_for_a_while(start: Start) -> None:
    azure = start(speed=0, switches={"restart_down_seconds": [120, 120]})
    azure.install("lcu25", rebootSetting="IfRequired")
    guest, clock = azure.machine("lcu25").guest, azure.emulator.world.clock
    azure.advance(120 + 40 + 60)
    assert not guest.answers(clock.now())
    azure.advance(61)
    assert guest.answers(clock.now())
    assert clock.now() - timedelta(seconds=120) < guest.booted_at < clock.now()


@pytest.mark.parametrize(("switch", "restarts"), [("model", 1), ("call", 0)])
def test_whose_reboot_setting_wins_is_a_switch(start: Start, switch: str, restarts: int) -> None:
    azure = start(machines=one(patch_settings={"reboot_setting": "Always"}), switches={"reboot_setting_of": switch})
    azure.result(azure.install("m", rebootSetting="Never"))
    assert len(azure.audit("restart")) == restarts


def test_scripted_restart_behind_azures_back(start: Start) -> None:
    azure = start(machines=one(script={"install": {"restarts": True}}))
    output = azure.result(azure.install("m"))
    assert (output["status"], output["rebootStatus"]) == ("Succeeded", "NotNeeded")
    (restart,) = azure.audit("restart")
    assert restart["cause"] == "fault"
    started = azure.audit("operation", event="started")[0]["time"]
    assert started < restart["time"] < azure.machine("m").guest.booted_at.isoformat()


def test_scripted_exclusion_of_the_release(start: Start) -> None:
    azure = start(machines=one(script={"install": {"outcome": "Excluded"}}))
    output = azure.result(azure.install("m", windowsParameters={"kbNumbersToInclude": [KB25]}))
    assert (output["status"], state_of(output, KB25)) == ("Succeeded", "Excluded")
    assert azure.machine("m").guest.ubr == 32690


def test_failing_install_as_a_failed_patch(start: Start) -> None:
    azure = start(machines=one(script={"install": {"outcome": "Failed"}}))
    output = azure.result(azure.install("m"))
    assert output["status"] == "CompletedWithWarnings"
    assert (output["failedPatchCount"], state_of(output, KB25)) == (1, "Failed")
    assert output["error"]["message"] == "1 error/s reported"
    assert KB25 not in azure.machine("m").guest.kbs


def test_failing_install_as_a_failed_operation(start: Start) -> None:
    azure = start(machines=one(script={"install": {"outcome": "Failed"}}), switches={"install_failure": "operation"})
    body = azure.outcome(azure.install("m"))
    assert (body["status"], body["error"]["code"]) == ("Failed", "VMGuestPatchInternalError")
    summary = azure.call("GET", azure.vm("m", "/instanceView")).json()["patchStatus"]["lastPatchInstallationSummary"]
    assert summary["status"] == "Failed"


@pytest.mark.parametrize("duration", ["PT24M", "PT1M", "PT0S"])
def test_under_25_minutes_nothing_installs(azure: Running, duration: str) -> None:
    output = azure.result(azure.install("ready25", maximumDuration=duration))
    assert (output["status"], output["maintenanceWindowExceeded"]) == ("Failed", True)
    assert state_of(output, KB25) == "Pending"
    assert azure.machine("ready25").guest.ubr == 32690


def test_an_installation_that_takes_too_long_ends_with_its_window(start: Start) -> None:
    azure = start(machines=one(script={"install": {"duration": 55}}))
    output = azure.result(azure.install("m", maximumDuration="PT1H"))
    assert (output["status"], output["maintenanceWindowExceeded"]) == ("Failed", True)


def test_stopped_machines_are_accepted_and_fail_late(azure: Running) -> None:
    accepted = azure.install("off25")
    azure.advance(20 * 60)
    assert azure.get(accepted.headers["Azure-AsyncOperation"]).json()["status"] == "InProgress"
    body = azure.outcome(accepted)
    assert (body["status"], body["error"]["code"]) == ("Failed", "VMAgentStatusCommunicationError")


def test_stopped_machines_may_be_refused(start: Start) -> None:
    azure = start(switches={"stopped_machine": "refused"})
    for call in ("installPatches", "assessPatches"):
        body = {"rebootSetting": "Never", "windowsParameters": {"kbNumbersToInclude": [KB25]}}
        answer = azure.call("POST", azure.vm("off25", f"/{call}"), body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "OperationNotAllowed")


@pytest.mark.parametrize("code", ["Conflict", "OperationNotAllowed", "ScopeLocked"])
def test_one_patch_operation_at_a_time(start: Start, code: str) -> None:
    azure = start(switches={"conflict_code": code})
    azure.install("ready25")
    for answer in (azure.install("ready25"), azure.call("POST", azure.vm("ready25", "/assessPatches"))):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, code)
    assert len(azure.audit("operation", event="started")) == 1


def test_patch_status_lags(start: Start) -> None:
    azure = start(speed=0, switches={"patch_status_lag_minutes": [3, 3]})
    azure.install("ready25")

    def summary() -> dict[str, Any] | None:
        view = azure.call("GET", azure.vm("ready25", "/instanceView")).json()
        found: dict[str, Any] | None = view["patchStatus"].get("lastPatchInstallationSummary")
        return found

    azure.advance(170)
    assert summary() is None
    azure.advance(20)
    running = summary()
    assert running is not None and (running["status"], running["installedPatchCount"]) == ("InProgress", 0)
    azure.advance(120)
    assert azure.machine("ready25").guest.ubr == 32772
    still = summary()
    assert still is not None and still["status"] == "InProgress"
    azure.advance(180)
    done = summary()
    assert done is not None and (done["status"], done["installedPatchCount"]) == ("Succeeded", 1)


def test_the_platform_patches_by_itself(start: Start) -> None:
    azure = start(machines=one(script={"platform": {"install_after_minutes": 10}}))
    azure.advance(3600)
    started = azure.audit("operation", event="started")
    assert [(line["started_by"], line["principal"]) for line in started] == [("Platform", None)]
    assert azure.machine("m").guest.ubr == 32772
    view = azure.call("GET", azure.vm("m", "/instanceView")).json()
    assert view["patchStatus"]["lastPatchInstallationSummary"]["installationActivityId"] == started[0]["activity_id"]


def test_the_platform_reaches_everybody_within_its_days(start: Start) -> None:
    azure = start(
        machines=[{"name": "n", "count": 12}, {"name": "held", "patch_settings": {
            "bypass_platform_safety_checks": True, "enable_hotpatching": False}}],
        switches={"platform_patches_by_itself": True, "platform_within_days": 30},
    )  # fmt: skip
    azure.advance(15 * 86_400)
    half = len(azure.audit("operation", event="started"))
    azure.advance(17 * 86_400)
    starts = azure.audit("operation", event="started")
    assert 0 < half < 12 == len(starts)
    assert all(line["started_by"] == "Platform" for line in starts)
    assert all(line["time"][11:13] in ("22", "23", "00", "01", "02", "03") for line in starts)
    assert azure.machine("held").guest.ubr == 32690


def test_a_silent_agent_fails_late(start: Start) -> None:
    azure = start(machines=one(agent_ready=False))
    view = azure.call("GET", azure.vm("m", "/instanceView")).json()
    assert view["vmAgent"]["statuses"][0]["displayStatus"] == "Not Ready" and "osVersion" not in view
    body = azure.outcome(azure.call("POST", azure.vm("m", "/assessPatches")))
    assert body["error"]["code"] == "VMAgentStatusCommunicationError"
