# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every rule by which a rollout is judged sees the breach that it is there for, and none in a log without it."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import audit_rules as rules
import pytest
from audit_rules import Hours, Place, Purse
from test_audit_checker import WEB1, WEB2, install, log, operation, sent

BOTH = log(operation(WEB1, "started", "a"), operation(WEB2.upper(), "started", "b"))
IN_TURN = log(operation(WEB1, "started", "a"), operation(WEB1, "finished", "a"), operation(WEB2, "started", "b"))
PLATFORM = log(operation(WEB1, "started", "a"), {**operation(WEB2, "started", "b"), "started_by": "Platform"})
MORE = {WEB1.replace("web1", f"other{number}"): Place(availability_set="s") for number in range(8)}


def both(one: Place, other: Place) -> dict[str, Place]:
    return {WEB1: one, WEB2: other}


def breaches(lines: list[dict[str, Any]], places: dict[str, Place]) -> int:
    judged = (rules.sets_broken(lines, places), rules.zones_broken(lines, places), rules.roles_broken(lines, places))
    return sum(map(len, (*judged, rules.pairs_broken(lines, places, {"westeurope": "northeurope"}))))


@pytest.mark.parametrize(
    "places",
    [
        both(Place(availability_set="s"), Place(availability_set="s")),
        {**both(Place(availability_set="s"), Place(availability_set="s", update_domain=1)), **MORE},
        both(Place(service="shop", zone="az1"), Place(service="shop", zone="az2")),
        both(Place("westeurope", service="shop", zone="az1"), Place("westeurope", service="shop")),
        both(Place("westeurope"), Place("northeurope")),
        both(Place("northeurope"), Place("westeurope")),
        both(Place(domain="corp"), Place(domain="corp")),
        both(Place(cluster="sql"), Place(cluster="sql")),
    ],
)
def test_what_must_stay_apart_is_seen_together(places: dict[str, Place]) -> None:
    assert breaches(BOTH, places) == 1
    assert breaches(IN_TURN, places) == breaches(PLATFORM, places) == 0


@pytest.mark.parametrize(
    "places",
    [
        both(Place(availability_set="s"), Place(availability_set="t")),
        {**both(Place(availability_set="s"), Place(availability_set="s")), **MORE},
        both(Place(service="shop", zone="az1"), Place(service="shop", zone="az1")),
        both(Place(service="shop", zone="az1"), Place(service="mail", zone="az2")),
        both(Place("westeurope"), Place("eastus")),
        both(Place(domain="corp"), Place(domain="other", cluster="corp")),
    ],
)
def test_what_may_go_together_is_no_breach(places: dict[str, Place]) -> None:
    assert breaches(BOTH, places) == 0


def test_a_fifth_of_a_set_is_the_most() -> None:
    machines = [WEB1.replace("web1", f"m{number}") for number in range(10)]
    places = {machine: Place(availability_set="s") for machine in machines}
    lines = log(*(operation(machine, "started", machine) for machine in machines[:3]))
    assert len(rules.sets_broken(lines, places)) == 1


def at(hour: int, minute: int = 0, day: int = 13) -> dict[str, Any]:
    return {**install(WEB1), "time": datetime(2026, 5, day, hour, minute, tzinfo=timezone.utc).isoformat()}


@pytest.mark.parametrize(
    ("line", "hours", "wrong"),
    [
        (at(21, 59), Hours(time(22), time(4)), True),
        (at(22), Hours(time(22), time(4)), False),
        (at(1, 59), Hours(time(22), time(4)), False),
        (at(2, 1), Hours(time(22), time(4)), True),
        (at(4), Hours(time(22), time(4)), True),
        (at(20), Hours(time(22), time(4), "Europe/Amsterdam"), False),
        (at(0, 30), Hours(time(22), time(4), "Europe/Amsterdam"), True),
        (at(10), Hours(time(8), time(18), not_on=(date(2026, 5, 13),)), True),
        (at(22, 1), Hours(time(20), time(4), not_on=(date(2026, 5, 14),)), True),
        (at(21, 59), Hours(time(20), time(4), not_on=(date(2026, 5, 14),)), False),
    ],
)
def test_a_start_outside_its_hours_is_seen(line: dict[str, Any], hours: Hours, wrong: bool) -> None:
    assert bool(rules.outside_hours([{"seq": 1, **line}], {WEB1.upper(): hours}, timedelta(hours=2))) is wrong


def test_a_blocked_update_is_seen() -> None:
    assert len(rules.blocked_sent(log(sent(WEB1, ["KB1", "kb2"])), ["KB2"])) == 1
    assert len(rules.blocked_sent(log(sent(WEB1, [], ["Security"])), ["KB2"])) == 1
    assert rules.blocked_sent(log(sent(WEB1, ["KB1"])), ["KB2"]) == []


FAILED = {**operation(WEB1, "finished", "a"), "status": "Failed"}
RESTART = {"kind": "restart", "cause": "fault", "resource_id": WEB1}


@pytest.mark.parametrize("how", ["fails", "fails inside", "restarts"])
def test_a_wave_beyond_a_budget_is_seen(how: str) -> None:
    ended = {"fails": FAILED, "fails inside": {**FAILED, "status": "Succeeded", "result_status": "Failed"}}
    between = [RESTART, operation(WEB1, "finished", "a")] if how == "restarts" else [ended[how]]
    lines = log(install(WEB1), operation(WEB1, "started", "a"), *between, install(WEB2))
    assert list(rules.bad_endings(lines)) == [WEB1.lower()]
    nothing = [Purse("all", frozenset([WEB1.upper(), WEB2]), 0)]
    assert len(rules.overspent(lines, [[WEB1], [WEB2]], nothing)) == 1
    assert rules.overspent(lines, [[WEB1, WEB2]], nothing) == []
    assert rules.overspent(lines, [[WEB1], [WEB2]], [Purse("all", frozenset([WEB1, WEB2]), 1)]) == []
    assert rules.overspent(lines, [[WEB1], [WEB2]], [Purse("another ring", frozenset([WEB2]), 0)]) == []


def test_more_at_once_than_allowed_is_seen() -> None:
    assert len(rules.wider_than(BOTH, [WEB1, WEB2], 1)) == 1
    assert rules.wider_than(BOTH, [WEB1, WEB2], 2) == rules.wider_than(BOTH, [WEB1], 1) == []


def test_verdicts_that_are_not_true_are_seen() -> None:
    lines = log(sent(WEB1, ["KB1"]), operation(WEB1, "started", "a"), operation(WEB1, "finished", "a"))
    good = {WEB1: ["KB1"]}
    assert rules.untrue(lines, {WEB1: "patched"}, good) == []
    assert len(rules.untrue(lines, {WEB1: "patched"}, {WEB1: []})) == 1
    assert len(rules.untrue([], {WEB1: "patched"}, good)) == 1
    assert len(rules.untrue(lines, {WEB1: "not_started"}, good)) == 1
    assert len(rules.untrue(lines, {}, good)) == 1
    failed = log(sent(WEB1, ["KB1"]), operation(WEB1, "started", "a"), FAILED)
    assert len(rules.untrue(failed, {WEB1: "patched"}, good)) == 1
    assert rules.untrue(failed, {WEB1: "failed"}, good) == []
