# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays playbooks/rollout.yml in this process, many times faster than ansible-playbook: for hundreds of rollouts.

What is done, and in which order, is read from the playbook and the role's own tasks and defaults; their templates,
conditions, variables and connection options are Ansible's own work, and every task runs its own action plugin. Only
forks, callbacks and strategies are missing, and whatever keyword this does not know is refused. Hooks are not played.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import Any, cast
from unittest.mock import MagicMock

import jinja2
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins import loader as plugin_loader
from ansible.plugins.action import ActionBase
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager
from ansible_runs import COLLECTIONS, ROOT

ROLE = ROOT / "roles" / "rollout"
PLAYBOOK = ROOT / "playbooks" / "rollout.yml"
COLLECTION = "winfleet.hotpatch."
KEYWORDS = {"name", "when", "vars", "register", "run_once", "delegate_to", "ignore_errors"}
PLAY_KEYWORDS = {"name", "hosts", "serial", "gather_facts", "vars", "tasks"}
INCLUDES = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks", "ansible.builtin.import_role")
Variables = dict[str, Any]
BeforeTask = Callable[[str, Mapping[str, Any]], None]


class EndPlay(Exception):
    """`meta: end_play` was reached."""


class Failed(Exception):
    """A task failed whose errors are not ignored; the text is its message."""


def _prepare() -> None:
    """Make Ansible's plugins known to this process. Whoever imports the collection otherwise does so after this."""
    os.environ.setdefault("ANSIBLE_COLLECTIONS_PATH", COLLECTIONS)
    plugin_loader.init_plugin_loader([COLLECTIONS])
    # Half of a played rollout would be Python compiling the same few hundred templates again.
    jinja2.Environment._compile = lambda self, source, filename: _compiled(source, filename)  # type: ignore


@functools.cache
def _compiled(source: str, filename: str) -> CodeType:
    return compile(source, filename, "exec")


_prepare()


class InProcess:
    """One rollout over an inventory file, with the variables that a user would give.

    :param host_variables: what the inventory says of single hosts besides.
    :param before_task: told the module's name and arguments before each task of the collection.
    """

    def __init__(
        self,
        inventory: Path,
        variables: Mapping[str, Any],
        host_variables: Mapping[str, Mapping[str, Any]] | None = None,
        before_task: BeforeTask | None = None,
    ) -> None:
        self._loader = DataLoader()
        self._inventory = InventoryManager(loader=self._loader, sources=[str(inventory)])
        for host, own in (host_variables or {}).items():
            for name, value in own.items():
                self._inventory.get_host(host).set_variable(name, value)
        self._manager = VariableManager(loader=self._loader, inventory=self._inventory)
        self._manager._hostvars = HostVars(self._inventory, self._manager, self._loader)
        self._manager.extra_vars.update(variables)
        defaults = self._read(ROLE / "defaults" / "main.yml")
        # Templated once: no host of these fleets has a hotpatch_* variable that a default of the role reads.
        self._defaults = Templar(loader=self._loader, variables={**defaults, **variables}).template(defaults)
        self._files: dict[str, list[Any]] = {}
        self._before_task = before_task or (lambda name, arguments: None)
        self.played: list[str] = []

    def run(self) -> str:
        """Play it to its end; the message of what failed it, empty where nothing did."""
        registered: Variables = {}
        for play in self._read(PLAYBOOK):
            unknown = set(play) - PLAY_KEYWORDS
            if unknown:
                raise NotImplementedError(f"play keyword {sorted(unknown)}")
            try:
                self._play(play, registered)
            except EndPlay:
                continue
            except Failed as failed:
                return str(failed)
        return ""

    def _play(self, play: Mapping[str, Any], registered: Variables) -> None:
        """Batches of hosts, one after the other; what a batch registers the next ones do not see, as in Ansible."""
        # In the real thing the plan reaches the waves by the hostvars of whoever registered it.
        waves = {**play.get("vars", {}), **({"hotpatch_plan_made": registered["rollout_plan"]} if registered else {})}
        templar = Templar(loader=self._loader, variables={"ansible_play_hosts": [], **waves})
        hosts = templar.template(play["hosts"]) if "serial" in play else [host.name for host in self._hosts()]
        sizes = list(templar.template(play["serial"])) if "serial" in play else [len(hosts)]
        ansible_play = Play.load({"hosts": "all", "gather_facts": False}, self._manager, self._loader)
        for batch in batches(list(hosts), sizes):
            # Whatever the plan play registered is on every host; a wave's registers are on its own hosts only.
            own = registered if "serial" not in play else dict(registered)
            _Batch(self, ansible_play, batch, list(hosts), waves, own).tasks(play["tasks"])

    def _hosts(self) -> list[Any]:
        return list(self._inventory.get_hosts("all"))

    def _read(self, path: Path) -> Any:
        return self._loader.load_from_file(str(path), trusted_as_template=True)

    def tasks_of(self, name: str) -> list[Any]:
        """The tasks of one file of the role."""
        if name not in self._files:
            self._files[name] = self._read(ROLE / "tasks" / name)
        return self._files[name]


