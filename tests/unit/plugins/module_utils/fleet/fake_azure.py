# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An Azure without a wire for the engine's tests: machines with a timeline, a lagging view, and faults to order."""

from __future__ import annotations

import asyncio
import builtins
import copy
import heapq
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import (
    AzureFailure,
    ErrorBody,
    PollUrlGone,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.operations import Operation, Started
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.context import Connection
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import Process

from ..domain.builders import NOW, rid, vm_body

HOTPATCH, BASELINE = "5087423", "5082063"


class Timeline:
    """A clock that jumps to the next sleeper once everybody sleeps."""

    def __init__(self, rate: float = 1.0) -> None:
        self.rate = rate
        self.passed = 0.0
        self.at: dict[float, Any] = {}
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._driver: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        raise AssertionError("the engine must not block the loop")

    async def asleep(self, seconds: float) -> None:
        waker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.passed + max(0.0, seconds), next(self._order), waker))
        if self._driver is None or self._driver.done() or self._driver.get_loop() is not waker.get_loop():
            self._driver = asyncio.ensure_future(self._drive())
        await waker

    async def _drive(self) -> None:
        while self._sleepers:
            for dummy in range(30):
                await asyncio.sleep(0)
            due, dummy, waker = heapq.heappop(self._sleepers)
            if waker.done() or waker.get_loop() is not asyncio.get_running_loop():
                continue
            for moment in sorted(moment for moment in self.at if moment <= due):
                self.passed = max(self.passed, moment)
                self.at.pop(moment)()
            self.passed = max(self.passed, due)
            waker.set_result(None)


class SwitchGuard:
    """A guard that refuses when told to."""

    def __init__(self) -> None:
        self.controller = Process(1, "1")
        self.reason = ""
        self.asked = 0

    def stop(self, reason: str) -> None:
        self.reason = self.reason or reason

    def refusal(self) -> str:
        self.asked += 1
        return self.reason


@dataclass
class Run:
    """One assessment or installation on a machine."""

    kind: str
    activity_id: str
    start: float
    end: float
    result: dict[str, Any]
    error: ErrorBody | None = None


@dataclass
class FakeMachine:
    """One machine; ``faults`` are taken one a POST: ``lost`` (accepted), ``lost_before``, or a failure to raise."""

    name: str
    offers: list[dict[str, Any]] = field(default_factory=list)
    power: str = "running"
    os_type: str = "Windows"
    assess_seconds: float = 100.0
    install_seconds: float = 300.0
    states: dict[str, str] = field(default_factory=dict)
    reboot_status: str = "NotNeeded"
    error: dict[str, Any] | None = None
    operation_error: ErrorBody | None = None
    read_failure: AzureFailure | None = None
    faults: list[str | AzureFailure] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return rid(self.name)

    def of(self, kind: str) -> list[Run]:
        return [run for run in self.runs if run.kind == kind]


def offer(kb: str = HOTPATCH, behavior: str = "NeverReboots", classification: str = "Security") -> dict[str, Any]:
    return {
        "patchId": f"{kb:0>12}-0000-0000-0000-000000000000",
        "name": f"2026-05 Update (KB{kb})",
        "kbId": kb,
        "classifications": [classification],
        "rebootBehavior": behavior,
        "publishedDate": "2026-05-12T17:00:00+00:00",
        "assessmentState": "Available",
    }


