# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks a Windows guest about itself over WS-Management, from the control node, without PowerShell."""

from __future__ import annotations

import os
from typing import Any

from ansible.plugins.action import ActionBase

# pywinrm comes along with these, guarded: imported here, once in the parent process, the forked workers inherit it.
from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import Clock, ClockError, open_clock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.argspec import GUEST_INFO
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.connection import (
    Deadline,
    WinrmSender,
    read_options,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import Unreachable
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.probe import probe


class ActionModule(ActionBase):
    """Reads one guest. Whatever the guest or the network does ends in a result, never in a failed host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return changed, reachable, why and guest."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        options = self.validate_argument_spec(argument_spec=GUEST_INFO)[1]
        timeout = int(options["timeout"])
        try:
            if timeout < 1:
                raise InputError("timeout", timeout, "a number of seconds of at least 1")
            guest = self._read(str(options["subset"]), timeout)
        except (InputError, ClockError) as error:
            # Returned, not raised: older Ansible announces a traceback with every raised failure.
            result.update(failed=True, msg=str(error))
            return result
        result.update(changed=False, reachable=guest.reachable, why=guest.why, guest=guest.to_dict())
        return result

    def _read(self, subset: str, timeout: int) -> GuestFacts:
        kind = str(self._connection.transport)
        if kind != "winrm":
            return unreachable_guest(
                f"the host's ansible_connection is {kind}, and the guest can be asked over winrm only; set "
                "ansible_connection to winrm, or leave the host without guest proof (hotpatch_proof: azure)",
                self._clock([]).now(),
            )
        deadline = Deadline(timeout)
        try:
            options = read_options(self._connection.get_option)
        except Unreachable as error:
            return unreachable_guest(error.why, self._clock([]).now())
        clock = self._clock([options.endpoint])
        sender = WinrmSender(options, deadline)
        try:
            return probe(sender, clock, subset, options.redact)
        finally:
            sender.close()

    def _clock(self, endpoints: list[str]) -> Clock:
        environ = dict(os.environ)
        # Ansible hands the task's environment to modules only. It has been templated by now.
        for item in self._task.environment or []:
            if isinstance(item, dict):
                environ.update({str(name): str(value) for name, value in item.items()})
        return open_clock(environ, endpoints)
