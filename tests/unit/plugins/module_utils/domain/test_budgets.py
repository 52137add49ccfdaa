# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which budget is spent, by tables."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.budgets import Ended, Scope, counts, first_spent
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import VERDICTS
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.waves import parse_budget


def machines(good: int, *bad: str) -> list[Ended]:
    return [Ended(f"g{number}", "patched") for number in range(good)] + [
        Ended(f"b{number}", verdict) for number, verdict in enumerate(bad)
    ]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_what_counts(verdict: str) -> None:
    bad = {"restarted_unexpectedly", "withheld", "not_offered", "failed", "unproven", "unreachable"}
    assert counts(verdict) is (verdict in bad)
    assert counts(verdict, hook_failed=True)
    assert counts(verdict, "hook_failed")


def test_no_verdict_does_not_count() -> None:
    assert not counts(None)


@pytest.mark.parametrize(
    ("budget", "good", "bad", "stops"),
    [
        ("3", 10, 3, False),
        ("3", 10, 4, True),
        ("0", 10, 0, False),
        ("0", 10, 1, True),
        ("10%", 45, 5, False),
        ("10%", 44, 6, True),
        # A tenth of five machines is no machine at all.
        ("10%", 5, 0, False),
        ("10%", 4, 1, True),
        ("100%", 0, 5, False),
    ],
)
def test_the_rule(budget: str, good: int, bad: int, stops: bool) -> None:
    scope = Scope("ring", "ring canary", parse_budget(budget), machines(good, *["failed"] * bad))
    assert (first_spent([scope]) is not None) is stops


def test_the_first_scope_that_is_spent_is_told() -> None:
    fleet = machines(8, "failed", "unreachable")
    scopes = [
        Scope("wave", "wave 2", None, fleet),
        Scope("ring", "ring broad", parse_budget("2"), fleet),
        Scope("rollout", "the rollout", parse_budget("1"), fleet),
    ]
    spent = first_spent(scopes)
    assert spent is not None and spent.scope == "rollout"
    assert "2 of 10 machines ended badly: b0 (failed), b1 (unreachable)" in spent.reason
    assert "the rollout, 1" in spent.reason


def test_the_brake_counts_restarts_alone() -> None:
    fleet = machines(8, "failed", "restarted_unexpectedly")
    brake = Scope("restarts", "ring canary", parse_budget("0"), fleet)
    spent = first_spent([Scope("rollout", "the rollout", parse_budget("100%"), fleet), brake])
    assert spent is not None and [item.host for item in spent.bad] == ["b1"]
    assert first_spent([Scope("restarts", "ring canary", parse_budget("1"), fleet)]) is None


def test_many_are_shortened() -> None:
    spent = first_spent([Scope("wave", "wave 1", parse_budget("0"), machines(0, *["failed"] * 12))])
    assert spent is not None and spent.reason.endswith("and 2 more")
