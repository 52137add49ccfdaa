# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""release_info from its options to its result: questions, machines, and refreshing from a stand-in for MSRC."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msrc_stand_in import CUMULATIVE, WS2022, WS2025, Reply, StandIn, as_xml, document, fix, running

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import release_info
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import release_info_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.calendar_sources import missing_months
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import perform

from .rollout_fleet import NOW, guest, machine, rid


def ask(environ: dict[str, str] | None = None, **options: Any) -> dict[str, Any]:
    params = {name: option.get("default") for name, option in release_info_spec().options.items()}
    result = perform(release_info.run, {**params, "at": "2026-05-13T01:00:00Z", **options}, environ or {})
    assert json.loads(json.dumps(result)) == result, "plain JSON types only"
    return result


@pytest.fixture
def msrc(tmp_path: Path) -> Iterator[StandIn]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def environ(msrc: StandIn) -> dict[str, str]:
    return {"SSL_CERT_FILE": str(msrc.ca_file)}


AUGUST = document(
    "2026-Aug",
    "2026-08-11",
    [
        fix("5120001", "10.0.26100.33250", WS2025),
        fix("5120233", "10.0.26100.33296", WS2025, CUMULATIVE, "5099536"),
        fix("5120229", "10.0.20348.5440", WS2022),
        fix("5120242", "10.0.20348.5499", WS2022, CUMULATIVE),
    ],
)
SEPTEMBER = document(
    "2026-Sep",
    "2026-09-08",
    [
        fix("5122881", "10.0.26100.33400", WS2025, CUMULATIVE, "5120233"),
        fix("5122882", "10.0.20348.5622", WS2022, CUMULATIVE, "5120242"),
    ],
)


def test_answers_from_the_built_in_calendar() -> None:
    found = ask()
    assert (found["changed"], found["at"], found["sources"]) == (False, "2026-05-13T01:00:00Z", ["built in"])
    ws2025 = found["products"]["ws2025"]
    assert (ws2025["current"]["value"]["kb"], ws2025["current"]["value"]["restarts"]) == ("KB5087423", False)
    assert (ws2025["baseline"]["value"]["kb"], ws2025["baseline"]["value"]["restarts"]) == ("KB5082063", True)
    assert ws2025["this_month"]["kind"] == "hotpatch"
    assert ws2025["next"]["value"]["kb"] == "KB5094125"
    assert "KB5087424" in found["msg"]
    assert "warnings" not in found
    assert found["additions"] == {"format": 1, "releases": [], "months": []}
    assert len(found["calendar"]["releases"]) == len(CALENDAR.releases)
    assert list(ask(products=["ws2022"])["products"]) == ["ws2022"]


def test_what_nobody_knows_is_unknown() -> None:
    found = ask(at="2026-06-20T00:00:00Z")["products"]["ws2022"]
    assert (found["current"]["state"], found["baseline"]["state"]) == ("unreadable", "unreadable")
    assert found["this_month"]["status"] == "unknown"
    assert "unknown" in found["text"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"at": "yesterday"}, "Option at "),
        ({"at": "2026-05-13T01:00:00"}, "with an offset"),
        ({"calendar": {"releases": [{}]}}, "hotpatch_calendar.releases[0].product"),
        ({"calendar_url": "http://example.invalid/c.json"}, "Option calendar_url"),
        ({"msrc_months": ["Mai"]}, "Option msrc_months"),
        ({"msrc_months": [f"20{year}-01" for year in range(10, 40)]}, "at most 24 months"),
        ({"msrc_files": ["/nowhere/x.json"]}, "Option msrc_files"),
        ({"machines": [{"id": "x"}]}, "machines[0]"),
        ({"machines": [machine("a").to_dict()], "guests": {rid("a"): {"reachable": "yes"}}}, "Option guests of"),
        ({"machines": [machine("a").to_dict()], "guests": {rid("a"): ["x"]}}, "Option guests of"),
        ({"preflight_overrides": ["nothing"]}, "preflight_overrides"),
    ],
)
def test_what_cannot_be(options: dict[str, Any], why: str) -> None:
    found = ask(**options)
    assert found["failed"]
    assert why in found["msg"]


