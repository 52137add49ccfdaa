#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of rollback_step; the action plugin of the same name does the work on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_step
short_description: Decide and prove that an update is taken off a machine
version_added: "0.1.0"
author:
  - winfleet contributors (@winfleet)
description:
  - A part of the playbook C(winfleet.hotpatch.rollback), which is what to run.
  - Phase V(begin) says whether the update may be taken off, and remembers that it was begun.
  - Phase V(staged) fails where the tasks that uninstall it left no trace.
  - Phase V(prove) waits until the guest has restarted, is at rest, and no longer lists the update.
options:
  phase:
    description: What to decide.
    type: str
    choices: [begin, staged, prove]
    required: true
  host:
    description: The host, whose own WinRM variables are used.
    type: str
    required: true
  resource_id:
    description: Its ARM ID.
    type: str
    required: true
  kb:
    description: For O(phase=begin), the KB to take off.
    type: str
    default: ""
  confirm:
    description: For O(phase=begin), the explicit word.
    type: bool
    default: false
  tasks:
    description: For O(phase=begin), the tasks that uninstall it.
    type: path
  machines:
    description: For O(phase=begin), RV(winfleet.hotpatch.machine_info#module:machines).
    type: list
    elements: dict
    default: []
  state_dir:
    description: The folder in which what was begun is kept.
    type: path
    required: true
  timeout:
    description: Seconds that the guest is given to come back and to come to rest.
    type: int
    default: 1800
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
attributes:
  check_mode:
    support: full
    details:
      - The decision is made and printed; nothing is written.
  diff_mode:
    support: N/A
    details:
      - Only files of the collection itself are written.
  idempotent:
    support: full
  action:
    support: full
    details:
      - The action plugin does all the work on the control node.
  async:
    support: none
seealso:
  - module: winfleet.hotpatch.machine_restart
"""

EXAMPLES = r"""
- name: May it be taken off?
  winfleet.hotpatch.rollback_step:
    phase: begin
    host: "{{ inventory_hostname }}"
    resource_id: "{{ hotpatch_resource_id }}"
    kb: KB5087423
    confirm: true
    tasks: /etc/hotpatch/uninstall.yml
    machines: "{{ machines.machines }}"
    state_dir: ~/.local/state/winfleet.hotpatch
"""

RETURN = r"""
go:
  description: Whether the update is to be taken off this machine.
  returned: with O(phase=begin)
  type: bool
kb:
  description: The KB with its prefix.
  returned: with O(phase=begin)
  type: str
code:
  description: A stable word for the decision.
  returned: with O(phase=begin)
  type: str
began:
  description: When it was begun (ISO 8601), perhaps by an earlier run.
  returned: with O(phase=begin)
  type: str
msg:
  description: The decision in one sentence.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLBACK_STEP


def main() -> None:
    """Fail clearly: what this does belongs to the control node."""
    module = AnsibleModule(argument_spec=ROLLBACK_STEP, supports_check_mode=True)
    module.fail_json(
        msg="winfleet.hotpatch.rollback_step is done on the control node by its action plugin, never on a host."
    )


if __name__ == "__main__":
    main()
