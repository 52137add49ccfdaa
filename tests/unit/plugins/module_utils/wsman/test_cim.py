# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries and methods: typed rows in every dialect, and an end to everything."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.cim import CimSession, Row, read_row
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.envelope import Request, parse
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import (
    BadAnswer,
    BudgetSpent,
    Unreachable,
    WsmanFault,
)

SOURCE = {
    "Text": "a <b> & c",
    "Number": "18446744073709551615",
    "Negative": "-1",
    "Yes": "true",
    "Shout": "FALSE",
    "Nothing": None,
    "Empty": "",
    "Many": ["one", "two"],
    "Single": ["one"],
    "Half": ["one", None],
    "Date": ("date", "2013-04-15T16:28:43.488171Z"),
}


@pytest.mark.parametrize("spell", ["fragment", "full_row"])
def test_both_kinds_of_row_give_the_same_values(wire: Any, spell: str) -> None:
    """A projection is an XmlFragment with plain children, select * an element of the class with qualified ones."""
    namespaces = 'xmlns:w="w" xmlns:n="n"'
    row = read_row(parse(f"<r {namespaces}>{getattr(wire, spell)(SOURCE)}</r>".encode())[0])
    assert row.text("text").value == "a <b> & c"
    assert row.integer("Number").value == 2**64 - 1
    assert row.integer("Negative", lowest=-5).value == -1
    assert row.boolean("Yes").value is True
    assert row.boolean("Shout").value is False
    assert row.text("Nothing").is_absent
    assert row.text("Missing").is_absent
    assert row.text("Empty").value == ""
    assert row.texts("Many").value == ("one", "two")
    assert row.texts("Single").value == ("one",)
    assert row.texts("Half").value == ("one",)
    assert row.timestamp("Date").value == datetime(2013, 4, 15, 16, 28, 43, 488171, timezone.utc)


@pytest.mark.parametrize(
    ("read", "text", "why"),
    [
        ("integer", "", "not a whole number"),
        ("integer", "0x10", "not a whole number"),
        ("integer", "1e3", "not a whole number"),
        ("integer", "\u0661", "not a whole number"),
        ("integer", "9" * 21, "not a whole number"),
        ("integer", "-1", "outside 0"),
        ("integer", "18446744073709551616", "outside 0"),
        ("boolean", "yes", "neither true nor false"),
        ("boolean", "", "neither true nor false"),
        ("timestamp", "yesterday", "not a timestamp"),
        ("timestamp", "2013-04-15T16:28:43", "not a timestamp with an offset"),
        ("timestamp", "2013-13-15T16:28:43Z", "not a timestamp"),
        ("timestamp", "99991231235959.000000-999", "not a timestamp"),
        ("timestamp", "20131415162843.000000+000", "not a timestamp"),
        ("text", "x" * 5000, "longer than"),
    ],
)
def test_what_cannot_be_read_is_unreadable_and_says_so(read: str, text: str, why: str) -> None:
    """Never a zero, a "no" or an exception."""
    fact = getattr(Row({"a": (text,)}), read)("A")
    assert fact.is_unreadable
    assert why in fact.why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-13T01:00:00Z", (1, 0, 0)),
        ("2026-05-13T01:00:00.5Z", (1, 0, 500000)),
        ("2026-05-13T01:00:00.1234567Z", (1, 0, 123456)),
        ("2026-05-13T03:30:00+02:30", (1, 0, 0)),
        ("2026-05-12T20:00:00.000000-05:00", (1, 0, 0)),
        ("20260513010000.500000+000", (1, 0, 500000)),
        ("20260513030000.000000+120", (1, 0, 0)),
        ("20260512200000.000000-300", (1, 0, 0)),
    ],
)
def test_every_form_of_date(text: str, expected: tuple[int, int, int]) -> None:
    """ISO 8601 with 0 to 7 digits and any offset, and DMTF's own form with minutes."""
    hour, second, micro = expected
    moment = datetime(2026, 5, 13, hour, 0, second, micro, timezone.utc)
    assert Row({"a": (text,)}).timestamp("a").value == moment


def test_repeated_scalars_and_unknown_structures_are_unreadable() -> None:
    """Two values where there can be only one are nobody's answer."""
    assert "given 2 times" in Row({"a": ("1", "2")}).integer("a").why
    row = read_row(parse(b"<r><a><b>1</b><c/></a><d><Datetime>x<y/></Datetime></d></r>"))
    assert "structure" in row.text("a").why
    assert row.text("d").is_unreadable


def test_one_page(wire: Any, scripted: Any) -> None:
    """A class of one row takes one request."""
    sender = scripted([wire.enumerated(wire.fragment({"A": 1}))])
    session = CimSession(sender)
    assert [row.integer("A").value for row in session.query("root/cimv2", "SELECT A FROM B")] == [1]
    assert session.round_trips == 1


def test_pages_are_pulled_with_the_newest_context(wire: Any, scripted: Any) -> None:
    """The context may change or stay; an empty page in between does not end it."""
    sender = scripted(
        [
            wire.enumerated(wire.fragment({"A": 0}), "first", end=False),
            wire.pulled(wire.fragment({"A": 1}), "second", end=False),
            wire.pulled("", None, end=False),
            wire.pulled(wire.full_row({"A": 2}), prefix="w"),
        ]
    )
    rows = CimSession(sender).query("root/cimv2", "SELECT A FROM B")
    assert [row.integer("A").value for row in rows] == [0, 1, 2]
    assert ["first" in one.envelope for one in sender.requests[1:]] == [True, False, False]
    assert ["second" in one.envelope for one in sender.requests[1:]] == [False, True, True]


