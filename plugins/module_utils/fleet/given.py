# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assessments that a task is handed: the ``machines`` of an earlier ``patch_assessment``, believed while fresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..domain.assessment import Assessment, AvailablePatch, is_fresh
from ..domain.errors import InputError
from ..domain.kb import normal_kb
from ..domain.resource_id import ResourceId
from ..domain.timestamps import parse_timestamp
from .pursuit import View

OPTION = "assessments"
_ALLOWED = "a list of the entries that patch_assessment returns as machines"


class GivenAssessments:
    """The given assessments by machine."""

    def __init__(self, entries: Sequence[Mapping[str, Any]], max_age: int) -> None:
        """Read the entries; those without a list of updates (failed, or without details) are left out.

        Raises:
            InputError: an entry is not one of patch_assessment's.
        """
        self._max_age = timedelta(seconds=max_age)
        self._by_key: dict[str, Assessment] = {}
        for entry in entries:
            machine = ResourceId.parse(str(entry.get("id") or ""), f"{OPTION}.id")
            if entry.get("outcome") == "assessed" and isinstance(entry.get("updates"), Mapping):
                self._by_key[machine.key] = _assessment(entry)

    def fresh(self, machine: ResourceId, view: View, now: datetime) -> Assessment | None:
        """The machine's assessment when it may still be believed: newer than max_age and the last installation."""
        found = self._by_key.get(machine.key)
        last = view.machine.installation.start_time if view.machine.installation else None
        fresh, dummy = is_fresh(found, now, self._max_age, last_installation_start=last)
        return found if fresh else None


def _assessment(entry: Mapping[str, Any]) -> Assessment:
    try:
        return Assessment(
            status=str(entry["status"]),
            activity_id=entry.get("assessment_activity_id"),
            reboot_pending=entry.get("reboot_pending"),
            critical_and_security_patch_count=entry.get("critical_and_security_patch_count"),
            other_patch_count=entry.get("other_patch_count"),
            start_time=parse_timestamp(entry["start_time"]),
            patches=tuple(_patch(str(key), update) for key, update in entry["updates"].items()),
            error=None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(OPTION, dict(entry), _ALLOWED) from error


def _patch(patch_id: str, update: Mapping[str, Any]) -> AvailablePatch:
    kbs = update["kb"]
    return AvailablePatch(
        patch_id=str(update.get("id") or patch_id),
        name=str(update.get("title") or ""),
        kb=normal_kb(kbs[0]) if kbs else None,
        classifications=tuple(str(name) for name in update["categories"]),
        reboot_behavior=str(update.get("reboot_behavior") or "Unknown"),
        published=parse_timestamp(update["published_date"]) if update.get("published_date") else None,
    )
