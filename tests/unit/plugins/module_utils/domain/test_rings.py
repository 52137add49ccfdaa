# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of rings as users write them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.rings import RingRules, parse_ring, parse_rings

DEFAULTS: dict[str, object] = {"waves": [1, "25%"]}

FULL = {
    "name": "pilot",
    "hosts": ["pilots", "app01"],
    "tags": {"Environment": "test", "tier": 2},
    "canary": "app01",
    "waves": [1, "double up to 25%"],
    "error_budget": "5%",
    "wave_error_budget": 1,
    "soak": "PT2H",
    "window": {"start": "22:00", "end": "04:00", "days": ["sat"], "time_zone": "Europe/Berlin"},
    "blackout_dates": ["2026-12-24..2027-01-01"],
    "spread": ["zones"],
    "hooks": {"before_ring": "role"},
    "hold": True,
}


@pytest.mark.parametrize("nothing", [None, [], ""])
def test_without_rings_there_is_one_with_everybody(nothing: object) -> None:
    (ring,) = parse_rings(nothing, DEFAULTS)
    assert ring.name == "all" and ring.takes_the_rest
    assert [str(size) for size in ring.waves] == ["1", "25%"]
    assert ring.error_budget is None and ring.window is None and not ring.soak


def test_every_rule_is_read_and_written_alike() -> None:
    (ring,) = parse_rings([FULL], DEFAULTS)
    assert ring.hosts == ("pilots", "app01") and ring.canary == ("app01",)
    assert ring.tags == {"Environment": "test", "tier": "2"}
    assert str(ring.error_budget) == "5%" and str(ring.wave_error_budget) == "1"
    assert ring.soak == timedelta(hours=2)
    assert str(ring.window) == "22:00-04:00 sat, Europe/Berlin"
    assert ring.spread == {"zones"}
    assert ring.extras == {"hooks": {"before_ring": "role"}, "hold": True}
    assert parse_ring(ring.to_dict(), {}) == ring


def test_what_a_ring_does_not_give_is_the_rollouts() -> None:
    defaults = {**DEFAULTS, "soak": 60, "wave_error_budget": "2", "spread": "none", "blackout_dates": "2026-12-24"}
    first, second = parse_rings([{"name": "a", "hosts": "x"}, {"name": "b", "soak": 0, "waves": 3}], defaults)
    assert first.soak == timedelta(seconds=60) and second.soak == timedelta()
    assert str(second.wave_error_budget) == "2" and [str(size) for size in second.waves] == ["3"]
    assert first.spread == second.spread == frozenset()
    own = parse_ring({"name": "c", "blackout_dates": "2026-12-31"}, defaults)
    assert [str(item) for item in own.blackout_dates] == ["2026-12-24", "2026-12-31"]


def test_a_key_that_is_null_is_not_given() -> None:
    ring = parse_ring({key: None for key in FULL if key != "name"} | {"name": "a"}, DEFAULTS)
    assert ring == RingRules("a", waves=ring.waves)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("canary", "hotpatch_rings has the value"),
        ([["canary"]], "hotpatch_rings[0] has the value"),
        ([{"hosts": "a"}], "hotpatch_rings[0].name"),
        ([{"name": " "}], "hotpatch_rings[0].name"),
        ([{"name": "a", "host": "b"}], "'host'"),
        ([{"name": "a", "hosts": "x"}, {"name": "A"}], "a name that no earlier ring has"),
        ([{"name": "a"}, {"name": "b"}], "takes everybody"),
        ([{"name": "a", "hosts": {"x": 1}}], "hotpatch_rings[0].hosts"),
        ([{"name": "a", "hosts": ["x", 1]}], "hotpatch_rings[0].hosts"),
        ([{"name": "a", "tags": ["x"]}], "hotpatch_rings[0].tags"),
        ([{"name": "a", "tags": {"x": ["y"]}}], "hotpatch_rings[0].tags"),
        ([{"name": "a", "waves": 0}], "hotpatch_rings[0].waves"),
        ([{"name": "a", "waves": "triple"}], "hotpatch_rings[0].waves"),
        ([{"name": "a", "error_budget": "many"}], "hotpatch_rings[0].error_budget"),
        ([{"name": "a", "soak": "later"}], "hotpatch_rings[0].soak"),
        ([{"name": "a", "soak": True}], "hotpatch_rings[0].soak"),
        ([{"name": "a", "window": {"start": "22"}}], "hotpatch_rings[0].window.start"),
        ([{"name": "a", "blackout_dates": ["soon"]}], "hotpatch_rings[0].blackout_dates"),
        ([{"name": "a", "spread": "zone"}], "hotpatch_rings[0].spread"),
    ],
)
def test_rings_that_are_none(raw: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_rings(raw, DEFAULTS)
    assert said in str(caught.value)


def test_a_wrong_default_is_named_by_its_own_option() -> None:
    with pytest.raises(InputError, match="Option hotpatch_waves "):
        parse_rings(None, {"waves": "0"})
    with pytest.raises(InputError, match="Option hotpatch_soak "):
        parse_rings([{"name": "a"}], {**DEFAULTS, "soak": "later"})
