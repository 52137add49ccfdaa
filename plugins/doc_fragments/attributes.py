# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attributes that every module of the collection declares; each module says how far it supports them."""

from __future__ import annotations


class ModuleDocFragment:
    """The attributes, without and with what most modules share."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description: >-
      Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
  idempotent:
    description: >-
      When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
  action:
    description: >-
      Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
  async:
    description: Supports being used with the C(async) keyword.
"""

    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module reads only, so that check mode changes nothing about it.
  diff_mode:
    support: N/A
    details:
      - This module reads only.
  idempotent:
    support: full
    details:
      - This module reads only.
"""

    FLEET = r"""
options: {}
attributes:
  action:
    support: partial
    details:
      - When the target is the controller, with a C(local) connection and without C(become), and the Azure libraries
        can be imported there, the work is done in the controller's own process and shows its progress as it goes.
      - Otherwise the same code runs as an ordinary module, without progress.
  async:
    support: none
    details:
      - Use C(wait=false) where the module has that option, and join in a later task.
"""
