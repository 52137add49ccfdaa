#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says how a whole fleet stands and who needs a person."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_status
short_description: Say how a whole fleet stands, and which machines need a person
version_added: 0.2.0
description:
  - A part of the playbook C(winfleet.hotpatch.status), which is what to run.
  - Reads machines, last assessments and last installations from Resource Graph, a request for a thousand machines, and
    the guests where it is asked to. Says for every machine which track it is on, and what it needs a person for, with
    the next step. Prints a table.
  - It changes nothing in Azure and nothing in a guest. In O(state_path) it remembers since when it has seen what.
  - It does not fail because of what it finds; a later task is to look at RV(failure).
author:
  - winfleet contributors (@winfleet)
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.attributes.info_module
  - winfleet.hotpatch.attributes.fleet
  - winfleet.hotpatch.action_group
  - winfleet.hotpatch.azure
  - winfleet.hotpatch.calendar
  - winfleet.hotpatch.scope
  - winfleet.hotpatch.scope.filters
  - winfleet.hotpatch.scope.expect
options:
  hosts:
    description:
      - Hosts with their machines' ARM IDs. A host that Resource Graph does not show needs a person (V(missing)).
      - Without it, all machines of the scope are meant, and machines go by their names.
    type: dict
  rings:
    description: Rings by host. By default the tag O(ring_tag) says it.
    type: dict
  ring_tag:
    description: The tag whose value is a machine's ring. Its name compares without case.
    type: str
    default: hotpatch-ring
  ask_guests:
    description:
      - Whether to ask the guests of O(hosts), each over its own host's connection variables. Without them no enrolled
        machine is ever known to be on track.
      - Only the action plugin can, so that the task must run on the controller, without C(become). Hosts whose
        variable C(powerstate) says stopped or deallocated are not asked.
    type: bool
    default: false
  guests_timeout:
    description: Real seconds after which guests are no longer waited for.
    type: int
    default: 600
  guests_parallel:
    description: How many guests are asked beside each other.
    type: int
    default: 32
  guests:
    description: What guests said, by ARM ID, as C(guest_info) returns it. The action fills it in with O(ask_guests).
    type: dict
  expect_settings:
    description:
      - The patch settings that the machines should have, as O(winfleet.hotpatch.machine_info#module:expect_settings).
        What differs is drift.
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
  kb_numbers:
    description: KBs that are the current release, in place of what the release calendar says.
    type: list
    elements: str
    default: []
  preflight_overrides:
    description: Codes of eligibility rules that this fleet is exempt from, such as V(image_not_supported).
    type: list
    elements: str
    default: []
  fail_on:
    description:
      - Needs that make RV(failure) say so. Any of C(missing), C(installation_failed), C(drift), C(off_track),
        C(restart_pending), C(guest_unreachable), C(patched_by_others), C(baseline_due), C(not_enrolled), C(unknown),
        C(ineligible) and C(stopped). An empty list never fails.
    type: list
    elements: str
    default: [missing, installation_failed, drift, off_track, restart_pending, guest_unreachable, unknown]
  details:
    description:
      - Whose entries are returned, those of machines that need a person (a thousand of them at most, the most urgent
        first), of all, or of none. RV(counts) counts all of them in any case.
    type: str
    choices: [needs, all, none]
    default: needs
  state_path:
    description:
      - Folder with the collection's journal, which tells our installations from others', and with C(status.json), which
        remembers since when something was seen. It is made with mode 0700.
      - By default C(winfleet.hotpatch) in E(XDG_STATE_HOME), or else in C(~/.local/state).
    type: path
  api_version:
    description: API version of Microsoft.ResourceGraph to use instead of the one this collection was written for.
    type: str
seealso:
  - module: winfleet.hotpatch.machine_info
  - module: winfleet.hotpatch.enrollment
"""

EXAMPLES = r"""
- name: Look over everything in a management group, from Azure alone
  winfleet.hotpatch.fleet_status:
    management_groups: [mg-production]
    expect_settings:
      state: present
  delegate_to: localhost
  run_once: true
  register: fleet
  failed_when: fleet is failed or fleet.failure != ''
"""

RETURN = r"""
machines:
  description:
    - An entry for each machine that O(details) asks for. With V(needs) they end after 400 kB together, which is some
      400 to 1,000 machines, the most urgent first, because AWX cuts results at 700 kB; RV(left_out) counts the others,
      and RV(counts) has them all.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: Name of the host, or of the machine.
      returned: always
      type: str
    id:
      description: ARM ID of the machine.
      returned: always
      type: str
    ring:
      description: The machine's ring, V(none) without one.
      returned: always
      type: str
    location:
      description: Azure region.
      returned: when the machine is shown
      type: str
    power_state:
      description: Azure's power state.
      returned: when it is known
      type: str
    track:
      description:
        - What the next release will do to it, V(on_track), V(baseline_due), V(off_track), V(enrolling),
          V(not_enrolled), V(ineligible) or V(unknown).
      returned: always
      type: str
    track_reason:
      description: Why.
      returned: when there is a reason
      type: str
    patched_by:
      description:
        - Who began the last installation. V(us) is in the journal of O(state_path), V(platform) is Azure itself,
          V(somebody_else) came from elsewhere, V(unknown) is one that Azure does not tell about.
      returned: when Resource Graph shows an installation of the last 30 days
      type: str
    drift:
      description:
        - Each setting that differs from O(expect_settings), with C(wanted), C(actual), and C(since) when a look has
          seen it.
        - It is no need where Azure would refuse the settings, as on an image that cannot be hotpatched.
      returned: when there is any
      type: dict
    needs:
      description: What it needs a person for, most urgent first, each with C(code), C(text), C(since), C(next_step).
      returned: always
      type: list
      elements: dict
left_out:
  description: Machines that need a person and that RV(machines) had no room for.
  returned: success
  type: int
missing:
  description: What O(expect.machines) named and is not shown.
  returned: success
  type: list
  elements: str
counts:
  description:
    - Machines in all (C(machines)), by C(track), by C(ring) and C(region) and track, and by what they need a person for
      (C(needs)).
  returned: success
  type: dict
table:
  description: The lines that were printed.
  returned: success
  type: list
  elements: str
guests:
  description: How many guests were C(asked), and how many C(answered).
  returned: success
  type: dict
failure:
  description: The sentence to fail with, empty when nobody needs a person for anything in O(fail_on).
  returned: success
  type: str
read_at:
  description: When the reading began, in UTC.
  returned: success
  type: str
may_lag_seconds:
  description: By how many seconds what Azure said may be older than RV(read_at).
  returned: success
  type: int
requests:
  description: How many pages were read.
  returned: success
  type: int
duration:
  description: Seconds it took.
  returned: success
  type: float
msg:
  description: The failure, or that there is none.
  returned: always
  type: str
"""

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import fleet_status_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.status import run
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import module_main


def main() -> None:
    """Run the module."""
    module_main(fleet_status_spec(), run)


if __name__ == "__main__":
    main()
