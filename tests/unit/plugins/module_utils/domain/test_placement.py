# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of placement: by tables, and over random fleets judged by a checker that shares no code with it."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.placement import (
    AVAILABILITY_FIRST_RULES,
    Site,
    Surroundings,
    parse_spread,
    place,
    spread_words,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.waves import parse_wave_sizes

PAIRS = {"west": "north", "north": "west", "south": None, "brazil": "west"}


def waves(sites: list[Site], sizes: Any = "100%", **around: Any) -> list[list[str]]:
    rules = around.pop("rules", AVAILABILITY_FIRST_RULES)
    given_sets = around.pop("set_sizes", Counter(site.availability_set for site in sites if site.availability_set))
    surroundings = Surroundings(around.pop("pairs", PAIRS), given_sets, rules, **around)
    return [wave.keys for wave in place(sites, parse_wave_sizes(sizes), surroundings)]


def site(key: str, **where: Any) -> Site:
    return Site(key, where.pop("location", "west"), **where)


def in_set(count: int, domains: int | None = None, name: str = "set") -> list[Site]:
    """Machines of one set, dealt over update domains; None: nobody knows their domain."""
    return [
        site(f"{name}{n}", availability_set=name, update_domain=None if domains is None else n % domains)
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("sites", "expected"),
    [
        ([site("a"), site("b")], [["a", "b"]]),
        (in_set(3, 3), [["set0"], ["set1"], ["set2"]]),
        # Nine in one update domain: still one at a time.
        (in_set(9, 1), [[f"set{n}"] for n in range(9)]),
        # Ten: two at a time (20 %), and only of one update domain.
        (in_set(10, 5), [["set0", "set5"], ["set1", "set6"], ["set2", "set7"], ["set3", "set8"], ["set4", "set9"]]),
        # Not known in which domain: as if each had one of its own.
        (in_set(10), [[f"set{n}"] for n in range(10)]),
        # Zones of one service never together, zones of two services do not mind.
        (
            [
                site("a1", service="a", zone="z1"),
                site("a2", service="a", zone="z2"),
                site("b2", service="b", zone="z2"),
            ],
            [["a1", "b2"], ["a2"]],
        ),
        # A machine of the service that chose no zone may stand in any: it goes with none that chose one.
        ([site("a1", service="a", zone="z1"), site("a0", service="a")], [["a1"], ["a0"]]),
        ([site("a1", service="a"), site("a2", service="a")], [["a1", "a2"]]),
        # Two regions of one service are two zones.
        ([site("a1", service="a"), site("a2", service="a", location="south")], [["a1"], ["a2"]]),
        ([site("a1", zone="z1"), site("a2", zone="z2")], [["a1", "a2"]]),
        # Paired regions, in either direction of Azure's answer; one without a pair; one that nobody knows.
        ([site("a"), site("b", location="north"), site("c", location="south")], [["a", "c"], ["b"]]),
        ([site("a"), site("b", location="brazil")], [["a"], ["b"]]),
        ([site("b", location="brazil"), site("a")], [["b"], ["a"]]),
        ([site("a"), site("b", location="mars"), site("c", location="mars")], [["a"], ["b", "c"]]),
        # Domain controllers of one domain, and of two.
        (
            [
                site("dc1", domain_controller_of="x"),
                site("dc2", domain_controller_of="x"),
                site("dc3", domain_controller_of="y"),
            ],
            [["dc1", "dc3"], ["dc2"]],
        ),
        # The owner of a cluster last, wherever the inventory has it.
        (
            [site("n1", cluster="c", owner=True), site("n2", cluster="c"), site("n3", cluster="c"), site("a")],
            [["n2", "a"], ["n3"], ["n1"]],
        ),
        # Each node said another owner: both go when no other is left.
        (
            [site("n1", cluster="c", owner=True), site("n2", cluster="c", owner=True), site("n3", cluster="c")],
            [["n3"], ["n1"], ["n2"]],
        ),
        # Whose role is not known goes with no controller, no node, and no other such machine.
        (
            [
                site("u1", role_unknown=True),
                site("u2", role_unknown=True),
                site("dc", domain_controller_of="x"),
                site("n", cluster="c"),
                site("a"),
            ],
            [["u1", "a"], ["u2"], ["dc", "n"]],
        ),
    ],
)
def test_availability_first(sites: list[Site], expected: list[list[str]]) -> None:
    assert waves(sites) == expected


