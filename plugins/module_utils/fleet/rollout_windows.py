# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The windows of a rollout's machines: a host's own or its ring's, in the machine's time zone, less blackout dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

from ..domain.errors import InputError
from ..domain.rings import RingRules, parse_ring
from ..domain.time_zones import find_zone
from ..domain.windows import MACHINE, Blackout, Window, WindowRules, needs_machine_zone, parse_window, window_of
from .rollout_state import Record, Ring, Rollout


class ZoneUnknown(ValueError):
    """A window is in a machine's own time zone, and that is not known; the text says why."""


def rules_of(ring: Ring) -> RingRules:
    """The rules of a ring as planned; none where the state is from before there were rings."""
    return parse_ring(ring.rules, {}, f"ring {ring.name}") if ring.rules else RingRules(ring.name)


class Windows:
    """The windows of a rollout's machines; what is the same for many is made once."""

    def __init__(self, rollout: Rollout) -> None:
        self._rules = {ring.name: rules_of(ring) for ring in rollout.rings}
        self._made: dict[str, Window | None] = {}

    def of(self, record: Record) -> Window | None:
        """The machine's window, None where it may be started at any time; ZoneUnknown where that cannot be told."""
        rules, blackouts = self._given(record)
        name = self.name_of(record)
        if name not in self._made:
            self._made[name] = window_of(rules, blackouts, self._zone(record, rules, blackouts))
        return self._made[name]

    def name_of(self, record: Record) -> str:
        """A name that machines with the same window share; empty for one that may be started at any time."""
        rules, blackouts = self._given(record)
        if rules is None and not blackouts:
            return ""
        zone = record.time_zone if needs_machine_zone(rules, blackouts) else ""
        return f"{rules}|{','.join(map(str, blackouts))}|{zone}"

    def by_name(self, records: Mapping[str, Record]) -> dict[str, Window]:
        """The windows of those records by their names; machines without one are left out."""
        found = {}
        for record in records.values():
            window = self.of(record)
            if window is not None:
                found[self.name_of(record)] = window
        return found

    def _given(self, record: Record) -> tuple[WindowRules | None, tuple[Blackout, ...]]:
        ring = self._rules.get(record.ring or "")
        own = parse_window(record.window, f"hotpatch_window of host {record.host}") if record.window else None
        return own or (ring.window if ring else None), ring.blackout_dates if ring else ()

    @staticmethod
    def _zone(record: Record, rules: WindowRules | None, blackouts: tuple[Blackout, ...]) -> tzinfo | None:
        if not needs_machine_zone(rules, blackouts):
            return None
        if not record.time_zone:
            raise ZoneUnknown(
                f"its window ({rules or 'blackout dates'}) is in its own time zone, which neither Azure nor its guest "
                "told; set hotpatch_time_zone, or a time_zone other than "
                f"{MACHINE} in the window"
            )
        try:
            return find_zone(record.time_zone)
        except InputError as error:
            raise ZoneUnknown(f"its window is in its own time zone, and {error}") from error
