# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress line: right numbers, real seconds, and not too many lines."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.progress import Progress, human_seconds

from .fake_azure import Timeline


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (19.6, "20 s"), (59.4, "59 s"), (80, "1 min 20 s"), (3600, "1 h 0 min"), (7500, "2 h 5 min")],
)
def test_seconds_in_words(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


@pytest.mark.parametrize(("rate", "left"), [(1.0, "1 min 20 s"), (60.0, "1 s")])
def test_the_line(rate: float, left: str) -> None:
    clock = Timeline(rate)
    lines: list[str] = []
    progress = Progress(clock, lines.append)
    progress.begin("assess", 12)
    for number in range(10):
        progress.running(f"vm{number}")
    clock.passed = 100.0
    for number in range(7):
        progress.done(f"vm{number}", failed=number == 0)
    for key in ("vm7", "vm8", "vm9"):
        progress._started[key] = 80.0
    progress.running("vm10")
    progress.running("vm11")
    progress._started["vm10"] = progress._started["vm11"] = 80.0
    assert progress.line() == f"assess 7/12 done, 5 running, 1 failed, about {left} left"


def test_waiting_machines_count_by_rounds() -> None:
    clock = Timeline()
    progress = Progress(clock)
    progress.begin("install", 10, concurrent=2)
    progress.running("a")
    progress.running("b")
    clock.passed = 60.0
    progress.done("a")
    progress.done("b")
    assert progress.seconds_left() == 4 * 60
    assert "8 waiting" in progress.line()


def test_what_outlives_the_others_is_given_more_time() -> None:
    clock = Timeline()
    progress = Progress(clock)
    progress.begin("install", 2)
    progress.running("quick")
    progress.running("slow")
    clock.passed = 60.0
    progress.done("quick")
    clock.passed = 400.0
    assert progress.seconds_left() == 100.0


def test_lines_are_spaced_in_real_time_and_the_last_is_always_told() -> None:
    clock = Timeline(60.0)
    lines: list[str] = []
    progress = Progress(clock, lines.append, every=2.0)
    progress.begin("assess", 200)
    for number in range(200):
        clock.passed += 6
        progress.running(f"vm{number}")
        progress.done(f"vm{number}")
    assert lines[-1] == "assess 200/200 done, 0 running, 0 failed"
    assert len(lines) <= 200 * 6 / 60 / 2 + 3


def test_no_time_is_told_before_anything_finished() -> None:
    progress = Progress(Timeline())
    progress.begin("assess", 2)
    progress.running("vm1")
    assert progress.line() == "assess 0/2 done, 1 running, 1 waiting, 0 failed"
