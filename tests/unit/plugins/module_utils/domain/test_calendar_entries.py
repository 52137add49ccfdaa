# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.calendar_entries import (
    ORDER,
    Entries,
    additions,
    calendar_to_plain,
    merge,
    parse_entries,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.months import second_tuesday
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import (
    CALENDAR,
    Calendar,
    current_release,
)

from .builders import NOW, known

ROOT = Path(__file__).resolve().parents[5]
SCHEMA = json.loads((ROOT / "docs" / "calendar.schema.json").read_text(encoding="utf-8"))
JUNE = {"product": "ws2022", "kind": "baseline", "date": "2026-06-09", "kb": "KB5094128"}
ANNOUNCED = {"product": "ws2022", "month": "2026-11", "kind": "hotpatch"}


def with_release(**changes: Any) -> dict[str, Any]:
    return {"releases": [{key: value for key, value in {**JUNE, **changes}.items() if value is not ...}]}


def with_month(**changes: Any) -> dict[str, Any]:
    return {"months": [{key: value for key, value in {**ANNOUNCED, **changes}.items() if value is not ...}]}


def accepted_by_schema(raw: object) -> bool:
    return not list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(raw))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"format": 1, "updated": "2026-06-10", "releases": [], "months": []},
        {"updated": 5},
        with_release(),
        with_release(kb=5094128),
        with_release(kb="5094128"),
        with_release(kb="kb5094128"),
        with_release(build=20348, ubr=5150, planned=False, keeps_track=True, source="s", note="n"),
        with_release(ubr=None),
        with_release(kind="out_of_band", keeps_track=False),
        with_release(kind="out_of_band", keeps_track=True),
        with_month(),
        with_month(month="2026-Nov", released=True, planned=False, date="2026-11-10", source="s", note="n"),
        with_month(date=None),
    ],
)
def test_what_parser_and_schema_accept(raw: dict[str, Any]) -> None:
    assert accepted_by_schema(raw)
    found = parse_entries("hotpatch_calendar", raw, "here")
    assert len(found.releases) == len(raw.get("releases", []))
    assert all(item.source in ("here", "s") for item in (*found.releases, *found.months))


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ([], "hotpatch_calendar "),
        ("x", "hotpatch_calendar "),
        (None, "hotpatch_calendar "),
        ({"format": 2}, "hotpatch_calendar.format"),
        ({"format": True}, "hotpatch_calendar.format"),
        ({"release": []}, "hotpatch_calendar "),
        ({"releases": {}}, "hotpatch_calendar.releases "),
        ({"releases": "x"}, "hotpatch_calendar.releases "),
        ({"releases": ["x"]}, "hotpatch_calendar.releases[0] "),
        (with_release(product="ws2019"), "hotpatch_calendar.releases[0].product"),
        (with_release(product=...), "hotpatch_calendar.releases[0].product"),
        (with_release(kind="B"), "hotpatch_calendar.releases[0].kind"),
        (with_release(kind=...), "hotpatch_calendar.releases[0].kind"),
        (with_release(date="09.06.2026"), "hotpatch_calendar.releases[0].date"),
        (with_release(date="2026-W24-2"), "hotpatch_calendar.releases[0].date"),
        (with_release(date="20260609"), "hotpatch_calendar.releases[0].date"),
        (with_release(date="2026-06-32"), "hotpatch_calendar.releases[0].date"),
        (with_release(date=...), "hotpatch_calendar.releases[0].date"),
        (with_release(kb="KB12"), "hotpatch_calendar.releases[0].kb"),
        (with_release(kb=True), "hotpatch_calendar.releases[0].kb"),
        (with_release(kb=...), "hotpatch_calendar.releases[0].kb"),
        (with_release(build=26100), "hotpatch_calendar.releases[0].build"),
        (with_release(product="ws2025", build=20348), "hotpatch_calendar.releases[0].build"),
        (with_release(ubr="5150"), "hotpatch_calendar.releases[0].ubr"),
        (with_release(ubr=0), "hotpatch_calendar.releases[0].ubr"),
        (with_release(ubr=True), "hotpatch_calendar.releases[0].ubr"),
        (with_release(ubr=2**40), "hotpatch_calendar.releases[0].ubr"),
        (with_release(planned="no"), "hotpatch_calendar.releases[0].planned"),
        (with_release(keeps_track=False), "hotpatch_calendar.releases[0].keeps_track"),
        (with_release(kind="out_of_band"), "hotpatch_calendar.releases[0].keeps_track"),
        (with_release(source=5), "hotpatch_calendar.releases[0].source"),
        (with_release(notes="n"), "hotpatch_calendar.releases[0] "),
        (with_month(month="November"), "hotpatch_calendar.months[0].month"),
        (with_month(month=...), "hotpatch_calendar.months[0].month"),
        (with_month(kind="out_of_band"), "hotpatch_calendar.months[0].kind"),
        (with_month(released="yes"), "hotpatch_calendar.months[0].released"),
        (with_month(kb="KB5094128"), "hotpatch_calendar.months[0] "),
    ],
)
def test_what_neither_accepts(raw: Any, place: str) -> None:
    assert not accepted_by_schema(raw)
    with pytest.raises(InputError) as caught:
        parse_entries("hotpatch_calendar", raw, "here")
    assert f"Option {place}" in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        # What no schema can say.
        (with_release(date="2026-02-30"), "releases[0].date"),
        ({"releases": [JUNE, JUNE]}, "releases"),
        ({"releases": [JUNE, {**JUNE, "kb": "KB5094129"}]}, "releases"),
        ({"months": [ANNOUNCED, ANNOUNCED]}, "months"),
        ({"months": [ANNOUNCED, {**ANNOUNCED, "month": "2026-Nov"}]}, "months"),
        (with_month(date="2026-10-13"), "months[0].date"),
    ],
)
def test_what_only_the_parser_refuses(raw: Any, place: str) -> None:
    assert accepted_by_schema(raw)
    with pytest.raises(InputError) as caught:
        parse_entries("hotpatch_calendar", raw, "here")
    assert f"hotpatch_calendar.{place} " in str(caught.value)


