# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of a wave's decisions, from preflight to the gate, with and without an interrupted run before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.joining import JournalEntry
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import (
    rollout_choose,
    rollout_gate,
    rollout_judge,
    rollout_wave,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_choose import Rules
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_wave import Preflight, Sent, WaveRun

from .rollout_fleet import KB_2022, KB_2025, NOW, assessed, guest, ids, installed, keyed, machine, rid, wishes

SILENT = unreachable_guest("refused", NOW)
NAMES = ("a", "b", "c")


def wave(*names: str, sent: Mapping[str, Sent] | None = None, budget: str = "0", proof: Any = "guest") -> WaveRun:
    """The only wave of a rollout of these machines."""
    fleet = keyed(*(machine(name) for name in names))
    plan = make_plan(ids(*names), fleet, wishes(wave_sizes=["100%"], error_budget=budget), NOW)
    journal = sent or {}
    return rollout_wave.open_wave(plan, names, NOW, lambda key: journal.get(key.rpartition("/")[2]), proof)


def sent_to(name: str, finished: str | None = None, activity: str | None = "x", kbs: tuple[str, ...] = ()) -> Sent:
    return Sent(JournalEntry(rid(name), "install", "i", NOW, activity, None, finished), kbs)


def verdicts(run: WaveRun) -> dict[str, tuple[str | None, str | None]]:
    return {record.host: (record.verdict, record.reason_code) for record in run.records}


def go(run: WaveRun, *names: str, guests: Mapping[str, GuestFacts] | None = None) -> Preflight:
    """Preflight with these machines as Azure shows them."""
    return rollout_wave.preflight(run, keyed(*map(machine, names)), guests or {name: guest(name) for name in names})


@pytest.mark.parametrize(
    ("reading", "verdict", "code"),
    [
        (guest("a"), None, None),
        (guest("a", current=True), "already_current", "at_release"),
        (SILENT, "not_started", "guest_unreachable"),
        (guest("a", pending_restart=Fact.of(True)), "not_started", "restart_pending"),
        (guest("b"), "not_started", "wrong_guest"),
        (guest("a", vbs_status=Fact.of(0)), "not_started", "enrolling"),
        (guest("a", ubr=Fact.of(32000)), "not_started", "baseline_due"),
        (guest("a", hotpatch_package=Fact.unreadable("denied")), "not_started", "enrolment_unknown"),
    ],
)
def test_preflight(reading: GuestFacts, verdict: str | None, code: str | None) -> None:
    run = wave("a")
    going = go(run, "a", guests={"a": reading})
    assert verdicts(run) == {"a": (verdict, code)}
    assert going.start == ([] if verdict else ["a"])


def test_a_machine_azure_no_longer_shows_is_not_started() -> None:
    run = wave("a", "b")
    going = go(run, "a")
    assert going.start == ["a"] and verdicts(run)["b"] == ("not_started", "machine_unread")


def test_hosts_of_another_wave_or_of_none_are_left_alone() -> None:
    plan = make_plan(ids(*NAMES), keyed(*map(machine, NAMES)), wishes(wave_sizes=["1"]), NOW)
    run = rollout_wave.open_wave(plan, ["b", "a", "stranger"], NOW, lambda key: None)
    assert (run.number, [record.host for record in run.records]) == (2, ["b"])
    with pytest.raises(InputError, match="stranger"):
        rollout_wave.open_wave(plan, ["stranger"], NOW, lambda key: None)


@pytest.mark.parametrize(
    ("entry", "verdict", "kbs"),
    [
        (assessed("a"), None, [KB_2025]),
        (assessed("a", behavior="CanRequestReboot"), ("withheld", "may_reboot"), []),
        (assessed("a", kb="KB5000000"), ("not_offered", "not_in_assessment"), []),
        ({"id": rid("a"), "outcome": "failed", "reason": "403"}, ("not_started", "not_assessed"), []),
        (None, ("not_started", "not_assessed"), []),
    ],
)
def test_select(entry: dict[str, Any] | None, verdict: tuple[str, str] | None, kbs: list[str]) -> None:
    run = wave("a")
    going = go(run, "a")
    choice = rollout_choose.select(run, going, {rid("a").lower(): entry} if entry else {}, "it broke", Rules())
    assert choice.all_kbs == kbs and choice.install == choice.prove == (["a"] if kbs else [])
    assert verdicts(run)["a"] == (verdict or (None, None))
    assert run.records[0].stage == ("selected" if kbs else "judged")


def test_a_word_lets_restarting_kbs_through() -> None:
    run = wave("a")
    entry = assessed("a", behavior="CanRequestReboot")
    assert rollout_choose.select(
        run, go(run, "a"), {rid("a").lower(): entry}, "", Rules(exclude_restarting=False)
    ).install == ["a"]


def finish(run: WaveRun, entry: dict[str, Any] | None, reading: GuestFacts, trouble: str = "") -> tuple[Any, Any]:
    """Preflight, select and judge machine a."""
    going = go(run, "a")
    rollout_choose.select(run, going, {rid("a").lower(): assessed("a")}, "", Rules())
    entries = {rid("a").lower(): entry} if entry else {}
    rollout_judge.judge(run, entries, trouble, keyed(machine("a")), {"a": reading})
    return verdicts(run)["a"]


AFTER = guest("a", current=True)
RESTARTED = replace(AFTER, boot_time=Fact.of(NOW + timedelta(minutes=30)))


@pytest.mark.parametrize(
    ("entry", "reading", "expected"),
    [
        (installed("a"), AFTER, ("patched", "proven")),
        (installed("a"), RESTARTED, ("restarted_unexpectedly", "booted_after_start")),
        (installed("a"), guest("a"), ("failed", "guest_not_patched")),
        (installed("a"), SILENT, ("unreachable", "guest_silent")),
        (installed("a", started_by="other"), AFTER, ("patched_by_platform", "not_our_installation")),
        (installed("a", "withheld", state="Excluded"), guest("a"), ("withheld", "excluded")),
        (installed("a", "failed", state="Failed"), guest("a"), ("failed", "failed")),
        (installed("a", "running"), guest("a"), ("unproven", "still_running")),
        (installed("a", "unlisted", updates={}), AFTER, ("patched", "proven")),
        (installed("a", "unlisted", updates={}), guest("a"), ("withheld", "not_installed")),
        (installed("a", "failed", reason_code="outcome_unknown"), AFTER, ("patched", "proven")),
        ({"id": rid("a"), "outcome": "not_started", "reason": "budget"}, guest("a"), ("not_started", "not_sent")),
        (None, guest("a"), ("not_started", "not_sent")),
    ],
)
def test_judge(entry: dict[str, Any] | None, reading: GuestFacts, expected: tuple[str, str]) -> None:
    assert finish(wave("a"), entry, reading) == expected


def test_another_products_kb_means_nothing_for_this_machine() -> None:
    # The task was sent the KBs of both products and says not_offered, because this machine was offered one of them.
    entry = installed("a", "not_offered", reason=f"{KB_2022} is not in the list")
    assert finish(wave("a"), entry, AFTER) == ("patched", "proven")


def test_azures_word_is_only_a_claim() -> None:
    run = wave("a", proof="azure")
    going = rollout_wave.preflight(run, keyed(machine("a")), {})
    rollout_choose.select(run, going, {rid("a").lower(): assessed("a")}, "", Rules())
    rollout_judge.judge(run, {rid("a").lower(): installed("a")}, "", keyed(machine("a")), {})
    assert verdicts(run)["a"][0] == "claimed"


def test_the_evidence_is_kept() -> None:
    run = wave("a")
    finish(run, installed("a"), AFTER)
    record = run.records[0]
    assert record.after is not None and record.before is not None
    assert (record.before["build"], record.after["build"]) == ("26100.32690", "26100.32772")
    assert any(line.startswith("restarted: no") for line in record.evidence)
    assert run.rollout.changed


def test_a_wave_that_broke_gives_every_machine_its_reason_and_stops() -> None:
    run = wave("a", "b")
    rollout_judge.judge(run, {}, "signing in broke", {}, {})
    assert {code for dummy, code in verdicts(run).values()} == {"wave_broke"}
    stop = rollout_gate.gate(run, "signing in broke")
    assert stop is not None and stop["reason"] == "signing in broke"


@pytest.mark.parametrize(
    ("budget", "bad", "stops"),
    [
        ("0", 0, False),
        ("0", 1, True),
        ("2", 2, False),
        ("2", 3, True),
        ("50%", 1, False),
        ("50%", 2, True),
        ("100%", 3, False),
    ],
)
def test_the_gate_counts_like_the_documented_rule(budget: str, bad: int, stops: bool) -> None:
    run = wave(*NAMES, budget=budget)
    for number, record in enumerate(run.records):
        record.judge("failed" if number < bad else "patched", "x", "x")
    assert (rollout_gate.gate(run, "") is not None) is stops


class TestTakenUpAgain:
    """What a run does with a machine that an interrupted run had selected."""

    @staticmethod
    def selected(sent: Sent | None) -> WaveRun:
        run = wave("a", sent={"a": sent} if sent else {})
        record = run.records[0]
        record.stage, record.selected_at = "selected", "2026-05-13T00:59:00Z"
        return run

    def test_nothing_was_sent(self) -> None:
        run = self.selected(None)
        assert go(run, "a").start == ["a"] and run.records[0].stage == "planned"

    @pytest.mark.parametrize("reading", [guest("a"), SILENT, AFTER, guest("a", pending_restart=Fact.of(True))])
    def test_an_accepted_one_is_joined_whatever_the_guest_shows(self, reading: GuestFacts) -> None:
        run = self.selected(sent_to("a"))
        going = go(run, "a", guests={"a": reading})
        assert (going.start, going.join) == ([], ["a"])
        choice = rollout_choose.select(run, going, {}, "", Rules())
        assert choice.install == choice.prove == ["a"]

    def test_patched_stays_patched(self) -> None:
        run = self.selected(sent_to("a"))
        going = go(run, "a", guests={"a": AFTER})
        rollout_choose.select(run, going, {}, "", Rules())
        rollout_judge.judge(run, {rid("a").lower(): installed("a", joined=True)}, "", keyed(machine("a")), {"a": AFTER})
        assert verdicts(run)["a"] == ("patched", "proven")

    def test_an_intent_without_answer_is_not_sent_to_a_silent_guest(self) -> None:
        run = self.selected(sent_to("a", activity=None))
        assert go(run, "a", guests={"a": SILENT}) == Preflight()
        assert verdicts(run)["a"] == ("unproven", "guest_unreachable")

    @pytest.mark.parametrize(
        ("sent", "reading", "expected"),
        [
            (sent_to("a", "Succeeded", kbs=(KB_2025,)), AFTER, "patched"),
            (sent_to("a", "Succeeded", kbs=(KB_2025,)), RESTARTED, "restarted_unexpectedly"),
            (sent_to("a", "Succeeded"), guest("a"), "withheld"),
            (sent_to("a", "Failed"), guest("a"), "failed"),
        ],
    )
    def test_one_that_ended_is_proven_and_not_sent_again(self, sent: Sent, reading: GuestFacts, expected: str) -> None:
        run = self.selected(sent)
        going = go(run, "a", guests={"a": reading})
        assert going.done == ["a"]
        choice = rollout_choose.select(run, going, {}, "", Rules())
        assert (choice.install, choice.prove) == ([], ["a"])
        rollout_judge.judge(run, {}, "", keyed(machine("a")), {"a": reading})
        assert verdicts(run)["a"][0] == expected

    def test_what_another_rollout_sent_is_none_of_ours(self) -> None:
        run = self.selected(sent_to("a", "Failed"))
        run.records[0].selected_at = "2026-05-13T01:30:00Z"
        assert go(run, "a").start == ["a"]


def test_an_earlier_failure_is_kept_unless_the_guest_is_current_by_now() -> None:
    earlier = {"verdict": "failed", "reason_code": "status_failed", "reason": "disk full", "install": installed("a")}
    for reading, expected in ((guest("a"), "failed"), (AFTER, "already_current")):
        run = wave("a")
        run.records[0].earlier = earlier
        assert go(run, "a", guests={"a": reading}).start == []
        assert verdicts(run)["a"][0] == expected
        assert "disk full" in str(run.records[0].reason)


def test_an_earlier_failure_that_azure_still_shows_as_running_is_neither_joined_nor_sent_again() -> None:
    """The view is minutes late: whoever joined would find nothing running, and install a second time."""
    stale = {"status": "InProgress", "installationActivityId": "x", "startTime": "2026-05-13T01:10:00Z"}
    shown = keyed(machine("a", lastPatchInstallationSummary=stale))
    earlier = {"verdict": "failed", "reason_code": "status_failed", "reason": "disk full", "install": installed("a")}
    for before, expected in ((earlier, Preflight()), (None, Preflight(join=["a"]))):
        run = wave("a")
        run.records[0].earlier = before
        assert rollout_wave.preflight(run, shown, {"a": guest("a")}) == expected


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (AFTER, ("patched_by_platform", "not_our_installation")),
        (guest("a"), ("not_started", "join_only")),
        (SILENT, ("unreachable", "guest_silent")),
        (RESTARTED, ("restarted_unexpectedly", "booted_after_start")),
    ],
)
def test_somebody_elses_that_ended_before_it_was_followed_is_judged_by_the_guest(
    reading: GuestFacts, expected: tuple[str, str]
) -> None:
    running = {"status": "InProgress", "installationActivityId": "x", "startTime": "2026-05-13T01:10:00Z"}
    shown = keyed(machine("a", lastPatchInstallationSummary=running))
    run = wave("a")
    going = rollout_wave.preflight(run, shown, {"a": guest("a")})
    assert rollout_choose.select(run, going, {}, "", Rules()).join_only == [rid("a")]
    told = {"outcome": "not_started", "reason_code": "join_only", "reason": "Nothing runs on it any more."}
    rollout_judge.judge(run, {rid("a").lower(): told}, "", shown, {"a": reading})
    assert verdicts(run)["a"] == expected


