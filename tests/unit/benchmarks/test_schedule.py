# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The optimum's arithmetic, checked by hand-made cases, by brute force over all orders, and against its own bound."""

from __future__ import annotations

import itertools
import random

import pytest
from schedule import Limit, Limits, Work, allowed_by, lower_bound, plan

PLENTY = Limit(1000, 1000, 1, 1000)


def limits(*starts: Limit, polls: Limit = PLENTY) -> Limits:
    return Limits(starts or (PLENTY,), (polls,))


def test_with_plenty_of_tokens_the_longest_way_is_the_makespan() -> None:
    works = [Work(100, 200), Work(50, 900), Work(10, 10)]
    assert plan(works, limits(), 30).makespan == lower_bound(works, limits(), 30) == 950
    assert plan(works, limits(), 30).finished == [300, 950, 20]


def test_refills_come_at_whole_steps_of_the_absolute_clock() -> None:
    # One token now, one at second 60, one at 120 ...: start at second 50.
    slow = Limit(6, 1, 60, 1)
    schedule = plan([Work(5, 100)], limits(slow), 50)
    assert schedule.makespan == 10 + 100  # assessed at once, installed at second 60


def test_foresight_sends_the_longest_first() -> None:
    works = [Work(1, 10), Work(1, 1000)]
    slow = limits(Limit(1, 1, 60, 1))
    assert plan(works, slow, 0).makespan == 60 + 1000
    assert plan(works, slow, 0, foresight=False).makespan == 180 + 1000


def test_a_barrier_waits_for_the_slowest_assessment() -> None:
    works = [Work(10, 100), Work(300, 1)]
    assert plan(works, limits(), 0).makespan == 301
    assert plan(works, limits(), 0, barrier=True).makespan == 400


def test_polls_draw_on_their_own_limit() -> None:
    works = [Work(10, 100)] * 3
    one_a_minute = Limit(1, 1, 60, 1)
    # Assessments end at 10 and are seen at 10, 60, 120; installations end at 110, 160, 220, and queue behind them.
    assert plan(works, limits(polls=one_a_minute), 0).makespan == 300


def test_a_bucket_never_holds_more_than_its_capacity() -> None:
    works = [Work(600, 10)] * 4
    # After ten minutes of rest four tokens are there, not forty.
    assert plan(works, limits(Limit(4, 4, 60, 4)), 0).makespan == 610
    assert plan(works, limits(Limit(4, 1, 60, 4)), 0).makespan == 610
    assert plan(works, limits(Limit(2, 1, 60, 2)), 0).makespan == 730


def test_shares_and_drains_round_down() -> None:
    limit = Limit(600, 200, 60, 600)
    assert limit.shared(0.3).level == 420
    assert limit.shared(0.3).refill == pytest.approx(140)
    assert limit.shared(0.3).drained(0.5).level == 210
    assert Limit(5, 1, 1, 5).drained(0.5).level == 2


def brute_force(works: list[Work], allowed: Limits) -> float:
    """The best of all orders in which requests can be sent, each as soon as its turn allows."""
    jobs = [(machine, kind) for machine in range(len(works)) for kind in (0, 1)]
    best = float("inf")
    for order in itertools.permutations(jobs):
        if any(order.index((machine, 1)) < order.index((machine, 0)) for machine in range(len(works))):
            continue
        best = min(best, in_order(order, works, allowed))
    return best


def in_order(order: tuple[tuple[int, int], ...], works: list[Work], allowed: Limits) -> float:
    sent: list[float] = []
    ends: dict[tuple[int, int], float] = {}
    for machine, kind in order:
        moment = max(sent[-1] if sent else 0.0, ends[machine, 0] if kind else 0.0)
        while not allowed_by(allowed.starts, [*sent, moment]):
            moment = (moment // 60 + 1) * 60
        sent.append(moment)
        ends[machine, kind] = moment + (works[machine].install if kind else works[machine].assess)
    return max(ends.values())


@pytest.mark.parametrize("seed", range(12))
def test_against_all_orders(seed: int) -> None:
    draw = random.Random(seed)
    works = [Work(draw.choice([20, 70, 130]), draw.choice([50, 200, 700])) for dummy in range(3)]
    allowed = limits(Limit(draw.choice([1, 2]), 1, 60, 1))
    best = brute_force(works, allowed)
    bound = lower_bound(works, allowed, 0)
    found = plan(works, allowed, 0).makespan
    assert bound <= best + 1e-6
    assert best <= found + 1e-6  # it can be done, so it is no better than the best


@pytest.mark.parametrize("seed", range(5))
def test_bound_and_schedule_meet_at_scale(seed: int) -> None:
    draw = random.Random(seed)
    works = [Work(draw.lognormvariate(4.8, 0.2), draw.lognormvariate(5.8, 0.5)) for dummy in range(1000)]
    allowed = Limits((Limit(600, 200, 60, 600), Limit(200, 10, 1, 200)), (Limit(250, 25, 1, 250),))
    bound, found = lower_bound(works, allowed, 17), plan(works, allowed, 17).makespan
    assert bound <= found <= bound * 1.05
    assert plan(works, allowed, 17, foresight=False).makespan >= bound


def test_allowed_by_tells_what_a_bucket_would_refuse() -> None:
    limit = [Limit(2, 1, 60, 2)]
    assert allowed_by(limit, [10, 20, 61])
    assert not allowed_by(limit, [10, 20, 59])
    assert allowed_by(limit, [])
