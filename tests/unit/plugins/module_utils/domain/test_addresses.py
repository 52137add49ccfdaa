# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses from interfaces: primary first, IDs in any case, and what is not shown is unreadable."""

from __future__ import annotations

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.addresses import Network, interfaces_of

from .graph_rows import interface_row, nic_id, public_id


def network() -> Network:
    known = Network()
    known.learn_interfaces([interface_row("a", "10.0.0.1", public_id("a")), interface_row("b", "10.0.0.2")])
    known.learn_public([{"id": public_id("a"), "address": "203.0.113.7"}])
    return known


def test_of_one_interface() -> None:
    found = network().of([nic_id("a")])
    assert (found.private.value, found.public.value) == (("10.0.0.1",), ("203.0.113.7",))
    assert network().of([nic_id("b")]).public.is_absent


def test_none_is_absent_and_not_shown_is_unreadable() -> None:
    assert network().of([]).private.is_absent
    hidden = network().of([nic_id("hidden")])
    assert hidden.private.is_unreadable and "hidden-nic" in hidden.private.why and hidden.public.is_unreadable


def test_a_part_that_is_not_shown_is_said_beside_what_is() -> None:
    found = network().of([nic_id("b"), nic_id("hidden")])
    assert found.private.value == ("10.0.0.2",) and "hidden-nic" in found.private.why


def test_a_public_address_that_is_not_shown_or_not_assigned() -> None:
    known = Network()
    known.learn_interfaces([interface_row("a", "10.0.0.1", public_id("a"))])
    assert known.of([nic_id("a")]).public.is_unreadable
    known.learn_public([{"id": public_id("a"), "address": ""}])
    assert known.of([nic_id("a")]).public.is_absent


def test_the_primary_interface_is_first() -> None:
    listed = [{"id": "/one"}, {"id": "/two", "properties": {"primary": True}}, {"properties": {}}, "junk"]
    assert interfaces_of(listed) == ("/two", "/one") and interfaces_of(None) == ()