def test_it_is_relaxed_only_by_word() -> None:
    sites = [*in_set(3, 3), site("b", location="north")]
    assert waves(sites, rules=frozenset({"region_pairs"})) == [["set0", "set1", "set2"], ["b"]]
    assert waves(sites, rules=frozenset({"availability_sets"})) == [["set0", "b"], ["set1"], ["set2"]]
    assert waves(sites, rules=frozenset()) == [["set0", "set1", "set2", "b"]]


def test_a_set_is_as_large_as_the_rollout_knows_it() -> None:
    """Two machines in scope of a set of twenty: up to four may go at once, so both do."""
    assert waves(in_set(2, 1), set_sizes={"set": 20}) == [["set0", "set1"]]
    assert waves(in_set(2, 1), set_sizes={}) == [["set0"], ["set1"]]


def test_windows_that_never_meet_share_no_wave() -> None:
    sites = [site("a", window="day"), site("b", window="night"), site("c", window="any"), site("d")]
    assert waves(sites, apart=frozenset({frozenset(("day", "night"))})) == [["a", "c", "d"], ["b"]]


def test_the_order_and_the_sizes_are_kept() -> None:
    sites = [site(f"m{n}") for n in range(10)]
    assert [len(wave) for wave in waves(sites, [1, "double"])] == [1, 2, 4, 3]
    assert [key for wave in waves(sites, [1, "double up to 30%"]) for key in wave] == [one.key for one in sites]
    assert [len(wave) for wave in waves(sites, [1, "double up to 30%"])] == [1, 2, 3, 3, 1]


def test_what_was_held_back_is_counted() -> None:
    (first, *dummy) = place(in_set(3, 3), parse_wave_sizes("100%"), Surroundings(PAIRS, {"set": 3}))
    assert first.held_back == {"availability_sets": 2} and first.size == 3


@pytest.mark.parametrize(
    ("raw", "rules"),
    [
        (None, AVAILABILITY_FIRST_RULES),
        ("", AVAILABILITY_FIRST_RULES),
        ("Availability_First", AVAILABILITY_FIRST_RULES),
        ("none", frozenset()),
        ([], frozenset()),
        ("zones", frozenset({"zones"})),
        (["zones", "clusters"], frozenset({"zones", "clusters"})),
    ],
)
def test_words(raw: object, rules: frozenset[str]) -> None:
    assert parse_spread(raw) == rules
    assert parse_spread(spread_words(parse_spread(raw))) == rules


@pytest.mark.parametrize("raw", ["zone", ["zones", "none"], ["zones", 1], {"zones": True}, True])
def test_words_that_are_none(raw: object) -> None:
    with pytest.raises(InputError, match="hotpatch_spread"):
        parse_spread(raw)


# -- random fleets, and a checker of its own ----------------------------------------------------------------------

LOCATIONS = ["west", "north", "south", "brazil", "mars"]


@st.composite
def fleets(draw: st.DrawFn) -> list[Site]:
    count = draw(st.integers(1, 60))
    luck = random.Random(draw(st.integers(0, 2**32)))
    sites = []
    for number in range(count):
        location = luck.choice(LOCATIONS[: luck.choice((1, 2, 5))])
        cluster = luck.choice([None, None, None, "c1", "c2"])
        sites.append(
            Site(
                key=f"m{number}",
                location=location,
                zone=luck.choice([None, f"{location}-az1", f"{location}-az2"]),
                availability_set=luck.choice([None, "s1", "s2"]),
                update_domain=luck.choice([0, 1, 2, None]),
                service=luck.choice([None, None, "web", "db"]),
                domain_controller_of=luck.choice([None, None, None, None, "x", "y"]),
                cluster=cluster,
                owner=bool(cluster) and luck.random() < 0.2,
                role_unknown=luck.random() < 0.1,
                window=luck.choice([None, "day", "night"]),
            )
        )
    return sites


