# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bucket as it can be known from answers, and against services whose buckets nobody told it about."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.pacing import ARM_SIZES, COMPUTE_SIZES
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.token_bucket import (
    LEAST_WAIT_SECONDS,
    PATIENCE_SECONDS,
    BucketSize,
    TokenBucket,
)

from .bucket_simulator import Service, simulate

STEPPED = BucketSize(600, 200, 60)
WRITES = ARM_SIZES["writes"]
READS = ARM_SIZES["reads"]
PATCHES = COMPUTE_SIZES["VMGuestPatchOperation"][0]


def ask(bucket: TokenBucket, now: float, remaining: float | None) -> None:
    """One request, answered at once."""
    assert bucket.wait(now) == 0
    bucket.answered(bucket.take(now), now, remaining)


def burst(bucket: TokenBucket, now: float) -> int:
    """How many requests go at *now* before one has to wait; none is answered."""
    sent = 0
    while bucket.wait(now) <= 0:
        bucket.take(now)
        sent += 1
    return sent


def test_the_first_request_goes_ahead_and_its_answer_lets_the_others_follow() -> None:
    bucket = TokenBucket(STEPPED, 0.0)
    assert burst(bucket, 0) == 1
    bucket = TokenBucket(STEPPED, 0.0)
    ask(bucket, 0, 479)
    # The last dozen go one by one: others draw too.
    assert burst(bucket, 0) == 479 - 8


def test_a_machines_own_bucket_is_used_to_its_end_and_refills_in_whole_steps() -> None:
    bucket = TokenBucket(BucketSize(6, 2, 60), 100.0, shared=False)
    for left in (5, 4, 3, 2, 1, 0):
        ask(bucket, 100, left)
    assert bucket.wait(100) == 60
    assert bucket.wait(159) == 1
    ask(bucket, 160, 1)


def test_requests_in_flight_are_taken_off_until_their_own_answers_come() -> None:
    bucket = TokenBucket(STEPPED, 0.0)
    ask(bucket, 0, 99)
    turns = [bucket.take(0) for _number in range(10)]
    bucket.answered(turns[9], 1, 95)  # served in the middle, answered first
    assert bucket.level == 95 - 9
    for turn, left in zip(turns[:9], (98, 97, 96, 94, 93, 92, 91, 90, 89), strict=True):
        bucket.answered(turn, 1, left)
    assert bucket.level == 89


def test_an_answer_is_not_believed_for_long() -> None:
    bucket = TokenBucket(STEPPED, 0.0)
    ask(bucket, 0, 400)
    assert burst(bucket, 30) == 1


def test_nobody_waits_for_an_answer_for_ever() -> None:
    bucket = TokenBucket(STEPPED, 0.0)
    bucket.take(0)
    assert bucket.wait(1) == PATIENCE_SECONDS - 1
    assert bucket.wait(PATIENCE_SECONDS) == 0


def test_without_numbers_ever_more_are_trusted() -> None:
    bucket = TokenBucket(STEPPED, 0.0)
    for _number in range(3):
        ask(bucket, 0, None)
    assert burst(bucket, 0) == 8


def test_a_refusal_holds_everybody_and_tells_when_it_refills() -> None:
    bucket = TokenBucket(STEPPED, 0.0)
    ask(bucket, 0, 0)
    assert bucket.wait(1) == 0, "when it refills is not known: one tries"
    bucket.take(1)
    bucket.give_back()
    bucket.hold(1, 17)
    assert bucket.wait(2) == 16
    assert bucket.wait(17.9999) == LEAST_WAIT_SECONDS
    assert burst(bucket, 18) == 1
    ask(TokenBucket(STEPPED, 0.0), 18, 159)


def test_numbers_that_rise_tell_when_it_refills() -> None:
    bucket = TokenBucket(STEPPED, 0.0)
    ask(bucket, 0, 100)
    ask(bucket, 1, 99)
    ask(bucket, 2, 258)
    for left in range(257, -1, -1):
        ask(bucket, 3, left)
    assert bucket.wait(3) == 2 + 60 - 3


def test_a_refill_that_was_expected_too_early_is_found_out() -> None:
    bucket = TokenBucket(STEPPED, 0.0)
    ask(bucket, 0, 50)
    ask(bucket, 61, 49)
    for left in range(48, -1, -1):
        ask(bucket, 61, left)
    assert bucket.wait(61) == 0, "it tries, and the refusal will tell"


def test_a_smaller_refill_is_learnt() -> None:
    bucket = TokenBucket(STEPPED, 0.0)
    ask(bucket, 0, 0)
    ask(bucket, 61, 79)
    assert bucket.refill == 80


def test_a_larger_bucket_is_learnt() -> None:
    bucket = TokenBucket(WRITES, 0.0)
    ask(bucket, 0, 1199)
    assert (bucket.capacity, bucket.refill) == (1200, 60)


def test_a_quota_that_comes_back_as_a_whole() -> None:
    bucket = TokenBucket(ARM_SIZES["queries"], 0.0)
    for left in range(14, -1, -1):
        ask(bucket, 0, left)
        bucket.settle_window(0, left, 3)
    assert bucket.wait(1) == 2
    ask(bucket, 3, 14)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("others", [0, 0.3])
@pytest.mark.parametrize("start", [1, 0.5, 0])
@pytest.mark.parametrize("factor", [1, 0.8, 0.5, 2])
def test_a_thousand_machines_in_time_with_hardly_a_refusal(
    factor: float, start: float, others: float, seed: int
) -> None:
    """Assess and install: the common patch bucket behind the gateway's writes, neither of the documented size."""
    region = Service(600 * factor, 200 * factor, 60, 37 * seed % 60, others, start)
    pairs = [(WRITES, Service(200 * factor, 10 * factor, 1)), (PATCHES, region)]
    best = max(service.optimum(2000) for _size, service in pairs)
    outcome = simulate(pairs, 2000, seed=seed)
    assert outcome.refused < 0.01 * outcome.sent
    assert outcome.seconds < 1.10 * best


@pytest.mark.parametrize("latency", [(0.05, 0.3), (0.2, 2.0)])
@pytest.mark.parametrize("factor", [1, 0.8, 0.5, 0.2])
def test_reads_at_the_pace_of_a_bucket_that_drips(factor: float, latency: tuple[float, float]) -> None:
    service = Service(250 * factor, 25 * factor, 1)
    best = service.optimum(3000)
    outcome = simulate([(READS, service)], 3000, latency=latency)
    assert outcome.refused < 0.01 * outcome.sent
    assert outcome.seconds < 1.10 * best


def test_a_service_that_tells_nothing_is_still_not_hammered() -> None:
    pairs = [(WRITES, Service(160, 8, 1)), (PATCHES, Service(480, 160, 60, 31, 0.3))]
    outcome = simulate(pairs, 1000, told=False)
    assert outcome.refused < 0.1 * outcome.sent
