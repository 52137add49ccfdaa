# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be sent again, and when."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.pacing import Pacer, classify
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.retry import backoff, may_repeat, wait_for_turn
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


def test_sixty_machines_and_one_machine_with_seven_calls() -> None:
    """Six calls of a machine go at once, the seventh waits for the minute; other machines do not wait."""
    clock, pacer = ManualClock(), Pacer()
    draw = classify("POST", f"https://a{VM_PATH}/assessPatches")

    async def call(number: int) -> float:
        other = classify("POST", f"https://a{VM_PATH}{number}/assessPatches")
        await wait_for_turn(pacer, other, clock)
        return clock.monotonic()

    async def seven() -> list[float]:
        moments = []
        for dummy in range(7):
            await wait_for_turn(pacer, draw, clock)
            moments.append(clock.monotonic())
        return moments

    async def both() -> tuple[list[float], list[float]]:
        many = await asyncio.gather(*(call(number) for number in range(60)))
        return list(many), await seven()

    many, one = asyncio.run(both())
    assert many == [0.0] * 60
    assert one == [0.0] * 6 + [60.0]
