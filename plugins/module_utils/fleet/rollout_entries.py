# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the entries that the fleet tasks return back into the domain's words, and shorten readings for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..domain.assessment import AvailablePatch
from ..domain.facts import Fact
from ..domain.guest import GuestFacts
from ..domain.installation import Installation, Outcome, PatchResult
from ..domain.installation import outcome as installed_outcome
from ..domain.kb import normal_kb
from ..domain.timestamps import parse_timestamp, to_iso

DECIDED = frozenset({"claimed", "withheld", "not_offered", "failed", "unlisted"})
"""Outcomes of patch_installation after which the guest can be asked for proof."""


def offers_of(updates: Any) -> list[AvailablePatch]:
    """The offered patches of an assessment's ``updates``, in win_updates' keys with ARM's rebootBehavior beside."""
    patches = []
    for item in _items(updates):
        digits = (item.get("kb") or [None])[0]
        published = item.get("published_date")
        patches.append(
            AvailablePatch(
                patch_id=str(item.get("id") or ""),
                name=str(item.get("title") or ""),
                kb=normal_kb(digits),
                classifications=tuple(item.get("categories") or ()),
                reboot_behavior=str(item.get("reboot_behavior") or "Unknown"),
                published=parse_timestamp(published) if published else None,
            )
        )
    return patches


def azure_outcome(install: Mapping[str, Any], kbs: Sequence[str]) -> Outcome | None:
    """What Azure says became of this machine's own KBs; None while nothing can be said.

    One task serves the products of a whole wave, so it was sent the KBs of all of them. Where it lists the patches, the
    machine is judged by its own KBs alone: that another product's was not offered to it means nothing.
    """
    name, reason = str(install.get("outcome")), str(install.get("reason") or "Azure gave no reason")
    code = str(install.get("reason_code") or "azure")
    if code == "outcome_unknown":
        # Azure took or did not take it; what the guest shows decides.
        return Outcome("unlisted", code, reason)
    if name not in DECIDED:
        return None
    patches = tuple(_result(item) for item in _items(install.get("updates")) if item.get("installation_state"))
    if name == "failed" or not patches:
        return Outcome(name, code, reason)  # type: ignore[arg-type]
    found = Installation(
        status=str(install.get("status") or "Unknown"),
        activity_id=install.get("installation_activity_id"),
        reboot_status=install.get("reboot_status"),
        window_exceeded=install.get("maintenance_window_exceeded"),
        not_selected_patch_count=None,
        excluded_patch_count=None,
        pending_patch_count=None,
        installed_patch_count=install.get("installed_update_count"),
        failed_patch_count=install.get("failed_update_count"),
        start_time=None,
        patches=Fact.of(patches),
        error=None,
    )
    return installed_outcome(found, kbs)


def _result(item: Mapping[str, Any]) -> PatchResult:
    return PatchResult(
        patch_id=str(item.get("id") or ""),
        name=str(item.get("title") or ""),
        kb=normal_kb((item.get("kb") or [None])[0]),
        classifications=tuple(item.get("categories") or ()),
        state=str(item["installation_state"]),
    )


def _items(updates: Any) -> list[Mapping[str, Any]]:
    """The entries of a result's ``updates``, which win_updates keeps by id."""
    return list(updates.values()) if isinstance(updates, Mapping) else list(updates or ())


def brief(guest: GuestFacts | None) -> dict[str, Any] | None:
    """What the report keeps of a reading: enough to check the verdict by hand."""
    if guest is None:
        return None
    if not guest.reachable:
        return {"reachable": False, "why": guest.why, "read_at": to_iso(guest.read_at)}
    build = f"{guest.build.value}.{guest.ubr.value}" if guest.build.known and guest.ubr.known else None
    return {
        "reachable": True,
        "read_at": to_iso(guest.read_at),
        "build": build,
        "boot_time": to_iso(guest.boot_time.value) if guest.boot_time.value else None,
        "skew_seconds": guest.skew_seconds.value,
        "pending_restart": guest.pending_restart.value,
        "smbios_uuid": guest.smbios_uuid.value,
        "cpu_percent": guest.cpu_percent.value,
        "free_memory_kb": guest.free_memory_kb.value,
    }


def reading_of(kept: Mapping[str, Any] | None) -> GuestFacts | None:
    """Return the reading that :func:`brief` shortened, with what is left of it; None where there is none."""
    if not kept or not kept.get("reachable"):
        return None
    build, dummy, revision = str(kept.get("build") or "").partition(".")
    boot, skew = kept.get("boot_time"), kept.get("skew_seconds")
    facts: dict[str, Any] = {}
    if build and revision:
        facts.update(build=Fact.of(int(build)), ubr=Fact.of(int(revision)))
    if boot and skew is not None:
        facts.update(boot_time=Fact.of(parse_timestamp(str(boot))), skew_seconds=Fact.of(float(skew)))
    return GuestFacts(True, "", parse_timestamp(str(kept["read_at"])), **facts)
