#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what Azure says of virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_info
short_description: Read the patch settings and state of many Azure virtual machines
version_added: 0.1.0
description:
  - Reads virtual machines with their instance views, and says what matters for hotpatching, namely image, patch
    settings, power state, VM agent, the last assessment and the last installation, and whether the machine is
    eligible at all.
  - One task reads many machines at once. One machine that cannot be read does not hide the others.
  - A fact that could not be read is told from one that is not there.
  - Machines are named one by one, or by a scope of subscriptions, management groups and filters. Compute is asked about
    each machine and tells the truth of the moment. Resource Graph shows thousands in one request, as it knew them some
    minutes ago (O(source)).
author:
  - winfleet contributors (@winfleet)
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.attributes.info_module
  - winfleet.hotpatch.attributes.fleet
  - winfleet.hotpatch.action_group
  - winfleet.hotpatch.azure
  - winfleet.hotpatch.targets
  - winfleet.hotpatch.scope
  - winfleet.hotpatch.scope.filters
  - winfleet.hotpatch.scope.expect
  - winfleet.hotpatch.waiting.failures
options:
  source:
    description:
      - V(compute) asks Microsoft.Compute about every machine, a request each; what it says counts.
      - V(resource_graph) asks Resource Graph, a request for a thousand machines. It shows a change some minutes late,
        does not show the VM agent, and leaves out what the account may not read. It shows Arc-enabled servers as well.
      - A scope is always listed by Resource Graph; with V(compute) each machine found is then asked about.
    type: str
    choices: [compute, resource_graph]
    default: compute
    version_added: 0.2.0
  gather:
    description:
      - What to read beside the machines with O(source=resource_graph), each by queries of its own.
    type: list
    elements: str
    choices: [addresses, assessments, installations]
    default: [assessments, installations]
    version_added: 0.2.0
  resource_group:
    description:
      - Resource group of the virtual machine O(name); without O(name), all virtual machines of this group are read.
      - Without it, without O(resource_ids) and without a scope, all virtual machines of O(subscription_id) are read.
    type: str
  details:
    description:
      - With V(none) only the facts one looks at first are returned, so that the entry of a machine stays under
        about 600 bytes and the result of a large fleet still fits into an event of AWX.
    type: str
    choices: [all, none]
    default: all
  expect_settings:
    description:
      - The patch settings that the machines should have, with the options of M(winfleet.hotpatch.enrollment). What
        differs is returned as RV(machines[].drift); M(winfleet.hotpatch.enrollment) with the same options repairs it.
      - Tools that write the whole model of a machine take its patch settings away, C(azure.azcollection)'s
        C(azure_rm_virtualmachine) among them.
    type: dict
    suboptions:
      state:
        description: As O(winfleet.hotpatch.enrollment#module:state).
        type: str
        choices: [present, absent, held]
        default: present
      patch_mode:
        description: As O(winfleet.hotpatch.enrollment#module:patch_mode).
        type: str
        choices: [AutomaticByPlatform, AutomaticByOS, Manual]
      assessment_mode:
        description: As O(winfleet.hotpatch.enrollment#module:assessment_mode).
        type: str
        choices: [ImageDefault, AutomaticByPlatform]
      reboot_setting:
        description: As O(winfleet.hotpatch.enrollment#module:reboot_setting).
        type: str
        choices: [IfRequired, Never, Always]
      bypass_platform_safety_checks:
        description: As O(winfleet.hotpatch.enrollment#module:bypass_platform_safety_checks).
        type: bool
seealso:
  - module: winfleet.hotpatch.enrollment
  - module: winfleet.hotpatch.patch_assessment
  - module: winfleet.hotpatch.patch_installation
  - module: winfleet.hotpatch.guest_info
"""

EXAMPLES = r"""
- name: Read the machines of the play in one task
  winfleet.hotpatch.machine_info:
    resource_ids: "{{ ansible_play_hosts_all | map('extract', hostvars, 'hotpatch_resource_id') | list }}"
  delegate_to: localhost
  run_once: true
  register: fleet

- name: Show who cannot be hotpatched, and why
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.eligibility.reasons | map(attribute='text') | join('; ') }}"
  loop: "{{ fleet.machines | selectattr('outcome', 'eq', 'read') }}"
  when: item.eligibility.state != 'eligible'
  loop_control:
    label: "{{ item.name }}"

- name: Find the machines whose enrolment has drifted away
  winfleet.hotpatch.machine_info:
    resource_group: rg-app
    expect_settings:
      state: present
      reboot_setting: Never
  delegate_to: localhost
  run_once: true
  register: fleet
  failed_when: fleet is failed or fleet.drifted | length > 0

- name: Look over all machines of a management group, and name those that are not shown
  winfleet.hotpatch.machine_info:
    management_groups: [mg-production]
    source: resource_graph
    details: none
    expect:
      machines: "{{ groups['servers'] }}"
  delegate_to: localhost
  run_once: true

- name: Read a whole resource group, shortly
  winfleet.hotpatch.machine_info:
    resource_group: rg-app
    subscription_id: 00000000-0000-0000-0000-000000000000
    details: none
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
machines:
  description:
    - One entry a machine, in the order of O(resource_ids).
    - Facts are dictionaries of C(state) (V(value), V(absent) or V(unreadable)), C(value) and C(why).
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
      description: V(read), or V(failed) when Azure did not show the machine.
      returned: always
      type: str
      sample: read
    reason:
      description: Why the machine was not read.
      returned: when RV(machines[].outcome=failed)
      type: str
    error:
      description: Azure's own error with its code, message, target, details and request ID.
      returned: when RV(machines[].outcome=failed)
      type: dict
    read_at:
      description: When it was read, in UTC.
      returned: when RV(machines[].outcome=read)
      type: str
      sample: "2026-05-13T01:00:00Z"
    product:
      description: V(ws2022), V(ws2025), or null when it is neither or not known.
      returned: when RV(machines[].outcome=read)
      type: str
      sample: ws2025
    eligibility:
      description:
        - Whether the machine can be hotpatched, V(eligible), V(ineligible) or V(unknown), and every reason against it.
        - With O(details=none) only the state, and the reasons' codes in C(eligibility_codes).
      returned: when RV(machines[].outcome=read)
      type: dict
      sample:
        state: ineligible
        reasons:
          - code: patch_mode
            text: the patch mode is Manual; hotpatching needs AutomaticByPlatform
    drift:
      description:
        - Each setting that differs from O(expect_settings), with C(wanted) and C(actual), and C(unreadable) with the
          reason when it could not be read. Empty when nothing differs.
      returned: with O(expect_settings), when RV(machines[].outcome=read)
      type: dict
      sample:
        enable_hotpatching:
          wanted: true
          actual: null
    location:
      description: Azure region.
      returned: when RV(machines[].outcome=read)
      type: str
      sample: westeurope
    power_state:
      description: The fact whether it is V(running), V(deallocated), V(stopped) and so on.
      returned: always
      type: dict
      sample:
        state: value
        value: running
        why: ""
    patch_settings:
      description:
        - The facts C(patch_mode), C(enable_hotpatching), C(assessment_mode), C(reboot_setting) and
          C(bypass_platform_safety_checks), in ARM's spelling of the values.
      returned: with O(details=all)
      type: dict
    assessment:
      description: Summary of the last assessment, with counts but no list of patches; null without one.
      returned: with O(details=all)
      type: dict
    installation:
      description: Summary of the last installation, with counts but no list of patches; null without one.
      returned: with O(details=all)
      type: dict
source:
  description: Who was asked, as O(source).
  returned: success
  type: str
  sample: compute
read_at:
  description: When the reading began, in UTC.
  returned: success
  type: str
  sample: "2026-05-13T01:00:00Z"
may_lag_seconds:
  description: By how many seconds what was read may be older than RV(read_at).
  returned: success
  type: int
  sample: 900
missing:
  description: What O(expect.machines) named and was not read.
  returned: with O(expect)
  type: list
  elements: str
counts:
  description: How many machines there are, and how many of each RV(machines[].outcome).
  returned: always
  type: dict
  sample:
    machines: 12
    read: 11
    failed: 1
drifted:
  description: ARM IDs of the machines that were read and have RV(machines[].drift).
  returned: with O(expect_settings)
  type: list
  elements: str
duration:
  description: Seconds it took.
  returned: always
  type: float
msg:
  description: The counts in words, or why the module failed.
  returned: always
  type: str
  sample: "12 machines: 11 read, 1 failed."
"""

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import machine_info_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.info import run
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import module_main


def main() -> None:
    """Run the module."""
    module_main(machine_info_spec(), run)


if __name__ == "__main__":
    main()
