# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be sent again, and when."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.pacing import Pacer, classify
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.retry import (
    Turns,
    backoff,
    may_repeat,
    wait_for_turn,
)
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    VM_PATH,
    ManualClock,
)


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [None, 400, 408, 409, 500, 502, 503, 504])
def test_nothing_that_changes_anything_is_repeated(method: str, status: int | None) -> None:
    assert not may_repeat(method, status, 1)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_a_429_is_repeated_but_not_for_ever(method: str) -> None:
    assert may_repeat(method, 429, 1)
    assert may_repeat(method, 429, 9)
    assert not may_repeat(method, 429, 10)


@pytest.mark.parametrize(
    ("status", "expected"), [(None, True), (408, True), (503, True), (404, False), (200, False), (403, False)]
)
def test_reads(status: int | None, expected: bool) -> None:
    assert may_repeat("GET", status, 1) is expected
    assert not may_repeat("GET", status, 5)


def test_waits_as_asked_else_longer_each_time_and_never_spins() -> None:
    assert backoff(1, 7) == 7
    assert backoff(3, 7) == 7
    assert backoff(1, 0) == 0
    assert backoff(2, 0) == 1.6
    assert [backoff(attempt, None) for attempt in (1, 2, 3, 20)] == [0.8, 1.6, 3.2, 60.0]


class PatientClock(ManualClock):
    """Whoever sleeps is woken by news long before."""

    async def asleep(self, seconds: float) -> None:
        await asyncio.sleep(60)


def test_machines_wait_for_one_answer_and_then_go_together() -> None:
    clock, pacer = PatientClock(), Pacer()
    gone: list[int] = []
    answers: asyncio.Queue[Turns] = asyncio.Queue()

    async def call(number: int) -> None:
        turns = await wait_for_turn(pacer, classify("POST", f"https://a{VM_PATH}{number}/assessPatches"), clock)
        gone.append(number)
        answers.put_nowait(turns)

    async def main() -> None:
        tasks = [asyncio.ensure_future(call(number)) for number in range(60)]
        for served in range(1, 61):
            turns = await asyncio.wait_for(answers.get(), 10)
            for name, (bucket, turn) in turns.items():
                bucket.answered(turn, clock.monotonic(), {"arm": 199, "region": 599, "resource": 5}[name] - served + 1)
            pacer.news.tell()
        await asyncio.gather(*tasks)

    asyncio.run(main())
    assert gone == list(range(60)), "first comes first"


def test_the_seventh_call_of_a_machine_waits_for_the_minute_and_others_do_not() -> None:
    clock, pacer = ManualClock(), Pacer()

    async def call(name: str, left: int) -> float:
        turns = await wait_for_turn(pacer, classify("POST", f"https://a{VM_PATH}{name}/assessPatches"), clock)
        for bucket, turn in turns.values():
            bucket.answered(turn, clock.monotonic(), left if bucket.capacity == 6 else bucket.capacity - 1)
        pacer.news.tell()
        return clock.monotonic()

    async def main() -> list[float]:
        six = [await call("a", left) for left in (5, 4, 3, 2, 1, 0)]
        other = await call("b", 5)
        return [*six, other, await call("a", 1)]

    assert asyncio.run(main()) == [0.0] * 7 + [60.0]
