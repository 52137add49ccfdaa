# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""CIM over WS-Management: WQL queries give rows, static methods give outputs, both with typed, honest values.

A property that Windows left out or gave as nil is *absent*; one that is there but cannot be read as what it
should be is *unreadable*, with the reason. Neither ever turns into a zero or a "no".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Protocol, TypeVar
from xml.etree.ElementTree import Element

from ..domain.facts import Fact
from ..domain.timestamps import parse_timestamp
from . import envelope
from .faults import BadAnswer, BudgetSpent, Unreachable, WsmanError, WsmanFault, printable

T = TypeVar("T")
U = TypeVar("U")

_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
#: The longest property value kept, in characters. Nothing the probe reads comes near.
MAX_TEXT = 4096
MAX_ROWS = 5000
#: After so many requests without any answer, one after the other, the guest is not asked any more.
MAX_SILENCES = 2

_PROJECTION = re.compile(r"^SELECT [\w,]+ FROM\b")
_DMTF = re.compile(r"(\d{14})(?:\.(\d{1,6})\d*)?([+-])(\d{3})")


def then(fact: Fact[T], read: Callable[[T], Fact[U]]) -> Fact[U]:
    """Read on from a fact's value; an absent or unreadable fact stays what it is."""
    return Fact(fact.state, None, fact.why) if fact.value is None else read(fact.value)


class Sender(Protocol):
    """What carries envelopes to one guest: pywinrm today; anything else with these two members fits too."""

    @property
    def address(self) -> envelope.Address:
        """Where requests go, and the time the guest may take for one."""

    def send(self, request: envelope.Request) -> bytes:
        """Send one message and return the raw answer, also if it is a SOAP fault. Raises WsmanError."""


@dataclass(frozen=True)
class Row:
    """One instance, or the outputs of a method: lower-case property name to its values, one for a scalar.

    ``None`` among the values is xsi:nil. ``odd`` names properties whose value is a structure of a kind not known.
    """

    properties: Mapping[str, tuple[str | None, ...]]
    odd: frozenset[str] = frozenset()

    def texts(self, name: str) -> Fact[tuple[str, ...]]:
        """An array property. Windows leaves an empty array out, so the caller decides what absent means."""
        key = name.lower()
        if key in self.odd:
            return Fact.unreadable(f"{name} has a structure that is not known")
        values = tuple(value for value in self.properties.get(key, ()) if value is not None)
        if not values:
            return Fact.absent(f"Windows gave no value for {name}")
        if any(len(value) > MAX_TEXT for value in values):
            return Fact.unreadable(f"{name} is longer than {MAX_TEXT} characters")
        return Fact.of(values)

    def text(self, name: str) -> Fact[str]:
        """A scalar property; one that is given more than once is unreadable."""

        def single(values: tuple[str, ...]) -> Fact[str]:
            if len(values) > 1:
                return Fact.unreadable(f"{name} was given {len(values)} times")
            return Fact.of(values[0].strip())

        return then(self.texts(name), single)

    def integer(self, name: str, lowest: int = 0, highest: int = 2**64 - 1) -> Fact[int]:
        """A whole number, within the bounds of its CIM type."""

        def number(text: str) -> Fact[int]:
            if not re.fullmatch(r"[+-]?[0-9]{1,20}", text):
                return Fact.unreadable(f"{name} is {printable(text, 40)!r}, not a whole number")
            if not lowest <= int(text) <= highest:
                return Fact.unreadable(f"{name} is {int(text)}, outside {lowest} to {highest}")
            return Fact.of(int(text))

        return then(self.text(name), number)

    def boolean(self, name: str) -> Fact[bool]:
        """A truth value; Windows writes true and false, Microsoft OMI TRUE and FALSE, XML Schema allows 1 and 0."""

        def truth(text: str) -> Fact[bool]:
            known = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
            if known is None:
                return Fact.unreadable(f"{name} is {printable(text, 40)!r}, neither true nor false")
            return Fact.of(known)

        return then(self.text(name), truth)

    def timestamp(self, name: str) -> Fact[datetime]:
        """A moment: ISO 8601 with an offset, or DMTF's yyyymmddHHMMSS.ffffff+minutes."""

        def moment(text: str) -> Fact[datetime]:
            try:
                return Fact.of(_moment(text))
            except (ValueError, OverflowError):
                shown = printable(text, 40)
                return Fact.unreadable(f"{name} is {shown!r}, not a timestamp with an offset from UTC")

        return then(self.text(name), moment)


def _moment(text: str) -> datetime:
    dmtf = _DMTF.fullmatch(text)
    if dmtf is None:
        return parse_timestamp(text).astimezone(timezone.utc)
    digits, fraction, sign, minutes = dmtf.groups()
    moment = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
    offset = timedelta(minutes=int(minutes)) * (1 if sign == "+" else -1)
    return moment + timedelta(microseconds=int((fraction or "0").ljust(6, "0"))) - offset


