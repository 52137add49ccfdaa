# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the report's figures: who counts where, what is not known, and what comes first."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import COUNTS_AGAINST_BUDGET, VERDICTS
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import report_figures
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_report import machine_row
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Record

GUEST = {"reachable": True, "build": "26100.32772", "boot_time": "2026-04-20T00:00:00Z", "skew_seconds": 0.0}


def row(verdict: str | None = "patched", kb: str | None = "KB5087423", **other: Any) -> dict[str, Any]:
    """A row of the report as rollout_report makes it."""
    record = Record("a", "/subscriptions/1/x", "a", verdict=verdict, reason_code="code", reason="why")
    release = CALENDAR.find("ws2025", kb) if kb else None
    record.release = release.to_dict() if release else None
    for name, value in other.items():
        setattr(record, name, value)
    return machine_row(record, verdict in COUNTS_AGAINST_BUDGET)


@pytest.mark.parametrize("verdict", [*VERDICTS, None, "a new verdict"])
def test_each_verdict_is_in_one_group(verdict: str | None) -> None:
    group = report_figures.group_of(verdict, verdict in COUNTS_AGAINST_BUDGET)
    assert group in report_figures.GROUPS
    assert (group == "attention") is (verdict in COUNTS_AGAINST_BUDGET or verdict == "a new verdict")
    assert (group == "claimed") is (verdict == "claimed")


def test_a_claim_is_no_compliance_and_the_left_out_are_no_failure() -> None:
    rows = [row(), row("claimed"), row("skipped"), row("skipped")]
    total = report_figures.compliance(rows)["total"]
    assert (total["machines"], total["at_release"], total["claimed"], total["left_out"]) == (4, 1, 1, 2)
    assert total["percent_at_release"] == 50.0


def test_compliance_is_never_rounded_up() -> None:
    rows = [*[row()] * 9999, row("failed")]
    assert report_figures.compliance(rows)["total"]["percent_at_release"] == 99.9
    assert report_figures.compliance([row("skipped")])["total"]["percent_at_release"] is None
    assert report_figures.compliance([])["total"]["percent_at_release"] is None


def test_rings_keep_their_order_and_an_unknown_place_is_named_so() -> None:
    rows = [
        row(ring="pilot", location="westeurope"),
        row("failed", ring="broad", location="northeurope"),
        row(ring="pilot", location=None),
        row(ring=None, location="westeurope"),
    ]
    found = report_figures.compliance(rows)
    assert [item["name"] for item in found["by_ring"]] == ["pilot", "broad", "unknown"]
    assert [item["name"] for item in found["by_region"]] == ["northeurope", "unknown", "westeurope"]
    assert [item["machines"] for item in found["by_region"]] == [1, 1, 2]
    assert found["by_ring"][1]["attention"] == 1


@pytest.mark.parametrize(
    ("verdict", "kb", "counted"),
    [
        ("patched", "KB5087423", {"avoided"}),
        ("patched", "KB5082063", set()),
        ("patched", None, set()),
        ("claimed", "KB5087423", set()),
        ("already_current", "KB5087423", set()),
        ("patched_by_platform", "KB5087423", set()),
        ("restarted_unexpectedly", "KB5087423", {"unexpected"}),
        ("patched_restarted_as_planned", "KB5082063", {"planned"}),
    ],
)
def test_only_proven_restarts_are_avoided(verdict: str, kb: str | None, counted: set[str]) -> None:
    found = report_figures.restarts([row(verdict, kb)])
    assert {name for name, number in found.items() if number} == counted


def test_a_release_that_no_calendar_knows_avoided_nothing_for_certain() -> None:
    named = row()
    named["release"] = {**named["release"], "kb": "KB9999999"}
    found = report_figures.restarts([named])
    assert (found["avoided"], found["kind_unknown"]) == (0, 1)


@pytest.mark.parametrize(
    ("guest", "spared"),
    [
        (GUEST, 1),
        ({**GUEST, "boot_time": "2026-05-13T00:00:00Z"}, 0),
        # By the guest's clock it booted before the release came out; its clock is a month behind.
        ({**GUEST, "skew_seconds": -30 * 86400.0}, 0),
        ({**GUEST, "skew_seconds": None}, 0),
        ({**GUEST, "build": None}, 0),
        ({**GUEST, "build": "20348.32772"}, 0),
        ({**GUEST, "boot_time": None}, 0),
        ({"reachable": False, "why": "x", "read_at": "x"}, 0),
        (None, 0),
    ],
)
def test_restarts_spared_since_the_boot_want_every_fact(guest: dict[str, Any] | None, spared: int) -> None:
    assert report_figures.restarts([row("already_current", before=guest)])["avoided_since_boot"] == spared


def test_load_is_compared_only_where_both_readings_are() -> None:
    def pair(before: float | None, after: float | None, memory: int = 1) -> dict[str, Any]:
        return row(
            before={"reachable": True, "cpu_percent": before, "free_memory_kb": memory},
            after={"reachable": True, "cpu_percent": after, "free_memory_kb": memory * 2},
        )

    found = report_figures.load([pair(10, 30), pair(20, 25), pair(50, 40), pair(None, 99), pair(5, None), row()])
    cpu = found["cpu_percent"]
    assert (cpu["machines"], cpu["median_before"], cpu["median_after"]) == (3, 20, 30)
    assert cpu["p95_before"] == pytest.approx(47) and cpu["p95_after"] == pytest.approx(39)
    assert found["free_memory_kb"]["machines"] == 5
    assert [(item["cpu_before"], item["cpu_after"]) for item in found["heaviest"]] == [(10, 30), (20, 25)]
    assert report_figures.load([row()])["cpu_percent"] == {"machines": 0}


def test_problems_come_by_reason_with_the_worst_first_and_the_next_step() -> None:
    rows = [
        row("not_started", reason_code="restart_pending"),
        row("not_started", reason_code="restart_pending"),
        row("failed", reason_code="window_exceeded"),
        row("patched"),
        row("skipped"),
        row(None, reason_code=None, reason=None, stage="selected"),
        *[row("failed", reason_code="status_failed")] * 25,
    ]
    found = report_figures.problems(rows)
    told = [(item["verdict"], item["reason_code"], item["machines"]) for item in found]
    assert told == [
        ("failed", "status_failed", 25),
        ("failed", "window_exceeded", 1),
        ("not_started", "restart_pending", 2),
        ("no_verdict", "selected", 1),
    ]
    assert len(found[0]["hosts"]) == report_figures.NAMED_HOSTS
    assert all(item["next_step"] for item in found)
    assert "never sent twice" in found[3]["next_step"]


def test_what_the_platform_may_still_do() -> None:
    rows = [
        row("not_started", wave=3),
        row(None, wave=3, stage="planned"),
        row("not_started", wave=None),
        row("patched_by_platform", wave=1),
        row("failed", wave=1),
        {**row("not_started", wave=4), "held": "2026-05-13T01:00:00Z"},
    ]
    assert report_figures.platform(rows) == {"patched": 1, "held": 1, "exposed": 2}