def test_who_did_not_answer_the_plan_is_kept_apart_before_the_start() -> None:
    """Two of three answered the plan; the third turns out to be a controller of the same domain as the first."""
    run = wave("a", "b", "c")
    run.records[0].domain, run.records[2].role_silent = "x", True
    going = go(run, "a", "b", "c")
    assert rollout_wave.in_doubt(run, going) == ["c"]
    member = guest("c", domain_role=Fact.of(3), cluster_name=Fact.absent("no such namespace"))
    rollout_wave.keep_apart(run, going, {"c": member})
    assert going.start == ["a", "b", "c"] and not run.records[2].judged
    controller = replace(member, domain_role=Fact.of(4), domain=Fact.of("X"))
    rollout_wave.keep_apart(run, going, {"c": controller})
    assert going.start == ["a", "b"]
    assert verdicts(run)["c"] == ("not_started", "spread") and "as a is" in str(run.records[2].reason)


def test_nobody_is_in_doubt_alone_or_where_the_word_was_given() -> None:
    alone = wave("a")
    alone.records[0].role_silent = True
    assert rollout_wave.in_doubt(alone, go(alone, "a")) == []
    two = wave("a", "b")
    two.records[0].role_silent = True
    two.rollout.rings[0].rules["spread"] = ["zones"]
    assert rollout_wave.in_doubt(two, go(two, "a", "b")) == []
