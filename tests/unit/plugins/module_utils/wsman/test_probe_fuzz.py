# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole probe against answers damaged at random (the envelope parser by itself is in test_envelope.py)."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import SystemClock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.probe import probe

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

READS = ("Win32_OperatingSystem", "Win32_DeviceGuard", "Win32_ComputerSystemProduct", "Win32_QuickFixEngineering")
MORE = ("Pull", "Release", "IsPendingReboot", "UBR", "Name", "HotPatchTableSize", "Auto Update")


@settings(max_examples=150, deadline=3000, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_any_answer_makes_the_probe_raise(windows: Any, data: Any) -> None:
    """Answers cut, doubled, altered and replaced: the reading ends, within its requests, and what is lost says why."""
    healthy = windows()
    damaged = windows()

    def spoil(what: str) -> Any:
        def answer(request: Any) -> bytes:
            good = healthy.send(request)
            kind = data.draw(st.sampled_from(("cut", "twice", "swap", "none", "bytes")))
            if kind == "cut":
                return good[: data.draw(st.integers(0, len(good)))]
            if kind == "twice":
                return good + good
            if kind == "swap":
                at = data.draw(st.integers(0, len(good) - 1))
                return good[:at] + data.draw(st.binary(max_size=6)) + good[at + data.draw(st.integers(0, 6)) :]
            return b"" if kind == "none" else bytes(data.draw(st.binary(max_size=300)))

        return answer

    for what in data.draw(st.sets(st.sampled_from(READS + MORE), min_size=1, max_size=4)):
        damaged.overrides[what] = spoil(what)
    facts = probe(damaged, SystemClock(), "core")
    assert facts.round_trips <= 12 and len(damaged.asked) <= 12
    assert facts.reachable or facts.why
    for one in fields(facts):
        fact = getattr(facts, one.name)
        if isinstance(fact, Fact):
            assert fact.known or fact.why, one.name
