# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of next_steps: nobody is left with an error and no next step."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain import eligibility
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.next_steps import OPEN, next_step
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import VERDICTS

SETTLED = {"patched", "already_current", "patched_restarted_as_planned", "patched_by_platform"}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_each_verdict_has_a_next_step_but_for_those_at_the_release(verdict: str) -> None:
    assert bool(next_step(verdict, "a code nobody knows")) is (verdict not in SETTLED)


@pytest.mark.parametrize("code", eligibility.CODES)
def test_each_reason_for_being_left_out_has_one(code: str) -> None:
    assert next_step("skipped", code).endswith(".")


@pytest.mark.parametrize(
    ("verdict", "code", "says"),
    [
        ("not_started", "restart_pending", "Restart the machine in a window of its own"),
        ("withheld", "restarting_patch_offered", "in a window of its own"),
        ("not_started", "off_track", "next baseline"),
        ("not_started", "baseline_due", "baseline"),
        ("not_started", "enrolment_unknown", "winfleet.hotpatch.verify"),
        ("not_started", "not_proven", "hotpatch_unproven_products"),
        ("skipped", "stopped", "winfleet.hotpatch.catch_up"),
        ("failed", "window_exceeded", "hotpatch_maximum_duration"),
        ("failed", "0x80240022", "hotpatch_retry"),
        ("a new verdict", "a new code", "winfleet.hotpatch.verify"),
        (None, "selected", "never sent twice"),
        (None, "planned", OPEN),
        ("patched", "proven", ""),
        ("patched", "wrong_guest", ""),
    ],
)
def test_the_reason_decides_before_the_verdict(verdict: str | None, code: str, says: str) -> None:
    assert says in next_step(verdict, code)
    assert bool(says) is bool(next_step(verdict, code))