def told(raw: dict[str, Any], calendar: Calendar = CALENDAR) -> tuple[Calendar, list[tuple[str, str]]]:
    merged, conflicts = merge(calendar, parse_entries("hotpatch_calendar", raw, "file"))
    assert all(str(item) and "file" in item.to_dict()["text"] for item in conflicts)
    return merged, [(item.subject, item.aspect) for item in conflicts]


def test_new_releases_are_added_without_a_word() -> None:
    merged, conflicts = told(with_release())
    assert conflicts == []
    assert merged.find("ws2022", "KB5094128") is not None
    assert len(merged.releases) == len(CALENDAR.releases) + 1


MAY_ROW = {"product": "ws2025", "kind": "hotpatch", "date": "2026-05-12", "kb": "KB5087423"}


@pytest.mark.parametrize(
    ("changes", "conflicts"),
    [
        ({}, []),  # what it does not say stays known
        ({"ubr": 32772}, []),
        ({"ubr": 32773}, [("KB5087423", "ubr")]),
        ({"kind": "baseline"}, [("KB5087423", "kind")]),
        ({"date": "2026-05-13"}, [("KB5087423", "date")]),
        ({"planned": False}, [("KB5087423", "planned")]),
        ({"kind": "out_of_band", "keeps_track": False}, [("KB5087423", "kind"), ("KB5087423", "keeps_track")]),
        ({"kb": "KB5087999"}, [("2026-05", "release")]),
        ({"kb": "KB5087999", "ubr": 30000}, [("2026-05", "release"), ("KB5087999", ORDER)]),
        ({"kb": "KB5087424"}, [("KB5087424", "product"), ("2026-05", "release")]),
    ],
)
def test_differences_are_said_and_the_newer_source_counts(
    changes: dict[str, Any], conflicts: list[tuple[str, str]]
) -> None:
    row = {**MAY_ROW, **changes}
    merged, found = told({"releases": [row]})
    assert found == conflicts
    held = merged.find("ws2025", row["kb"])
    assert held is not None
    assert (held.kind, held.date.isoformat(), held.ubr) == (
        row["kind"],
        row["date"],
        row.get("ubr", 32772 if row["kb"] == "KB5087423" else None),
    )
    if row["kind"] != "out_of_band":
        assert [item.kb for item in merged.monthly("ws2025") if item.month == "2026-05"] == [row["kb"]]


def test_an_unplanned_row_stays_unplanned_where_a_file_does_not_say() -> None:
    merged, conflicts = told(
        {"releases": [{"product": "ws2025", "kind": "baseline", "date": "2026-06-09", "kb": "KB5094125"}]}
    )
    june = merged.find("ws2025", "KB5094125")
    assert june is not None
    assert (june.planned, conflicts) == (False, [])


def test_a_month_of_the_other_kind() -> None:
    merged, conflicts = told({"months": [{"product": "ws2025", "month": "2026-11", "kind": "baseline"}]})
    assert conflicts == [("2026-11", "kind")]
    kind = merged.kind_of_month("ws2025", "2026-11")
    assert kind is not None
    assert kind.kind == "baseline"
    row = {"product": "ws2025", "kind": "baseline", "date": "2026-08-11", "kb": "KB5120233", "ubr": 33296}
    merged, conflicts = told({"releases": [row]})
    # August is known as a hotpatch that came.
    assert conflicts == [("2026-08", "kind")]