def faults(sites: list[Site], placed: list[list[str]]) -> list[str]:
    """What is wrong with those waves, from the rules' own words."""
    by_key = {one.key: one for one in sites}
    found = []
    if sorted(key for wave in placed for key in wave) != sorted(by_key):
        found.append("a machine is missing, or planned twice")
    members = Counter(one.availability_set for one in sites if one.availability_set)
    for number, wave in enumerate(placed):
        here = [by_key[key] for key in wave]
        for name, count in Counter(one.availability_set for one in here if one.availability_set).items():
            if count > 1 and (members[name] < 10 or count * 5 > members[name]):
                found.append(f"{count} of the {members[name]} machines of {name} in wave {number}")
        for one, other in combinations(here, 2):
            found += [f"wave {number}: {one.key} and {other.key}: {why}" for why in quarrels(one, other)]
        later = [by_key[key] for following in placed[number + 1 :] for key in following]
        for one in here:
            if one.owner and any(o.cluster == one.cluster and not o.owner for o in later + here):
                found.append(f"{one.key} owns {one.cluster} and goes before another node")
    return found


def quarrels(one: Site, other: Site) -> list[str]:
    found = []
    same_set = one.availability_set and one.availability_set == other.availability_set
    if same_set and (one.update_domain is None or one.update_domain != other.update_domain):
        found.append("two update domains of a set")
    if one.service and one.service == other.service and (one.location, one.zone) != (other.location, other.zone):
        found.append("two zones of a service")
    regions = {one.location, other.location}
    if len(regions) == 2 and ("mars" in regions or regions in ({"west", "north"}, {"brazil", "west"})):
        found.append("paired regions")
    if one.domain_controller_of and one.domain_controller_of == other.domain_controller_of:
        found.append("two controllers of a domain")
    if one.cluster and one.cluster == other.cluster:
        found.append("two nodes of a cluster")
    for unknown, known in ((one, other), (other, one)):
        if unknown.role_unknown and (known.role_unknown or known.domain_controller_of or known.cluster):
            found.append("an unknown role beside a known one")
    if {one.window, other.window} == {"day", "night"}:
        found.append("windows that never meet")
    return found


@settings(max_examples=300, deadline=None)
@given(fleets(), st.sampled_from([["100%"], [1, "double"], [1, "25%"], ["double up to 4"], [3, 1]]))
def test_no_rule_is_ever_broken(sites: list[Site], sizes: list[Any]) -> None:
    around = Surroundings(
        PAIRS,
        Counter(one.availability_set for one in sites if one.availability_set),
        apart=frozenset({frozenset(("day", "night"))}),
    )
    placed = place(sites, parse_wave_sizes(sizes), around)
    assert faults(sites, [wave.keys for wave in placed]) == []
    assert all(0 < len(wave.keys) <= wave.size for wave in placed)
    # Nobody waits without need: whoever is in a later wave met a rule or a full wave before.
    assert all(len(wave.keys) == wave.size or sum(wave.held_back.values()) for wave in placed[:-1])


def test_the_checker_sees_what_is_wrong() -> None:
    sites = [
        *in_set(10, 5),
        site("a1", service="a", zone="z1"),
        site("a2", service="a", zone="z2"),
        site("n1", cluster="c", owner=True),
        site("n2", cluster="c"),
    ]
    keys = [one.key for one in sites]
    assert len(faults(sites, [keys])) > 5
    assert faults(sites, [keys[1:]])[0] == "a machine is missing, or planned twice"
    assert "goes before another node" in faults(sites[-2:], [["n1"], ["n2"]])[0]
