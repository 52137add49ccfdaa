#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of rollout_plan; the action plugin of the same name does the work on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_plan
short_description: Plan a rollout of the current hotpatch release in waves
version_added: "0.1.0"
author:
  - winfleet contributors (@winfleet)
description:
  - A part of the playbook C(winfleet.hotpatch.rollout), which is what to run. It is described here for those who build
    a playbook of their own from the stages of the role C(winfleet.hotpatch.rollout).
  - Phase V(targets) finds the ARM ID of each host.
  - Phase V(plan) leaves out the machines that Azure says cannot be patched now, with the reason, and gives the others
    their rings and waves, so that what depends on each other is never under way together. It takes the lock of the
    state folder for the running C(ansible-playbook), and writes the plan there.
  - A rollout that was interrupted is taken up again. Its machines keep their verdicts and their waves.
options:
  phase:
    description: What to do.
    type: str
    choices: [targets, plan]
    required: true
  hosts:
    description: For O(phase=targets), the inventory names of the hosts, in the order they are to be taken.
    type: list
    elements: str
    default: []
  ids:
    description: For O(phase=plan), the RV(ids) of the phase before.
    type: dict
    default: {}
  machines:
    description: For O(phase=plan), the C(machines) that M(winfleet.hotpatch.machine_info) returned.
    type: list
    elements: dict
    default: []
  wave_sizes:
    description:
      - Size of each wave, as a number of machines, a percentage of the ring's machines that can start, V(double), or
        V(double up to 25%). The last size is repeated.
    type: list
    elements: str
    default: ["1", "25%", "100%"]
  error_budget:
    description:
      - How many machines, or which percentage of those with a wave, may end badly before no further wave is started.
      - Without it the budget is V(0), or with O(rings) each ring's own.
    type: str
  rings:
    description: The rings in their order, as C(hotpatch_rings) in the README of the role C(winfleet.hotpatch.rollout).
    type: list
    elements: dict
    default: []
  wave_error_budget:
    description: The error budget of one wave, for rings that have none of their own.
    type: str
  soak:
    description: Seconds or an ISO 8601 duration between two rings, for rings that have none of their own.
    type: str
  blackout_dates:
    description: Local dates, or spans of dates, on which no machine is started.
    type: list
    elements: raw
    default: []
  spread:
    description: V(availability_first), V(none), or a list of the rules of placement to keep.
    type: raw
  service_tag:
    description: The Azure tag that names a machine's service.
    type: str
  kb_numbers:
    description: KBs to install in place of what the release calendar says.
    type: list
    elements: str
    default: []
  blocked_kbs:
    description: KBs that no machine is sent.
    type: list
    elements: str
    default: []
  preflight_overrides:
    description: Codes of eligibility rules that do not count.
    type: list
    elements: str
    default: []
  restart:
    description:
      - The explicit word that machines whose release is a baseline are restarted after its installation.
      - Without it a rollout of which every machine has a baseline before it is refused, and single ones end as
        C(not_started).
    type: bool
    default: false
  restart_timeout:
    description: Seconds that a restarted machine is given to come back and to come to rest.
    type: int
    default: 1800
  proof:
    description: Whether guests prove the installation, or Azure's word is taken, which O(restart) rules out.
    type: str
    choices: [guest, azure]
    default: guest
  retry:
    description: Install again where an earlier rollout of the same release sent an installation that ended badly.
    type: bool
    default: false
  maximum_duration:
    description: The time that Azure gives one installation; a machine that cannot finish in its window is not started.
    type: str
    default: PT2H
  expected_minutes:
    description: What one wave is expected to take; for the forecast only.
    type: int
    default: 15
  locations:
    description: The C(subscriptions) that M(winfleet.hotpatch.location_info) returned.
    type: list
    elements: dict
    default: []
  ask_guests:
    description:
      - Ask the guests, over each host's own connection variables, for what only they know, namely whether they are
        domain controllers or nodes of a failover cluster.
    type: bool
    default: false
  ask_timeout:
    description: Seconds for all guests together; those that have not answered by then count as silent.
    type: int
    default: 120
  guest_timeout:
    description: Seconds that the proof of one machine may take after its installation.
    type: int
    default: 900
  follow:
    description: Follow O(plan) or O(plan_file) to the letter, and refuse where the fleet differs from it.
    type: bool
    default: false
  plan_file:
    description: Where O(print_only=true) writes the plan, and O(follow=true) reads it.
    type: path
  plan:
    description: A plan to follow, as RV(plan) of an earlier run.
    type: dict
    default: {}
  confirm_above:
    description: More machines than this are started only when O(confirm) allows as many.
    type: int
    default: 500
  confirm:
    description: The number of machines that may be started at most.
    type: str
  details:
    description: V(all) prints every machine also of a large fleet.
    type: str
    choices: [auto, all]
    default: auto
  state_dir:
    description: For O(phase=plan), the folder of the state, the journal and the lock.
    type: path
  print_only:
    description: Only print the plan; take no lock and write nothing. Check mode does the same.
    type: bool
    default: false
  hooks:
    description: The user's hooks by stage, as in C(hotpatch_hooks), to know whether machines have any.
    type: dict
    default: {}
  catch_up:
    description:
      - Take only machines that the last rollout of O(state_dir) passed over, since they were stopped or their guests
        did not answer, and send them only what was due then.
    type: bool
    default: false
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.calendar
attributes:
  check_mode:
    support: full
    details:
      - The plan is printed; no lock is taken and nothing is written.
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
  - module: winfleet.hotpatch.rollout_wave
  - module: winfleet.hotpatch.rollout_report
