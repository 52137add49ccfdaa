# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What refreshes the release calendar beside the user's file: a calendar at a URL, and MSRC's documents."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..azure.downloads import Wanted, download, without_query
from ..azure.errors import AzureFailure
from ..clock import Clock
from ..domain.calendar_entries import Entries
from ..domain.errors import InputError
from ..domain.months import month_of, months_between, msrc_name, parse_month, previous_month, second_tuesday
from ..domain.msrc import CvrfDocument, CvrfError, read_cvrf
from ..domain.msrc_calendar import Finding, derive
from ..domain.products import PRODUCTS
from ..domain.releases import Calendar
from .calendar import MAX_BYTES, LoadedCalendar, parse_text, read_bytes

MISSING = "missing"
"""The word that stands for every month without a row."""
MOST_MONTHS = 24
"""At most so many documents in one run: each is a few megabytes."""
MOST_MISSING = 12
DOCUMENT_BYTES = 128 * 1024 * 1024
_AT_ONCE = 3


@dataclass(frozen=True)
class Refreshed:
    """The calendar with what MSRC adds; ``unpublished`` are the missing months that have no document yet."""

    loaded: LoadedCalendar
    findings: tuple[Finding, ...] = ()
    unclear: tuple[str, ...] = ()
    unpublished: tuple[str, ...] = ()


async def read_url(url: str, environ: Mapping[str, str], clock: Clock) -> Entries:
    """Return the entries of a calendar in JSON or YAML at a URL of HTTPS."""
    wanted = Wanted("calendar_url", url, "read the release calendar of calendar_url", MAX_BYTES, "*/*")
    return parse_text(await download(wanted, environ, clock), "calendar_url", without_query(url))


async def refresh_from_msrc(
    loaded: LoadedCalendar, params: Mapping[str, Any], environ: Mapping[str, str], clock: Clock, at: datetime
) -> Refreshed:
    """Return the calendar with what the documents of ``msrc_months`` and ``msrc_files`` add.

    Raises InputError for a file that is no document, AzureFailure for a named month that cannot be fetched.
    """
    documents = [_from_file(str(path)) for path in params.get("msrc_files") or ()]
    asked = [str(month) for month in params.get("msrc_months") or ()]
    named = list(dict.fromkeys(parse_month("msrc_months", month) for month in asked if month != MISSING))
    wanted = list(named)
    if MISSING in asked:
        wanted += [month for month in missing_months(loaded.calendar, at) if month not in named]
    wanted = [month for month in wanted if month not in {item.month for item in documents}]
    if len(wanted) > MOST_MONTHS:
        raise InputError("msrc_months", asked, f"at most {MOST_MONTHS} months")
    fetched, unpublished = await _fetch(str(params["msrc_url"]), wanted, named, environ, clock)
    documents += fetched
    if not documents:
        return Refreshed(loaded, unpublished=unpublished)
    entries, findings = derive(documents, loaded.calendar)
    unclear = tuple(f"{item.month}, {text}" for item in documents for text in item.unclear)
    return Refreshed(loaded.over(entries), findings, unclear, unpublished)


def missing_months(calendar: Calendar, at: datetime) -> tuple[str, ...]:
    """Return the months up to that moment of which a product has no row, or none with a build; the newest ones."""
    today = at.astimezone(timezone.utc).date()
    last = month_of(today) if today >= second_tuesday(month_of(today)) else previous_month(month_of(today))
    found: set[str] = set()
    for product in PRODUCTS:
        rows = calendar.monthly(product)
        held = {row.month for row in rows if row.ubr is not None}
        found.update(month for month in months_between(rows[0].month if rows else last, last) if month not in held)
    return tuple(sorted(found)[-MOST_MISSING:])


async def _fetch(
    base: str, months: Sequence[str], named: Sequence[str], environ: Mapping[str, str], clock: Clock
) -> tuple[list[CvrfDocument], tuple[str, ...]]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(month: str) -> CvrfDocument | None:
        name = msrc_name(month)
        wanted = Wanted("msrc_url", f"{base.rstrip('/')}/cvrf/{name}", f"read the MSRC document {name}", DOCUMENT_BYTES)
        async with gate:
            try:
                data = await download(wanted, environ, clock)
            except AzureFailure as failure:
                if failure.kind == "not_found" and month not in named:
                    return None
                raise
        try:
            return read_cvrf(data, month)
        except CvrfError as error:
            raise AzureFailure(f"Could not {wanted.what}: {error}.", operation=wanted.what) from error

    found = await asyncio.gather(*(one(month) for month in months))
    unpublished = tuple(month for month, document in zip(months, found) if document is None)
    return [document for document in found if document is not None], unpublished


def _from_file(path: str) -> CvrfDocument:
    try:
        return read_cvrf(read_bytes(path, "msrc_files", DOCUMENT_BYTES))
    except CvrfError as error:
        raise InputError("msrc_files", path, "an MSRC CVRF document in JSON or XML", f"of this one, {error}") from error
