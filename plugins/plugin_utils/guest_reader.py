# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads many Windows guests from one task, each over its own host's connection variables.

Note that this plugin util is private to the collection.

The variables are worked out as for a delegated task (``VariableManager.get_vars`` with play, host and task), so that
whatever makes ``guest_info`` reach a host in its own task makes this reach it: inventory and group variables, play and
extra variables, vaulted ones, AWX's machine credential. They are templated one host after the other in the task's own
thread, since Ansible's templating is not made for several; only the network is asked from threads.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ansible import constants, errors
from ansible.playbook.play_context import PlayContext
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import connection_loader

from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import open_clock, require_loopback
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import Unreachable, printable
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.reading import (
    GuestOptions,
    Target,
    end_reading,
    options_for,
    read_many,
)

PARALLEL = 32
"""How many guests are read beside each other, unless the caller says otherwise."""

Template = Callable[[Any], Any]

# Raised since ansible-core 2.19 for a value that templates to omit.
_OMITTED: tuple[type[Exception], ...] = tuple(
    getattr(errors, name) for name in ("AnsibleValueOmittedError",) if hasattr(errors, name)
)
_OMIT = object()


def read_guests(
    hosts: Sequence[str],
    task_vars: Mapping[str, Any],
    subsets: str | Sequence[str],
    deadline_seconds: float,
    parallel: int = PARALLEL,
    *,
    action: ActionBase | None = None,
) -> dict[str, GuestFacts]:
    """Read the guests of inventory *hosts* beside each other, and return one reading for each, in the given order.

    :param task_vars: the action's own; its ``hostvars`` are used where *action* is not given.
    :param subsets: what to read, as option ``gather_subset`` of ``guest_info``.
    :param deadline_seconds: real seconds after which the reading ends, whatever the guests do. A guest that hangs takes
        no more than its share of them.
    :param parallel: guests asked at the same time.
    :param action: the action that reads. With it the variables of play and task count, too, as they do for a task of
        the host; without it those of inventory, facts and extra variables only.
    :return: a guest that did not answer, and a host whose variables cannot be used, have ``reachable`` false and
        ``why``; no secret of a host is in any text.
    :raises ClockError: an emulator's clock is followed and a guest is not at a loopback address.
    """
    environ = environment_of(action)
    clock = open_clock(environ, [])
    chosen = list(dict.fromkeys(str(host) for host in hosts))
    resolver = _Resolver(task_vars, action)

    def targets() -> Iterator[Target]:
        for host in chosen:
            try:
                options = resolver.options_of(host)
            except Unreachable as error:
                yield Target(host, None, error.why)
            else:
                require_loopback(environ, [options.endpoint])
                yield Target(host, options)

    subset = subsets if isinstance(subsets, str) else ",".join(subsets)
    try:
        return read_many(targets(), len(chosen), clock, subset, deadline_seconds, max(1, parallel))
    finally:
        end_reading()


def environment_of(action: ActionBase | None) -> dict[str, str]:
    """Return the process's environment with the task's on top; Ansible hands the latter to modules only."""
    environ = dict(os.environ)
    # It has been templated by now.
    for item in (action._task.environment or []) if action is not None else []:
        if isinstance(item, dict):
            environ.update({str(name): str(value) for name, value in item.items()})
    return environ


class _Resolver:
    """Works out the connection options of other hosts than the task's."""

    def __init__(self, task_vars: Mapping[str, Any], action: ActionBase | None) -> None:
        self._task_vars = task_vars
        self._action = action
        self._context = action._play_context if action is not None else PlayContext()
        self._keywords: dict[str, Any] = {}
        if action is not None:
            # As TaskExecutor hands them to the connection plugin of the task's own host.
            self._keywords = dict(action._task.dump_attrs(), timeout=self._context.timeout)
            self._keywords.pop("retries", None)
            if self._context.password:
                self._keywords["password"] = self._context.password
        self._plugins: dict[str, Any] = {}

    def options_of(self, host: str) -> GuestOptions:
        """Return how to reach the host; raises Unreachable with the reason, free of secrets."""
        variables, template = self._variables_of(host)
        kind = self._kind(variables, template)
        if kind not in ("winrm", "psrp"):
            return options_for(kind, lambda dummy: None)
        plugin = self._plugin(kind)
        given = _connection_variables(kind, variables, template)
        try:
            plugin.set_options(task_keys=self._keywords, var_options=given)
            return options_for(kind, plugin.get_option)
        except errors.AnsibleError as error:
            raise Unreachable(f"the host's connection variables cannot be used: {_text(error)}") from None

    def _variables_of(self, host: str) -> tuple[Mapping[str, Any], Template]:
        if self._action is None:
            hostvars = self._task_vars.get("hostvars", {})
            if host not in hostvars:
                raise Unreachable(_unknown(host))
            own = hostvars[host]
            # They are templated when they are looked up.
            return own, lambda name: own[name]
        task = self._action._task
        manager = task.get_variable_manager()
        known = manager._inventory.get_host(host)
        if known is None:
            raise Unreachable(_unknown(host))
        found = manager.get_vars(
            play=task.get_play(),
            host=known,
            task=task,
            _hosts=self._task_vars.get("ansible_play_hosts"),
            _hosts_all=self._task_vars.get("ansible_play_hosts_all"),
        )
        templar = self._action._templar.copy_with_new_env(available_variables=found)
        return found, lambda name: templar.template(found[name])

    def _kind(self, variables: Mapping[str, Any], template: Template) -> str:
        default = constants.DEFAULT_TRANSPORT if self._action is None else self._action._task.connection
        given = _templated("ansible_connection", template) if "ansible_connection" in variables else _OMIT
        kind = str(default if given is _OMIT else given)
        for prefix in ("ansible.builtin.", "ansible.legacy."):
            kind = kind.removeprefix(prefix)
        return kind

    def _plugin(self, kind: str) -> Any:
        if kind not in self._plugins:
            plugin = connection_loader.get(kind, self._context, new_stdin=None)
            if plugin is None:
                raise Unreachable(f"the connection plugin {kind} of ansible-core cannot be loaded")
            self._plugins[kind] = plugin
        return self._plugins[kind]


def _connection_variables(kind: str, variables: Mapping[str, Any], template: Template) -> dict[str, Any]:
    """The variables that the connection plugin knows, and all of its prefix, as TaskExecutor picks them."""
    given: dict[str, Any] = {"_extras": {}}
    known = set(constants.config.get_plugin_vars("connection", kind))
    prefix = f"ansible_{kind}_"
    for name in variables:
        if name in known or str(name).startswith(prefix):
            value = _templated(name, template)
            if value is not _OMIT:
                (given if name in known else given["_extras"])[str(name)] = value
    return given


def _templated(name: str, template: Template) -> Any:
    try:
        return template(name)
    except Exception as error:
        if isinstance(error, _OMITTED):
            return _OMIT
        # The rest of the text may quote the template, which for a password may hold the secret itself.
        undefined = re.search(r"'[\w.\[\]]{1,80}' is undefined", str(error))
        reason = undefined[0] if undefined else type(error).__name__
        raise Unreachable(f"the host's variable {name} cannot be templated ({reason})") from None


def _unknown(host: str) -> str:
    return f"the host {printable(host, 80)} is not in the inventory"


def _text(error: Exception) -> str:
    return printable(str(error), 200)
