# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what others lean on a machine for."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.server_role import (
    ServerRole,
    server_role,
    surprises,
)

NOW = datetime(2026, 5, 13, tzinfo=timezone.utc)
ABSENT: Fact[Any] = Fact.absent("no such namespace")
DENIED: Fact[Any] = Fact.unreadable("access denied")


def guest(**facts: Fact[Any]) -> GuestFacts:
    """A reading with these facts; the others say that it is a member server and no node."""
    own = {"domain_role": Fact.of(3), "domain": Fact.of("contoso.com"), "cluster_name": ABSENT, **facts}
    names = {"cluster_owner_node": ABSENT, "computer_name": Fact.of("SQL1A"), **own}
    return cast(GuestFacts, SimpleNamespace(reachable=True, why="", **names))


@pytest.mark.parametrize(
    ("reading", "role"),
    [
        (guest(), ServerRole()),
        (guest(domain_role=Fact.of(4), domain=Fact.of("Contoso.COM")), ServerRole(domain="contoso.com")),
        (guest(domain_role=Fact.of(5), domain=DENIED), ServerRole(domain="an unknown domain")),
        (guest(cluster_name=Fact.of("SQL1")), ServerRole(cluster="sql1")),
        (
            guest(cluster_name=Fact.of("SQL1"), cluster_owner_node=Fact.of("sql1a")),
            ServerRole(cluster="sql1", owner=True),
        ),
        (guest(cluster_name=Fact.of("SQL1"), cluster_owner_node=Fact.of("sql1b")), ServerRole(cluster="sql1")),
        (
            guest(cluster_name=DENIED),
            ServerRole(unknown="whether it is a cluster's node was not read (access denied)"),
        ),
        (
            guest(domain_role=DENIED),
            ServerRole(unknown="whether it is a domain controller was not read (access denied)"),
        ),
        (unreachable_guest("timed out", NOW), ServerRole(silent="timed out")),
        (None, ServerRole()),
    ],
)
def test_by_its_guest(reading: GuestFacts | None, role: ServerRole) -> None:
    assert server_role(reading) == role


def test_the_inventory_wins() -> None:
    assert server_role(guest(domain_role=Fact.of(5)), domain="", cluster="C1") == ServerRole(cluster="c1")
    assert server_role(unreachable_guest("silent", NOW), domain="x", cluster="") == ServerRole(domain="x")
    assert server_role(guest(domain_role=DENIED, cluster_name=DENIED), domain="", cluster="") == ServerRole()
    assert server_role(None, domain="X") == ServerRole(domain="x")


def test_surprises_before_a_start() -> None:
    roles = {
        "a": ServerRole(domain="x"),
        "b": ServerRole(),
        "c": ServerRole(domain="x"),
        "d": ServerRole(cluster="k"),
        "e": ServerRole(domain="y", cluster="k"),
    }
    held = surprises(roles)
    assert set(held) == {"c", "e"}
    assert "domain controller of x, as a is" in held["c"] and "node of the cluster k, as d is" in held["e"]


def test_who_is_still_not_known_goes_with_none_that_is() -> None:
    silent, denied = ServerRole(silent="timed out"), ServerRole(unknown="access denied")
    assert surprises({"a": ServerRole(), "b": silent}) == {}
    assert set(surprises({"a": silent, "b": denied})) == {"b"}
    assert "(timed out), and a is started now" in surprises({"a": ServerRole(domain="x"), "b": silent})["b"]
    assert "as a may be" in surprises({"a": denied, "b": ServerRole(cluster="k")})["b"]
