# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action of C(enrollment): the module's own code in the controller's process, with live progress."""

from __future__ import annotations

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import enroll
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import enrollment_spec
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.fleet_action import FleetAction


class ActionModule(FleetAction):
    """C(winfleet.hotpatch.enrollment)."""

    SPEC = staticmethod(enrollment_spec)
    RUN = staticmethod(enroll.run)
