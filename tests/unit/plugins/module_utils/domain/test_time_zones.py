# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of time zones: Windows and IANA names, and a controller without a database."""

from __future__ import annotations

import sys
import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain import time_zones
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.time_zone_data import WINDOWS_TO_IANA
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.time_zones import find_zone


@pytest.mark.parametrize(
    ("name", "winter", "summer"),
    [
        ("W. Europe Standard Time", 1, 2),
        ("w. europe standard time ", 1, 2),
        ("Europe/Berlin", 1, 2),
        ("europe/berlin", 1, 2),
        ("Pacific Standard Time", -8, -7),
        ("India Standard Time", 5.5, 5.5),
        ("UTC", 0, 0),
        ("Etc/UTC", 0, 0),
        ("Coordinated Universal Time", 0, 0),
        ("Tokyo Standard Time", 9, 9),
        ("America/Argentina/Ushuaia", -3, -3),
    ],
)
def test_names(name: str, winter: float, summer: float) -> None:
    zone = find_zone(name)
    offsets = [datetime(2026, month, 15, tzinfo=zone).utcoffset() for month in (1, 7)]
    assert offsets == [timedelta(hours=winter), timedelta(hours=summer)]


def test_every_windows_name_is_known() -> None:
    assert len(WINDOWS_TO_IANA) > 130
    for name in WINDOWS_TO_IANA:
        assert find_zone(name) is not None


@pytest.mark.parametrize("name", ["Middle Earth", "", "../../etc/passwd", "/etc/passwd", "W. Europe", "Europe"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(InputError, match="hotpatch_time_zone has the value") as caught:
        find_zone(name)
    assert "tzdata" not in str(caught.value)


def test_a_clock_that_never_changes() -> None:
    with pytest.raises(InputError, match="never changes"):
        find_zone("W. Europe Standard Time_dstoff")


@pytest.fixture
def no_database(tmp_path: Path) -> Iterator[None]:
    zoneinfo.reset_tzpath([str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache()
    time_zones._find.cache_clear()
    yield
    zoneinfo.reset_tzpath()
    time_zones._find.cache_clear()


@pytest.mark.usefixtures("no_database")
def test_a_controller_without_a_database_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tzdata", "tzdata.zoneinfo", "tzdata.zoneinfo.Europe"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match="install the Python package tzdata"):
        find_zone("Europe/Berlin")
    assert find_zone("UTC").utcoffset(None) == timedelta()