"""

EXAMPLES = r"""
- name: Find the machines
  winfleet.hotpatch.rollout_plan:
    phase: targets
    hosts: "{{ ansible_play_hosts_all }}"
  run_once: true
  register: targets

- name: Read them
  winfleet.hotpatch.machine_info:
    resource_ids: "{{ targets.ids.values() | list }}"
  run_once: true
  delegate_to: localhost
  register: fleet

- name: Print the plan
  winfleet.hotpatch.rollout_plan:
    phase: plan
    ids: "{{ targets.ids }}"
    machines: "{{ fleet.machines }}"
    state_dir: ~/.local/state/winfleet.hotpatch
    print_only: true
  run_once: true
"""

RETURN = r"""
ids:
  description: ARM ID by host.
  returned: success
  type: dict
  sample:
    app01: >-
      /subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/app01
subscriptions:
  description: The subscriptions of these machines.
  returned: success, with O(phase=targets)
  type: list
  elements: str
plan:
  description:
    - The plan as it can be carried, for O(plan) of a later run. Empty where it is too large for a statistic of AWX.
  returned: success, with O(phase=plan)
  type: dict
digest:
  description: Names what the plan decides.
  returned: success, with O(phase=plan)
  type: str
  sample: 3f0b6a1e9c2d7788
plan_file:
  description: Where the plan was written.
  returned: success, with O(phase=plan), when it was written
  type: str
exposed:
  description: Hosts that the platform may patch by itself before their turn.
  returned: success, with O(phase=plan)
  type: list
  elements: str
rollout_id:
  description: Name of the rollout.
  returned: success, with O(phase=plan)
  type: str
  sample: 20260513T010000Z-9f3c
resumed:
  description: Whether an interrupted rollout was taken up again.
  returned: success, with O(phase=plan)
  type: bool
hosts:
  description: The hosts still to be taken, in the order of their waves.
  returned: success, with O(phase=plan)
  type: list
  elements: str
wave_sizes:
  description: The number of hosts of each wave, for C(serial). V([1]) where there is no host to take.
  returned: success, with O(phase=plan)
  type: list
  elements: int
state_dir:
  description: The state folder.
  returned: success, with O(phase=plan)
  type: str
calendar_options:
  description: O(calendar_file) and O(calendar) where they were given; the waves of this plan go by the same calendar.
  returned: success, with O(phase=plan)
  type: dict
machine_hooks:
  description: Whether hooks are to be run on machines; where none are, the waves need not ask every host.
  returned: success, with O(phase=plan)
  type: bool
draft:
  description: The whole plan, where it was not written to the state folder.
  returned: with O(phase=plan), in check mode or with O(print_only=true)
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_PLAN


def main() -> None:
    """Fail clearly: what this does belongs to the control node."""
    module = AnsibleModule(argument_spec=ROLLOUT_PLAN, supports_check_mode=True)
    module.fail_json(
        msg="winfleet.hotpatch.rollout_plan is done on the control node by its action plugin, never on a host."
    )


if __name__ == "__main__":
    main()
