# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of C(fleet_status): asks the guests of the hosts, lets the module's code judge, and prints the table."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import status
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import fleet_status_spec
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.fleet_action import (
    GRAPH_LIBRARIES,
    FleetAction,
    display,
)
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.guest_reader import read_guests
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import plain

STOPPED = ("stopped", "deallocated")


class ActionModule(FleetAction):
    """C(winfleet.hotpatch.fleet_status)."""

    SPEC = staticmethod(fleet_status_spec)
    RUN = staticmethod(status.run)
    LIBRARIES = GRAPH_LIBRARIES

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        args = self._task.args = plain(self._task.args)
        if boolean(args.get("ask_guests") or False, strict=False) and isinstance(args.get("hosts"), dict):
            args["guests"] = self._guests(args, task_vars or {})
        result = super().run(tmp, task_vars)
        if result.get("table"):
            display.display("\n".join(result["table"]))
        return result

    def _guests(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the guests say, by ARM ID; a host that its inventory calls stopped is not waited for."""
        hostvars = task_vars.get("hostvars", {})
        wanted = {host: str(machine) for host, machine in args["hosts"].items() if host in hostvars}
        running = [host for host in wanted if str(hostvars[host].get("powerstate")).lower() not in STOPPED]
        found = read_guests(
            running,
            task_vars,
            "core",
            float(args.get("guests_timeout") or 600),
            int(args.get("guests_parallel") or 32),
            action=self,
        )
        return {wanted[host]: guest.to_dict() for host, guest in found.items()}
