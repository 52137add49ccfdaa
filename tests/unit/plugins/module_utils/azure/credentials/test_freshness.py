# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a token is asked for again."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.freshness import is_due


@pytest.mark.parametrize(
    ("left", "asked_ago", "due"),
    [
        (None, 0, True),
        (-1, 0, True),
        (0, 0, True),
        (1, 0, False),
        (1, 29, False),
        (1, 30, True),
        (300, 30, True),
        (301, 3000, False),
        (3600, 0, False),
    ],
)
def test_due(left: int | None, asked_ago: int, due: bool) -> None:
    now = 1_800_000_000.0
    token = None if left is None else SimpleNamespace(expires_on=now + left)
    assert is_due(token, now - asked_ago, now) is due
