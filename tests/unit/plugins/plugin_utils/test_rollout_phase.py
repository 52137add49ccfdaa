# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what a rollout's steps share: waits that end with their run, and limits of load."""

from __future__ import annotations

import os
from unittest.mock import MagicMock

import pytest

pytest.importorskip("ansible.plugins.action")

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import Process
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import StateError
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_phase import PhaseAction, load_limits


class Clock:
    """Sixty times as fast as real time; it passes only while somebody sleeps."""

    rate = 60.0

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Guard:
    """Forbids going on after so many questions."""

    def __init__(self, lasts: int) -> None:
        self.lasts = lasts
        self.controller = Process.of(os.getpid())

    def stop(self, reason: str) -> None:
        self.lasts = 0

    def refusal(self) -> str:
        self.lasts -= 1
        return "" if self.lasts >= 0 else "The controlling process has ended."


def action() -> tuple[PhaseAction, Clock]:
    made = PhaseAction(
        task=MagicMock(async_val=0),
        connection=MagicMock(),
        play_context=MagicMock(),
        loader=MagicMock(),
        templar=MagicMock(),
        shared_loader_obj=MagicMock(),
    )
    clock = Clock()
    made.clock = clock  # type: ignore[assignment]
    return made, clock


def test_a_pause_lasts_as_long_as_it_is_to() -> None:
    made, clock = action()
    made.pause(150, Guard(100))
    assert clock.slept == [60, 60, 30]


@pytest.mark.parametrize(("lasts", "slept"), [(0, 0), (1, 1), (3, 3)])
def test_a_pause_ends_with_its_run_and_decides_nothing(lasts: int, slept: int) -> None:
    made, clock = action()
    with pytest.raises(StateError, match="has ended"):
        made.pause(86400, Guard(lasts))
    assert clock.slept == [60] * slept


@pytest.mark.parametrize(
    ("cpu", "memory", "proof", "said"),
    [
        (None, None, "azure", ""),
        (50.0, 1024, "guest", ""),
        (50.0, None, "azure", "hotpatch_proof"),
        (None, 1024, "azure", "hotpatch_proof"),
        (0.0, None, "guest", "hotpatch_max_cpu_percent"),
    ],
)
def test_limits_of_load(cpu: float | None, memory: int | None, proof: str, said: str) -> None:
    options = {"max_cpu_percent": cpu, "min_free_memory": memory, "proof": proof}
    if not said:
        assert load_limits(options).any is (cpu is not None)
        return
    with pytest.raises(InputError, match=said):
        load_limits(options)
