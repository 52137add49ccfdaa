# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the engine: its clock, its guard, a state folder, and a task run against a fake Azure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import argspec, assess, info, install, restart
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.progress import Progress

from .fake_azure import FakeAzure, SwitchGuard, Timeline

Task = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def writes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal's disk is as quick as the fake time: no thread, or time would pass while it writes."""

    def at_once(self: asyncio.BaseEventLoop, executor: Any, work: Callable[..., Any], *arguments: Any) -> Any:
        done = self.create_future()
        try:
            done.set_result(work(*arguments))
        except OSError as error:
            done.set_exception(error)
        return done

    monkeypatch.setattr(asyncio.BaseEventLoop, "run_in_executor", at_once)


@pytest.fixture
def clock() -> Timeline:
    return Timeline()


@pytest.fixture
def guard() -> SwitchGuard:
    return SwitchGuard()


@pytest.fixture
def lines() -> list[str]:
    """The progress lines of the task."""
    return []


@pytest.fixture
def task(clock: Timeline, guard: SwitchGuard, lines: list[str], tmp_path: Path) -> Task:
    """Run one of the tasks below with its argument spec's defaults and the options given."""
    tasks = {
        "info": (info.run, argspec.machine_info_spec),
        "assess": (assess.run, argspec.patch_assessment_spec),
        "install": (install.run, argspec.patch_installation_spec),
        "restart": (restart.run, argspec.machine_restart_spec),
    }

    def run(
        kind: str, azure: FakeAzure, *, check_mode: bool = False, diff: bool = False, **given: Any
    ) -> dict[str, Any]:
        work, spec = tasks[kind]
        params = {name: option.get("default") for name, option in spec().options.items()}
        if not any(given.get(name) for name in ("resource_ids", "name", "resource_group")) and kind != "info":
            params["resource_ids"] = [machine.id for machine in azure.machines.values()]
        if kind != "info":
            params["state_path"] = str(tmp_path / "state")
        params.update(given)
        progress = Progress(clock, lines.append)
        return work(params, clock, progress, {}, guard, check_mode=check_mode, diff=diff, connect=azure.connect)

    return run
