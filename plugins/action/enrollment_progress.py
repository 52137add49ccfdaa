# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say how far an enrolment campaign has come, and sleep until its guests are to be asked again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.eligibility import check_overrides
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import parse_timestamp, to_iso
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_report
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.enrollment_progress import (
    Row,
    failure,
    foreseen,
    row_from_dict,
    seconds_between_looks,
    standing,
    totals,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.progress import human_seconds
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ENROLLMENT_PROGRESS
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import machines_by_key
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import RolloutAction


class ActionModule(RolloutAction):
    """C(winfleet.hotpatch.enrollment_progress)."""

    SPEC = ENROLLMENT_PROGRESS

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        before = options["previous"]
        now = self.clock.now()
        deadline = (
            parse_timestamp(before["deadline"]) if before else now + timedelta(seconds=max(0, options["timeout"]))
        )
        rows = self._rows(options)
        pending = [row for row in rows if row.waits]
        # Before the first round nobody was asked, so that there is nothing to sleep for.
        again = bool(pending) and (not before or now < deadline) and not self.check_mode
        if again and before:
            pause = seconds_between_looks(options["interval"], options["timeout"])
            left = (deadline - now).total_seconds()
            self._tell(rows, pending, left)
            self.clock.sleep(min(pause, left))
        tally = totals(rows)
        told = "" if again or self.check_mode else failure(rows, options["error_budget"])
        if not again:
            self._print(rows)
        words = ", ".join(f"{number} {state}" for state, number in tally.items() if state != "machines")
        return {
            "changed": False,
            "again": again,
            "pending": [row.host for row in pending] if again else [],
            "deadline": to_iso(deadline),
            "machines": [row.to_dict() for row in rows],
            "totals": tally,
            "failure": told,
            "msg": told or f"{tally['machines']} machines: {words}.",
        }

    def _rows(self, options: dict[str, Any]) -> list[Row]:
        overrides = check_overrides("preflight_overrides", options["preflight_overrides"])
        known = {row["host"]: row_from_dict(row) for row in options["previous"].get("machines") or []}
        entries = {str(entry["id"]).lower(): entry for entry in options["enrollment"].get("machines") or []}
        machines = machines_by_key(options["machines"].get("machines") or [])
        asked = [host for host, row in known.items() if row.waits]
        guests: dict[str, GuestFacts] = self.guests_of(asked, options["guest_variable"] or "")
        rows = []
        for host, resource_id in options["ids"].items():
            key = str(resource_id).lower()
            if self.check_mode:
                rows.append(foreseen(host, str(resource_id), entries.get(key)))
                continue
            earlier = known.get(host)
            if earlier is not None and not earlier.waits:
                rows.append(earlier)
                continue
            rows.append(
                standing(host, str(resource_id), entries.get(key), machines.get(key), guests.get(host), overrides)
            )
        return rows

    def _tell(self, rows: list[Row], pending: list[Row], left: float) -> None:
        enrolled = sum(row.state == "enrolled" for row in rows)
        first = pending[0]
        example = f"{rollout_report.printable(first.host)}: {rollout_report.printable(first.reason)}"
        time_left = human_seconds(left / self.clock.rate)
        self.say([f"enrol {enrolled}/{len(rows)} effective, {len(pending)} waited for, {time_left} left; {example}"])

    def _print(self, rows: list[Row]) -> None:
        table = [tuple(map(rollout_report.printable, (row.host, row.state, row.reason))) for row in rows]
        self.say(["", *rollout_report.columns(("MACHINE", "STATE", "REASON"), table), ""])
