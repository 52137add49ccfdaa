# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.waves import (
    allows,
    cut_waves,
    parse_budget,
    parse_wave_sizes,
)


@pytest.mark.parametrize(
    ("sizes", "total", "waves"),
    [
        ([1, "25%", "100%"], 12, [1, 3, 8]),
        ([1, 2, 4], 12, [1, 2, 4, 4, 1]),
        (["10%"], 25, [2] * 12 + [1]),  # rounds down
        (["1%"], 3, [1, 1, 1]),  # never less than one
        ("100%", 3, [3]),
        (5, 12, [5, 5, 2]),
        ("5", 5, [5]),
        ([100], 3, [3]),
        (["33.4%"], 3, [1, 1, 1]),
        (["29%"], 100, [29, 29, 29, 13]),
        ([1], 0, []),
    ],
)
def test_cut_waves(sizes: Any, total: int, waves: list[int]) -> None:
    hosts = [f"host{number}" for number in range(total)]
    found = cut_waves(hosts, parse_wave_sizes(sizes))
    assert [len(wave) for wave in found] == waves
    assert [host for wave in found for host in wave] == hosts  # everyone once, in order


@pytest.mark.parametrize(
    "raw", [[], 0, "0", "0%", -1, "-1", "101%", "half", "25 percent", 1.5, True, None, [1, ""], {}, "²"]
)
def test_refuses_other_sizes(raw: Any) -> None:
    with pytest.raises(InputError, match=r"^Option hotpatch_waves has the value .*such as 25%"):
        parse_wave_sizes(raw)


def test_needs_a_size() -> None:
    with pytest.raises(ValueError, match="at least one"):
        cut_waves(["a"], ())


@pytest.mark.parametrize(
    ("budget", "total", "most"),
    [
        (0, 50, 0),  # stops at the first
        (3, 50, 3),  # stops at the fourth
        ("3", 50, 3),
        ("10%", 50, 5),  # stops at the sixth
        ("10 %", 9, 0),
        ("0%", 50, 0),
        ("100%", 50, 50),
        ("29%", 100, 29),
        ("33.333%", 3, 0),
        ("12.5%", 8, 1),
    ],
)
def test_allows(budget: Any, total: int, most: int) -> None:
    parsed = parse_budget(budget)
    assert [failed for failed in range(total + 1) if allows(parsed, total, failed)] == list(range(most + 1))


@pytest.mark.parametrize("raw", [-1, "-1", "101%", "few", "", None, 0.1, False, [3]])
def test_refuses_other_budgets(raw: Any) -> None:
    with pytest.raises(InputError, match=r"^Option error_budget has the value .*such as 10%"):
        parse_budget(raw, "error_budget")


def test_reads_back_as_written() -> None:
    assert [str(share) for share in parse_wave_sizes([1, "25%", "12.5%"])] == ["1", "25%", "12.5%"]
