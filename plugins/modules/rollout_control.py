#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waits between the steps of a rollout, while somebody outside may pause or abort it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_control
short_description: Wait between the steps of a rollout, and heed who pauses or aborts it from outside
version_added: 0.1.0
description:
  - A part of the playbook C(winfleet.hotpatch.rollout), which is what to run.
  - Waits until a moment (a soak that ends, a window that opens), and longer while the rollout is paused.
  - Whoever may write to the state folder says C(pause), C(resume), C(abort) or C(block KB5087423) in the file
    C(control) there, one word a line; whoever may tag a resource group says the same in its tag C(hotpatch-rollout),
    with semicolons in between.
  - Words that are not understood, and places that cannot be read, pause the rollout and are told.
author:
  - winfleet contributors (@winfleet)
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.attributes.info_module
  - winfleet.hotpatch.attributes.fleet
  - winfleet.hotpatch.action_group
  - winfleet.hotpatch.azure
options:
  state_path:
    description:
      - The rollout's state folder, with the file C(control), and the file C(events.jsonl) to which a pause is written.
    type: path
    required: true
  rollout_id:
    description:
      - The rollout's name.
    type: str
    required: true
  control_resource_groups:
    description:
      - ARM IDs of resource groups whose tag C(hotpatch-rollout) is heeded like the file C(control).
      - Without any, nothing is asked of Azure.
    type: list
    elements: str
    default: []
  until:
    description:
      - The moment to wait for, as a time stamp with an offset. Without one, or once it has passed, the task waits only
        while the rollout is paused.
    type: str
  waiting_for:
    description:
      - What is waited for, for the terminal.
    type: str
    default: the next step
seealso:
  - module: winfleet.hotpatch.rollout_wave
"""

EXAMPLES = r"""
- name: Wait until the canaries have soaked
  winfleet.hotpatch.rollout_control:
    state_path: /var/lib/hotpatch/production
    rollout_id: 20260513T010000Z-9f3c
    until: "2026-05-13T03:00:00Z"
    waiting_for: the soak of ring canary
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
word:
  description: What is asked for now. In check mode, where the task does not wait, it may be V(pause).
  returned: success
  type: str
  sample: resume
why:
  description: Who asks for it, empty while nobody asks for anything.
  returned: success
  type: str
  sample: the file /var/lib/hotpatch/production/control says abort
blocked:
  description: The KBs that may not be installed any more, with where that was said.
  returned: success
  type: dict
  sample: {KB5087423: blocked by the file /var/lib/hotpatch/production/control}
looked_at:
  description: When it was looked at last.
  returned: success
  type: str
  sample: "2026-05-13T03:00:00Z"
"""

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import rollout_control_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_control import run
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import module_main


def main() -> None:
    """Run the module."""
    module_main(rollout_control_spec(), run)


if __name__ == "__main__":
    main()
