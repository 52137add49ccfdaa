# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings a Windows guest to hotpatch readiness over WS-Management, from the control node, without PowerShell."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import ClockError, open_clock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.argspec import GUEST_PREREQUISITES
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import Unreachable
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.preparing import Wishes, prepare_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.reading import end_reading, options_for
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.guest_reader import environment_of
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import plain


class ActionModule(ActionBase):
    """Writes what is missing and restarts where it was told to; a guest that cannot be asked fails its host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was changed, whether a restart is needed or was made, and the guest as it is now."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task.args = plain(self._task.args)
        options = self.validate_argument_spec(argument_spec=GUEST_PREREQUISITES)[1]
        try:
            for name in ("timeout", "restart_timeout"):
                if int(options[name]) < 1:
                    raise InputError(name, options[name], "a number of seconds of at least 1")
            result.update(self._prepare(options))
        except (InputError, ClockError) as error:
            # Returned, not raised: older Ansible announces a traceback with every raised failure.
            result.update(failed=True, changed=False, msg=str(error))
        except Unreachable as error:
            result.update(failed=True, changed=False, msg=f"Nothing was changed: {error.why}.")
        return result

    def _prepare(self, options: dict[str, Any]) -> dict[str, Any]:
        guest = options_for(str(self._connection.transport), self._connection.get_option)
        clock = open_clock(environment_of(self), [guest.endpoint])
        wishes = Wishes(
            iso_enrolment=bool(options["iso_enrolment"]),
            restart=bool(options["restart"]),
            restart_timeout=int(options["restart_timeout"]),
            timeout=int(options["timeout"]),
            vm_id=options["vm_id"] or None,
            check_mode=bool(self._task.check_mode),
        )
        try:
            return prepare_guest(guest, clock, wishes)
        finally:
            end_reading()
