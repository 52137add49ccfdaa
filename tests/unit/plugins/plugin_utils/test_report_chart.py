# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The geometry of the report's charts: everything lies within the drawing, in order, and with few ticks."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import interrupted, report_of, rollout

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils import report_chart as chart

START = datetime(2026, 5, 13, 1, 7, tzinfo=timezone.utc)


def of_waves(*minutes: tuple[int, int | None], ended: int = 0) -> dict[str, Any]:
    waves = [
        {
            "number": number,
            "ring": "all",
            "machines": ["a"],
            "started": to_iso(START + timedelta(minutes=begin)),
            "finished": None if end is None else to_iso(START + timedelta(minutes=end)),
        }
        for number, (begin, end) in enumerate(minutes, start=1)
    ]
    return {"waves": waves, "rings": [], "machines": [], "ended": to_iso(START + timedelta(minutes=ended))}


@given(st.lists(st.tuples(st.integers(0, 500_000), st.integers(0, 5000)), min_size=1, max_size=600))
def test_every_bar_lies_within_the_drawing(times: list[tuple[int, int]]) -> None:
    drawn = chart.timeline(of_waves(*[(begin, begin + length) for begin, length in times]))
    assert drawn is not None
    for row in drawn["rows"]:
        assert row["x"] >= chart.LEFT and row["x"] + row["width"] <= chart.WIDTH - chart.RIGHT + 2
        assert row["width"] >= 2 and 0 <= row["y"] < drawn["height"]
    assert 0 <= len(drawn["ticks"]) <= 7
    assert all(chart.LEFT <= tick["x"] <= chart.WIDTH - chart.RIGHT for tick in drawn["ticks"])
    assert len({tick["label"] for tick in drawn["ticks"]}) == len(drawn["ticks"])


def test_longer_is_wider_and_later_is_further_right() -> None:
    drawn = chart.timeline(of_waves((0, 10), (10, 40), (100, 120)))
    assert drawn is not None
    first, second, third = drawn["rows"]
    assert second["width"] == pytest.approx(3 * first["width"], abs=0.1)
    assert first["x"] < second["x"] < third["x"]
    assert [tick["label"] for tick in drawn["ticks"]] == ["01:30", "02:00", "02:30", "03:00"]


def test_waves_that_never_started_are_not_drawn() -> None:
    report = of_waves((0, 10), (10, 20))
    report["waves"][1]["started"] = report["waves"][1]["finished"] = None
    drawn = chart.timeline(report)
    assert drawn is not None and len(drawn["rows"]) == 1
    report["waves"][0]["started"] = None
    assert chart.timeline(report) is None
    assert chart.timeline(of_waves()) is None


def test_an_unfinished_wave_reaches_to_the_last_step() -> None:
    drawn = chart.timeline(of_waves((0, 10), (10, None), ended=30))
    assert drawn is not None
    assert [row["kind"] for row in drawn["rows"]] == ["wave", "open"]
    assert drawn["rows"][1]["end"] == START + timedelta(minutes=30)
    kinds = [row["kind"] for row in (chart.timeline(report_of(interrupted())) or {})["rows"]]
    assert kinds == ["wave", "soak", "wave", "open"]


def test_a_soak_stands_behind_the_last_wave_of_its_ring() -> None:
    drawn = chart.timeline(report_of(rollout()))
    assert drawn is not None
    assert [row["label"] for row in drawn["rows"]][:3] == ["canary, wave 1", "canary, soak", "pilot, wave 2"]


def test_many_waves_stay_on_a_screen_or_two() -> None:
    drawn = chart.timeline(of_waves(*[(number, number + 1) for number in range(350)]))
    assert drawn is not None and drawn["height"] <= chart.TALLEST and not drawn["labels"]


@given(st.lists(st.integers(0, 10_000), min_size=5, max_size=5).filter(any))
def test_the_parts_of_a_bar_fill_it(numbers: list[int]) -> None:
    tally = dict(zip(chart.GROUPS, numbers, strict=True))
    parts = chart.stacked({**tally, "machines": sum(numbers)})
    assert sum(part["width"] for part in parts) == pytest.approx(300, abs=0.1)
    assert {part["group"]: part["machines"] for part in parts} == {name: n for name, n in tally.items() if n}
