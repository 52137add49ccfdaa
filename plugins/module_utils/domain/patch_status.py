# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two summaries of ``instanceView.patchStatus``: the last assessment and the last installation.

Shapes from Microsoft's OpenAPI of Microsoft.Compute 2024-07-01; nobody has recorded a populated ``patchStatus``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .api_error import real_error
from .arm import count, flag, moment, text


@dataclass(frozen=True)
class AssessmentSummary:
    """``instanceView.patchStatus.availablePatchSummary``; lags the assessment itself by minutes."""

    status: str
    activity_id: str | None = None
    reboot_pending: bool | None = None
    critical_and_security_patch_count: int | None = None
    other_patch_count: int | None = None
    start_time: datetime | None = None
    last_modified_time: datetime | None = None
    error: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class InstallationSummary:
    """``instanceView.patchStatus.lastPatchInstallationSummary``; has counts but no patches and no reboot status."""

    status: str
    activity_id: str | None = None
    maintenance_window_exceeded: bool | None = None
    not_selected_patch_count: int | None = None
    excluded_patch_count: int | None = None
    pending_patch_count: int | None = None
    installed_patch_count: int | None = None
    failed_patch_count: int | None = None
    start_time: datetime | None = None
    last_modified_time: datetime | None = None
    error: Mapping[str, Any] | None = None


def assessment_summary(raw: Any) -> AssessmentSummary | None:
    """Return ARM's ``availablePatchSummary``, None when the machine was never assessed."""
    if not isinstance(raw, Mapping) or not raw:
        return None
    return AssessmentSummary(
        status=text(raw, "status") or "Unknown",
        activity_id=text(raw, "assessmentActivityId"),
        reboot_pending=flag(raw, "rebootPending"),
        critical_and_security_patch_count=count(raw, "criticalAndSecurityPatchCount"),
        other_patch_count=count(raw, "otherPatchCount"),
        start_time=moment(raw, "startTime"),
        last_modified_time=moment(raw, "lastModifiedTime"),
        error=real_error(raw.get("error")),
    )


def installation_summary(raw: Any) -> InstallationSummary | None:
    """Return ARM's ``lastPatchInstallationSummary``, None when nothing was ever installed through Azure."""
    if not isinstance(raw, Mapping) or not raw:
        return None
    return InstallationSummary(
        status=text(raw, "status") or "Unknown",
        activity_id=text(raw, "installationActivityId"),
        maintenance_window_exceeded=flag(raw, "maintenanceWindowExceeded"),
        not_selected_patch_count=count(raw, "notSelectedPatchCount"),
        excluded_patch_count=count(raw, "excludedPatchCount"),
        pending_patch_count=count(raw, "pendingPatchCount"),
        installed_patch_count=count(raw, "installedPatchCount"),
        failed_patch_count=count(raw, "failedPatchCount"),
        start_time=moment(raw, "startTime"),
        last_modified_time=moment(raw, "lastModifiedTime"),
        error=real_error(raw.get("error")),
    )
