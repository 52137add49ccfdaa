# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release a rollout brings each machine to: the calendar's for its product, or the KBs the user named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..domain.facts import Fact
from ..domain.kb import parse_kb
from ..domain.machine import Machine, product
from ..domain.products import Product, build_of_product
from ..domain.releases import CALENDAR, Calendar, Release, current_release

KB_OPTION = "hotpatch_kb_numbers"


class Releases:
    """The releases of one rollout.

    :param now: the moment that decides which release is current.
    :param kb_numbers: the user's KBs, any spelling; empty means the calendar decides. InputError for no KB at all.
    """

    def __init__(self, now: datetime, kb_numbers: Sequence[object] = (), calendar: Calendar = CALENDAR) -> None:
        self._now = now
        self.calendar = calendar
        self._named = [parse_kb(KB_OPTION, item) for item in kb_numbers]

    def of(self, machine: Machine) -> Fact[Release]:
        """The release this machine is to reach; absent or unreadable with the reason where there is none."""
        known = product(machine)
        if known.value is None:
            return Fact.unreadable(known.why) if known.is_unreadable else Fact.absent(known.why)
        return (
            self._named_release(known.value) if self._named else current_release(self.calendar, known.value, self._now)
        )

    def kbs_of(self, release: Release) -> list[str]:
        """The KBs to install for that release: its own, or all that the user named for its product."""
        return self._named_for(release.product) or [release.kb]

    def _named_for(self, wanted: Product) -> list[str]:
        """The named KBs that can be meant for that product: the calendar's of it, and those no calendar row knows."""
        foreign = {item.kb for item in self.calendar.releases if item.product != wanted}
        own = {item.kb for item in self.calendar.releases if item.product == wanted}
        return [kb for kb in self._named if kb in own or kb not in foreign]

    def _named_release(self, wanted: Product) -> Fact[Release]:
        named = self._named_for(wanted)
        if not named:
            return Fact.absent(f"none of the KBs in {KB_OPTION} ({', '.join(self._named)}) is for {wanted}")
        rows = [row for row in (self.calendar.find(wanted, kb) for kb in named) if row is not None]
        if rows:
            return Fact.of(max(rows, key=lambda row: row.date))
        # Not in the calendar: nothing is known of it but its number, so its presence is the only proof there will be.
        day = self._now.date()
        note = f"named by {KB_OPTION}; not in the release calendar"
        return Fact.of(
            Release(wanted, "hotpatch", day, named[0], build_of_product(wanted), None, source=KB_OPTION, note=note)
        )
