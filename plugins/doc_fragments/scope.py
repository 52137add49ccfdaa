# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which part of Azure is meant, where machines are not named one by one."""

from __future__ import annotations


class ModuleDocFragment:
    """Subscriptions or management groups, and filters on them."""

    DOCUMENTATION = r"""
options:
  subscriptions:
    description:
      - GUIDs of the subscriptions whose machines are meant, or V(all) alone for every subscription you may read.
      - Without it and without O(management_groups), it is the subscription of O(subscription_id).
    type: list
    elements: str
  management_groups:
    description:
      - IDs of management groups, whose subscriptions are meant, at all levels below. Not to be combined with
        O(subscriptions).
      - Resource Graph takes a limited number of subscriptions below a group (10,000 as documented).
    type: list
    elements: str
"""

    FILTERS = r"""
options:
  resource_groups:
    description: Only machines of these resource groups.
    type: list
    elements: str
  locations:
    description: Only machines in these Azure regions, such as V(westeurope) or V(West Europe).
    type: list
    elements: str
  tags:
    description:
      - Only machines that have all of these tags. A tag's value is a text, a list of texts of which one will do, or
        null for any. Names and values compare without case.
    type: dict
  power_states:
    description:
      - Only machines in these power states. By default stopped machines are there as well, so that nobody forgets
        them. A machine whose power state is not shown is always there.
    type: list
    elements: str
    choices: [running, stopped, deallocated, starting, stopping, deallocating]
"""

    EXPECT = r"""
options:
  expect:
    description:
      - What should be found. Resource Graph leaves out without a word what the account may not read; what is expected
        and not there is named in a warning.
    type: dict
    suboptions:
      count:
        description: How many machines there should be.
        type: int
      machines:
        description: ARM IDs or names of machines that should be there.
        type: list
        elements: str
"""
