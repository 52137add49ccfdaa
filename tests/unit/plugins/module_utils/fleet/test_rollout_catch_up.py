# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of catching up: who belongs to it, what stands in for the rings before, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_catch_up
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_gate import proven_before
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan, open_waves
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import (
    FINISHED,
    STOPPED,
    Rollout,
    rollout_from_dict,
)

from .rollout_fleet import KB_2025, NOW, ids, keyed, machine, rid, wishes

RINGS = [{"name": "canary", "hosts": ["a"], "waves": ["100%"]}, {"name": "broad", "waves": ["100%"]}]
NAMES = ("a", "b", "c", "d")


def ended(**verdicts: tuple[str, str]) -> Rollout:
    """A rollout of a (canary), b, c and d (broad) that came to its end; a was patched."""
    plan = make_plan(ids(*NAMES), keyed(*map(machine, NAMES)), wishes(rings=RINGS), NOW)
    for record in plan.in_scope:
        record.track = "on_track"
        record.judge(*verdicts.get(record.host, ("patched", "proven")), "so it was")
    plan.status = FINISHED
    return plan


def caught_up(previous: Rollout, *names: str, power: str = "running", **other: Any) -> Rollout:
    wanted = rollout_catch_up.only(ids(*names), previous)
    fleet = keyed(*(machine(name, power=power) for name in names))
    plan = make_plan(wanted, fleet, wishes(rings=RINGS, **other), NOW, previous)
    rollout_catch_up.take_over(plan, previous)
    return plan


@pytest.mark.parametrize(
    ("verdict", "code", "belongs"),
    [
        ("skipped", "stopped", True),
        ("not_started", "guest_unreachable", True),
        ("skipped", "exempt", False),
        ("skipped", "no_ring", False),
        ("not_started", "restart_pending", False),
        ("not_started", "rollout_stopped", False),
        # Something was sent to it: that is proven or joined, never caught up.
        ("unreachable", "guest_silent", False),
        ("failed", "guest_not_patched", False),
        ("patched", "proven", False),
    ],
)
def test_only_who_was_passed_over_belongs_to_it(verdict: str, code: str, belongs: bool) -> None:
    previous = ended(b=(verdict, code))
    assert rollout_catch_up.only(ids(*NAMES, "stranger"), previous) == (ids("b") if belongs else {})


def test_the_last_rollouts_proof_stands_in_for_its_rings() -> None:
    plan = caught_up(ended(b=("skipped", "stopped")), *NAMES)
    assert plan.catch_up and list(plan.machines) == [rid("b").lower()] and open_waves(plan) == [["b"]]
    key = ("ws2025", "on_track")
    assert proven_before(rollout_from_dict(plan.to_dict()), "broad") == {key: frozenset({KB_2025})}
    # It is in no ring's favour that nothing was proven: then nothing is allowed.
    nobody = ended(a=("failed", "x"), b=("skipped", "stopped"), c=("failed", "x"), d=("failed", "x"))
    assert proven_before(caught_up(nobody, *NAMES), "broad") == {}


def test_who_is_still_off_stays_with_the_next_catching_up_and_the_proof_too() -> None:
    plan = caught_up(ended(b=("skipped", "stopped")), "b", power="deallocated")
    assert [(record.verdict, record.reason_code) for record in plan.in_scope] == [("skipped", "stopped")]
    plan.status = FINISHED
    again = caught_up(plan, "b")
    assert open_waves(again) == [["b"]] and again.proven == plan.proven != []


def test_a_newer_release_is_not_caught_up_with() -> None:
    plan = caught_up(ended(b=("skipped", "stopped")), "b", kb_numbers=["KB9999999"])
    record = plan.in_scope[0]
    assert (record.verdict, record.reason_code, record.wave) == ("not_started", "release_moved", None)
    assert open_waves(plan) == [] and "KB9999999" in str(record.reason) and KB_2025 in str(record.reason)


def test_one_that_was_interrupted_goes_on_with_its_own_machines() -> None:
    plan = caught_up(ended(b=("skipped", "stopped"), c=("not_started", "guest_unreachable")), *NAMES)
    assert rollout_catch_up.only(ids(*NAMES), plan) == ids("b", "c")
    resumed = make_plan(ids("b", "c"), keyed(machine("b"), machine("c")), wishes(rings=RINGS), NOW, plan)
    proofs = list(plan.proven)
    rollout_catch_up.take_over(resumed, plan)
    assert resumed is plan and resumed.resumed == 1 and resumed.proven == proofs


def test_a_rollout_that_did_not_end_well_is_not_bypassed() -> None:
    running, stopped = ended(b=("skipped", "stopped")), ended(b=("skipped", "stopped"))
    running.status = "running"
    stopped.status, stopped.stop = STOPPED, {"wave": 1, "code": "error_budget", "reason": "2 of 3 failed"}
    for previous, said in ((running, "was interrupted"), (stopped, "2 of 3 failed"), (None, "without a rollout")):
        with pytest.raises(InputError, match=said):
            rollout_catch_up.only(ids("b"), previous)
