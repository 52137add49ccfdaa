# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report playbook from a collection as users install it: built, installed elsewhere, templates and all."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible_runs import BIN, ROOT, Rollout
from report_checker import FILES, complaints
from report_samples import interrupted

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_state


def galaxy(*arguments: str) -> None:
    done = subprocess.run(
        [str(BIN / "ansible-galaxy"), "collection", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_installed_collection_draws_the_report_of_an_interrupted_rollout(tmp_path: Path) -> None:
    galaxy("build", "--output-path", str(tmp_path))
    (archive,) = tmp_path.glob("winfleet-hotpatch-*.tar.gz")
    where = ("--collections-path", str(tmp_path / "installed"))
    galaxy("install", "--offline", "--force", "--no-deps", *where, str(archive))
    installed = tmp_path / "installed" / "ansible_collections" / "winfleet" / "hotpatch"
    assert (installed / "docs" / "report.schema.json").is_file()
    assert not (installed / "tests" / "browser").exists()

    state, reports = tmp_path / "state", tmp_path / "reports"
    rollout_state.ensure_state_dir(str(state))
    made = interrupted()
    rollout_state.save(str(state), made, made.updated)
    before = (state / "rollout.json").read_bytes()
    inventory = tmp_path / "inventory"
    inventory.write_text("localhost ansible_connection=local\n", encoding="utf-8")
    environ = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "installed")}
    variables = {"hotpatch_report_dir": str(reports)}
    rollout = Rollout(inventory, state, environ, variables, "winfleet.hotpatch.report")
    code, output = rollout.run(tmp_path / "report.log")
    assert code == 0, output
    assert complaints(reports) == []
    assert "no_verdict" in output and str(reports / "report.html") in output
    # It closes nothing: the rollout can be taken up as before.
    assert (state / "rollout.json").read_bytes() == before

    for name in FILES - {"report.json"}:
        (reports / name).unlink()
    rollout.options = ("--check",)
    code, output = rollout.run(tmp_path / "check.log")
    assert code == 0 and {path.name for path in reports.iterdir()} == {"report.json"}, output
    # What was written is drawn again from itself, also where the state is gone.
    (state / "rollout.json").unlink()
    rollout.options = ()
    code, output = rollout.run(tmp_path / "again.log")
    assert code == 0, output
    assert complaints(reports) == []
