# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names are unique and do not depend on who comes first."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as some

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.host_names import suffixed, unique_names


def test_the_suffix_is_that_of_azure_rm() -> None:
    """azure.azcollection 3.21: the name, and the first four digits of the SHA-1 of the ID as Azure spells it."""
    assert suffixed("web1", "/Subscriptions/X") == "web1_" + hashlib.sha1(b"/Subscriptions/X").hexdigest()[:4]


def test_whoever_shares_a_name_gets_digits_and_is_told() -> None:
    names, shared = unique_names([("web", "/a"), ("db", "/b"), ("web", "/c")])
    assert names == [suffixed("web", "/a"), "db", suffixed("web", "/c")]
    assert shared == {"web": ["/a", "/c"]}


def test_a_name_that_looks_like_anothers_suffix_costs_a_digit() -> None:
    taken = suffixed("web", "/a")
    names, dummy = unique_names([("web", "/a"), ("web", "/c"), (taken, "/d")])
    assert len(set(names)) == 3 and names[0] == suffixed("web", "/a", 5)


@given(some.lists(some.tuples(some.sampled_from("abc"), some.uuids().map(str)), unique_by=lambda pair: pair[1]))
def test_names_are_unique_in_any_order(wished: list[tuple[str, str]]) -> None:
    names, dummy = unique_names(wished)
    assert len(set(names)) == len(wished)
    again, dummy = unique_names(wished[::-1])
    assert dict(zip(wished, names)) == dict(zip(wished[::-1], again))
