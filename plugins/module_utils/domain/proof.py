# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof inside the guest, without an earlier snapshot: the right machine, patched, and not restarted.

An earlier reading, where there is one, adds sentences to the evidence. It never changes what is proven: it may be of
another machine, or of long ago.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .facts import Fact
from .guest import GuestFacts
from .plain import fields_to_plain
from .releases import CALENDAR, Calendar, Release
from .timestamps import to_the_second

TOLERANCE_SECONDS = 120
"""How far the guest's corrected boot time and Azure's install start may be apart and still mean nothing: Windows moves
its boot time by seconds when its clock is set, and Azure's clock is not the controller's."""


@dataclass(frozen=True)
class Proof:
    """What one reading of the guest proves; ``evidence`` are the sentences a report shows."""

    restarted: Fact[bool]
    patched: Fact[bool]
    right_guest: Fact[bool]
    evidence: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case."""
        return fields_to_plain(self)


def prove(
    guest: GuestFacts,
    install_start: datetime | None,
    release: Fact[Release],
    vm_id: str | None,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    before: GuestFacts | None = None,
) -> Proof:
    """Return what the guest proves about an installation.

    :param install_start: Azure's start of the installation; None when there was none.
    :param release: the release it should now be at.
    :param vm_id: ARM's vmId.
    :param tolerance_seconds: a boot this close to the start is too close to call.
    :param before: an earlier reading of the guest, for the evidence alone.
    """
    restarted = restarted_since(guest, install_start, tolerance_seconds)
    patched = at_release(guest, release)
    right = same_machine(guest, vm_id)
    facts = (("right guest", right), ("patched", patched), ("restarted", restarted))
    evidence = tuple(f"{name}: {_sentence(fact)}" for name, fact in facts)
    return Proof(restarted, patched, right, (*evidence, *_compared(before, guest, tolerance_seconds)))


def _compared(before: GuestFacts | None, after: GuestFacts, tolerance_seconds: float) -> tuple[str, ...]:
    """What an earlier reading shows beside a later one, in sentences."""
    if before is None or not (before.reachable and after.reachable):
        return ()
    found = [f"compared with the reading of {to_the_second(before.read_at)}"]
    levels = [None if fact.ubr.value is None else f"{fact.build.value}.{fact.ubr.value}" for fact in (before, after)]
    if None not in levels:
        found.append(f"build {levels[0]}, now {levels[1]}" if levels[0] != levels[1] else f"still build {levels[0]}")
    if before.kbs.value is not None and after.kbs.value is not None:
        new = sorted(set(after.kbs.value) - set(before.kbs.value))
        found.append(f"new updates {', '.join(new)}" if new else "no new update is listed")
    boots = [boot_time_corrected(fact).value for fact in (before, after)]
    if boots[0] is not None and boots[1] is not None:
        apart = abs((boots[1] - boots[0]).total_seconds())
        same = "the same boot" if apart <= tolerance_seconds else f"another boot, that of {to_the_second(boots[1])}"
        found.append(same)
    return ("; ".join(found),)


def boot_time_corrected(guest: GuestFacts) -> Fact[datetime]:
    """Return the guest's boot time by the controller's clock: its own clock may be hours off."""
    boot, skew = guest.boot_time, guest.skew_seconds
    if boot.value is None:
        return Fact.unreadable(f"the boot time was not read: {boot.why or 'it is not there'}")
    if skew.value is None:
        return Fact.unreadable(f"the guest's clock was not measured: {skew.why or 'it is not there'}")
    if guest.local_time.value is not None and boot.value > guest.local_time.value:
        return Fact.unreadable(f"the boot time {to_the_second(boot.value)} lies after the guest's own clock")
    return Fact.of(boot.value - timedelta(seconds=skew.value))


def restarted_since(guest: GuestFacts, moment: datetime | None, tolerance_seconds: float) -> Fact[bool]:
    """Return whether the guest booted after that moment; too close to call is unreadable."""
    if not guest.reachable:
        return Fact.unreadable(guest.why or "the guest did not answer")
    if moment is None:
        return Fact.unreadable("there was no installation to compare the boot time with")
    if guest.read_at <= moment:
        return Fact.unreadable("the guest was read before the installation began")
    boot = boot_time_corrected(guest)
    if boot.value is None:
        return Fact.unreadable(boot.why)
    after = (boot.value - moment).total_seconds()
    shown = f"booted {to_the_second(boot.value)}, installation began {to_the_second(moment)}"
    if abs(after) <= tolerance_seconds:
        return Fact.unreadable(f"{shown}: less than {tolerance_seconds:g} s apart")
    return Fact.of(after > 0, shown)


def at_release(guest: GuestFacts, release: Fact[Release], calendar: Calendar = CALENDAR) -> Fact[bool]:
    """Return whether the guest is at the release's level: its KB is listed, or its build is at or past the release's.

    "No" needs both to be read: a list of updates drops superseded ones, and a build alone can lag. A build that the
    calendar gives to another KB as well (26100.6905) proves neither of the two.
    """
    if not guest.reachable:
        return Fact.unreadable(guest.why or "the guest did not answer")
    wanted = release.value
    if wanted is None:
        return Fact.unreadable(release.why or "no release is known")
    if guest.build.value is not None and guest.build.value != wanted.build:
        return Fact.unreadable(f"the guest has build {guest.build.value}, {wanted.kb} is for {wanted.build}")
    listed = guest.kbs.value
    if listed is not None and wanted.kb in listed:
        return Fact.of(True, f"{wanted.kb} is installed")
    level = None if guest.build.value is None or guest.ubr.value is None else guest.ubr.value
    twins = [row.kb for row in calendar.of(wanted.product) if row.ubr == wanted.ubr and row.kb != wanted.kb]
    if level is not None and level == wanted.ubr and twins:
        return Fact.unreadable(f"build {wanted.build}.{level} is that of {' and '.join([wanted.kb, *twins])}")
    if level is not None and wanted.ubr is not None and level >= wanted.ubr:
        return Fact.of(True, f"build {wanted.build}.{level} is at or past {wanted.kb} ({wanted.build}.{wanted.ubr})")
    if listed is None:
        return Fact.unreadable(f"the installed updates were not read: {guest.kbs.why or 'the list is not there'}")
    if wanted.ubr is None:
        return Fact.of(False, f"{wanted.kb} is not installed")
    if level is None:
        why = guest.ubr.why or guest.build.why or "it is not there"
        return Fact.unreadable(f"{wanted.kb} is not listed, and the build was not read: {why}")
    return Fact.of(False, f"{wanted.kb} is not installed and build {wanted.build}.{level} is below {wanted.ubr}")


def same_machine(guest: GuestFacts, vm_id: str | None) -> Fact[bool]:
    """Return whether the guest is the machine that ARM means: SMBIOS UUID and vmId are equal in either byte order."""
    if not guest.reachable:
        return Fact.unreadable(guest.why or "the guest did not answer")
    if vm_id is None:
        return Fact.unreadable("Azure told no vmId")
    if guest.smbios_uuid.value is None:
        return Fact.unreadable(f"the SMBIOS UUID was not read: {guest.smbios_uuid.why or 'it is not there'}")
    try:
        inside, outside = uuid.UUID(guest.smbios_uuid.value), uuid.UUID(vm_id)
    except ValueError:
        return Fact.unreadable(f"the SMBIOS UUID {guest.smbios_uuid.value!r} or the vmId {vm_id!r} is no UUID")
    if inside.int in (0, (1 << 128) - 1):
        return Fact.unreadable(f"the SMBIOS UUID {inside} is a placeholder")
    equal = outside.bytes in (inside.bytes, inside.bytes_le)
    return Fact.of(equal, f"SMBIOS UUID {inside}, vmId {outside}")


def _sentence(fact: Fact[bool]) -> str:
    answer = {True: "yes", False: "no", None: "not known"}[fact.value]
    return f"{answer}, {fact.why}" if fact.why else answer
