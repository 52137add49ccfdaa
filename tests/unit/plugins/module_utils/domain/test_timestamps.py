# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import parse_timestamp, to_iso


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-11-23T01:32:33.651686+00:00", utc(2024, 11, 23, 1, 32, 33, 651686)),
        ("2024-08-26T09:52:06.2668697+00:00", utc(2024, 8, 26, 9, 52, 6, 266869)),
        ("2024-08-26T09:52:07+00:00", utc(2024, 8, 26, 9, 52, 7)),
        ("2019-03-01T07:00:00-05:00", utc(2019, 3, 1, 12, 0, 0)),
        ("2020-04-24T21:02:04.2556154Z", utc(2020, 4, 24, 21, 2, 4, 255615)),
        ("2013-04-15T16:28:43.5Z", utc(2013, 4, 15, 16, 28, 43, 500000)),
        ("2013-04-15T16:28:43.84Z", utc(2013, 4, 15, 16, 28, 43, 840000)),
        ("2013-04-15T16:28:43.123456789Z", utc(2013, 4, 15, 16, 28, 43, 123456)),
        ("2026-05-13t01:00:00z", utc(2026, 5, 13, 1)),
        ("2026-05-13T01:00:00+0530", utc(2026, 5, 12, 19, 30)),
        (" 2026-05-13T01:00:00Z\n", utc(2026, 5, 13, 1)),
    ],
)
def test_reads_what_azure_and_windows_send(text: str, moment: datetime) -> None:
    found = parse_timestamp(text)
    assert found == moment
    assert found.utcoffset() == timedelta()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-05-13",
        "2026-05-13T01:00:00",  # whose clock?
        "0001-01-01T00:00:00",  # what Maintenance sends for "never"
        "2026-05-13 01:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-05-13T25:00:00Z",
        "2026-05-13T01:00:00.1234567890Z",
        "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59-05:00",
        "2026-05-13T01:00:00+99:99",
        "20260513010000.000000+000",
    ],
)
def test_refuses_the_rest(text: str) -> None:
    with pytest.raises(ValueError, match="time stamp"):
        parse_timestamp(text)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (utc(2026, 5, 13, 1), "2026-05-13T01:00:00Z"),
        (utc(2026, 5, 13, 1, 0, 0, 5), "2026-05-13T01:00:00.000005Z"),
        (datetime(2026, 5, 13, 3, tzinfo=timezone(timedelta(hours=2))), "2026-05-13T01:00:00Z"),
    ],
)
def test_writes_utc(moment: datetime, text: str) -> None:
    assert to_iso(moment) == text
    assert parse_timestamp(text) == moment


def test_does_not_write_a_naive_moment() -> None:
    with pytest.raises(ValueError, match="time zone"):
        to_iso(utc(2026, 5, 13).replace(tzinfo=None))
