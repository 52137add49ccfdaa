# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of maintenance windows: tables around midnight and the clock's changes, and every minute of random windows."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.windows import (
    Blackout,
    Window,
    WindowRules,
    meet,
    moment_of,
    needs_machine_zone,
    parse_blackout_dates,
    parse_window,
    window_of,
)

UTC = timezone.utc
BERLIN, NEW_YORK, LORD_HOWE = (ZoneInfo(name) for name in ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe"))


NIGHTS = {"start": "22:00", "end": "04:00"}


def at(text: str, zone: Any = UTC) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


def window(raw: Any, zone: Any = UTC, blackouts: Any = None) -> Window:
    found = window_of(parse_window(raw), parse_blackout_dates(blackouts), zone)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("raw", "now", "closes"),
    [
        ("09:00-17:00", "2026-05-13T08:59", None),
        ("09:00-17:00", "2026-05-13T09:00", "2026-05-13T17:00"),
        ("09:00-17:00", "2026-05-13T16:59", "2026-05-13T17:00"),
        ("09:00-17:00", "2026-05-13T17:00", None),
        # Over midnight: the morning belongs to the evening before.
        ("22:00-04:00", "2026-05-13T21:59", None),
        ("22:00-04:00", "2026-05-13T23:00", "2026-05-14T04:00"),
        ("22:00-04:00", "2026-05-14T03:59", "2026-05-14T04:00"),
        ("22:00-04:00", "2026-05-14T04:00", None),
        ({"start": "22:00", "end": "04:00", "days": "wed"}, "2026-05-13T23:00", "2026-05-14T04:00"),
        ({"start": "22:00", "end": "04:00", "days": "wed"}, "2026-05-14T03:00", "2026-05-14T04:00"),
        ({"start": "22:00", "end": "04:00", "days": "wed"}, "2026-05-14T23:00", None),
        ({"start": "22:00", "end": "04:00", "days": "wed"}, "2026-05-13T03:00", None),
        # Midnight itself, and windows that touch.
        ("22:00-24:00", "2026-05-13T23:59", "2026-05-14T00:00"),
        ("00:00-06:00", "2026-05-13T00:00", "2026-05-13T06:00"),
        ("off_peak", "2026-05-13T22:00", "2026-05-14T04:00"),
    ],
)
def test_when_it_closes(raw: Any, now: str, closes: str | None) -> None:
    found = window(raw)
    assert found.closes_at(at(now)) == (at(closes) if closes else None)
    assert found.is_open(at(now)) is (closes is not None)


@pytest.mark.parametrize(
    ("zone", "raw", "opens", "closes"),
    [
        # 2026-03-29, Berlin: 02:00 to 03:00 does not exist.
        (BERLIN, "02:30-06:00", "2026-03-29T01:00", "2026-03-29T04:00"),
        (BERLIN, "01:00-02:30", "2026-03-29T00:00", "2026-03-29T01:00"),
        (BERLIN, "02:10-02:50", None, None),
        (BERLIN, "22:00-04:00", "2026-03-28T21:00", "2026-03-29T02:00"),
        # 2026-10-25, Berlin: 02:00 to 03:00 comes twice; a window is never longer for it.
        (BERLIN, "02:30-06:00", "2026-10-25T01:30", "2026-10-25T05:00"),
        (BERLIN, "01:00-02:30", "2026-10-24T23:00", "2026-10-25T00:30"),
        (BERLIN, "02:10-02:50", "2026-10-25T00:10", "2026-10-25T00:50"),
        (NEW_YORK, "01:30-05:00", "2026-11-01T06:30", "2026-11-01T10:00"),
        # Half an hour only: 2026-04-05, Lord Howe: 01:30 to 02:00 comes twice.
        (LORD_HOWE, "01:45-03:00", "2026-04-04T15:15", "2026-04-04T16:30"),
    ],
)
def test_the_clock_changes(zone: ZoneInfo, raw: str, opens: str | None, closes: str | None) -> None:
    found = window(raw, zone)
    if opens is None:
        assert not any(found.is_open(at("2026-03-29T00:00") + timedelta(minutes=m)) for m in range(180))
        return
    just_before = at(opens) - timedelta(seconds=1)
    assert not found.is_open(just_before)
    assert found.next_opening(just_before) == at(opens)
    assert found.closes_at(at(opens)) == at(str(closes))


def test_blackout_dates() -> None:
    found = window("22:00-04:00", blackouts=["2026-12-24..2026-12-26"])
    # Opens on the 23rd and is cut off at midnight; nothing opens until the 27th, also not after midnight of the 26th.
    assert found.closes_at(at("2026-12-23T22:00")) == at("2026-12-24T00:00")
    assert found.next_opening(at("2026-12-24T00:00")) == at("2026-12-27T22:00")
    always = window("always", blackouts="2026-12-24")
    assert always.closes_at(at("2026-12-20T12:00")) == at("2026-12-24T00:00")
    assert always.next_opening(at("2026-12-24T00:00")) == at("2026-12-25T00:00")


