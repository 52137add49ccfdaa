# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release calendar: what Microsoft published for a product, when, and whether it restarts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timezone
from typing import Any, Literal, cast

from . import release_data
from .facts import Fact
from .plain import fields_to_plain, from_plain
from .products import Product, build_of_product

ReleaseKind = Literal["baseline", "hotpatch", "out_of_band"]

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
class Calendar:
    """Releases of all products.

    :param known_until: per product the first day of which the current release is not known.
    """

    releases: tuple[Release, ...]
    known_until: Mapping[Product, date]

    def of(self, product: Product) -> tuple[Release, ...]:
        """Return the product's releases, oldest first."""
        return tuple(sorted((item for item in self.releases if item.product == product), key=lambda item: item.date))

    def find(self, product: Product, kb: str) -> Release | None:
        """Return the product's release of that ``KB<digits>``, None when the calendar does not know it."""
        return next((item for item in self.releases if item.product == product and item.kb == kb), None)


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
    until = {cast(Product, name): date.fromisoformat(day) for name, day in release_data.KNOWN_UNTIL.items()}
    return Calendar(tuple(found), until)


CALENDAR = built_in_calendar()


def published_by(day: date) -> datetime:
    """Return the moment (UTC) by which that day's release was surely out; what was read before need not show it."""
    return datetime.combine(day, _LATEST_HOUR)


def current_release(calendar: Calendar, product: Product, now: datetime) -> Fact[Release]:
    """Return the newest monthly release that is out at that moment.

    Unreadable from the day on that the calendar does not reach: an old row would pass for the current one. Absent when
    the product had none yet. Out-of-band releases are never "the" release of a month.
    """
    until = calendar.known_until.get(product)
    if until is None:
        return Fact.unreadable(f"the release calendar does not hold {product}")
    if now.astimezone(timezone.utc).date() >= until:
        return Fact.unreadable(
            f"the release calendar for {product} ends before {until.isoformat()}; name the KB or update the collection"
        )
    monthly = [item for item in calendar.of(product) if item.kind != "out_of_band"]
    out = [item for item in monthly if datetime.combine(item.date, _EARLIEST_HOUR) <= now]
    if not out:
        return Fact.absent(f"the release calendar holds no {product} release before {now.date().isoformat()}")
    return Fact.of(out[-1])


def baseline_of(release: Release, calendar: Calendar = CALENDAR) -> Release | None:
    """Return the baseline that a release builds on (itself when it is one), None when the calendar holds none."""
    baselines = [item for item in calendar.of(release.product) if item.kind == "baseline" and item.date <= release.date]
    if release.kind == "baseline":
        return release
    return baselines[-1] if baselines else None
