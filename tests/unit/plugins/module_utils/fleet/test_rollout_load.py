# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of limits of load in a wave: who is held back, and what is kept of the load before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.load import LoadLimits
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.proof import boot_time_corrected
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_choose, rollout_judge, rollout_wave
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_choose import Rules
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_entries import brief, reading_of
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import rollout_from_dict

from .rollout_fleet import assessed, guest, installed, keyed, machine, rid
from .test_rollout_wave import NAMES, SILENT, sent_to, wave

LIMITS = LoadLimits(max_cpu_percent=50, min_free_memory_mb=1024)


def reading(cpu: float, free_mb: int, **other: Any) -> GuestFacts:
    load = {"cpu_percent": Fact.of(cpu), "free_memory_kb": Fact.of(free_mb * 1024)}
    return guest("a", **{**load, "total_memory_kb": Fact.of(8192 * 1024), **other})


@pytest.mark.parametrize(
    ("before", "limits", "proof", "expected"),
    [
        (reading(50, 1024), LIMITS, "guest", (None, None)),
        (reading(51, 1024), LIMITS, "guest", ("not_started", "cpu_busy")),
        (reading(50, 1023), LIMITS, "guest", ("not_started", "memory_low")),
        (guest("a"), LIMITS, "guest", ("not_started", "load_unread")),
        (reading(99, 1), LoadLimits(), "guest", (None, None)),
        # A busy guest that has nothing to be installed is not held back, it is current.
        (reading(99, 1, ubr=Fact.of(32772)), LIMITS, "guest", ("already_current", "at_release")),
        (None, LIMITS, "azure", ("not_started", "load_unread")),
    ],
)
def test_a_busy_guest_is_not_started(
    before: GuestFacts | None, limits: LoadLimits, proof: Any, expected: tuple[str | None, str | None]
) -> None:
    run = replace(wave("a", proof=proof), limits=limits)
    going = rollout_wave.preflight(run, keyed(machine("a")), {"a": before} if before else {})
    assert (run.records[0].verdict, run.records[0].reason_code) == expected
    assert going.start == ([] if expected[0] else ["a"])


def test_an_installation_that_was_sent_is_joined_however_busy_its_guest_is() -> None:
    run = replace(wave("a", sent={"a": sent_to("a")}), limits=LIMITS)
    run.records[0].stage, run.records[0].selected_at = "selected", "2026-05-13T01:00:00Z"
    going = rollout_wave.preflight(run, keyed(machine("a")), {"a": reading(99, 1)})
    assert going.join == ["a"] and run.records[0].load is None


@pytest.mark.parametrize("asked", [True, False])
def test_the_load_before_and_after_is_kept_where_it_was_asked_for(asked: bool) -> None:
    run = replace(wave("a"), measure_load=asked)
    rollout_wave.preflight(run, keyed(machine("a")), {"a": reading(10, 4000)})
    # Each step is a task of its own, and only the state on disk goes from one to the next.
    again = rollout_from_dict(run.rollout.to_dict())
    run = replace(run, rollout=again, records=list(again.machines.values()))
    going = rollout_wave.Preflight(start=["a"])
    rollout_choose.select(run, going, {rid("a").lower(): assessed("a")}, "", Rules())
    after = reading(25.5, 3000, ubr=Fact.of(32772), kbs=Fact.of(("KB5082063", "KB5087423")))
    rollout_judge.judge(run, {rid("a").lower(): installed("a")}, "", keyed(machine("a")), {"a": after})
    record = run.records[0]
    assert record.verdict == "patched"
    if not asked:
        assert record.load is None
        return
    assert record.load is not None
    assert (record.load["cpu_percent_change"], record.load["free_memory_mb_change"]) == (15.5, -1000)
    assert record.load["before"]["cpu_percent"] == 10 and record.load["after"]["free_memory_mb"] == 3000
    compared = record.evidence[-1]
    assert "build 26100.32690, now 26100.32772" in compared and "the same boot" in compared


def test_what_is_kept_of_a_reading_is_read_back() -> None:
    full = reading(10, 4000)
    found = reading_of(brief(full))
    assert found is not None and found.reachable
    assert (found.build.value, found.ubr.value, found.read_at) == (full.build.value, full.ubr.value, full.read_at)
    assert boot_time_corrected(found).value == boot_time_corrected(full).value
    # The list of updates is not kept: not read is not "none".
    assert found.kbs.value is None
    half = reading_of(brief(guest("a", ubr=Fact.unreadable("denied"), boot_time=Fact.unreadable("denied"))))
    assert half is not None and half.build.value is None and half.boot_time.value is None
    assert reading_of(brief(SILENT)) is None and reading_of(None) is None


def test_the_reading_before_changes_no_verdict() -> None:
    """One of another boot and build, as of another machine, is evidence and nothing else."""
    run = wave(*NAMES)
    rollout_wave.preflight(run, keyed(*map(machine, NAMES)), {name: guest(name) for name in NAMES})
    entries = {rid(name).lower(): assessed(name) for name in NAMES}
    rollout_choose.select(run, rollout_wave.Preflight(start=list(NAMES)), entries, "", Rules())
    run.records[0].before = {"reachable": True, "read_at": "2020-01-01T00:00:00Z", "build": "1.1", "boot_time": None}
    run.records[1].before = None
    readings = {name: guest(name, current=True) for name in NAMES}
    results = {rid(name).lower(): installed(name) for name in NAMES}
    rollout_judge.judge(run, results, "", keyed(*map(machine, NAMES)), readings)
    assert {record.verdict for record in run.records} == {"patched"}