def test_who_restarts_when() -> None:
    machines = [machine(name).to_dict() for name in ("fresh", "behind", "knocked", "silent", "custom")]
    machines[4]["image"]["value"].update(offer=None, publisher=None, sku=None, id="/subscriptions/x/images/y")
    kbs = Fact.of(("KB5082063", "KB5091157"))
    guests: dict[str, Any] = {
        rid("fresh"): guest("fresh", current=True).to_dict(),
        rid("behind").upper(): {"reachable": True, "guest": guest("behind", ubr=Fact.of(32463)).to_dict()},
        rid("knocked"): guest("knocked", kbs=kbs).to_dict(),
    }
    found = ask(machines=machines, guests=guests)
    rows = {row["name"]: row for row in found["machines"]}
    assert {name: (row["track"], row["restart"]["due"], row["restart"]["date"]) for name, row in rows.items()} == {
        "fresh": ("on_track", "at_baseline", "2026-06-09"),
        "behind": ("baseline_due", "now", "2026-04-14"),
        "knocked": ("off_track", "every_update", "2026-06-09"),
        "silent": ("unknown", "unknown", None),
        "custom": ("ineligible", "every_update", None),
    }
    assert found["restarting"] == [rid("behind")]
    ((returns,),) = [[row["returns"]] for row in found["off_track"]]
    assert (returns["kb"], returns["date"]) == ("KB5094125", "2026-06-09")
    assert all(row["track_reason"] and row["restart"]["text"] for row in rows.values())


def test_an_assessment_is_heard_while_it_is_fresh() -> None:
    offer = {"id": "1", "title": "x", "kb": ["5082063"], "categories": ["Security"], "reboot_behavior": "Unknown"}
    entry = {
        "id": rid("a"),
        "outcome": "assessed",
        "status": "Succeeded",
        "start_time": "2026-05-13T00:30:00Z",
        "updates": {"1": {**offer, "published_date": None}},
    }
    given = {"machines": [machine("a").to_dict()], "guests": {rid("a"): guest("a").to_dict()}}
    (row,) = ask(**given, assessments=[entry])["machines"]
    assert (row["track"], len(row["evidence"])) == ("unknown", 2)
    (row,) = ask(**given, assessments=[{**entry, "start_time": "2026-05-11T00:30:00Z"}])["machines"]
    assert (row["track"], row["evidence"]) == ("on_track", [])


def test_refreshes_from_msrc(msrc: StandIn, environ: dict[str, str]) -> None:
    msrc.publish(AUGUST)
    msrc.publish(SEPTEMBER)
    months = {"msrc_months": ["2026-Aug", "2026-09"], "msrc_url": msrc.msrc_url, "at": "2026-09-20T00:00:00Z"}
    found = ask(environ, **months)
    assert sorted(msrc.paths) == ["/cvrf/v3.0/cvrf/2026-Aug", "/cvrf/v3.0/cvrf/2026-Sep"]
    outcomes = {(item["month"], item["product"]): (item["outcome"], item["kb"]) for item in found["msrc"]}
    assert outcomes == {
        ("2026-08", "ws2022"): ("added", "KB5120229"),  # its build
        ("2026-08", "ws2025"): ("added", "KB5120001"),
        ("2026-09", "ws2022"): ("confirmed", "KB5122882"),
        ("2026-09", "ws2025"): ("added", "KB5122881"),  # the calendar knows that this month became a baseline
    }
    current = found["products"]["ws2025"]["current"]["value"]
    assert (current["kb"], current["planned"], current["restarts"]) == ("KB5122881", False, True)
    assert (found["sources"], found["conflicts"]) == (["built in", "MSRC"], [])
    # What it learnt is worth keeping, and read again it needs no network.
    kept = found["additions"]
    assert [item["kb"] for item in kept["releases"]] == ["KB5120229", "KB5120001", "KB5122881"]
    again = ask(calendar=kept, at="2026-09-20T00:00:00Z")
    assert again["products"] == found["products"]
    assert (again["conflicts"], again["additions"]) == ([], kept)


def test_the_users_own_word_stands_over_msrc(msrc: StandIn, environ: dict[str, str]) -> None:
    msrc.publish(AUGUST)
    own = {"product": "ws2025", "kind": "baseline", "date": "2026-08-11", "kb": "KB5120233", "ubr": 33296}
    asked = {"msrc_months": ["2026-08"], "msrc_url": msrc.msrc_url, "at": "2026-08-20T00:00:00Z"}
    found = ask(environ, calendar={"releases": [own]}, **asked)
    assert found["products"]["ws2025"]["current"]["value"]["kb"] == "KB5120233"
    assert [item["aspect"] for item in found["conflicts"]] == ["kind"]


