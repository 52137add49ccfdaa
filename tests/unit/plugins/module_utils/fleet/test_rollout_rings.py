# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of rings and placement in a plan: membership, where machines stand, and what a later run keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.locations import Region, Regions
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import Machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_state
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_hosts import read_inventory
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan, open_waves
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_rings import Knowledge
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Rollout

from .rollout_fleet import NOW, guest, ids, keyed, machine, rid, wishes

SUBSCRIPTION = "11111111-1111-1111-1111-111111111111"
PAIRED = Regions(
    {
        SUBSCRIPTION: {
            "westeurope": Region("westeurope", "northeurope", {"1": "we-az3", "2": "we-az1"}),
            "northeurope": Region("northeurope", "westeurope"),
        }
    }
)


def known(groups: dict[str, list[str]] | None = None, regions: Regions = PAIRED, **variables: Any) -> Knowledge:
    """What inventory and Azure's locations say; keywords are a host's variables."""
    members = {host for group in (groups or {}).values() for host in group} | set(variables)
    of_host = {host: variables.get(host, {}) for host in sorted(members)}
    return Knowledge(read_inventory(of_host, groups or {}), None, regions, "service")


def plan(machines: dict[str, Machine], names: str, knowledge: Knowledge, previous: Any = None, **wish: Any) -> Rollout:
    wanted = wishes(**{"wave_sizes": ["100%"], "error_budget": None, **wish})
    return make_plan(ids(*names.split()), machines, wanted, NOW, previous, knowledge)


RINGS = [
    {"name": "canary", "hosts": "canaries", "waves": 1},
    {"name": "test", "tags": {"Env": "test"}},
    {"name": "broad", "hosts": ["servers", "lone"]},
]
GROUPS = {"canaries": ["a"], "servers": ["a", "b", "c"], "lonely": ["lone"]}


def test_the_first_ring_that_names_a_machine_has_it() -> None:
    fleet = keyed(
        machine("c"), replace(machine("b"), tags={"env": "test"}), machine("a"), machine("lone"), machine("x")
    )
    made = plan(fleet, "c b a lone x", known(GROUPS), rings=RINGS)
    assert {record.host: record.ring for record in made.in_scope} == {
        "a": "canary", "b": "test", "c": "broad", "lone": "broad", "x": None
    }  # fmt: skip
    assert open_waves(made) == [["a"], ["b"], ["c", "lone"]]
    left_out = made.machines[rid("x").lower()]
    assert (left_out.verdict, left_out.reason_code) == ("skipped", "no_ring")


def test_tags_compare_as_azure_does() -> None:
    fleet = keyed(replace(machine("a"), tags={"ENV": "test"}), replace(machine("b"), tags={"env": "Test"}))
    made = plan(fleet, "a b", known(), rings=[{"name": "t", "tags": {"env": "test"}}])
    assert [record.ring for record in made.in_scope] == ["t", None]


def test_hosts_and_tags_together_narrow() -> None:
    fleet = keyed(replace(machine("a"), tags={"env": "test"}), replace(machine("b"), tags={"env": "test"}))
    made = plan(fleet, "a b", known(GROUPS), rings=[{"name": "t", "hosts": "canaries", "tags": {"env": "test"}}])
    assert [record.ring for record in made.in_scope] == ["t", None]


def test_a_ring_of_nobody_in_the_inventory_is_refused() -> None:
    with pytest.raises(InputError, match=r"hotpatch_rings\[0\].hosts has the value 'canarys'"):
        plan(keyed(machine("a")), "a", known(GROUPS), rings=[{"name": "x", "hosts": "canarys"}])
    with pytest.raises(InputError, match=r"hotpatch_rings\[0\].canary"):
        plan(keyed(machine("a")), "a", known(GROUPS), rings=[{"name": "x", "canary": "nobody"}])


def test_canaries_go_first() -> None:
    fleet = keyed(*(machine(name) for name in "abc"))
    made = plan(fleet, "c b a", known(GROUPS), rings=[{"name": "x", "canary": "canaries", "waves": [1, "100%"]}])
    assert open_waves(made) == [["a"], ["c", "b"]]


@pytest.mark.parametrize(
    ("rings", "given", "rollout", "ring"),
    [
        (None, None, "0", None),
        (None, "3", "3", None),
        # With rings and no budget for the whole, each ring has its own, and none tolerates nothing.
        ([{"name": "x"}], None, "100%", "0"),
        ([{"name": "x", "error_budget": "5%"}], None, "100%", "5%"),
        # With a budget for the whole, a ring without its own leaves it to that.
        ([{"name": "x"}], "3", "3", None),
        ([{"name": "x", "error_budget": 1}], "3", "3", "1"),
    ],
)
def test_whose_budget_counts(rings: Any, given: Any, rollout: str, ring: str | None) -> None:
    made = plan(keyed(machine("a")), "a", known(), rings=rings, error_budget=given)
    assert made.budget == rollout
    assert made.rings[0].rules["error_budget"] == ring


