# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a month's CVRF document of Microsoft's security-update API (MSRC) says of the two products' updates.

Read from real documents of 2022 to 2026: a hotpatch is a "Vendor Fix" whose SubType is spelled in several ways;
``RestartRequired`` says Yes on most hotpatches and is not read; a document lists rows of the month before as well; the
same KB stands under many vulnerabilities; Windows 11 shares the build number 26100 with Windows Server 2025, and many
of its KBs, so that only the product tree tells them apart. XML is the form of the documents that were read; the JSON
form has the same names, and its nesting is that of published clients of the API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from .kb import normal_kb
from .months import month_of, msrc_name, normal_month
from .msrc_xml import cvrf_from_xml
from .products import Product, build_of_product

VENDOR_FIX = ("2", "vendor fix")
"""``Type`` of a remediation that is an update, as JSON and as XML write it."""

_HOTPATCH = "hotpatch"
"""What the four known spellings of SubType have in common without blanks and capitals."""

_CUMULATIVE = "securityupdate"
_BUILD = re.compile(r"(?:10\.0\.)?([0-9]{5})\.([0-9]{1,7})")
# "Windows Server 2022, 23H2 Edition" is another product; 2022 had "Windows Server 2022 Azure Edition Core Hotpatch".
_NAMES: dict[Product, re.Pattern[str]] = {
    "ws2022": re.compile(r"Windows Server 2022(?![0-9])(?!.*23H2).*", re.IGNORECASE),
    "ws2025": re.compile(r"Windows Server 2025(?![0-9]).*", re.IGNORECASE),
}


class CvrfError(ValueError):
    """The text is not a CVRF document of that month; ``str()`` says why, without a full stop."""


@dataclass(frozen=True)
class CvrfRow:
    """One update of one product in a document, whatever the number of vulnerabilities it stands under.

    :param hotpatch: it is labelled a hotpatch; otherwise it is a cumulative security update.
    :param supersedes: the KBs it replaces.
    """

    product: Product
    kb: str
    ubr: int
    hotpatch: bool
    supersedes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class CvrfDocument:
    """One month's document.

    :param month: such as ``2026-05``.
    :param released: the day the document was first published, the month's B release.
    :param unclear: what was left out of ``rows`` although it may have been meant, with the reason.
    """

    month: str
    released: date
    rows: tuple[CvrfRow, ...]
    unclear: tuple[str, ...] = ()

    def of(self, product: Product, hotpatch: bool) -> tuple[CvrfRow, ...]:
        """The product's rows of one kind, lowest build first."""
        found = (row for row in self.rows if row.product == product and row.hotpatch is hotpatch)
        return tuple(sorted(found, key=lambda row: row.ubr))


def read_cvrf(data: bytes, month: str = "") -> CvrfDocument:
    """Read a document in JSON or XML.

    :param month: the month that was asked for; another one's document is refused. Empty for whichever it is.
    """
    return parse_cvrf(_load(data), month)


def parse_cvrf(raw: object, month: str = "") -> CvrfDocument:
    """Read a document that is JSON already; raises CvrfError."""
    tracking = _section(raw, "DocumentTracking")
    name = _text(_section(tracking, "Identification").get("ID"))
    found = normal_month(name)
    if found is None:
        raise CvrfError(f"it names itself {name!r} instead of a month such as 2026-May")
    if month and found != month:
        raise CvrfError(f"it is the document {name} instead of {msrc_name(month)}")
    released = _day(_text(tracking.get("InitialReleaseDate")))
    if released is None or month_of(released) != found:
        raise CvrfError(f"its InitialReleaseDate is {tracking.get('InitialReleaseDate')!r} instead of a day of {found}")
    products = _products(_section(raw, "ProductTree"))
    if not products:
        raise CvrfError("its ProductTree names neither Windows Server 2022 nor Windows Server 2025")
    rows, unclear = _rows(_remediations(raw), products)
    return CvrfDocument(found, released, rows, unclear)


