# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The third witness against the embedded Azure, and how many requests many machines are refused."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import argspec, install
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import perform

pytest.importorskip("hotpatch_emulator")
pytest.importorskip("azure.mgmt.compute")
emulator_process = pytest.importorskip("emulator_process")

BIN = Path(sys.executable).parent
Begin = Callable[..., Any]


@pytest.fixture(autouse=True)
def writes_at_once() -> None:
    """Here time is real: the journal keeps its thread."""


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Start an embedded Azure with so many machines and these switches."""

    def started(number: int, speed: int, **switches: Any) -> Any:
        fleet = {
            "now": "2026-05-13T01:00:00Z",
            "speed": speed,
            "seed": 11,
            "switches": {"platform_patches_by_itself": False, **switches},
            "machines": [{"name": "vm", "count": number, "product": "ws2025"}],
        }
        path = tmp_path / "fleet.yml"
        path.write_text(json.dumps(fleet), encoding="utf-8")
        return emulator_process.start(BIN, path, tmp_path / "emulator")

    yield started
    emulator_process.stop(tmp_path / "emulator")


def patch_everything(running: Any, tmp_path: Path) -> dict[str, Any]:
    ids = sorted(set(re.findall(r"/subscriptions/\S+/virtualMachines/[\w-]+", running.inventory.read_text())))
    params = {option: values.get("default") for option, values in argspec.patch_installation_spec().options.items()}
    given = {"resource_ids": ids, "state_path": str(tmp_path / "state"), "details": "all"}
    return perform(install.run, {**params, **given}, {"HOME": str(tmp_path), **running.environment()})


def test_lost_answers_and_a_view_that_hides_them_too_long_install_once(begin: Begin, tmp_path: Path) -> None:
    """The instance view shows an installation after 25 minutes, the settle time is 10, Resource Graph needs 3."""
    running = begin(3, 240, patch_status_lag_minutes=[25, 25], resource_graph_lag_minutes=[3, 3])
    match = {"method": "POST", "path_regex": "installPatches", "count": 3}
    running.control("/emulator/faults", "POST", {"match": match, "action": {"reset_after_accept": True}})
    result = patch_everything(running, tmp_path)
    begun = Counter(
        line["resource_id"]
        for line in running.audit()
        if line["kind"] == "operation" and line["event"] == "started" and line["operation"] == "installPatches"
    )
    assert list(begun.values()) == [1, 1, 1]
    assert result["counts"] == {"machines": 3, "claimed": 3}, result["msg"]
    assert all(entry["updates"] for entry in result["machines"]), "the patches come from Resource Graph"


def test_hardly_a_request_is_refused(begin: Begin, tmp_path: Path) -> None:
    """Half drained, smaller than documented, and somebody else takes 30 % of it all the time."""
    running = begin(120, 60, drained_percent=90, others_draw_percent=30, others_draw="evenly")
    result = patch_everything(running, tmp_path)
    assert result["counts"] == {"machines": 120, "claimed": 120}, result["msg"]
    statuses = Counter(line["status"] for line in running.audit() if line["kind"] == "request")
    assert statuses[202] == 240
    assert statuses[429] < 0.01 * sum(statuses.values())
