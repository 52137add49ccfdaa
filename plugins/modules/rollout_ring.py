#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of rollout_ring; the action plugin of the same name does the work on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_ring
short_description: Take a rollout from wave to wave and from ring to ring
version_added: "0.1.0"
author:
  - winfleet contributors (@winfleet)
description:
  - A part of the playbook C(winfleet.hotpatch.rollout), which is what to run.
  - Phase V(begin) checks hooks and options before anything is sent, and says which machines to hold.
  - Phase V(approach) says what the next wave waits for. Phase V(enter) proves rings again whose soak is over, asks the
    windows who may start when, and notes that wave and ring start.
  - Phase V(held) notes who is held, phase V(released) waits until held machines are enrolled again.
  - Phase V(hooked) notes whether a hook of the rollout, a ring or a wave failed, which stops the rollout.
  - Phase V(finish) says what a stop left.
  - The state of the rollout and its events are on the disk when the task returns.
options:
  phase:
    description: What to do.
    type: str
    choices: [begin, held, approach, enter, released, hooked, finish]
    required: true
  plan:
    description: Result of M(winfleet.hotpatch.rollout_plan).
    type: dict
    required: true
  hosts:
    description: The hosts of the batch, for the phases that are about a wave.
    type: list
    elements: str
    default: []
  control:
    description: Result of M(winfleet.hotpatch.rollout_control), for O(phase=enter).
    type: dict
    default: {}
  enrollment:
    description: Result of M(winfleet.hotpatch.enrollment), for O(phase=held) and O(phase=released).
    type: dict
    default: {}
  machines:
    description: Result of M(winfleet.hotpatch.machine_info), for O(phase=released).
    type: dict
    default: {}
  hooks:
    description: The user's hooks by stage, as in C(hotpatch_hooks).
    type: dict
    default: {}
  stage:
    description: For O(phase=hooked), whose hooks were run.
    type: str
    choices: [before_rollout, after_rollout, before_ring, after_ring, before_wave, after_wave]
  wanted:
    description: For O(phase=hooked), how many hooks there were.
    type: int
    default: 0
  hold:
    description: For O(phase=begin), whether machines whose rings are not reached yet are to be held.
    type: bool
    default: false
  on_stop:
    description: For O(phase=finish), whether a stop holds the machines that it left.
    type: str
    choices: [leave, hold]
    default: leave
  proof:
    description: Whether guests are asked. With V(azure) a soak only waits.
    type: str
    choices: [guest, azure]
    default: guest
  guest_timeout:
    description: Seconds to wait for guests that do not answer.
    type: int
    default: 900
  preflight_overrides:
    description: Codes of eligibility rules that do not count.
    type: list
    elements: str
    default: []
  maximum_duration:
    description: What Azure gives one installation, as ISO 8601 duration, by which windows are judged.
    type: str
    default: PT2H
  window_patience:
    description: How long a wave waits for windows to open, as seconds or ISO 8601 duration.
    type: str
    default: P1D
  restart_budget:
    description: How many machines of a ring, or which percentage, may have restarted unasked.
    type: str
  release_timeout:
    description: Seconds to wait until released machines are enrolled again.
    type: int
    default: 14400
  soak_services:
    description: Windows services that must run after a soak.
    type: list
    elements: str
    default: []
  soak_most_cpu_percent:
    description: The highest load after a soak, in percent.
    type: float
  soak_least_memory_mb:
    description: The least free memory after a soak, in MB.
    type: int
  max_cpu_percent:
    description: For O(phase=begin), the limit of load that is checked before anything is sent, in percent.
    type: float
  min_free_memory:
    description: For O(phase=begin), the limit of free memory that is checked before anything is sent, in MiB.
    type: int
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
attributes:
  check_mode:
    support: full
    details:
      - The role does not run it in check mode; with a plan of check mode nothing is written.
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
  - module: winfleet.hotpatch.rollout_control
"""

EXAMPLES = r"""
- name: Say what the wave waits for
  winfleet.hotpatch.rollout_ring:
    phase: approach
    plan: "{{ rollout_plan }}"
    hosts: "{{ ansible_play_batch }}"
  run_once: true
  register: wave_approach
"""

RETURN = r"""
stop:
  description: Whether no further wave may start; the message says why.
  returned: with O(phase=approach), O(phase=enter), O(phase=hooked)
  type: bool
until:
  description: The moment that the wave waits for, empty for none.
  returned: with O(phase=approach), O(phase=enter)
  type: str
waiting_for:
  description: What it waits for, in words.
  returned: with O(phase=approach), O(phase=enter)
  type: str
release_ids:
  description: ARM IDs of held machines whose turn has come.
  returned: with O(phase=enter)
  type: list
  elements: str
hooks_ring:
  description: The hooks to run before the ring, where it starts with the wave.
  returned: with O(phase=enter)
  type: list
  elements: dict
hooks_wave:
  description: The hooks to run before the wave.
  returned: with O(phase=enter)
  type: list
  elements: dict
hold_ids:
  description: ARM IDs of the machines to hold.
  returned: with O(phase=begin), O(phase=finish)
  type: list
  elements: str
exposed:
  description: Hosts that a stop left, and that Azure may patch by itself.
  returned: with O(phase=finish)
  type: list
  elements: str
hooks:
  description: The hooks to run before or after the rollout.
  returned: with O(phase=begin), O(phase=finish)
  type: list
  elements: dict
held:
  description: Hosts that are held.
  returned: with O(phase=held)
  type: list
  elements: str
not_held:
  description: Hosts that could not be held.
  returned: with O(phase=held)
  type: list
  elements: str
enrolled:
  description: How many released machines are enrolled again.
  returned: with O(phase=released)
  type: int
enrolling:
  description: Hosts that are not enrolled again yet.
  returned: with O(phase=released)
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_RING


def main() -> None:
    """Fail clearly: what this does belongs to the control node."""
    module = AnsibleModule(argument_spec=ROLLOUT_RING, supports_check_mode=True)
    module.fail_json(
        msg="winfleet.hotpatch.rollout_ring is done on the control node by its action plugin, never on a host."
    )


if __name__ == "__main__":
    main()
