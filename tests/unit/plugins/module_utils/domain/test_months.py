# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.months import (
    month_of,
    months_between,
    msrc_name,
    next_month,
    normal_month,
    parse_month,
    previous_month,
    second_tuesday,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR


@pytest.mark.parametrize(
    ("raw", "month"),
    [
        ("2026-05", "2026-05"),
        ("2026-May", "2026-05"),
        (" 2026-dec ", "2026-12"),
        ("2026-DEC", "2026-12"),
        ("2026-13", None),
        ("2026-00", None),
        ("2026-Mai", None),
        ("2026-5", None),
        ("26-05", None),
        ("2026-05-12", None),
        (202605, None),
        (None, None),
    ],
)
def test_months_as_they_are_written(raw: Any, month: str | None) -> None:
    assert normal_month(raw) == month
    if month is None:
        with pytest.raises(InputError, match="Option msrc_months"):
            parse_month("msrc_months", raw)


@given(st.dates(date(2020, 1, 1), date(2090, 12, 31)))
def test_neighbours_and_names(day: date) -> None:
    month = month_of(day)
    assert previous_month(next_month(month)) == month == next_month(previous_month(month))
    assert previous_month(month) < month < next_month(month)
    assert normal_month(msrc_name(month)) == month
    tuesday = second_tuesday(month)
    assert (tuesday.weekday(), month_of(tuesday)) == (1, month)
    assert 8 <= tuesday.day <= 14
    assert months_between(previous_month(month), next_month(month)) == (
        previous_month(month),
        month,
        next_month(month),
    )
    assert months_between(next_month(month), month) == ()


def test_microsoft_keeps_to_the_second_tuesday() -> None:
    for row in CALENDAR.releases:
        if row.kind != "out_of_band":
            assert row.date == second_tuesday(row.month), row
