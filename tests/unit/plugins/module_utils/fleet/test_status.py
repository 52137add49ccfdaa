# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole fleet's status: counts, needs, since when, what fails the run, and what is remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import argspec, status, status_memory
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.progress import Progress

from ..domain.builders import NOW, guest, rid
from ..domain.graph_rows import installation_row, machine_row
from .fake_azure import SwitchGuard, Timeline
from .fake_tables import FakeTables, whole_fleet

OFF = {"patchMode": "AutomaticByPlatform", "enableHotpatching": False}
PRESENT = {"state": "present"}


def look(tables: FakeTables, folder: Path, clock: Timeline | None = None, check: bool = False, **given: Any) -> Any:
    clock = clock or Timeline()
    params = {name: option.get("default") for name, option in argspec.fleet_status_spec().options.items()}
    params.update({"subscriptions": None if "hosts" in given else ["all"], "state_path": str(folder), **given})
    return status.run(params, clock, Progress(clock), {}, SwitchGuard(), check_mode=check, connect=tables.connect)


def test_a_fleet_that_is_well(tmp_path: Path) -> None:
    tables = whole_fleet("web1", "web2")
    (tmp_path / status_memory.JOURNAL_NAME).write_text('{"kind": "accepted", "activity_id": "NEW"}\n{"cut', "utf-8")
    guests = {rid(name): guest().to_dict() for name in ("web1", "web2")}
    result = look(tables, tmp_path, hosts={"h1": rid("web1"), "h2": rid("web2").upper()}, guests=guests, details="all")
    assert result["failure"] == "" and result["counts"]["track"] == {"on_track": 2}
    assert [entry["host"] for entry in result["machines"]] == ["h1", "h2"]
    assert {entry["patched_by"] for entry in result["machines"]} == {"us"}
    assert result["counts"]["ring"] == {"canary": {"on_track": 2}}
    assert result["guests"] == {"asked": 2, "answered": 2}
    assert "Nobody is needed." in result["table"]


def test_needs_fail_the_run_only_as_asked(tmp_path: Path) -> None:
    tables = FakeTables(machine_row("web1", settings=OFF), machine_row("web2"))
    result = look(tables, tmp_path, expect_settings=PRESENT)
    assert result["failure"] == "1 of 2 machines need a person (1 drift): web1."
    assert [entry["host"] for entry in result["machines"]] == ["web1"]
    assert result["machines"][0]["needs"][0]["next_step"].startswith("run winfleet.hotpatch.enroll")
    assert look(tables, tmp_path, expect_settings=PRESENT, fail_on=["stopped"])["failure"] == ""
    with pytest.raises(InputError, match="fail_on"):
        look(tables, tmp_path, fail_on=["nothing"])


def test_what_could_not_be_read_is_not_well(tmp_path: Path) -> None:
    """By default; a row that is no machine's is told as well, it may be one that nobody can read."""
    result = look(FakeTables(machine_row("web1", view={}), machine_row("web2", id="/no/machine")), tmp_path)
    assert [need["code"] for need in result["machines"][0]["needs"]] == ["unknown"]
    assert "(1 unknown)" in result["failure"]
    assert "1 rows of Resource Graph are left out" in " ".join(result["warnings"])


def test_settings_that_azure_would_refuse_are_no_drift_to_mend(tmp_path: Path) -> None:
    tables = FakeTables(machine_row("web1", settings=OFF, image=None))
    (entry,) = look(tables, tmp_path, expect_settings=PRESENT)["machines"]
    assert [need["code"] for need in entry["needs"]] == ["ineligible"] and "enable_hotpatching" in entry["drift"]


def test_since_when_is_remembered_and_begins_anew(tmp_path: Path) -> None:
    folder, clock = tmp_path / "state", Timeline()
    drifted, well = FakeTables(machine_row("web1", settings=OFF)), FakeTables(machine_row("web1"))

    def since(tables: FakeTables, check: bool = False) -> list[str]:
        found = look(tables, folder, clock, check, expect_settings=PRESENT)["machines"]
        return [entry["drift"]["enable_hotpatching"]["since"] for entry in found]

    assert since(drifted) == ["2026-05-13T01:00:00Z"]
    assert (folder / "status.json").stat().st_mode & 0o777 == 0o600
    clock.passed = 3600
    assert since(drifted) == ["2026-05-13T01:00:00Z"]
    assert since(well, check=True) == []
    assert since(drifted) == ["2026-05-13T01:00:00Z"], "check mode forgets nothing"
    assert since(well) == []
    assert since(drifted) == ["2026-05-13T02:00:00Z"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 9, "machines": {"x": {}}}', '{"format": 1, "machines": 3}']
)
def test_a_memory_that_cannot_be_read_begins_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "status.json").write_text(text, "utf-8")
    assert status_memory.load_memory(tmp_path).machines == {}


def test_what_a_memory_holds_is_not_believed_unseen(tmp_path: Path) -> None:
    inside = {
        "a": {"needs": {"drift": "never"}, "drift": 3},
        "b": {"needs": {"stopped": "2026-05-01T00:00:00Z"}},
        "c": 1,
    }
    (tmp_path / "status.json").write_text(json.dumps({"format": 1, "machines": inside}), "utf-8")
    assert status_memory.load_memory(tmp_path).machines == {"b": {"needs": {"stopped": "2026-05-01T00:00:00Z"}}}


def test_a_folder_that_others_can_write_to_is_told_and_the_status_all_the_same(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    result = look(FakeTables(machine_row("web1")), tmp_path)
    assert result["counts"]["machines"] == 1 and "written by other users" in result["warnings"][0]


def test_a_host_that_is_not_shown_and_a_machine_that_was_expected(tmp_path: Path) -> None:
    tables = FakeTables(machine_row("web1"))
    result = look(tables, tmp_path, hosts={"h1": rid("web1"), "ghost": rid("gone")}, expect={"machines": ["web9"]})
    assert result["counts"]["needs"] == {"missing": 2} and result["missing"] == ["web9"]
    assert result["failure"] == "2 of 3 machines need a person (2 missing): ghost, web9."
    rows = [line for line in result["table"] if "missing" in line]
    assert [row.split()[0] for row in rows] == ["ghost", "web9", "missing"]


def test_no_hosts_are_not_called_well(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hosts"):
        look(FakeTables(), tmp_path, hosts={})


def test_machines_patched_by_others_and_silent_guests(tmp_path: Path) -> None:
    tables = FakeTables(machine_row("web1"), installations=[installation_row("web1", startedBy="Platform")])
    silent = {rid("web1"): unreachable_guest("no route to \x1b[2Jhost", NOW).to_dict()}
    result = look(tables, tmp_path, hosts={"h1": rid("web1")}, guests=silent)
    assert [need["code"] for need in result["machines"][0]["needs"]] == ["guest_unreachable", "patched_by_others"]
    assert not any("\x1b" in line for line in result["table"]), "a terminal must not obey a machine"


def test_the_table_of_many_is_cut_and_says_so(tmp_path: Path) -> None:
    tables = FakeTables(*(machine_row(f"vm{number:03}", settings=OFF) for number in range(60)))
    result = look(tables, tmp_path, expect_settings=PRESENT)
    assert "... and 20 more" in result["table"] and len(result["machines"]) == 60
    assert result["failure"].endswith("and 50 more.")
