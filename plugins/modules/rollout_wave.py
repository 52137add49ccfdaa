#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of rollout_wave; the action plugin of the same name does the work on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_wave
short_description: Decide for one wave of a rollout who starts, what is installed, and what became of it
version_added: "0.1.0"
author:
  - winfleet contributors (@winfleet)
description:
  - A part of the playbook C(winfleet.hotpatch.rollout), which is what to run.
  - It decides and remembers, and asks the guests. Azure is asked by the tasks between its phases, whose results it
    takes, also when they failed.
  - Phase V(preflight) judges who is not started. Phase V(select) chooses the KBs, and notes that from now on
    installations may be sent. Phase V(hooked) notes whose hooks failed. In a baseline month phase V(restart) asks the
    guests after their installations and says who is restarted, and phase V(settle) waits until they are back, with no
    restart pending, their services running and component based servicing at rest. Phase V(judge) gives every machine of
    the wave its verdict. Phase V(gate) says whether the budgets let the rollout go on.
  - Phase V(verify) belongs to C(winfleet.hotpatch.verify), and compares guests with the current release outside any
    rollout.
  - Except in phase V(verify), the state of the rollout and its events are on the disk when the task returns.
options:
  phase:
    description: What to decide.
    type: str
    choices: [preflight, select, hooked, restart, settle, judge, gate, verify]
    required: true
  plan:
    description: Result of M(winfleet.hotpatch.rollout_plan); for O(phase=verify) that of its phase V(targets).
    type: dict
    default: {}
  hosts:
    description: The hosts of the batch. A host of another wave, or of none, is left alone.
    type: list
    elements: str
    required: true
  machines:
    description: Result of M(winfleet.hotpatch.machine_info), for O(phase=preflight), O(phase=judge), O(phase=verify).
    type: dict
    default: {}
  preflight:
    description: Result of O(phase=preflight), for the phases after it.
    type: dict
    default: {}
  assessments:
    description: Result of M(winfleet.hotpatch.patch_assessment) with C(details=all), for O(phase=select).
    type: dict
    default: {}
  selection:
    description: Result of O(phase=select), for the phases after it.
    type: dict
    default: {}
  installations:
    description: Result of M(winfleet.hotpatch.patch_installation), for O(phase=restart) and O(phase=judge).
    type: dict
    default: {}
  restarts:
    description: Result of M(winfleet.hotpatch.machine_restart), for O(phase=settle).
    type: dict
    default: {}
  judgement:
    description: Result of O(phase=judge), for O(phase=gate).
    type: dict
    default: {}
  control:
    description: Result of M(winfleet.hotpatch.rollout_control), for the KBs that it says are blocked.
    type: dict
    default: {}
  hooks:
    description: The user's hooks by stage, as in C(hotpatch_hooks).
    type: dict
    default: {}
  stage:
    description: For O(phase=hooked), whose hooks were run.
    type: str
    choices: [before_machine, after_machine]
  guest_variable:
    description:
      - Name of the variable in which each host has its result of M(winfleet.hotpatch.guest_info).
      - Without it the guests are read by the task itself, many beside each other.
    type: str
  guest_timeout:
    description: Seconds to wait at proof time for guests that do not answer.
    type: int
    default: 900
  proof:
    description: Whether guests prove the installation, or Azure's word is taken.
    type: str
    choices: [guest, azure]
    default: guest
  kb_numbers:
    description: For O(phase=verify), KBs to look for in place of what the release calendar says.
    type: list
    elements: str
    default: []
  preflight_overrides:
    description: Codes of eligibility rules that do not count.
    type: list
    elements: str
    default: []
  exclude_kbs_requiring_reboot:
    description: For O(phase=select), choose only what is offered as never restarting.
    type: bool
    default: true
  brake:
    description:
      - For O(phase=select), leave a machine alone that is offered a Critical or Security update that always restarts.
    type: bool
    default: true
  blocked_kbs:
    description: For O(phase=select), KBs that no machine is sent.
    type: list
    elements: str
    default: []
  approved_kbs:
    description: For O(phase=select), KBs that need no proof by an earlier ring.
    type: list
    elements: str
    default: []
  unproven_products:
    description:
      - For O(phase=select), products such as V(ws2022) that go on although no earlier ring proved them, or V(all).
    type: list
    elements: str
    default: []
  restart_budget:
    description: For O(phase=gate), how many machines of a ring, or which percentage, may have restarted unasked.
    type: str
  maximum_duration:
    description: What Azure gives one installation, as ISO 8601 duration, by which windows are judged.
    type: str
    default: PT2H
  max_cpu_percent:
    description: Highest load of all processors together, in percent, with which a guest is still installed on.
    type: float
  min_free_memory:
    description: Least free memory, in MiB, with which a guest is still installed on.
    type: int
  measure_load:
    description: Whether the load of the guests is read before and after and kept; limits ask for it as well.
    type: bool
    default: false
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.calendar
attributes:
  check_mode:
    support: full
    details:
      - The decisions are made and printed; nothing is written.
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
  - module: winfleet.hotpatch.rollout_report
