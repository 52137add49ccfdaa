# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plan a rollout: find the machines the hosts mean, give them rings and waves, say what comes of it, take the lock."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain import server_role
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.durations import check_maximum_duration
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.locations import regions_from_entries
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import Calendar
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import (
    rollout_catch_up,
    rollout_forecast,
    rollout_hooks,
    rollout_hosts,
    rollout_plan,
    rollout_plan_file,
    rollout_plan_text,
    rollout_restart,
    rollout_state,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import CALENDAR
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.calendar import load_calendar
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.lock import FolderLock, private_folder
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_PLAN
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_rings import Knowledge
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Rollout
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.guest_reader import read_guests
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import RolloutAction

MOST_PASSED_ON = 200_000
"""Characters of a plan that are still handed on as a statistic: AWX keeps it with the job, and cuts at 700 kB."""


class ActionModule(RolloutAction):
    """C(winfleet.hotpatch.rollout_plan)."""

    SPEC = ROLLOUT_PLAN

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return self._targets(options) if options["phase"] == "targets" else self._plan(options)

    def _targets(self, options: dict[str, Any]) -> dict[str, Any]:
        ids = rollout_hosts.find_targets(self.variables_of(options["hosts"], (rollout_hosts.ID_OPTION, "id")))
        if options["catch_up"]:
            ids = rollout_catch_up.only(ids, rollout_state.load(options["state_dir"]))
        subscriptions = sorted({value.split("/")[2].lower() for value in ids.values()})
        return {"changed": False, "ids": ids, "subscriptions": subscriptions, "msg": f"{len(ids)} machines."}

    def _plan(self, options: dict[str, Any]) -> dict[str, Any]:
        loaded = load_calendar(options)
        wishes = self._wishes(options, loaded.calendar)
        pace = rollout_plan_text.Pace(wishes.needed, timedelta(minutes=options["expected_minutes"]))
        machines = rollout_plan.machines_by_key(options["machines"])
        known = self._knowledge(options)
        writes = not (self.check_mode or options["print_only"])
        if writes:
            folder = private_folder(rollout_state.ensure_state_dir(options["state_dir"]))
            FolderLock(folder, self.owner()).acquire()
        now = self.clock.now()
        previous = rollout_state.load(options["state_dir"])
        ids = rollout_catch_up.only(options["ids"], previous) if options["catch_up"] else options["ids"]
        rollout = rollout_plan.make_plan(ids, machines, wishes, now, previous, known)
        if options["catch_up"] and previous is not None:
            rollout_catch_up.take_over(rollout, previous)
        seen = rollout_forecast.forecast(rollout, machines, now, wishes.needed, pace.expected)
        every_machine = options["details"] == "all"
        self.say(["", *rollout_plan_text.plan_lines(rollout, seen, known, pace, every_machine)])
        waves = rollout_plan.open_waves(rollout)
        document = rollout_plan_file.plan_document(rollout, machines)
        machine_hooks = writes and rollout_hooks.on_machines(rollout, options["hooks"])
        if writes:
            rollout_restart.require_word(rollout)
            rollout_forecast.check_confirmation(sum(map(len, waves)), options["confirm_above"], options["confirm"])
            if previous is not None and previous.rollout_id != rollout.rollout_id:
                rollout_state.archive(options["state_dir"], previous)
            rollout_state.save(options["state_dir"], rollout, self.now)
        result = self._result(options, rollout, waves, writes)
        result["machine_hooks"] = machine_hooks
        # The waves go by the same calendar as the plan.
        result["calendar_options"] = {name: options[name] for name in CALENDAR if options.get(name)}
        if loaded.conflicts:
            result["warnings"] = loaded.warnings
        return {**result, "exposed": list(seen.exposed), **self._carried(options, document)}

    def _wishes(self, options: dict[str, Any], calendar: Calendar) -> rollout_plan.Wishes:
        given = rollout_restart.check_restart(options["restart"], options["restart_timeout"], options["proof"])
        return rollout_plan.Wishes(
            wave_sizes=options["wave_sizes"],
            error_budget=options["error_budget"],
            kb_numbers=options["kb_numbers"],
            overrides=options["preflight_overrides"],
            retry=options["retry"],
            calendar=calendar,
            rings=options["rings"],
            wave_error_budget=options["wave_error_budget"],
            soak=options["soak"],
            blackout_dates=options["blackout_dates"],
            spread=options["spread"],
            blocked_kbs=options["blocked_kbs"],
            needed=check_maximum_duration("hotpatch_maximum_duration", options["maximum_duration"])
            + timedelta(seconds=options["guest_timeout"] + given),
            restart_timeout=given,
            follow=self._followed(options),
        )

    @staticmethod
    def _followed(options: dict[str, Any]) -> rollout_plan_file.PlanFile | None:
        """The plan to follow: the one handed over, else the file's."""
        if not options["follow"]:
            return None
        if options["plan"]:
            return rollout_plan_file.parse_plan(options["plan"])
        if not options["plan_file"]:
            raise InputError(
                rollout_plan_file.FOLLOW_OPTION,
                True,
                "false where there is no plan to follow",
                "set hotpatch_plan_file or hotpatch_plan",
            )
        return rollout_plan_file.read_plan(options["plan_file"])

    def _knowledge(self, options: dict[str, Any]) -> Knowledge:
        hosts = list(options["ids"])
        groups = {str(name): list(members) for name, members in self._variables.get("groups", {}).items()}
        inventory = rollout_hosts.read_inventory(self.variables_of(hosts, rollout_hosts.HOST_VARIABLES), groups)
        guests = None
        if options["ask_guests"]:
            guests = read_guests(hosts, self._variables, server_role.SUBSET, options["ask_timeout"], action=self)
        return Knowledge(inventory, guests, regions_from_entries(options["locations"]), options["service_tag"] or "")

    def _carried(self, options: dict[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
        """The plan as it can be carried: written where only a plan was asked for, handed on where it is small enough.

        A rollout does not write over the file: it may hold the plan that somebody looked at.
        """
        found: dict[str, Any] = {"digest": document["digest"], "plan": {}}
        drawn = options["print_only"] and not options["follow"] and not self.check_mode
        if options["plan_file"] and drawn:
            found["plan_file"] = rollout_plan_file.write_plan(options["plan_file"], document)
        if len(json.dumps(document)) <= MOST_PASSED_ON:
            found["plan"] = dict(document)
        return found

    def _result(
        self, options: dict[str, Any], rollout: Rollout, waves: list[list[str]], writes: bool
    ) -> dict[str, Any]:
        result = {
            "changed": False,
            "rollout_id": rollout.rollout_id,
            "resumed": rollout.resumed > 0,
            "hosts": [host for wave in waves for host in wave],
            # Ansible wants a size even where there is nobody to take.
            "wave_sizes": [len(wave) for wave in waves] or [1],
            "ids": options["ids"],
            "state_dir": str(Path(options["state_dir"]).expanduser()),
            "msg": f"{len(rollout.scope)} machines, {sum(map(len, waves))} of them in {len(waves)} waves.",
        }
        if not writes:
            # Without a state on disk the plan itself is what the waves of check mode go by.
            result["draft"] = rollout.to_dict()
        return result
