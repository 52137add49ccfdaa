# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of restarts: an avoided restart is counted only where release, revision and boot time all say so."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR, Release
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.restarts import spared_since_boot, spares_restart

UTC = timezone.utc


def release(kb: str, product: str = "ws2025") -> Release:
    found = CALENDAR.find(product, kb)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kb", "spares"),
    [
        ("KB5087423", True),  # the hotpatch of May 2026
        ("KB5082063", False),  # the baseline of April 2026
        ("KB5094125", False),  # an unplanned baseline
        ("KB5070893", True),  # out of band, keeps the track
        ("KB5070881", False),  # out of band, leaves it
    ],
)
def test_whether_a_release_spares_a_restart(kb: str, spares: bool) -> None:
    assert spares_restart(release(kb)) is spares


def test_of_a_kb_that_only_the_user_named_nothing_is_known() -> None:
    assert spares_restart(replace(release("KB5087423"), kb="KB9999999")) is None


@pytest.mark.parametrize(
    ("revision", "booted", "kbs"),
    [
        # Booted for January's baseline and never since: the hotpatches of February and March.
        (32463, datetime(2026, 1, 20, tzinfo=UTC), ("KB5075942", "KB5078736")),
        (32313, datetime(2026, 1, 20, tzinfo=UTC), ("KB5075942",)),
        # Booted in between, for whatever reason: only what came out after that.
        (32463, datetime(2026, 2, 20, tzinfo=UTC), ("KB5078736",)),
        # On the very day it came out: which was first is not known.
        (32463, datetime(2026, 3, 10, 3, 0, tzinfo=UTC), ()),
        (32463, datetime(2026, 3, 9, 23, 59, tzinfo=UTC), ("KB5078736",)),
        # The same moment told in another zone is another date there, and counts the same.
        (32463, datetime(2026, 3, 10, 1, 0, tzinfo=timezone(timedelta(hours=2))), ("KB5078736",)),
        (32230, datetime(2026, 1, 20, tzinfo=UTC), ()),
        (32772, datetime(2026, 4, 20, tzinfo=UTC), ("KB5087423",)),
    ],
)
def test_what_a_guest_was_spared_since_it_booted(revision: int, booted: datetime, kbs: tuple[str, ...]) -> None:
    assert spared_since_boot(release("KB5087423"), revision, booted) == kbs
