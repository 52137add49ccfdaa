# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a wave starts, and who of it, by a table of windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.gates import wave_start


def at(hour: float) -> datetime:
    return datetime(2026, 5, 13, tzinfo=timezone.utc) + timedelta(hours=hour)


@dataclass(frozen=True)
class Span:
    """A window that opens once, between two hours of the 13th."""

    opens: float
    closes: float

    def is_open(self, now: datetime) -> bool:
        return at(self.opens) <= now < at(self.closes)

    def closes_at(self, now: datetime) -> datetime | None:
        return at(self.closes) if self.is_open(now) else None

    def fits(self, now: datetime, duration: timedelta) -> bool:
        return self.is_open(now) and now + duration <= at(self.closes)

    def next_fit(self, now: datetime, duration: timedelta) -> datetime | None:
        moment = max(now, at(self.opens))
        return moment if self.fits(moment, duration) else None


@pytest.mark.parametrize(
    ("windows", "patience", "start", "latest", "refused"),
    [
        ({"a": None}, 0, 1, {}, {}),
        ({"a": Span(1, 9)}, 0, 1, {"a": 6}, {}),
        ({"a": Span(4, 8)}, 6, 4, {"a": 5}, {}),
        # All can at four, so all wait, also those that could go now.
        ({"a": Span(4, 8), "b": None, "c": Span(1, 9)}, 6, 4, {"a": 5, "c": 6}, {}),
        # Four is out of reach: whoever can goes now.
        ({"a": Span(4, 8), "b": None}, 2, 1, {}, {"a": "outside_window"}),
        ({"a": Span(4, 8)}, 2, None, {}, {"a": "outside_window"}),
        # Open, but too late to finish.
        ({"a": Span(0, 3), "b": None}, 6, 1, {}, {"a": "would_not_finish"}),
        ({"a": Span(0, 3)}, 6, None, {}, {"a": "would_not_finish"}),
        # Never together: most win, the earliest among equals.
        ({"a": Span(1, 5), "b": Span(6, 10), "c": Span(6, 11)}, 9, 6, {"b": 7, "c": 8}, {"a": "outside_window"}),
        ({"a": Span(1, 5), "b": Span(6, 10)}, 9, 1, {"a": 2}, {"b": "outside_window"}),
        ({}, 0, None, {}, {}),
    ],
)
def test_wave_start(
    windows: dict[str, Span | None],
    patience: float,
    start: float | None,
    latest: dict[str, float],
    refused: dict[str, str],
) -> None:
    found = wave_start(at(1), windows, timedelta(hours=3), timedelta(hours=patience))
    assert found.at == (None if start is None else at(start))
    assert found.latest == {key: at(hour) for key, hour in latest.items()}
    assert {key: item.code for key, item in found.refused.items()} == refused
    assert all(item.reason for item in found.refused.values())
