# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine against the embedded Azure, over TLS and through the SDK; judged by the emulator's audit log."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import argspec, assess, info, install
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import perform

pytest.importorskip("hotpatch_emulator")
pytest.importorskip("azure.mgmt.compute")
emulator_process = pytest.importorskip("emulator_process")

BIN = Path(sys.executable).parent
KB = "KB5087423"
TASKS: Mapping[str, tuple[Any, Callable[[], argspec.ArgumentSpec]]] = {
    "machine_info": (info.run, argspec.machine_info_spec),
    "patch_assessment": (assess.run, argspec.patch_assessment_spec),
    "patch_installation": (install.run, argspec.patch_installation_spec),
}


@pytest.fixture(autouse=True)
def writes_at_once() -> None:
    """Here time is real: the journal keeps its thread."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Any]:
    """Six machines that each need the hotpatch of May 2026."""
    machines = [{"name": f"vm{number}", "product": "ws2025"} for number in range(1, 7)]
    fleet = {
        "now": "2026-05-13T01:00:00Z",
        "speed": 240,
        "seed": 11,
        "defaults": {
            "image": {"sku": "2025-datacenter-azure-edition"},
            "patch_settings": {"patch_mode": "AutomaticByPlatform"},
        },
        "machines": machines,
    }
    path = tmp_path / "fleet.yml"
    path.write_text(json.dumps(fleet), encoding="utf-8")
    yield emulator_process.start(BIN, path, tmp_path / "emulator")
    emulator_process.stop(tmp_path / "emulator")


@pytest.fixture
def ids(running: Any) -> list[str]:
    subscription = running.endpoints["subscription_ids"][0]
    inventory = running.inventory.read_text(encoding="utf-8")
    return sorted(re.findall(rf"/subscriptions/{subscription}/\S+/virtualMachines/[\w-]+", inventory))


def run(running: Any, name: str, **given: Any) -> dict[str, Any]:
    work, spec = TASKS[name]
    params = {option: values.get("default") for option, values in spec().options.items()}
    environ = {"HOME": str(running.run_dir), **running.environment()}
    return perform(work, {**params, **given}, environ)


def posts(running: Any, action: str) -> list[dict[str, Any]]:
    """What arrived at the emulated Azure, accepted or not."""
    return [
        line
        for line in running.audit()
        if line["kind"] == "request" and line["method"] == "POST" and line["path"].endswith(action)
    ]


def begun(running: Any) -> Counter[str]:
    """How many installations began on each machine."""
    return Counter(
        line["resource_id"].rpartition("/")[2]
        for line in running.audit()
        if line["kind"] == "operation" and line["event"] == "started" and "install" in line["operation"].lower()
    )


def test_read_assess_install_and_again(running: Any, ids: list[str], tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    read = run(running, "machine_info", resource_ids=ids)
    assert [entry["power_state"]["value"] for entry in read["machines"]] == ["running"] * 6
    assessed = run(running, "patch_assessment", resource_ids=ids, details="all", state_path=state)
    assert assessed["counts"] == {"machines": 6, "assessed": 6}
    options = {"resource_ids": ids, "kb_numbers_to_include": [KB], "state_path": state}
    first = run(running, "patch_installation", assessments=assessed["machines"], **options)
    assert first["changed"] is True and first["counts"] == {"machines": 6, "claimed": 6}, first["msg"]
    second = run(running, "patch_installation", **options)
    assert second["changed"] is False and second["counts"] == {"machines": 6, "claimed": 6}, second["msg"]
    assert set(begun(running).values()) == {1} and len(begun(running)) == 6
    assert [line for line in running.audit() if line["kind"] == "restart"] == []
    body = {
        "maximumDuration": "PT2H",
        "rebootSetting": "Never",
        "windowsParameters": {"kbNumbersToInclude": [KB], "excludeKbsRequiringReboot": True},
    }
    assert [line["body"] for line in posts(running, "installPatches")] == [body] * 6


def test_an_answer_lost_after_azure_accepted_installs_once(running: Any, ids: list[str], tmp_path: Path) -> None:
    match = {"method": "POST", "path_regex": "installPatches", "count": 2}
    running.control("/emulator/faults", "POST", {"match": match, "action": {"reset_after_accept": True}})
    result = run(running, "patch_installation", resource_ids=ids[:3], state_path=str(tmp_path / "state"))
    assert set(begun(running).values()) == {1} and len(begun(running)) == 3
    assert len(posts(running, "installPatches")) == 3
    assert [entry["started_by"] for entry in result["machines"]] == ["us"] * 3, result["msg"]
    assert {entry["installed_update_count"] for entry in result["machines"]} == {1}


def test_a_dropped_connection_before_azure_accepted_installs_once(running: Any, ids: list[str], tmp_path: Path) -> None:
    match = {"method": "POST", "path_regex": "installPatches"}
    running.control("/emulator/faults", "POST", {"match": match, "action": {"reset_before": True}})
    result = run(running, "patch_installation", resource_ids=ids[:1], state_path=str(tmp_path / "state"))
    assert result["counts"] == {"machines": 1, "claimed": 1}, result["msg"]
    assert begun(running) == {ids[0].rpartition("/")[2]: 1}


def test_never_more_at_once_than_asked(running: Any, ids: list[str], tmp_path: Path) -> None:
    result = run(running, "patch_installation", resource_ids=ids, max_concurrent=2, state_path=str(tmp_path / "state"))
    assert result["counts"] == {"machines": 6, "claimed": 6}, result["msg"]
    open_now = most = 0
    for line in running.audit():
        if line["kind"] == "operation" and "install" in line["operation"].lower():
            open_now += 1 if line["event"] == "started" else -1
            most = max(most, open_now)
    assert most == 2


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_killing_the_parent_starts_nothing_more_and_a_later_run_joins(
    running: Any, ids: list[str], tmp_path: Path, sign: signal.Signals
) -> None:
    state = str(tmp_path / "state")
    arguments = {"resource_ids": ids, "max_concurrent": 2, "state_path": state, "poll_interval": 30}
    collections = str(Path(__file__).resolve().parents[6])
    environ = {**os.environ, **running.environment(), "HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1"}
    environ.setdefault("ANSIBLE_COLLECTIONS_PATH", collections)
    module = ["-m", "winfleet.hotpatch.patch_installation", "-a", json.dumps(arguments)]
    command = [str(BIN / "ansible"), "localhost", *module]
    parent = subprocess.Popen(command, env=environ, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 40
    while not posts(running, "installPatches") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert posts(running, "installPatches"), "the first installation never started"
    parent.send_signal(sign)
    parent.wait(20)
    # A start may have been on its way at the very moment; none may follow.
    time.sleep(0.5)
    started = len(posts(running, "installPatches"))
    assert started <= 4
    # Several poll intervals, and time enough for the two that ran to end.
    time.sleep(4)
    assert len(posts(running, "installPatches")) == started
    result = run(running, "patch_installation", **{**arguments, "max_concurrent": None})
    assert set(begun(running).values()) == {1} and len(begun(running)) == 6
    assert {entry["outcome"] for entry in result["machines"]} == {"claimed"}, result["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming oneself without a password needs root")
def test_action_and_module_return_the_same(running: Any, ids: list[str], tmp_path: Path) -> None:
    """In the controller's process, and, because of become, as a module."""
    collections = str(Path(__file__).resolve().parents[6])
    environ = {**os.environ, **running.environment(), "HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1"}
    environ.setdefault("ANSIBLE_COLLECTIONS_PATH", collections)
    arguments = json.dumps({"resource_ids": [*ids[:2], ids[0] + "x"], "details": "none"})
    results = []
    for more in ([], ["--become", "--become-method", "su", "-e", f"ansible_python_interpreter={sys.executable}"]):
        command = [str(BIN / "ansible"), "localhost", "-m", "winfleet.hotpatch.machine_info", "-a", arguments, *more]
        done = subprocess.run(
            command, env=environ, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        output = done.stdout
        assert "FAILED! =>" in output, done.stdout + done.stderr
        assert ("read 3/3 done" in output) is (not more)
        result = json.loads(output[output.index("=> {") + 3 :])
        for entry in result["machines"]:
            entry.pop("read_at", None)
            entry.get("error", {}).pop("request_id", None)
        results.append({key: result[key] for key in ("changed", "counts", "machines", "msg")})
    assert results[0] == results[1]
    assert results[0]["counts"] == {"machines": 3, "read": 2, "failed": 1}
