#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches hotpatching on or off for virtual machines, or holds them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: enrollment
short_description: Switch hotpatching on or off for many Azure virtual machines, or hold them
version_added: 0.1.0
description:
  - Sets the patch settings of virtual machines (C(osProfile.windowsConfiguration.patchSettings)), and in them only
    what differs. Nothing else of a machine is touched.
  - What Azure is known to refuse, by a recorded answer or by its published schema, is not sent. The reason names the
    evidence, and O(preflight_overrides) lifts the rule. Where Azure itself refuses, its own error is returned whole.
  - A change is sent once, and only on the settings that were read. When its answer is lost, the machine is read until
    it shows whether Azure took it. Afterwards every machine is read back.
  - The settings take effect in the guest minutes to hours later. The role C(winfleet.hotpatch.enroll) waits for that.
author:
  - winfleet contributors (@winfleet)
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.attributes.fleet
  - winfleet.hotpatch.action_group
  - winfleet.hotpatch.azure
  - winfleet.hotpatch.targets
  - winfleet.hotpatch.patch_settings
  - winfleet.hotpatch.waiting
  - winfleet.hotpatch.waiting.failures
attributes:
  check_mode:
    support: full
    details:
      - Says what would be sent and what would be refused.
  diff_mode:
    support: full
    details:
      - Shows the C(patchSettings) of each machine that differs, before and after.
  idempotent:
    support: full
options:
  wait:
    description:
      - Whether to wait until Azure has finished, and to read the machines back.
      - With V(false) the entries say V(running), and a later run finds the machines as they are then.
    type: bool
    default: true
  wait_timeout:
    description:
      - Seconds to wait for all machines together. What then is under way has the outcome V(running), and the module
        fails with the results of all machines.
    type: int
    default: 1800
  preflight_overrides:
    description:
      - Codes of rules that shall not count.
      - V(image_not_supported), V(scale_set_member), V(vm_agent_off), V(extension_operations_off), V(agent_not_ready),
        V(not_windows), V(created_with_updates_off), V(created_with_updates_on) and V(customer_schedule_flag) are rules
        of this module. The codes of other modules and roles are accepted and ignored, so that one list serves all.
      - With V(customer_schedule_flag) and O(state=present), C(bypassPlatformSafetyChecksOnUserSchedule) is cleared
        along with enabling. A maintenance schedule of the machine then no longer runs. A machine that was
        O(state=held) needs it to come back.
    type: list
    elements: str
    default: []
notes:
  - That patch mode V(AutomaticByPlatform) needs C(enableAutomaticUpdates) is no rule here, since Microsoft's schema and
    Microsoft's documentation contradict each other. Azure decides.
seealso:
  - module: winfleet.hotpatch.machine_info
  - module: winfleet.hotpatch.guest_info
"""

EXAMPLES = r"""
- name: Enrol the machines of the play
  winfleet.hotpatch.enrollment:
    resource_ids: "{{ ansible_play_hosts_all | map('extract', hostvars, 'hotpatch_resource_id') | list }}"
    assessment_mode: AutomaticByPlatform
    reboot_setting: Never
    max_failures: 5%
  delegate_to: localhost
  run_once: true

- name: Show what would change
  winfleet.hotpatch.enrollment:
    resource_ids: "{{ fleet }}"
  delegate_to: localhost
  run_once: true
  check_mode: true
  diff: true

- name: Keep machines from the platform's own patching for a while
  winfleet.hotpatch.enrollment:
    resource_ids: "{{ later_rings }}"
    state: held
  delegate_to: localhost
  run_once: true

- name: Take them back
  winfleet.hotpatch.enrollment:
    resource_ids: "{{ later_rings }}"
    state: present
    preflight_overrides: [customer_schedule_flag]
  delegate_to: localhost
  run_once: true
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
        - V(changed) when the settings were set and the machine shows them.
        - V(unchanged) when they were as wanted.
        - V(would_change) in check mode.
        - V(refused) when nothing was sent, since Azure would refuse it.
        - V(running) when it was not waited for to the end.
        - V(not_started) when nothing more was to be sent.
        - V(failed) otherwise.
        - Of these V(refused) and V(failed) count against O(max_failures).
      returned: always
      type: str
      sample: changed
    reason_code:
      description: A stable word for RV(machines[].reason); the rule's code when RV(machines[].outcome=refused).
      returned: when something stands against it
      type: str
      sample: image_not_supported
    reason_codes:
      description: The codes of all rules that stand against it.
      returned: when RV(machines[].outcome=refused)
      type: list
      elements: str
    reason:
      description: What was set, or why it was not; for a refusal with its evidence.
      returned: always
      type: str
      sample: Set enableHotpatching=True.
    patch_settings:
      description: What was sent of C(patchSettings), or would be, in ARM's shape.
      returned: when something differed and was not refused
      type: dict
      sample:
        enableHotpatching: true
    error:
      description: Azure's own error with its code, message, target, details and request ID.
      returned: when Azure refused or failed
      type: dict
counts:
  description: How many machines there are, and how many of each RV(machines[].outcome).
  returned: always
  type: dict
  sample:
    machines: 12
    changed: 3
    unchanged: 9
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
  sample: "12 machines: 3 changed, 9 unchanged."
"""

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import enrollment_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.enroll import run
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import module_main


def main() -> None:
    """Run the module."""
    module_main(enrollment_spec(), run)


if __name__ == "__main__":
    main()
