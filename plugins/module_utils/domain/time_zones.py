# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the time zone that a Windows or IANA name means.

Azure's ``osProfile.windowsConfiguration.timeZone`` and the guests themselves use Windows names ("W. Europe Standard
Time"), people and inventories often IANA's ("Europe/Berlin"). The rules come from the controller's own database or,
where it has none, from the Python package tzdata, which zoneinfo finds by itself.
"""

from __future__ import annotations

import functools
from datetime import timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from .errors import InputError
from .time_zone_data import WINDOWS_TO_IANA

OPTION = "hotpatch_time_zone"
_BY_LOWER = {name.lower(): zone for name, zone in WINDOWS_TO_IANA.items()}
_UTC_NAMES = frozenset({"utc", "etc/utc", "z", "coordinated universal time"})
_UNCHANGING = "_dstoff"
"""Windows marks so a zone whose "adjust for daylight saving time" was switched off."""


def find_zone(name: str, option: str = OPTION) -> tzinfo:
    """Return the zone of a Windows or IANA name, case aside; InputError for one that nobody knows.

    The same error says that the controller has no time zone database, where that is the cause. A Windows name with
    ``_dstoff`` is refused: its clock never changes, and no IANA zone is like it.
    """
    return _find(name.strip(), option)


@functools.lru_cache(maxsize=512)
def _find(name: str, option: str) -> tzinfo:
    lower = name.lower()
    if lower in _UTC_NAMES:
        return timezone.utc
    allowed = "a Windows time zone such as W. Europe Standard Time or an IANA one such as Europe/Berlin"
    if lower.endswith(_UNCHANGING):
        raise InputError(option, name, allowed, "this one never changes its clock; name an IANA zone that does not")
    iana = _BY_LOWER.get(lower)
    try:
        return ZoneInfo(iana or _spelled(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    step = "" if _database_there() else "this controller has no time zone database: install the Python package tzdata"
    raise InputError(option, name, allowed, step)


def _spelled(name: str) -> str:
    """IANA's spelling of a zone that some Windows zone stands for, whatever its case; others as given."""
    for zone in WINDOWS_TO_IANA.values():
        if zone.lower() == name.lower():
            return zone
    return name


def _database_there() -> bool:
    try:
        ZoneInfo("Europe/Berlin")
    except (ZoneInfoNotFoundError, OSError):
        return False
    return True
