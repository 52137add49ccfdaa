#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads which Azure regions are paired, and which physical zone a subscription means by a zone's number."""

from __future__ import annotations

DOCUMENTATION = r"""
module: location_info
short_description: Read paired regions and physical availability zones
version_added: 0.1.0
description:
  - The number of an availability zone means another physical zone in each subscription. This module reads which one,
    and which region is paired with which, from the list of a subscription's locations, with one request for each
    subscription.
  - The role C(winfleet.hotpatch.rollout) uses it to keep machines apart that should not be patched at once.
  - Needs the permission C(Microsoft.Resources/subscriptions/locations/read). A subscription that may not be read has
    an entry with the reason, and the task succeeds.
author:
  - winfleet contributors (@winfleet)
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.attributes.info_module
  - winfleet.hotpatch.attributes.fleet
  - winfleet.hotpatch.action_group
  - winfleet.hotpatch.azure
options:
  subscription_ids:
    description:
      - Subscriptions to read. Defaults to O(subscription_id).
    type: list
    elements: str
  locations:
    description:
      - Names of the regions that are returned, such as V(westeurope). All without it.
    type: list
    elements: str
  api_version:
    description:
      - The API version of the request, V(2022-12-01) without it. Older ones do not tell physical zones.
    type: str
seealso:
  - module: winfleet.hotpatch.machine_info
  - module: winfleet.hotpatch.rollout_plan
"""

EXAMPLES = r"""
- name: Which zones do two subscriptions mean?
  winfleet.hotpatch.location_info:
    subscription_ids:
      - 00000000-0000-0000-0000-000000000001
      - 00000000-0000-0000-0000-000000000002
    locations: [westeurope]
  delegate_to: localhost
  run_once: true
  register: regions
"""

RETURN = r"""
subscriptions:
  description: One entry a subscription.
  returned: always
  type: list
  elements: dict
  contains:
    subscription_id:
      description: The subscription, in lower case.
      returned: always
      type: str
    outcome:
      description: V(read), or V(failed) when Azure did not show the locations.
      returned: always
      type: str
      sample: read
    reason:
      description: Why they were not read.
      returned: when RV(subscriptions[].outcome=failed)
      type: str
    error:
      description: Azure's own error with its code, message, target, details and request ID.
      returned: when RV(subscriptions[].outcome=failed)
      type: dict
    locations:
      description: The regions.
      returned: when RV(subscriptions[].outcome=read)
      type: list
      elements: dict
      contains:
        name:
          description: Name of the region.
          returned: always
          type: str
          sample: westeurope
        paired_region:
          description: The region it is paired with, null where there is none.
          returned: always
          type: str
          sample: northeurope
        zones:
          description: The physical zone by the number that machines of this subscription carry.
          returned: always
          type: dict
          sample:
            "1": westeurope-az2
            "2": westeurope-az3
            "3": westeurope-az1
msg:
  description: How many subscriptions were read.
  returned: always
  type: str
  sample: "2 subscriptions: 2 read, 0 not."
"""

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.argspec import location_info_spec
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.locations import run
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import module_main


def main() -> None:
    """Run the module."""
    module_main(location_info_spec(), run)


if __name__ == "__main__":
    main()
