# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Scopes and filters, what cannot be one, and what was expected and is not there."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.fleet_scope import (
    Expected,
    parse_expected,
    parse_scope,
    reconcile,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.graph_machine import graph_machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId

from .builders import SUBSCRIPTION, rid
from .graph_rows import machine_row


@pytest.mark.parametrize(
    ("options", "default", "subscriptions", "groups"),
    [
        ({}, SUBSCRIPTION, (SUBSCRIPTION,), ()),
        ({"subscriptions": ["ALL"]}, SUBSCRIPTION, (), ()),
        ({"subscriptions": [SUBSCRIPTION.upper()]}, "", (SUBSCRIPTION.upper(),), ()),
        ({"management_groups": ["mg-prod"]}, SUBSCRIPTION, (), ("mg-prod",)),
    ],
)
def test_scopes(options: dict[str, Any], default: str, subscriptions: Any, groups: Any) -> None:
    scope = parse_scope(options, default)
    assert (scope.subscriptions, scope.management_groups, scope.is_filtered) == (subscriptions, groups, False)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "subscriptions"),
        ({"subscriptions": ["production"]}, "production"),
        ({"subscriptions": ["all", SUBSCRIPTION]}, "'all'"),
        ({"subscriptions": [SUBSCRIPTION], "management_groups": ["x"]}, "management_groups"),
        ({"management_groups": ["My Group/1"]}, "My Group/1"),
        ({"subscriptions": [SUBSCRIPTION], "power_states": ["off"]}, "power_states"),
        ({"subscriptions": [SUBSCRIPTION], "tags": ["ring"]}, "tags"),
        ({"subscriptions": [SUBSCRIPTION], "tags": {"ring": {"a": 1}}}, "tags"),
        ({"subscriptions": [SUBSCRIPTION], "locations": [""]}, "locations"),
    ],
)
def test_what_cannot_be_a_scope_is_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_scope(options, "")
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({"resource_groups": ["FLEET"]}, True),
        ({"resource_groups": ["other"]}, False),
        ({"locations": ["West Europe"]}, True),
        ({"locations": ["northeurope"]}, False),
        ({"tags": {"HOTPATCH-ring": "Canary"}}, True),
        ({"tags": {"hotpatch-ring": ["pilot", "canary"]}}, True),
        ({"tags": {"hotpatch-ring": None}}, True),
        ({"tags": {"hotpatch-ring": "pilot"}}, False),
        ({"tags": {"owner": None}}, False),
        ({"power_states": ["running"]}, True),
        ({"power_states": ["deallocated"]}, False),
    ],
)
def test_filters(options: dict[str, Any], taken: bool) -> None:
    scope = parse_scope(options, SUBSCRIPTION)
    assert scope.is_filtered and scope.takes(graph_machine(machine_row()).machine) is taken


def test_a_power_state_that_is_not_shown_is_taken() -> None:
    scope = parse_scope({"power_states": ["running"]}, SUBSCRIPTION)
    assert scope.takes(graph_machine(machine_row(view=None)).machine)


def test_a_tag_that_yaml_made_a_number_or_a_boolean() -> None:
    scope = parse_scope({"tags": {"tier": 1, "patch": True}}, SUBSCRIPTION)
    assert scope.takes(graph_machine(machine_row(tags={"tier": "1", "patch": "true"})).machine)


FOUND = [ResourceId.parse(rid("web1")), ResourceId.parse(rid("web2"))]


@pytest.mark.parametrize(
    ("expected", "missing", "said"),
    [
        (None, (), ""),
        (Expected(count=2), (), ""),
        (Expected(count=3), (), "2 machines are shown, 3 were expected"),
        (Expected(machines=("WEB1", rid("web2").upper())), (), ""),
        (Expected(machines=("web3", rid("web1") + "x")), ("web3", rid("web1") + "x"), "2 expected machines"),
    ],
)
def test_what_is_missing_is_named(expected: Expected | None, missing: tuple[str, ...], said: str) -> None:
    found = reconcile(expected, FOUND)
    assert found.missing == missing and said in found.sentence and bool(said) is bool(found.sentence)


def test_expected_from_options_and_a_file() -> None:
    assert parse_expected(None) is None and parse_expected({}, ["# nobody", ""]) is None
    assert parse_expected({"machines": ["a"]}, ["b", " a ", "# c"]) == Expected(None, ("a", "b"))
    with pytest.raises(InputError):
        parse_expected({"count": True})
