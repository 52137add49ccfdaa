# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a machine may be restarted after an installation, when it has come back, and what that makes of it.

A baseline is installed with the reboot setting Never and takes effect with a restart of our own. Whether the guest
restarted is told by its boot time alone: Azure calls a restart done while the guest may not even have gone down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .facts import Fact
from .guest import GuestFacts
from .proof import TOLERANCE_SECONDS, at_release, boot_time_corrected, restarted_since, same_machine
from .releases import Release
from .timestamps import to_iso
from .verdicts import Verdict

SERVICING = "TrustedInstaller"
"""The Windows Modules Installer: while it runs after a restart, component based servicing is still at work."""


@dataclass(frozen=True)
class Decision:
    """Whether a restart is sent; ``code`` is a stable word, ``reason`` one sentence."""

    restart: bool
    code: str
    reason: str


def restart_decision(
    guest: GuestFacts | None,
    install_start: datetime | None,
    release: Fact[Release],
    vm_id: str | None,
    too_late: str = "",
) -> Decision:
    """Say whether a machine whose baseline Azure calls installed is restarted now.

    :param guest: a reading after the installation; without one nobody knows what would be restarted.
    :param too_late: why it may not be restarted any more (its window), or empty.
    """
    if guest is None or not guest.reachable:
        why = guest.why if guest is not None else "it was not asked"
        return Decision(False, "guest_silent", f"not restarted: the guest did not answer after the installation: {why}")
    right = same_machine(guest, vm_id)
    if right.value is not True:
        return Decision(False, "wrong_guest", f"not restarted: {right.why}")
    booted = restarted_since(guest, install_start, TOLERANCE_SECONDS)
    if booted.value:
        return Decision(False, "restarted_already", f"not restarted by us: it restarted by itself, {booted.why}")
    if booted.value is None:
        return Decision(False, "boot_unread", f"not restarted: {booted.why}")
    level = at_release(guest, release)
    if level.value is None:
        return Decision(False, "level_unread", f"not restarted: {level.why}")
    if not level.value:
        return Decision(False, "not_installed", f"not restarted: {level.why}")
    if in_effect(guest, release).value and guest.pending_restart.value is False:
        return Decision(False, "in_effect", f"no restart is needed: {level.why}, and none is pending")
    if too_late:
        return Decision(False, "outside_window", f"not restarted: {too_late}")
    return Decision(True, "restart_needed", f"{level.why} and takes effect with a restart")


def in_effect(guest: GuestFacts, release: Fact[Release]) -> Fact[bool]:
    """Return whether the guest runs the release: its build, or, where no source names that, its KB."""
    level = at_release(guest, release)
    wanted = release.value
    if not level.value or wanted is None or wanted.ubr is None:
        return level
    if guest.ubr.value is None:
        return Fact.unreadable(f"{level.why}, but the build was not read: {guest.ubr.why or 'it is not there'}")
    if guest.ubr.value < wanted.ubr:
        return Fact.of(False, f"{level.why}, but the guest still runs build {wanted.build}.{guest.ubr.value}")
    return Fact.of(True, level.why)


def booted_anew(guest: GuestFacts, sent: datetime, boot_before: datetime | None) -> Fact[bool]:
    """Return whether the guest booted by the restart that was sent then.

    A boot may follow its request within the tolerance of the clocks, so that it is told by the boot before it.

    :param boot_before: the corrected boot time that was read before the restart was sent.
    """
    if not guest.reachable:
        return Fact.unreadable(guest.why or "the guest did not answer")
    boot = boot_time_corrected(guest)
    if boot.value is None:
        return Fact.unreadable(boot.why)
    if boot_before is None:
        return Fact.unreadable("the boot time before the restart is not known")
    tolerance = timedelta(seconds=TOLERANCE_SECONDS)
    shown = f"booted {to_iso(boot.value)}, the restart was sent {to_iso(sent)}"
    if boot.value <= boot_before + tolerance:
        return Fact.of(False, f"{shown}: still the boot of {to_iso(boot_before)}")
    return Fact.of(boot.value >= sent - tolerance, shown)


def unsettled(guest: GuestFacts, anew: Fact[bool], ran_before: Mapping[str, str] | None = None) -> str:
    """Return what a restarted guest has not come to yet, or empty: it has settled.

    :param ran_before: the services' states before the restart; those that ran and start by themselves run again.
    """
    if not guest.reachable:
        return f"the guest does not answer: {guest.why}"
    if not anew.value:
        return f"it has not restarted yet: {anew.why}"
    if guest.pending_restart.value is not False:
        by = ", ".join(guest.pending_restart_sources) or guest.pending_restart.why
        return f"a restart is still pending ({by})" if guest.pending_restart.value else f"pending restart unread: {by}"
    if guest.services.value is None:
        return f"its services were not read: {guest.services.why}"
    states = guest.services.value
    if states.get(SERVICING, "Stopped") != "Stopped":
        return f"component based servicing is still at work ({SERVICING} is {states[SERVICING]})"
    modes = guest.service_start_modes.value or {}
    waited = [
        name
        for name, state in (ran_before or {}).items()
        if state == "Running" and name != SERVICING and modes.get(name) == "Auto" and states.get(name) != "Running"
    ]
    return f"services do not run again yet: {', '.join(sorted(waited))}" if waited else ""


def restarted_verdict(
    verdict: Verdict, guest: GuestFacts | None, release: Fact[Release], anew: Fact[bool] | None, waiting: str
) -> Verdict:
    """Return the verdict of a machine of a baseline, given the one that its installation would have.

    :param verdict: made as if the restart was planned when one was sent, and unplanned otherwise.
    :param anew: whether our restart was seen; None when none was sent.
    :param waiting: what it had not settled to, or why no restart was sent; empty for neither.
    """
    if verdict.name not in ("patched", "patched_restarted_as_planned", "patched_by_platform"):
        return verdict
    if anew is None:
        effective = in_effect(guest, release) if guest is not None else None
        if effective is not None and effective.value:
            return verdict
        return Verdict("unproven", "restart_outstanding", f"{verdict.reason}; {waiting or 'no restart was sent'}")
    if anew.value is None:
        return Verdict("unproven", "restart_unread", f"{verdict.reason}; {anew.why}")
    if not anew.value:
        return Verdict("unproven", "restart_not_seen", f"{verdict.reason}; {anew.why}")
    effective = in_effect(guest, release) if guest is not None else Fact.unreadable("the guest was not asked")
    if not effective.value:
        return Verdict("failed", "not_in_effect", f"it restarted as planned, but {effective.why}")
    if waiting:
        return Verdict("unproven", "not_settled", f"{verdict.reason}; {waiting}")
    return Verdict("patched_restarted_as_planned", "proven", f"{effective.why}; {anew.why}")
