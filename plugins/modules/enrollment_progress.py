#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of enrollment_progress; the action plugin of the same name does the work on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: enrollment_progress
short_description: Say how far an enrolment has come, and wait for the next look at the guests
version_added: "0.1.0"
author:
  - winfleet contributors (@winfleet)
description:
  - A part of the role C(winfleet.hotpatch.enroll), which is what to run. It is described here for those who build a
    playbook of their own.
  - Says for each machine whether hotpatching is effective in its guest, and why not. While machines are waited for and
    time is left it sleeps until the next round; in the end it prints the table.
options:
  ids:
    description: ARM ID by host, the RV(winfleet.hotpatch.rollout_plan#module:ids) of M(winfleet.hotpatch.rollout_plan).
    type: dict
    required: true
  enrollment:
    description: The registered result of M(winfleet.hotpatch.enrollment).
    type: dict
    required: true
  machines:
    description: The registered result of M(winfleet.hotpatch.machine_info), read after the change.
    type: dict
    required: true
  guest_variable:
    description: Name of the variable in which each host has this round's result of M(winfleet.hotpatch.guest_info).
    type: str
  previous:
    description: The registered result of the round before; empty before the first round.
    type: dict
    default: {}
  preflight_overrides:
    description: Codes that do not count; of these V(enrolment_in_guest) matters here.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for the guests, from the call without O(previous).
    type: int
    default: 14400
  interval:
    description: Seconds between two rounds, stretched so that there are at most 24.
    type: int
    default: 300
  error_budget:
    description: How many machines, or which percentage, may end as refused, failed, unreachable or unknown.
    type: str
    default: "0"
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
attributes:
  check_mode:
    support: full
    details:
      - Prints what M(winfleet.hotpatch.enrollment) foresees, and waits for nobody.
  diff_mode:
    support: N/A
    details:
      - Nothing is changed.
  idempotent:
    support: full
  action:
    support: full
    details:
      - The action plugin does all the work on the control node; no connection to the host is opened.
  async:
    support: none
seealso:
  - module: winfleet.hotpatch.enrollment
  - module: winfleet.hotpatch.guest_info
"""

EXAMPLES = r"""
- name: Work out whose guest has to be asked
  winfleet.hotpatch.enrollment_progress:
    ids: "{{ targets.ids }}"
    enrollment: "{{ enrolled }}"
    machines: "{{ fleet }}"
  run_once: true
  register: progress

- name: Ask the guests
  winfleet.hotpatch.guest_info:
    gather_subset: [enrolment, identity]
  register: guest
  when: inventory_hostname in progress.pending

- name: Say how far they are
  winfleet.hotpatch.enrollment_progress:
    ids: "{{ targets.ids }}"
    enrollment: "{{ enrolled }}"
    machines: "{{ fleet }}"
    guest_variable: guest
    previous: "{{ progress }}"
  run_once: true
  register: progress
"""

RETURN = r"""
again:
  description: Whether another round is to be made; the time until then has been slept.
  returned: success
  type: bool
pending:
  description: The hosts whose guests are to be asked in that round.
  returned: success
  type: list
  elements: str
deadline:
  description: When the last round is made, in UTC.
  returned: success
  type: str
  sample: "2026-05-13T05:00:00Z"
machines:
  description:
    - Each machine with C(host), C(id), C(state) (V(enrolled), V(enrolling), V(refused), V(unreachable), V(unknown) or
      V(failed); in check mode the outcome of M(winfleet.hotpatch.enrollment)), C(reason_code), C(reason), and C(waits),
      which tells whether it is worth asking the guest again.
  returned: success
  type: list
  elements: dict
totals:
  description: How many machines there are, and how many in each state.
  returned: success
  type: dict
  sample: {machines: 14, enrolled: 12, enrolling: 2}
failure:
  description: Why the campaign failed, by O(error_budget); empty if it did not.
  returned: success
  type: str
  sample: ""
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ENROLLMENT_PROGRESS


def main() -> None:
    """Fail clearly: what this does belongs to the control node."""
    module = AnsibleModule(argument_spec=ENROLLMENT_PROGRESS, supports_check_mode=True)
    module.fail_json(
        msg="winfleet.hotpatch.enrollment_progress is done on the control node by its action plugin, never on a host."
    )


if __name__ == "__main__":
    main()
