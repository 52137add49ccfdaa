#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs patches on virtual machines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patch_installation
short_description: Have Azure install patches on many virtual machines, without a restart unless told otherwise
version_added: 0.1.0
description:
  - Has Azure install patches (C(installPatches)) on many virtual machines at once, follows each to its end, and
    says what Azure claims to have done.
  - By default patches of the classes Critical and Security are installed that never restart the machine, and the
    machine is not restarted.
  - Nothing is sent to a machine that is offered nothing of what is selected.
  - Nothing is ever installed twice. Each request is noted before it is sent, an answer that is lost is looked for,
    and an installation that runs already, of an earlier run, of the platform or of somebody else, is joined
    instead.
  - Azure's word is no proof. M(winfleet.hotpatch.guest_info) asks the guest itself.
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
      - Says what would be installed. Where O(assessments) gives no fresh assessment, Azure is asked for one, which
        changes nothing in the guest.
  diff_mode:
    support: full
    details:
      - Shows the selected patches of each machine as outstanding before and as installed after.
  idempotent:
    support: full
    details:
      - RV(ignore:changed) is V(true) only when this collection's installation put a patch on a machine.
options:
  wait_timeout:
    description:
      - Seconds to wait for all machines together. What then still runs has the outcome V(running), and the module fails
        with the results of all machines. A later run joins what still runs.
    type: int
    default: 14400
  maximum_duration:
    description:
      - The longest an installation may take, as an ISO 8601 duration of at least 25 minutes, since Azure keeps 10
        minutes for a restart and begins nothing with less than 15 minutes left.
    type: str
    default: PT2H
  reboot_setting:
    description:
      - Whether Azure may restart the machine.
    type: str
    choices: [Never, IfRequired, Always]
    default: Never
  classifications_to_include:
    description:
      - Classes of patches to install.
      - Without this and without O(kb_numbers_to_include), V(Critical) and V(Security).
    type: list
    elements: str
    choices: [Critical, Security, UpdateRollUp, FeaturePack, ServicePack, Definition, Tools, Updates]
  kb_numbers_to_include:
    description:
      - KBs to install, with or without C(KB) before the number.
      - Without O(classifications_to_include) nothing but these is installed. With it they are installed in addition.
      - A list for a whole fleet may name KBs of several products. Each machine is judged by those that it is offered.
      - A machine on which one of these is held back counts as failed, and so does a machine that is offered none of
        them, unless an earlier run of this collection with the same O(state_path) installed one.
    type: list
    elements: str
  kb_numbers_to_exclude:
    description:
      - KBs not to install, with or without C(KB) before the number.
    type: list
    elements: str
  kb_numbers_by_machine:
    description:
      - Lists of KBs by ARM ID. A machine that is named here is sent its own list and nothing else, no classes either.
      - Machines that are not named are sent what the other options select.
    type: dict
  latest_starts:
    description:
      - Times (ISO 8601 with an offset) by ARM ID, after which the installation of that machine is no longer started.
        Its entry then says V(not_started).
    type: dict
  join_only:
    description:
      - ARM IDs of machines on which nothing is started. What runs on them, whoever started it, is followed to its end.
        Where nothing runs any more, the entry says V(not_started) with the reason code V(join_only).
    type: list
    elements: str
    default: []
  exclude_kbs_requiring_reboot:
    description:
      - Whether to leave out every patch that is not sure never to restart the machine.
    type: bool
    default: true
  include_kbs_requiring_reboot_on:
    description:
      - ARM IDs of machines whose own list in O(kb_numbers_by_machine) may hold patches that need a restart, whatever
        O(exclude_kbs_requiring_reboot) says. With O(reboot_setting=Never) they are installed and wait for a restart.
    type: list
    elements: str
    default: []
  max_patch_publish_date:
    description:
      - Leave out patches that were published later, as a time stamp with an offset.
    type: str
  assessments:
    description:
      - The RV(winfleet.hotpatch.patch_assessment#module:machines) of an earlier assessment with O(details=all), to
        select from instead of a new assessment.
      - Those that are older than O(max_age) or than the machine's last installation are made anew.
    type: list
    elements: dict
  max_age:
    description:
      - How many seconds old an assessment of O(assessments) may be.
    type: int
    default: 14400
notes:
  - A machine that Azure reports as restarted although O(reboot_setting=Never) counts as failed, whatever was installed.
seealso:
  - module: winfleet.hotpatch.patch_assessment
  - module: winfleet.hotpatch.guest_info
  - module: ansible.windows.win_updates
"""

EXAMPLES = r"""
- name: Install the hotpatch of the month on the machines of the play, twenty at once
  winfleet.hotpatch.patch_installation:
    resource_ids: "{{ ansible_play_hosts_all | map('extract', hostvars, 'hotpatch_resource_id') | list }}"
    kb_numbers_to_include: [KB5087423, KB5087424]
    max_concurrent: 20
    max_failures: 5%
  delegate_to: localhost
  run_once: true
  register: installed

- name: Install whatever is critical or a security update and never restarts
  winfleet.hotpatch.patch_installation:
    resource_group: rg-app
    name: vm-app-1
    subscription_id: 00000000-0000-0000-0000-000000000000
  delegate_to: localhost

- name: Start installations from assessments made before, and do not wait
  winfleet.hotpatch.patch_installation:
    resource_ids: "{{ assessed.machines | map(attribute='id') | list }}"
    assessments: "{{ assessed.machines }}"
    wait: false
  delegate_to: localhost
  run_once: true

- name: Show what would be installed
  winfleet.hotpatch.patch_installation:
    resource_ids: "{{ assessed.machines | map(attribute='id') | list }}"
    assessments: "{{ assessed.machines }}"
  delegate_to: localhost
  run_once: true
  check_mode: true
  diff: true
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
        - V(claimed) when Azure says that all is installed.
        - V(nothing) when nothing is outstanding of the classes selected.
        - V(withheld) when something outstanding was held back, by the selection or by Azure.
        - V(not_offered) when none of O(kb_numbers_to_include) is offered.
        - V(unlisted) when Azure says that the installation succeeded, but its list of patches could not be read.
        - V(running) when it was not waited for to the end.
        - V(would_install) in check mode.
        - V(skipped) when the machine is switched off or does not run Windows.
        - V(not_started) when nothing more was to be started.
        - V(failed) otherwise.
        - Of these V(failed) counts against O(max_failures), and so do V(withheld), V(not_offered) and V(unlisted) when
          a KB of O(kb_numbers_to_include) is meant.
      returned: always
      type: str
      sample: claimed
    reason_code:
      description: A stable word for RV(machines[].reason).
      returned: when there is a reason
      type: str
      sample: installed
    reason:
      description: Why the outcome is what it is, with KBs and their reboot behavior.
      returned: when there is a reason
      type: str
      sample: "Held back: KB5082063 (CanRequestReboot; may_reboot)."
    error:
      description: Azure's own error with its code, message and request ID.
      returned: when Azure refused or failed
      type: dict
    started_by:
      description: V(us), or V(other) when an installation of the platform or of somebody else was followed.
      returned: when an installation ran
      type: str
    joined:
      description: V(true) when an installation was followed that ran already.
      returned: when joined
      type: bool
    status:
      description: ARM's status of the installation.
      returned: when known
      type: str
      sample: Succeeded
    installation_activity_id:
      description: Azure's ID of the installation.
      returned: when an installation ran
      type: str
    start_time:
      description: When the installation began, in UTC.
      returned: when known
      type: str
      sample: "2026-05-13T01:04:10Z"
    reboot_status:
      description: ARM's reboot status. V(NotNeeded) and V(Required) mean that the machine was not restarted.
      returned: when Azure tells
      type: str
      sample: NotNeeded
    reboot_required:
      description: Whether a restart is needed to complete the installation.
      returned: when Azure tells
      type: bool
    maintenance_window_exceeded:
      description: V(true) when O(maximum_duration) was too short.
      returned: when it was
      type: bool
    kbs:
      description: The KBs that were selected.
      returned: when something was selected
      type: list
      elements: str
      sample: [KB5087423]
    found_update_count:
      description: How many offered patches were selected.
      returned: when assessed
      type: int
    installed_update_count:
      description: How many patches were installed.
      returned: when known
      type: int
    failed_update_count:
      description: How many patches failed.
      returned: when known
      type: int
    updates:
      description:
        - What became of each patch by its ID, with the keys of M(ansible.windows.win_updates) and ARM's
          C(installation_state).
      returned: by O(details)
      type: dict
    filtered_updates:
      description: What was not selected, with the keys of RV(machines[].updates) and C(filtered_reasons).
      returned: by O(details)
      type: dict
counts:
  description: How many machines there are, and how many of each RV(machines[].outcome).
  returned: always
  type: dict
  sample:
    machines: 12
    claimed: 10
    withheld: 1
    skipped: 1
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
  sample: "12 machines: 10 claimed, 1 skipped, 1 withheld."
"""

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import patch_installation_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.install import run
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import module_main


def main() -> None:
    """Run the module."""
    module_main(patch_installation_spec(), run)


if __name__ == "__main__":
    main()