def test_a_file_that_ends_the_calendar_s_ignorance() -> None:
    later = NOW.replace(month=6, day=20)
    assert current_release(CALENDAR, "ws2022", later).value is None
    merged, dummy = told(with_release())
    found = current_release(merged, "ws2022", later).value
    assert found is not None
    assert (found.kb, found.source) == ("KB5094128", "file")


def test_the_whole_calendar_goes_out_and_in_again() -> None:
    raw = json.loads(json.dumps(calendar_to_plain(CALENDAR)))
    assert accepted_by_schema(raw)
    entries = parse_entries("calendar_file", raw, "x")
    assert set(entries.releases) == set(CALENDAR.releases)
    merged, conflicts = merge(CALENDAR, entries)
    assert (set(merged.releases), set(merged.months), conflicts) == (set(CALENDAR.releases), set(CALENDAR.months), ())
    assert additions(merged, CALENDAR) == {"format": 1, "releases": [], "months": []}


DAYS = st.dates(date(2026, 1, 1), date(2027, 6, 30)).map(lambda day: day.isoformat())
NUMBERS = st.integers(5_130_000, 5_130_040)
RELEASES = st.fixed_dictionaries(
    {
        "product": st.sampled_from(["ws2022", "ws2025"]),
        "kind": st.sampled_from(["baseline", "hotpatch", "out_of_band"]),
        "date": DAYS,
        "kb": NUMBERS | st.sampled_from([int(item.kb[2:]) for item in CALENDAR.releases[-12:]]),
    },
    optional={"ubr": st.none() | st.integers(1, 99999), "planned": st.booleans(), "source": st.just("s")},
).map(lambda row: {**row, "keeps_track": row["kb"] % 2 == 0} if row["kind"] == "out_of_band" else row)
MONTHS = st.fixed_dictionaries(
    {
        "product": st.sampled_from(["ws2022", "ws2025"]),
        "month": st.integers(1, 12).map(lambda number: f"2026-{number:02}"),
        "kind": st.sampled_from(["baseline", "hotpatch"]),
    },
    optional={"released": st.booleans(), "planned": st.booleans()},
)
FILES = st.fixed_dictionaries({"releases": st.lists(RELEASES, max_size=6), "months": st.lists(MONTHS, max_size=4)})


def entries_of(raw: dict[str, Any], source: str) -> Entries | None:
    try:
        return parse_entries("hotpatch_calendar", raw, source)
    except InputError as error:
        # The only thing a generated file can have wrong: the same thing twice.
        assert "named once" in str(error)
        return None


@settings(max_examples=60, deadline=None)
@given(FILES, FILES)
def test_merging(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert accepted_by_schema(first)
    one, two = entries_of(first, "one"), entries_of(second, "two")
    if one is None or two is None:
        return
    merged, dummy = merge(CALENDAR, one)
    # Whatever is laid over stays: every release and month of the newest source, and one monthly release a month.
    merged, conflicts = merge(merged, two)
    for given_row in two.releases:
        held = merged.find(given_row.product, given_row.kb)
        assert held is not None
        assert (held.kind, held.date, held.keeps_track) == (given_row.kind, given_row.date, given_row.keeps_track)
        assert given_row.ubr in (None, held.ubr)
    assert set(two.months) <= set(merged.months)
    for product in ("ws2022", "ws2025"):
        months = [item.month for item in merged.monthly(product)]  # type: ignore[arg-type]
        assert len(months) == len(set(months))
        kbs = [item.kb for item in merged.of(product)]  # type: ignore[arg-type]
        assert len(kbs) == len(set(kbs))
    # What was known and is gone or changed was said.
    subjects = {item.subject for item in conflicts}
    before, dummy = merge(CALENDAR, one)
    for row in before.releases:
        held = merged.find(row.product, row.kb)
        if held is None or (row.kind, row.date, row.keeps_track) != (held.kind, held.date, held.keeps_track):
            assert {row.kb, row.month} & subjects
    # The order within a file does not count, and laying the same over again changes nothing.
    turned = Entries("two", two.releases[::-1], two.months[::-1], two.silent)
    assert set(merge(before, turned)[0].releases) == set(merged.releases)
    again, dummy = merge(merged, two)
    assert (set(again.releases), set(again.months)) == (set(merged.releases), set(merged.months))
    # It goes out and in again.
    raw = json.loads(json.dumps(calendar_to_plain(merged)))
    assert accepted_by_schema(raw)
    back = parse_entries("hotpatch_calendar", raw, "back")
    assert (set(back.releases), set(back.months)) == (set(merged.releases), set(merged.months))
    kept = parse_entries("hotpatch_calendar", additions(merged, CALENDAR), "kept")
    rebuilt, dummy = merge(CALENDAR, kept)
    assert set(merged.releases) <= set(rebuilt.releases)


def test_the_helper_of_other_tests_reads_the_same_calendar() -> None:
    assert known("ws2022", "KB5122882").date == second_tuesday("2026-09")
