#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Assesses the patches of virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patch_assessment
short_description: Ask Azure which patches many virtual machines are offered
version_added: 0.1.0
description:
  - Has Azure assess virtual machines (C(assessPatches)) and returns which patches each is offered and whether they
    restart it.
  - One task assesses many machines at once.
  - An assessment of this collection that an earlier run left in progress is joined instead of started again, and one of
    somebody else's is waited for.
  - Machines that are switched off are skipped.
author:
  - winfleet contributors (@winfleet)
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.attributes.fleet
  - winfleet.hotpatch.action_group
  - winfleet.hotpatch.azure
  - winfleet.hotpatch.targets
  - winfleet.hotpatch.waiting
  - winfleet.hotpatch.waiting.failures
attributes:
  check_mode:
    support: full
    details:
      - An assessment changes nothing in the guest, so that check mode makes no difference.
  diff_mode:
    support: N/A
    details:
      - Nothing is changed.
  idempotent:
    support: full
    details:
      - Nothing is changed, though Azure is asked again each time unless O(max_age) says otherwise.
options:
  wait_timeout:
    description:
      - Seconds to wait for all machines together. What then still runs has the outcome V(running), and the module fails
        with the results of all machines.
    type: int
    default: 1800
  max_age:
    description:
      - How many seconds old the last assessment may be to be taken instead of a new one.
      - It must also be newer than the last installation.
      - Azure keeps counts of an earlier assessment but no list, so that O(details=all) always asks anew.
    type: int
    default: 0
seealso:
  - module: winfleet.hotpatch.patch_installation
  - module: winfleet.hotpatch.machine_info
"""

EXAMPLES = r"""
- name: Assess the machines of the play in one task
  winfleet.hotpatch.patch_assessment:
    resource_ids: "{{ ansible_play_hosts_all | map('extract', hostvars, 'hotpatch_resource_id') | list }}"
    details: all
  delegate_to: localhost
  run_once: true
  register: assessed

- name: Show which machines are offered something that restarts them
  ansible.builtin.debug:
    msg: "{{ item.updates.values() | rejectattr('reboot_behavior', 'eq', 'NeverReboots') | map(attribute='title') }}"
  loop: "{{ assessed.machines | selectattr('outcome', 'eq', 'assessed') }}"
  loop_control:
    label: "{{ item.name }}"

- name: Count what is outstanding, going by assessments of the last day
  winfleet.hotpatch.patch_assessment:
    resource_group: rg-app
    name: vm-app-1
    subscription_id: 00000000-0000-0000-0000-000000000000
    max_age: 86400
    details: none
  delegate_to: localhost
"""

RETURN = r"""
machines:
  description: One entry a machine, in the order of O(resource_ids).
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: ARM ID of the machine.
      returned: always
      type: str
    name:
      description: Name of the machine.
      returned: always
      type: str
    outcome:
      description:
        - V(assessed); V(skipped) when it is switched off; V(running) when it was not waited for to the end;
          V(not_started); or V(failed).
      returned: always
      type: str
      sample: assessed
    reason_code:
      description: A stable word for RV(machines[].reason).
      returned: when there is a reason
      type: str
      sample: stopped
    reason:
      description: Why it was not assessed.
      returned: when there is a reason
      type: str
    error:
      description: Azure's own error with its code, message and request ID.
      returned: when Azure refused or failed
      type: dict
    source:
      description: V(assessment), or V(instance_view) when an earlier one was fresh enough.
      returned: when assessed
      type: str
    started_by:
      description: V(us), or V(other) when somebody else's assessment was followed.
      returned: when an assessment ran
      type: str
    joined:
      description: V(true) when an assessment was followed that ran already.
      returned: when joined
      type: bool
    status:
      description: ARM's status of the assessment.
      returned: when known
      type: str
      sample: Succeeded
    assessment_activity_id:
      description: Azure's ID of the assessment.
      returned: when known
      type: str
    start_time:
      description: When the assessment began, in UTC.
      returned: when known
      type: str
      sample: "2026-05-13T01:00:04Z"
    reboot_pending:
      description: Whether Azure says that a restart is pending.
      returned: when known
      type: bool
    critical_and_security_patch_count:
      description: Patches of the classes Critical and Security that are outstanding.
      returned: when known
      type: int
    other_patch_count:
      description: Other patches that are outstanding.
      returned: when known
      type: int
    found_update_count:
      description: All patches that are outstanding.
      returned: when known
      type: int
    updates:
      description:
        - The outstanding patches by their IDs, with the keys of M(ansible.windows.win_updates) and ARM's
          C(reboot_behavior) and C(published_date).
      returned: with O(details=all)
      type: dict
      sample:
        4dd4ab25-0f5e-4f6a-8b4a-2b4ee0e8a6a1:
          id: 4dd4ab25-0f5e-4f6a-8b4a-2b4ee0e8a6a1
          title: "2026-05 Hotpatch for Windows Server (KB5087423)"
          kb: ["5087423"]
          categories: [Security]
          downloaded: false
          installed: false
          reboot_behavior: NeverReboots
          published_date: "2026-05-12T17:00:00Z"
counts:
  description: How many machines there are, and how many of each RV(machines[].outcome).
  returned: always
  type: dict
  sample:
    machines: 12
    assessed: 11
    skipped: 1
stop_code:
  description: Why machines were not started any more, as one word such as V(timeout), V(stopped) or V(aborted).
  returned: when the task ended before all machines had their turn
  type: str
  sample: aborted
duration:
  description: Seconds it took.
  returned: always
  type: float
msg:
  description: The counts in words, or why the module failed.
  returned: always
  type: str
  sample: "12 machines: 11 assessed, 1 skipped."
"""

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import patch_assessment_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.assess import run
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import module_main


def main() -> None:
    """Run the module."""
    module_main(patch_assessment_spec(), run)


if __name__ == "__main__":
    main()