def test_missing_months_and_what_is_not_published_yet(msrc: StandIn, environ: dict[str, str]) -> None:
    msrc.publish(AUGUST)
    asked = {"msrc_months": ["missing"], "msrc_url": msrc.msrc_url, "at": "2026-08-20T00:00:00Z"}
    found = ask(environ, **asked)
    assert sorted(msrc.paths) == [f"/cvrf/v3.0/cvrf/2026-{name}" for name in ("Aug", "Jul", "Jun")]
    assert found["products"]["ws2025"]["current"]["value"]["kb"] == "KB5120001"
    assert sorted(found["warnings"]) == [f"MSRC has no document of 2026-0{month} yet." for month in (6, 7)]
    # A month that was named must be there.
    found = ask(environ, **{**asked, "msrc_months": ["2026-07"]})
    assert found["failed"]
    assert "2026-Jul" in found["msg"]
    assert "404" in found["msg"]


@pytest.mark.parametrize(
    ("at", "months"),
    [
        ("2026-05-13", ()),
        ("2026-06-08", ()),
        ("2026-06-09", ("2026-06",)),
        ("2026-07-20", ("2026-06", "2026-07")),
        ("2026-09-07", ("2026-06", "2026-07", "2026-08")),
        ("2027-12-20", tuple(f"2027-{month:02}" for month in range(1, 13))),
    ],
)
def test_which_months_are_missing(at: str, months: tuple[str, ...]) -> None:
    year, month, day = map(int, at.split("-"))
    assert missing_months(CALENDAR, NOW.replace(year=year, month=month, day=day)) == months


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(body=json.dumps(SEPTEMBER).encode()), "it is the document 2026-Sep instead of 2026-Aug"),
        (Reply(body=b"<html>sign in</html>"), "no Identification"),
        (Reply(403), "answered 403"),
    ],
)
def test_another_document_than_asked_for(msrc: StandIn, environ: dict[str, str], reply: Reply, why: str) -> None:
    msrc.serve("/cvrf/v3.0/cvrf/2026-Aug", reply)
    found = ask(environ, msrc_months=["2026-08"], msrc_url=msrc.msrc_url)
    assert found["failed"]
    assert why in found["msg"]


def test_documents_as_files(tmp_path: Path) -> None:
    as_json, xml, broken = tmp_path / "aug.json", tmp_path / "sep.xml", tmp_path / "x.json"
    as_json.write_text(json.dumps(AUGUST), encoding="utf-8")
    xml.write_bytes(as_xml(SEPTEMBER))
    broken.write_text("{}", encoding="utf-8")
    found = ask(msrc_files=[str(xml), str(as_json)], at="2026-09-20T00:00:00Z")
    assert found["products"]["ws2025"]["current"]["value"]["kb"] == "KB5122881"
    found = ask(msrc_files=[str(broken)])
    assert "msrc_files" in found["msg"]
    assert "DocumentTracking" in found["msg"]


def test_a_calendar_by_url_shows_no_signature(msrc: StandIn, environ: dict[str, str]) -> None:
    row = {"product": "ws2022", "kind": "baseline", "date": "2026-06-09", "kb": "KB5094128"}
    msrc.serve("/c.json?sig=geheim", Reply(body=json.dumps({"releases": [row]}).encode()))
    found = ask(environ, calendar_url=f"{msrc.url}/c.json?sig=geheim", at="2026-06-20T00:00:00Z")
    assert found["products"]["ws2022"]["current"]["value"]["kb"] == "KB5094128"
    msrc.serve("/c.json?sig=geheim", Reply(body=b"releases: 5"))
    failed = ask(environ, calendar_url=f"{msrc.url}/c.json?sig=geheim")
    assert failed["failed"]
    assert "geheim" not in json.dumps([found, failed])


def test_what_contradicts_itself_is_warned_of(msrc: StandIn, environ: dict[str, str]) -> None:
    odd = [fix("5087423", "10.0.26100.32773", WS2025), fix("5087424", "", WS2022)]
    msrc.publish(document("2026-May", "2026-05-12", odd))
    found = ask(environ, msrc_months=["2026-05"], msrc_url=msrc.msrc_url)
    assert any("26100.32773" in text and "stays" in text for text in found["warnings"])
    assert any("left out" in text for text in found["warnings"])
    assert found["products"]["ws2025"]["current"]["value"]["ubr"] == 32772