def read_row(element: Element) -> Row:
    """Read an instance by the local names of its properties, whichever way the server qualifies them.

    A date stands in a ``Datetime`` child (qualified with full rows, unqualified with projections).
    """
    values: dict[str, list[str | None]] = {}
    odd: set[str] = set()
    for child in element:
        name = envelope.local(child).lower()
        if child.get(_NIL, "").strip() in ("true", "1"):
            values.setdefault(name, []).append(None)
        elif len(child) == 0:
            values.setdefault(name, []).append(child.text or "")
        elif len(child) == 1 and envelope.local(child[0]) == "Datetime" and len(child[0]) == 0:
            values.setdefault(name, []).append(child[0].text or "")
        else:
            odd.add(name)
    return Row({name: tuple(found) for name, found in values.items()}, frozenset(odd))


class CimSession:
    """Asks one guest, and never more often than ``max_round_trips`` times.

    Every method raises :class:`~.faults.WsmanError` when the guest cannot be asked or does not answer properly.
    """

    def __init__(self, sender: Sender, max_round_trips: int = 12) -> None:
        self._sender = sender
        self._max_round_trips = max_round_trips
        self._left_open: list[tuple[str, str]] = []
        self._silences = 0
        self._whole_rows = False
        self.round_trips = 0

    @property
    def remaining(self) -> int:
        """How many round trips may still be made."""
        return self._max_round_trips - self.round_trips

    def query(self, namespace: str, wql: str) -> list[Row]:
        """Return all rows of a WQL query, pulling as often as the guest asks for and the budget allows."""
        return self._rows(namespace, wql, only_first=False)

    def query_one(self, namespace: str, wql: str) -> Row:
        """Return the one row of a query on a class that has exactly one; no row is a :class:`BadAnswer`.

        The rest of an enumeration that the guest keeps open for no reason is not pulled: :meth:`close` releases it.
        """
        rows = self._rows(namespace, wql, only_first=True)
        if not rows:
            raise BadAnswer("the guest returned no row where every Windows has one")
        return rows[0]

    def _rows(self, namespace: str, wql: str, only_first: bool) -> list[Row]:
        address = self._sender.address
        page = self._first_page(namespace, wql)
        rows = list(page.rows)
        context = page.context
        while not (page.ended or (only_first and rows)):
            if not context:
                raise BadAnswer("the guest's answer neither ends the enumeration nor tells how to continue it")
            if len(rows) > MAX_ROWS:
                self._left_open.append((namespace, context))
                raise BadAnswer(f"the guest returned more than {MAX_ROWS} rows")
            if self.remaining <= 0:
                raise BudgetSpent(
                    f"the guest did not finish its rows within the {self._max_round_trips} round trips allowed"
                )
            page = self._page(envelope.pull_request(address, namespace, context))
            rows += page.rows
            context = page.context or context
        if not page.ended and context:
            self._left_open.append((namespace, context))
        return [read_row(row) for row in rows]

    def _first_page(self, namespace: str, wql: str) -> envelope.Page:
        """Enumerate; a guest that knows no projections (Microsoft OMI) is asked for whole rows from there on."""
        address = self._sender.address
        whole = _PROJECTION.sub("SELECT * FROM", wql)
        if self._whole_rows:
            return self._page(envelope.enumerate_request(address, namespace, whole))
        try:
            return self._page(envelope.enumerate_request(address, namespace, wql))
        except WsmanFault as fault:
            if fault.kind != "bad_query" or whole == wql:
                raise
        # The first query of a session tells of the guest, a later one of its class only.
        self._whole_rows = self.round_trips == 1
        return self._page(envelope.enumerate_request(address, namespace, whole))

    def invoke(self, namespace: str, class_name: str, method: str, arguments: Mapping[str, str] | None = None) -> Row:
        """Call a static method and return its outputs, ReturnValue among them."""
        request = envelope.invoke_request(self._sender.address, namespace, class_name, method, arguments)
        response = self._exchange(request)
        # Windows names the element after the method, Microsoft OMI after the class.
        if not envelope.local(response).endswith("_OUTPUT"):
            raise BadAnswer(f"the answer to {method} is <{printable(envelope.local(response), 60)}>")
        return read_row(response)

    def close(self) -> None:
        """Release enumerations that were left early, as far as round trips remain. Never raises WsmanError."""
        while self._left_open and self.remaining > 0:
            namespace, context = self._left_open.pop()
            try:
                self._exchange(envelope.release_request(self._sender.address, namespace, context))
            except WsmanError:
                # The guest drops an abandoned enumeration by itself (EnumerationTimeoutms, 4 minutes).
                return

    def _page(self, request: envelope.Request) -> envelope.Page:
        return envelope.read_page(self._exchange(request))

    def _exchange(self, request: envelope.Request) -> Element:
        if self.remaining <= 0:
            raise BudgetSpent(f"the {self._max_round_trips} round trips allowed are used up")
        if self._silences >= MAX_SILENCES:
            raise Unreachable("the guest stopped answering")
        self.round_trips += 1
        try:
            answer = self._sender.send(request)
        except Unreachable:
            self._silences += 1
            raise
        self._silences = 0
        return envelope.open_envelope(answer, request)
