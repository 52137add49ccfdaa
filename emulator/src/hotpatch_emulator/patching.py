# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessments and installations as they run in emulated time, whoever started them.

An installation moves through the agenda: it starts, half way the guest's state changes, a restart follows where the
rules allow one (or the script wants one), and at the end result and summary are written. patchStatus in the instance
view shows each summary only some minutes later, as Microsoft's "Query resources with Azure Resource Graph" and users
describe; how late is a switch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Any

from hotpatch_emulator import offers
from hotpatch_emulator.audit import Audit
from hotpatch_emulator.clock import Agenda
from hotpatch_emulator.offers import Offer
from hotpatch_emulator.operations import Operation, Operations
from hotpatch_emulator.selection import Selection, everything_without_restart, platform_selection
from hotpatch_emulator.settings import Range
from hotpatch_emulator.state import Fleet, VirtualMachine
from hotpatch_emulator.wire import net_time, whole_seconds

INTERNAL_ERROR = {
    "code": "VMGuestPatchInternalError",
    "message": "An internal execution error occurred. Please retry later.",
}
# Scanning and downloading need 15 minutes, a restart 10: with less left nothing is installed at all
# (Microsoft: "Troubleshoot issues with Azure Update Manager").
_LEAST_WINDOW = timedelta(minutes=25)
_RESTART_RESERVE = timedelta(minutes=10)


def silent(machine: VirtualMachine) -> bool:
    """Nobody inside the machine answers Azure."""
    return machine.power_state != "running" or not machine.agent_ready


def _no_listeners(address: str, behaviour: Mapping[str, Any]) -> None:
    """Nobody can meet the guest."""


def agent_silent(machine: VirtualMachine) -> dict[str, Any]:
    """The recorded error of an operation whose agent never reported."""
    return {
        "code": "VMAgentStatusCommunicationError",
        "message": f"VM '{machine.name}' has not reported status for VM agent or extensions. Verify that the OS is up "
        "and healthy, the VM has a running VM agent, and that it can establish outbound connections to Azure storage. "
        "Please refer to https://aka.ms/vmextensionwindowstroubleshoot for additional VM agent troubleshooting "
        "information.",
    }


@dataclass
class _Installation:
    """One installation under way."""

    operation: Operation
    selection: Selection
    offered: list[Offer]
    states: dict[str, str]
    reboot_setting: str
    by_platform: bool
    reboot_status: str = "NotNeeded"
    window_exceeded: bool = False
    errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def machine(self) -> VirtualMachine:
        return self.operation.machine

    def selected(self) -> list[Offer]:
        return [offer for offer in self.offered if self.states[offer.patch_id] == "Selected"]

    def settle(self, state: str) -> None:
        """Whatever was selected and not yet done ends as ``state``."""
        for offer in self.selected():
            self.states[offer.patch_id] = state


