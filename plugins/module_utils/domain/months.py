# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calendar months, written ``2026-05``: what they are called, what lies beside them, and their second Tuesday.

Microsoft calls the monthly security release its B release, the one of the second Tuesday (Microsoft Learn, Windows
Server release information, writes ``2026.05 B``). That says on which day the next release can be out, never what it is.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from .errors import InputError

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = re.compile(r"(20\d\d)-(?:(0[1-9]|1[0-2])|([A-Za-z]{3}))")
ALLOWED = "a month such as 2026-05 or 2026-May"


def normal_month(raw: object) -> str | None:
    """Return ``2026-05`` of ``2026-05`` or MSRC's ``2026-May`` (any case); None for anything else."""
    found = _MONTH.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if found is None:
        return None
    if found[2]:
        return f"{found[1]}-{found[2]}"
    name = found[3].capitalize()
    return f"{found[1]}-{_NAMES.index(name) + 1:02}" if name in _NAMES else None


def parse_month(option: str, raw: object) -> str:
    """Return ``2026-05`` of what a user wrote; InputError else."""
    month = normal_month(raw)
    if month is None:
        raise InputError(option, raw, ALLOWED)
    return month


def msrc_name(month: str) -> str:
    """Return the month as MSRC names its document: ``2026-May``."""
    return f"{month[:4]}-{_NAMES[int(month[5:]) - 1]}"


def month_of(day: date) -> str:
    """Return the month that a day lies in."""
    return f"{day.year:04}-{day.month:02}"


def next_month(month: str) -> str:
    """Return the month after."""
    return month_of(_first(month) + timedelta(days=31))


def previous_month(month: str) -> str:
    """Return the month before."""
    return month_of(_first(month) - timedelta(days=1))


def months_between(first: str, last: str) -> tuple[str, ...]:
    """Return the months from *first* to *last*, both included; none when *first* lies after *last*."""
    found = []
    while first <= last:
        found.append(first)
        first = next_month(first)
    return tuple(found)


def second_tuesday(month: str) -> date:
    """Return the day of the month's B release."""
    first = _first(month)
    return first + timedelta(days=(1 - first.weekday()) % 7 + 7)


def _first(month: str) -> date:
    return date(int(month[:4]), int(month[5:]), 1)
