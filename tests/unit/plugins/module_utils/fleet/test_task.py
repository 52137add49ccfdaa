# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user gets wrong becomes one sentence with option, value and what is allowed, before anything is asked."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import argspec, assess, info, install
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.context import drive, state_folder
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import perform, secret_values

from ..domain.builders import SUBSCRIPTION, rid
from .fake_azure import FakeAzure, FakeMachine, SwitchGuard, Timeline, offer

ARC = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/fleet/providers/Microsoft.HybridCompute/machines/arc1"


def result_of(run: Any, spec: argspec.ArgumentSpec, environ: dict[str, str], **given: Any) -> dict[str, Any]:
    params = {name: option.get("default") for name, option in spec.options.items()}
    return perform(run, {**params, **given}, environ)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"resource_ids": ["vm1"]}, ["resource_ids", "'vm1'", "/subscriptions/<guid>"]),
        ({"resource_ids": [ARC]}, ["resource_ids", "arc1", "Arc-enabled"]),
        ({"kb_numbers_to_include": ["KB12"]}, ["kb_numbers_to_include", "'KB12'", "KB5087423"]),
        ({"kb_numbers_to_exclude": ["Q5087423"]}, ["kb_numbers_to_exclude", "'Q5087423'"]),
        ({"kb_numbers_to_include": []}, ["classifications_to_include", "kb_numbers_to_include"]),
        ({"classifications_to_include": []}, ["classifications_to_include"]),
        ({"maximum_duration": "PT24M"}, ["maximum_duration", "'PT24M'", "25 minutes"]),
        ({"maximum_duration": "2h"}, ["maximum_duration", "'2h'", "PT2H"]),
        ({"max_patch_publish_date": "2026-05-12"}, ["max_patch_publish_date", "2026-05-12", "offset"]),
        ({"max_failures": "half"}, ["max_failures", "'half'", "10%"]),
        ({"max_failures": "101%"}, ["max_failures", "'101%'"]),
        ({"poll_interval": 1}, ["poll_interval", "1", "at least 5"]),
        ({"wait_timeout": 0}, ["wait_timeout", "0", "at least 1"]),
        ({"max_concurrent": 0}, ["max_concurrent", "0", "at least 1"]),
        ({"max_age": -1}, ["max_age", "-1", "at least 0"]),
        ({"cloud_environment": "http://127.0.0.1:1"}, ["cloud_environment", "http://127.0.0.1:1", "https"]),
        ({"assessments": [{"id": "x"}]}, ["assessments.id", "'x'"]),
        (
            {"assessments": [{"id": rid(), "outcome": "assessed", "updates": {"a": 1}}]},
            ["assessments", "patch_assessment"],
        ),
        (
            {"resource_ids": None, "name": "vm1", "resource_group": "fleet"},
            ["subscription_id", "AZURE_SUBSCRIPTION_ID"],
        ),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, given: dict[str, Any], words: list[str]) -> None:
    options = {"resource_ids": [rid()], "state_path": str(tmp_path), **given}
    result = result_of(install.run, argspec.patch_installation_spec(), {"HOME": str(tmp_path)}, **options)
    assert result["failed"] is True and result["changed"] is False
    assert [word for word in words if word not in result["msg"]] == [], result["msg"]
    assert "\n" not in result["msg"] and result["msg"].endswith(".")


@pytest.mark.parametrize(
    ("run", "spec"),
    [
        (info.run, argspec.machine_info_spec),
        (assess.run, argspec.patch_assessment_spec),
        (install.run, argspec.patch_installation_spec),
    ],
)
def test_an_emulated_clock_is_refused_with_real_endpoints(run: Any, spec: Any, tmp_path: Path) -> None:
    environ = {"HOTPATCH_CLOCK": "http://127.0.0.1:9/emulator/clock", "HOME": str(tmp_path)}
    result = result_of(run, spec(), environ, resource_ids=[rid()])
    assert result["failed"] is True and "HOTPATCH_CLOCK" in result["msg"] and "loopback" in result["msg"]


def test_a_failure_of_azure_is_told_whole() -> None:
    def run(*arguments: Any, **options: Any) -> dict[str, Any]:
        raise AzureFailure("Could not read.", kind="forbidden", status=403, code="AuthorizationFailed", request_id="r1")

    result = perform(run, {}, {})
    assert result["failed"] is True and result["msg"] == "Could not read."
    assert result["error"]["code"] == "AuthorizationFailed" and result["error"]["request_id"] == "r1"


def test_a_state_folder_that_others_can_write_is_one_sentence(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    options = {"resource_ids": [rid()], "state_path": str(tmp_path)}
    result = result_of(install.run, argspec.patch_installation_spec(), {}, **options)
    assert result["failed"] is True and "state_path" in result["msg"]


@pytest.mark.parametrize(
    ("params", "environ", "folder"),
    [
        ({"state_path": "/srv/state"}, {}, "/srv/state"),
        ({}, {"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/winfleet.hotpatch"),
        ({"state_path": None}, {"HOME": "/h"}, "/h/.local/state/winfleet.hotpatch"),
    ],
)
def test_where_the_journal_lives(params: dict[str, Any], environ: dict[str, str], folder: str) -> None:
    assert str(state_folder(params, environ)) == folder


def test_secrets_of_options_and_environment_are_known() -> None:
    assert secret_values({"secret": "s1"}, {"AZURE_PASSWORD": "p1"}) == {"s1", "p1"}
    assert secret_values({}, {"AZURE_CLIENT_SECRET": "s2"}) == {"s2"}


def test_only_true_secrets_are_no_log() -> None:
    assert set(argspec.patch_installation_spec().secrets()) == {"secret", "password", "oidc_token"}


def test_sigterm_ends_the_run_with_results_and_restores_the_handler(clock: Timeline, tmp_path: Path) -> None:
    def before(signum: int, frame: Any) -> None:
        raise AssertionError("the run's own handler must take it")

    kept = signal.signal(signal.SIGTERM, before)
    try:
        guard = SwitchGuard()
        azure = FakeAzure(clock, FakeMachine("vm1", [offer()]), FakeMachine("vm2", [offer()]))
        clock.at[150.0] = lambda: os.kill(os.getpid(), signal.SIGTERM)
        params = {name: option.get("default") for name, option in argspec.patch_installation_spec().options.items()}
        params.update(resource_ids=[machine.id for machine in azure.machines.values()], state_path=str(tmp_path / "s"))
        from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.progress import Progress

        result = install.run(params, clock, Progress(clock), {}, guard, connect=azure.connect)
        assert signal.getsignal(signal.SIGTERM) is before
    finally:
        signal.signal(signal.SIGTERM, kept)
    assert result["failed"] is True and "SIGTERM" in result["msg"]
    assert {entry["outcome"] for entry in result["machines"]} == {"running"}


def test_drive_returns_what_the_coroutine_returns() -> None:
    async def main() -> dict[str, Any]:
        return {"changed": False}

    assert drive(main, SwitchGuard()) == {"changed": False}
