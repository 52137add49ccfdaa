# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take one machine through the decisions of taking an update off it: begin, staged, prove."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollback, rollout_hosts, rollout_state
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.lock import FolderLock, private_folder
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLBACK_STEP
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import machines_by_key
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_restart import SUBSET
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import StateError
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.guest_reader import read_guests
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import RolloutAction

LOOK_AGAIN_SECONDS = 30
READING_SECONDS = 60


class ActionModule(RolloutAction):
    """C(winfleet.hotpatch.rollback_step)."""

    SPEC = ROLLBACK_STEP

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        self._host = options["host"]
        phases = {"begin": self._begin, "staged": self._staged, "prove": self._prove}
        return {"changed": False, **phases[options["phase"]](options)}

    def _read(self) -> GuestFacts:
        return read_guests([self._host], self._variables, SUBSET, READING_SECONDS, action=self)[self._host]

    def _folder(self, options: dict[str, Any]) -> Path:
        return Path(options["state_dir"]).expanduser()

    def _begin(self, options: dict[str, Any]) -> dict[str, Any]:
        kb = rollback.check_wishes(options["kb"], options["confirm"], options["tasks"] or "")
        folder = private_folder(rollout_state.ensure_state_dir(options["state_dir"]))
        FolderLock(folder, self.owner()).acquire()
        begun, machines = rollback.load(folder), machines_by_key(options["machines"])
        key = options["resource_id"].lower()
        if key not in machines:
            raise StateError(f"{self._host}: Azure's answer does not hold the machine, so nothing was done to it.")
        says = rollout_hosts.read_inventory(self.variables_of([self._host], rollout_hosts.HOST_VARIABLES), {})
        now = self.clock.now()
        late = rollback.too_late(says.of(self._host), now, timedelta(seconds=options["timeout"]))
        decision = rollback.begin(begun, key, kb, self._read(), machines[key].vm_id, now, late)
        self.say([f"{self._host}: {decision.reason}"])
        if decision.word == "refused":
            raise StateError(f"{self._host} is left alone: {decision.reason}.")
        if decision.word == "go" and not self.check_mode:
            rollback.save(folder, begun)
        found = {"go": decision.word == "go", "kb": kb, "code": decision.code, "msg": decision.reason}
        return {**found, "began": begun[key].began if decision.word == "go" else ""}

    def _staged(self, options: dict[str, Any]) -> dict[str, Any]:
        """A machine on which the tasks left no trace is not restarted."""
        guest, item = self._read(), self._item(options)
        listed = item.kb in (guest.kbs.value or (item.kb,))
        if not guest.reachable or (listed and guest.pending_restart.value is not True):
            why = f"the guest did not answer: {guest.why}" if not guest.reachable else "no restart is pending in it"
            raise StateError(f"{self._host} is not restarted: the tasks that take {item.kb} off ended, but {why}.")
        return {"msg": f"{item.kb} comes off with a restart."}

    def _prove(self, options: dict[str, Any]) -> dict[str, Any]:
        item = self._item(options)
        give_up = self.clock.monotonic() + options["timeout"]
        while True:
            waiting = rollback.waiting_for(item, self._read())
            left = give_up - self.clock.monotonic()
            if not waiting or left <= 0:
                break
            self.say([f"{self._host}: {waiting}"])
            self.clock.sleep(min(LOOK_AGAIN_SECONDS, left))
        if waiting:
            raise StateError(f"{self._host} is not proven to be without {item.kb}: {waiting}.")
        folder = self._folder(options)
        begun = rollback.load(folder)
        begun[options["resource_id"].lower()].finished = to_iso(self.clock.now())
        rollback.save(folder, begun)
        FolderLock(folder, self.owner()).release()
        msg = f"{item.kb} is off, and the guest restarted and came to rest"
        self.say([f"{self._host}: {msg}"])
        return {"changed": True, "msg": msg}

    def _item(self, options: dict[str, Any]) -> rollback.Begun:
        item = rollback.load(self._folder(options)).get(options["resource_id"].lower())
        if item is None:
            raise StateError(f"The state folder {options['state_dir']!r} knows no rollback of {self._host}.")
        return item
