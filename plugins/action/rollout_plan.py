# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plan a rollout: find the machines the hosts mean, then cut them into waves and take the lock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_plan, rollout_report, rollout_state
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import CALENDAR
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.calendar import load_calendar
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.lock import FolderLock, private_folder
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_PLAN
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Rollout
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import RolloutAction


class ActionModule(RolloutAction):
    """C(winfleet.hotpatch.rollout_plan)."""

    SPEC = ROLLOUT_PLAN

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        return self._targets(options) if options["phase"] == "targets" else self._plan(options)

    def _targets(self, options: dict[str, Any]) -> dict[str, Any]:
        own = self.of_hosts(options["hosts"], rollout_plan.ID_OPTION)
        others = self.of_hosts([host for host in options["hosts"] if not own.get(host)], "id")
        names = {rollout_plan.ID_OPTION: own, "id": others}
        variables = {host: {name: found.get(host) for name, found in names.items()} for host in options["hosts"]}
        ids = rollout_plan.find_targets(variables)
        return {"changed": False, "ids": ids, "msg": f"{len(ids)} machines."}

    def _plan(self, options: dict[str, Any]) -> dict[str, Any]:
        loaded = load_calendar(options)
        wishes = rollout_plan.Wishes(
            wave_sizes=options["wave_sizes"],
            error_budget=options["error_budget"],
            kb_numbers=options["kb_numbers"],
            overrides=options["preflight_overrides"],
            retry=options["retry"],
            calendar=loaded.calendar,
        )
        machines = rollout_plan.machines_by_key(options["machines"])
        writes = not (self.check_mode or options["print_only"])
        if writes:
            folder = private_folder(rollout_state.ensure_state_dir(options["state_dir"]))
            FolderLock(folder, self.owner()).acquire()
        previous = rollout_state.load(options["state_dir"])
        rollout = rollout_plan.make_plan(options["ids"], machines, wishes, self.clock.now(), previous)
        if writes:
            if previous is not None and previous.rollout_id != rollout.rollout_id:
                rollout_state.archive(options["state_dir"], previous)
            rollout_state.save(options["state_dir"], rollout, self.now)
        waves = rollout_plan.open_waves(rollout)
        self._print(rollout, waves)
        # The waves go by the same calendar as the plan.
        used = {name: options[name] for name in CALENDAR if options.get(name)}
        result = self._result(options, rollout, waves, writes)
        return {**result, "calendar_options": used, **({"warnings": loaded.warnings} if loaded.conflicts else {})}

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

    def _print(self, rollout: Rollout, waves: list[list[str]]) -> None:
        rows = rollout_plan.describe_plan(rollout)
        table = rollout_report.columns(
            ("MACHINE", "WAVE", "PLAN", "REASON"), [tuple(map(rollout_report.printable, row)) for row in rows]
        )
        taken_up = f", taken up again ({rollout.resumed})" if rollout.resumed else ""
        sizes = ", ".join(str(len(wave)) for wave in waves) or "none"
        head = f"Plan of rollout {rollout.rollout_id}{taken_up}: waves of {sizes}; error budget {rollout.budget}"
        self.say(["", head, "", *table, ""])
