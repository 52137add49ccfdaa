# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may write as hooks, by tables, and what a failing one means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_hooks import (
    check_all,
    hooks_for,
    note_machine_failures,
    on_machines,
    parse_hooks,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan

from .rollout_fleet import NOW, ids, keyed, machine, wishes


def test_a_role_a_file_and_where_they_run(tmp_path: Path) -> None:
    file = tmp_path / "drain.yml"
    file.write_text("[]")
    found = parse_hooks(
        {
            "before_machine": [{"role": "acme.lb.drain", "tasks_from": "out", "on": "controller"}, str(file)],
            "after_wave": "acme.smoke",
            "after_machine": {"tasks": str(file), "vars": {"x": 1}},
            "before_ring": [],
        }
    )
    assert found == {
        "before_machine": [
            {"name": "acme.lb.drain", "on": "controller", "vars": {}, "role": "acme.lb.drain", "tasks_from": "out"},
            {"name": str(file), "on": "hosts", "vars": {}, "tasks": str(file)},
        ],
        "after_wave": [
            {"name": "acme.smoke", "on": "controller", "vars": {}, "role": "acme.smoke", "tasks_from": "main"}
        ],
        "after_machine": [{"name": str(file), "on": "hosts", "vars": {"x": 1}, "tasks": str(file)}],
    }
    assert parse_hooks(None) == parse_hooks({}) == {}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ("drain", "hotpatch_hooks"),
        ({"before_lunch": "x"}, "before_lunch"),
        ({"before_wave": [{"role": "x", "when": "y"}]}, "when"),
        ({"before_wave": [{"role": "x", "tasks": "/y"}]}, "and not both"),
        ({"before_wave": [{}]}, "a role"),
        ({"before_wave": [7]}, "a role"),
        ({"before_wave": "/no/such/file.yml"}, "/no/such/file.yml"),
        ({"before_wave": [{"tasks": "relative.yml"}]}, "relative.yml"),
        ({"before_machine": [{"role": "x", "on": "moon"}]}, "moon"),
        # In a ring's hook the play has only the hosts of one wave.
        ({"before_ring": [{"role": "x", "on": "hosts"}]}, "before_machine"),
        ({"before_machine": [{"role": "x", "vars": ["y"]}]}, "vars"),
    ],
)
def test_what_is_refused(raw: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_hooks(raw)
    assert said in str(caught.value)


def test_a_rings_hooks_come_behind_the_rollouts() -> None:
    rings = [{"name": "canary", "hosts": ["a"], "hooks": {"after_machine": "ring_role"}}, {"name": "broad"}]
    plan = make_plan(ids("a", "b"), keyed(machine("a"), machine("b")), wishes(rings=rings), NOW)
    given = {"after_machine": "common_role"}
    assert [hook["role"] for hook in hooks_for(plan, given, "after_machine", "canary")] == ["common_role", "ring_role"]
    assert [hook["role"] for hook in hooks_for(plan, given, "after_machine", "broad")] == ["common_role"]
    check_all(plan, given)
    assert on_machines(plan, {}), "those of one ring are enough"
    plan.ring("canary").rules["hooks"] = {"before_ring": "ring_role"}
    assert on_machines(plan, given) and not on_machines(plan, {"before_wave": "common_role"})
    plan.ring("canary").rules["hooks"] = {"after_machine": "/gone.yml"}
    with pytest.raises(InputError, match="hooks of ring canary"):
        check_all(plan, given)


def test_a_machine_whose_hook_failed_is_not_touched() -> None:
    plan = make_plan(ids("a", "b"), keyed(machine("a"), machine("b")), wishes(), NOW)
    records = plan.in_scope
    for record in records:
        record.stage, record.selected_at = "selected", "2026-05-13T01:00:00Z"
    failed = note_machine_failures(records, {"a": "drain: no"}, "before_machine")
    assert [record.host for record in failed] == ["a"]
    assert (records[0].verdict, records[0].reason_code, records[0].selected_at) == ("not_started", "hook_failed", None)
    assert records[1].stage == "selected"
    records[1].judge("patched", "proven", "x")
    note_machine_failures(records, {"b": "smoke: no"}, "after_machine")
    assert records[1].verdict == "patched" and records[1].hooks_failed == {"after_machine": "smoke: no"}
