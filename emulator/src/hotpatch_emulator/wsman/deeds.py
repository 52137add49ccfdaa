# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients do to a guest over WS-Management: write its registry and restart it. Each deed is in the audit log."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hotpatch_emulator.audit import Audit
from hotpatch_emulator.clock import EmulatedClock
from hotpatch_emulator.inside import Data
from hotpatch_emulator.state import Fleet, VirtualMachine

_ANSWER_SECONDS = 0.3
"""Real time between the answer to Reboot and the end of all connections."""


@dataclass(frozen=True)
class Deeds:
    """Deeds done to one machine's guest."""

    machine: VirtualMachine
    fleet: Fleet
    audit: Audit
    clock: EmulatedClock

    def write_value(self, path: str, name: str, kind: int, data: Data) -> None:
        """Set a registry value below HKEY_LOCAL_MACHINE."""
        self.machine.guest.inside.write(path, name, kind, data)
        self.audit.write("state", self.machine.id, what="registry", key=path, name=name, type=kind, data=data)

    def create_key(self, path: str) -> None:
        self.machine.guest.inside.create_key(path)
        self.audit.write("state", self.machine.id, what="registry", key=path)

    def restart(self, *, silently: bool) -> None:
        """Restart as somebody inside asked for it: after the answer went out, or silently before it can."""
        if silently:
            self._restart()
        else:
            asyncio.get_running_loop().call_later(_ANSWER_SECONDS, self._restart)

    def _restart(self) -> None:
        guest, now = self.machine.guest, self.clock.now()
        if self.machine.power_state != "running":
            return
        down = self.fleet.random.uniform(*self.fleet.switches.restart_down_seconds)
        guest.restart(now, down)
        self.audit.write("restart", self.machine.id, cause="guest", activity_id=None, down_seconds=round(down, 1))
