# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Resource Graph as the third witness: nothing is installed twice, and joined installations get their patches."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.context import Connection

from ..domain.builders import NOW
from .conftest import Task
from .fake_azure import BASELINE, HOTPATCH, FakeAzure, FakeMachine, Timeline, offer
from .test_install import KB, of


@dataclass
class FakeGraph:
    """Resource Graph over fake machines, ``lag`` seconds late; ``queries`` counts, ``failures`` are raised first."""

    azure: FakeAzure
    lag: float
    started_by: str = "User"
    queries: list[str] = field(default_factory=list)
    failures: list[AzureFailure] = field(default_factory=list)

    async def query(self, kql: str, *, subscriptions: Sequence[str], operation: str) -> list[dict[str, Any]]:
        self.queries.append(kql)
        if self.failures:
            raise self.failures.pop(0)
        owners = re.findall(r"'(/subscriptions/[^']+)'", kql)
        rows: list[dict[str, Any]] = []
        for owner in owners:
            name, _slash, activity = owner.partition("/patchinstallationresults/")
            for run in self.azure.machines[name].of("install"):
                if run.start + self.lag > self.azure.clock.passed:
                    continue
                over = run.end + self.lag <= self.azure.clock.passed
                if not activity:
                    rows.append({"id": owner, "owner": owner, "properties": self._installation(run, over)})
                elif activity == run.activity_id and over:
                    rows += [{"id": f"{owner}/x", "owner": owner, "properties": patch} for patch in self._patches(run)]
        return rows

    def _installation(self, run: Any, over: bool) -> dict[str, Any]:
        counts = {key: value for key, value in run.result.items() if key.endswith("PatchCount")} if over else {}
        return {
            "status": run.result["status"] if over else "InProgress",
            "installationActivityId": run.activity_id,
            "startDateTime": to_iso(NOW + timedelta(seconds=run.start)),
            "startedBy": self.started_by,
            "rebootStatus": run.result["rebootStatus"] if over else "Unknown",
            **counts,
        }

    @staticmethod
    def _patches(run: Any) -> list[dict[str, Any]]:
        kept = ("kbId", "classifications", "installationState")
        return [{"patchName": patch["name"], **{key: patch[key] for key in kept}} for patch in run.result["patches"]]


class WatchedAzure(FakeAzure):
    """A fake Azure whose connection has a Resource Graph."""

    def __init__(self, clock: Timeline, *machines: FakeMachine, view_lag: float, graph_lag: float) -> None:
        super().__init__(clock, *machines, view_lag=view_lag)
        self.graph = FakeGraph(self, graph_lag)

    @asynccontextmanager
    async def connect(self, params: Any, environ: Any, clock: Any) -> AsyncIterator[Connection]:
        yield Connection(self, graph=self.graph)


def watched(clock: Timeline, number: int = 1, view_lag: float = 0, graph_lag: float = 300, **more: Any) -> WatchedAzure:
    machines = (FakeMachine(f"vm{index}", [offer()], **more) for index in range(1, number + 1))
    return WatchedAzure(clock, *machines, view_lag=view_lag, graph_lag=graph_lag)


def test_a_lost_answer_that_the_view_hides_too_long_is_found_in_resource_graph(clock: Timeline, task: Task) -> None:
    """Without the third witness this machine would be installed twice: the view is slower than the settle time."""
    azure = watched(clock, view_lag=1500, graph_lag=240)
    given = task("assess", azure, details="all")["machines"]
    (machine,) = azure.machines.values()
    machine.faults = ["lost"]
    (entry,) = task("install", azure, assessments=given, kb_numbers_to_include=[HOTPATCH])["machines"]
    assert of(azure, "install") == ["vm1"] and len(machine.of("install")) == 1
    assert entry["outcome"] == "claimed" and entry["started_by"] == "us"


def test_a_request_that_azure_never_got_is_sent_again(clock: Timeline, task: Task) -> None:
    azure = watched(clock)
    (machine,) = azure.machines.values()
    given = task("assess", azure, details="all")["machines"]
    machine.faults = ["lost_before"]
    (entry,) = task("install", azure, assessments=given)["machines"]
    assert entry["outcome"] == "claimed" and len(machine.of("install")) == 1
    assert len(azure.graph.queries) == 1, "heard once, before sending again"


