# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any, Literal

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.plain import from_plain, to_plain
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId

from .builders import rid


@dataclass(frozen=True)
class Inner:
    number: int
    part: float = 0.5


@dataclass(frozen=True)
class Outer:
    when: datetime
    day: date
    id: ResourceId
    maybe: str | None
    color: Literal["red", "blue"]
    inner: Fact[Inner]
    names: Fact[tuple[str, ...]]
    moment: Fact[datetime]
    tags: Mapping[str, str] = field(default_factory=dict)
    many: tuple[Inner, ...] = ()
    free: Any = None


FULL = Outer(
    when=datetime(2026, 5, 13, 1, 2, 3, 500000, timezone.utc),
    day=date(2026, 5, 12),
    id=ResourceId.parse(rid()),
    maybe=None,
    color="blue",
    inner=Fact.of(Inner(3), "seen"),
    names=Fact.of(("a", "b")),
    moment=Fact.unreadable("denied"),
    tags={"k": "v"},
    many=(Inner(1), Inner(2, 1.0)),
    free={"deep": [1, None]},
)


def test_goes_through_json_and_back() -> None:
    assert from_plain(Outer, json.loads(json.dumps(to_plain(FULL)))) == FULL


def test_shape() -> None:
    plain = to_plain(FULL)
    assert plain["when"] == "2026-05-13T01:02:03.500000Z"
    assert plain["day"] == "2026-05-12"
    assert plain["id"] == rid()
    assert plain["inner"] == {"state": "value", "value": {"number": 3, "part": 0.5}, "why": "seen"}
    assert plain["moment"] == {"state": "unreadable", "value": None, "why": "denied"}


@pytest.mark.parametrize("value", [object(), b"bytes", 1j])
def test_refuses_what_json_cannot_carry(value: object) -> None:
    with pytest.raises(TypeError, match="plain JSON"):
        to_plain(value)


def test_sets_come_sorted() -> None:
    assert to_plain(frozenset({"b", "a"})) == ["a", "b"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("when", 5, "Outer.when"),
        ("when", "yesterday", "time stamp"),
        ("color", "green", "Outer.color"),
        ("tags", [], "Outer.tags"),
        ("many", {}, "Outer.many"),
        ("many", [{"number": True}], "Outer.many.number"),
        ("many", [{}], "incomplete"),
        ("inner", {"state": "value", "value": {"number": "3"}, "why": ""}, "number"),
        ("moment", {"state": "unreadable", "value": None, "why": ""}, "why"),
        ("id", "/nonsense", "Option"),
    ],
)
def test_says_where_it_does_not_fit(path: str, value: object, message: str) -> None:
    plain = {**to_plain(FULL), path: value}
    with pytest.raises(ValueError, match=message):
        from_plain(Outer, plain)


def test_missing_fields_take_defaults_and_unknown_ones_are_ignored() -> None:
    assert from_plain(Inner, {"number": 1, "newer": True}) == Inner(1, 0.5)
