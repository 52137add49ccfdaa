# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a machine may be started: maintenance windows in a machine's own time zone, and dates on which nothing starts.

A window is what the wall clock says. Where daylight saving time makes a clock jump or repeat an hour, a window is never
longer for it: one that begins or ends in a hour that does not exist begins or ends at the jump, one that begins in an
hour that comes twice begins with the second of them, one that ends there ends with the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any

from .errors import InputError
from .time_zones import find_zone

MACHINE = "machine"
"""In place of a zone's name: the time zone of each machine."""

OFF_PEAK = "off_peak"
ALWAYS = "always"
_OFF_PEAK_START, _OFF_PEAK_END = time(22), time(4)
"""Azure's off-peak hours: 10 PM to 4 AM (blog of Microsoft Japan's Azure support; Microsoft's documentation of
automatic guest patching says "off-peak hours in the time zone of the VM" without naming them)."""

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EVERY_DAY = frozenset(range(7))
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::00)?")
_HORIZON_DAYS = 400
"""How far an opening is looked for: beyond a year of blackout dates nothing opens that anybody waits for."""
_MERGED_DAYS = 35
"""How far windows that touch are joined; no installation takes that long."""

UTC = timezone.utc


@dataclass(frozen=True)
class Blackout:
    """Local dates, both included, on which no machine is started."""

    first: date
    last: date

    def __contains__(self, day: object) -> bool:
        """Whether nothing starts on that local date."""
        return isinstance(day, date) and self.first <= day <= self.last

    def __str__(self) -> str:
        """As the user would write it."""
        first = self.first.isoformat()
        return first if self.first == self.last else f"{first}..{self.last.isoformat()}"


