# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of guest_info names every fact with where it comes from, and every subset with its requests."""

from __future__ import annotations

import re

import pytest
import yaml

pytest.importorskip("ansible.module_utils.basic")
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import FACTS, INFERRED, GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.argspec import GUEST_INFO
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.subsets import GROUPS, TRIPS
from ansible_collections.winfleet.hotpatch.plugins.modules import guest_info

RETURNED = yaml.safe_load(guest_info.RETURN)["guest"]["contains"]


def test_every_field_is_documented() -> None:
    assert list(RETURNED) == list(GuestFacts.__dataclass_fields__)


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_says_whether_its_shape_was_captured(name: str) -> None:
    text = RETURNED[name]["description"]
    assert text.endswith("Inferred wire shape." if name in INFERRED else "Captured wire shape.")


def test_every_subset_is_documented_with_its_requests() -> None:
    option = yaml.safe_load(guest_info.DOCUMENTATION)["options"]["gather_subset"]
    text = " ".join(option["description"])
    for name, trips in TRIPS.items():
        assert f"V({name})" in text
        assert name == "min" or f"V({name}) ({trips}" in text, f"{name} takes {trips}"
    assert all(f"V({name})" in text for name in GROUPS)
    assert (option["default"], option["aliases"]) == (GUEST_INFO["gather_subset"]["default"], ["subset"])
    assert re.search(r"V\(core\).* at most 12 requests", text)
