# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Close a rollout: one verdict a machine, table on the terminal, report on disk, lock given back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import COUNTS_AGAINST_BUDGET
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_report, rollout_state
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.lock import FolderLock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_REPORT
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import StateError
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils import report_files
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import RolloutAction


class ActionModule(RolloutAction):
    """C(winfleet.hotpatch.rollout_report)."""

    SPEC = ROLLOUT_REPORT

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        report_dir = options["report_dir"] or options["state_dir"]
        if options["print_only"]:
            return self._again(options, report_dir)
        rollout = rollout_state.load(options["state_dir"])
        if rollout is None or rollout.rollout_id != (options["rollout_id"] or rollout.rollout_id):
            raise StateError(
                f"Option rollout_id has the value {options['rollout_id']!r}, but the state folder "
                f"{options['state_dir']!r} holds {rollout.rollout_id if rollout else 'no rollout'}; "
                "another run has used the folder meanwhile, or its state was removed."
            )
        if self.check_mode:
            return {"changed": False, "msg": "Check mode: the rollout is not closed."}
        closing = rollout_report.close(rollout, self.now)
        rollout_state.save(options["state_dir"], rollout, self.now)
        report = rollout_report.build(rollout, closing.lost, COUNTS_AGAINST_BUDGET, options["not_started_limit"])
        paths = report_files.write(report, report_dir)
        FolderLock(Path(options["state_dir"]).expanduser(), self.owner()).release()
        return self._result(report, paths)

    def _again(self, options: dict[str, Any], report_dir: str) -> dict[str, Any]:
        """The last report anew, in all formats; where a rollout went on since, or was cut off, what its state says."""
        report = self._last(options, report_dir)
        return self._result(report, {} if self.check_mode else report_files.write(report, report_dir))

    def _last(self, options: dict[str, Any], report_dir: str) -> dict[str, Any]:
        rollout = rollout_state.load(options["state_dir"])
        try:
            report = rollout_report.read(report_dir)
        except (OSError, ValueError) as error:
            if rollout is None:
                raise StateError(f"The last report cannot be read: {error}.") from error
            report = None
        if rollout is not None and not rollout_report.is_of(report, rollout):
            lost, limit = rollout_report.lost_of(rollout), options["not_started_limit"]
            return rollout_report.build(rollout, lost, COUNTS_AGAINST_BUDGET, limit)
        if report is None:
            raise StateError(
                f"Option report_dir has the value {report_dir!r}, but that folder holds no report.json, and "
                f"{options['state_dir']!r} no rollout; name the folder of a rollout (hotpatch_report_dir) or run "
                "winfleet.hotpatch.rollout first."
            )
        return report

    def _result(self, report: dict[str, Any], paths: dict[str, str]) -> dict[str, Any]:
        self._print(report, paths)
        files = {"report_files": paths} if paths else {}
        return {"changed": False, **files, **rollout_report.outcome(report)}

    def _print(self, report: dict[str, Any], paths: dict[str, str]) -> None:
        lines = ["", *rollout_report.table(report), "", rollout_report.printable(report["msg"])]
        if report["failure"]:
            lines.append(f"The rollout failed: {rollout_report.printable(report['failure'])}")
        if paths:
            others = ", ".join(Path(path).name for name, path in paths.items() if name != "html")
            lines.append(f"Report: {paths['html']}, and beside it {others}")
        self.say(lines)
