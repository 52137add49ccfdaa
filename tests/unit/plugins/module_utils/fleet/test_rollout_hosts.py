# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of what the inventory says of hosts."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_hosts import (
    parse_exemption,
    read_inventory,
    some,
)


def test_what_a_host_says() -> None:
    variables = {
        "a": {
            "hotpatch_service": " web ",
            "hotpatch_window": "22:00-04:00",
            "hotpatch_time_zone": "Europe/Berlin",
            "hotpatch_exempt": {"reason": "audit", "until": "2026-12-31"},
            "hotpatch_domain_controller_of": "",
        },
        "b": {},
    }
    found = read_inventory(variables, {"all": ["a", "b", "c"], "web": ["a"]})
    says = found.of("a")
    assert says.groups == {"all", "web"} and says.service == "web" and says.time_zone == "Europe/Berlin"
    assert str(says.window) == "22:00-04:00, each machine's time"
    assert says.domain == "" and says.cluster is None
    assert found.of("b").groups == {"all"} and found.of("nobody").service is None
    assert found.names == {"a", "b", "c", "all", "web"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"hotpatch_window": "night"}, "hotpatch_window of host a has the value 'night'"),
        ({"hotpatch_time_zone": "Mars"}, "hotpatch_time_zone of host a has the value 'Mars'"),
        ({"hotpatch_service": ["web"]}, "hotpatch_service of host a"),
        ({"hotpatch_exempt": "forever"}, "hotpatch_exempt of host a has the value 'forever'"),
        ({"hotpatch_exempt": True}, "hotpatch_exempt of host a"),
        ({"hotpatch_exempt": {"reason": "audit"}}, "a reason and a last day"),
        ({"hotpatch_exempt": {"until": "2026-12-31"}}, "a reason and a last day"),
        ({"hotpatch_exempt": {"reason": " ", "until": "2026-12-31"}}, "hotpatch_exempt of host a.reason"),
        ({"hotpatch_exempt": {"reason": "audit", "until": "christmas"}}, "hotpatch_exempt of host a.until"),
        ({"hotpatch_exempt": {"reason": "audit", "until": "2026-12-31", "by": "me"}}, "a reason and a last day"),
    ],
)
def test_what_cannot_be(variables: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_inventory({"a": variables}, {})
    assert said in str(caught.value)


@pytest.mark.parametrize("nothing", [None, "", {}, False])
def test_nobody_is_exempt_by_nothing(nothing: object) -> None:
    assert parse_exemption(nothing) is None


def test_names_are_shortened_never_dropped() -> None:
    assert some(["a", "b"], 2) == "a, b"
    assert some(["a", "b", "c"], 2) == "a, b and 1 more"
