# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs a fleet task in the controller's own process, with live progress, or hands it to the module of its name.

Note that this plugin util is private to the collection.

The Azure libraries are imported, guarded, as soon as an action is loaded: the parent process imports them once and its
forked workers inherit them, where an import inside ``run`` would cost a third of a second of CPU for each task.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.managed_identity import (
    needs_own_process,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import ArgumentSpec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import CONTROLLER_VARIABLE, Process
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import Run, perform, secret_values
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import plain

GRAPH_LIBRARIES = ("aiohttp", "azure.identity.aio")
"""What asking Resource Graph takes."""
LIBRARIES = (*GRAPH_LIBRARIES, "azure.mgmt.compute.aio")


@lru_cache
def has_libraries(libraries: tuple[str, ...]) -> bool:
    """Import the Azure libraries, and say whether they are all there and in order."""
    try:
        for library in libraries:
            importlib.import_module(library)
    except Exception:
        # Whatever a broken library raises would end the whole run here; the module will tell.
        return False
    return True


display = Display()


class FleetAction(ActionBase):  # type: ignore[misc]
    """Base of the fleet's actions; each names its module's argument spec and run."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    SPEC: Callable[[], ArgumentSpec]
    RUN: Run
    LIBRARIES: tuple[str, ...] = LIBRARIES

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        has_libraries(cls.LIBRARIES)

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the task here when the target is this host, otherwise as a module on the target."""
        if self._task.async_val:
            raise AnsibleActionFail(
                f"{self._task.action} does not support the keyword async (value {self._task.async_val}); "
                "set wait to false instead, and join what was started in a later task."
            )
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._is_windows():
            raise AnsibleActionFail(
                f"{self._task.action} talks to Azure and cannot run on a Windows host; "
                "add 'delegate_to: localhost' (and 'run_once: true' for a whole fleet) to the task."
            )
        # The process that forked this worker is ansible-playbook itself.
        controller = str(Process.of(os.getppid()))
        if self._is_here() and has_libraries(self.LIBRARIES) and not needs_own_process(self._environ()):
            result.update(self._in_process(controller))
        else:
            result.update(self._as_module(task_vars, controller))
        return result

    def _is_windows(self) -> bool:
        return str(self._connection.transport) in ("winrm", "psrp") or bool(
            getattr(self._connection._shell, "_IS_WINDOWS", False)
        )

    def _is_here(self) -> bool:
        """Whether the target is this very host and user."""
        return str(self._connection.transport) == "local" and self._connection.become is None

    def _environ(self) -> dict[str, str]:
        return {**os.environ, **self._task_environment()}

    def _in_process(self, controller: str) -> dict[str, Any]:
        spec = type(self).SPEC()
        self._task.args = plain(self._task.args)
        params = plain(self.validate_argument_spec(**spec.to_kwargs())[1])
        environ = {**self._environ(), CONTROLLER_VARIABLE: controller}
        secrets = secret_values(params, environ)

        def emit(line: str) -> None:
            display.display(remove_values(line, secrets))

        result = perform(
            type(self).RUN, params, environ, emit, check_mode=bool(self._task.check_mode), diff=bool(self._task.diff)
        )
        # A module's results are scrubbed by AnsibleModule; here nobody else would.
        cleaned: dict[str, Any] = remove_values(plain(result), secrets)
        return cleaned

    def _task_environment(self) -> dict[str, str]:
        """What the keyword ``environment`` of task, block and play says, templated as a module would get it."""
        found: dict[str, Any] = {}
        self._compute_environment_string(found)
        return {str(name): str(value) for name, value in found.items()}

    def _as_module(self, task_vars: dict[str, Any] | None, controller: str) -> dict[str, Any]:
        before = self._task.environment
        if str(self._connection.transport) == "local":
            # On another host the id would mean another process.
            self._task.environment = [*(before or []), {CONTROLLER_VARIABLE: controller}]
        try:
            result: dict[str, Any] = self._execute_module(task_vars=task_vars)
        finally:
            self._task.environment = before
        return result
