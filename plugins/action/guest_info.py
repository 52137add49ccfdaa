# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks a Windows guest about itself over WS-Management, from the control node, without PowerShell."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

# pywinrm comes along with these, guarded: imported here, once in the parent process, the forked workers inherit it.
from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import ClockError, open_clock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.argspec import GUEST_INFO
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import Unreachable
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.reading import (
    end_reading,
    options_for,
    read_guest,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.subsets import resolve
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.guest_reader import environment_of, read_guests
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import plain


class ActionModule(ActionBase):
    """Reads one guest, or many from one task. What a guest or the network does is a result, never a failed host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return changed and reachable, why and guest; with option hosts guests and unreachable_hosts instead."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task.args = plain(self._task.args)
        options = self.validate_argument_spec(argument_spec=GUEST_INFO)[1]
        try:
            for name, wanted in (("timeout", "a number of seconds"), ("parallel", "a number of guests")):
                if int(options[name]) < 1:
                    raise InputError(name, options[name], f"{wanted} of at least 1")
            subset = ",".join(resolve(options["gather_subset"]))
            if options["hosts"] is None:
                guest = self._read(subset, int(options["timeout"]))
                result.update(reachable=guest.reachable, why=guest.why, guest=guest.to_dict())
            else:
                result.update(self._read_many(options, subset, task_vars or {}))
        except (InputError, ClockError) as error:
            # Returned, not raised: older Ansible announces a traceback with every raised failure.
            result.update(failed=True, msg=str(error))
            return result
        result.update(changed=False)
        return result

    def _read(self, subset: str, timeout: int) -> GuestFacts:
        environ = environment_of(self)
        try:
            options = options_for(str(self._connection.transport), self._connection.get_option)
        except Unreachable as error:
            return unreachable_guest(error.why, open_clock(environ, []).now())
        try:
            return read_guest(options, open_clock(environ, [options.endpoint]), subset, timeout)
        finally:
            end_reading()

    def _read_many(self, options: dict[str, Any], subset: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        guests = read_guests(options["hosts"], task_vars, subset, options["timeout"], options["parallel"], action=self)
        return {
            "guests": {host: guest.to_short_dict() for host, guest in guests.items()},
            "unreachable_hosts": {host: guest.why for host, guest in guests.items() if not guest.reachable},
        }
