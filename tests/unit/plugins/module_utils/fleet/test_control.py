# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout that is steered from outside: between machines, and while it waits."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_control
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.context import Connection
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.control import Steering, check_groups
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.progress import Progress
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_events import Events, read_events

from ..domain.builders import NOW
from .fake_azure import FakeAzure, FakeMachine, SwitchGuard, Timeline, offer

GROUP = "/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/rg"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


def fleet(clock: Timeline, count: int) -> FakeAzure:
    """Machines that are offered the hotpatch; each takes five minutes, the first begins after the assessments."""
    return FakeAzure(clock, *(FakeMachine(f"web{number}", [offer()]) for number in range(count)))


def sent(azure: FakeAzure) -> list[float]:
    """When installations were sent."""
    return [at for kind, dummy, at in azure.posts if kind == "install"]


def install(task: Any, azure: FakeAzure, **given: Any) -> dict[str, Any]:
    result: dict[str, Any] = task("install", azure, rollout_id="r", max_concurrent=1, max_failures="100%", **given)
    return result


def outcomes(result: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(entry["outcome"], entry.get("reason_code")) for entry in result["machines"]]


def test_a_pause_holds_the_next_start_and_not_what_runs(
    task: Any, clock: Timeline, state: Path, lines: list[str]
) -> None:
    azure = fleet(clock, 3)
    clock.at[250.0] = lambda: (state / "control").write_text("pause")
    clock.at[50_000.0] = lambda: (state / "control").write_text("resume")
    result = install(task, azure)
    assert [name for name, dummy in outcomes(result)] == ["claimed"] * 3
    first, second, third = sent(azure)
    assert first < 250 and 50_000 <= second < third
    assert any("paused" in line for line in lines) and any("going on" in line for line in lines)


def test_an_abort_starts_nothing_more(task: Any, clock: Timeline, state: Path) -> None:
    azure = fleet(clock, 3)
    clock.at[250.0] = lambda: (state / "control").write_text("abort")
    result = install(task, azure)
    assert [name for name, dummy in outcomes(result)] == ["claimed", "not_started", "not_started"]
    assert outcomes(result)[1][1] == "aborted"
    assert len(sent(azure)) == 1


def test_a_file_that_is_not_understood_pauses_and_an_abort_ends_the_pause(
    task: Any, clock: Timeline, state: Path
) -> None:
    azure = fleet(clock, 2)
    (state / "control").write_text("halt!")
    clock.at[900.0] = lambda: (state / "control").write_text("abort")
    result = install(task, azure)
    assert sent(azure) == []
    assert {code for dummy, code in outcomes(result)} == {"aborted"}


def test_a_signal_ends_a_pause(task: Any, clock: Timeline, guard: SwitchGuard, state: Path) -> None:
    azure = fleet(clock, 2)
    (state / "control").write_text("pause")
    clock.at[900.0] = lambda: guard.stop("SIGTERM was received")
    assert {code for dummy, code in outcomes(install(task, azure))} == {"stopped"}
    assert sent(azure) == []


def test_a_blocked_kb_is_not_sent(task: Any, clock: Timeline, state: Path) -> None:
    azure = fleet(clock, 2)
    (state / "control").write_text("block KB5087423")
    result = install(task, azure, kb_numbers_to_include=["KB5087423"])
    assert outcomes(result) == [("not_started", "kb_blocked")] * 2
    assert sent(azure) == []


def test_nobody_is_started_after_its_latest_start(task: Any, clock: Timeline) -> None:
    azure = fleet(clock, 2)
    ids = [machine.id for machine in azure.machines.values()]
    early, late = NOW.isoformat(), "2099-01-01T00:00:00Z"
    result = install(task, azure, latest_starts={ids[0].upper(): early, ids[1]: late})
    assert [name for name, dummy in outcomes(result)] == ["not_started", "claimed"]
    assert outcomes(result)[0][1] == "would_not_finish"
    with pytest.raises(InputError, match="latest_starts"):
        install(task, azure, latest_starts={ids[0]: "soon"})


def test_each_machine_is_sent_its_own_kbs_and_no_classes(task: Any, clock: Timeline) -> None:
    azure = fleet(clock, 2)
    ids = [machine.id for machine in azure.machines.values()]
    result = install(task, azure, kb_numbers_by_machine={ids[0]: ["5087423"]}, kb_numbers_to_include=["KB1111111"])
    assert [name for name, dummy in outcomes(result)] == ["claimed", "not_offered"]
    [body] = [body for machine in azure.machines.values() for body in machine.bodies]
    assert body["windowsParameters"]["kbNumbersToInclude"] == ["KB5087423"]
    assert not body["windowsParameters"].get("classificationsToInclude")


def test_starts_and_ends_are_written(task: Any, clock: Timeline, state: Path) -> None:
    install(task, fleet(clock, 1))
    assert [event["event"] for event in read_events(state)] == ["machine_started", "machine_installed"]


