# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""MSRC's documents with all their traps: what they list, and what of it goes into the calendar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msrc_stand_in import CUMULATIVE, WINDOWS_11, WS2022, WS2025, as_xml, document, fix

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.calendar_entries import merge
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.msrc import (
    CvrfDocument,
    CvrfError,
    parse_cvrf,
    read_cvrf,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.msrc_calendar import Finding, derive
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.products import Product
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR, Calendar, MonthKind

REAL = Path(__file__).resolve().parents[6] / "shared" / "msrc" / "cvrfDocument-2025-Jun.xml"

# The month after a hotpatch month, as the document of 2025-06 lists it.
MAY_LISTED_AGAIN = [
    fix("5058411", "10.0.26100.4061", [*WS2025, *WINDOWS_11], CUMULATIVE, "5055523"),
    fix("5058497", "10.0.26100.3981", [*WS2025, *WINDOWS_11]),
    fix("5058385", "10.0.20348.3692", WS2022, CUMULATIVE, "5055526"),
    fix("5058500", "10.0.20348.3630", WS2022),
]
JUNE = [
    fix("5060842", "10.0.26100.4349", [*WS2025, *WINDOWS_11], CUMULATIVE, "5058411"),
    fix("5060841", "10.0.26100.4270", [*WS2025, *WINDOWS_11], supersedes="5058497"),
    fix("5060526", "10.0.20348.3807", WS2022, CUMULATIVE, "5058385"),
    fix("5060525", "10.0.20348.3745", WS2022, supersedes="5058500"),
]
JUNE_2025 = document("2025-Jun", "2025-06-10", JUNE, MAY_LISTED_AGAIN, JUNE, JUNE)


def rows(found: CvrfDocument, product: Product, hotpatch: bool) -> list[tuple[str, int]]:
    return [(row.kb, row.ubr) for row in found.of(product, hotpatch)]


def both_forms(raw: dict[str, Any]) -> CvrfDocument:
    found = read_cvrf(json.dumps(raw).encode())
    assert set(read_cvrf(as_xml(raw)).rows) == set(found.rows)
    return found


def test_a_month_in_both_forms() -> None:
    found = both_forms(JUNE_2025)
    assert (found.month, found.released.isoformat(), found.unclear) == ("2025-06", "2025-06-10", ())
    assert rows(found, "ws2022", True) == [("KB5058500", 3630), ("KB5060525", 3745)]
    assert rows(found, "ws2025", True) == [("KB5058497", 3981), ("KB5060841", 4270)]
    assert rows(found, "ws2022", False) == [("KB5058385", 3692), ("KB5060526", 3807)]
    assert rows(found, "ws2025", False) == [("KB5058411", 4061), ("KB5060842", 4349)]
    assert found.of("ws2025", True)[1].supersedes == {"KB5058497"}


@pytest.mark.skipif(not REAL.is_file(), reason="the shared reference folder is not there")
def test_the_real_document_of_2025_06() -> None:
    found = read_cvrf(REAL.read_bytes(), "2025-06")
    assert set(found.rows) == set(both_forms(JUNE_2025).rows)
    assert found.unclear == ()
    assert [item.outcome for item in derive([found], CALENDAR)[1]] == ["confirmed", "confirmed"]
    # A calendar that ends in May learns June from it, and one that ends in April does not.
    entries, dummy = derive([found], until("2025-05"))
    assert {item.kb for item in entries.releases} == {"KB5060525", "KB5060841"}
    assert derive([found], until("2025-04"))[0].releases == ()


@pytest.mark.parametrize(
    "label",
    [
        "Azure Hotpatch",
        "AzureHotpatch",
        "SecurityHotpatchUpdate",
        "Security Hotpatch Update",
        "Security HotPatch Update",
    ],
)
def test_the_spellings_of_a_hotpatch(label: str) -> None:
    found = both_forms(document("2026-Feb", "2026-02-10", [fix("5075942", "10.0.26100.32313", WS2025, label)]))
    assert rows(found, "ws2025", True) == [("KB5075942", 32313)]


@pytest.mark.parametrize(
    ("row", "product"),
    [
        (fix("5010456", "10.0.20348.525", ["12085"]), "ws2022"),  # the names of 2022
        (fix("5010456", "20348.525", WS2022), "ws2022"),
        (fix("5075942", "10.0.26100.32313", [*WINDOWS_11, "12436"]), "ws2025"),
        (fix("KB5075942", "10.0.26100.32313", WS2025), "ws2025"),
        (fix("5075942", "10.0.26100.32313", WS2025, Type="Vendor Fix", Description="5075942"), "ws2025"),
        (fix("5075942", "10.0.26100.32313", WS2025, ProductID="12436"), "ws2025"),
    ],
)
def test_rows_of_servers(row: dict[str, Any], product: Product) -> None:
    found = parse_cvrf(document("2026-Feb", "2026-02-10", [row]))
    assert [(item.product, item.hotpatch) for item in found.rows] == [(product, True)]


@pytest.mark.parametrize(
    "row",
    [
        fix("5077212", "10.0.26100.7781", WINDOWS_11),  # the same build number, another product
        fix("5075942", "10.0.25398.2000", ["12244"]),  # 23H2 is another product
        fix("5075942", "10.0.26100.32313", ["99999"]),  # not in the product tree
        fix("5075942", "10.0.26100.32313", WS2025, "Monthly Rollup"),
        fix("5075942", "10.0.26100.32313", WS2025, "5075942", Type=6),  # release notes
        fix("5075942", "10.0.26100.32313", WS2025, Type=5),
        fix("5075942", "10.0.26100.32313", WS2025, Type=True),
        fix("Release Notes", "10.0.26100.4188", WS2025, CUMULATIVE),  # as the SDK's row of 2025-06
        "no remediation",
    ],
)
def test_rows_that_are_none(row: Any) -> None:
    found = parse_cvrf(document("2026-Feb", "2026-02-10", [row]))
    assert (found.rows, found.unclear) == ((), ())


@pytest.mark.parametrize(
    "fixes",
    [
        [fix("5075942", "", WS2025)],
        [fix("5075942", "10.0.20348.4711", WS2025)],
        [fix("", "10.0.26100.32313", WS2025)],
        [fix("5075942", "10.0.26100.32313", WS2025), fix("5075942", "10.0.26100.32314", WS2025)],
        [fix("5075942", "10.0.26100.32313", WS2025), fix("5075942", "10.0.26100.32313", WS2025, CUMULATIVE)],
    ],
)
def test_rows_that_contradict_themselves_are_left_out_and_said(fixes: list[dict[str, Any]]) -> None:
    found = parse_cvrf(document("2026-Feb", "2026-02-10", fixes))
    assert found.rows == ()
    assert len(found.unclear) == 1
    assert found.unclear[0].startswith("ws2025: ")


def broken(**changes: Any) -> dict[str, Any]:
    raw = document("2026-Feb", "2026-02-10", JUNE)
    raw["DocumentTracking"] = {**raw["DocumentTracking"], **changes.pop("tracking", {})}
    return {key: value for key, value in {**raw, **changes}.items() if value is not ...}


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "neither JSON nor XML"),
        (b"\x00\xff", "neither JSON nor XML"),
        (b"[" * 100_000, "neither JSON nor XML"),
        (b"<html><body>proxy login</body></html>", "no Identification"),
        (b"<cvrfdoc><DocumentTracking>", "not well-formed XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "DOCTYPE"),
        (b"<a>" * 100, "nested deeper"),
        (b"[]", "no DocumentTracking"),
        (b'"x"', "no DocumentTracking"),
        (broken(DocumentTracking=...), "no DocumentTracking"),
        (broken(ProductTree=...), "no ProductTree"),
        (broken(ProductTree={"FullProductName": []}), "ProductTree names neither"),
        (broken(tracking={"Identification": {"ID": {"Value": "latest"}}}), "names itself 'latest'"),
        (broken(tracking={"Identification": {"ID": {"Value": "2026-Mar"}}}), "instead of 2026-Feb"),
        (broken(tracking={"InitialReleaseDate": "2026-03-10T07:00:00"}), "InitialReleaseDate"),
        (broken(tracking={"InitialReleaseDate": None}), "InitialReleaseDate"),
    ],
)
def test_what_is_no_document(raw: Any, why: str) -> None:
    data = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    with pytest.raises(CvrfError, match=why):
        read_cvrf(data, "2026-02")


