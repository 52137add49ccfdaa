# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What MSRC's monthly documents add to the calendar: only what they prove, and for the rest why not.

A hotpatch row may be last month's, or an out-of-band one in a month of a baseline; a month without one may still be a
hotpatch month. So a hotpatch is taken for a month's release only when its build lies between that month's cumulative
update and the level of the month before, and a baseline only where the calendar knows the month as one. Documents never
overrule a row that the calendar has.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .calendar_entries import Entries, merge
from .months import msrc_name, previous_month
from .msrc import CvrfDocument, CvrfRow
from .plain import fields_to_plain
from .products import PRODUCTS, Product, build_of_product
from .releases import Calendar, MonthKind, Release, ReleaseKind

Outcome = Literal["added", "confirmed", "contradicted", "unknown"]


@dataclass(frozen=True)
class Finding:
    """What one document said of one product.

    :param outcome: ``added``, ``confirmed``, ``contradicted`` (what the calendar has stays) or ``unknown``.
    :param cumulative: the month's cumulative update as ``KB (build)``, for whoever looks the month up.
    """

    month: str
    product: Product
    outcome: Outcome
    kb: str | None
    why: str
    cumulative: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case."""
        return fields_to_plain(self)


@dataclass
class _Seen:
    """What earlier documents of the same product listed."""

    kbs: set[str] = field(default_factory=set)
    cumulative: dict[str, CvrfRow] = field(default_factory=dict)
    """Per month the one cumulative update that was new in it."""


def derive(documents: Iterable[CvrfDocument], calendar: Calendar) -> tuple[Entries, tuple[Finding, ...]]:
    """Return what the documents add to the calendar, and one finding per document and product.

    :param documents: in any order; one month proves more when the month before is there too.
    """
    seen: dict[Product, _Seen] = {product: _Seen() for product in PRODUCTS}
    releases: list[Release] = []
    findings: list[Finding] = []
    for document in sorted(documents, key=lambda item: item.month):
        for product in PRODUCTS:
            finding, release = _judge(document, product, calendar, seen[product])
            findings.append(finding)
            if release is not None:
                releases.append(release)
                calendar, dummy = merge(calendar, Entries(release.source, (release,)))
            rows = [*document.of(product, True), *document.of(product, False)]
            seen[product].kbs.update(row.kb for row in rows)
    return Entries("MSRC", tuple(releases)), tuple(findings)


def _judge(document: CvrfDocument, product: Product, calendar: Calendar, seen: _Seen) -> tuple[Finding, Release | None]:
    known = seen.kbs | {item.kb for item in calendar.of(product) if item.month < document.month}
    hotpatches = _new(document.of(product, True), known)
    cumulatives = [row for row in document.of(product, False) if row.kb not in known]
    if len(cumulatives) == 1:
        seen.cumulative[document.month] = cumulatives[0]
    row, kind = calendar.of_month(product, document.month), calendar.kind_of_month(product, document.month)
    if row is not None:
        return _compare(document, row, hotpatches)
    if kind is not None and kind.kind == "baseline":
        return _baseline(document, kind, hotpatches, cumulatives)
    why = _why_not(document, product, calendar, seen, hotpatches, cumulatives)
    if why:
        if kind is not None and not hotpatches:
            why = f"the calendar knows {kind}, but {why}; 2026-06 and 2026-09 became baselines so"
        shown = ", ".join(f"{item.kb} ({build_of_product(product)}.{item.ubr})" for item in cumulatives)
        return Finding(document.month, product, "unknown", None, why, shown or None), None
    return _added(document, hotpatches[0], "hotpatch", kind is None or kind.planned)


def _new(rows: Sequence[CvrfRow], known: set[str]) -> list[CvrfRow]:
    """Those that are not known from before, nor replaced by another one of the same document."""
    replaced = set().union(*(row.supersedes for row in rows)) if rows else set()
    return [row for row in rows if row.kb not in known and row.kb not in replaced]


def _compare(document: CvrfDocument, row: Release, hotpatches: list[CvrfRow]) -> tuple[Finding, Release | None]:
    """The calendar has the month already: a document confirms it, adds its build, or is contradicted."""
    listed = next((item for item in document.rows if (item.product, item.kb) == (row.product, row.kb)), None)
    label = "a hotpatch" if listed is not None and listed.hotpatch else "a cumulative update"
    if listed is None:
        why = f"the calendar has {row}, which the document does not list"
        outcome: Outcome = "contradicted" if row.kind == "hotpatch" else "unknown"
        return Finding(document.month, row.product, outcome, row.kb, why), None
    if listed.hotpatch is not (row.kind == "hotpatch"):
        why = f"the calendar has {row}, which the document labels {label}"
        return Finding(document.month, row.product, "contradicted", row.kb, why), None
    if row.ubr is not None and listed.ubr != row.ubr:
        why = f"the calendar has {row}, whose build is {row.build}.{listed.ubr} in the document"
        return Finding(document.month, row.product, "contradicted", row.kb, why), None
    why = f"listed as {label}" + _besides([item for item in hotpatches if item.kb != row.kb])
    if row.ubr is None:
        finding = Finding(document.month, row.product, "added", row.kb, f"{why}; its build was not known")
        return finding, _release(document, listed, row.kind, row.planned)
    return Finding(document.month, row.product, "confirmed", row.kb, why), None


def _baseline(
    document: CvrfDocument, kind: MonthKind, hotpatches: list[CvrfRow], cumulatives: list[CvrfRow]
) -> tuple[Finding, Release | None]:
    """A month that the calendar knows as a baseline: its cumulative update is it."""
    if len(cumulatives) != 1:
        several = ", ".join(item.kb for item in cumulatives)
        why = f"the calendar knows {kind}, but the document has " + (
            f"several new cumulative updates, {several}" if cumulatives else "no new cumulative update"
        )
        return Finding(document.month, kind.product, "unknown", None, why), None
    below = [item for item in hotpatches if item.ubr < cumulatives[0].ubr]
    if below:
        why = f"the calendar knows {kind}, but {below[0].kb} is labelled a hotpatch below the cumulative update's build"
        return Finding(document.month, kind.product, "contradicted", None, why), None
    finding, release = _added(document, cumulatives[0], "baseline", kind.planned)
    return Finding(finding.month, kind.product, "added", finding.kb, f"{kind}{_besides(hotpatches)}"), release


def _why_not(
    document: CvrfDocument,
    product: Product,
    calendar: Calendar,
    seen: _Seen,
    hotpatches: list[CvrfRow],
    cumulatives: list[CvrfRow],
) -> str:
    """Why the document does not prove its month to be a hotpatch month; empty when it does."""
    if not hotpatches:
        return "the document lists no new hotpatch, which proves no baseline"
    if len(hotpatches) > 1:
        return f"the document lists several new hotpatches, {', '.join(item.kb for item in hotpatches)}"
    found = hotpatches[0]
    if not cumulatives:
        return f"{found.kb} has no new cumulative update beside it that would tell its month"
    if found.ubr >= max(item.ubr for item in cumulatives):
        return f"{found.kb} is past the month's cumulative update, so it was released out of band"
    month = previous_month(document.month)
    before, level = calendar.of_month(product, month), seen.cumulative.get(month)
    if before is not None and before.kind == "hotpatch" and before.kb in found.supersedes:
        return ""
    floors = [before.ubr] if before is not None and before.kind == "baseline" else []
    floors += [level.ubr] if level is not None else []
    floor = next((item for item in floors if item is not None), None)
    if floor is None:
        return f"the level of {month} is not known, so {found.kb} may be that month's; read its document as well"
    if not floor < found.ubr < min(item.ubr for item in cumulatives):
        return f"the build of {found.kb} does not lie between the levels of {month} and {document.month}"
    return ""


def _added(document: CvrfDocument, row: CvrfRow, kind: ReleaseKind, planned: bool) -> tuple[Finding, Release | None]:
    why = f"labelled a hotpatch, build {build_of_product(row.product)}.{row.ubr}"
    return Finding(document.month, row.product, "added", row.kb, why), _release(document, row, kind, planned)


def _release(document: CvrfDocument, row: CvrfRow, kind: ReleaseKind, planned: bool) -> Release:
    return Release(
        product=row.product,
        kind=kind,
        date=document.released,
        kb=row.kb,
        build=build_of_product(row.product),
        ubr=row.ubr,
        planned=planned,
        source=f"MSRC, {msrc_name(document.month)}",
    )


def _besides(hotpatches: list[CvrfRow]) -> str:
    """What a person should look up: hotpatches that are not the month's release."""
    if not hotpatches:
        return ""
    return f"; beside it the hotpatch {', '.join(item.kb for item in hotpatches)}, perhaps out of band"
