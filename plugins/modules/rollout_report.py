#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of rollout_report; the action plugin of the same name does the work on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_report
short_description: Close a rollout and report one verdict and reason a machine
version_added: "0.1.0"
author:
  - winfleet contributors (@winfleet)
description:
  - A part of the playbook C(winfleet.hotpatch.rollout), which is what to run.
  - Gives each machine of the plan that has none its verdict, prints the table, writes the report, and gives the lock of
    the state folder back.
  - The report is C(report.html) (one page that needs no network), C(report.json) (which C(docs/report.schema.json)
    describes), C(report.csv), C(report.md) for a change ticket, C(report.junit.xml) for pipelines, and C(report.txt).
    Machines are in these files and on the terminal, never in the task's result, which stays small for any fleet.
  - Machines are counted from the plan. One that dropped out of the run on the way is named in RV(failure).
  - It does not fail because of what it reports; a later task is to look at RV(failure).
options:
  state_dir:
    description: The folder of the rollout's state.
    type: path
    required: true
  report_dir:
    description: The folder for the report. By default O(state_dir).
    type: path
  rollout_id:
    description: Name of the rollout that is to be closed; the task fails if the folder holds another one.
    type: str
  not_started_limit:
    description:
      - How many machines, or which percentage of all, may end as C(not_started) before RV(failure) says so.
    type: str
    default: "0"
  print_only:
    description:
      - Print and draw the last report again, and close nothing.
      - Where the rollout in O(state_dir) went on since, or was cut off before its end, the report is made of its state.
    type: bool
    default: false
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
attributes:
  check_mode:
    support: full
    details:
      - Nothing is closed and nothing is written.
  diff_mode:
    support: N/A
    details:
      - Only files of the collection itself are written.
  idempotent:
    support: full
  action:
    support: full
    details:
      - The action plugin does all the work on the control node; no connection to the host is opened.
  async:
    support: none
seealso:
  - module: winfleet.hotpatch.rollout_plan
  - module: winfleet.hotpatch.rollout_wave
"""

EXAMPLES = r"""
- name: Print the last report again
  winfleet.hotpatch.rollout_report:
    state_dir: ~/.local/state/winfleet.hotpatch
    print_only: true
  run_once: true
"""

RETURN = r"""
msg:
  description: The rollout in one sentence.
  returned: always
  type: str
  sample: "12 machines: 1 already_current, 9 patched, 2 skipped"
failure:
  description: Why the run has to fail, because it was stopped or lost machines; empty otherwise.
  returned: success
  type: str
totals:
  description: Counts for C(set_stats); small for any fleet.
  returned: success
  type: dict
  contains:
    rollout_id:
      description: Name of the rollout.
      type: str
      returned: always
    status:
      description: V(finished), V(stopped), or V(running) if machines outside this run's limit are still open.
      type: str
      returned: always
    machines:
      description: Number of machines of this run.
      type: int
      returned: always
    counting_against_budget:
      description: Number of machines whose verdict counts against the error budget.
      type: int
      returned: always
    verdicts:
      description: Number of machines by verdict.
      type: dict
      returned: always
report_files:
  description: Paths of the report, by V(html), V(json), V(csv), V(markdown), V(junit) and V(text).
  returned: success, not in check mode
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_REPORT


def main() -> None:
    """Fail clearly: what this does belongs to the control node."""
    module = AnsibleModule(argument_spec=ROLLOUT_REPORT, supports_check_mode=True)
    module.fail_json(
        msg="winfleet.hotpatch.rollout_report is done on the control node by its action plugin, never on a host."
    )


if __name__ == "__main__":
    main()
