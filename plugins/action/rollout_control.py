# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of C(rollout_control): the module's own code in the controller's process, with live progress."""

from __future__ import annotations

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_control
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import rollout_control_spec
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.fleet_action import FleetAction


class ActionModule(FleetAction):
    """C(winfleet.hotpatch.rollout_control)."""

    SPEC = staticmethod(rollout_control_spec)
    RUN = staticmethod(rollout_control.run)