def until(month: str, *months: MonthKind) -> Calendar:
    """The built-in calendar as it would have been after that month."""
    return Calendar(tuple(row for row in CALENDAR.releases if row.month <= month), months)


def of_product(findings: tuple[Finding, ...], product: Product) -> list[tuple[str, str, str | None]]:
    return [(item.month, item.outcome, item.kb) for item in findings if item.product == product]


def server_month(
    name: str, day: str, hotpatch: tuple[str, int, str] | None, cumulative: tuple[str, int, str] | None, *more: Any
) -> CvrfDocument:
    """A month of WS2025: KB, UBR and what it supersedes, of its hotpatch and of its cumulative update."""
    fixes = list(more)
    if hotpatch is not None:
        fixes.append(fix(hotpatch[0], f"10.0.26100.{hotpatch[1]}", WS2025, supersedes=hotpatch[2]))
    if cumulative is not None:
        fixes.append(fix(cumulative[0], f"10.0.26100.{cumulative[1]}", WS2025, CUMULATIVE, cumulative[2]))
    return parse_cvrf(document(name, day, fixes))


AUGUST = ("5120001", 33250, "")
AUGUST_LCU = ("5120233", 33296, "5099536")
SEPTEMBER_LCU = ("5122881", 33400, "5120233")
HOTPATCH_KIND = MonthKind("ws2025", "2026-08", "hotpatch", released=False)
BASELINE_KIND = MonthKind("ws2025", "2026-08", "baseline", released=False, planned=False)


