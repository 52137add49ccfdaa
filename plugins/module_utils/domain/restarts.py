# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which restarts hotpatching spared a machine, counted only where it is proven."""

from __future__ import annotations

from datetime import datetime, timezone

from .releases import CALENDAR, Calendar, Release


def spares_restart(release: Release, calendar: Calendar = CALENDAR) -> bool | None:
    """Return whether installing the release spares the restart that a cumulative update would have taken.

    None when it is not known: a KB that only the user named is in no calendar, so nothing is known of its kind.
    """
    row = calendar.find(release.product, release.kb)
    if row is None:
        return None
    return not row.restarts


def spared_since_boot(
    release: Release, revision: int, boot_time: datetime, calendar: Calendar = CALENDAR
) -> tuple[str, ...]:
    """Return the KBs of the hotpatches that a guest runs although its last boot lies before the day they came out.

    Each of them spared a restart, whoever installed it: the guest's revision is at or past theirs, and a cumulative
    update would have brought it there only with a restart. Out-of-band hotpatches without a known revision, and a boot
    on the very day, are not counted.

    :param release: tells the product.
    :param revision: the guest's update build revision.
    :param boot_time: corrected by the measured clock skew.
    """
    return tuple(
        row.kb
        for row in calendar.of(release.product)
        if row.ubr is not None
        and not row.restarts
        and row.ubr <= revision
        and boot_time.astimezone(timezone.utc).date() < row.date
    )
