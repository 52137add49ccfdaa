# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on disk: all formats, for their owner only; and its JSON against the published schema."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from report_samples import hostile, interrupted, report_of, rollout

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import VERDICTS
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import report_figures, rollout_report
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Rollout, StateError
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils import report_files

SCHEMA = Path(__file__).resolve().parents[4] / "docs" / "report.schema.json"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(loaded)
    return loaded


@pytest.mark.parametrize("make", [rollout, hostile, interrupted, lambda: rollout(0, 0)])
def test_every_format_is_written_and_the_json_is_read_again(make: Callable[[], Rollout], tmp_path: Path) -> None:
    report = report_of(make())
    paths = report_files.write(report, str(tmp_path / "reports"))
    names = sorted(Path(path).name for path in paths.values())
    assert names == ["report.csv", "report.html", "report.json", "report.junit.xml", "report.md", "report.txt"]
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == names
    assert all(stat.S_IMODE(Path(path).stat().st_mode) == 0o600 for path in paths.values())
    assert rollout_report.read(str(tmp_path / "reports")) == report


def test_a_folder_that_takes_nothing_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StateError, match="file"):
        report_files.write(report_of(rollout(2, 1)), str(tmp_path / "file"))


@pytest.mark.parametrize("make", [rollout, hostile, interrupted, lambda: rollout(0, 0)])
def test_the_json_is_what_the_schema_says(make: Callable[[], Rollout], schema: dict[str, Any]) -> None:
    report = json.loads(json.dumps(report_of(make())))
    jsonschema.validate(report, schema, cls=jsonschema.Draft202012Validator)


def test_the_schema_names_every_field(schema: dict[str, Any]) -> None:
    """A field that is added to the report is added to the published schema."""
    report = report_of(rollout())
    machine = schema["properties"]["machines"]["items"]["properties"]
    assert set(report) == set(schema["properties"])
    assert set(report["machines"][0]) == set(machine)
    assert {name for row in report["machines"] for name in row["guest_after"] or ()} <= set(
        machine["guest_after"]["properties"]
    )
    for part in ("compliance", "restarts", "load", "platform"):
        assert set(report[part]) == set(schema["properties"][part]["properties"])
    for part in ("rings", "waves", "problems"):
        assert set(report[part][0]) == set(schema["properties"][part]["items"]["properties"])
    assert machine["verdict"]["enum"] == [*VERDICTS, None]
    assert machine["group"]["enum"] == list(report_figures.GROUPS)
    assert schema["properties"]["format"]["const"] == rollout_report.REPORT_FORMAT


@pytest.mark.parametrize(
    ("field", "value"), [("verdict", "fine"), ("counts_against_budget", "no"), ("group", None), ("evidence", "x")]
)
def test_the_schema_refuses_what_is_wrong(field: str, value: object, schema: dict[str, Any]) -> None:
    report = json.loads(json.dumps(report_of(rollout(3, 1))))
    report["machines"][1][field] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(report, schema, cls=jsonschema.Draft202012Validator)
