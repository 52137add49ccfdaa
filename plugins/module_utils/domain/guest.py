# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows itself says about a machine, read over WS-Management, and what it means for hotpatching."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from .facts import Fact
from .plain import fields_to_plain, from_plain
from .products import product_of_build

__all__ = [
    "VBS_RUNNING",
    "GuestFacts",
    "enrolment_in_guest",
    "guest_from_dict",
    "product_of_build",
    "unreachable_guest",
]

_NOT_ASKED: Fact[Any] = Fact.unreadable("not asked")

VBS_RUNNING = 2
"""Win32_DeviceGuard.VirtualizationBasedSecurityStatus: 0 not enabled, 1 enabled but not running, 2 running (Microsoft
Learn, "Enable Hotpatch for Azure Arc-enabled servers", 2025-10)."""


@dataclass(frozen=True)
class GuestFacts:
    """One reading of one guest; times are UTC.

    :param reachable: whether the guest answered at all; when not, every fact is unreadable.
    :param why: why it did not answer.
    :param read_at: the controller's clock when it was read.
    :param boot_time: by the guest's clock, as is ``local_time``.
    :param skew_seconds: guest clock minus controller clock, at ``read_at``.
    :param hotpatch_package: the enrolment package's name in the registry.
    :param hotpatch_table_size: bytes of the kernel's hotpatch table.
    :param vbs_status: 2 is running.
    :param pending_restart: by any of ``pending_restart_sources``.
    :param kbs: installed updates as ``KB<digits>``.
    :param smbios_uuid: as Windows shows it: ARM's vmId, its first three groups possibly byte-swapped.
    :param round_trips: requests it took.
    """

    reachable: bool
    why: str
    read_at: datetime
    caption: Fact[str] = _NOT_ASKED
    computer_name: Fact[str] = _NOT_ASKED
    build: Fact[int] = _NOT_ASKED
    ubr: Fact[int] = _NOT_ASKED
    operating_system_sku: Fact[int] = _NOT_ASKED
    boot_time: Fact[datetime] = _NOT_ASKED
    local_time: Fact[datetime] = _NOT_ASKED
    skew_seconds: Fact[float] = _NOT_ASKED
    hotpatch_package: Fact[str] = _NOT_ASKED
    hotpatch_package_version: Fact[str] = _NOT_ASKED
    hotpatch_table_size: Fact[int] = _NOT_ASKED
    vbs_status: Fact[int] = _NOT_ASKED
    pending_restart: Fact[bool] = _NOT_ASKED
    pending_restart_sources: tuple[str, ...] = ()
    kbs: Fact[tuple[str, ...]] = _NOT_ASKED
    smbios_uuid: Fact[str] = _NOT_ASKED
    free_memory_kb: Fact[int] = _NOT_ASKED
    total_memory_kb: Fact[int] = _NOT_ASKED
    round_trips: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case; facts as ``{"state", "value", "why"}``."""
        return fields_to_plain(self)


def guest_from_dict(raw: Mapping[str, Any]) -> GuestFacts:
    """Return the reading that :meth:`GuestFacts.to_dict` wrote; ValueError when it is not one."""
    return from_plain(GuestFacts, raw)


def unreachable_guest(why: str, read_at: datetime, round_trips: int = 0) -> GuestFacts:
    """Return the reading of a guest that did not answer: a result, not an error; all facts are unreadable."""
    unread: Fact[Any] = Fact.unreadable(why)
    facts: dict[str, Any] = {field.name: unread for field in fields(GuestFacts) if isinstance(field.default, Fact)}
    return replace(GuestFacts(False, why, read_at, round_trips=round_trips), **facts)


def enrolment_in_guest(guest: GuestFacts) -> Fact[bool]:
    """Return whether hotpatching is effective in the guest, with the reasons in ``why``.

    Effective is: the Hotpatch Enrollment Package is there, HotPatchTableSize is not zero, and virtualization-based
    security runs (Microsoft Learn, "Enable Hotpatch for Azure Edition servers", 2023-10, and "... for Azure
    Arc-enabled servers", 2025-10). One missing part is enough for "no"; an unreadable one with no missing part is
    unreadable. That these keys look the same on every image is inferred.
    """
    if not guest.reachable:
        return Fact.unreadable(guest.why or "the guest did not answer")
    parts: tuple[tuple[Fact[Any], bool, str], ...] = (
        (guest.hotpatch_package, guest.hotpatch_package.known, "the Hotpatch Enrollment Package is not installed"),
        (guest.hotpatch_table_size, bool(guest.hotpatch_table_size.value), "HotPatchTableSize is not set"),
        (
            guest.vbs_status,
            guest.vbs_status.value == VBS_RUNNING,
            f"virtualization-based security does not run (status {guest.vbs_status.value})",
        ),
    )
    missing = [reason for fact, there, reason in parts if not fact.is_unreadable and not there]
    if missing:
        return Fact.of(False, "; ".join(missing))
    unread = [fact.why for fact, *dummy in parts if fact.is_unreadable]
    if unread:
        return Fact.unreadable("; ".join(dict.fromkeys(unread)))
    return Fact.of(True, "enrolment package, hotpatch table and virtualization-based security are all there")