def test_a_resource_graph_that_may_not_be_read_leaves_it_to_the_others(clock: Timeline, task: Task) -> None:
    azure = watched(clock)
    (machine,) = azure.machines.values()
    given = task("assess", azure, details="all")["machines"]
    machine.faults = ["lost_before"]
    azure.graph.failures = [
        AzureFailure("Could not ask.", kind="throttled", status=429),
        AzureFailure("Could not ask.", kind="forbidden", status=403),
    ]
    (entry,) = task("install", azure, assessments=given)["machines"]
    assert entry["outcome"] == "claimed" and len(azure.graph.queries) == 2


def test_an_installation_joined_by_the_view_gets_its_patches(clock: Timeline, task: Task) -> None:
    azure = watched(clock, graph_lag=600)
    (machine,) = azure.machines.values()
    azure.platform_installs(machine, 200)
    (entry,) = task("install", azure, kb_numbers_to_include=[HOTPATCH], details="all")["machines"]
    assert entry["outcome"] == "claimed" and entry["started_by"] == "other" and entry["joined"] is True
    assert [update["installation_state"] for update in entry["updates"].values()] == ["Installed"]
    assert entry["reboot_status"] == "NotNeeded"


def test_a_restart_of_a_joined_installation_is_told(clock: Timeline, task: Task) -> None:
    azure = watched(clock, reboot_status="Completed")
    (machine,) = azure.machines.values()
    azure.platform_installs(machine, 200)
    (entry,) = task("install", azure, kb_numbers_to_include=[HOTPATCH])["machines"]
    assert entry["outcome"] == "failed" and entry["reason_code"] == "restarted_unasked"


def test_what_the_platform_installed_instead_is_told_by_kb(clock: Timeline, task: Task) -> None:
    azure = watched(clock)
    (machine,) = azure.machines.values()
    machine.offers.append(offer(BASELINE, "AlwaysRequiresReboot"))
    machine.states = {HOTPATCH: "Excluded", BASELINE: "Installed"}
    azure.platform_installs(machine, 200)
    (entry,) = task("install", azure, kb_numbers_to_include=[HOTPATCH])["machines"]
    assert entry["outcome"] == "withheld" and KB in entry["reason"]


def test_patches_that_resource_graph_never_shows_stay_unlisted(clock: Timeline, task: Task) -> None:
    azure = watched(clock, graph_lag=1e9)
    (machine,) = azure.machines.values()
    azure.platform_installs(machine, 200)
    result = task("install", azure, kb_numbers_to_include=[HOTPATCH])
    assert result["machines"][0]["outcome"] == "unlisted"
    assert result["duration"] < 200 + 900 + 180


def test_an_activity_that_the_view_no_longer_shows_is_found_in_resource_graph(clock: Timeline, task: Task) -> None:
    """Another installation has taken its place in the view, which holds the last one only."""
    azure = watched(clock, graph_lag=120)
    (machine,) = azure.machines.values()
    given = task("assess", azure, details="all")["machines"]
    task("install", azure, assessments=given, kb_numbers_to_include=[HOTPATCH], wait=False)
    (ours,) = machine.of("install")
    azure.gone.add(ours.activity_id)
    clock.passed = ours.end + 10
    theirs = azure.platform_installs(machine, 5000)
    (entry,) = task("install", azure, kb_numbers_to_include=[HOTPATCH])["machines"]
    assert len(machine.of("install")) == 2 and theirs.activity_id != ours.activity_id
    assert entry["installation_activity_id"] == ours.activity_id and entry["outcome"] == "claimed"


def test_a_thousand_machines_ask_together(clock: Timeline, task: Task) -> None:
    azure = watched(clock, number=600)
    for machine in azure.machines.values():
        azure.platform_installs(machine, 200)
    result = task("install", azure, kb_numbers_to_include=[HOTPATCH], max_failures="100%")
    assert result["counts"] == {"machines": 600, "claimed": 600}
    sizes = [len(re.findall("'/subscriptions/", kql)) for kql in azure.graph.queries]
    assert max(sizes) == 250
    # Two kinds of questions, three batches each, a few looks until it shows the end.
    assert len(sizes) <= 40
