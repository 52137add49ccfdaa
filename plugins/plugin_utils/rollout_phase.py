# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the actions that take a rollout forward share: its state on disk, its events, the terminal, the guests.

Note that this plugin util is private to the collection.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.durations import check_maximum_duration
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.load import LoadLimits
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import Machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_report, rollout_state
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.calendar import load_calendar
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import (
    CONTROLLER_VARIABLE,
    Guard,
    ParentGuard,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_events import Events
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_journal import read_journal
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import machines_by_key
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Record, Rollout, StateError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_wave import WaveRun, open_wave
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.guest_reader import PARALLEL, read_guests
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import RolloutAction

LOOK_SECONDS = 1.0
"""Real seconds after which a wait looks again whether its run still goes on."""
LOOK_AGAIN_SECONDS = 30
"""Time between two questions to a guest that does not answer, by the collection's clock."""
PASSED, FAILED = "rollout_hooks_passed", "rollout_hooks_failed"
"""Variables in which the role's hooks leave, by stage, how many passed, and why one failed."""
READING_SECONDS = 60
"""Real seconds that as many guests as are read at once may take."""


class PhaseAction(RolloutAction):
    """An action that takes the rollout of its option plan one step forward."""

    rollout: Rollout

    def open_rollout(self, options: dict[str, Any]) -> None:
        """Load the state; raises StateError when the folder no longer holds this rollout."""
        plan = options["plan"]
        draft = (options.get("preflight") or {}).get("draft") or plan.get("draft")
        self._drafted = "draft" in plan
        if draft:
            self.rollout = rollout_state.rollout_from_dict(draft)
        else:
            found = rollout_state.load(plan["state_dir"])
            if found is None or found.rollout_id != plan["rollout_id"]:
                raise StateError(
                    f"The state folder {plan['state_dir']!r} no longer holds rollout {plan['rollout_id']}; "
                    "another run has used it meanwhile, or it was removed. Nothing more is started."
                )
            self.rollout = found
        folder = None if self._drafted else Path(plan["state_dir"]).expanduser()
        self._events = Events(folder, self.rollout.rollout_id, self.clock)

    def close_rollout(self, options: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        """Write the state, or hand it on where nothing is written; returns the task's result."""
        if self._drafted:
            result["draft"] = self.rollout.to_dict()
        else:
            rollout_state.save(options["plan"]["state_dir"], self.rollout, self.now)
        return {"changed": False, **result}

    def wave_of(self, options: dict[str, Any]) -> WaveRun:
        """The wave that the batch of hosts is."""
        return open_wave(
            self.rollout,
            options["hosts"],
            self.clock.now(),
            read_journal(options["plan"]["state_dir"]),
            options["proof"],
            options["preflight_overrides"],
            # The plan says by which calendar this rollout goes.
            load_calendar(options["plan"].get("calendar_options") or {}).calendar,
        )

    def event(self, event: str, **told: Any) -> None:
        """Write one event; raises StateError where it cannot be: evidence is written as it goes, or nothing goes."""
        try:
            self._events.write(event, **told)
        except OSError as error:
            raise StateError(f"The rollout's events cannot be written ({error}).") from error

    def verdict_events(self, records: Sequence[Record]) -> None:
        """Write the verdict of each machine."""
        for record in records:
            self.event(
                "verdict",
                host=record.host,
                id=record.id,
                ring=record.ring,
                wave=record.wave,
                verdict=record.verdict,
                reason_code=record.reason_code,
                reason=record.reason,
                kbs=record.kbs,
            )

    def tell(self, what: str, records: Sequence[Record] = ()) -> None:
        """Say it on the terminal, with the verdicts of these machines."""
        lines = [what]
        lines += [
            f"  {rollout_report.printable(record.host)}: {record.verdict}, {rollout_report.printable(record.reason)}"
            for record in records
        ]
        self.say(lines)

    def machines_of(self, result: Mapping[str, Any]) -> dict[str, Machine]:
        """The machines of a result of machine_info, by lower-case ARM ID."""
        return machines_by_key(result.get("machines") or [])

    def read(self, hosts: Sequence[str], subset: str = "core") -> dict[str, GuestFacts]:
        """Read guests now, many beside each other."""
        rounds = math.ceil(len(hosts) / PARALLEL)
        return read_guests(hosts, self._variables, subset, READING_SECONDS * rounds, action=self) if hosts else {}

    def read_patiently(self, hosts: Sequence[str], seconds: float, subset: str = "core") -> dict[str, GuestFacts]:
        """Read guests, those that do not answer again and again, for so many seconds of the collection's clock."""
        guard = ParentGuard({CONTROLLER_VARIABLE: str(self.owner())})
        give_up = self.clock.monotonic() + seconds
        found = self.read(hosts, subset)
        while True:
            silent = [host for host, guest in found.items() if not guest.reachable]
            if not silent or self.clock.monotonic() >= give_up:
                return found
            self.tell(f"{len(silent)} guests do not answer yet: {', '.join(silent[:5])}")
            self.pause(min(LOOK_AGAIN_SECONDS, give_up - self.clock.monotonic()), guard)
            found.update(self.read(silent, subset))

    def look_again(self, give_up: float) -> bool:
        """Wait before guests are asked again; False when the time (by the clock's ``monotonic``) is over.

        Raises StateError when the run has ended, as :meth:`pause` does.
        """
        left = give_up - self.clock.monotonic()
        if left <= 0:
            return False
        self.pause(min(LOOK_AGAIN_SECONDS, left), ParentGuard({CONTROLLER_VARIABLE: str(self.owner())}))
        return True

    def pause(self, seconds: float, guard: Guard) -> None:
        """Wait so many seconds of the collection's clock.

        Raises StateError at once when the run has ended: what a wait that was cut off has seen decides nothing, the
        state stays as the step before left it, and a later run asks again.
        """
        give_up = self.clock.monotonic() + seconds
        while True:
            refusal = guard.refusal()
            if refusal:
                raise StateError(refusal)
            left = give_up - self.clock.monotonic()
            if left <= 0:
                return
            self.clock.sleep(min(left, LOOK_SECONDS * self.clock.rate))

    def guests(
        self, options: dict[str, Any], wanted: Sequence[str], seconds: float = 0, subset: str = "core"
    ) -> dict[str, GuestFacts]:
        """This stage's readings by host: those that tasks registered, or read now; none where Azure's word is taken."""
        if options["proof"] == "azure":
            return {}
        if options["guest_variable"]:
            return self.guests_of(wanted, options["guest_variable"])
        return self.read_patiently(wanted, seconds, subset)

    def hook_failures(self, hosts: list[str], stage: str, wanted: int) -> dict[str, str]:
        """Why hooks of a stage did not pass, by host."""
        passed, failed = self.of_hosts(hosts, PASSED), self.of_hosts(hosts, FAILED)
        found = {}
        for host in hosts:
            if int((passed.get(host) or {}).get(stage, 0)) < wanted:
                found[host] = str((failed.get(host) or {}).get(stage) or "it did not come to its end")
        return found


def entries(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The machines of a fleet task's result by lower-case ARM ID; empty where it was skipped or broke."""
    return {str(entry["id"]).lower(): dict(entry) for entry in result.get("machines") or []}


def trouble_of(result: Mapping[str, Any], doing: str) -> str:
    """Why a task broke as a whole, or empty: one that was skipped or has an entry for each machine did not."""
    if not result.get("failed"):
        return ""
    return f"{doing} broke: {result.get('msg') or 'no reason was given'}"


def load_limits(options: Mapping[str, Any]) -> LoadLimits:
    """From which load on a guest is left alone; InputError for limits that cannot be, or that nobody could keep."""
    limits = LoadLimits(options["max_cpu_percent"], options["min_free_memory"])
    if limits.any and options["proof"] == "azure":
        raise InputError("hotpatch_proof", "azure", "guest where limits of load are set", "only a guest tells its load")
    return limits


def needed(options: dict[str, Any], restart_timeout: int = 0) -> timedelta:
    """What a machine takes at most from its start to its proof, its restart included where it has one."""
    length = check_maximum_duration("hotpatch_maximum_duration", options["maximum_duration"])
    return length + timedelta(seconds=options["guest_timeout"] + restart_timeout)
