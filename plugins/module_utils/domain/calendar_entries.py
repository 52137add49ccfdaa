# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calendar entries that come from outside (a file, a variable, MSRC): read strictly, and merged over what is known.

The shape is docs/calendar.schema.json; docs/releases.md says what it means. What differs from what was known is said,
never decided silently: the newer source wins, and both are named.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any, cast

from .errors import InputError
from .kb import normal_kb
from .months import ALLOWED as A_MONTH
from .months import month_of, normal_month
from .plain import fields_to_plain, to_plain
from .products import PRODUCTS, Product, build_of_product
from .releases import Calendar, MonthKind, MonthlyKind, Release, ReleaseKind

FORMAT = 1
ORDER = "order"
_KINDS = ("baseline", "hotpatch", "out_of_band")
_RELEASE_KEYS = frozenset({"product", "kind", "date", "kb", "build", "ubr", "planned", "keeps_track", "source", "note"})
_MONTH_KEYS = frozenset({"product", "month", "kind", "released", "planned", "date", "source", "note"})
_TOP_KEYS = frozenset({"format", "updated", "releases", "months"})
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LARGEST_UBR = 2**31 - 1


@dataclass(frozen=True)
class Entries:
    """What one source says.

    :param source: names it in conflicts.
    :param silent: the KBs of which it does not say whether they were planned.
    """

    source: str
    releases: tuple[Release, ...] = ()
    months: tuple[MonthKind, ...] = ()
    silent: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Conflict:
    """Two sources that differ, or rows that do not fit together.

    :param subject: a KB or a month.
    :param aspect: the field that differs; ``order`` where builds do not rise with the dates.
    :param known: what was known, and by whom.
    :param given: what is said now, and by whom; it is what the calendar holds from now on.
    """

    product: Product
    subject: str
    aspect: str
    known: str
    known_by: str
    given: str
    given_by: str

    def __str__(self) -> str:
        """One sentence without its full stop."""
        if self.aspect == ORDER:
            return (
                f"{self.product} {self.subject}: {self.given} by {self.given_by} has no higher build than the earlier "
                f"{self.known} by {self.known_by}; one of the two is wrong"
            )
        return (
            f"{self.product} {self.subject}: {self.aspect} is {self.given} by {self.given_by}, "
            f"but {self.known} by {self.known_by}; {self.given} is taken"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case."""
        return {**fields_to_plain(self), "text": str(self)}


def parse_entries(option: str, raw: object, source: str) -> Entries:
    """Return the entries of a mapping in the documented shape.

    InputError names the place in it. Nothing is guessed: an out-of-band release without ``keeps_track`` is refused.
    """
    top = _mapping(option, raw)
    _only(option, top, _TOP_KEYS)
    if top.get("format", FORMAT) != FORMAT or isinstance(top.get("format"), bool):
        raise InputError(f"{option}.format", top["format"], f"{FORMAT}, the only format there is")
    rows = list(_rows(option, top, "releases"))
    releases = [_release(f"{option}.releases[{at}]", row, source) for at, row in rows]
    months = [_month(f"{option}.months[{at}]", row, source) for at, row in _rows(option, top, "months")]
    _once(f"{option}.releases", [(item.product, item.kb) for item in releases])
    _once(f"{option}.releases", [(item.product, item.month) for item in releases if item.kind != "out_of_band"])
    _once(f"{option}.months", [(item.product, item.month) for item in months])
    silent = frozenset(item.kb for item, (dummy, row) in zip(releases, rows) if "planned" not in row)
    return Entries(source, tuple(releases), tuple(months), silent)


def calendar_to_plain(calendar: Calendar) -> dict[str, Any]:
    """Return the whole calendar in the documented shape, which :func:`parse_entries` reads."""
    return _plain(calendar.releases, calendar.months)


def additions(calendar: Calendar, known: Calendar) -> dict[str, Any]:
    """Return, in the documented shape, what the calendar says beyond or against the known one: a file worth keeping."""
    releases = [item for item in calendar.releases if item not in known.releases]
    return _plain(releases, [item for item in calendar.months if item not in known.months])


def _plain(releases: Iterable[Release], months: Iterable[MonthKind]) -> dict[str, Any]:
    order = sorted(releases, key=lambda item: (item.product, item.date, item.kb))
    later = sorted(months, key=lambda item: (item.product, item.month))
    return {"format": FORMAT, "releases": to_plain(order), "months": to_plain(later)}


def merge(calendar: Calendar, entries: Entries) -> tuple[Calendar, tuple[Conflict, ...]]:
    """Return the calendar with the entries over it, and where they differ from it.

    A release replaces that of its KB, and the other monthly release of its month; a build that the entries do not name
    stays known.
    """
    # Each entry is held against what was known, never against its neighbours: their order means nothing.
    conflicts: list[Conflict] = []
    base: dict[tuple[str, str], Release] = {(item.product, item.kb): item for item in calendar.releases}
    given: dict[tuple[str, str], Release] = {}
    for item in entries.releases:
        known = base.get((item.product, item.kb))
        if known is not None:
            item = _completed(item, known, item.kb in entries.silent)
            conflicts += _differences(known, item, entries.source)
        conflicts += _foreign(item, base.values(), entries.source)
        given[(item.product, item.kb)] = item
    for item in given.values():
        rival = _rival(item, base.values(), given)
        if rival is not None:
            conflicts.append(_conflict(item, item.month, "release", rival, item.kb, rival.kb, entries.source))
            del base[(rival.product, rival.kb)]
    releases: dict[tuple[str, str], Release] = {**base, **given}
    months = {(item.product, item.month): item for item in calendar.months}
    for entry in entries.months:
        before = months.get((entry.product, entry.month))
        if before is not None and before.kind != entry.kind:
            conflicts.append(_conflict(entry, entry.month, "kind", before, entry.kind, before.kind, entries.source))
        months[(entry.product, entry.month)] = entry
    merged = Calendar(tuple(releases.values()), tuple(months.values()))
    conflicts += _wrong_kinds(merged, entries)
    conflicts += _wrong_order(merged, entries)
    return merged, tuple(conflicts)


def _completed(given: Release, known: Release, silent: bool) -> Release:
    """Keep what was known of a release where the new source says nothing."""
    return replace(
        given,
        ubr=known.ubr if given.ubr is None else given.ubr,
        planned=known.planned if silent else given.planned,
        note=given.note or known.note,
    )


def _differences(known: Release, given: Release, source: str) -> Iterable[Conflict]:
    for aspect in ("kind", "date", "ubr", "planned", "keeps_track"):
        before, after = getattr(known, aspect), getattr(given, aspect)
        if before != after and not (aspect == "ubr" and before is None):
            yield _conflict(given, given.kb, aspect, known, _shown(after), _shown(before), source)


def _foreign(given: Release, releases: Iterable[Release], source: str) -> Iterable[Conflict]:
    """A KB is for one product only: that of another one is most likely a slip of the pen."""
    for item in releases:
        if item.kb == given.kb and item.product != given.product:
            yield _conflict(given, given.kb, "product", item, given.product, item.product, source)


def _rival(given: Release, known: Iterable[Release], entries: Container[tuple[str, str]]) -> Release | None:
    """The monthly release that was known for the same month, and which the entries do not place elsewhere."""
    if given.kind == "out_of_band":
        return None
    same = (item for item in known if (item.product, item.month) == (given.product, given.month))
    return next((item for item in same if item.kind != "out_of_band" and (item.product, item.kb) not in entries), None)


def _wrong_kinds(merged: Calendar, entries: Entries) -> Iterable[Conflict]:
    """A month said to have come as one kind, whose release is the other: the release decides."""
    touched = {(item.product, item.month) for item in entries.releases}
    touched |= {(item.product, item.month) for item in entries.months}
    for entry in merged.months:
        row = merged.of_month(entry.product, entry.month)
        if (entry.product, entry.month) in touched and row is not None and entry.released and row.kind != entry.kind:
            yield Conflict(entry.product, entry.month, "kind", entry.kind, entry.source, row.kind, row.source)


def _wrong_order(merged: Calendar, entries: Entries) -> Iterable[Conflict]:
    given = {(item.product, item.kb) for item in entries.releases}
    for product in PRODUCTS:
        rows = [row for row in merged.monthly(product) if row.ubr is not None]
        for low, high in pairwise(rows):
            if low.ubr >= high.ubr and given & {(product, low.kb), (product, high.kb)}:  # type: ignore[operator]
                yield Conflict(product, high.kb, ORDER, f"{low}", low.source, f"{high}", high.source)


def _conflict(
    given: Release | MonthKind,
    subject: str,
    aspect: str,
    known: Release | MonthKind,
    now: str,
    before: str,
    source: str,
) -> Conflict:
    return Conflict(given.product, subject, aspect, before, known.source or "the calendar", now, source)


def _shown(value: object) -> str:
    return str(to_plain(value))


def _release(where: str, row: Mapping[str, Any], source: str) -> Release:
    _only(where, row, _RELEASE_KEYS)
    product = _product(where, row)
    kind = cast(ReleaseKind, _choice(where, row, "kind", _KINDS))
    kb = normal_kb(_needed(where, row, "kb"))
    if kb is None:
        raise InputError(f"{where}.kb", row["kb"], "a knowledge base number such as KB5087423")
    build = build_of_product(product)
    if row.get("build", build) != build:
        raise InputError(f"{where}.build", row["build"], f"{build}, the build of {product}, or left out")
    return Release(
        product=product,
        kind=kind,
        date=_day(where, row, "date"),
        kb=kb,
        build=build,
        ubr=_ubr(where, row),
        planned=_flag(where, row, "planned", kind != "out_of_band"),
        keeps_track=_keeps_track(where, row, kind),
        source=_text(where, row, "source") or source,
        note=_text(where, row, "note"),
    )


def _keeps_track(where: str, row: Mapping[str, Any], kind: str) -> bool:
    if kind == "out_of_band":
        _needed(where, row, "keeps_track")
        return _flag(where, row, "keeps_track", False)
    if not _flag(where, row, "keeps_track", True):
        raise InputError(f"{where}.keeps_track", False, f"true or left out for a {kind}")
    return True


def _month(where: str, row: Mapping[str, Any], source: str) -> MonthKind:
    _only(where, row, _MONTH_KEYS)
    month = normal_month(_needed(where, row, "month"))
    if month is None:
        raise InputError(f"{where}.month", row["month"], A_MONTH)
    day = _day(where, row, "date") if row.get("date") is not None else None
    if day is not None and month_of(day) != month:
        raise InputError(f"{where}.date", row["date"], f"a day of {month}, or left out")
    return MonthKind(
        product=_product(where, row),
        month=month,
        kind=cast(MonthlyKind, _choice(where, row, "kind", _KINDS[:2])),
        released=_flag(where, row, "released", False),
        planned=_flag(where, row, "planned", True),
        date=day,
        source=_text(where, row, "source") or source,
        note=_text(where, row, "note"),
    )


def _mapping(where: str, raw: object) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise InputError(where, raw, "a mapping in the shape of docs/calendar.schema.json")
    return raw


def _rows(option: str, top: Mapping[str, Any], name: str) -> Iterable[tuple[int, Mapping[str, Any]]]:
    rows = top.get(name, [])
    if not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)):
        raise InputError(f"{option}.{name}", rows, "a list")
    for at, row in enumerate(rows):
        yield at, _mapping(f"{option}.{name}[{at}]", row)


def _only(where: str, row: Mapping[str, Any], keys: frozenset[str]) -> None:
    for key in row:
        if key not in keys:
            raise InputError(where, str(key), f"made of {', '.join(sorted(keys))}", "correct the key, or remove it")


def _once(where: str, keys: Sequence[tuple[str, str]]) -> None:
    for key in keys:
        if keys.count(key) > 1:
            raise InputError(where, " ".join(key), "named once")


def _needed(where: str, row: Mapping[str, Any], key: str) -> Any:
    if row.get(key) is None:
        raise InputError(f"{where}.{key}", None, "set")
    return row[key]


def _product(where: str, row: Mapping[str, Any]) -> Product:
    return cast(Product, _choice(where, row, "product", PRODUCTS))


def _choice(where: str, row: Mapping[str, Any], key: str, allowed: Sequence[str]) -> str:
    value = _needed(where, row, key)
    if value not in allowed:
        raise InputError(f"{where}.{key}", value, f"one of {', '.join(allowed)}")
    return str(value)


def _day(where: str, row: Mapping[str, Any], key: str) -> date:
    value = _needed(where, row, key)
    try:
        # Exactly this spelling: newer Pythons read 20261013 and 2026-W42-2 too.
        day = date.fromisoformat(value) if isinstance(value, str) and _DAY.fullmatch(value) else None
    except ValueError:
        day = None
    if day is None:
        raise InputError(f"{where}.{key}", value, "a day such as 2026-10-13")
    return day


def _ubr(where: str, row: Mapping[str, Any]) -> int | None:
    value = row.get("ubr")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST_UBR:
        raise InputError(f"{where}.ubr", value, "the number after the build, such as 32772 of 26100.32772, or left out")
    return value


def _flag(where: str, row: Mapping[str, Any], key: str, default: bool) -> bool:
    value = row.get(key, default)
    if not isinstance(value, bool):
        raise InputError(f"{where}.{key}", value, "true or false")
    return value


def _text(where: str, row: Mapping[str, Any], key: str) -> str:
    value = row.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"{where}.{key}", value, "text")
    return value
