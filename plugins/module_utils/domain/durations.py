# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ISO 8601 durations (``PT2H``) and what a maximum duration must at least be."""

from __future__ import annotations

import re
from datetime import timedelta

from .errors import InputError

SHORTEST_USEFUL = timedelta(minutes=25)
"""Azure Update Manager needs 15 minutes left before it scans, downloads or installs anything and always reserves
10 minutes for a restart (Microsoft Learn, "Troubleshoot issues with Azure Update Manager", 2024-09): with less than
25 minutes a run ends with maintenanceWindowExceeded and nothing installed."""

_PART = r"(?:(\d+(?:\.\d+)?){unit})?"
_DURATION = re.compile(
    "P" + _PART.format(unit="D") + "(?:T" + "".join(_PART.format(unit=unit) for unit in "HMS") + ")?", re.IGNORECASE
)


def parse_duration(text: str) -> timedelta:
    """Return the length of ``P1DT2H30M5S``; any part may be missing, but not all.

    ValueError for anything else; years, months and weeks have no fixed or no accepted length here.
    """
    found = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None or not any(found.groups()) or text.strip().upper().endswith("T"):
        raise ValueError(f"{text!r} is not an ISO 8601 duration such as PT2H or PT90M.")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    try:
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than any duration can be.") from error


def format_duration(length: timedelta) -> str:
    """Return the length as ISO 8601 in days, hours, minutes and whole seconds (``PT2H``, ``P1DT30M``, ``PT0S``).

    ValueError for a negative length.
    """
    if length < timedelta():
        raise ValueError("A negative length has no ISO 8601 duration.")
    hours, rest = divmod(length.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    day = f"{length.days}D" if length.days else ""
    clock = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if number)
    if not day and not clock:
        return "PT0S"
    return f"P{day}" + (f"T{clock}" if clock else "")


def check_maximum_duration(option: str, text: str) -> timedelta:
    """Return the duration of a patch installation; InputError when it is malformed or too short to install anything.

    No upper limit is checked: Microsoft documents one for schedules (3 h 55 min) but none for an on-demand call.
    """
    allowed = "an ISO 8601 duration of at least 25 minutes such as PT2H or PT90M"
    try:
        length = parse_duration(text)
    except ValueError:
        raise InputError(option, text, allowed) from None
    if length < SHORTEST_USEFUL:
        raise InputError(
            option,
            text,
            allowed,
            "Azure reserves 10 minutes for a restart and starts nothing with less than 15 minutes left, "
            "so a shorter run can never install",
        )
    return length
