#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Restart many Azure virtual machines from one task, each at most once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_restart
short_description: Restart Azure virtual machines, each at most once
version_added: "0.1.0"
description:
  - Asks Azure to restart machines, by explicit word (O(confirm)) and never otherwise.
  - Each restart is noted on the disk before it is sent. One whose answer was lost is not sent again, since Azure keeps
    no record that would tell whether it was taken; its outcome is V(unknown), and the boot time in the guest tells.
  - What Azure calls restarted is no proof. M(winfleet.hotpatch.guest_info) reads the boot time in the guest, before and
    after.
  - A machine is restarted only while Azure shows no assessment and no installation in progress on it.
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
      - Says which machines would be restarted.
  diff_mode:
    support: N/A
    details:
      - A restart changes no setting.
  idempotent:
    support: partial
    details:
      - With O(once_since) a machine is restarted once, however often the task is run.
options:
  confirm:
    description:
      - The explicit word that these machines may be restarted. Without it nothing is asked of Azure.
    type: bool
    default: false
  once_since:
    description:
      - A time (ISO 8601 with an offset). A machine to which a restart was sent since then, by the journal in
        O(state_path), is not sent another, and its entry tells of that one.
      - Without it a machine is restarted again, unless a restart of it may still be under way.
    type: str
  latest_starts:
    description:
      - Times (ISO 8601 with an offset) by ARM ID, after which that machine is no longer restarted. Its entry then says
        V(not_started).
    type: dict
  wait_timeout:
    description:
      - Seconds to wait for all machines together.
    type: int
    default: 1800
seealso:
  - module: winfleet.hotpatch.guest_info
  - module: winfleet.hotpatch.patch_installation
  - module: ansible.windows.win_reboot
"""

EXAMPLES = r"""
- name: Read the guests before
  winfleet.hotpatch.guest_info:
    gather_subset: [restart]
  register: before

- name: Restart the machines of the play, five at once
  winfleet.hotpatch.machine_restart:
    resource_ids: "{{ ansible_play_hosts_all | map('extract', hostvars, 'hotpatch_resource_id') | list }}"
    confirm: true
    max_concurrent: 5
  delegate_to: localhost
  run_once: true

- name: Wait until the guests are back
  winfleet.hotpatch.guest_info:
    gather_subset: [restart]
  register: after
  until:
    - after.guest.reachable
    - after.guest.boot_time.value is defined
    - after.guest.boot_time.value > before.guest.boot_time.value
    - not after.guest.pending_restart.value
  retries: 30
  delay: 30
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
        - V(restarted) when Azure says so.
        - V(unknown) when Azure's answer was lost or its operation is gone.
        - V(running) when it was not waited for to the end.
        - V(would_restart) in check mode.
        - V(skipped) when the machine is switched off.
        - V(not_started) when it was not to be restarted any more, and was not.
        - V(failed) when Azure refused it. It counts against O(max_failures).
      returned: always
      type: str
      sample: restarted
    reason_code:
      description: A stable word for RV(machines[].reason).
      returned: when there is a reason
      type: str
      sample: accepted
    reason:
      description: Why the outcome is what it is.
      returned: when there is a reason
      type: str
    sent:
      description: When the restart was sent (ISO 8601, UTC).
      returned: when it was, or may have been
      type: str
      sample: "2026-04-15T01:12:09Z"
    activity_id:
      description: Azure's ID of the restart.
      returned: when Azure took it
      type: str
    joined:
      description: V(true) when an earlier task had sent it.
      returned: when joined
      type: bool
    error:
      description: Azure's own error with its code, message and request ID.
      returned: when Azure refused or failed
      type: dict
counts:
  description: How many machines there are, and how many of each RV(machines[].outcome).
  returned: always
  type: dict
  sample:
    machines: 5
    restarted: 5
stop_code:
  description: Why machines were not restarted any more, as one word such as V(timeout), V(stopped) or V(aborted).
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
  sample: "5 machines: 5 restarted."
"""

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import machine_restart_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.restart import run
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import module_main


def main() -> None:
    """Run the module."""
    module_main(machine_restart_spec(), run)


if __name__ == "__main__":
    main()
