# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installations and their patches as Azure Resource Graph shows them in ``patchinstallationresources``.

Property names from Microsoft Learn, "Access Azure Update Manager operations data using Azure Resource Graph". Rows
appear 2 to 15 minutes late, are kept for 30 days, and are left out where the caller may not read them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .api_error import real_error
from .arm import count, flag, moment, text
from .assessment import classes_of
from .facts import Fact
from .installation import Installation, PatchResult
from .kb import normal_kb
from .patch_status import InstallationSummary

GRAPH_LAG_SECONDS = 900
"""How late Resource Graph may show what happened."""


@dataclass(frozen=True)
class GraphInstallation:
    """One installation's row: what the instance view has, and what it has not.

    :param started_by: ``User`` or ``Platform``, None when the row does not tell.
    """

    summary: InstallationSummary
    reboot_status: str | None
    started_by: str | None


def graph_installation(properties: Mapping[str, Any]) -> GraphInstallation:
    """Return the installation of a row's ``properties``."""
    summary = InstallationSummary(
        status=text(properties, "status") or "Unknown",
        activity_id=text(properties, "installationActivityId"),
        maintenance_window_exceeded=flag(properties, "maintenanceWindowExceeded"),
        not_selected_patch_count=count(properties, "notSelectedPatchCount"),
        excluded_patch_count=count(properties, "excludedPatchCount"),
        pending_patch_count=count(properties, "pendingPatchCount"),
        installed_patch_count=count(properties, "installedPatchCount"),
        failed_patch_count=count(properties, "failedPatchCount"),
        start_time=moment(properties, "startDateTime"),
        last_modified_time=moment(properties, "lastModifiedDateTime"),
        error=real_error(properties.get("errorDetails")),
    )
    return GraphInstallation(summary, text(properties, "rebootStatus"), text(properties, "startedBy"))


def graph_patch(row: Mapping[str, Any]) -> PatchResult:
    """Return one patch of an installation; its ID is the last part of the row's own."""
    properties = row.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    return PatchResult(
        patch_id=str(row.get("id") or "").rpartition("/")[2],
        name=text(properties, "patchName") or "",
        kb=normal_kb(properties.get("kbId")),
        classifications=classes_of(properties.get("classifications")),
        state=text(properties, "installationState") or "Unknown",
    )


def with_patches(
    installation: Installation, graph: GraphInstallation | None, patches: Iterable[PatchResult]
) -> Installation:
    """Return an installation known by its counts with what Resource Graph adds, as far as the counts agree.

    Patches whose number of installed ones is another than the installation's own belong to an earlier moment, and the
    list stays unread.
    """
    found = tuple(patches)
    installed = sum(1 for patch in found if patch.state.lower() == "installed")
    if found and installed == (installation.installed_patch_count or 0):
        installation = replace(installation, patches=Fact.of(found))
    if graph is not None and graph.reboot_status is not None and installation.reboot_status is None:
        installation = replace(installation, reboot_status=graph.reboot_status)
    return installation
