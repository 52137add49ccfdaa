# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer of ``assessPatches`` and whether an assessment is new enough to be believed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from .api_error import error_text, real_error
from .arm import count, flag, moment, text
from .kb import normal_kb
from .patch_status import AssessmentSummary
from .plain import fields_to_plain
from .releases import published_by

CLOCKS_MAY_DIFFER = timedelta(minutes=5)


@dataclass(frozen=True)
class AvailablePatch:
    """One patch that Azure offers a machine; ``kb`` is ``KB<digits>``, though the wire has digits only."""

    patch_id: str
    name: str
    kb: str | None
    classifications: tuple[str, ...]
    reboot_behavior: str
    published: datetime | None


@dataclass(frozen=True)
class Assessment:
    """One assessment with its patches; ``error`` is None also for Azure's error of code "Success"."""

    status: str
    activity_id: str | None
    reboot_pending: bool | None
    critical_and_security_patch_count: int | None
    other_patch_count: int | None
    start_time: datetime | None
    patches: tuple[AvailablePatch, ...]
    error: Mapping[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case."""
        return fields_to_plain(self)

    def offer(self, kb: str) -> AvailablePatch | None:
        """Return the offered patch of that ``KB<digits>``, None when it is not offered."""
        return next((patch for patch in self.patches if patch.kb == kb), None)


def assessment_from_arm(body: Mapping[str, Any]) -> Assessment:
    """Return the assessment of a finished operation's result (shape: recorded Azure traffic 2020-08)."""
    raw = body.get("availablePatches")
    return Assessment(
        status=text(body, "status") or "Unknown",
        activity_id=text(body, "assessmentActivityId"),
        reboot_pending=flag(body, "rebootPending"),
        critical_and_security_patch_count=count(body, "criticalAndSecurityPatchCount"),
        other_patch_count=count(body, "otherPatchCount"),
        start_time=moment(body, "startDateTime", "startTime"),
        patches=tuple(_patch(item) for item in raw if isinstance(item, Mapping)) if isinstance(raw, list) else (),
        error=real_error(body.get("error")),
    )


def classes_of(raw: Any) -> tuple[str, ...]:
    """Return ARM's ``classifications`` list in its own spelling."""
    return tuple(str(item) for item in raw) if isinstance(raw, list) else ()


def _patch(raw: Mapping[str, Any]) -> AvailablePatch:
    return AvailablePatch(
        patch_id=text(raw, "patchId") or "",
        name=text(raw, "name") or "",
        kb=normal_kb(raw.get("kbId")),
        classifications=classes_of(raw.get("classifications")),
        reboot_behavior=text(raw, "rebootBehavior") or "Unknown",
        published=moment(raw, "publishedDate"),
    )


def is_fresh(
    summary: AssessmentSummary | Assessment | None,
    now: datetime,
    max_age: timedelta,
    release_date: date | None = None,
    last_installation_start: datetime | None = None,
    last_boot: datetime | None = None,
) -> tuple[bool, str]:
    """Return whether an assessment may be believed, and why (not).

    It must have succeeded, and be newer than ``max_age``, than the release's publication, than the last installation
    and than the last boot. Azure's and the controller's clocks may differ by five minutes.

    :param last_boot: by a clock corrected for the guest's skew.
    """
    if summary is None:
        return False, "never assessed"
    if summary.status.lower() != "succeeded":
        return False, f"the assessment's status is {summary.status}"
    if summary.error is not None:
        return False, f"the assessment carries an error: {error_text(summary.error)}"
    start = summary.start_time
    if start is None:
        return False, "the assessment's start is not known"
    if start > now + CLOCKS_MAY_DIFFER:
        return False, "the assessment starts in the future: the clocks differ"
    if now - start > max_age:
        return False, f"the assessment is {int((now - start).total_seconds())} s old"
    if release_date is not None and start < published_by(release_date):
        return False, f"the assessment is older than the release of {release_date.isoformat()}"
    if last_installation_start is not None and start <= last_installation_start:
        return False, "the assessment is older than the last installation"
    if last_boot is not None and start <= last_boot:
        return False, "the assessment is older than the last boot"
    return True, f"assessed {max(0, int((now - start).total_seconds()))} s ago"
