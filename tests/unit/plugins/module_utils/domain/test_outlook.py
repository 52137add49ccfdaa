# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.outlook import next_restart, outlook
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.products import Product
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.reasons import Reason
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import (
    CALENDAR,
    Calendar,
    MonthKind,
    Release,
    upcoming,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.track import Track, TrackName

from .builders import MAY, known


def on(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("product", "now", "status", "kind", "restarts", "planned", "kb"),
    [
        ("ws2025", "2026-05-13T01:00", "released", "hotpatch", False, True, "KB5087423"),
        ("ws2025", "2026-05-12T12:00", "expected", "hotpatch", False, True, "KB5087423"),
        ("ws2025", "2026-05-01T00:00", "expected", "hotpatch", False, True, "KB5087423"),
        ("ws2025", "2026-06-10T00:00", "released", "baseline", True, False, "KB5094125"),
        ("ws2025", "2026-08-20T00:00", "released", "hotpatch", False, True, None),
        ("ws2025", "2026-09-20T00:00", "released", "baseline", True, False, None),
        ("ws2025", "2026-10-20T00:00", "expected", "baseline", True, True, None),
        ("ws2025", "2026-11-24T00:00", "expected", "hotpatch", False, True, None),
        ("ws2025", "2027-01-20T00:00", "unknown", None, None, None, None),
        ("ws2022", "2026-06-20T00:00", "unknown", None, None, None, None),
        ("ws2022", "2026-11-20T00:00", "unknown", None, None, None, None),
    ],
)
def test_this_month(
    product: Product, now: str, status: str, kind: Any, restarts: Any, planned: Any, kb: str | None
) -> None:
    found = outlook(CALENDAR, product, on(now)).this_month
    assert (found.status, found.kind, found.restarts, found.planned, found.kb) == (status, kind, restarts, planned, kb)
    assert found.month == now[:7]
    assert found.text


@pytest.mark.parametrize(
    ("product", "now", "following", "baseline"),
    [
        ("ws2025", "2026-05-13T01:00", "KB5094125", "KB5094125"),
        ("ws2025", "2026-05-12T12:00", "KB5087423", "KB5094125"),  # the day itself, before its hour
        ("ws2025", "2026-04-20T00:00", "KB5087423", "KB5094125"),
        ("ws2025", "2026-07-20T00:00", "2026-08", "2026-09"),
        ("ws2025", "2026-09-20T00:00", "2026-10", "2026-10"),
        ("ws2025", "2026-10-20T00:00", "2026-11", None),
        ("ws2025", "2026-12-20T00:00", None, None),
        ("ws2022", "2026-05-13T00:00", "KB5120229", "KB5122882"),
        ("ws2022", "2026-10-01T00:00", None, None),
    ],
)
def test_what_comes_next(product: Product, now: str, following: str | None, baseline: str | None) -> None:
    found = outlook(CALENDAR, product, on(now))
    for fact, expected in ((found.next, following), (found.next_baseline, baseline)):
        if expected is None:
            assert fact.is_absent
            assert product in fact.why
        else:
            assert fact.value is not None
            assert expected in (fact.value.kb, fact.value.month)


def test_a_day_that_no_source_names_is_marked_and_so_are_unknown_months() -> None:
    october = outlook(CALENDAR, "ws2025", on("2026-09-20T00:00")).next.value
    assert october is not None
    assert (october.date, october.date_known, october.announced, october.kb) == (date(2026, 10, 13), False, True, None)
    assert str(october) == "the announced baseline of 2026-10, expected on 2026-10-13"
    gap = upcoming(CALENDAR, "ws2022", date(2026, 5, 13), "baseline").value
    assert gap is not None
    assert gap.unknown_months == ("2026-06", "2026-07")
    calendar = Calendar((MAY,), (MonthKind("ws2025", "2026-10", "baseline", released=False, date=date(2026, 10, 14)),))
    found = upcoming(calendar, "ws2025", date(2026, 5, 12)).value
    assert found is not None
    assert found.unknown_months == ("2026-06", "2026-07", "2026-08", "2026-09")
    assert found.to_dict()["text"] == (
        "the announced baseline of 2026-10, on 2026-10-14, if none comes in 2026-06, 2026-07, 2026-08, 2026-09"
    )


@pytest.mark.parametrize(
    ("now", "kbs"),
    [
        ("2025-10-20T00:00", []),
        ("2025-10-30T00:00", ["KB5070881", "KB5070893"]),
        ("2025-12-20T00:00", ["KB5070881", "KB5070893"]),
        ("2026-01-20T00:00", []),
        ("2026-05-13T00:00", ["KB5091157", "KB5091470"]),
        ("2026-08-20T00:00", []),
    ],
)
def test_what_came_out_of_band_since_the_baseline(now: str, kbs: list[str]) -> None:
    assert sorted(item.kb for item in outlook(CALENDAR, "ws2025", on(now)).out_of_band) == kbs


@pytest.mark.parametrize(
    ("product", "now", "current", "baseline"),
    [
        ("ws2025", "2026-05-13T00:00", "KB5087423", "KB5082063"),
        ("ws2025", "2026-07-20T00:00", "KB5099536", "KB5099536"),
        ("ws2025", "2026-08-20T00:00", None, None),
        ("ws2022", "2026-08-20T00:00", "KB5120229", None),  # June and July are not known: either may be its baseline
        ("ws2022", "2026-09-20T00:00", "KB5122882", "KB5122882"),
    ],
)
def test_current_and_its_baseline(product: Product, now: str, current: str | None, baseline: str | None) -> None:
    found = outlook(CALENDAR, product, on(now))
    assert (found.current.value.kb if found.current.value else None) == current
    assert (found.baseline.value.kb if found.baseline.value else None) == baseline
    assert found.baseline.known or found.baseline.why


OOB = upcoming(CALENDAR, "ws2025", date(2025, 11, 11), "baseline")


@pytest.mark.parametrize(
    ("name", "release", "returns", "due", "day", "kb"),
    [
        ("on_track", Fact.of(MAY), None, "at_baseline", date(2026, 6, 9), "KB5094125"),
        ("on_track", Fact.of(known("ws2025", "KB5099536")), None, "at_baseline", date(2026, 9, 8), None),
        ("on_track", Fact.of(known("ws2022", "KB5122882")), None, "unknown", None, None),
        ("baseline_due", Fact.of(MAY), None, "now", date(2026, 4, 14), "KB5082063"),
        ("baseline_due", Fact.of(known("ws2025", "KB5099536")), None, "now", date(2026, 7, 14), "KB5099536"),
        ("off_track", Fact.of(MAY), OOB, "every_update", date(2026, 1, 13), "KB5073379"),
        ("off_track", Fact.of(MAY), Fact.absent("none known"), "every_update", None, None),
        ("not_enrolled", Fact.of(MAY), None, "every_update", None, None),
        ("ineligible", Fact.unreadable("ended"), None, "every_update", None, None),
        ("enrolling", Fact.of(MAY), None, "unknown", None, None),
        ("unknown", Fact.of(MAY), None, "unknown", None, None),
        ("on_track", Fact.unreadable("ended"), None, "unknown", None, None),
    ],
)
def test_who_restarts_when(
    name: TrackName, release: Fact[Release], returns: Any, due: str, day: date | None, kb: str | None
) -> None:
    where = Track(name, (Reason("code", "because"),), *([returns] if returns is not None else []))
    found = next_restart(where, release, CALENDAR)
    assert (found.due, found.date, found.kb) == (due, day, kb)
    assert found.text
    assert found.to_dict()["date"] == (day.isoformat() if day else None)


def test_goes_out_as_plain_json() -> None:
    raw = outlook(CALENDAR, "ws2025", on("2026-05-13T00:00")).to_dict()
    assert raw["next_baseline"]["value"]["text"] == "KB5094125 (baseline of 2026-06-09)"
    assert raw["this_month"]["date"] == "2026-05-12"