"""

EXAMPLES = r"""
- name: Decide who may start
  winfleet.hotpatch.rollout_wave:
    phase: preflight
    plan: "{{ rollout_plan }}"
    hosts: "{{ ansible_play_batch }}"
    machines: "{{ wave_machines }}"
    guest_variable: guest_before
  run_once: true
  register: wave_preflight
"""

RETURN = r"""
start:
  description: Hosts that may be started.
  returned: with O(phase=preflight)
  type: list
  elements: str
start_ids:
  description: ARM IDs of RV(start).
  returned: with O(phase=preflight)
  type: list
  elements: str
join:
  description: Hosts whose installation was sent by a run that was interrupted, and may be running.
  returned: with O(phase=preflight)
  type: list
  elements: str
done:
  description: Hosts whose installation was sent by a run that was interrupted, and has ended.
  returned: with O(phase=preflight)
  type: list
  elements: str
trouble:
  description: Why the wave as a whole cannot start; empty if it can.
  returned: with O(phase=preflight)
  type: str
install_ids:
  description: ARM IDs to be handed to M(winfleet.hotpatch.patch_installation).
  returned: with O(phase=select)
  type: list
  elements: str
kb_numbers:
  description: The KBs to install, of all products of the wave together.
  returned: with O(phase=select)
  type: list
  elements: str
  sample: [KB5087423, KB5087424]
prove_hosts:
  description: Hosts whose guest is to be asked after the installation.
  returned: with O(phase=select)
  type: list
  elements: str
kb_numbers_by_machine:
  description: The KBs of each machine that is to be installed, by ARM ID.
  returned: with O(phase=select)
  type: dict
latest_starts:
  description:
    - The last moment at which each machine may be started, or restarted, by ARM ID; only those whose window closes.
  returned: with O(phase=select) and O(phase=restart)
  type: dict
join_only_ids:
  description: ARM IDs of the machines on which only what runs already is followed, and nothing is started.
  returned: with O(phase=select)
  type: list
  elements: str
restarting_ids:
  description: ARM IDs of the machines whose release is a baseline and that may be restarted after it.
  returned: with O(phase=select)
  type: list
  elements: str
restart_ids:
  description: ARM IDs to be handed to M(winfleet.hotpatch.machine_restart).
  returned: with O(phase=restart)
  type: list
  elements: str
once_since:
  description: When the rollout began; a machine that it restarted since then is not restarted again.
  returned: with O(phase=restart)
  type: str
restarted:
  description: Hosts to which a restart was sent.
  returned: with O(phase=settle)
  type: list
  elements: str
hook_hosts:
  description: Hosts whose hooks are to be run, since this run starts them.
  returned: with O(phase=select)
  type: list
  elements: str
hooks_before:
  description: The hooks to run before the machines.
  returned: with O(phase=select)
  type: list
  elements: dict
hooks_after:
  description: The hooks to run after the machines.
  returned: with O(phase=select)
  type: list
  elements: dict
dropped_ids:
  description: ARM IDs of the machines whose hook failed.
  returned: with O(phase=hooked)
  type: list
  elements: str
hooks_after_wave:
  description: The hooks to run after the wave.
  returned: with O(phase=judge)
  type: list
  elements: dict
hooks_after_ring:
  description: The hooks to run after its ring, where that ends with the wave.
  returned: with O(phase=judge)
  type: list
  elements: dict
verdicts:
  description: The verdict of each host of the wave.
  returned: with O(phase=judge)
  type: dict
  sample: {app01: patched, app02: already_current}
stop:
  description: Whether no further wave may start; the message says why.
  returned: with O(phase=gate)
  type: bool
machines:
  description: What was found of each machine, with the evidence.
  returned: with O(phase=verify)
  type: list
  elements: dict
current:
  description: How many machines are at the current release.
  returned: with O(phase=verify)
  type: int
draft:
  description: The state of the rollout, where it is not written to the state folder.
  returned: in check mode, except with O(phase=verify)
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_WAVE


def main() -> None:
    """Fail clearly: what this does belongs to the control node."""
    module = AnsibleModule(argument_spec=ROLLOUT_WAVE, supports_check_mode=True)
    module.fail_json(
        msg="winfleet.hotpatch.rollout_wave is done on the control node by its action plugin, never on a host."
    )


if __name__ == "__main__":
    main()
