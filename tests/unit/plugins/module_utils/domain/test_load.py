# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.load import (
    Impact,
    LoadLimits,
    hold_back,
    impact_from_dict,
    take,
)

from .builders import ABSENT, NOW, UNREAD, at, guest

CPU, MEMORY = {"max_cpu_percent": 60}, {"min_free_memory_mb": 2048}


@pytest.mark.parametrize(
    ("limits", "changes", "code"),
    [
        ({}, {"cpu_percent": 100.0, "free_memory_kb": 0}, None),
        ({}, {"cpu_percent": UNREAD, "free_memory_kb": UNREAD}, None),
        (CPU, {"cpu_percent": 60.0}, None),
        (CPU, {"cpu_percent": 60.1}, "cpu_busy"),
        (CPU, {"cpu_percent": UNREAD}, "load_unread"),
        (CPU, {"cpu_percent": ABSENT}, "load_unread"),
        (CPU, {"cpu_percent": 1.0, "free_memory_kb": UNREAD}, None),
        (MEMORY, {"free_memory_kb": 2048 * 1024}, None),
        (MEMORY, {"free_memory_kb": 2048 * 1024 - 1}, "memory_low"),
        (MEMORY, {"free_memory_kb": UNREAD}, "load_unread"),
        (MEMORY, {"cpu_percent": UNREAD}, None),
        ({**CPU, **MEMORY}, {"cpu_percent": 99.0, "free_memory_kb": 0}, "cpu_busy"),
        ({**CPU, **MEMORY}, {"cpu_percent": 9.0, "free_memory_kb": 0}, "memory_low"),
        ({"max_cpu_percent": 100, "min_free_memory_mb": 0}, {"cpu_percent": 100.0, "free_memory_kb": 0}, None),
    ],
)
def test_hold_back(limits: dict[str, Any], changes: dict[str, Any], code: str | None) -> None:
    """Only limits that are set hold a machine back, and then unread is never taken for idle."""
    found = hold_back(guest(**changes), LoadLimits(**limits))
    assert (found.code if found else None) == code
    assert LoadLimits(**limits).any is bool(limits)


@pytest.mark.parametrize(
    ("limits", "option"),
    [
        ({"max_cpu_percent": 0}, "hotpatch_max_cpu_percent"),
        ({"max_cpu_percent": 101}, "hotpatch_max_cpu_percent"),
        ({"min_free_memory_mb": -1}, "hotpatch_min_free_memory"),
    ],
)
def test_limits_that_cannot_be(limits: dict[str, Any], option: str) -> None:
    """One sentence that names the user's own variable."""
    with pytest.raises(InputError, match=option):
        LoadLimits(**limits)


BEFORE = take(guest(cpu_percent=12.0, free_memory_kb=4096 * 1024))
AFTER = take(replace(guest(cpu_percent=19.5, free_memory_kb=4000 * 1024), read_at=at(20)))
UNKNOWN = take(guest(cpu_percent=UNREAD, free_memory_kb=UNREAD))


@pytest.mark.parametrize(
    ("before", "after", "cpu", "memory"),
    [
        (BEFORE, AFTER, 7.5, -96),
        (AFTER, BEFORE, -7.5, 96),
        (BEFORE, UNKNOWN, None, None),
        (UNKNOWN, AFTER, None, None),
        (BEFORE, None, None, None),
        (None, None, None, None),
    ],
)
def test_impact(before: Any, after: Any, cpu: float | None, memory: int | None) -> None:
    """The difference where both were read; it survives the way through the state file."""
    found = Impact(before, after)
    plain = json.loads(json.dumps(found.to_dict()))
    assert (plain["cpu_percent_change"], plain["free_memory_mb_change"]) == (cpu, memory)
    assert impact_from_dict(plain) == found


def test_a_guest_that_did_not_answer_has_no_load() -> None:
    assert take(unreachable_guest("timed out", NOW)) is None
