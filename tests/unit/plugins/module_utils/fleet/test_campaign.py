# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Admission, polling intervals and the ways to stop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.waves import parse_budget
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.campaign import Campaign, NotAdmitted, WaitEnded
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.progress import Progress

from .fake_azure import SwitchGuard, Timeline


def campaign(clock: Timeline, guard: SwitchGuard, **given: Any) -> Campaign:
    settings: dict[str, Any] = {
        "total": 10,
        "poll_interval": 30,
        "wait_timeout": 1000,
        "max_failures": parse_budget("0"),
    }
    return Campaign(clock, guard, Progress(clock), **{**settings, **given})


@pytest.mark.parametrize(
    ("in_flight", "retry_after", "seconds"),
    [(1, None, 30), (600, None, 30), (1000, None, 50), (10000, None, 500), (1, 45, 45), (1000, 45, 50), (1, 0, 30)],
)
def test_the_interval_stretches_to_the_read_budget(
    clock: Timeline, guard: SwitchGuard, in_flight: int, retry_after: float | None, seconds: float
) -> None:
    shared = campaign(clock, guard)
    blocks = [shared.polled("subscription") for dummy in range(in_flight)]
    for block in blocks:
        block.__enter__()
    assert shared.interval("subscription", retry_after) == seconds
    assert shared.interval("another") == 30
    for block in blocks:
        block.__exit__(None, None, None)
    assert shared.interval("subscription") == 30


async def test_never_more_than_the_limit_and_first_come_first_served(clock: Timeline, guard: SwitchGuard) -> None:
    shared = campaign(clock, guard, max_concurrent=3)
    running: set[int] = set()
    order: list[int] = []
    most = 0

    async def work(number: int) -> None:
        nonlocal most
        await shared.admit(str(number))
        running.add(number)
        order.append(number)
        most = max(most, len(running))
        await clock.asleep(10 + number)
        running.discard(number)
        shared.finish(str(number), failed=False)

    await shared.run(range(10), work)
    assert most == 3 and order == list(range(10))


async def test_occupied_places_are_not_given_away(clock: Timeline, guard: SwitchGuard) -> None:
    shared = campaign(clock, guard, max_concurrent=1)
    shared.occupy("joined")
    waiting = asyncio.ensure_future(shared.admit("next"))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    shared.vacate("joined")
    await waiting


@pytest.mark.parametrize(("budget", "allowed"), [("0", 0), ("3", 3), ("10%", 1), ("100%", 10)])
def test_the_failure_after_the_last_allowed_stops(
    clock: Timeline, guard: SwitchGuard, budget: str, allowed: int
) -> None:
    shared = campaign(clock, guard, max_failures=parse_budget(budget))
    for number in range(allowed):
        shared.finish(str(number), failed=True)
        assert not shared.exceeded and shared.stop_code == ""
    if allowed < 10:
        shared.finish("one too many", failed=True)
        assert shared.exceeded and shared.stop_code == "budget"
        with pytest.raises(NotAdmitted, match="max_failures"):
            shared.check_start()


async def test_those_in_the_queue_learn_of_a_stop(clock: Timeline, guard: SwitchGuard) -> None:
    shared = campaign(clock, guard, max_concurrent=1)
    await shared.admit("first")
    waiting = [asyncio.ensure_future(shared.admit(name)) for name in "ab"]
    await asyncio.sleep(0.01)
    shared.stop("budget", "enough")
    for one in waiting:
        with pytest.raises(NotAdmitted, match="enough"):
            await one


async def test_the_guard_is_asked_before_each_start_and_at_each_poll(clock: Timeline, guard: SwitchGuard) -> None:
    shared = campaign(clock, guard)
    await shared.admit("vm1")
    asked = guard.asked
    await shared.pause("subscription")
    assert guard.asked > asked
    guard.stop("orphan")
    with pytest.raises(WaitEnded) as ended:
        await shared.pause("subscription")
    assert ended.value.code == "stopped"
    with pytest.raises(NotAdmitted, match="orphan"):
        await shared.admit("vm2")


async def test_a_pause_never_oversleeps_the_deadline(clock: Timeline, guard: SwitchGuard) -> None:
    shared = campaign(clock, guard, wait_timeout=100, poll_interval=70)
    await shared.pause("subscription")
    with pytest.raises(WaitEnded) as ended:
        await shared.pause("subscription")
    assert ended.value.code == "timeout" and clock.passed == 100
    with pytest.raises(NotAdmitted):
        shared.check_start()


async def test_a_stop_wakes_the_sleepers(clock: Timeline, guard: SwitchGuard) -> None:
    shared = campaign(clock, guard, poll_interval=500)
    clock.at[50.0] = lambda: guard.stop("SIGTERM")

    async def work(number: int) -> str:
        try:
            await shared.pause("subscription")
        except WaitEnded as ended:
            return ended.code
        return "slept"

    assert await shared.run(range(3), work) == ["stopped"] * 3
    assert clock.passed <= 52


async def test_a_bug_in_one_machine_ends_the_run(clock: Timeline, guard: SwitchGuard) -> None:
    shared = campaign(clock, guard)
    ended: list[int] = []

    async def work(number: int) -> None:
        if number == 1:
            raise ZeroDivisionError
        try:
            await clock.asleep(1000)
        finally:
            ended.append(number)

    with pytest.raises(ZeroDivisionError):
        await shared.run(range(3), work)
    assert sorted(ended) == [0, 2]