@pytest.mark.parametrize(
    ("hotpatch", "cumulative", "months", "outcome", "why"),
    [
        # After July's baseline (.33158), and below August's cumulative update.
        (AUGUST, AUGUST_LCU, (), "added", "33250"),
        (AUGUST, AUGUST_LCU, (HOTPATCH_KIND,), "added", "33250"),
        # Nothing proves a baseline but the calendar's word.
        (None, AUGUST_LCU, (), "unknown", "proves no baseline"),
        (None, AUGUST_LCU, (HOTPATCH_KIND,), "unknown", "knows the announced hotpatch of 2026-08, but"),
        (None, AUGUST_LCU, (BASELINE_KIND,), "added", "the announced baseline of 2026-08"),
        (None, None, (BASELINE_KIND,), "unknown", "no new cumulative update"),
        (AUGUST, AUGUST_LCU, (BASELINE_KIND,), "contradicted", "labelled a hotpatch below"),
        # An out-of-band hotpatch in the month of a baseline is past the month's cumulative update.
        (("5120001", 33300, ""), AUGUST_LCU, (), "unknown", "out of band"),
        (("5120001", 33300, ""), AUGUST_LCU, (BASELINE_KIND,), "added", "beside it the hotpatch KB5120001"),
        # An older one listed again, below the level of the month before.
        (("5120001", 33100, ""), AUGUST_LCU, (), "unknown", "does not lie between"),
        (AUGUST, None, (), "unknown", "no new cumulative update"),
        # May's, which the calendar knows.
        (("5087423", 32772, ""), AUGUST_LCU, (), "unknown", "no new hotpatch"),
        (("5087423", 32772, ""), AUGUST_LCU, (BASELINE_KIND,), "added", "the announced baseline"),
    ],
)
def test_what_a_document_proves(
    hotpatch: Any, cumulative: Any, months: tuple[MonthKind, ...], outcome: str, why: str
) -> None:
    found = server_month("2026-Aug", "2026-08-11", hotpatch, cumulative)
    entries, findings = derive([found], until("2026-07", *months))
    finding = next(item for item in findings if item.product == "ws2025")
    assert finding.outcome == outcome
    assert why in finding.why
    assert [item.kb for item in entries.releases] == ([finding.kb] if outcome == "added" else [])
    for release in entries.releases:
        assert (release.date.isoformat(), release.source) == ("2026-08-11", "MSRC, 2026-Aug")
        assert release.kind == ("baseline" if months == (BASELINE_KIND,) else "hotpatch")
        assert release.planned is (months != (BASELINE_KIND,))
    if finding.outcome == "unknown" and cumulative is not None:
        assert finding.cumulative == "KB5120233 (26100.33296)"


