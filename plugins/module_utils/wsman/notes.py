# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reading has found so far, and the ways of asking that all parts of the probe share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from ..domain.facts import Fact
from .cim import CimSession, Row
from .faults import WsmanError

T = TypeVar("T")

CIMV2 = "root/cimv2"


@dataclass
class Notes:
    """Facts by the names of GuestFacts.

    :param now: by the guest's own clock, where that was read.
    :param system_drive: such as ``C:``, as Windows says it; empty where it was not read.
    """

    session: CimSession
    now: datetime
    facts: dict[str, Any] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    system_drive: str = ""

    def fail(self, names: Iterable[str], why: str) -> None:
        """Make these facts unreadable."""
        for name in names:
            self.facts[name] = Fact.unreadable(why)

    def rows(self, names: Iterable[str], query: str, namespace: str = CIMV2) -> list[Row] | None:
        """The rows of a query; None when it failed, and then these facts are unreadable."""
        try:
            return self.session.query(namespace, query)
        except WsmanError as error:
            self.fail(names, f"{class_of(query)} could not be read: {error.why}")
            return None

    def row(self, names: Iterable[str], query: str, namespace: str = CIMV2) -> Row | None:
        """The one row that every Windows has; None when it could not be read, and then these facts are unreadable."""
        try:
            return self.session.query_one(namespace, query)
        except WsmanError as error:
            self.fail(names, f"{class_of(query)} could not be read: {error.why}")
            return None


def class_of(query: str) -> str:
    """The WMI class that a query reads."""
    return query.partition(" FROM ")[2].partition(" ")[0]


def must(fact: Fact[T]) -> Fact[T]:
    """A property that every Windows fills: that it is not there means that it was not read, never "no"."""
    return Fact.unreadable(fact.why or "Windows gave no value") if fact.is_absent else fact


def select(columns: str, class_name: str, *conditions: str) -> str:
    """A WQL query whose conditions, if any, all hold; texts of others must have gone through :func:`literal`."""
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return "".join(("SELECT ", columns, " FROM ", class_name, where))


def literal(text: str) -> str:
    """A WQL string literal; backslashes and quotes are escaped as WQL wants it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
