# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timezone
from itertools import pairwise
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.kb import parse_kb
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.products import PRODUCTS, Product
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import (
    CALENDAR,
    Calendar,
    baseline_of,
    current_release,
    published_by,
    release_from_dict,
)

from .builders import APRIL, MAY, known


def on(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("product", "now", "kb"),
    [
        ("ws2025", "2026-05-13T01:00", "KB5087423"),
        ("ws2022", "2026-05-13T01:00", "KB5087424"),
        ("ws2025", "2026-05-12T17:00", "KB5087423"),  # the hour it is published in summer
        ("ws2025", "2026-05-12T16:59", "KB5082063"),
        ("ws2025", "2026-05-12T00:00", "KB5082063"),
        ("ws2025", "2026-06-09T20:00", "KB5094125"),  # the baseline that had been announced as a hotpatch
        ("ws2025", "2026-08-10T23:59", "KB5099536"),
        ("ws2022", "2026-06-08T23:59", "KB5087424"),
        ("ws2022", "2024-08-20T00:00", "KB5041160"),  # unplanned baseline
        ("ws2025", "2025-10-30T00:00", "KB5066835"),  # not the out-of-band ones of 10-23 and 10-24
        ("ws2022", "2026-01-30T00:00", "KB5073457"),
        ("ws2022", "2026-09-07T23:59", "KB5120229"),  # the next one is known: nothing else can be current before it
        ("ws2022", "2026-09-30T00:00", "KB5122882"),
        ("ws2022", "2026-10-12T23:59", "KB5122882"),
    ],
)
def test_current_release(product: Product, now: str, kb: str) -> None:
    assert current_release(CALENDAR, product, on(now)).value == known(product, kb)


@pytest.mark.parametrize(
    ("product", "now", "state", "why"),
    [
        ("ws2022", "2026-06-09T00:00", "unreadable", "ends before 2026-06-09"),
        ("ws2025", "2026-08-11T00:00", "unreadable", "ends before 2026-08-11"),
        ("ws2022", "2026-07-31T00:00", "unreadable", "name the KB"),  # rows of August and September exist all the same
        ("ws2022", "2026-10-13T00:00", "unreadable", "ends before 2026-10-13"),
        ("ws2025", "2026-08-20T00:00", "unreadable", "knows only the hotpatch of 2026-08"),
        ("ws2025", "2030-01-01T00:00", "unreadable", "ends before"),
        ("ws2025", "2024-11-01T00:00", "absent", "no ws2025 release before"),
        ("ws2019", "2026-05-13T00:00", "unreadable", "does not hold ws2019"),
    ],
)
def test_what_the_calendar_does_not_know(product: Any, now: str, state: str, why: str) -> None:
    found = current_release(CALENDAR, product, on(now))
    assert found.state == state
    assert why in found.why


@pytest.mark.parametrize(
    ("product", "kb", "baseline"),
    [
        ("ws2025", "KB5087423", "KB5082063"),
        ("ws2025", "KB5082063", "KB5082063"),
        ("ws2025", "KB5068966", "KB5066835"),
        ("ws2025", "KB5070893", "KB5066835"),  # out-of-band
        ("ws2022", "KB5042880", "KB5041160"),  # September 2024 builds on the unplanned August baseline
        ("ws2022", "KB5087424", "KB5082142"),
        ("ws2022", "KB5122882", "KB5122882"),
    ],
)
def test_baseline_of(product: str, kb: str, baseline: str) -> None:
    found = baseline_of(known(product, kb))
    assert found is not None
    assert found.kb == baseline


def test_the_first_hotpatches_of_a_product_have_no_known_baseline() -> None:
    assert baseline_of(known("ws2025", "KB5046696")) is None
    assert baseline_of(MAY, Calendar(())) is None
    assert baseline_of(APRIL, Calendar(())) == APRIL


def test_the_same_build_is_two_kbs_that_differ_in_track() -> None:
    leaves, keeps = known("ws2025", "KB5070881"), known("ws2025", "KB5070893")
    assert (leaves.ubr, leaves.keeps_track, leaves.restarts) == (6905, False, True)
    assert (keeps.ubr, keeps.keeps_track, keeps.restarts) == (6905, True, False)


@pytest.mark.parametrize(("release", "restarts"), [(MAY, False), (APRIL, True), (known("ws2025", "KB5094125"), True)])
def test_restarts(release: Any, restarts: bool) -> None:
    assert release.restarts is restarts


@pytest.mark.parametrize("product", PRODUCTS)
def test_rows_are_plausible(product: Product) -> None:
    rows = CALENDAR.of(product)
    monthly = [row for row in rows if row.kind != "out_of_band"]
    assert len(monthly) > 15
    assert [row.date for row in rows] == sorted(row.date for row in rows)
    assert {row.build for row in rows} == {{"ws2022": 20348, "ws2025": 26100}[product]}
    # Builds only rise, KBs are unique and well-formed, releases fall on a Tuesday, every row names its source.
    revisions = [row.ubr for row in monthly]
    assert all(low < high for low, high in pairwise(found for found in revisions if found is not None))
    assert max(Counter(row.kb for row in rows).values()) == 1
    assert all(parse_kb("kb", row.kb) == row.kb and row.source for row in rows)
    assert {row.date.weekday() for row in monthly} == {1}


def test_unplanned_baselines_are_marked() -> None:
    assert {row.kb for row in CALENDAR.releases if row.kind == "baseline" and not row.planned} == {
        "KB5041160",
        "KB5094125",
        "KB5122882",
    }


def test_finds_by_product_and_kb() -> None:
    assert CALENDAR.find("ws2025", "KB5087423") == MAY
    assert CALENDAR.find("ws2022", "KB5087423") is None
    assert CALENDAR.find("ws2025", "KB5084597") is None  # Windows 11 only


def test_published_by_is_the_latest_hour() -> None:
    assert published_by(date(2026, 5, 12)) == on("2026-05-12T18:00")


def test_goes_through_json_and_back_and_reads_well() -> None:
    assert release_from_dict(json.loads(json.dumps(MAY.to_dict()))) == MAY
    assert str(MAY) == "KB5087423 (hotpatch of 2026-05-12, build 26100.32772)"
    assert str(known("ws2025", "KB5091470")) == "KB5091470 (out-of-band of 2026-04-19)"
