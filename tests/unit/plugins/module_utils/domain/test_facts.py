# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact


@pytest.mark.parametrize(
    ("fact", "state", "value", "why"),
    [
        (Fact.of(0), "value", 0, ""),
        (Fact.of(False), "value", False, ""),
        (Fact.of("", "empty is a value"), "value", "", "empty is a value"),
        (Fact.absent(), "absent", None, ""),
        (Fact.absent("key missing"), "absent", None, "key missing"),
        (Fact.unreadable("denied"), "unreadable", None, "denied"),
        (Fact.of_optional(None, "not set"), "absent", None, "not set"),
        (Fact.of_optional(3), "value", 3, ""),
    ],
)
def test_states(fact: Fact[Any], state: str, value: object, why: str) -> None:
    assert (fact.state, fact.value, fact.why) == (state, value, why)
    assert (fact.known, fact.is_absent, fact.is_unreadable) == tuple(
        state == each for each in ("value", "absent", "unreadable")
    )
    assert fact.to_dict() == {"state": state, "value": value, "why": why}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fact.of(None),
        lambda: Fact.unreadable(""),
        lambda: Fact("absent", 3),
        lambda: Fact("no", None),  # type: ignore[arg-type]
    ],
)
def test_refuses_what_would_hide_something(make: Any) -> None:
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize("fact", [Fact.absent("x"), Fact.unreadable("x")])
def test_map_leaves_what_is_not_there(fact: Fact[int]) -> None:
    changed = fact.map(str)
    assert (changed.state, changed.value, changed.why) == (fact.state, None, "x")


def test_map_changes_a_value_and_keeps_its_remark() -> None:
    assert Fact.of(3, "from registry").map(str) == Fact.of("3", "from registry")
