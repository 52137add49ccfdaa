# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import timedelta

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.durations import (
    check_maximum_duration,
    format_duration,
    parse_duration,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError


@pytest.mark.parametrize(
    ("text", "length", "canonical"),
    [
        ("PT2H", timedelta(hours=2), "PT2H"),
        ("PT90M", timedelta(minutes=90), "PT1H30M"),
        ("pt2h30m", timedelta(hours=2, minutes=30), "PT2H30M"),
        ("P1D", timedelta(days=1), "P1D"),
        ("P1DT30M", timedelta(days=1, minutes=30), "P1DT30M"),
        ("PT1H5S", timedelta(hours=1, seconds=5), "PT1H5S"),
        ("PT0.5H", timedelta(minutes=30), "PT30M"),
        ("PT0S", timedelta(), "PT0S"),
        (" PT25M ", timedelta(minutes=25), "PT25M"),
    ],
)
def test_reads_and_writes(text: str, length: timedelta, canonical: str) -> None:
    assert parse_duration(text) == length
    assert format_duration(length) == canonical
    assert parse_duration(canonical) == length


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "2H", "PT2", "P2H", "PT2M1H", "P1Y", "P1W", "-PT2H", "02:00", "PT1H ago", "P1M", "PT.5H"],
)
def test_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError, match="ISO 8601"):
        parse_duration(text)


def test_refuses_what_no_duration_can_hold() -> None:
    with pytest.raises(ValueError, match="longer"):
        parse_duration("P" + "9" * 30 + "D")


def test_negative_lengths_have_no_text() -> None:
    with pytest.raises(ValueError, match="negative"):
        format_duration(timedelta(seconds=-1))


@pytest.mark.parametrize("text", ["PT25M", "PT2H", "PT4H", "PT3H55M", "P1D"])
def test_a_maximum_duration_that_can_install(text: str) -> None:
    assert check_maximum_duration("maximum_duration", text) == parse_duration(text)


@pytest.mark.parametrize("text", ["PT24M59S", "PT10M", "PT0S"])
def test_a_maximum_duration_that_never_can(text: str) -> None:
    with pytest.raises(InputError) as caught:
        check_maximum_duration("maximum_duration", text)
    assert f"Option maximum_duration has the value '{text}'" in str(caught.value)
    assert "25 minutes" in str(caught.value)


def test_a_malformed_maximum_duration_names_the_option() -> None:
    with pytest.raises(
        InputError, match=r"^Option maximum_duration has the value '2 hours', but it must be an ISO 8601"
    ):
        check_maximum_duration("maximum_duration", "2 hours")