def _load(data: bytes) -> object:
    start = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start == b"<":
        try:
            return cvrf_from_xml(data)
        except ValueError as error:
            raise CvrfError(str(error)) from None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise CvrfError("it is neither JSON nor XML") from None


def _rows(
    remediations: Iterable[Mapping[str, Any]], products: Mapping[str, Product]
) -> tuple[tuple[CvrfRow, ...], tuple[str, ...]]:
    found: dict[tuple[Product, str], CvrfRow] = {}
    contradictory: set[tuple[Product, str]] = set()
    unclear: list[str] = []
    for fix in remediations:
        kind = _kind(fix)
        for product in _products_of(fix, products) if kind is not None else ():
            row = _row(product, fix, kind == _HOTPATCH)
            if row is None:
                if kind == _HOTPATCH:
                    named, shown = _text(fix.get("Description")), _text(fix.get("FixedBuild"))
                    unclear.append(f"{product}: a hotpatch {named!r} has the build {shown!r}")
                continue
            known = found.setdefault((product, row.kb), row)
            if (known.ubr, known.hotpatch) != (row.ubr, row.hotpatch):
                contradictory.add((product, row.kb))
            found[(product, row.kb)] = replace(known, supersedes=known.supersedes | row.supersedes)
    unclear += [f"{product}: {kb} has several builds or labels" for product, kb in sorted(contradictory)]
    rows = tuple(row for key, row in found.items() if key not in contradictory)
    return rows, tuple(dict.fromkeys(unclear))


def _row(product: Product, fix: Mapping[str, Any], hotpatch: bool) -> CvrfRow | None:
    """One remediation as a row; None without a KB or a build of that product."""
    kb, build = normal_kb(_text(fix.get("Description"))), _BUILD.fullmatch(_text(fix.get("FixedBuild")))
    if kb is None or build is None or int(build[1]) != build_of_product(product):
        return None
    return CvrfRow(product, kb, int(build[2]), hotpatch, _kbs(_text(fix.get("Supercedence"))))


def _kind(fix: Mapping[str, Any]) -> str | None:
    if _text(fix.get("Type")).lower() not in VENDOR_FIX:
        return None
    label = re.sub(r"[\s_-]", "", _text(fix.get("SubType"))).lower()
    if _HOTPATCH in label:
        return _HOTPATCH
    return "cumulative" if label == _CUMULATIVE else None


def _products_of(fix: Mapping[str, Any], products: Mapping[str, Product]) -> list[Product]:
    ids = fix.get("ProductID")
    listed = ids if isinstance(ids, list) else [ids]
    return sorted({products[_text(item)] for item in listed if _text(item) in products})


def _products(tree: Mapping[str, Any]) -> dict[str, Product]:
    found: dict[str, Product] = {}
    for entry in _list(tree, "FullProductName"):
        for product, pattern in _NAMES.items():
            if pattern.fullmatch(_text(entry.get("Value")).strip()):
                found[_text(entry.get("ProductID"))] = product
    return found


def _remediations(raw: object) -> Iterator[Mapping[str, Any]]:
    for vulnerability in _list(raw, "Vulnerability"):
        yield from _list(vulnerability, "Remediations")


def _kbs(text: str) -> frozenset[str]:
    return frozenset(kb for kb in (normal_kb(part) for part in re.split(r"[;,\s]+", text) if part) if kb)


def _section(raw: object, name: str) -> Mapping[str, Any]:
    value = raw.get(name) if isinstance(raw, Mapping) else None
    if not isinstance(value, Mapping):
        raise CvrfError(f"it has no {name}")
    return value


def _list(raw: object, name: str) -> list[Mapping[str, Any]]:
    value = raw.get(name) if isinstance(raw, Mapping) else None
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _text(value: object) -> str:
    """The text of ``"x"``, ``{"Value": "x"}`` or a number; empty for anything else."""
    if isinstance(value, Mapping):
        value = value.get("Value")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return ""
    return str(value).strip()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
