# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policies of Windows Update mean: where a machine gets its updates, and which policies are in the way.

Names of the policies and their keys: Microsoft's troubleshooting article for hotpatch (2026-07) and Azure Update
Manager's page on the Windows Update agent (2025-02).
"""

from __future__ import annotations

from collections.abc import Mapping

from .reasons import Reason

WSUS = "wsus"
WINDOWS_UPDATE = "windows_update"

NUMBERS = ("UseWUServer", "NoAutoUpdate", "AUOptions", "DoNotConnectToWindowsUpdateInternetLocations")
"""Policies that are numbers; below the subkey AU except for the last."""


def update_source(policies: Mapping[str, str]) -> str:
    """Return :data:`WSUS` when a server of one's own is named and to be used, else :data:`WINDOWS_UPDATE`.

    :param policies: values by name, those of the subkey AU behind ``AU\\``.
    """
    return WSUS if policies.get("AU\\UseWUServer") == "1" and policies.get("WUServer") else WINDOWS_UPDATE


def conflicts(policies: Mapping[str, str], patch_mode: str | None) -> tuple[Reason, ...]:
    """Return the policies that stand between the machine and its hotpatches.

    NoAutoUpdate is none of them under AutomaticByPlatform and Manual: these modes set it themselves.
    """
    found = []
    if update_source(policies) == WSUS:
        found.append(
            Reason("wsus", "updates come from a WSUS server; Microsoft advises Azure Update Manager without WSUS")
        )
    if policies.get("DoNotConnectToWindowsUpdateInternetLocations") == "1":
        found.append(Reason("no_internet_locations", "a policy forbids connecting to Windows Update on the internet"))
    if policies.get("AU\\NoAutoUpdate") == "1" and patch_mode == "AutomaticByOS":
        found.append(Reason("no_auto_update", "a policy forbids automatic updates, the patch mode is AutomaticByOS"))
    return tuple(found)
