#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers from the release calendar of hotpatches and baselines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: Say which hotpatch or baseline a month brings, and which machines restart when
version_added: 0.1.0
description:
  - Says for Windows Server 2022 Azure Edition and Windows Server 2025 which release is current, whether it restarts,
    which KB and build prove it, and what comes next.
  - The calendar is data. It ships with the collection, and is refreshed without a new version by a file, a URL, a
    variable, or Microsoft's own security-update API (MSRC). A month that no source names is unknown. That it would be
    a baseline or a hotpatch is never computed, since 2026 broke the quarterly plan twice.
  - With the results of M(winfleet.hotpatch.machine_info) and M(winfleet.hotpatch.guest_info), says on which track each
    machine is, and when it restarts next.
  - Needs no account, and no network unless O(calendar_url) or O(msrc_months) is given. Runs on C(localhost).
author:
  - winfleet contributors (@winfleet)
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.attributes.info_module
  - winfleet.hotpatch.calendar
attributes:
  action:
    support: none
  async:
    support: full
options:
  calendar_url:
    description:
      - URL of such a file, by HTTPS. It is laid over O(calendar_file), and under O(calendar).
      - Ansible shows options in its output, so name no URL that holds a secret; fetch such a file beforehand.
      - Certificates are always verified; C(REQUESTS_CA_BUNDLE), C(SSL_CERT_FILE) and the usual proxy variables of the
        environment count.
    type: str
  msrc_months:
    description:
      - Months such as V(2026-08) or V(2026-Aug), whose documents are read from Microsoft's security-update API.
      - V(missing) stands for all past months of which the calendar has no release, at most twelve. A document that
        Microsoft has not published yet is then only warned of.
      - A document adds a month's hotpatch only where it can tell it from the month before, so read the months in
        between as well. A month without a hotpatch is taken for a baseline only where the calendar knows it as one.
    type: list
    elements: str
    default: []
  msrc_files:
    description:
      - Such documents as files, in JSON or XML, for places without internet.
    type: list
    elements: path
    default: []
  msrc_url:
    description:
      - Base URL of the API, for a mirror of it. The document of a month is C(<msrc_url>/cvrf/2026-Aug).
    type: str
    default: https://api.msrc.microsoft.com/cvrf/v3.0
  products:
    description:
      - The products to answer for.
    type: list
    elements: str
    choices: [ws2022, ws2025]
    default: [ws2022, ws2025]
  at:
    description:
      - The moment that decides what is current, as ISO 8601 with an offset. Without it, now.
    type: str
  machines:
    description:
      - The RV(winfleet.hotpatch.machine_info#module:machines) of M(winfleet.hotpatch.machine_info) with
        O(winfleet.hotpatch.machine_info#module:details=all).
    type: list
    elements: dict
    default: []
  guests:
    description:
      - The result of M(winfleet.hotpatch.guest_info) by ARM ID of the machine. A machine without one has an unknown
        track, since the guest decides.
    type: dict
    default: {}
  assessments:
    description:
      - The RV(winfleet.hotpatch.patch_assessment#module:machines) of M(winfleet.hotpatch.patch_assessment). A baseline
        that is offered shows that it is not installed.
    type: list
    elements: dict
    default: []
  max_age:
    description:
      - The age in seconds up to which an assessment is believed.
    type: int
    default: 14400
  preflight_overrides:
    description:
      - As O(winfleet.hotpatch.enrollment#module:preflight_overrides).
    type: list
    elements: str
    default: []
seealso:
  - module: winfleet.hotpatch.machine_info
  - module: winfleet.hotpatch.guest_info
"""

EXAMPLES = r"""
- name: What is this month?
  winfleet.hotpatch.release_info:
    products: [ws2025]
  delegate_to: localhost
  run_once: true
  register: releases

- name: Go on only in a month that restarts nobody
  ansible.builtin.assert:
    that: not releases.products.ws2025.current.value.restarts
    fail_msg: "{{ releases.products.ws2025.text }}"

- name: Refresh the calendar from Microsoft's security-update API
  winfleet.hotpatch.release_info:
    calendar_file: "{{ inventory_dir }}/hotpatch-calendar.json"
    msrc_months: [missing]
  delegate_to: localhost
  run_once: true
  register: releases

- name: Keep it for the rollouts, which read hotpatch_calendar_file
  ansible.builtin.copy:
    content: "{{ releases.additions | to_nice_json }}"
    dest: "{{ inventory_dir }}/hotpatch-calendar.json"
    mode: "0644"
  delegate_to: localhost
  run_once: true

- name: Say what one knows oneself
  winfleet.hotpatch.release_info:
    calendar:
      releases:
        - product: ws2022
          kind: baseline
          date: "2026-06-09"
          kb: KB5094128
          source: looked up by the Windows team on 2026-06-10
  delegate_to: localhost
  run_once: true

- name: Which machines restart when?
  winfleet.hotpatch.release_info:
    calendar_file: "{{ inventory_dir }}/hotpatch-calendar.json"
    machines: "{{ fleet.machines }}"
    guests: "{{ readings }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
at:
  description: The moment that was asked about, in UTC.
  returned: success
  type: str
  sample: "2026-05-13T01:00:00Z"
products:
  description:
    - The answers by product. Facts are dictionaries of C(state), C(value) and C(why).
  returned: success
  type: dict
  contains:
    name:
      description: The product's name.
      returned: success
      type: str
      sample: Windows Server 2025
    text:
      description: The answer in words.
      returned: success
      type: str
      sample: >-
        the current release is KB5087423 (hotpatch of 2026-05-12, build 26100.32772); next is KB5094125 (baseline of
        2026-06-09)
    current:
      description:
        - The fact which release a machine should be at. A release has C(kb), C(build), C(ubr), C(kind), C(date),
          C(planned), C(keeps_track), C(restarts) and C(source). Its KB, or its build and any later one, proves it.
        - Unreadable where a newer release can be out that the calendar does not know.
      returned: success
      type: dict
    baseline:
      description: The fact on which baseline the current release builds.
      returned: success
      type: dict
    this_month:
      description:
        - The calendar month with C(month), C(status) (V(released), V(expected) or V(unknown)), C(kind), C(restarts),
          C(planned), C(date), C(kb) and C(text). What nobody knows is null.
      returned: success
      type: dict
      sample:
        month: 2026-10
        status: expected
        kind: baseline
        restarts: true
        planned: true
        date: null
        kb: null
        source: blog.ruizsolutions.online, 2026-10, quoting the hotpatch calendar of 2026-10-02
        text: the announced baseline of 2026-10, whose KB the calendar does not know
    next:
      description:
        - The fact which release comes next, with C(month), C(kind), C(date), C(date_known), C(kb), C(announced),
          C(unknown_months) and C(text). Absent where the calendar knows of none.
        - An announced one can still become the other kind, as two did in 2026. Where C(date_known) is false, C(date)
          is the second Tuesday of the month.
      returned: success
      type: dict
    next_baseline:
      description: The same of the next baseline, which restarts every machine.
      returned: success
      type: dict
    out_of_band:
      description:
        - The releases out of band since RV(products.baseline). One that is not C(keeps_track) takes a machine off
          the hotpatch track until the next baseline.
      returned: success
      type: list
      elements: dict
machines:
  description: One entry for each of O(machines), in that order.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: ARM ID of the machine.
      returned: success
      type: str
    name:
      description: Name of the machine.
      returned: success
      type: str
    product:
      description: V(ws2022), V(ws2025), or null.
      returned: success
      type: str
    release:
      description: KB of the release the machine should be at; null where it is not known.
      returned: success
      type: str
    track:
      description:
        - V(on_track), V(baseline_due), V(off_track), V(enrolling), V(not_enrolled), V(ineligible) or V(unknown).
      returned: success
      type: str
      sample: off_track
    track_reason:
      description: Why it is on that track.
      returned: success
      type: str
      sample: >-
        KB5070881 (out-of-band of 2025-10-23, build 26100.6905) is installed and left the hotpatch track until the next
        baseline, KB5073379 (baseline of 2026-01-13)
    evidence:
      description: What a fresh assessment shows beside that.
      returned: success
      type: list
      elements: str
    returns:
      description: For V(off_track), the baseline that takes it back; null where the calendar knows of none.
      returned: success
      type: dict
    restart:
      description:
        - When the machine restarts next, if its updates are installed as they come. C(due) is V(now),
          V(at_baseline), V(every_update) or V(unknown), C(date) and C(kb) are null where they are not known.
      returned: success
      type: dict
      sample:
        due: at_baseline
        date: "2026-06-09"
        kb: KB5094125
        text: at KB5094125 (baseline of 2026-06-09)
restarting:
  description: ARM IDs of the machines for which a baseline is due now.
  returned: success
  type: list
  elements: str
off_track:
  description:
    - The machines that an out-of-band update took off the track, with RV(machines[].id) and RV(machines[].returns).
  returned: success
  type: list
  elements: dict
calendar:
  description: The whole calendar as it was used, in the shape that O(calendar_file) reads.
  returned: success
  type: dict
additions:
  description:
    - The part of RV(calendar) that the collection does not know by itself, in the same shape. This is what is worth
      keeping as O(calendar_file).
  returned: success
  type: dict
sources:
  description: What the calendar was made from, each laid over those before it.
  returned: success
  type: list
  elements: str
  sample: [built in, /srv/ansible/hotpatch-calendar.json, MSRC]
conflicts:
  description: Where a source differs from what was known, with both values, both sources and C(text).
  returned: success
  type: list
  elements: dict
msrc:
  description:
    - What each MSRC document said of each product. C(outcome) is V(added), V(confirmed), V(contradicted) (what the
      calendar has stays) or V(unknown), C(why) explains it, and C(cumulative) names the month's cumulative update, for
      whoever looks the month up.
  returned: success
  type: list
  elements: dict
msg:
  description: The answers in words, or why the module failed.
  returned: always
  type: str
"""

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import release_info_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.release_info import run
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import module_main


def main() -> None:
    """Run the module."""
    module_main(release_info_spec(), run)


if __name__ == "__main__":
    main()