def test_physical_zones_count_not_numbers() -> None:
    """Zone 1 of one subscription and zone 2 of another are one building here, so these two may go together."""
    other = "22222222-2222-2222-2222-222222222222"
    regions = Regions({**PAIRED.by_subscription, other: {"westeurope": Region("westeurope", None, {"2": "we-az3"})}})
    there = rid("b").replace(SUBSCRIPTION, other)
    fleet = keyed(
        replace(machine("a"), zones=("1",), tags={"Service": "web"}),
        replace(machine("b"), id=type(machine("b").id).parse(there, "id"), zones=("2",), tags={"service": "web"}),
        replace(machine("c"), zones=("2",), tags={"service": "web"}),
    )
    wanted = wishes(wave_sizes=["100%"])
    targets = {"a": rid("a"), "b": there, "c": rid("c")}
    made = make_plan(targets, fleet, wanted, NOW, None, known(regions=regions))
    assert open_waves(made) == [["a", "b"], ["c"]]
    assert [record.zone for record in made.in_scope] == ["we-az3", "we-az3", "we-az1"]
    # Where one subscription's zones are not known, its machines go with nobody else's.
    careful = make_plan(targets, fleet, wanted, NOW, None, known())
    assert open_waves(careful) == [["a"], ["b"], ["c"]]


def test_paired_regions_and_unknown_ones() -> None:
    fleet = keyed(machine("a"), replace(machine("b"), location="North Europe"), machine("c"))
    assert open_waves(plan(fleet, "a b c", known())) == [["a", "c"], ["b"]]
    far = keyed(machine("a"), replace(machine("b"), location="southeastasia"), machine("c"))
    assert open_waves(plan(far, "a b c", known())) == [["a", "c"], ["b"]], "not known to be no pair"
    assert open_waves(plan(far, "a b c", known(), spread="none")) == [["a", "b", "c"]]


def test_availability_sets_by_azures_update_domain() -> None:
    machines = [machine(f"m{n}") for n in range(10)]
    fleet = keyed(
        *(
            replace(one, availability_set="/x/SET" if n % 2 else "/x/set", platform_update_domain=Fact.of(n % 5))
            for n, one in enumerate(machines)
        )
    )
    names = " ".join(f"m{n}" for n in range(10))
    assert open_waves(plan(fleet, names, known())) == [[f"m{n}", f"m{n + 5}"] for n in range(5)]


def test_the_inventory_names_services_controllers_and_clusters() -> None:
    fleet = keyed(*(machine(name) for name in "abcd"))
    knowledge = known(
        a={"hotpatch_domain_controller_of": "x"},
        b={"hotpatch_domain_controller_of": "X"},
        c={"hotpatch_cluster": "k"},
        d={"hotpatch_cluster": "k", "hotpatch_service": "own"},
    )
    made = plan(fleet, "a b c d", knowledge)
    assert open_waves(made) == [["a", "c"], ["b", "d"]]
    assert made.in_scope[3].service == "own"


def test_a_silent_guest_keeps_its_place_and_is_marked() -> None:
    fleet = keyed(machine("a"), machine("b"))
    member = guest("b", domain_role=Fact.of(3), cluster_name=Fact.absent("no such namespace"))
    silent = {"a": unreachable_guest("timed out", NOW), "b": member}
    made = plan(fleet, "a b", Knowledge(guests=silent, regions=PAIRED))
    assert [(record.role_silent, record.role_unknown) for record in made.in_scope] == [(True, ""), (False, "")]
    assert open_waves(made) == [["a", "b"]]


# -- a later run ---------------------------------------------------------------------------------------------------


def test_who_has_a_wave_keeps_it_and_who_is_new_gets_one_behind_its_ring() -> None:
    fleet = keyed(*(machine(name) for name in "abcd"))
    groups = {"first": ["a", "d"], "second": ["b", "c"]}
    rings = [{"name": "one", "hosts": "first"}, {"name": "two", "hosts": "second"}]
    begun = plan(fleet, "a b c", known(groups), rings=rings)
    begun.machines[rid("a").lower()].judge("patched", "proven", "proven")
    begun.ring("one").finished, begun.ring("one").soaked = "2026-05-13T02:00:00Z", "2026-05-13T03:00:00Z"
    before = {key: record.wave for key, record in begun.machines.items()}
    again = plan(fleet, "d c b a", known(groups), begun, rings=rings)
    assert {key: again.machines[key].wave for key in before} == before
    assert open_waves(again) == [["d"], ["b", "c"]]
    # The first ring has somebody again who is not proven, so it has to be finished and to soak again.
    assert again.ring("one").finished is None and again.ring("one").soaked is None


