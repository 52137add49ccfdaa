# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answer from the release calendar: what is this month, what comes next, which KB proves it, who restarts when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from ..clock import Clock
from ..domain.assessment import Assessment
from ..domain.calendar_entries import additions, calendar_to_plain
from ..domain.eligibility import check_overrides, eligibility
from ..domain.enrolment import enrolment
from ..domain.errors import InputError
from ..domain.guest import GuestFacts, guest_from_dict
from ..domain.machine import Machine, machine_from_dict, product
from ..domain.outlook import Outlook, next_restart, outlook
from ..domain.products import PRODUCT_NAMES, PRODUCTS, Product
from ..domain.reasons import texts
from ..domain.releases import CALENDAR, Calendar
from ..domain.timestamps import parse_timestamp, to_iso
from ..domain.track import track
from .calendar import LoadedCalendar, load_calendar
from .calendar_sources import Refreshed, read_url, refresh_from_msrc
from .context import drive
from .given import GivenAssessments
from .guard import Guard
from .progress import Progress
from .pursuit import View
from .rollout_releases import Releases


@dataclass(frozen=True)
class _Known:
    """One machine with what was handed over of it; ``guest`` None means that it was not asked."""

    machine: Machine
    guest: GuestFacts | None
    assessment: Assessment | None


def run(
    params: Mapping[str, Any],
    clock: Clock,
    progress: Progress,
    environ: Mapping[str, str],
    guard: Guard,
    *,
    check_mode: bool = False,
    diff: bool = False,
) -> dict[str, Any]:
    """Load the calendar, refresh it where that is asked for, and answer.

    Raises InputError for options that cannot be, AzureFailure for a document that cannot be fetched.
    """
    at = _moment(params.get("at"), clock)
    overrides = [str(code) for code in params.get("preflight_overrides") or ()]
    check_overrides("preflight_overrides", overrides)
    machines = _machines(params, at)

    async def main() -> dict[str, Any]:
        loaded = load_calendar(params)
        if params.get("calendar_url"):
            loaded = loaded.over(await read_url(str(params["calendar_url"]), environ, clock))
        refreshed = await refresh_from_msrc(loaded, params, environ, clock, at)
        return _answer(refreshed, [str(name) for name in params["products"]], at, machines, overrides)

    return drive(main, guard)


def _answer(
    refreshed: Refreshed, products: Sequence[str], at: datetime, machines: Sequence[_Known], overrides: Sequence[str]
) -> dict[str, Any]:
    calendar = refreshed.loaded.calendar
    answers = {name: _product(calendar, name, at) for name in PRODUCTS if name in products}
    rows = [_machine(known, calendar, at, overrides) for known in machines]
    result: dict[str, Any] = {
        "changed": False,
        "at": to_iso(at),
        "products": answers,
        "machines": rows,
        "restarting": [row["id"] for row in rows if row["restart"]["due"] == "now"],
        "off_track": [{"id": row["id"], "returns": row["returns"]} for row in rows if row["track"] == "off_track"],
        "calendar": calendar_to_plain(calendar),
        "additions": additions(calendar, CALENDAR),
        "sources": list(refreshed.loaded.sources),
        "conflicts": [conflict.to_dict() for conflict in refreshed.loaded.conflicts],
        "msrc": [finding.to_dict() for finding in refreshed.findings],
        "msg": " ".join(f"{name}: {answer['text']}." for name, answer in answers.items()),
    }
    warnings = _warnings(refreshed.loaded, refreshed)
    return {**result, "warnings": warnings} if warnings else result


def _warnings(loaded: LoadedCalendar, refreshed: Refreshed) -> list[str]:
    told = loaded.warnings + [f"MSRC document of {text}; it was left out." for text in refreshed.unclear]
    for finding in refreshed.findings:
        if finding.outcome == "contradicted":
            where = f"MSRC document of {finding.month}, {finding.product}"
            told.append(f"{where}: {finding.why}; the calendar stays as it is.")
    told += [f"MSRC has no document of {month} yet." for month in refreshed.unpublished]
    return told


def _product(calendar: Calendar, name: Product, at: datetime) -> dict[str, Any]:
    found = outlook(calendar, name, at)
    answer = {key: value for key, value in found.to_dict().items() if key not in ("product", "at")}
    for key, fact in (("current", found.current), ("baseline", found.baseline)):
        if fact.value is not None:
            answer[key]["value"]["restarts"] = fact.value.restarts
    return {"name": PRODUCT_NAMES[name], **answer, "text": _in_words(found)}


def _in_words(found: Outlook) -> str:
    now = f"the current release is {found.current.value or f'unknown: {found.current.why}'}"
    return f"{now}; the next one is {found.next.value or f'unknown: {found.next.why}'}"


def _machine(known: _Known, calendar: Calendar, at: datetime, overrides: Sequence[str]) -> dict[str, Any]:
    machine, guest = known.machine, known.guest
    release = Releases(at, calendar=calendar).of(machine)
    fit, enrolled = eligibility(machine, overrides), enrolment(machine, guest, overrides)
    where = track(machine, enrolled, fit, guest, release, calendar, known.assessment)
    return {
        "id": str(machine.id),
        "name": machine.name,
        "product": product(machine).value,
        "release": release.value.kb if release.value else None,
        "track": where.name,
        "track_reason": texts(where.reasons),
        "evidence": [reason.text for reason in where.evidence],
        "returns": where.returns.value.to_dict() if where.returns.value else None,
        "restart": next_restart(where, release, calendar).to_dict(),
    }


def _machines(params: Mapping[str, Any], at: datetime) -> list[_Known]:
    guests = {str(key).lower(): value for key, value in (params.get("guests") or {}).items()}
    assessments = GivenAssessments(params.get("assessments") or [], int(params["max_age"]))
    found = []
    for number, entry in enumerate(params.get("machines") or ()):
        try:
            machine = machine_from_dict(entry)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            where = f"machines[{number}]"
            allowed = "an entry of machine_info's machines with details=all"
            raise InputError(where, dict(entry), allowed, f"it is not one: {error}") from error
        fresh = assessments.fresh(machine.id, View(machine, at), at)
        found.append(_Known(machine, _guest(machine, guests.get(machine.id.key)), fresh))
    return found


def _guest(machine: Machine, raw: object) -> GuestFacts | None:
    """The reading of a guest, as guest_info returns it or as its ``guest`` alone; None where there is none."""
    if not raw:
        return None
    inner = raw.get("guest", raw) if isinstance(raw, Mapping) else raw
    try:
        return guest_from_dict(cast(Mapping[str, Any], inner))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        allowed = "a result of guest_info for each ARM ID"
        raise InputError(f"guests of {machine.id}", raw, allowed, f"it is not one: {error}") from error


def _moment(text: object, clock: Clock) -> datetime:
    if not text:
        return clock.now()
    try:
        return parse_timestamp(str(text))
    except ValueError as error:
        raise InputError("at", text, "a time stamp such as 2026-05-13T01:00:00Z, with an offset") from error
