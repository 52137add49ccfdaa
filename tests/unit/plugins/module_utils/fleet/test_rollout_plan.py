# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the plan: who takes part, in which wave, and what an earlier rollout means for it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_hosts import find_targets
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import (
    make_plan,
    open_waves,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan_text import describe_plan

from .rollout_fleet import KB_2022, KB_2025, NOW, ids, installed, keyed, machine, rid, wishes


def test_targets_take_the_inventorys_id_where_no_own_is_set() -> None:
    found = find_targets({"a": {"hotpatch_resource_id": rid("a"), "id": "x"}, "b": {"id": rid("b")}})
    assert found == ids("a", "b")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"a": {"id": rid("a")}, "b": {}}, "(not set) for b"),
        ({"a": {"id": "vm-01"}}, "hotpatch_resource_id of host a has the value 'vm-01'"),
        ({"a": {"id": rid("a")}, "b": {"id": rid("A")}}, "another machine than that of host a"),
    ],
)
def test_targets_refuse(variables: dict[str, dict[str, Any]], said: str) -> None:
    with pytest.raises(InputError) as caught:
        find_targets(variables)
    assert said in str(caught.value)


def test_machines_left_out_take_no_place_in_a_wave() -> None:
    fleet = keyed(
        machine("off", power="deallocated"), machine("a"), machine("old", sku="2019-datacenter"), machine("b")
    )
    plan = make_plan(ids("off", "a", "old", "b", "gone"), fleet, wishes(), NOW)
    assert open_waves(plan) == [["a"], ["b"]]
    verdicts = {record.host: (record.verdict, record.reason_code) for record in plan.in_scope if record.judged}
    assert verdicts == {
        "off": ("skipped", "stopped"),
        "old": ("skipped", "image_not_supported"),
        "gone": ("not_started", "machine_unread"),
    }


def test_each_product_gets_the_calendars_kb() -> None:
    plan = make_plan(ids("a", "b"), keyed(machine("a"), machine("b", "ws2022")), wishes(), NOW)
    assert [record.kbs for record in plan.in_scope] == [[KB_2025], [KB_2022]]


def test_named_kbs_go_to_the_product_they_are_for() -> None:
    named = wishes(kb_numbers=["5087423", "kb5082142", "KB9999999"])
    plan = make_plan(ids("a", "b"), keyed(machine("a"), machine("b", "ws2022")), named, NOW)
    assert [record.kbs for record in plan.in_scope] == [[KB_2025, "KB9999999"], ["KB5082142", "KB9999999"]]


def test_an_unknown_month_asks_for_the_kb() -> None:
    with pytest.raises(InputError) as caught:
        make_plan(ids("a"), keyed(machine("a")), wishes(), NOW.replace(month=11))
    assert "hotpatch_kb_numbers" in str(caught.value) and "calendar" in str(caught.value)
    plan = make_plan(ids("a"), keyed(machine("a")), wishes(kb_numbers=["9999999"]), NOW.replace(month=11))
    assert plan.in_scope[0].kbs == ["KB9999999"]


@pytest.mark.parametrize(
    ("wish", "option"),
    [
        ({"wave_sizes": ["0"]}, "hotpatch_waves"),
        ({"error_budget": "many"}, "hotpatch_error_budget"),
        ({"kb_numbers": ["KB1"]}, "hotpatch_kb_numbers"),
        ({"overrides": ["nonsense"]}, "hotpatch_preflight_overrides"),
    ],
)
def test_wishes_that_cannot_be(wish: dict[str, Any], option: str) -> None:
    with pytest.raises(InputError) as caught:
        make_plan(ids("a"), keyed(machine("a")), wishes(**wish), NOW)
    assert f"Option {option} " in str(caught.value)


def test_an_interrupted_rollout_goes_on_with_its_waves() -> None:
    fleet = keyed(*(machine(name) for name in "abcd"))
    first = make_plan(ids(*"abc"), fleet, wishes(), NOW)
    first.machines[rid("a").lower()].judge("patched", "proven", "proven")
    again = make_plan(ids(*"abcd"), fleet, wishes(error_budget="2"), NOW, first)
    assert again.rollout_id == first.rollout_id and again.resumed == 1 and again.budget == "2"
    assert open_waves(again) == [["b", "c"], ["d"]]
    assert again.machines[rid("a").lower()].verdict == "patched"


def test_a_limit_takes_up_a_part_and_leaves_the_rest() -> None:
    fleet = keyed(*(machine(name) for name in "abc"))
    first = make_plan(ids(*"abc"), fleet, wishes(wave_sizes=["3"]), NOW)
    again = make_plan(ids("b"), fleet, wishes(), NOW, first)
    assert open_waves(again) == [["b"]]
    assert set(again.machines) == {rid(name).lower() for name in "abc"}


def test_an_interrupted_rollout_of_other_machines_is_not_forgotten() -> None:
    first = make_plan(ids("a"), keyed(machine("a")), wishes(), NOW)
    with pytest.raises(InputError, match="hotpatch_state_dir"):
        make_plan(ids("b"), keyed(machine("b")), wishes(), NOW, first)


def test_last_months_interrupted_rollout_is_over() -> None:
    first = make_plan(ids("a"), keyed(machine("a")), wishes(), NOW.replace(month=4, day=20))
    again = make_plan(ids("a"), keyed(machine("a")), wishes(), NOW, first)
    assert again.rollout_id != first.rollout_id and first.status == "stopped"


@pytest.mark.parametrize(
    ("verdict", "code", "install", "retry", "kept"),
    [
        ("failed", "status_failed", installed("a", "failed"), False, True),
        ("withheld", "excluded", installed("a", "withheld"), False, True),
        ("failed", "status_failed", installed("a", "failed"), True, False),
        ("withheld", "may_reboot", None, False, False),
        ("unproven", "still_running", installed("a", "running"), False, False),
        ("patched", "proven", installed("a"), False, False),
        ("not_started", "guest_unreachable", None, False, False),
    ],
)
def test_what_was_sent_in_vain_is_not_sent_again(
    verdict: str, code: str, install: dict[str, Any] | None, retry: bool, kept: bool
) -> None:
    first = make_plan(ids("a"), keyed(machine("a")), wishes(), NOW)
    record = first.in_scope[0]
    record.install = install
    record.judge(verdict, code, "as it was")
    first.status = "finished"
    again = make_plan(ids("a"), keyed(machine("a")), wishes(retry=retry), NOW, first)
    assert (again.in_scope[0].earlier is not None) is kept
    # And a third rollout still knows, though the second one kept the verdict without sending anything.
    again.in_scope[0].judge("not_started", "guest_unreachable", "silent")
    again.status = "finished"
    third = make_plan(ids("a"), keyed(machine("a")), wishes(retry=retry), NOW, again)
    assert (third.in_scope[0].earlier is not None) is kept


def test_the_printed_plan_has_every_machine_once() -> None:
    fleet = keyed(machine("off", power="stopped"), machine("a"))
    rows = describe_plan(make_plan(ids("off", "a"), fleet, wishes(), NOW))
    assert [row[:4] for row in rows] == [("a", "all", "1", f"install {KB_2025}"), ("off", "all", "-", "skipped")]
