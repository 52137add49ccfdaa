# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specifications of the actions that only decide, for action and documentation alike."""

from __future__ import annotations

from typing import Any

from .argspec import CALENDAR

Options = dict[str, dict[str, Any]]

ROLLOUT_PLAN: Options = {
    **CALENDAR,
    "phase": {"type": "str", "choices": ["targets", "plan"], "required": True},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "ids": {"type": "dict", "default": {}},
    "machines": {"type": "list", "elements": "dict", "default": []},
    "wave_sizes": {"type": "list", "elements": "str", "default": ["1", "25%", "100%"]},
    "error_budget": {"type": "str", "default": "0"},
    "kb_numbers": {"type": "list", "elements": "str", "default": []},
    "preflight_overrides": {"type": "list", "elements": "str", "default": []},
    "retry": {"type": "bool", "default": False},
    "state_dir": {"type": "path"},
    "print_only": {"type": "bool", "default": False},
}

ROLLOUT_WAVE: Options = {
    **CALENDAR,
    "phase": {"type": "str", "choices": ["preflight", "select", "judge", "verify"], "required": True},
    "plan": {"type": "dict", "default": {}},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "machines": {"type": "dict", "default": {}},
    "preflight": {"type": "dict", "default": {}},
    "assessments": {"type": "dict", "default": {}},
    "installations": {"type": "dict", "default": {}},
    "guest_variable": {"type": "str"},
    "guest_timeout": {"type": "int", "default": 900},
    "proof": {"type": "str", "choices": ["guest", "azure"], "default": "guest"},
    "kb_numbers": {"type": "list", "elements": "str", "default": []},
    "preflight_overrides": {"type": "list", "elements": "str", "default": []},
    "exclude_kbs_requiring_reboot": {"type": "bool", "default": True},
}

ROLLOUT_REPORT: Options = {
    "state_dir": {"type": "path", "required": True},
    "report_dir": {"type": "path"},
    "rollout_id": {"type": "str"},
    "not_started_limit": {"type": "str", "default": "0"},
    "print_only": {"type": "bool", "default": False},
}

ENROLLMENT_PROGRESS: Options = {
    "ids": {"type": "dict", "required": True},
    "enrollment": {"type": "dict", "required": True},
    "machines": {"type": "dict", "required": True},
    "guest_variable": {"type": "str"},
    "previous": {"type": "dict", "default": {}},
    "preflight_overrides": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 14400},
    "interval": {"type": "int", "default": 300},
    "error_budget": {"type": "str", "default": "0"},
}
