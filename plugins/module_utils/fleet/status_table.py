# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's status as lines for a terminal: who needs a person first, then tracks by ring and by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

from ..domain.needs import NEXT_STEPS
from ..domain.track import TrackName
from .rollout_report import columns, printable

MOST_ROWS = 40
"""Machines that are listed; the result has them all."""
TRACKS: tuple[str, ...] = get_args(TrackName)


def lines(result: Mapping[str, Any], most: int = MOST_ROWS) -> list[str]:
    """Return the lines of a result of :func:`.status.summarize`."""
    counts = result["counts"]
    guests = result.get("guests") or {}
    asked = (
        f"{guests['answered']} of {guests['asked']} guests answered" if guests.get("asked") else "no guest was asked"
    )
    lag = int(result["may_lag_seconds"]) // 60
    when = f"{_minute(result['read_at'])} by Resource Graph (up to {lag} min late)"
    head = f"{counts['machines']} machines at {when}; {asked}"
    needs = _needs(result["machines"], result["missing"], most)
    return ["", head, "", *needs, *_matrix("RING", counts["ring"]), "", *_matrix("REGION", counts["region"]), ""]


def _needs(machines: Sequence[Mapping[str, Any]], missing: Sequence[str], most: int) -> list[str]:
    order = list(NEXT_STEPS)
    found = [(order.index(need["code"]), str(entry["host"]), need) for entry in machines for need in entry["needs"]]
    found += [(order.index("missing"), name, _missing(name)) for name in missing]
    if not found:
        return ["Nobody is needed.", ""]
    found.sort(key=lambda item: item[:2])
    rows = [
        (printable(host), need["code"], _minute(need["since"]), printable(need["text"]))
        for dummy, host, need in found[:most]
    ]
    listed = columns(("MACHINE", "NEED", "SEEN SINCE", "FOUND"), rows)
    more = [f"... and {len(found) - most} more"] if len(found) > most else []
    codes = dict.fromkeys(need["code"] for dummy, dummy_host, need in found)
    steps = columns(("NEED", "NEXT STEP"), [(code, NEXT_STEPS[code]) for code in codes])
    return [*listed, *more, "", *steps, ""]


def _minute(moment: str) -> str:
    """An ISO 8601 moment in UTC to the minute, "-" for none."""
    return f"{moment[:16]}Z" if moment else "-"


def _missing(name: str) -> dict[str, str]:
    return {"code": "missing", "since": "", "text": f"{name} was expected and is not shown"}


def _matrix(title: str, by_value: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Machines by value and track, with a line of totals; tracks that nobody is on have no column."""
    tracks = [name for name in TRACKS if any(numbers.get(name) for numbers in by_value.values())]
    rows = [
        (printable(value), str(sum(numbers.values())), *(str(numbers.get(name, 0)) for name in tracks))
        for value, numbers in by_value.items()
    ]
    totals = [sum(numbers.get(name, 0) for numbers in by_value.values()) for name in tracks]
    rows.append(("all", str(sum(totals)), *map(str, totals)))
    return columns((title, "MACHINES", *tracks), rows)
