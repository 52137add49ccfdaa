# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the calendar answers: what is this month for a product, what comes next, and which machines restart when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from typing import Any, Literal

from .facts import Fact
from .months import month_of, second_tuesday
from .plain import fields_to_plain, to_plain
from .products import Product
from .reasons import texts
from .releases import (
    Calendar,
    MonthlyKind,
    Release,
    Upcoming,
    baseline_of,
    current_release,
    is_out,
    upcoming,
)
from .track import Track

MonthStatus = Literal["released", "expected", "unknown"]
Due = Literal["now", "at_baseline", "every_update", "unknown"]
Day = date


@dataclass(frozen=True)
class ThisMonth:
    """One month of one product.

    :param status: ``released``, ``expected`` (scheduled or announced) or ``unknown``.
    :param kind: None when nobody knows.
    :param restarts: whether the month's release restarts a machine that is on track; None when the kind is not known.
    :param planned: False when the month had been announced as the other kind.
    """

    month: str
    status: MonthStatus
    kind: MonthlyKind | None
    restarts: bool | None
    planned: bool | None
    date: Day | None
    kb: str | None
    source: str
    text: str


@dataclass(frozen=True)
class Outlook:
    """What the calendar says of a product at a moment; every fact says why where it holds nothing.

    :param current: the release a machine should be at; its KB, or its build and later, proves it.
    :param baseline: the one that ``current`` builds on.
    :param out_of_band: since that baseline; those that do not keep the track take a machine off it.
    """

    product: Product
    at: datetime
    this_month: ThisMonth
    current: Fact[Release]
    baseline: Fact[Release]
    next: Fact[Upcoming]
    next_baseline: Fact[Upcoming]
    out_of_band: tuple[Release, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case; facts as ``{"state", "value", "why"}``."""
        return fields_to_plain(self)


def outlook(calendar: Calendar, product: Product, now: datetime) -> Outlook:
    """Return what the calendar says of the product at that moment."""
    current = current_release(calendar, product, now)
    baseline: Fact[Release] = Fact.unreadable(current.why or "the current release is not known")
    if current.value is not None:
        why = f"the calendar does not know the baseline of {current.value}"
        found = baseline_of(current.value, calendar)
        baseline = Fact.of(found) if found is not None else Fact.unreadable(why)
    since = baseline.value.date if baseline.value is not None else None
    out_of_band = tuple(
        row
        for row in calendar.of(product)
        if row.kind == "out_of_band" and since is not None and row.date > since and is_out(row, now)
    )
    # On the day itself, before its hour, the release of that day is still to come.
    today = now.astimezone(timezone.utc).date()
    row = calendar.of_month(product, month_of(today))
    after = current.value.date if row is not None and row.date == today and current.value is not None else today
    return Outlook(
        product=product,
        at=now,
        this_month=_this_month(calendar, product, now),
        current=current,
        baseline=baseline,
        next=upcoming(calendar, product, after),
        next_baseline=upcoming(calendar, product, after, "baseline"),
        out_of_band=out_of_band,
    )


def _this_month(calendar: Calendar, product: Product, now: datetime) -> ThisMonth:
    month = month_of(now.astimezone(timezone.utc).date())
    row, entry = calendar.of_month(product, month), calendar.kind_of_month(product, month)
    if row is not None:
        kind: MonthlyKind = "baseline" if row.kind == "baseline" else "hotpatch"
        status: MonthStatus = "released" if is_out(row, now) else "expected"
        return ThisMonth(month, status, kind, row.restarts, row.planned, row.date, row.kb, row.source, str(row))
    if entry is not None:
        out = entry.released and datetime.combine(entry.day, time.max, timezone.utc) <= now
        text = f"{entry}, whose KB the calendar does not know"
        restarts = entry.kind == "baseline"
        status = "released" if out else "expected"
        return ThisMonth(month, status, entry.kind, restarts, entry.planned, entry.date, None, entry.source, text)
    due = second_tuesday(month).isoformat()
    text = f"the calendar does not know {month}, whose release is due on {due}"
    return ThisMonth(month, "unknown", None, None, None, None, None, "", text)


@dataclass(frozen=True)
class Restart:
    """When a machine restarts next for its updates, as far as anybody knows.

    :param due: ``now`` (with the update that is outstanding), ``at_baseline`` (the next baseline), ``every_update`` (it
        gets no hotpatches) or ``unknown``.
    :param date: the day; None when it is not known. An announced day can still change.
    """

    due: Due
    date: Day | None
    kb: str | None
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case."""
        return {name: to_plain(value) for name, value in vars(self).items()}


def next_restart(track: Track, release: Fact[Release], calendar: Calendar) -> Restart:
    """Return when a machine of that track restarts next, if its updates are installed as they come."""
    why = texts(track.reasons)
    if track.name in ("not_enrolled", "ineligible"):
        text = f"it gets no hotpatches, so that each monthly update restarts it: {why}"
        return Restart("every_update", None, None, text)
    if release.value is None or track.name in ("unknown", "enrolling"):
        return Restart("unknown", None, None, why or release.why)
    if track.name == "baseline_due":
        baseline = baseline_of(release.value, calendar) or release.value
        return Restart("now", baseline.date, baseline.kb, f"{baseline} is due: {why}")
    if track.name == "off_track":
        back = track.returns.value
        text = f"each monthly update restarts it until a baseline takes it back: {why}"
        return Restart("every_update", back.date if back else None, back.kb if back else None, text)
    coming = upcoming(calendar, release.value.product, release.value.date, "baseline")
    if coming.value is None:
        return Restart("unknown", None, None, f"on track, but {coming.why}")
    return Restart("at_baseline", coming.value.date, coming.value.kb, f"at {coming.value}")