class Group:
    """A resource group whose tags change."""

    def __init__(self) -> None:
        self.value: str | None = None
        self.failure: AzureFailure | None = None

    async def tags(self, resource_group_id: str) -> dict[str, str]:
        if self.failure is not None:
            raise self.failure
        return {"Owner": "x"} if self.value is None else {"Hotpatch-Rollout": self.value}


async def test_a_tag_is_heeded_like_the_file(clock: Timeline, state: Path) -> None:
    group = Group()
    steering = Steering(state, clock, [GROUP], group)
    await steering.refresh()
    assert steering.look().word == "resume"
    group.value = "pause; block KB5087423"
    assert steering.look().word == "resume", "what was read last counts until it is read again"
    await steering.refresh()
    assert (steering.look().word, list(steering.look().blocked)) == ("pause", ["KB5087423"])
    group.failure = AzureFailure("403", operation="x", message="x")
    await steering.refresh()
    assert steering.look().word == "pause"


def test_groups_are_checked() -> None:
    assert check_groups("o", [GROUP + "/"]) == (GROUP,)
    for wrong in ("rg", GROUP + "/providers/x", "/subscriptions/x/resourceGroups/rg"):
        with pytest.raises(InputError):
            check_groups("o", [wrong])


class TestWaiting:
    @staticmethod
    def wait(clock: Timeline, guard: SwitchGuard, state: Path, lines: list[str], **given: Any) -> dict[str, Any]:
        params = {"state_path": str(state), "rollout_id": "r", "waiting_for": "the soak of ring canary", **given}
        return rollout_control.run(params, clock, Progress(clock, lines.append), {}, guard)

    def test_until_the_moment(self, clock: Timeline, guard: SwitchGuard, state: Path, lines: list[str]) -> None:
        until = NOW.replace(hour=NOW.hour + 2).isoformat()
        result = self.wait(clock, guard, state, lines, until=until)
        assert result["word"] == "resume" and 7200 <= clock.passed < 7210
        assert "the soak of ring canary" in lines[0]

    def test_a_pause_outlasts_it(self, clock: Timeline, guard: SwitchGuard, state: Path, lines: list[str]) -> None:
        (state / "control").write_text("pause")
        clock.at[500.0] = (state / "control").unlink
        result = self.wait(clock, guard, state, lines)
        assert result["word"] == "resume" and clock.passed >= 500
        assert [event["event"] for event in read_events(state)] == ["paused", "going_on"]

    def test_an_abort_ends_it(self, clock: Timeline, guard: SwitchGuard, state: Path, lines: list[str]) -> None:
        (state / "control").write_text("abort")
        result = self.wait(clock, guard, state, lines, until="2099-01-01T00:00:00Z")
        assert (result["word"], clock.passed) == ("abort", 0) and "control says abort" in result["why"]

    def test_the_end_of_the_run_ends_it(
        self, clock: Timeline, guard: SwitchGuard, state: Path, lines: list[str]
    ) -> None:
        clock.at[100.0] = lambda: guard.stop("gone")
        assert self.wait(clock, guard, state, lines, until="2099-01-01T00:00:00Z")["failed"]

    def test_a_tag_ends_it(self, clock: Timeline, guard: SwitchGuard, state: Path, lines: list[str]) -> None:
        group = Group()

        @asynccontextmanager
        async def connected(*dummy: Any) -> Any:
            yield Connection(None, groups=group)  # type: ignore[arg-type]

        clock.at[100.0] = lambda: setattr(group, "value", "abort")
        params = {
            "state_path": str(state),
            "rollout_id": "r",
            "waiting_for": "x",
            "until": "2099-01-01T00:00:00Z",
            "control_resource_groups": [GROUP],
        }
        progress = Progress(clock, lines.append)
        result = rollout_control.run(params, clock, progress, {}, guard, connect=connected)
        assert result["word"] == "abort" and 100 <= clock.passed < 200

    def test_check_mode_does_not_wait(self, clock: Timeline, guard: SwitchGuard, state: Path, lines: list[str]) -> None:
        (state / "control").write_text("pause")
        params = {"state_path": str(state), "rollout_id": "r", "waiting_for": "x"}
        result = rollout_control.run(params, clock, Progress(clock, lines.append), {}, guard, check_mode=True)
        assert result["word"] == "pause" and read_events(state) == []


def test_a_line_cut_short_is_left_alone(clock: Timeline, state: Path) -> None:
    (state / "events.jsonl").write_text('{"event": "planned"}\n{"event": "ver')
    Events(state, "r", clock).write("finished", ring=None, wave=2)
    found = read_events(state)
    assert [event["event"] for event in found] == ["planned", "finished"]
    assert found[1]["wave"] == 2 and "ring" not in found[1]
    with pytest.raises(ValueError, match="no event"):
        Events(state, "r", clock).write("party")
