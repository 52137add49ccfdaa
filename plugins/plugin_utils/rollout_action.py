# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the three rollout actions share: plain arguments, the clock, other hosts' registers, errors as one sentence.

Note that this plugin util is private to the collection.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import Clock, ClockError, open_clock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import (
    GuestFacts,
    guest_from_dict,
    unreachable_guest,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import Process
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.journal import JournalError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.lock import LockHeld
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import StateError

display = Display()

REAL_CLOUD = "management.azure.com"
"""Stands for any endpoint that is not named by URL: never loopback, so that an emulated clock is refused with it."""


class RolloutAction(ActionBase):  # type: ignore[misc]
    """An action that only decides and remembers; it always works on the controller and opens no connection."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    SPEC: dict[str, dict[str, Any]] = {}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task: one sentence instead of a traceback for everything a user can mend."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._variables: Mapping[str, Any] = task_vars or {}
        self._task.args = plain(self._task.args)
        options = self.validate_argument_spec(argument_spec=self.SPEC)[1]
        try:
            self.clock = self._open_clock()
            result.update(self.work(options))
        except (InputError, StateError, JournalError, LockHeld, ClockError) as error:
            # Not raised: ansible-core 2.16 would print a traceback's last line above the sentence.
            result.update(failed=True, changed=False, msg=str(error))
        return result

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        """Do the action's part; returns what is added to the result."""
        raise NotImplementedError

    clock: Clock

    @property
    def now(self) -> str:
        """This moment by the collection's clock, as ISO 8601."""
        return to_iso(self.clock.now())

    @property
    def check_mode(self) -> bool:
        return bool(self._task.check_mode)

    @staticmethod
    def owner() -> Process:
        """The ansible-playbook process: actions run in its forked workers."""
        return Process.of(os.getppid())

    def say(self, lines: Iterable[str]) -> None:
        """Print at once; under ansible-runner and AWX each call becomes an event of its own."""
        display.display("\n".join(lines))

    def of_hosts(self, hosts: Iterable[str], variable: str) -> dict[str, Any]:
        """What each host has in *variable*; hosts that do not have it are left out."""
        hostvars = self._variables.get("hostvars", {})
        found = {}
        for host in hosts:
            if host in hostvars and variable in hostvars[host]:
                found[host] = plain(hostvars[host][variable])
        return found

    def variables_of(self, hosts: Iterable[str], names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """What each host has of these variables; a host's own are looked up once, which is what takes the time."""
        hostvars = self._variables.get("hostvars", {})
        wanted = tuple(names)
        found: dict[str, dict[str, Any]] = {}
        for host in hosts:
            own = hostvars[host] if host in hostvars else {}  # noqa: SIM401 - HostVars has an answer for every name
            found[host] = {name: plain(own[name]) for name in wanted if name in own}
        return found

    def guests_of(self, hosts: Iterable[str], variable: str) -> dict[str, GuestFacts]:
        """The reading that guest_info left in *variable* of each host; one that broke counts as one without answer."""
        wanted = list(hosts)
        found = self.of_hosts(wanted, variable)
        guests = {}
        for host in wanted:
            result = found.get(host) or {}
            if isinstance(result.get("guest"), Mapping):
                guests[host] = guest_from_dict(result["guest"])
            else:
                guests[host] = unreachable_guest(str(result.get("msg") or "it was not asked"), self.clock.now())
        return guests

    def _open_clock(self) -> Clock:
        environ = {**os.environ, **self._task_environment()}
        cloud = environ.get("AZURE_CLOUD_ENVIRONMENT", "")
        return open_clock(environ, [cloud if "://" in cloud else REAL_CLOUD])

    def _task_environment(self) -> dict[str, str]:
        """What the keyword ``environment`` gives this task: Ansible hands it to modules only."""
        merged: dict[str, str] = {}
        for item in self._task.environment or []:
            templated = plain(self._templar.template(item))
            if isinstance(templated, dict):
                merged.update({str(key): str(value) for key, value in templated.items()})
        return merged


def plain(value: Any) -> Any:
    """Copy *value* as plain JSON types: since ansible-core 2.19 templating yields tagged and lazy subclasses."""
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, str):
        # A tagged subclass of str (ansible-core 2.19 and newer) becomes a plain one.
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str(value)
