# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the rollout's end: closing, counting, report and state on disk."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import COUNTS_AGAINST_BUDGET, VERDICTS
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_report, rollout_state
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Rollout, StateError

from .rollout_fleet import NOW, ids, keyed, machine, wishes

STAMP = "2026-05-13T02:00:00Z"


def rollout(*names: str) -> Rollout:
    return make_plan(ids(*names), keyed(*map(machine, names)), wishes(wave_sizes=["1"]), NOW)


def test_closing_gives_everybody_one_verdict_and_names_the_lost() -> None:
    plan = rollout("a", "b", "c", "d")
    records = plan.in_scope
    records[0].judge("patched", "proven", "x")
    plan.wave(2).started = plan.wave(3).started = STAMP
    records[1].stage = "selected"
    closing = rollout_report.close(plan, STAMP)
    assert [record.verdict for record in records] == ["patched", "unproven", "not_started", "not_started"]
    assert closing.lost == ["b", "c", "d"]
    assert all(record.verdict in VERDICTS for record in records)
    report = rollout_report.build(plan, closing.lost, COUNTS_AGAINST_BUDGET)
    assert "3 machines of the plan were lost on the way: b, c, d" in report["failure"]


def test_what_a_stop_kept_from_starting_is_not_lost() -> None:
    plan = rollout("a", "b", "c")
    plan.in_scope[0].judge("failed", "x", "x")
    plan.wave(1).started = STAMP
    plan.stop = {"wave": 1, "code": "error_budget", "reason": "the error budget of 0 is used up"}
    closing = rollout_report.close(plan, STAMP)
    assert closing.lost == [] and plan.status == "stopped"
    assert [record.reason_code for record in plan.in_scope] == ["x", "rollout_stopped", "rollout_stopped"]
    report = rollout_report.build(plan, [], COUNTS_AGAINST_BUDGET)
    assert report["failure"] == "the error budget of 0 is used up"
    assert report["counting_against_budget"] == 1


def test_a_limited_run_leaves_the_rest_open() -> None:
    plan = rollout("a", "b")
    plan.scope = plan.scope[:1]
    plan.in_scope[0].judge("patched", "proven", "x")
    assert rollout_report.close(plan, STAMP).lost == []
    assert plan.status == "running"
    assert [row["host"] for row in rollout_report.build(plan, [], COUNTS_AGAINST_BUDGET)["machines"]] == ["a"]


@pytest.mark.parametrize(
    ("changed", "begins"), [(False, "nothing was changed: 1 already_current"), (True, "1 machines: ")]
)
def test_the_summary_says_when_nothing_was_changed(changed: bool, begins: str) -> None:
    plan = rollout("a")
    plan.in_scope[0].judge("already_current", "at_release", "x")
    plan.changed = changed
    assert rollout_report.build(plan, [], COUNTS_AGAINST_BUDGET)["msg"].startswith(begins)


def test_what_was_lost_can_be_told_from_the_state_later() -> None:
    plan = rollout("a", "b", "c")
    plan.in_scope[0].judge("patched", "proven", "x")
    plan.in_scope[1].stage = "selected"
    assert rollout_report.lost_of(plan) == []
    closing = rollout_report.close(plan, STAMP)
    assert closing.lost == rollout_report.lost_of(plan) == ["b", "c"]


def test_a_large_fleet_shows_on_the_terminal_only_who_needs_a_person() -> None:
    names = [f"m{number}" for number in range(rollout_report.TERMINAL_ROWS + 1)]
    plan = rollout(*names)
    for record in plan.in_scope:
        record.judge("patched", "proven", "x")
    plan.in_scope[7].judge("failed", "x", "x")
    lines = rollout_report.table(rollout_report.build(plan, [], COUNTS_AGAINST_BUDGET))
    assert [line.split()[0] for line in lines] == ["MACHINE", "m7", "and"]
    assert lines[-1] == f"and {len(names) - 1} more machines, in the report"


def test_text_from_machines_cannot_draw_on_the_terminal() -> None:
    plan = rollout("a")
    plan.in_scope[0].judge("failed", "x", "evil \x1b[2J\nname\u202e")
    report = rollout_report.build(plan, [], COUNTS_AGAINST_BUDGET)
    for line in [*rollout_report.table(report), *rollout_report.text(report).splitlines()]:
        assert "\x1b" not in line and "\u202e" not in line
    assert any(line.endswith("evil  [2J name ") for line in rollout_report.table(report))


def test_the_state_survives_the_disk(tmp_path: Path) -> None:
    plan = rollout("a", "b")
    plan.in_scope[0].judge("patched", "proven", "x")
    rollout_state.ensure_state_dir(str(tmp_path / "state"))
    rollout_state.save(str(tmp_path / "state"), plan, STAMP)
    found = rollout_state.load(str(tmp_path / "state"))
    assert found == plan and found is not plan
    path = tmp_path / "state" / "rollout.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == ["rollout.json"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', "{"])
def test_a_foreign_state_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "rollout.json").write_text(text, encoding="utf-8")
    with pytest.raises(StateError, match=r"rollout\.json"):
        rollout_state.load(str(tmp_path))


def test_a_failed_write_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = rollout("a")
    rollout_state.save(str(tmp_path), plan, STAMP)

    def broken(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rollout_state.os, "fsync", broken)
    with pytest.raises(StateError, match="No space left"):
        rollout_state.save(str(tmp_path), plan, "later")
    monkeypatch.undo()
    assert json.loads((tmp_path / "rollout.json").read_text(encoding="utf-8"))["updated"] == STAMP
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("reason_code", "limit", "fails"),
    [
        ("guest_unreachable", "0", True),
        ("guest_unreachable", "1", False),
        ("guest_unreachable", "50%", False),
        ("guest_unreachable", "49%", True),
        ("rollout_stopped", "0", False),
    ],
)
def test_machines_that_were_not_started_have_a_limit_of_their_own(reason_code: str, limit: str, fails: bool) -> None:
    plan = rollout("a", "b")
    plan.in_scope[0].judge("patched", "proven", "x")
    plan.in_scope[1].judge("not_started", reason_code, "x")
    failure = rollout_report.build(plan, [], COUNTS_AGAINST_BUDGET, limit)["failure"]
    assert failure == (f"1 machines were not started, hotpatch_not_started_limit allows {limit}" if fails else "")
