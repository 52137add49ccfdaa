# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation did, by Azure's word, and what that means for the patches that were wanted.

Counts prove nothing: in the only recorded installation on a hotpatch machine (2024-08) Azure said ``Succeeded`` with
``installedPatchCount: 0``, and patches that nobody had excluded came back ``Excluded``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .api_error import error_text, real_error
from .arm import count, flag, moment, text
from .assessment import classes_of
from .facts import Fact
from .kb import normal_kb
from .patch_status import InstallationSummary
from .plain import fields_to_plain

OutcomeName = Literal["claimed", "withheld", "not_offered", "failed", "unlisted"]


@dataclass(frozen=True)
class PatchResult:
    """One patch of an installation; ``state`` is ARM's installationState."""

    patch_id: str
    name: str
    kb: str | None
    classifications: tuple[str, ...]
    state: str


@dataclass(frozen=True)
class Installation:
    """One installation; ``error`` is None also for Azure's error of code "Success".

    :param reboot_status: None when the source (the instance view) does not tell.
    :param patches: unreadable when the source has counts only.
    """

    status: str
    activity_id: str | None
    reboot_status: str | None
    window_exceeded: bool | None
    not_selected_patch_count: int | None
    excluded_patch_count: int | None
    pending_patch_count: int | None
    installed_patch_count: int | None
    failed_patch_count: int | None
    start_time: datetime | None
    patches: Fact[tuple[PatchResult, ...]]
    error: Mapping[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case."""
        return fields_to_plain(self)

    @property
    def finished(self) -> bool:
        """Whether Azure says that it came to an end, good or bad."""
        return self.status.lower() in ("succeeded", "failed", "completedwithwarnings")


@dataclass(frozen=True)
class Outcome:
    """What became of the wanted patches, by Azure's word alone.

    ``claimed``: installed. ``withheld``: outstanding but Excluded or NotSelected. ``not_offered``: not in the list.
    ``unlisted``: it succeeded, but no list of patches could be read. ``failed``: anything else.
    """

    name: OutcomeName
    code: str
    reason: str


def installation_from_arm(body: Mapping[str, Any]) -> Installation:
    """Return the installation of a finished operation's result (shape: recorded Azure traffic 2024-05 to 2024-11)."""
    raw = body.get("patches")
    patches: Fact[tuple[PatchResult, ...]] = Fact.unreadable("the result lists no patches")
    if isinstance(raw, list):
        patches = Fact.of(tuple(_result(item) for item in raw if isinstance(item, Mapping)))
    return Installation(
        status=text(body, "status") or "Unknown",
        activity_id=text(body, "installationActivityId"),
        reboot_status=text(body, "rebootStatus"),
        window_exceeded=flag(body, "maintenanceWindowExceeded"),
        not_selected_patch_count=count(body, "notSelectedPatchCount"),
        excluded_patch_count=count(body, "excludedPatchCount"),
        pending_patch_count=count(body, "pendingPatchCount"),
        installed_patch_count=count(body, "installedPatchCount"),
        failed_patch_count=count(body, "failedPatchCount"),
        start_time=moment(body, "startDateTime", "startTime"),
        patches=patches,
        error=real_error(body.get("error")),
    )


def installation_from_summary(summary: InstallationSummary) -> Installation:
    """Return the installation that the instance view tells of: counts, no patches, no reboot status."""
    return Installation(
        status=summary.status,
        activity_id=summary.activity_id,
        reboot_status=None,
        window_exceeded=summary.maintenance_window_exceeded,
        not_selected_patch_count=summary.not_selected_patch_count,
        excluded_patch_count=summary.excluded_patch_count,
        pending_patch_count=summary.pending_patch_count,
        installed_patch_count=summary.installed_patch_count,
        failed_patch_count=summary.failed_patch_count,
        start_time=summary.start_time,
        patches=Fact.unreadable("the instance view holds counts, not patches"),
        error=summary.error,
    )


def _result(raw: Mapping[str, Any]) -> PatchResult:
    return PatchResult(
        patch_id=text(raw, "patchId") or "",
        name=text(raw, "name") or "",
        kb=normal_kb(raw.get("kbId")),
        classifications=classes_of(raw.get("classifications")),
        state=text(raw, "installationState") or "Unknown",
    )


def outcome(
    installation: Installation, wanted_kbs: Collection[str], reboot_behaviors: Mapping[str, str] | None = None
) -> Outcome:
    """Return what became of the wanted KBs; the worst one speaks for all.

    :param wanted_kbs: ``KB<digits>``; empty when the selection was by class, then only the run itself is judged.
    :param reboot_behaviors: by KB from the assessment, shown with a KB that was withheld.
    """
    against = _run_failed(installation)
    if against is not None:
        return against
    if not wanted_kbs:
        return Outcome("claimed", "run_succeeded", _counts(installation))
    if installation.patches.value is None:
        reason = f"{_counts(installation)}, but which patches is not known: {installation.patches.why}"
        return Outcome("unlisted", "patches_unread", reason)
    found = [_of_kb(installation.patches.value, kb, reboot_behaviors or {}) for kb in sorted(wanted_kbs)]
    order: tuple[OutcomeName, ...] = ("failed", "withheld", "not_offered", "claimed")
    return min(found, key=lambda item: order.index(item.name))


def _run_failed(installation: Installation) -> Outcome | None:
    """Return why the run itself is no success, None when it is one."""
    status = installation.status.lower()
    said = error_text(installation.error)
    tail = f": {said}" if said else ""
    if not installation.finished:
        return Outcome("failed", "not_finished", f"the installation is {installation.status}{tail}")
    if installation.window_exceeded:
        return Outcome("failed", "window_exceeded", f"the maximum duration was exceeded, {_counts(installation)}{tail}")
    if status == "failed":
        return Outcome("failed", "status_failed", f"Azure says Failed, {_counts(installation)}{tail}")
    if status == "completedwithwarnings":
        return Outcome("failed", "warnings", f"Azure says CompletedWithWarnings, {_counts(installation)}{tail}")
    if installation.failed_patch_count:
        return Outcome("failed", "patches_failed", f"patches failed: {_counts(installation)}{tail}")
    if installation.pending_patch_count:
        return Outcome("failed", "patches_pending", f"patches are still pending: {_counts(installation)}{tail}")
    if (installation.reboot_status or "").lower() == "failed":
        return Outcome("failed", "reboot_failed", f"the restart failed, {_counts(installation)}{tail}")
    if installation.error is not None:
        return Outcome("failed", "error", f"Azure says Succeeded but adds an error: {said}")
    return None


def _of_kb(patches: tuple[PatchResult, ...], kb: str, behaviors: Mapping[str, str]) -> Outcome:
    states = [patch.state for patch in patches if patch.kb == kb]
    lower = {state.lower() for state in states}
    behavior = f" (rebootBehavior {behaviors[kb]})" if kb in behaviors else ""
    if not states:
        return Outcome("not_offered", "not_in_list", f"{kb} is not in the list of the installation{behavior}")
    shown = ", ".join(dict.fromkeys(states))
    if lower <= {"installed", "excluded", "notselected"} and "installed" in lower:
        return Outcome("claimed", "installed", f"Azure says {kb} is {shown}")
    if lower <= {"excluded", "notselected"}:
        code = "excluded" if "excluded" in lower else "not_selected"
        return Outcome("withheld", code, f"{kb} came back {shown}{behavior}")
    return Outcome("failed", "patch_failed", f"{kb} came back {shown}{behavior}")


def _counts(installation: Installation) -> str:
    parts = (
        (installation.installed_patch_count, "installed"),
        (installation.failed_patch_count, "failed"),
        (installation.pending_patch_count, "pending"),
        (installation.excluded_patch_count, "excluded"),
        (installation.not_selected_patch_count, "not selected"),
    )
    shown = [f"{number} {name}" for number, name in parts if number is not None and (number or name == "installed")]
    return ", ".join(shown) or "no counts"
