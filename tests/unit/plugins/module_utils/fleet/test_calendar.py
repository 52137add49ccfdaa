# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The calendar a task goes by: file and variable over the built-in one."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import calendar as calendars
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.calendar import BUILT_IN, load_calendar
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_releases import Releases
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_verify import verify
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_wave import open_wave, preflight

from .rollout_fleet import NOW, guest, machine, rid, wishes

AS_YAML = """
# looked up on 2026-06-10
releases:
  - product: ws2022
    kind: baseline
    date: 2026-06-09
    kb: KB5094128
months:
  - {product: ws2022, month: 2026-07, kind: baseline, released: true}
"""
AS_JSON = """{"format": 1, "releases": [{"product": "ws2022", "kind": "baseline", "date": "2026-06-09",
 "kb": "KB5094128"}], "months": [{"product": "ws2022", "month": "2026-07", "kind": "baseline", "released": true}]}"""


@pytest.mark.parametrize("given", [{}, {"calendar_file": None, "calendar": None}, {"calendar_file": ""}])
def test_without_anything_it_is_the_built_in_one(given: dict[str, object]) -> None:
    assert load_calendar(given) is BUILT_IN
    assert BUILT_IN.calendar is CALENDAR


@pytest.mark.parametrize(("name", "text"), [("c.yml", AS_YAML), ("c.json", AS_JSON), ("c", AS_YAML), ("c", AS_JSON)])
def test_a_file_in_yaml_or_json_whatever_its_name(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = load_calendar({"calendar_file": str(path)})
    june = found.calendar.find("ws2022", "KB5094128")
    assert june is not None
    assert (june.date.isoformat(), june.source) == ("2026-06-09", str(path))
    assert found.calendar.kind_of_month("ws2022", "2026-07") is not None
    assert (found.sources, found.warnings) == (("built in", str(path)), [])


def test_the_variable_is_laid_over_the_file_and_differences_are_said(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(AS_JSON, encoding="utf-8")
    row = {"product": "ws2022", "kind": "hotpatch", "date": "2026-06-09", "kb": "KB5094128"}
    found = load_calendar({"calendar_file": str(path), "calendar": {"releases": [row]}})
    assert found.sources == ("built in", str(path), "hotpatch_calendar")
    (warning,) = found.warnings
    assert warning == (
        f"Release calendar: ws2022 KB5094128: kind is hotpatch by hotpatch_calendar, but baseline by {path}; "
        "hotpatch is taken."
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("releases: [", "hotpatch_calendar_file"),
        ("a: b: c", "line 1"),
        ("\x00", "hotpatch_calendar_file"),
        ("x: &a [1]\ny: *a\n", "YAML aliases"),
        ("- a\n", "must be a mapping"),
        ("", "must be a mapping"),
        ("[" * 10_000, "hotpatch_calendar_file"),
        ('{"releases": [{"product": "ws2022"}]}', "hotpatch_calendar_file.releases[0].kind"),
        ("!!python/object/apply:os.system ['true']", "hotpatch_calendar_file"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "c.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_calendar({"calendar_file": str(path)})
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_calendar({"calendar_file": str(tmp_path / "none.json")})
    with pytest.raises(InputError, match="directory"):
        load_calendar({"calendar_file": str(tmp_path)})
    path = tmp_path / "c.json"
    path.write_text(AS_JSON, encoding="utf-8")
    monkeypatch.setattr(calendars, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="at most 10 bytes"):
        load_calendar({"calendar_file": str(path)})


def test_without_pyyaml_json_is_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "yaml", None)
    path = tmp_path / "c.json"
    path.write_text(AS_JSON, encoding="utf-8")
    assert load_calendar({"calendar_file": str(path)}).calendar.find("ws2022", "KB5094128")
    path.write_text(AS_YAML, encoding="utf-8")
    with pytest.raises(InputError, match="PyYAML"):
        load_calendar({"calendar_file": str(path)})


def test_plan_waves_and_verification_go_by_it() -> None:
    """Another KB for May than the built-in calendar's, and an out-of-band update that it does not know."""
    rows = [
        {"product": "ws2025", "kind": "hotpatch", "date": "2026-05-12", "kb": "KB5087999", "ubr": 32800},
        {
            "product": "ws2025",
            "kind": "out_of_band",
            "date": "2026-05-01",
            "kb": "KB5086000",
            "ubr": 32740,
            "keeps_track": False,
        },
    ]
    calendar = load_calendar({"calendar": {"releases": rows}}).calendar
    machines = {rid(name).lower(): machine(name) for name in ("a", "b")}
    wanted = wishes(wave_sizes=["100%"], calendar=calendar)
    rollout = make_plan({name: rid(name) for name in ("a", "b")}, machines, wanted, NOW)
    assert {tuple(record.kbs) for record in rollout.machines.values()} == {("KB5087999",)}
    knocked_off = guest("b", kbs=Fact.of(("KB5082063", "KB5086000")))
    wave = open_wave(rollout, ["a", "b"], NOW, lambda key: None, calendar=calendar)
    found = preflight(wave, machines, {"a": guest("a"), "b": knocked_off})
    assert found.start == ["a"]
    assert (rollout.machines[rid("b").lower()].track, rollout.machines[rid("b").lower()].verdict) == (
        "off_track",
        "not_started",
    )
    row = verify("b", machines[rid("b").lower()], knocked_off, Releases(NOW, calendar=calendar))
    assert (row["track"], row["release"]["kb"]) == ("off_track", "KB5087999")
    assert "KB5094125 (baseline of 2026-06-09)" in row["track_reason"]
    unaware = verify("b", machines[rid("b").lower()], knocked_off, Releases(NOW))
    assert (unaware["track"], unaware["release"]["kb"]) == ("on_track", "KB5087423")


def test_an_unknown_month_is_refused_by_a_plan_until_somebody_says_what_it_is() -> None:
    june = datetime(2026, 6, 20, tzinfo=timezone.utc)
    machines = {rid("a").lower(): machine("a", "ws2022")}
    with pytest.raises(InputError, match="hotpatch_calendar_file"):
        make_plan({"a": rid("a")}, machines, wishes(), june)
    row = {"product": "ws2022", "kind": "baseline", "date": "2026-06-09", "kb": "KB5094128"}
    calendar = load_calendar({"calendar": {"releases": [row]}}).calendar
    rollout = make_plan({"a": rid("a")}, machines, wishes(calendar=calendar), june)
    assert rollout.machines[rid("a").lower()].kbs == ["KB5094128"]
