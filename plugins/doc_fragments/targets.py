# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which machines a module works on."""

from __future__ import annotations


class ModuleDocFragment:
    """Machines by their ARM IDs, or one machine by resource group and name."""

    DOCUMENTATION = r"""
options:
  resource_ids:
    description:
      - ARM IDs of the virtual machines, in any case.
      - One task takes as many as you like. Duplicates are worked on once.
    type: list
    elements: str
    aliases: [ids, id, resource_id]
  resource_group:
    description:
      - Resource group of the virtual machine O(name).
    type: str
  name:
    description:
      - Name of the virtual machine in O(resource_group), as another way than O(resource_ids) to name a single one.
    type: str
"""
