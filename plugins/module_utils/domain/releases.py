# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release calendar: what Microsoft published for a product, when, and whether it restarts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timezone
from typing import Any, Literal, cast

from . import release_data
from .facts import Fact
from .months import month_of, months_between, next_month, previous_month, second_tuesday
from .plain import fields_to_plain, from_plain
from .products import Product, build_of_product

ReleaseKind = Literal["baseline", "hotpatch", "out_of_band"]
MonthlyKind = Literal["baseline", "hotpatch"]
Day = date
"""What ``date`` means inside a class that has a field of that name."""

# Microsoft publishes at 10:00 Pacific time: 17:00 UTC in summer, 18:00 in winter. Zone data may be missing where this
# runs, so each question takes the end of that hour that is safe for it.
_EARLIEST_HOUR = time(17, tzinfo=timezone.utc)
_LATEST_HOUR = time(18, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Release:
    """One update of one product.

    :param date: the day it was published.
    :param kb: ``KB<digits>``.
    :param ubr: the update build revision it brings a machine to; None when no source names it.
    :param planned: False when the month had been announced as another kind.
    :param keeps_track: whether a machine that installs it stays on the hotpatch track.
    """

    product: Product
    kind: ReleaseKind
    date: date
    kb: str
    build: int
    ubr: int | None
    planned: bool = True
    keeps_track: bool = True
    source: str = ""
    note: str = ""

    @property
    def month(self) -> str:
        """The month it was published in, such as ``2026-05``."""
        return month_of(self.date)

    @property
    def restarts(self) -> bool:
        """Whether installing it restarts a machine that is on track."""
        return self.kind == "baseline" or not self.keeps_track

    def __str__(self) -> str:
        """KB, kind, date and build, for reasons."""
        build = f", build {self.build}.{self.ubr}" if self.ubr is not None else ""
        return f"{self.kb} ({self.kind.replace('_', '-')} of {self.date.isoformat()}{build})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case."""
        return fields_to_plain(self)


def release_from_dict(raw: Mapping[str, Any]) -> Release:
    """Return the release that :meth:`Release.to_dict` wrote; ValueError when it is not one."""
    return from_plain(Release, raw)


@dataclass(frozen=True)
class MonthKind:
    """What is known of a product's month beside its release: whether it is a baseline, though perhaps not its KB.

    :param month: such as ``2026-10``.
    :param released: it came so; False when it is only announced, and 2026 shows that announcements break.
    :param planned: False when the month had been announced as the other kind.
    :param date: the day; None when no source names it.
    """

    product: Product
    month: str
    kind: MonthlyKind
    released: bool
    planned: bool = True
    date: Day | None = None
    source: str = ""
    note: str = ""

    @property
    def day(self) -> Day:
        """The day it is, or was, due: the one that is known, else the month's second Tuesday."""
        return self.date or second_tuesday(self.month)

    def __str__(self) -> str:
        """Month and kind, for reasons."""
        how = "" if self.released else "announced "
        return f"the {how}{self.kind} of {self.month}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case."""
        return fields_to_plain(self)


@dataclass(frozen=True)
class Calendar:
    """Releases of all products; a month that has neither row nor kind is unknown, never computed.

    :param months: what is known of months without a row.
    """

    releases: tuple[Release, ...]
    months: tuple[MonthKind, ...] = ()

    def of(self, product: Product) -> tuple[Release, ...]:
        """Return the product's releases, oldest first."""
        return tuple(sorted((item for item in self.releases if item.product == product), key=lambda item: item.date))

    def monthly(self, product: Product) -> tuple[Release, ...]:
        """Return the product's baselines and hotpatches, oldest first, without those released out of band."""
        return tuple(item for item in self.of(product) if item.kind != "out_of_band")

    def find(self, product: Product, kb: str) -> Release | None:
        """Return the product's release of that ``KB<digits>``, None when the calendar does not know it."""
        return next((item for item in self.releases if item.product == product and item.kb == kb), None)

    def of_month(self, product: Product, month: str) -> Release | None:
        """Return the product's monthly release of that month (``2026-05``), None when the calendar has no row."""
        return next((item for item in self.monthly(product) if item.month == month), None)

    def kind_of_month(self, product: Product, month: str) -> MonthKind | None:
        """Return what is known of that month beside a row."""
        return next((item for item in self.months if item.product == product and item.month == month), None)


def built_in_calendar() -> Calendar:
    """Return the calendar that ships with the collection."""
    found: list[Release] = []
    for name, rows in release_data.MONTHLY.items():
        product = cast(Product, name)
        for day, kind, kb, ubr in rows:
            found.append(
                Release(
                    product=product,
                    kind=cast(ReleaseKind, kind),
                    date=date.fromisoformat(day),
                    kb=kb,
                    build=build_of_product(product),
                    ubr=ubr,
                    planned=kb not in release_data.UNPLANNED,
                    source=release_data.SOURCES.get(kb, release_data.CALENDAR_PAGE),
                )
            )
    for name, day, kb, revision, keeps_track, source, note in release_data.OUT_OF_BAND:
        product = cast(Product, name)
        found.append(
            Release(
                product=product,
                kind="out_of_band",
                date=date.fromisoformat(day),
                kb=kb,
                build=build_of_product(product),
                ubr=revision,
                planned=False,
                keeps_track=keeps_track,
                source=source,
                note=note,
            )
        )
    return Calendar(tuple(found), tuple(_built_in_months()))


def _built_in_months() -> Iterator[MonthKind]:
    for name, month, kind, released, planned, day, source in release_data.MONTHS:
        yield MonthKind(
            product=cast(Product, name),
            month=month,
            kind=cast(MonthlyKind, kind),
            released=released,
            planned=planned,
            date=date.fromisoformat(day) if day else None,
            source=source,
        )


CALENDAR = built_in_calendar()


def published_by(day: date) -> datetime:
    """Return the moment (UTC) by which that day's release was surely out; what was read before need not show it."""
    return datetime.combine(day, _LATEST_HOUR)


def is_out(release: Release, now: datetime) -> bool:
    """Return whether that release may be out at that moment: from the earliest hour of its day on."""
    return datetime.combine(release.date, _EARLIEST_HOUR) <= now


def current_release(calendar: Calendar, product: Product, now: datetime) -> Fact[Release]:
    """Return the newest monthly release that is out at that moment.

    Unreadable when a newer one can be out of which the calendar has no row: an old row would pass for the current one.
    Absent when the product had none yet. Out-of-band releases are never "the" release of a month.
    """
    monthly = calendar.monthly(product)
    if not monthly:
        return Fact.unreadable(f"the release calendar does not hold {product}")
    out = [item for item in monthly if is_out(item, now)]
    if not out:
        return Fact.absent(f"the release calendar holds no {product} release before {now.date().isoformat()}")
    newest, following = out[-1], next_month(out[-1].month)
    if calendar.of_month(product, following) is not None:
        return Fact.of(newest)
    known = calendar.kind_of_month(product, following)
    until = known.day if known is not None else second_tuesday(following)
    if now.astimezone(timezone.utc).date() < until:
        return Fact.of(newest)
    what = f" (of {following} it knows only {known})" if known is not None else ""
    return Fact.unreadable(
        f"the release calendar for {product} ends before {until.isoformat()}{what}; "
        "refresh it by hotpatch_calendar_file, or name the KB"
    )


def baseline_of(release: Release, calendar: Calendar = CALENDAR) -> Release | None:
    """Return the baseline that a release builds on (itself when it is one).

    None when the calendar holds none, or does not know every month in between: an unknown month may be a baseline.
    """
    if release.kind == "baseline":
        return release
    own = calendar.of_month(release.product, release.month)
    if own is not None and own.date <= release.date:
        return _baseline_at(calendar, release.product, release.month)
    before = previous_month(release.month)
    if release.kind == "hotpatch" or own is not None or release.date < second_tuesday(release.month):
        # It stands for its month itself, or came before the month's release.
        return _baseline_at(calendar, release.product, before)
    return _baseline_at(calendar, release.product, release.month)


def _baseline_at(calendar: Calendar, product: Product, month: str) -> Release | None:
    """Return the newest baseline up to that month, walking back only over months known to be hotpatches."""
    while True:
        row, kind = calendar.of_month(product, month), calendar.kind_of_month(product, month)
        if row is not None and row.kind == "baseline":
            return row
        if row is None and (kind is None or kind.kind == "baseline" or not kind.released):
            return None
        month = previous_month(month)


@dataclass(frozen=True)
class Upcoming:
    """A release to come, as far as the calendar knows it.

    :param date: the day; ``date_known`` is False when it is the month's second Tuesday because no source names the day.
    :param kb: None as long as no source names it.
    :param announced: it is only announced; announcements break (2026-06, 2026-09).
    :param unknown_months: months before it of which the calendar knows nothing, so that it may not be the next.
    """

    product: Product
    month: str
    kind: MonthlyKind
    date: date
    date_known: bool
    kb: str | None
    announced: bool
    source: str
    unknown_months: tuple[str, ...] = ()

    def __str__(self) -> str:
        """For reasons: ``the announced baseline of 2026-10, expected on 2026-10-13``."""
        if self.kb is not None:
            return f"{self.kb} ({self.kind} of {self.date.isoformat()})"
        how = "announced " if self.announced else ""
        due = "on" if self.date_known else "expected on"
        gap = f", if none comes in {', '.join(self.unknown_months)}" if self.unknown_months else ""
        return f"the {how}{self.kind} of {self.month}, {due} {self.date.isoformat()}{gap}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case."""
        return {**fields_to_plain(self), "text": str(self)}


def upcoming(calendar: Calendar, product: Product, after: date, kind: str = "") -> Fact[Upcoming]:
    """Return the first monthly release after that day that the calendar knows, of that kind if one is named.

    Absent when it knows of none. It reaches into the past when *after* does: the baseline that followed.
    """
    known: dict[str, Upcoming] = {}
    for entry in (item for item in calendar.months if item.product == product):
        sure = entry.date is not None
        known[entry.month] = Upcoming(
            product, entry.month, entry.kind, entry.day, sure, None, not entry.released, entry.source
        )
    for row in calendar.monthly(product):
        monthly = cast(MonthlyKind, row.kind)
        known[row.month] = Upcoming(product, row.month, monthly, row.date, True, row.kb, False, row.source)
    later = sorted((item for item in known.values() if item.date > after), key=lambda item: item.date)
    found = next((item for item in later if kind in ("", item.kind)), None)
    if found is None:
        what = f"{kind} of {product}" if kind else f"release of {product}"
        return Fact.absent(f"the release calendar knows of no {what} after {after.isoformat()}")
    first = month_of(after) if second_tuesday(month_of(after)) > after else next_month(month_of(after))
    gap = tuple(month for month in months_between(first, previous_month(found.month)) if month not in known)
    return Fact.of(replace(found, unknown_months=gap))
