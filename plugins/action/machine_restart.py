# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of C(machine_restart): the module's own code in the controller's process, with live progress."""

from __future__ import annotations

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import restart
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import machine_restart_spec
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.fleet_action import FleetAction


class ActionModule(FleetAction):
    """C(winfleet.hotpatch.machine_restart)."""

    SPEC = staticmethod(machine_restart_spec)
    RUN = staticmethod(restart.run)
