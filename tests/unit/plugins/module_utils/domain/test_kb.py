# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.kb import kb_digits, normal_kb, parse_kb


@pytest.mark.parametrize(
    ("raw", "kb"),
    [
        ("KB5087423", "KB5087423"),
        ("kb5087423", "KB5087423"),
        ("Kb5087423", "KB5087423"),
        ("5087423", "KB5087423"),
        (5087423, "KB5087423"),
        (" KB890830 ", "KB890830"),
    ],
)
def test_accepts_both_forms(raw: object, kb: str) -> None:
    assert parse_kb("kb_numbers_to_include", raw) == kb
    assert kb_digits(kb) == kb[2:]
    assert kb_digits(kb[2:]) == kb[2:]


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "KB",
        "1111",
        "KB1111",
        "KB 5087423",
        "KB50874231",
        "KB5087423.1",
        "5087423,5087424",
        "-5087423",
        True,
        None,
        5.0,
        [],
        "KB\uff15\uff10\uff18\uff17\uff14\uff12\uff13",
    ],
)
def test_refuses_the_rest(raw: object) -> None:
    assert normal_kb(raw) is None
    with pytest.raises(InputError, match=r"^Option kb_numbers_to_include has the value .*such as KB5087423"):
        parse_kb("kb_numbers_to_include", raw)
