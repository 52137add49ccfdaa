# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read and write the time stamps that Azure and Windows send.

Recorded Azure traffic of 2020 to 2024 carries ``Z`` or an offset (``+00:00``, ``-05:00``) and 0 to 7 fraction digits;
WMI datetimes in recorded WS-Management traffic carry 0 to 9. ``datetime.fromisoformat`` of Python 3.10 reads neither
``Z`` nor other than 3 or 6 digits.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

UTC = timezone.utc

_STAMP = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(?:(Z)|([+-])(\d{2}):?(\d{2}))", re.IGNORECASE
)


def parse_timestamp(text: str) -> datetime:
    """Return the aware UTC datetime; digits past the microsecond are cut off.

    ValueError when the text is no time stamp, or has no offset: whose clock it means would be a guess.
    """
    found = _STAMP.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is not a time stamp such as 2026-05-13T01:00:00Z with an offset.")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    micro = int((found[7] or "").ljust(6, "0")[:6])
    offset = timedelta()
    if found[9]:
        offset = timedelta(hours=int(found[10]), minutes=int(found[11])) * (-1 if found[9] == "-" else 1)
    try:
        return datetime(year, month, day, hour, minute, second, micro, timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a time stamp: {error}.") from error


def to_iso(moment: datetime) -> str:
    """Return the moment in UTC as ``2026-05-13T01:00:00Z``, with microseconds only when there are any.

    ValueError for a naive datetime.
    """
    if moment.tzinfo is None:
        raise ValueError("A moment without a time zone cannot be written as a time stamp.")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def to_the_second(moment: datetime) -> str:
    """Return the moment as :func:`to_iso` does, for people: without a part of a second."""
    return to_iso(moment.replace(microsecond=0))
