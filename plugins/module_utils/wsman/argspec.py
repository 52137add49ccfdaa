# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the tasks that talk to guests, for the action that does the work and the module that documents it."""

from __future__ import annotations

from typing import Any

GUEST_INFO: dict[str, dict[str, Any]] = {
    "gather_subset": {"type": "list", "elements": "str", "default": ["core"], "aliases": ["subset"]},
    "timeout": {"type": "int", "default": 60},
    "hosts": {"type": "list", "elements": "str"},
    "parallel": {"type": "int", "default": 32},
}

GUEST_PREREQUISITES: dict[str, dict[str, Any]] = {
    "restart": {"type": "bool", "default": False},
    "restart_timeout": {"type": "int", "default": 900},
    "iso_enrolment": {"type": "bool", "default": False},
    "vm_id": {"type": "str"},
    "timeout": {"type": "int", "default": 60},
}