def test_endless_pulls_end_with_the_budget(wire: Any, scripted: Any) -> None:
    """A guest that never says EndOfSequence is asked no more often than allowed."""
    endless = [wire.enumerated("", "c", end=False)] + [wire.pulled("", "c", end=False)] * 50
    sender = scripted(endless)
    session = CimSession(sender, 12)
    with pytest.raises(BudgetSpent, match="12 round trips"):
        session.query("root/cimv2", "SELECT A FROM B")
    assert len(sender.requests) == session.round_trips == 12
    with pytest.raises(BudgetSpent):
        session.invoke("root/cimv2", "A", "B")
    assert len(sender.requests) == 12


def test_too_many_rows_are_refused_and_released(wire: Any, scripted: Any) -> None:
    """The number of rows is bounded too, and the guest is told that no more will be pulled."""
    page = wire.pulled("<w:XmlFragment/>" * 3000, "c", end=False)
    sender = scripted([wire.enumerated("", "c", end=False), page, page, ""])
    session = CimSession(sender)
    with pytest.raises(BadAnswer, match="more than 5000 rows"):
        session.query("root/cimv2", "SELECT A FROM B")
    session.close()
    assert sender.requests[-1].action.endswith("/Release")


def test_an_enumeration_that_cannot_go_on_is_refused(wire: Any, scripted: Any) -> None:
    """Neither an end nor a context: what is missing is not known, so the rows are not all."""
    session = CimSession(scripted([wire.enumerated(wire.fragment({"A": 1}), "", end=False)]))
    with pytest.raises(BadAnswer, match="neither ends"):
        session.query("root/cimv2", "SELECT A FROM B")


def test_the_one_row_is_enough(wire: Any, scripted: Any) -> None:
    """Where there can be one row only, a context left open costs no pull; it is released at the end if trips remain."""
    sender = scripted([wire.enumerated(wire.fragment({"A": 1}), "c", end=False), ""])
    session = CimSession(sender, 2)
    assert session.query_one("root/cimv2", "SELECT A FROM B").integer("A").value == 1
    session.close()
    assert sender.requests[-1].action.endswith("/Release")
    lazy = scripted([wire.enumerated("", "c", end=False), wire.pulled(wire.fragment({"A": 2}))])
    assert CimSession(lazy).query_one("root/cimv2", "SELECT A FROM B").integer("A").value == 2
    with pytest.raises(BadAnswer, match="no row"):
        CimSession(scripted([wire.enumerated("")])).query_one("root/cimv2", "SELECT A FROM B")


def test_closing_never_raises_and_keeps_the_budget(wire: Any, scripted: Any) -> None:
    """A Release that fails, or for which no trip is left, is nobody's problem: the guest forgets by itself."""
    first = wire.enumerated(wire.fragment({"A": 1}), "c", end=False)
    for budget, answers in ((1, [first]), (2, [first, Unreachable("gone")])):
        sender = scripted(list(answers))
        session = CimSession(sender, budget)
        session.query_one("root/cimv2", "SELECT A FROM B")
        session.close()
        assert len(sender.requests) == budget


def test_a_foreign_answer_is_refused(wire: Any, scripted: Any) -> None:
    """RelatesTo of another message."""
    stray = scripted([wire.envelope(wire.enumerated(""), "uuid:not-ours")])
    with pytest.raises(BadAnswer, match="another message"):
        CimSession(stray).query("root/cimv2", "SELECT A FROM B")


def test_method_outputs_of_windows_and_of_omi(wire: Any, scripted: Any) -> None:
    """Windows names the output after the method, OMI after the class."""
    for name in ("IsPendingReboot", "MSFT_WUSettings"):
        sender = scripted([wire.output(name, {"PendingReboot": "true", "ReturnValue": 0})])
        outputs = CimSession(sender).invoke("root/x", "MSFT_WUSettings", "IsPendingReboot")
        assert outputs.boolean("PendingReboot").value is True
    with pytest.raises(BadAnswer, match="<Other>"):
        CimSession(scripted(["<Other/>"])).invoke("root/x", "MSFT_WUSettings", "IsPendingReboot")


def test_a_guest_that_fell_silent_is_not_asked_for_ever(wire: Any, scripted: Any) -> None:
    """Two requests in a row without an answer are enough; a fault is an answer."""
    gone = Unreachable("gone")
    sender = scripted([gone, wire.fault("w:AccessDenied"), gone, gone])
    session = CimSession(sender)
    for expected in (Unreachable, WsmanFault, Unreachable, Unreachable):
        with pytest.raises(expected):
            session.invoke("root/x", "A", "B")
    with pytest.raises(Unreachable, match="stopped answering"):
        session.invoke("root/x", "A", "B")
    assert session.round_trips == 4


def test_the_request_is_what_was_asked(wire: Any, scripted: Any) -> None:
    """Arguments reach the wire escaped."""

    def check(request: Request) -> str:
        assert "<p:sSubKeyName>A\\B&amp;C</p:sSubKeyName>" in request.envelope
        assert request.action.endswith("/root/cimv2/StdRegProv/EnumKey")
        return str(wire.output("EnumKey", {"ReturnValue": 0}))

    CimSession(scripted([check])).invoke("root/cimv2", "StdRegProv", "EnumKey", {"sSubKeyName": "A\\B&C"})