def test_what_cannot_finish_is_not_started() -> None:
    found = window("22:00-04:00")
    assert found.fits(at("2026-05-13T22:00"), timedelta(hours=6))
    assert not found.fits(at("2026-05-13T22:00"), timedelta(hours=6, seconds=1))
    assert not found.fits(at("2026-05-13T21:59"), timedelta(minutes=1))
    assert found.next_fit(at("2026-05-13T03:00"), timedelta(hours=2)) == at("2026-05-13T22:00")
    assert found.next_fit(at("2026-05-13T23:00"), timedelta(hours=2)) == at("2026-05-13T23:00")
    assert found.next_fit(at("2026-05-13T03:00"), timedelta(hours=7)) is None


def test_a_window_that_never_opens() -> None:
    found = window("22:00-04:00", blackouts=["2026-01-01..2030-01-01"])
    assert found.next_opening(at("2026-05-13T00:00")) is None
    assert found.next_fit(at("2026-05-13T00:00"), timedelta(minutes=1)) is None


def test_windows_that_touch_are_one() -> None:
    """All Monday and all Tuesday: what starts on Monday evening need not be done by midnight."""
    found = Window(WindowRules(time(0), time(0), frozenset({0, 1}), always=False), UTC)
    assert found.closes_at(at("2026-05-11T23:00")) == at("2026-05-13T00:00")


@pytest.mark.parametrize(
    ("one", "other", "hours", "together"),
    [
        (("22:00-04:00", BERLIN), ("22:00-04:00", ZoneInfo("Europe/London")), 2, True),
        (("22:00-04:00", BERLIN), ("22:00-04:00", ZoneInfo("Europe/London")), 5, True),
        (("22:00-04:00", BERLIN), ("22:00-04:00", ZoneInfo("Europe/London")), 5.5, False),
        (("22:00-04:00", BERLIN), ("22:00-04:00", NEW_YORK), 1, False),
        ((NIGHTS | {"days": "sat"}, UTC), ("22:00-04:00", UTC), 2, True),
        ((NIGHTS | {"days": "sat"}, UTC), (NIGHTS | {"days": "sun"}, UTC), 2, False),
    ],
)
def test_meeting(one: Any, other: Any, hours: float, together: bool) -> None:
    first, second = window(*one), window(*other)
    assert meet(first, second, at("2026-05-13T00:00"), timedelta(hours=hours)) is together
    assert meet(second, first, at("2026-05-13T00:00"), timedelta(hours=hours)) is together


def test_whose_clock_counts() -> None:
    rules = parse_window({"start": "22:00", "end": "04:00", "time_zone": "W. Europe Standard Time"})
    found = window_of(rules, (), None)
    assert found is not None and found.is_open(at("2026-05-13T20:00"))
    assert not needs_machine_zone(rules, ())
    own = parse_window("22:00-04:00")
    assert needs_machine_zone(own, ())
    with pytest.raises(ValueError, match="not known"):
        window_of(own, (), None)
    assert window_of(None, (), None) is None
    assert window_of(parse_window("always"), (), None) is None
    assert needs_machine_zone(None, parse_blackout_dates("2026-12-24"))


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ({"start": "22:00", "end": "04:00"}, "22:00-04:00, each machine's time"),
        # YAML 1.1 makes 1320 of an unquoted 22:00.
        ({"start": 1320, "end": "4:00", "time_zone": "Machine"}, "22:00-04:00, each machine's time"),
        ({"start": "1:00", "end": "05:30:00", "days": ["Sat", "sunday"]}, "01:00-05:30 sat,sun, each machine's time"),
        ("off_peak", "22:00-04:00, each machine's time"),
        ("1:00 - 2:00", "01:00-02:00, each machine's time"),
        ({"always": True}, "always"),
        ({"start": "22:00", "end": "24:00", "time_zone": "Asia/Tokyo"}, "22:00-00:00, Asia/Tokyo"),
    ],
)
def test_windows_are_read(raw: Any, shown: str) -> None:
    found = parse_window(raw)
    assert str(found) == shown
    assert found is not None and parse_window(found.to_dict()) == found


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("night", "hotpatch_window has the value 'night'"),
        ({"start": "22:00"}, "hotpatch_window.end"),
        ({"start": "25:00", "end": "04:00"}, "hotpatch_window.start"),
        ({"start": "22:60", "end": "04:00"}, "hotpatch_window.start"),
        ({"start": 79200, "end": "04:00"}, "in quotes"),
        ({"start": "22:00", "end": "22:00"}, "another time than start"),
        ({"start": "22:00", "end": "04:00", "day": "sat"}, "'day'"),
        ({"start": "22:00", "end": "04:00", "days": "someday"}, "weekday"),
        ({"start": "22:00", "end": "04:00", "days": [1]}, "weekday"),
        ({"start": "22:00", "end": "04:00", "time_zone": "Middle Earth"}, "hotpatch_window.time_zone"),
        (7, "hotpatch_window"),
        (True, "hotpatch_window"),
        ({"start": True, "end": "04:00"}, "hotpatch_window.start"),
    ],
)
def test_windows_that_are_none(raw: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_window(raw)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        (None, []),
        ("2026-12-24", ["2026-12-24"]),
        ([date(2026, 12, 24)], ["2026-12-24"]),
        (["2026-12-24..2027-01-01"], ["2026-12-24..2027-01-01"]),
        ([{"start": "2026-05-01", "end": "2026-05-01"}], ["2026-05-01"]),
    ],
)
def test_blackout_dates_are_read(raw: Any, shown: list[str]) -> None:
    assert [str(item) for item in parse_blackout_dates(raw)] == shown


