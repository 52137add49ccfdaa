# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain of reasons of one machine: in order, whole, and of this machine alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import COUNTS_AGAINST_BUDGET
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_state, rollout_wave, rollout_why
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Rollout

from .rollout_fleet import KB_2025, NOW, guest, ids, keyed, machine, rid, wishes


def rollout() -> Rollout:
    machines = keyed(machine("a"), machine("b"), machine("off", power="deallocated"))
    return make_plan(ids("a", "b", "off"), machines, wishes(wave_sizes=["100%"]), NOW)


def chain(of: Rollout, host: str, events: list[dict[str, Any]] | None = None) -> list[tuple[str, str]]:
    found = rollout_why.why(of, rollout_why.find(of, host), events or [], COUNTS_AGAINST_BUDGET)
    return [(line.step, line.text) for line in found]


def steps(told: list[tuple[str, str]]) -> list[str]:
    return list(dict.fromkeys(step for step, dummy in told))


def test_a_machine_that_was_left_out() -> None:
    told = chain(rollout(), "off")
    assert steps(told) == [
        "rollout", "release", "ring", "wave", "placement", "preflight", "selection", "installation", "verdict",
    ]  # fmt: skip
    assert "left out when the plan was made" in dict(told)["wave"]
    assert dict(told)["verdict"].startswith("skipped (stopped), which does not count")


def test_preflight_leaves_its_facts_behind() -> None:
    plan = rollout()
    run = rollout_wave.open_wave(plan, ("a", "b"), NOW, lambda key: None)
    readings = {"a": guest("a"), "b": guest("b", pending_restart=rollout_wave.Fact.of(True))}
    rollout_wave.preflight(run, keyed(machine("a"), machine("b")), readings)
    told = dict(chain(plan, "b"))
    assert told["enrolment"].startswith("enrolled") and told["track"].startswith("on_track")
    assert "a restart pending" in told["guest before"] and told["installation"] == "none was sent"
    assert told["verdict"].startswith("not_started (restart_pending)")
    assert "no restart pending" in dict(chain(plan, "a"))["guest before"]
    assert dict(chain(plan, "a"))["verdict"] == "none yet: it is planned"


def test_from_selection_to_verdict_in_order() -> None:
    plan = rollout()
    record = rollout_why.find(plan, "a")
    record.checks = {name: {"state": "x", "why": "y"} for name in ("eligibility", "enrolment", "track")}
    record.before = record.after = {
        "reachable": True, "read_at": "t", "build": "26100.1", "boot_time": "b", "pending_restart": None,
    }  # fmt: skip
    record.selected_at, record.hooks_failed = "s", {"before_machine": "drain", "after_machine": "smoke"}
    record.install = {"outcome": "claimed", "status": "Succeeded", "installation_activity_id": "act", "reason": "ok"}
    record.restart = {"reason": "it waits", "sent": "r", "outcome": "restarted", "settled_at": "z"}
    record.evidence = ["patched: yes", "restarted: no"]
    record.soak = {"well": False, "read_at": "later", "verdict_before": "patched", "reason_before": "proven"}
    record.exposed_from, record.held, record.notes = "e", "h", ["a note"]
    record.judge("failed", "guest_not_patched", "it is not there")
    plan.stop = {"reason": "the budget is used up"}
    told = chain(plan, "a")
    assert steps(told) == [
        "rollout", "release", "ring", "wave", "placement", "exposure", "hold", "note", "eligibility", "enrolment",
        "track", "guest before", "selection", "hook", "installation", "restart", "guest after", "evidence", "soak",
        "stop", "verdict",
    ]  # fmt: skip
    assert ("restart", "sent r (restarted); back and at rest z") in told
    assert told[-1][1] == "failed (guest_not_patched), which counts against the error budget: it is not there"
    assert KB_2025 in dict(told)["release"] and KB_2025 in dict(told)["selection"]


@pytest.mark.parametrize(
    ("restart", "text"),
    [
        ({"reason": "late", "waiting": "late"}, ["late"]),
        ({"reason": "needed", "waiting": "it was not restarted: 403"}, ["needed", "it was not restarted: 403"]),
        ({"reason": "needed", "sent": "r", "outcome": "unknown", "waiting": "silent"},
         ["needed", "sent r (unknown); not at rest: silent"]),
    ],
)  # fmt: skip
def test_a_restart_that_did_not_come_to_its_end(restart: dict[str, Any], text: list[str]) -> None:
    plan = rollout()
    rollout_why.find(plan, "a").restart = restart
    assert [said for step, said in chain(plan, "a") if step == "restart"] == text


def test_only_events_of_this_machine_and_rollout() -> None:
    plan = rollout()
    own = {"rollout_id": plan.rollout_id, "time": "t", "event": "machine_started", "id": rid("a").upper()}
    events = [
        {**own, "kbs": ["KB1", "KB2"]},
        {**own, "id": rid("b")},
        {**own, "rollout_id": "another"},
        {"rollout_id": plan.rollout_id, "time": "t2", "event": "verdict", "host": "a", "reason": "long"},
        {"rollout_id": plan.rollout_id, "time": "t3", "event": "gate"},
    ]
    assert [text for step, text in chain(plan, "a", events) if step == "event"] == [
        "t machine_started (kbs KB1, KB2)", "t2 verdict",
    ]  # fmt: skip


def test_a_machine_is_found_by_any_of_its_names_and_an_unknown_one_is_refused() -> None:
    plan = rollout()
    assert {rollout_why.find(plan, name).host for name in ("a", "A", rid("a"), rid("a").upper())} == {"a"}
    with pytest.raises(InputError, match="hotpatch_why"):
        rollout_why.find(plan, "nobody")


def test_an_earlier_rollout_is_kept_by_its_name(tmp_path: Path) -> None:
    first, second = rollout(), rollout()
    rollout_state.archive(str(tmp_path), first)
    rollout_state.save(str(tmp_path), second, "now")
    for name, expected in (("", second), (second.rollout_id, second), (first.rollout_id, first)):
        found = rollout_state.load_named(str(tmp_path), name)
        assert found is not None and found.rollout_id == expected.rollout_id
    assert rollout_state.load_named(str(tmp_path), "../rollout") is None
