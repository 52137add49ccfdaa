# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything one emulator run consists of, put together once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hotpatch_emulator.audit import Audit
from hotpatch_emulator.clock import Agenda, EmulatedClock
from hotpatch_emulator.config import FleetError, FleetFile
from hotpatch_emulator.faults import FaultError, Faults
from hotpatch_emulator.identity import Identity
from hotpatch_emulator.operations import Operations
from hotpatch_emulator.patching import Patching
from hotpatch_emulator.platform_patching import Platform
from hotpatch_emulator.rbac import Permissions
from hotpatch_emulator.resource_graph import ResourceGraph
from hotpatch_emulator.state import Fleet
from hotpatch_emulator.throttle import Throttle


@dataclass
class World:
    clock: EmulatedClock
    agenda: Agenda
    audit: Audit
    fleet: Fleet
    identity: Identity
    throttle: Throttle
    operations: Operations
    patching: Patching
    faults: Faults
    permissions: Permissions
    graph: ResourceGraph

    @classmethod
    def make(cls, loaded: FleetFile, audit_path: Path) -> World:
        """Start the clock and put the platform's own installations on the agenda."""
        clock = EmulatedClock(loaded.now, loaded.speed)
        agenda = Agenda(clock)
        audit = Audit(audit_path, clock)
        fleet = loaded.fleet
        operations = Operations(audit, fleet.switches)
        patching = Patching(fleet, agenda, operations, audit)
        Platform(fleet, agenda, patching).schedule(loaded.now)
        permissions = Permissions()
        faults = Faults(loaded.seed)
        for rule in loaded.faults:
            try:
                faults.add(rule)
            except (FaultError, TypeError, ValueError) as error:
                raise FleetError(f"fleet file: {error}") from error
        return cls(
            clock,
            agenda,
            audit,
            fleet,
            Identity(fleet),
            Throttle(fleet.switches),
            operations,
            patching,
            faults,
            permissions,
            ResourceGraph(fleet, operations, permissions, audit, loaded.now),
        )

    def published_at(self, base_url: str) -> None:
        """Tell everybody who writes absolute URLs where the Resource Manager listens."""
        self.identity.base_url = base_url
        self.operations.base_url = base_url