def test_a_ring_that_is_gone_keeps_its_waves_first() -> None:
    fleet = keyed(machine("a"), machine("b"))
    begun = plan(fleet, "a", known(), rings=[{"name": "old"}])
    again = plan(fleet, "a b", known(), begun, rings=[{"name": "new"}])
    assert [ring.name for ring in again.rings] == ["old", "new"]
    assert open_waves(again) == [["a"], ["b"]]


def test_who_was_left_out_and_is_fit_now_is_caught_up() -> None:
    begun = plan(keyed(machine("a"), machine("b", power="deallocated")), "a b", known())
    again = plan(keyed(machine("a"), machine("b")), "a b", known(), begun)
    assert open_waves(again) == [["a"], ["b"]]


def test_a_blocked_kb_leaves_its_machines_out_at_once() -> None:
    fleet = keyed(machine("a"), machine("b", "ws2022"))
    begun = plan(fleet, "a b", known())
    again = plan(fleet, "a b", known(), begun, blocked_kbs=["5087423"])
    assert again.rollout_id == begun.rollout_id
    record = again.machines[rid("a").lower()]
    assert (record.verdict, record.reason_code) == ("skipped", "kb_blocked") and "KB5087423" in str(record.reason)
    assert open_waves(again) == [["b"]]


def test_one_of_two_named_kbs_is_blocked() -> None:
    made = plan(keyed(machine("a")), "a", known(), kb_numbers=["5087423", "9999999"], blocked_kbs=["KB9999999"])
    assert made.in_scope[0].kbs == ["KB5087423"]


def test_exemptions_hold_until_their_last_day() -> None:
    exempt = {"hotpatch_exempt": {"reason": "audit", "until": "2026-05-13"}}
    over = {"hotpatch_exempt": {"reason": "audit", "until": "2026-05-12"}}
    made = plan(keyed(machine("a"), machine("b")), "a b", known(a=exempt, b=over))
    first, second = made.in_scope
    assert (first.verdict, first.reason_code, first.reason) == ("skipped", "exempt", "exempt until 2026-05-13: audit")
    assert not second.judged and "ended 2026-05-12" in second.notes[0]


def test_a_window_in_a_zone_that_nobody_knows_is_not_started() -> None:
    rings = [{"name": "x", "window": "22:00-04:00"}]
    fleet = keyed(machine("a"), replace(machine("b"), time_zone=Fact.of("W. Europe Standard Time")), machine("c"))
    made = plan(fleet, "a b c", known(c={"hotpatch_time_zone": "Asia/Tokyo"}), rings=rings)
    assert [record.reason_code for record in made.in_scope] == ["time_zone_unknown", None, None]
    assert "hotpatch_time_zone" in str(made.in_scope[0].reason)
    # Berlin's night and Tokyo's never meet for two hours: 20-02 and 13-19 UTC.
    assert open_waves(made) == [["b"], ["c"]]


def test_the_state_survives_the_disk_and_an_older_format(tmp_path: Any) -> None:
    made = plan(keyed(machine("a")), "a", known(a={"hotpatch_window": "off_peak", "hotpatch_time_zone": "UTC"}))
    rollout_state.save(str(tmp_path), made, "2026-05-13T01:00:00Z")
    assert rollout_state.load(str(tmp_path)) == made
    old = made.to_dict()
    del old["rings"], old["plan_digest"]
    for wave in old["waves"]:
        del wave["ring"], wave["size"], wave["held_back"], wave["expected"]
    for record in old["machines"].values():
        for name in ("ring", "service", "domain", "zone", "window", "notes", "exposed_from"):
            del record[name]
    loaded = rollout_state.rollout_from_dict(old)
    assert [ring.name for ring in loaded.rings] == ["all"] and loaded.waves[0].ring == "all"
    # What a newer version wrote is passed over.
    newer = {**made.to_dict(), "colour": "blue"}
    newer["machines"] = {key: {**record, "colour": "blue"} for key, record in newer["machines"].items()}
    assert rollout_state.rollout_from_dict(newer) == made


def test_a_state_from_before_there_were_rings_goes_on() -> None:
    begun = plan(keyed(machine("a"), machine("b")), "a b", known(), wave_sizes=[1])
    for record in begun.machines.values():
        record.ring = None
    begun.rings = [rollout_state.Ring("all", {})]
    again = plan(keyed(machine("a"), machine("b")), "a b", known(), begun, wave_sizes=[1])
    assert again.resumed == 1 and open_waves(again) == [["a"], ["b"]]
    assert wishes().needed == timedelta(hours=2)
