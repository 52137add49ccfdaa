# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The action group, for ``module_defaults``."""

from __future__ import annotations


class ModuleDocFragment:
    """Membership of ``winfleet.hotpatch.azure``: every module that signs in to Azure."""

    DOCUMENTATION = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/winfleet.hotpatch.azure) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - winfleet.hotpatch.azure
"""