class Patching:
    """Runs what assessPatches, installPatches and the platform start."""

    def __init__(self, fleet: Fleet, agenda: Agenda, operations: Operations, audit: Audit) -> None:
        self._fleet = fleet
        self._agenda = agenda
        self._operations = operations
        self._audit = audit
        self._switches = fleet.switches
        self._random = fleet.random
        # What the guests' listeners do when an installation has spoilt a guest; set by whoever starts them.
        self.misbehave: Callable[[str, Mapping[str, Any]], object] = _no_listeners

    def _draw(self, span: Range) -> float:
        return self._random.uniform(*span)

    def _duration(self, span: Range) -> timedelta:
        """How long an operation takes. Lognormal has a heavy tail: of ten operations eight lie within the minutes."""
        if self._switches.duration_shape == "uniform":
            return timedelta(minutes=self._draw(span))
        low, high = math.log(max(span[0], 0.01)), math.log(max(span[1], 0.01))
        deviations = 2 * NormalDist().inv_cdf(0.9)
        return timedelta(minutes=self._random.lognormvariate((low + high) / 2, (high - low) / deviations))

    def _show(self, history: list[tuple[datetime, dict[str, Any]]], now: datetime, summary: dict[str, Any]) -> None:
        """Let a summary appear in the instance view after the lag; an older one never overtakes it."""
        visible = now + timedelta(minutes=self._draw(self._switches.patch_status_lag_minutes))
        if history and history[-1][0] > visible:
            visible = history[-1][0]
        history.append((visible, summary))
        del history[:-4]

    # -- assessment ---------------------------------------------------------------------------------------------

    def assess(self, machine: VirtualMachine, now: datetime, principal: str | None) -> Operation:
        operation = self._operations.start("assessPatches", machine, now, principal=principal)
        self._show(machine.assessment_views, now, self._assessment_summary(operation, "InProgress", now, []))
        if silent(machine):
            self._agenda.at(
                now + timedelta(minutes=self._switches.agent_silence_minutes),
                lambda at: self._assessment_failed(operation, at, agent_silent(machine)),
            )
            return operation
        minutes = machine.script.assess_minutes
        length = self._duration(self._switches.assess_minutes) if minutes is None else timedelta(minutes=minutes)
        end = now + length
        self._agenda.at(end, lambda at: self._assessed(operation, at))
        return operation

    def _assessed(self, operation: Operation, now: datetime) -> None:
        machine = operation.machine
        if machine.script.assess_outcome == "Failed":
            self._assessment_failed(operation, now, INTERNAL_ERROR)
            return
        if silent(machine):
            self._assessment_failed(operation, now, agent_silent(machine))
            return
        found = offers.offers(machine, now, self._switches)
        summary = self._assessment_summary(operation, "Succeeded", now, found)
        modified = net_time(now - timedelta(seconds=8))
        output = {
            "status": "Succeeded",
            "assessmentActivityId": operation.id,
            "rebootPending": summary["rebootPending"],
            "criticalAndSecurityPatchCount": summary["criticalAndSecurityPatchCount"],
            "otherPatchCount": summary["otherPatchCount"],
            "startDateTime": net_time(operation.started + timedelta(milliseconds=15)),
            "availablePatches": [offers.assessed(offer, operation.id, modified) for offer in found],
        }
        self._show(machine.assessment_views, now, summary)
        self._operations.finish(operation, now, output=output, offered=[offer.kb for offer in found])
        who = machine.script.then_installs
        if who is not None and not machine.installation_views:  # once: they have what they wanted
            self._somebody_else_installs(machine, who, now)

    def _somebody_else_installs(self, machine: VirtualMachine, who: str, now: datetime) -> None:
        """The platform, or a principal from the portal, is quicker than whoever asked for the assessment."""
        by_platform = who == "platform"
        selection = platform_selection() if by_platform else everything_without_restart()
        self.install(machine, selection, now, None if by_platform else who, by_platform=by_platform)

    def _assessment_failed(self, operation: Operation, now: datetime, error: dict[str, Any]) -> None:
        summary = self._assessment_summary(operation, "Failed", now, [])
        summary["error"] = error
        self._show(operation.machine.assessment_views, now, summary)
        self._operations.finish(operation, now, error=error)

    @staticmethod
    def _assessment_summary(operation: Operation, status: str, now: datetime, found: list[Offer]) -> dict[str, Any]:
        important = sum(1 for offer in found if offer.classification in ("Critical", "Security"))
        return {
            "status": status,
            "assessmentActivityId": operation.id,
            "rebootPending": operation.machine.guest.pending_restart,
            "criticalAndSecurityPatchCount": important,
            "otherPatchCount": len(found) - important,
            "startTime": net_time(operation.started),
            "lastModifiedTime": net_time(now),
        }

    # -- installation -------------------------------------------------------------------------------------------

    def install(
        self,
        machine: VirtualMachine,
        selection: Selection,
        now: datetime,
        principal: str | None,
        *,
        by_platform: bool = False,
    ) -> Operation:
        reboot_setting = self._reboot_setting(machine, selection)
        operation = self._operations.start(
            "installPatches",
            machine,
            now,
            principal=principal,
            started_by="Platform" if by_platform else "User",
            reboot_setting=reboot_setting,
            kb_include=sorted(selection.include),
            classifications=sorted(selection.classifications),
        )
        offered = offers.offers(machine, now, self._switches)
        chosen = offers.states(offered, selection, machine, self._switches, by_platform)
        run = _Installation(operation, selection, offered, chosen, reboot_setting, by_platform)
        self._show(machine.installation_views, now, self._installation_summary(run, "InProgress", now))
        if silent(machine):
            silence = timedelta(minutes=self._switches.agent_silence_minutes)
            self._agenda.at(now + silence, lambda at: self._installation_failed(run, at, agent_silent(machine)))
            return operation
        self._plan(run, now)
        return operation

    def _reboot_setting(self, machine: VirtualMachine, selection: Selection) -> str:
        """Whose setting wins is documented only for maintenance configurations, where the model's does."""
        model = machine.patch_settings.reboot_setting
        if self._switches.reboot_setting_of == "model" and model not in (None, "Unknown"):
            return str(model)
        return selection.reboot_setting

    def _plan(self, run: _Installation, now: datetime) -> None:
        minutes = run.machine.script.install_minutes
        length = self._duration(self._switches.install_minutes) if minutes is None else timedelta(minutes=minutes)
        window = run.selection.maximum_duration
        if window is not None and window < _LEAST_WINDOW:
            self._agenda.at(now + min(window, timedelta(minutes=2)), lambda at: self._out_of_time(run, at))
        elif window is not None and length > window - _RESTART_RESERVE:
            self._agenda.at(now + window - _RESTART_RESERVE, lambda at: self._out_of_time(run, at))
        else:
            self._agenda.at(now + length / 2, lambda at: self._apply(run, at, length / 2))

    def _out_of_time(self, run: _Installation, now: datetime) -> None:
        run.window_exceeded = True
        run.settle("Pending")
        run.errors.append(
            {"code": "MaintenanceWindowExceeded", "message": "The maximum duration was not enough to install patches."}
        )
        self._finish(run, now, "Failed")

    def _apply(self, run: _Installation, now: datetime, rest: timedelta) -> None:
        """Half way: the guest changes, then restarts if it must and may, then the operation ends."""
        machine, guest = run.machine, run.machine.guest
        if silent(machine):
            self._agenda.at(now + rest, lambda at: self._installation_failed(run, at, agent_silent(machine)))
            return
        outcome = machine.script.install_outcome if not run.by_platform else "Succeeded"
        if outcome in ("Failed", "FailedOperation", "Pending") and any(offer.release for offer in run.selected()):
            self._fail(run, now, rest, outcome)
            return
        needs_restart = False
        for offer in run.selected():
            restarting = offer.reboot_behavior != "NeverReboots" and offer.ubr is not None
            needs_restart = needs_restart or restarting
            if offer.release:
                guest.install(offer.kb, offer.ubr, now, needs_restart=restarting)
            else:
                machine.other_patches_installed.add(offer.patch_id)
            run.states[offer.patch_id] = "Installed"
            self._audit.write(
                "state", machine.id, at=now, what="installed", kb=offer.kb, build=f"{guest.os_build}.{guest.ubr}",
                activity_id=run.operation.id,
            )  # fmt: skip
        if machine.script.install_winrm:
            self.misbehave(guest.address, machine.script.install_winrm)
        if outcome == "CompletedWithWarnings":
            run.errors.append({"code": "0x8024001E", "message": "The update service was shut down while it reported."})
        self._after_apply(run, now, rest, needs_restart)

    def _after_apply(self, run: _Installation, now: datetime, rest: timedelta, needs_restart: bool) -> None:
        end = now + rest
        if run.reboot_setting == "Always" or (needs_restart and run.reboot_setting == "IfRequired"):
            down = self._draw(self._switches.restart_down_seconds)
            run.reboot_status = "Completed"
            cause = "platform" if run.by_platform else "install"
            self._agenda.at(now + rest / 3, lambda at: self.restart_guest(run.machine, at, cause, run.operation, down))
            end = max(end, now + rest / 3 + timedelta(seconds=down + 30))
        elif needs_restart:
            run.reboot_status = "Required"
        if run.machine.script.restarts and not run.by_platform and run.reboot_status == "NotNeeded":
            down = self._draw(self._switches.restart_down_seconds)
            self._agenda.at(
                now + rest / 3, lambda at: self.restart_guest(run.machine, at, "fault", run.operation, down)
            )
        status = "CompletedWithWarnings" if run.errors else "Succeeded"
        self._agenda.at(end, lambda at: self._finish(run, at, status))

    def _fail(self, run: _Installation, now: datetime, rest: timedelta, outcome: str) -> None:
        as_operation = outcome == "FailedOperation" or (
            outcome == "Failed" and self._switches.install_failure == "operation"
        )
        if as_operation:
            run.settle("Failed")
            self._agenda.at(now + rest, lambda at: self._installation_failed(run, at, INTERNAL_ERROR))
            return
        for offer in run.selected():
            if offer.release:
                run.states[offer.patch_id] = "Pending" if outcome == "Pending" else "Failed"
            else:
                run.machine.other_patches_installed.add(offer.patch_id)
                run.states[offer.patch_id] = "Installed"
        if outcome == "Failed":
            run.errors.append({"code": "0x800F0922", "message": "Installation of one or more patches failed."})
        self._agenda.at(now + rest, lambda at: self._finish(run, at, "CompletedWithWarnings"))

    def restart_by_user(self, operation: Operation, now: datetime) -> None:
        """Restart a guest as somebody asked Azure to; an update that waits for it is finished on the way."""
        guest = operation.machine.guest
        servicing = guest.ubr_after_restart is not None or bool(guest.leaving)
        down = self._draw(self._switches.baseline_down_seconds if servicing else self._switches.restart_down_seconds)
        self.restart_guest(operation.machine, now, "user", operation, down)
        if servicing:
            guest.services["TrustedInstaller"] = "Running"
            rest = down + self._draw(self._switches.servicing_seconds)
            self._agenda.at(now + timedelta(seconds=rest), lambda at: guest.services.update(TrustedInstaller="Stopped"))

    def restart_guest(
        self, machine: VirtualMachine, now: datetime, cause: str, operation: Operation | None, down_seconds: float
    ) -> None:
        """Restart the Windows inside and say so in the audit log."""
        if machine.power_state != "running":
            return
        machine.guest.restart(now, down_seconds)
        self._audit.write(
            "restart", machine.id, at=now, cause=cause, activity_id=operation.id if operation else None,
            down_seconds=round(down_seconds, 1),
        )  # fmt: skip

    def _finish(self, run: _Installation, now: datetime, status: str) -> None:
        summary = self._installation_summary(run, status, now)
        error = {
            "details": run.errors,
            "code": "Success" if not run.errors else "PatchInstallationErrors",
            "message": f"{len(run.errors)} error/s reported",
        }
        summary["error"] = error
        counts = {name: summary[name] for name in summary if name.endswith("PatchCount")}
        order = ("excluded", "notSelected", "pending", "installed", "failed")
        output = {
            "status": status,
            "installationActivityId": run.operation.id,
            "rebootStatus": run.reboot_status,
            "maintenanceWindowExceeded": run.window_exceeded,
            **{f"{name}PatchCount": counts[f"{name}PatchCount"] for name in order},
            "patches": [offers.installed(offer, run.states[offer.patch_id]) for offer in run.offered],
            "startDateTime": whole_seconds(run.operation.started + timedelta(seconds=1)),
            "error": error,
        }
        self._show(run.machine.installation_views, now, summary)
        installed = [offer.kb for offer in run.offered if run.states[offer.patch_id] == "Installed"]
        self._operations.finish(
            run.operation, now, output=output, result_status=status, installed=installed,
            reboot_status=run.reboot_status,
        )  # fmt: skip

    def _installation_failed(self, run: _Installation, now: datetime, error: dict[str, Any]) -> None:
        run.settle("Failed")
        summary = self._installation_summary(run, "Failed", now)
        summary["error"] = error
        self._show(run.machine.installation_views, now, summary)
        self._operations.finish(run.operation, now, error=error, result_status="Failed", installed=[])

    @staticmethod
    def _installation_summary(run: _Installation, status: str, now: datetime) -> dict[str, Any]:
        def count(state: str) -> int:
            if status == "InProgress":
                return 0
            return sum(1 for offer in run.offered if run.states[offer.patch_id] == state)

        return {
            "status": status,
            "installationActivityId": run.operation.id,
            "maintenanceWindowExceeded": run.window_exceeded,
            "notSelectedPatchCount": count("NotSelected"),
            "excludedPatchCount": count("Excluded"),
            "pendingPatchCount": count("Pending"),
            "installedPatchCount": count("Installed"),
            "failedPatchCount": count("Failed"),
            "startTime": net_time(run.operation.started),
            "lastModifiedTime": net_time(now),
        }