@dataclass(frozen=True)
class WindowRules:
    """A window as the user gave it, before it is known whose clock it means.

    :param start: local time at which it opens.
    :param end: local time at which it closes, not included; at or before the start it is the next day's.
    :param days: weekdays on which it opens, Monday is 0.
    :param time_zone: ``machine``, or a Windows or IANA name.
    :param always: whether it never closes; a host's own window may say so in place of its ring's.
    """

    start: time = time(0)
    end: time = time(0)
    days: frozenset[int] = _EVERY_DAY
    time_zone: str = MACHINE
    always: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as a user would write it."""
        if self.always:
            return {"always": True}
        return {
            "start": self.start.strftime("%H:%M"),
            "end": self.end.strftime("%H:%M"),
            "days": [_DAYS[day] for day in sorted(self.days)],
            "time_zone": self.time_zone,
        }

    def __str__(self) -> str:
        """One line for people."""
        if self.always:
            return ALWAYS
        days = "" if self.days == _EVERY_DAY else " " + ",".join(_DAYS[day][:3] for day in sorted(self.days))
        zone = "each machine's time" if self.time_zone == MACHINE else self.time_zone
        return f"{self.start:%H:%M}-{self.end:%H:%M}{days}, {zone}"


@dataclass(frozen=True)
class Window:
    """The window of one machine, whose clock is known."""

    rules: WindowRules
    zone: tzinfo
    blackouts: tuple[Blackout, ...] = ()

    def is_open(self, now: datetime) -> bool:
        """Whether a machine may be started at that moment."""
        return self.closes_at(now) is not None

    def closes_at(self, now: datetime) -> datetime | None:
        """When the window that is open now closes (UTC); None while none is open.

        Windows that touch are one. What stays open for more than a month closes after a month, as far as anybody asks.
        """
        closing: datetime | None = None
        for opens, closes in self._intervals(now, _MERGED_DAYS):
            if closing is None and opens <= now < closes:
                closing = closes
            elif closing is not None and opens <= closing:
                closing = max(closing, closes)
            elif opens > now:
                break
        return closing

    def next_opening(self, now: datetime) -> datetime | None:
        """The first moment from now on at which it is open (UTC), now itself included; None within 400 days."""
        for opens, closes in self._intervals(now, _HORIZON_DAYS):
            if closes > now:
                return max(opens, now.astimezone(UTC))
        return None

    def next_fit(self, now: datetime, duration: timedelta) -> datetime | None:
        """The first moment from now on at which a machine that takes *duration* could be started; None: never."""
        moment = self.next_opening(now)
        while moment is not None:
            if self.fits(moment, duration):
                return moment
            closes = self.closes_at(moment)
            if closes is None or closes - now > timedelta(days=_HORIZON_DAYS):
                return None
            moment = self.next_opening(closes)
        return None

    def fits(self, now: datetime, duration: timedelta) -> bool:
        """Whether what is started now and takes *duration* ends before the window closes."""
        closes = self.closes_at(now)
        return closes is not None and now + duration <= closes

    def starts(self, now: datetime, duration: timedelta, days: int) -> list[tuple[datetime, datetime]]:
        """The spans, both ends included, in which what takes *duration* could be started in the next days."""
        spans: list[tuple[datetime, datetime]] = []
        for opens, closes in self._intervals(now, days):
            if spans and opens <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], closes))
            else:
                spans.append((opens, closes))
        return [(opens, closes - duration) for opens, closes in spans if opens + duration <= closes]

    def _intervals(self, now: datetime, days: int) -> Iterator[tuple[datetime, datetime]]:
        """Yield what is open, in order, from the day before *now* on; moments in UTC."""
        today = now.astimezone(self.zone).date()
        for number in range(-1, days):
            day = today + timedelta(days=number)
            found = self._interval(day)
            if found is not None and found[0] < found[1]:
                yield found

    def _interval(self, day: date) -> tuple[datetime, datetime] | None:
        """What is open of the window that opens on that local date."""
        rules = self.rules
        if day.weekday() not in rules.days or any(day in item for item in self.blackouts):
            return None
        start = time(0) if rules.always else rules.start
        whole_day = rules.always or rules.end <= rules.start
        end_day = day + timedelta(days=1) if whole_day else day
        end = time(0) if rules.always else rules.end
        if end_day != day and any(end_day in item for item in self.blackouts):
            end = time(0)
        opens = moment_of(datetime.combine(day, start), self.zone, last=start != time(0))
        closes = moment_of(datetime.combine(end_day, end), self.zone, last=False)
        if closes <= opens:
            # Both lie in the hour that comes twice.
            opens = moment_of(datetime.combine(day, start), self.zone, last=False)
        return opens, closes


def moment_of(local: datetime, zone: tzinfo, last: bool) -> datetime:
    """Return the moment (UTC) at which the clocks of a zone show a local time without zone.

    Where they show it twice, the *last* or the first; where never, the moment at which they jump over it.
    """
    first_moment, second_moment = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first_moment.astimezone(zone).replace(tzinfo=None) == local:
        return second_moment if last else first_moment
    # Skipped: fold 0 reckons with the offset before the jump and so lands behind it, fold 1 the other way round.
    before, behind = second_moment, first_moment
    offset = before.astimezone(zone).utcoffset()
    while behind - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=int((behind - before).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            behind = middle
    return behind


def window_of(rules: WindowRules | None, blackouts: tuple[Blackout, ...], zone: tzinfo | None) -> Window | None:
    """Return a machine's window, or None where it may be started at any time.

    :param zone: the machine's own time zone; ValueError when it is needed and None.
    """
    if rules is None and not blackouts:
        return None
    found = rules or WindowRules(always=True)
    if found.always and not blackouts:
        return None
    if found.time_zone != MACHINE:
        return Window(found, find_zone(found.time_zone), blackouts)
    if zone is None:
        raise ValueError("The window is in the machine's own time zone, which is not known.")
    return Window(found, zone, blackouts)


def needs_machine_zone(rules: WindowRules | None, blackouts: tuple[Blackout, ...]) -> bool:
    """Whether the window cannot be told without the machine's own time zone."""
    if rules is None or rules.always:
        return bool(blackouts)
    return rules.time_zone == MACHINE