@pytest.mark.parametrize("raw", ["christmas", ["2026-13-01"], "2026-12-24..2026-12-01", {"start": "2026-12-24"}, 5])
def test_blackout_dates_that_are_none(raw: Any) -> None:
    with pytest.raises(InputError, match="hotpatch_blackout_dates"):
        parse_blackout_dates(raw)


# -- every minute of random windows --------------------------------------------------------------------------------

ZONES = [BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("Asia/Kolkata"), ZoneInfo("America/St_Johns"), UTC]
# Around the changes of 2026 in these zones, and one week without any.
STARTS = ["2026-03-07", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31", "2026-06-10"]


@st.composite
def windows(draw: st.DrawFn) -> Window:
    start, end = (time(draw(st.integers(0, 23)), draw(st.sampled_from([0, 15, 30, 59]))) for dummy in "se")
    days = draw(st.frozensets(st.integers(0, 6), min_size=1))
    black = draw(st.lists(st.sampled_from(STARTS), max_size=2))
    blackouts = tuple(Blackout(date.fromisoformat(day), date.fromisoformat(day)) for day in black)
    return Window(WindowRules(start, end, days), draw(st.sampled_from(ZONES)), blackouts)


def wall_clock_allows(found: Window, now: datetime) -> bool:
    """Whether the clock on the wall, without any thought of changes, shows a time in the window."""
    local = now.astimezone(found.zone)
    rules = found.rules
    shown = local.time().replace(tzinfo=None)
    over_midnight = rules.end <= rules.start
    opened = local.date()
    if over_midnight and shown < rules.end:
        opened -= timedelta(days=1)
        inside = True
    else:
        inside = shown >= rules.start if over_midnight else rules.start <= shown < rules.end
    off = any(day in item for item in found.blackouts for day in (opened, local.date()))
    return inside and opened.weekday() in rules.days and not off


@settings(max_examples=150, deadline=None)
@given(windows(), st.sampled_from(STARTS))
def test_it_is_never_open_when_the_wall_clock_says_no(found: Window, start: str) -> None:
    begin = at(f"{start}T00:00") - timedelta(hours=12)
    for step in range(0, 48 * 60, 7):
        now = begin + timedelta(minutes=step)
        allowed = wall_clock_allows(found, now)
        changes = len({(now + timedelta(hours=hours)).astimezone(found.zone).utcoffset() for hours in range(-2, 3)}) > 1
        if found.is_open(now):
            assert allowed, now
            closes = found.closes_at(now)
            assert closes is not None and closes > now
        elif allowed:
            # Only around a change of the clock may it be shut where the wall clock would allow it.
            assert changes, now


@settings(max_examples=100, deadline=None)
@given(windows(), st.sampled_from(STARTS), st.integers(0, 2880), st.integers(1, 300))
def test_the_questions_agree(found: Window, start: str, minute: int, minutes: int) -> None:
    now, length = at(f"{start}T00:00") + timedelta(minutes=minute), timedelta(minutes=minutes)
    opening = found.next_opening(now)
    if opening is not None:
        assert opening >= now and found.is_open(opening)
        assert (opening == now) == found.is_open(now)
    fit = found.next_fit(now, length)
    if fit is not None:
        assert found.fits(fit, length) and fit >= now
        assert found.is_open(fit + length - timedelta(seconds=1))
    assert found.fits(now, length) == (fit == now)


@given(st.sampled_from(ZONES), st.integers(0, 365 * 24 * 60), st.booleans())
def test_a_local_time_becomes_a_moment(zone: Any, minute: int, last: bool) -> None:
    local = (at("2026-01-01T00:00") + timedelta(minutes=minute)).replace(tzinfo=None)
    moment = moment_of(local, zone, last)
    shown = moment.astimezone(zone).replace(tzinfo=None)
    # Either the clock shows it, or it jumped over it at that very moment.
    assert shown == local or (
        shown > local and (moment - timedelta(seconds=2)).astimezone(zone).replace(tzinfo=None) < local
    )