class FakeAzure:
    """The engine's gateway over fake machines; ``posts`` is what was sent, in order."""

    def __init__(self, clock: Timeline, *machines: FakeMachine, view_lag: float = 0.0) -> None:
        self.clock = clock
        self.machines = {machine.id.lower(): machine for machine in machines}
        self.view_lag = view_lag
        self.posts: list[tuple[str, str, float]] = []
        self.reads: list[str] = []
        self.polls: list[tuple[str, float]] = []
        self.poll_failures: list[AzureFailure] = []
        self.gone: set[str] = set()
        self.most_installing = 0
        self._ids = itertools.count(1)
        self.queue_seconds = 0.0

    @asynccontextmanager
    async def connect(self, params: Any, environ: Any, clock: Any) -> AsyncIterator[Connection]:
        yield Connection(self)

    def platform_installs(self, machine: FakeMachine, seconds: float, result: dict[str, Any] | None = None) -> Run:
        """Somebody else's installation begins now."""
        return self._begin(machine, "install", seconds, result or self._install_result(machine, [HOTPATCH]))

    async def get(self, resource_id: ResourceId, check: Any) -> Mapping[str, Any]:
        await (self.clock.asleep(self.queue_seconds) if self.queue_seconds else asyncio.sleep(0))
        check()
        machine = self._machine(resource_id)
        self.reads.append(machine.name)
        if machine.read_failure is not None:
            raise machine.read_failure
        body = copy.deepcopy(vm_body())
        body.update(id=machine.id, name=machine.name)
        properties = body["properties"]
        properties["storageProfile"]["osDisk"]["osType"] = machine.os_type
        properties["instanceView"]["statuses"] = [{"code": f"PowerState/{machine.power}", "level": "Info"}]
        properties["instanceView"]["patchStatus"] = {
            "availablePatchSummary": self._summary(machine, "assess"),
            "lastPatchInstallationSummary": self._summary(machine, "install"),
        }
        return body

    async def list(self, subscription_id: str, resource_group: str = "") -> builtins.list[dict[str, Any]]:
        return [{"id": machine.id} for machine in self.machines.values()]

    async def start_assessment(self, resource_id: ResourceId, check: Any) -> Started:
        machine = self._machine(resource_id)
        result = {"availablePatches": [dict(offered) for offered in machine.offers], "rebootPending": False}
        result.update(criticalAndSecurityPatchCount=len(machine.offers), otherPatchCount=0)
        return await self._post(machine, "assess", check, machine.assess_seconds, lambda: result)

    async def start_installation(self, resource_id: ResourceId, body: Mapping[str, Any], check: Any) -> Started:
        machine = self._machine(resource_id)
        machine.bodies.append(copy.deepcopy(dict(body)))
        windows = body["windowsParameters"]
        wanted = [kb.removeprefix("KB") for kb in windows.get("kbNumbersToInclude", [])]
        classes = set(windows.get("classificationsToInclude", []))
        wanted += [offered["kbId"] for offered in machine.offers if classes & set(offered["classifications"])]
        return await self._post(
            machine, "install", check, machine.install_seconds, lambda: self._install_result(machine, wanted)
        )

    async def update(
        self, machine: ResourceId, body: Mapping[str, Any], check: Any, etag: str | None = None
    ) -> Started:
        raise AssertionError("nobody here changes settings")

    async def restart(self, resource_id: ResourceId, check: Any) -> Started:
        return await self._post(self._machine(resource_id), "restart", check, 36.0, dict)

    async def poll(self, url: str) -> Operation:
        await asyncio.sleep(0)
        activity_id = url.rpartition("/")[2]
        self.polls.append((activity_id, self.clock.passed))
        if self.poll_failures:
            raise self.poll_failures.pop(0)
        if activity_id in self.gone:
            raise PollUrlGone("gone", kind="not_found", status=404)
        run = next(run for machine in self.machines.values() for run in machine.runs if run.activity_id == activity_id)
        if self.clock.passed < run.end:
            return Operation("InProgress", None, None, None, url)
        if run.error is not None:
            return Operation("Failed", None, run.error, None, url)
        return Operation("Succeeded", run.result, None, None, url)

    def _machine(self, resource_id: ResourceId) -> FakeMachine:
        found = self.machines.get(resource_id.key)
        if found is None:
            message = f"Could not read the machine {resource_id}: Azure answered 404 ResourceNotFound."
            raise AzureFailure(message, kind="not_found", status=404, code="ResourceNotFound")
        return found

    async def _post(
        self, machine: FakeMachine, kind: str, check: Any, seconds: float, result: Callable[[], dict[str, Any]]
    ) -> Started:
        await asyncio.sleep(0)
        check()
        self.posts.append((kind, machine.name, self.clock.passed))
        fault = machine.faults.pop(0) if machine.faults else None
        if isinstance(fault, AzureFailure):
            raise fault
        lost = AzureFailure("Could not send: it hung up.", kind="unreachable", uncertain=True)
        if fault == "lost_before":
            raise lost
        if any(run.start <= self.clock.passed < run.end for run in machine.runs):
            message = "Could not send: Azure answered 409 Conflict."
            raise AzureFailure(message, kind="conflict", status=409, code="Conflict")
        run = self._begin(machine, kind, seconds, result())
        if fault == "lost":
            raise lost
        return Started(run.activity_id, f"https://arm/operations/{run.activity_id}", "", "", 202, None, None)

    def _begin(self, machine: FakeMachine, kind: str, seconds: float, result: dict[str, Any]) -> Run:
        activity_id = f"{next(self._ids):08d}-0000-0000-0000-000000000000"
        now = self.clock.passed
        start = to_iso(self.clock.now())
        result = {"status": "Succeeded", **result, f"{kind}ActivityId": activity_id, "startDateTime": start}
        result["installationActivityId" if kind == "install" else "assessmentActivityId"] = activity_id
        run = Run(kind, activity_id, now, now + seconds, result, machine.operation_error)
        machine.runs.append(run)
        installing = [
            run for other in self.machines.values() for run in other.of("install") if run.start <= now < run.end
        ]
        self.most_installing = max(self.most_installing, len(installing))
        return run

    def _install_result(self, machine: FakeMachine, wanted: builtins.list[str]) -> dict[str, Any]:
        patches = []
        for offered in machine.offers:
            state = machine.states.get(offered["kbId"], "Installed" if offered["kbId"] in wanted else "NotSelected")
            keys = ("patchId", "name", "kbId", "classifications")
            patches.append({**{key: offered[key] for key in keys}, "installationState": state})
            if state == "Installed":
                machine.offers = [kept for kept in machine.offers if kept is not offered]
        tally = [patch["installationState"] for patch in patches]
        return {
            "rebootStatus": machine.reboot_status,
            "maintenanceWindowExceeded": False,
            "installedPatchCount": tally.count("Installed"),
            "failedPatchCount": tally.count("Failed"),
            "excludedPatchCount": tally.count("Excluded"),
            "notSelectedPatchCount": tally.count("NotSelected"),
            "pendingPatchCount": tally.count("Pending"),
            "patches": patches,
            "error": machine.error or {"details": [], "code": "Success", "message": "0 error/s reported"},
        }

    def _summary(self, machine: FakeMachine, kind: str) -> dict[str, Any] | None:
        seen = [run for run in machine.of(kind) if run.start + self.view_lag <= self.clock.passed]
        if not seen:
            return None
        run = seen[-1]
        over = run.end + self.view_lag <= self.clock.passed
        summary = {key: value for key, value in run.result.items() if key not in ("patches", "availablePatches")}
        summary["startTime"] = summary.pop("startDateTime")
        summary["status"] = run.result["status"] if over else "InProgress"
        return summary
