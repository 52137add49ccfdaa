# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print for single machines the whole chain of reasons of their verdict, from the state folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import COUNTS_AGAINST_BUDGET
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_state, rollout_why
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_events import read_events
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_WHY
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_report import printable
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import StateError
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import RolloutAction


class ActionModule(RolloutAction):
    """C(winfleet.hotpatch.rollout_why)."""

    SPEC = ROLLOUT_WHY

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        rollout = rollout_state.load_named(options["state_dir"], options["rollout_id"])
        if rollout is None:
            wanted = f"rollout {options['rollout_id']}" if options["rollout_id"] else "rollout"
            raise StateError(
                f"The state folder hotpatch_state_dir={options['state_dir']!r} holds no {wanted}; "
                "name the folder of one, or run winfleet.hotpatch.rollout first."
            )
        events = read_events(Path(options["state_dir"]).expanduser())
        found = []
        for host in options["hosts"]:
            record = rollout_why.find(rollout, host)
            chain = rollout_why.why(rollout, record, events, COUNTS_AGAINST_BUDGET)
            width = max(len(line.step) for line in chain)
            self.say(["", f"{printable(record.host)} ({printable(record.id)})"])
            self.say(f"  {line.step.ljust(width)}  {printable(line.text)}" for line in chain)
            steps = [{"step": line.step, "text": line.text} for line in chain]
            found.append({"host": record.host, "id": record.id, "verdict": record.verdict, "chain": steps})
        return {"changed": False, "rollout_id": rollout.rollout_id, "machines": found, "msg": f"{len(found)} machines."}
