# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options by which a task's release calendar is refreshed without a new version of the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Where what the user knows of releases comes from."""

    DOCUMENTATION = r"""
options:
  calendar_file:
    description:
      - Path of a JSON or YAML file with releases that the collection does not know yet, or knows wrongly. It is laid
        over the built-in calendar; where the two differ, the file counts and a warning names both.
      - The shape is that of C(docs/calendar.schema.json) of the collection, and explained in C(docs/releases.md).
        C(playbooks/calendar.yml) writes such a file.
    type: path
  calendar:
    description:
      - The same as O(calendar_file), as a dictionary. Laid over the calendar last.
    type: dict
"""
