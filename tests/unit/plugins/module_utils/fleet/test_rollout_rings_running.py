# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is decided between the waves of rings: budgets, soaks, windows, frozen patches, holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import (
    rollout_choose,
    rollout_gate,
    rollout_hold,
    rollout_soak,
    rollout_wave,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_choose import Rules
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_entries import brief
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_hosts import Inventory
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_rings import Knowledge
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_soak import SoakRules
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import (
    Record,
    Rollout,
    rollout_from_dict,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_wave import Preflight, WaveRun

from .rollout_fleet import KB_2022, KB_2025, NOW, assessed, guest, ids, keyed, machine, rid, wishes

CANARIES, BROAD = ("a", "b"), ("c", "d", "e")
DONE = {"current": True}


def rollout(rules: dict[str, Any] | None = None, broad: dict[str, Any] | None = None, **more: Any) -> Rollout:
    """Two canaries and three more, of which e has another product."""
    rings = [
        {"name": "canary", "hosts": list(CANARIES), "waves": ["100%"], **(rules or {})},
        {"name": "broad", "waves": ["100%"], **(broad or {})},
    ]
    fleet = keyed(*(machine(name, "ws2022" if name == "e" else "ws2025") for name in CANARIES + BROAD))
    names = ids(*CANARIES, *BROAD)
    given = {"error_budget": "100%", "rings": rings, **more}
    return make_plan(names, fleet, wishes(**given), NOW, known=Knowledge(Inventory()))


def wave(plan: Rollout, number: int, minutes: float = 0) -> WaveRun:
    hosts = CANARIES if number == 1 else BROAD
    return rollout_wave.open_wave(plan, hosts, NOW + timedelta(minutes=minutes), lambda key: None)


def end(plan: Rollout, **verdicts: str) -> None:
    """Judge machines, and note what their guests showed."""
    for record in plan.in_scope:
        if record.host in verdicts:
            record.judge(verdicts[record.host], "x", "x")
            record.track = "on_track"
            record.after = brief(guest(record.host, record.product or "ws2025", **DONE))


def record_of(plan: Rollout, host: str) -> Record:
    return plan.machines[rid(host).lower()]


@pytest.mark.parametrize(
    ("rules", "more", "canaries", "code"),
    [
        ({}, {}, ("patched", "patched"), None),
        ({"error_budget": 0}, {}, ("patched", "failed"), "error_budget"),
        ({"error_budget": 1}, {}, ("patched", "failed"), None),
        ({"wave_error_budget": "50%"}, {}, ("failed", "failed"), "error_budget"),
        ({"wave_error_budget": "50%"}, {}, ("patched", "failed"), None),
        ({}, {"error_budget": 0}, ("patched", "unreachable"), "error_budget"),
        # A fifth of five machines is one.
        ({}, {"error_budget": "20%"}, ("patched", "unproven"), None),
        ({}, {"error_budget": "20%"}, ("failed", "unproven"), "error_budget"),
        ({"error_budget": 0}, {}, ("not_started", "skipped"), None),
    ],
)
def test_the_gate_asks_every_budget(
    rules: dict[str, Any], more: dict[str, Any], canaries: tuple[str, str], code: str | None
) -> None:
    plan = rollout(rules, **more)
    end(plan, a=canaries[0], b=canaries[1])
    stop = rollout_gate.gate(wave(plan, 1), "")
    assert (stop or {}).get("code") == code


def test_the_brake_has_a_budget_of_its_own() -> None:
    plan = rollout()
    end(plan, a="restarted_unexpectedly", b="failed")
    assert rollout_gate.gate(wave(plan, 1), "", None) is None
    assert rollout_gate.gate(wave(plan, 1), "", "1") is None
    stop = rollout_gate.gate(wave(plan, 1), "", "0")
    assert stop is not None and stop["code"] == "hotpatch_brake" and "a (restarted_unexpectedly)" in stop["reason"]


def test_a_failed_hook_counts_whatever_became_of_the_machine() -> None:
    plan = rollout({"error_budget": 0})
    end(plan, a="patched", b="patched")
    record_of(plan, "a").hooks_failed["after_machine"] = "smoke test"
    assert rollout_gate.gate(wave(plan, 1), "") is not None


def test_the_first_stop_stays() -> None:
    plan = rollout({"error_budget": 0})
    rollout_gate.steered(plan, 1, {"word": "abort", "why": "the file says abort"})
    end(plan, a="failed", b="failed")
    stop = rollout_gate.gate(wave(plan, 1), "it broke as well")
    assert stop is not None and stop["code"] == "aborted"


class TestSoak:
    @staticmethod
    def soaked(soak: Any = "PT1H") -> Rollout:
        plan = rollout({"soak": soak})
        end(plan, a="patched", b="already_current")
        rollout_gate.gate(wave(plan, 1), "")
        return plan

    def test_the_next_ring_waits_and_the_ring_itself_does_not(self) -> None:
        plan = self.soaked()
        assert rollout_gate.approach(plan, 1).until is None
        found = rollout_gate.approach(plan, 2)
        assert (found.until, found.soaking) == (NOW + timedelta(hours=1), ("canary",))
        # What another process reads of it says the same.
        assert rollout_gate.approach(rollout_from_dict(plan.to_dict()), 2) == found

    def test_without_a_soak_nothing_is_waited_for(self) -> None:
        assert rollout_gate.approach(self.soaked(0), 2) == rollout_gate.Approach()

    def test_a_ring_with_open_machines_does_not_soak_yet(self) -> None:
        plan = rollout({"soak": "PT1H"})
        end(plan, a="patched")
        rollout_gate.gate(wave(plan, 1), "")
        assert plan.ring("canary").finished is None and rollout_gate.approach(plan, 2).until is None

    @pytest.mark.parametrize(
        ("reading", "rules", "expected"),
        [
            (guest("a", **DONE), SoakRules(), None),
            # Windows moves its boot time a little when its clock is set.
            (replace(guest("a", **DONE), skew_seconds=Fact.of(40.0)), SoakRules(), None),
            (
                replace(guest("a", **DONE), boot_time=Fact.of(NOW + timedelta(hours=1, minutes=30))),
                SoakRules(),
                ("restarted_unexpectedly", "restarted_in_soak"),
            ),
            (
                replace(guest("a", **DONE), boot_time=Fact.unreadable("denied")),
                SoakRules(),
                ("unproven", "restart_unread"),
            ),
            (unreachable_guest("refused", NOW), SoakRules(), ("unreachable", "silent_after_soak")),
            (None, SoakRules(), ("unproven", "soak_unread")),
            (guest("a"), SoakRules(), ("failed", "not_at_release_after_soak")),
            (guest("a", **DONE), SoakRules(services=["W3SVC"]), ("unproven", "services_unread")),
            (guest("a", **DONE), SoakRules(least_memory_kb=1), ("unproven", "load_unread")),
            (
                replace(guest("a", **DONE), free_memory_kb=Fact.of(5)),
                SoakRules(least_memory_kb=6),
                ("failed", "load_after_soak"),
            ),
            (replace(guest("a", **DONE), free_memory_kb=Fact.of(6)), SoakRules(least_memory_kb=6), None),
        ],
    )
    def test_each_guest_is_proven_again(
        self, reading: GuestFacts | None, rules: SoakRules, expected: tuple[str, str] | None
    ) -> None:
        plan = self.soaked()
        at = NOW + timedelta(hours=2)
        later = None if reading is None else replace(reading, read_at=at, local_time=Fact.of(at))
        guests = {"b": replace(guest("b", **DONE), read_at=NOW + timedelta(hours=2), free_memory_kb=Fact.of(9))}
        if rules.services:
            guests.pop("b")
        if later is not None:
            guests["a"] = later
        records = [record for record in rollout_soak.to_ask(plan, ["canary"]) if record.host == "a"]
        bad = rollout_soak.prove_again(plan, ["canary"], guests, rules, NOW + timedelta(hours=2), records)
        found = record_of(plan, "a")
        assert [record.host for record in bad] == ([] if expected is None else ["a"])
        assert (found.verdict, found.reason_code) == (expected or ("patched", "x"))
        assert found.soak is not None and found.soak["verdict_before"] == "patched"
        assert plan.ring("canary").soaked and rollout_gate.approach(plan, 2).until is None

    def test_only_the_proven_are_asked(self) -> None:
        plan = rollout({"soak": "PT1H"})
        end(plan, a="failed", b="not_started")
        assert rollout_soak.to_ask(plan, ["canary"]) == []


def test_a_busy_machine_is_not_well() -> None:
    for percent, fine in ((90.0, True), (91.0, False)):
        reading = guest("a", cpu_percent=Fact.of(percent), **DONE)
        assert (rollout_soak._load(reading, SoakRules(most_cpu_percent=90)) is None) is fine


def test_services_must_run() -> None:
    for states, fine in (({"W3SVC": "Running"}, True), ({"w3svc": "Stopped"}, False), ({}, False)):
        reading = guest("a", services=Fact.of(states), **DONE)
        assert (rollout_soak._services(reading, SoakRules(services=["W3svc"])) is None) is fine


def choose(plan: Rollout, names: Sequence[str], rules: Rules, **entries: Any) -> dict[str, tuple[str | None, Any]]:
    """Select all of wave 2 with these assessments; by host the verdict's code or the KBs."""
    run = wave(plan, 2)
    for record in run.records:
        record.track = "on_track"
    given = {rid(name).lower(): entries.get(name) or assessed(name) for name in names}
    choice = rollout_choose.select(run, Preflight(start=list(names)), given, "", rules)
    return {
        record.host: (record.reason_code, choice.kbs.get(record.id)) for record in run.records if record.host in names
    }


def test_the_canaries_kbs_are_all_that_the_others_get() -> None:
    plan = rollout()
    assert rollout_gate.proven_before(plan, "canary") is None
    assert rollout_gate.proven_before(plan, "broad", check_only=True) is None
    end(plan, a="patched", b="failed")
    proven = rollout_gate.proven_before(plan, "broad")
    assert proven == {("ws2025", "on_track"): {KB_2025}}
    found = choose(plan, BROAD, Rules(proven=proven), e=assessed("e", KB_2022))
    assert found["c"] == (None, [KB_2025])
    assert found["e"] == ("not_proven", None)
    assert rollout_gate.proven_before(rollout(broad={"frozen": False}), "broad") is None


@pytest.mark.parametrize(
    ("rules", "entry", "code"),
    [
        (Rules(blocked={KB_2025: "the file"}), None, "kb_blocked"),
        (Rules(), assessed("c", "KB5000009", "AlwaysRequiresReboot"), "restarting_patch_offered"),
        (Rules(brake=False), assessed("c", "KB5000009", "AlwaysRequiresReboot"), "not_in_assessment"),
        # Every machine is offered some tool that may restart it; it is not installed.
        (Rules(), assessed("c", "KB890830", "CanRequestReboot"), "not_in_assessment"),
        (Rules(approved=[KB_2025], proven={}), None, None),
        (Rules(unproven=["ws2025"], proven={}), None, None),
        (Rules(proven={}), None, "not_proven"),
    ],
)
def test_what_keeps_a_machine_from_its_kb(rules: Rules, entry: Any, code: str | None) -> None:
    plan = rollout()
    end(plan, a="patched", b="patched")
    assert choose(plan, ["c"], rules, c=entry)["c"][0] == code


class TestWindows:
    """The morning of the rollout is one o'clock at night, UTC."""

    @pytest.mark.parametrize(
        ("window", "patience", "minutes", "codes"),
        [
            ("00:30-06:00", 0, 0, []),
            ("02:00-06:00", 120, 60, []),
            ("02:00-06:00", 30, None, ["outside_window"] * 2),
            # Two hours and a quarter do not fit into what is left until two.
            ("00:30-02:00", 30, None, ["would_not_finish"] * 2),
            ("00:30-02:00", 60 * 30, None, ["would_not_finish"] * 2),
        ],
    )
    def test_a_wave_waits_or_is_not_started(
        self, window: str, patience: float, minutes: float | None, codes: list[str]
    ) -> None:
        start, dash, stop = window.partition("-")
        plan = rollout({"window": {"start": start, "end": stop, "time_zone": "UTC"}})
        run = wave(plan, 1)
        entry = rollout_gate.enter(run, timedelta(minutes=135), timedelta(minutes=patience))
        assert entry.at == (None if minutes is None else NOW + timedelta(minutes=minutes))
        assert [record.reason_code for record in entry.refused] == codes

    def test_a_machine_whose_clock_nobody_knows_is_not_started(self) -> None:
        plan = rollout({"window": {"start": "22:00", "end": "04:00", "time_zone": "UTC"}})
        # As a state that was planned elsewhere may have it.
        plan.ring("canary").rules["window"]["time_zone"] = "machine"
        record_of(plan, "a").time_zone = "UTC"
        entry = rollout_gate.enter(wave(plan, 1), timedelta(minutes=30), timedelta())
        assert [record.host for record in entry.refused] == ["b"] and entry.at == NOW
        assert record_of(plan, "b").reason_code == "window_unknown"

    def test_the_latest_start_goes_with_the_choice(self) -> None:
        plan = rollout({}, {"window": {"start": "00:30", "end": "04:00", "time_zone": "UTC"}})
        run = wave(plan, 2)
        for record in run.records:
            record.track = "on_track"
        given = {rid(name).lower(): assessed(name) for name in BROAD}
        rules = Rules(needed=timedelta(minutes=135))
        choice = rollout_choose.select(run, Preflight(start=["c"]), given, "", rules)
        assert choice.latest_starts == {rid("c"): to_iso(NOW + timedelta(minutes=45))}
        late = wave(plan, 2, minutes=50)
        choice = rollout_choose.select(late, Preflight(start=["d"]), given, "", rules)
        assert record_of(plan, "d").reason_code == "would_not_finish" and "d" not in choice.install

    def test_what_was_started_before_is_joined_whatever_the_window(self) -> None:
        plan = rollout({"window": {"start": "05:00", "end": "06:00", "time_zone": "UTC"}})
        for name in CANARIES:
            record_of(plan, name).stage = "selected"
        entry = rollout_gate.enter(wave(plan, 1), timedelta(minutes=135), timedelta())
        assert (entry.at, entry.refused) == (NOW, ())

    @pytest.mark.parametrize(
        ("ours", "minutes", "blocked", "join_only", "latest"),
        [
            (True, 0, False, False, True),
            (True, 50, False, True, False),
            (True, 0, True, True, False),
            (False, 0, False, True, False),
        ],
    )
    def test_what_is_joined_is_only_sent_again_where_it_still_may_be(
        self, ours: bool, minutes: int, blocked: bool, join_only: bool, latest: bool
    ) -> None:
        plan = rollout({}, {"window": {"start": "00:30", "end": "04:00", "time_zone": "UTC"}})
        record = record_of(plan, "c")
        record.stage, record.selected_at = "selected", to_iso(NOW) if ours else None
        rules = Rules(needed=timedelta(minutes=135), blocked=dict.fromkeys(record.kbs, "by word") if blocked else {})
        choice = rollout_choose.select(wave(plan, 2, minutes=minutes), Preflight(join=["c"]), {}, "", rules)
        assert choice.install == ["c"] and choice.fresh == []
        assert choice.join_only == ([rid("c")] if join_only else [])
        assert list(choice.latest_starts) == ([rid("c")] if latest else [])


class TestHold:
    @staticmethod
    def entries(*names: str, outcome: str = "changed") -> dict[str, dict[str, Any]]:
        return {rid(name).lower(): {"id": rid(name), "outcome": outcome, "reason": "because"} for name in names}

    def test_rings_not_reached_are_held_and_released_when_their_turn_comes(self) -> None:
        plan = rollout()
        assert [record.host for record in rollout_hold.to_hold(plan)] == list(BROAD)
        held = rollout_hold.note_held(plan, {**self.entries("c", "d"), **self.entries("e", outcome="refused")}, NOW)
        assert held == (["c", "d"], ["e"]) and "because" in record_of(plan, "e").notes[-1]
        assert [record.host for record in rollout_hold.to_hold(plan)] == ["e"]
        assert rollout_hold.to_release(plan, "canary") == []
        assert [record.host for record in rollout_hold.to_release(plan, "broad")] == ["c", "d"]
        waited = rollout_hold.note_released(plan, {**self.entries("c"), **self.entries("d", outcome="failed")})
        assert [record.host for record in waited] == ["c"]
        assert record_of(plan, "d").reason_code == "not_released" and record_of(plan, "c").held is None

    def test_guests_are_waited_for_until_they_are_enrolled(self) -> None:
        plan = rollout()
        records = [record_of(plan, name) for name in ("c", "d")]
        guests = {"c": guest("c"), "d": guest("d", vbs_status=Fact.of(1))}
        left = rollout_hold.still_enrolling(records, keyed(machine("c"), machine("d")), guests, ())
        assert [record.host for record in left] == ["d"]

    def test_a_stop_names_who_is_exposed(self) -> None:
        plan = rollout()
        end(plan, a="failed", b="failed")
        record_of(plan, "d").held = "2026-05-13T01:00:00Z"
        assert [record.host for record in rollout_hold.unreached(plan)] == ["c", "e"]
        assert KB_2025 in rollout_hold.exposure(record_of(plan, "c"))

    def test_a_rollout_that_is_taken_up_keeps_what_it_holds_itself(self) -> None:
        plan = rollout()
        rollout_hold.note_held(plan, self.entries("c"), NOW)
        fleet = {**keyed(*(machine(name) for name in ("a", "b", "d"))), **keyed(machine("e", "ws2022"))}
        body = replace(
            machine("c"),
            patch_settings=replace(
                machine("c").patch_settings,
                enable_hotpatching=Fact.of(False),
                bypass_platform_safety_checks=Fact.of(True),
            ),
        )
        fleet.update(keyed(body))
        given = wishes(error_budget="100%", rings=[{"name": "canary", "hosts": list(CANARIES)}, {"name": "broad"}])
        again = make_plan(ids(*CANARIES, *BROAD), fleet, given, NOW, plan)
        assert again.resumed == 1 and not record_of(again, "c").judged
