# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform's own patching: Azure installs on every machine it orchestrates, some night of its own choice."""

from __future__ import annotations

from datetime import datetime, timedelta

from hotpatch_emulator import offers
from hotpatch_emulator.clock import Agenda
from hotpatch_emulator.patching import Patching, silent
from hotpatch_emulator.selection import platform_selection
from hotpatch_emulator.state import Fleet, VirtualMachine


class Platform:
    """Decides when the platform patches which machine."""

    def __init__(self, fleet: Fleet, agenda: Agenda, patching: Patching) -> None:
        self._fleet = fleet
        self._agenda = agenda
        self._patching = patching
        self._switches = fleet.switches
        self._random = fleet.random

    def schedule(self, now: datetime) -> None:
        """Put the installations on the agenda: each machine some night within the span."""
        for machine in self._fleet:
            minutes = machine.script.platform_after_minutes
            if minutes is not None:
                self._at(machine, now + timedelta(minutes=minutes))
            elif self._switches.platform_patches_by_itself:
                earliest = now + timedelta(hours=self._switches.platform_not_before_hours)
                self._at(machine, self._some_night(machine, earliest))

    def _some_night(self, machine: VirtualMachine, now: datetime) -> datetime:
        """Between 22:00 and 04:00 of the machine's time zone (Microsoft Japan's support team), drawn by seed."""
        offset = timedelta(minutes=machine.guest.utc_offset_minutes)
        evening = (now + offset).replace(hour=22, minute=0, second=0, microsecond=0) - offset - timedelta(days=1)
        days = int(self._random.uniform(0, max(self._switches.platform_within_days, 1)))
        moment = evening + timedelta(days=days, hours=self._random.uniform(0, 6))
        return moment if moment > now else moment + timedelta(days=1)

    def _at(self, machine: VirtualMachine, when: datetime) -> None:
        self._agenda.at(when, lambda at: self._turn(machine, at))

    def _turn(self, machine: VirtualMachine, now: datetime) -> None:
        settings = machine.patch_settings
        if settings.patch_mode != "AutomaticByPlatform" or settings.bypass_platform_safety_checks is True:
            return  # such a machine the platform leaves alone
        if machine.running_operation is not None:
            self._at(machine, now + timedelta(hours=1))
            return
        if not silent(machine):
            selection = platform_selection()
            if any(
                state == "Selected"
                for state in offers.states(
                    offers.offers(machine, now, self._switches), selection, machine, self._switches, True
                ).values()
            ):
                self._patching.install(machine, selection, now, None, by_platform=True)
        self._at(machine, self._some_night(machine, now + timedelta(days=1)))
