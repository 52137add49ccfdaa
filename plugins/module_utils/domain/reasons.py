# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why something was decided: a code to test and filter by, and a sentence to read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One reason.

    :param code: snake_case, stable; what overrides, reports and tests name.
    :param text: what was found, with its value, without a full stop.
    """

    code: str
    text: str


def texts(reasons: tuple[Reason, ...]) -> str:
    """Return the reasons' texts in one line."""
    return "; ".join(reason.text for reason in reasons)
