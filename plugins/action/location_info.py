# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of C(location_info): the module's own code in the controller's process."""

from __future__ import annotations

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import locations
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import location_info_spec
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.fleet_action import FleetAction


class ActionModule(FleetAction):
    """C(winfleet.hotpatch.location_info)."""

    SPEC = staticmethod(location_info_spec)
    RUN = staticmethod(locations.run)
