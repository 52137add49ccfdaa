#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of rollout_why; the action plugin of the same name does the work on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_why
short_description: Tell why machines of a rollout have their verdict
version_added: "0.1.0"
author:
  - winfleet contributors (@winfleet)
description:
  - Prints for each machine the whole chain of reasons - release, ring, wave, placement, window, eligibility, enrolment,
    track, what was chosen, installed, restarted and proven, and the verdict.
  - It reads the state folder and its events. Neither Azure nor a guest is asked, and nothing is written.
options:
  state_dir:
    description: The folder of the rollout's state.
    type: path
    required: true
  hosts:
    description: Machines by host name, name in Azure or ARM ID.
    type: list
    elements: str
    required: true
  rollout_id:
    description: Name of an earlier rollout that the folder keeps. By default its last one.
    type: str
    default: ""
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
attributes:
  check_mode:
    support: full
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
  - module: winfleet.hotpatch.rollout_report
"""

EXAMPLES = r"""
- name: Why is it withheld?
  winfleet.hotpatch.rollout_why:
    state_dir: ~/.local/state/winfleet.hotpatch
    hosts: [app01]
  run_once: true
"""

RETURN = r"""
rollout_id:
  description: Name of the rollout.
  returned: success
  type: str
machines:
  description: The chain of each machine.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: Its host name.
      returned: always
      type: str
    id:
      description: Its ARM ID.
      returned: always
      type: str
    verdict:
      description: Its verdict, if it has one.
      returned: always
      type: str
    chain:
      description: The links in their order, each with C(step) and C(text).
      returned: always
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_WHY


def main() -> None:
    """Fail clearly: what this does belongs to the control node."""
    module = AnsibleModule(argument_spec=ROLLOUT_WHY, supports_check_mode=True)
    module.fail_json(
        msg="winfleet.hotpatch.rollout_why is done on the control node by its action plugin, never on a host."
    )


if __name__ == "__main__":
    main()
