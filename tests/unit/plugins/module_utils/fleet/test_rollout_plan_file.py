# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of plans that are carried: written, read, followed to the letter, and refused when the fleet has changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import Machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_hosts import read_inventory
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan, open_waves
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan_file import (
    PlanFile,
    parse_plan,
    plan_document,
    read_plan,
    write_plan,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_rings import Knowledge
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Rollout

from .rollout_fleet import NOW, ids, keyed, machine, rid, wishes

RINGS = [{"name": "one", "hosts": ["a"]}, {"name": "two", "waves": [1, 2], "error_budget": "10%"}]
NAMES = "abcde"


def known(names: str = NAMES) -> Knowledge:
    return Knowledge(read_inventory({name: {} for name in names}, {"all": list(names)}))


def made(names: str = NAMES, **wish: Any) -> tuple[Rollout, dict[str, Machine]]:
    fleet = keyed(*(machine(name) for name in names))
    wanted = wishes(**{"rings": RINGS, "error_budget": None, **wish})
    return make_plan(ids(*names), fleet, wanted, NOW, None, known()), fleet


def document(**wish: Any) -> dict[str, Any]:
    found = plan_document(*made(**wish))
    assert json.loads(json.dumps(found)) == found
    return found


def followed(plan: PlanFile, names: str = NAMES, machines: Any = None, inventory: str = NAMES, **other: Any) -> Rollout:
    fleet = machines if machines is not None else keyed(*(machine(name) for name in names))
    previous = other.pop("previous", None)
    # The rings and budgets of today do not count.
    wanted = wishes(wave_sizes=["100%"], error_budget="7", follow=plan, **other)
    return make_plan(ids(*names), fleet, wanted, NOW, previous, known(inventory))


def test_a_plan_is_followed_to_the_letter(tmp_path: Path) -> None:
    path = write_plan(str(tmp_path / "plans" / "may.json"), document())
    assert (tmp_path / "plans" / "may.json").stat().st_mode & 0o777 == 0o600
    rollout = followed(read_plan(path))
    assert open_waves(rollout) == [["a"], ["b"], ["c", "d"], ["e"]]
    assert [ring.name for ring in rollout.rings] == ["one", "two"] and rollout.rings[1].rules["error_budget"] == "10%"
    assert rollout.budget == "100%" and rollout.plan_digest == document()["digest"]
    # Planned again from what it decided, it is the same plan.
    assert plan_document(rollout, made()[1])["digest"] == document()["digest"]


def test_who_is_not_in_it_is_not_touched() -> None:
    rollout = followed(parse_plan(document()), NAMES + "x", inventory=NAMES + "x")
    record = rollout.machines[rid("x").lower()]
    assert (record.verdict, record.reason_code) == ("skipped", "not_in_plan")
    assert all("x" not in wave for wave in open_waves(rollout))


def test_a_limit_takes_its_part() -> None:
    assert open_waves(followed(parse_plan(document()), "ce")) == [["c"], ["e"]]


def test_who_is_stopped_now_is_left_out() -> None:
    fleet = keyed(*(machine(name, power="deallocated" if name == "b" else "running") for name in NAMES))
    rollout = followed(parse_plan(document()), machines=fleet)
    assert open_waves(rollout) == [["a"], ["c", "d"], ["e"]]
    assert rollout.machines[rid("b").lower()].reason_code == "stopped"


def test_a_second_run_goes_on_with_it() -> None:
    plan = parse_plan(document())
    begun = followed(plan, "ab")
    begun.machines[rid("a").lower()].judge("patched", "proven", "proven")
    again = followed(plan, previous=begun)
    assert open_waves(again) == [["b"], ["c", "d"], ["e"]] and again.resumed == 1
    with pytest.raises(InputError, match="hotpatch_follow_plan"):
        make_plan(ids(*NAMES), made()[1], wishes(), NOW, again, known())
    other = parse_plan(document(rings=[{"name": "one"}]))
    with pytest.raises(InputError, match=f"the plan {plan.digest} that the interrupted rollout"):
        followed(other, previous=again)


def test_an_interrupted_rollout_of_its_own_is_not_turned_into_another() -> None:
    begun, dummy = made()
    with pytest.raises(InputError, match="was not started from a plan file"):
        followed(parse_plan(document()), previous=begun)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": "abcd", "inventory": "abcd"}, "the inventory no longer has e"),
        ({"kb_numbers": ["9999999"]}, "was to be sent KB5087423 and would now be sent KB9999999"),
    ],
)
def test_a_fleet_that_changed_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        followed(parse_plan(document()), **change)
    assert said in str(caught.value) and "make a new plan" in str(caught.value)


def test_another_machine_behind_a_host_is_refused() -> None:
    anew = {**made()[1], rid("c").lower(): replace(machine("c"), vm_id="99999999-0000-0000-0000-000000000000")}
    with pytest.raises(InputError, match="the machine of c was made anew"):
        followed(parse_plan(document()), machines=anew)
    moved = {**ids(*"abde"), "c": rid("c2")}
    with pytest.raises(InputError, match=r"c was /subscriptions.*/c and is /subscriptions.*/c2"):
        make_plan(
            moved,
            keyed(*(machine(name) for name in ("a", "b", "d", "e", "c2"))),
            wishes(follow=parse_plan(document())),
            NOW,
            None,
            known(),
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is no JSON"),
        ("[]", "lacks something"),
        ("{}", "lacks something"),
        ('{"kind": "winfleet.hotpatch plan", "format": 2}', "in format 1"),
        ('{"kind": "recipe", "format": 1}', "a plan that winfleet.hotpatch.plan wrote"),
    ],
)
def test_what_is_no_plan(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_plan(str(path))
    assert "hotpatch_plan_file" in str(caught.value) and said in str(caught.value)


def test_a_plan_that_is_not_there_or_was_changed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hotpatch_plan_file"):
        read_plan(str(tmp_path / "none.json"))
    changed = document()
    changed["waves"][0]["machines"].append(changed["waves"][1]["machines"].pop())
    with pytest.raises(InputError, match="unchanged"):
        parse_plan(changed)
