# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet's actions: here or as a module, with the task's environment, and with no secret in sight."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

pytest.importorskip("ansible.plugins.action")
from ansible.errors import AnsibleActionFail

from ansible_collections.winfleet.hotpatch.plugins.action import (
    enrollment,
    machine_info,
    machine_restart,
    patch_assessment,
    patch_installation,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import CONTROLLER_VARIABLE, Process
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils import fleet_action

RID = (
    "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/fleet"
    "/providers/Microsoft.Compute/virtualMachines/web1"
)
SECRET = "Sw0rdf1sh-canary"


class Templar:
    """Templates nothing; Ansible's own is tested by Ansible."""

    def template(self, value: Any, *more: Any, **options: Any) -> Any:
        return value


def action(
    module: Any = machine_info,
    arguments: dict[str, Any] | None = None,
    transport: str = "local",
    become: Any = None,
    environment: list[dict[str, str]] | None = None,
    async_val: int = 0,
    check_mode: bool = False,
) -> Any:
    connection = MagicMock()
    connection.transport, connection.become = transport, become
    connection._shell._IS_WINDOWS = False
    connection._shell.env_prefix = lambda **given: ""
    task = SimpleNamespace(
        args={"resource_ids": [RID], **(arguments or {})},
        action=f"winfleet.hotpatch.{module.__name__.rpartition('.')[2]}",
        async_val=async_val,
        check_mode=check_mode,
        diff=False,
        environment=environment or [],
        delegate_to=None,
    )
    made = module.ActionModule(task, connection, MagicMock(), MagicMock(), Templar(), MagicMock())
    # Ansible's loader names what it loaded.
    made._load_name = task.action
    return made


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What reached the shared run, in place of a run."""
    calls: list[dict[str, Any]] = []

    def perform(run: Any, params: Any, environ: Any, emit: Any, **options: Any) -> dict[str, Any]:
        calls.append({"run": run, "params": params, "environ": environ, **options})
        emit(f"read 1/1 done {SECRET}")
        return {"changed": False, "msg": f"said {SECRET}", "machines": [{"reason": SECRET}]}

    monkeypatch.setattr(fleet_action, "perform", perform)
    monkeypatch.setattr(fleet_action, "has_libraries", lambda libraries: True)
    return calls


def run(made: Any) -> dict[str, Any]:
    result: dict[str, Any] = made.run(task_vars={})
    return result


@pytest.mark.parametrize("module", [enrollment, machine_info, machine_restart, patch_assessment, patch_installation])
def test_here_the_modules_own_run_does_the_work(module: Any, seen: list[dict[str, Any]]) -> None:
    run(action(module, check_mode=True))
    (call,) = seen
    assert call["run"] is module.ActionModule.RUN and call["check_mode"] is True
    assert call["params"]["resource_ids"] == [RID] and call["params"]["max_failures"] == "0"


def test_the_tasks_environment_counts_and_ours_stays_as_it_is(seen: list[dict[str, Any]]) -> None:
    before = dict(os.environ)
    run(action(environment=[{"AZURE_TENANT": "from-play"}, {"AZURE_TENANT": "from-task"}]))
    assert seen[0]["environ"]["AZURE_TENANT"] == "from-task"
    assert dict(os.environ) == before


def test_the_controller_is_the_process_that_forked_the_worker(seen: list[dict[str, Any]]) -> None:
    run(action())
    assert seen[0]["environ"][CONTROLLER_VARIABLE] == str(Process.of(os.getppid()))


@pytest.mark.parametrize("where", ["option", "environment"])
def test_secrets_are_scrubbed_from_results_and_lines(
    seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(fleet_action.display, "display", lines.append)
    if where == "option":
        result = run(action(arguments={"secret": SECRET}))
    else:
        result = run(action(environment=[{"AZURE_SECRET": SECRET}]))
    assert SECRET not in repr(result) and SECRET not in repr(lines)
    assert result["msg"].startswith("said ") and lines[0].startswith("read 1/1 done")


@pytest.mark.parametrize("variable", ["IDENTITY_ENDPOINT", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "MSI_ENDPOINT"])
def test_another_managed_identity_of_the_tasks_environment_gets_a_process_of_its_own(
    seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """azure-identity finds its endpoint by os.environ alone, which an action leaves as it is."""
    monkeypatch.delenv(variable, raising=False)
    made = action(environment=[{variable: "http://127.0.0.1:1/token"}])
    given: list[Any] = []
    made._execute_module = lambda **options: given.append(list(made._task.environment)) or {"changed": False}
    run(made)
    assert seen == []
    passed = {name: value for item in given[0] for name, value in item.items()}
    assert passed[variable] == "http://127.0.0.1:1/token"
    assert CONTROLLER_VARIABLE in passed


def test_the_same_managed_identity_as_ours_needs_none(
    seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/token")
    run(action(environment=[{"IDENTITY_ENDPOINT": "http://127.0.0.1:1/token"}]))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("transport", "become", "has_azure"),
    [("ssh", None, True), ("local", object(), True), ("local", None, False)],
)
def test_elsewhere_the_module_does_the_work(
    seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, transport: str, become: Any, has_azure: bool
) -> None:
    monkeypatch.setattr(fleet_action, "has_libraries", lambda libraries: has_azure)
    made = action(transport=transport, become=become, environment=[{"A": "1"}])
    given: list[Any] = []

    def execute(**options: Any) -> dict[str, Any]:
        given.append(list(made._task.environment))
        return {"changed": False}

    made._execute_module = execute
    run(made)
    assert seen == []
    passed = {name: value for item in given[0] for name, value in item.items()}
    # The id of a process means nothing on another host.
    assert passed == (
        {"A": "1"} if transport == "ssh" else {"A": "1", CONTROLLER_VARIABLE: passed[CONTROLLER_VARIABLE]}
    )
    assert made._task.environment == [{"A": "1"}]


@pytest.mark.parametrize("transport", ["winrm", "psrp"])
def test_a_windows_target_is_refused_with_the_way_out(seen: list[dict[str, Any]], transport: str) -> None:
    with pytest.raises(AnsibleActionFail, match="delegate_to: localhost"):
        run(action(transport=transport))
    assert seen == []


def test_async_is_refused_with_the_way_out(seen: list[dict[str, Any]]) -> None:
    with pytest.raises(AnsibleActionFail, match="wait to false"):
        run(action(patch_installation, async_val=60))
    assert seen == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"resource_id": RID, "bogus": 1}, "bogus"), ({"details": "some"}, "details"), ({"name": "web1"}, "exclusive")],
)
def test_options_are_checked_as_the_module_does(
    arguments: dict[str, Any], word: str, seen: list[dict[str, Any]]
) -> None:
    with pytest.raises(AnsibleActionFail, match=word):
        run(action(arguments=arguments))
    assert seen == []


def test_results_are_plain_json_types(seen: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    class Tagged(str):
        """What ansible-core 2.19 and later make of a templated string."""

    monkeypatch.setattr(
        fleet_action, "perform", lambda run, params, *more, **options: {"id": params["resource_ids"][0]}
    )
    result = run(action(arguments={"resource_ids": [Tagged(RID)]}))
    assert result["id"].__class__ is str
