# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read single values out of ARM's JSON without trusting that they are there or of the right type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .facts import Fact, shared_fact
from .timestamps import parse_timestamp


def section(body: Any, *path: str) -> Mapping[str, Any]:
    """Return the object at that path, empty when any step is missing or no object."""
    for name in path:
        body = body.get(name) if isinstance(body, (dict, Mapping)) else None
    return body if isinstance(body, (dict, Mapping)) else {}


def text(body: Mapping[str, Any], name: str) -> str | None:
    """Return a non-empty string or None."""
    value = body.get(name)
    return value if isinstance(value, str) and value else None


def count(body: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number or None; a boolean is no number."""
    value = body.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(body: Mapping[str, Any], name: str) -> bool | None:
    """Return a boolean or None."""
    value = body.get(name)
    return value if isinstance(value, bool) else None


def moment(body: Mapping[str, Any], *names: str) -> datetime | None:
    """Return the first of these time stamps that is there and readable, in UTC, or None."""
    for name in names:
        value = body.get(name)
        if isinstance(value, str):
            try:
                return parse_timestamp(value)
            except ValueError:
                continue
    return None


def text_fact(body: Mapping[str, Any], name: str) -> Fact[str]:
    """Return the string as a fact; absent when the object was read and does not hold it."""
    return shared_fact(text(body, name))


def flag_fact(body: Mapping[str, Any], name: str) -> Fact[bool]:
    """Return the boolean as a fact; absent when the object was read and does not hold it."""
    return shared_fact(flag(body, name))