def test_several_new_hotpatches_are_not_chosen_from() -> None:
    other = fix("5120002", "10.0.26100.33260", WS2025)
    dummy, findings = derive([server_month("2026-Aug", "2026-08-11", AUGUST, AUGUST_LCU, other)], until("2026-07"))
    finding = next(item for item in findings if item.product == "ws2025")
    assert (finding.outcome, "several new hotpatches" in finding.why) == ("unknown", True)


def test_last_month_s_hotpatch_is_not_taken_for_a_baseline_month_s_own() -> None:
    """September 2026 was an unplanned baseline; its document may list August's hotpatch again."""
    again = fix("5120001", "10.0.26100.33250", WS2025)
    september = server_month("2026-Sep", "2026-09-08", None, SEPTEMBER_LCU, again)
    # Alone it cannot tell whose that hotpatch is.
    dummy, findings = derive([september], until("2026-07"))
    assert of_product(findings, "ws2025") == [("2026-09", "unknown", None)]
    # With August's, it is August's, and September stays unknown until somebody says that it was a baseline.
    august = server_month("2026-Aug", "2026-08-11", AUGUST, AUGUST_LCU)
    dummy, findings = derive([september, august], until("2026-07"))
    assert of_product(findings, "ws2025") == [("2026-08", "added", "KB5120001"), ("2026-09", "unknown", None)]
    said = MonthKind("ws2025", "2026-09", "baseline", released=True, planned=False)
    entries, findings = derive([september, august], until("2026-07", said))
    assert of_product(findings, "ws2025") == [("2026-08", "added", "KB5120001"), ("2026-09", "added", "KB5122881")]
    calendar, conflicts = merge(until("2026-07", said), entries)
    assert conflicts == ()
    row = calendar.of_month("ws2025", "2026-09")
    assert row is not None
    assert (row.kind, row.planned, row.ubr) == ("baseline", False, 33400)


def test_two_hotpatch_months_in_a_row_by_the_chain_of_what_they_supersede() -> None:
    found = parse_cvrf(JUNE_2025)
    entries, findings = derive([found], until("2025-05"))
    assert {item.kb for item in entries.releases} == {"KB5060525", "KB5060841"}
    # Without the word that it supersedes May's, last month's cumulative update makes the place unsure.
    loose = parse_cvrf(
        document("2025-Jun", "2025-06-10", [{**item, "Supercedence": ""} for item in JUNE], MAY_LISTED_AGAIN)
    )
    entries, findings = derive([loose], until("2025-05"))
    assert entries.releases == ()
    assert {item.outcome for item in findings} == {"unknown"}


@pytest.mark.parametrize(
    ("row", "outcome", "why"),
    [
        (fix("5087423", "10.0.26100.32772", WS2025), "confirmed", "listed as a hotpatch"),
        (fix("5087423", "10.0.26100.32773", WS2025), "contradicted", "whose build is 26100.32773"),
        (fix("5087423", "10.0.26100.32772", WS2025, CUMULATIVE), "contradicted", "labels a cumulative update"),
        (fix("5087999", "10.0.26100.32772", WS2025), "contradicted", "does not list"),
    ],
)
def test_a_month_that_the_calendar_has_is_never_overruled(row: dict[str, Any], outcome: str, why: str) -> None:
    entries, findings = derive([parse_cvrf(document("2026-May", "2026-05-12", [row]))], CALENDAR)
    finding = next(item for item in findings if item.product == "ws2025")
    assert (finding.outcome, entries.releases) == (outcome, ())
    assert why in finding.why


def test_a_build_that_was_not_known_is_learnt() -> None:
    listed = [
        fix("5120229", "10.0.20348.5440", WS2022),
        fix("5120242", "10.0.20348.5499", WS2022, CUMULATIVE),
    ]
    entries, findings = derive([parse_cvrf(document("2026-Aug", "2026-08-11", listed))], CALENDAR)
    assert of_product(findings, "ws2022") == [("2026-08", "added", "KB5120229")]
    calendar, conflicts = merge(CALENDAR, entries)
    row = calendar.find("ws2022", "KB5120229")
    assert row is not None
    assert (row.ubr, row.planned, conflicts) == (5440, True, ())