def batches(hosts: Sequence[str], sizes: Sequence[int]) -> Iterator[list[str]]:
    """The hosts cut by `serial`: the last size repeats."""
    start, number = 0, 0
    while start < len(hosts):
        size = int(sizes[min(number, len(sizes) - 1)])
        yield list(hosts[start : start + size])
        start, number = start + size, number + 1


def _meta(what: str) -> None:
    if what == "end_play":
        raise EndPlay(what)
    if what != "noop":
        raise NotImplementedError(f"meta: {what}")


class _Batch:
    """The tasks of a play over one batch of hosts; every task is played once, for the batch's first host."""

    def __init__(
        self,
        play: InProcess,
        ansible_play: Play,
        batch: list[str],
        everybody: list[str],
        variables: Mapping[str, Any],
        registered: Variables,
    ) -> None:
        self._play = play
        self._ansible_play = ansible_play
        self._registered = registered
        host = play._inventory.get_host(batch[0])
        known = play._manager.get_vars(play=ansible_play, host=host, _hosts=everybody, _hosts_all=everybody)
        self._variables = {
            **play._defaults,
            **variables,
            **known,
            "ansible_play_batch": batch,
            "ansible_play_hosts": batch,
            "ansible_play_hosts_all": everybody,
            "ansible_check_mode": False,
        }

    def tasks(self, tasks: Sequence[Mapping[str, Any]], extra: Mapping[str, Any] | None = None) -> None:
        for task in tasks:
            self._task(task, dict(extra or {}))

    def _task(self, task: Mapping[str, Any], extra: Variables) -> None:
        [name] = [key for key in task if "." in key] or [""]
        unknown = set(task) - KEYWORDS - {name}
        if unknown or not name:
            raise NotImplementedError(f"task keyword {sorted(unknown)} of {task.get('name')}")
        own = {**extra, **task.get("vars", {})}
        templar = Templar(loader=self._play._loader, variables={**self._variables, **own, **self._registered})
        conditions = task.get("when", [])
        for condition in conditions if isinstance(conditions, list) else [conditions]:
            if not templar.evaluate_conditional(condition):
                if "register" in task:
                    self._registered[task["register"]] = {"changed": False, "skipped": True}
                return
        if name in INCLUDES:
            given = task[name]
            file = templar.template(given) if isinstance(given, str) else f"{given['tasks_from']}.yml"
            self.tasks(self._play.tasks_of(file), own)
        elif name == "ansible.builtin.meta":
            _meta(task[name])
        elif name == "ansible.builtin.assert":
            if not templar.evaluate_conditional(task[name]["that"]):
                raise Failed(templar.template(task[name]["fail_msg"]))
        elif name.startswith(COLLECTION):
            self._act(task, name, templar, own)
        elif name != "ansible.builtin.set_stats":
            raise NotImplementedError(f"the module {name}")

    def _act(self, task: Mapping[str, Any], name: str, templar: Templar, own: Variables) -> None:
        arguments = cast(Variables, templar.template(task[name]))
        self._play._before_task(name.removeprefix(COLLECTION), arguments)
        self._play.played.append(str(task["name"]))
        result = self._run(name, arguments, templar, task)
        result.setdefault("changed", False)
        result.setdefault("failed", False)
        if "register" in task:
            self._registered[task["register"]] = result
        if result["failed"] and not task.get("ignore_errors"):
            raise Failed(result.get("msg") or name)

    def _run(self, name: str, arguments: Variables, templar: Templar, task: Mapping[str, Any]) -> Variables:
        block = Block(play=self._ansible_play)
        real = Task.load(
            {"name": str(task["name"]), name: {}}, block, None, None, self._play._manager, self._play._loader
        )
        real.args, real.check_mode, real.diff = arguments, False, False
        # The controller is this process itself: no worker is forked from it.
        connection = MagicMock(transport="local", become=None)
        connection._shell = MagicMock(_IS_WINDOWS=False)
        kind = plugin_loader.action_loader.get(name, class_only=True)
        action: ActionBase = kind(real, connection, PlayContext(), self._play._loader, templar, plugin_loader)
        action._load_name = name
        return dict(action.run(task_vars=templar.available_variables))