def parse_window(raw: object, option: str = "hotpatch_window") -> WindowRules | None:
    """Return the window of ``{start: "22:00", end: "04:00"}``, ``22:00-04:00``, ``off_peak`` or ``always``.

    None for nothing; InputError, naming the key, for anything else.
    """
    if raw is None or raw == "" or raw == {}:
        return None
    allowed = "a mapping with start and end (and days, time_zone), text such as 22:00-04:00, off_peak, or always"
    if isinstance(raw, str):
        word = raw.strip().lower()
        if word == OFF_PEAK:
            return WindowRules(_OFF_PEAK_START, _OFF_PEAK_END)
        if word == ALWAYS:
            return WindowRules(always=True)
        start, dash, end = word.partition("-")
        if not dash:
            raise InputError(option, raw, allowed)
        return parse_window({"start": start.strip(), "end": end.strip()}, option)
    if not isinstance(raw, Mapping):
        raise InputError(option, raw, allowed)
    if raw.get("always") is True:
        return WindowRules(always=True)
    unknown = [str(key) for key in raw if key not in ("start", "end", "days", "time_zone")]
    if unknown:
        raise InputError(option, unknown[0], "one of the keys start, end, days, time_zone")
    start_time, end_time = (_clock(raw.get(key), f"{option}.{key}") for key in ("start", "end"))
    if start_time == end_time:
        step = "for a window that is always open write always"
        raise InputError(f"{option}.end", raw.get("end"), "another time than start", step)
    zone = str(raw.get("time_zone") or MACHINE).strip()
    if zone.lower() == MACHINE:
        zone = MACHINE
    else:
        find_zone(zone, f"{option}.time_zone")
    return WindowRules(start_time, end_time, _days(raw.get("days"), f"{option}.days"), zone)


def _clock(raw: object, option: str) -> time:
    """The time of ``22:00``; 24:00 is midnight. YAML reads an unquoted 22:00 as the number of its minutes."""
    allowed = 'a time such as "22:00", in quotes'
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= 1440:
        raw = f"{raw // 60}:{raw % 60:02}"
    found = _CLOCK.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if found is None:
        raise InputError(option, raw, allowed)
    hour, minute = int(found[1]), int(found[2])
    if (hour, minute) == (24, 0):
        return time(0)
    if hour > 23 or minute > 59:
        raise InputError(option, raw, allowed)
    return time(hour, minute)


def _days(raw: object, option: str) -> frozenset[int]:
    if raw is None or raw == []:
        return _EVERY_DAY
    items = raw if isinstance(raw, (list, tuple)) else [raw]
    found = set()
    for item in items:
        word = item.strip().lower() if isinstance(item, str) else ""
        matching = [number for number, name in enumerate(_DAYS) if word in (name, name[:3])]
        if not matching:
            raise InputError(option, item, "a weekday such as saturday or sat, or a list of them")
        found.update(matching)
    return frozenset(found)


def parse_blackout_dates(raw: object, option: str = "hotpatch_blackout_dates") -> tuple[Blackout, ...]:
    """Return the dates of ``["2026-12-24", "2026-12-31..2027-01-02"]``; InputError for anything else."""
    if raw is None or raw == "":
        return ()
    items = raw if isinstance(raw, (list, tuple)) else [raw]
    return tuple(_blackout(item, option) for item in items)


def _blackout(raw: object, option: str) -> Blackout:
    allowed = "a date such as 2026-12-24, a span such as 2026-12-24..2027-01-01, or a list of these"
    if isinstance(raw, Mapping) and set(raw) == {"start", "end"}:
        raw = f"{raw['start']}..{raw['end']}"
    first, dummy, last = str(raw).strip().partition("..")
    try:
        found = Blackout(date.fromisoformat(first.strip()), date.fromisoformat((last or first).strip()))
    except ValueError:
        raise InputError(option, raw, allowed) from None
    if found.last < found.first:
        raise InputError(option, raw, allowed, "its end lies before its start")
    return found


def meet(one: Window, other: Window, now: datetime, duration: timedelta, days: int = 15) -> bool:
    """Whether there is a moment in the next days at which what takes *duration* could be started in both windows."""
    first, second = one.starts(now, duration, days), other.starts(now, duration, days)
    return any(a[0] <= b[1] and b[0] <= a[1] for a in first for b in second)
