# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether hotpatching is switched on for a machine and effective in its guest."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from .eligibility import ENROLMENT_OVERRIDE
from .guest import VBS_RUNNING, GuestFacts, enrolment_in_guest
from .machine import Machine
from .reasons import Reason

EnrolmentState = Literal["enrolled", "enrolling", "not_enrolled", "unknown"]


@dataclass(frozen=True)
class Enrolment:
    """``enrolling`` is switched on in Azure and not yet effective in the guest: it takes minutes to hours."""

    state: EnrolmentState
    reasons: tuple[Reason, ...] = ()


def enrolment(machine: Machine, guest: GuestFacts | None, overrides: Collection[str] = ()) -> Enrolment:
    """Return the enrolment; without a guest that was read nothing is ever ``enrolled``, only ``unknown``.

    An unset enableHotpatching reads as off, as Azure Update Manager's own query reads it.

    :param overrides: with ``enrolment_in_guest`` the two registry values do not count, which Microsoft documents for
        Windows Server 2022 and which are inferred for 2025. Virtualization-based security must run all the same.
    """
    setting = machine.patch_settings.enable_hotpatching
    if setting.is_unreadable:
        return Enrolment("unknown", (Reason("setting_unread", f"enableHotpatching was not read: {setting.why}"),))
    if not setting.value:
        shown = "false" if setting.known else "not set"
        return Enrolment("not_enrolled", (Reason("hotpatching_off", f"enableHotpatching is {shown} in Azure"),))
    if guest is None:
        return Enrolment("unknown", (Reason("guest_not_asked", "switched on in Azure; the guest was not asked"),))
    effective = enrolment_in_guest(guest)
    if not effective.value and ENROLMENT_OVERRIDE in overrides and guest.vbs_status.value == VBS_RUNNING:
        text = f"switched on in Azure; by {ENROLMENT_OVERRIDE} it does not count that {effective.why}"
        return Enrolment("enrolled", (Reason("overridden", text),))
    if effective.value is None:
        code = "guest_unread" if guest.reachable else "guest_unreachable"
        return Enrolment("unknown", (Reason(code, f"switched on in Azure; not seen in the guest: {effective.why}"),))
    if effective.value:
        return Enrolment("enrolled", (Reason("effective", effective.why),))
    text = f"switched on in Azure, not effective in the guest: {effective.why}"
    return Enrolment("enrolling", (Reason("not_effective", text),))
