# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wave of a baseline month: the word, who is restarted, what is remembered, and the verdict."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.joining import JournalEntry
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import (
    rollout_choose,
    rollout_judge,
    rollout_restart,
    rollout_wave,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_choose import Rules
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_wave import WaveRun

from .rollout_fleet import assessed, guest, ids, installed, keyed, machine, rid, wishes

BEGIN = datetime(2026, 4, 15, 1, 0, tzinfo=timezone.utc)
KB = "KB5082063"
BEFORE: dict[str, Any] = {"ubr": Fact.of(32230), "kbs": Fact.of(()), "boot_time": Fact.of(BEGIN - timedelta(days=20))}
WAITING: dict[str, Any] = {**BEFORE, "kbs": Fact.of((KB,)), "pending_restart": Fact.of(True)}


def at(minutes: float) -> datetime:
    return BEGIN + timedelta(minutes=minutes)


def reading(minutes: float, **facts: Any) -> GuestFacts:
    services = {"services": Fact.of({"wuauserv": "Running"}), "service_start_modes": Fact.of({"wuauserv": "Auto"})}
    seen = guest("a", **{**services, "local_time": Fact.of(at(minutes)), **facts})
    return GuestFacts(**{**vars(seen), "read_at": at(minutes)})


def back(minutes: float = 30, **facts: Any) -> GuestFacts:
    return reading(minutes, **{**WAITING, "ubr": Fact.of(32690), "pending_restart": Fact.of(False),
                               "boot_time": Fact.of(at(18)), **facts})  # fmt: skip


def wave(restart_timeout: int = 1800, **other: Any) -> WaveRun:
    given = wishes(wave_sizes=["100%"], restart_timeout=restart_timeout, **other)
    plan = make_plan(ids("a"), keyed(machine("a")), given, BEGIN)
    return rollout_wave.open_wave(plan, ("a",), BEGIN, lambda key: None, "guest")


def sent_at(minutes: float, finished: str | None = None) -> JournalEntry:
    return JournalEntry(rid("a"), "restart", "i", at(minutes), "x", None, finished)


def selected(run: WaveRun) -> rollout_choose.Choice:
    going = rollout_wave.preflight(run, keyed(machine("a")), {"a": reading(0.1, **BEFORE)})
    offers = {rid("a").lower(): assessed("a", KB, "AlwaysRequiresReboot")}
    return rollout_choose.select(run, going, offers, "", Rules())


def entry(**other: Any) -> dict[str, Any]:
    return {rid("a").lower(): installed("a", kb=KB, start_time=to_iso(at(5)), **other)}


def decided(run: WaveRun, seen: GuestFacts | None, journal: Any = None, **other: Any) -> rollout_restart.Restarts:
    selected(run)
    run.now = at(15)
    guests = {} if seen is None else {"a": seen}
    return rollout_restart.decide(run, entry(**other), keyed(machine("a")), guests, lambda key: journal)


def judged(run: WaveRun, seen: GuestFacts) -> tuple[str | None, str | None]:
    rollout_judge.judge(run, {}, "", keyed(machine("a")), {"a": seen})
    return run.records[0].verdict, run.records[0].reason_code


def test_without_the_word_a_baseline_is_only_told() -> None:
    run = wave(restart_timeout=0)
    with pytest.raises(InputError, match="hotpatch_restart"):
        rollout_restart.require_word(run.rollout)
    assert selected(run).install == []
    assert (run.records[0].verdict, run.records[0].reason_code) == ("not_started", "baseline_due")
    assert "hotpatch_restart" in str(run.records[0].reason)
    # A machine judged by the plan alone has nothing to be asked for.
    rollout_restart.require_word(run.rollout)


def test_the_word_takes_a_guests_proof() -> None:
    assert rollout_restart.check_restart(False, 1800, "azure") == 0
    assert rollout_restart.check_restart(True, 1800, "guest") == 1800
    with pytest.raises(InputError, match="hotpatch_proof"):
        rollout_restart.check_restart(True, 1800, "azure")
    with pytest.raises(InputError, match="hotpatch_restart_timeout"):
        rollout_restart.check_restart(True, 0, "guest")


def test_a_baseline_is_chosen_though_it_restarts() -> None:
    run = wave()
    choice = selected(run)
    assert (choice.install, choice.kbs, choice.restarting) == (["a"], {rid("a"): [KB]}, [rid("a")])


@pytest.mark.parametrize(
    ("seen", "other", "ids_", "decision"),
    [
        (reading(15, **WAITING), {}, [rid("a")], "restart_needed"),
        (None, {}, [], "guest_silent"),
        (reading(15, **BEFORE), {}, [], "not_installed"),
        (reading(15, **{**WAITING, "boot_time": Fact.of(at(10))}), {}, [], "restarted_already"),
        (reading(15, **WAITING), {"outcome": "failed"}, [], None),
        (reading(15, **WAITING), {"outcome": "running"}, [], None),
        (reading(15, **WAITING), {"state": "Excluded"}, [], None),
        (reading(15, **WAITING), {"started_by": "other"}, [], None),
    ],
)
def test_who_is_restarted(
    seen: GuestFacts | None, other: dict[str, Any], ids_: list[str], decision: str | None
) -> None:
    run = wave()
    found = decided(run, seen, **other)
    assert found.ids == ids_
    assert (run.records[0].restart or {}).get("decision") == decision


def test_a_restart_that_was_sent_is_followed_and_not_decided_anew() -> None:
    run = wave()
    decided(run, reading(15, **WAITING))
    before = dict(run.records[0].restart or {})
    run.now = at(40)
    found = rollout_restart.decide(run, entry(), keyed(machine("a")), {"a": back()}, lambda key: sent_at(16))
    assert found.hosts == ["a"] and run.records[0].restart == before
    # One of an earlier rollout says nothing of this one.
    assert rollout_restart.sent_since(lambda key: sent_at(-60), run.records[0]) is None


@pytest.mark.parametrize(
    ("end", "ids_", "latest"),
    [
        ("08:00", [rid("a")], {rid("a"): "2026-04-15T07:30:00Z"}),
        ("03:30", [rid("a")], {rid("a"): "2026-04-15T03:00:00Z"}),
    ],
)
def test_its_window_bounds_the_restart(end: str, ids_: list[str], latest: dict[str, str]) -> None:
    rings = [{"name": "all", "hosts": ["a"], "window": {"start": "00:00", "end": end, "time_zone": "UTC"}}]
    run = wave(rings=rings)
    found = decided(run, reading(15, **WAITING))
    assert (found.ids, found.latest_starts) == (ids_, latest)
    run.now = at(60 * 7)
    found = rollout_restart.decide(run, entry(), keyed(machine("a")), {"a": reading(420, **WAITING)}, lambda key: None)
    if end == "03:30":
        assert found.ids == [] and (run.records[0].restart or {})["decision"] == "outside_window"
        rollout_restart.note_sent(run, {}, "", lambda key: None)
        assert judged(run, reading(421, **WAITING)) == ("unproven", "restart_outstanding")


@pytest.mark.parametrize(
    ("seen", "waits", "verdict"),
    [
        (back(), "", ("patched_restarted_as_planned", "proven")),
        (back(services=Fact.of({"TrustedInstaller": "Running"})), "servicing", ("unproven", "not_settled")),
        (back(pending_restart=Fact.of(True)), "pending", ("unproven", "not_settled")),
        (back(ubr=Fact.of(32230)), "", ("failed", "not_in_effect")),
        (reading(30, **WAITING), "not restarted yet", ("unproven", "restart_not_seen")),
    ],
)
def test_from_the_restart_to_the_verdict(seen: GuestFacts, waits: str, verdict: tuple[str, str]) -> None:
    run = wave()
    decided(run, reading(15, **WAITING))
    lost = {rid("a").lower(): {"outcome": "unknown", "reason": "lost"}}
    sent = rollout_restart.note_sent(run, lost, "", lambda key: sent_at(16))
    assert [record.host for record in sent] == ["a"]
    waiting = rollout_restart.note_settled(sent, {"a": seen}, at(30))
    restart = run.records[0].restart or {}
    assert bool(waiting) is bool(waits) and waits in restart["waiting"]
    assert bool(restart.get("settled_at")) is not bool(waits)
    assert judged(run, seen) == verdict


def test_a_restart_that_was_refused_leaves_the_machine_unproven() -> None:
    run = wave()
    decided(run, reading(15, **WAITING))
    refused = {rid("a").lower(): {"outcome": "failed", "reason": "Azure answered 403."}}
    assert rollout_restart.note_sent(run, refused, "", lambda key: None) == []
    assert judged(run, reading(20, **WAITING)) == ("unproven", "restart_outstanding")
    assert "403" in str(run.records[0].reason)


def test_a_machine_that_restarts_by_itself_is_told_as_that() -> None:
    run = wave()
    by_itself = back(15, boot_time=Fact.of(at(10)))
    assert decided(run, by_itself).ids == []
    rollout_restart.note_sent(run, {}, "", lambda key: None)
    assert judged(run, by_itself)[0] == "restarted_unexpectedly"
