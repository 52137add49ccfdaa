# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specifications of the actions that only decide, for action and documentation alike."""

from __future__ import annotations

from typing import Any

from .argspec import CALENDAR

Options = dict[str, dict[str, Any]]

LOAD_LIMITS: Options = {"max_cpu_percent": {"type": "float"}, "min_free_memory": {"type": "int"}}

ROLLOUT_PLAN: Options = {
    **CALENDAR,
    "phase": {"type": "str", "choices": ["targets", "plan"], "required": True},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "ids": {"type": "dict", "default": {}},
    "machines": {"type": "list", "elements": "dict", "default": []},
    "wave_sizes": {"type": "list", "elements": "str", "default": ["1", "25%", "100%"]},
    "error_budget": {"type": "str"},
    "rings": {"type": "list", "elements": "dict", "default": []},
    "wave_error_budget": {"type": "str"},
    "soak": {"type": "str"},
    "blackout_dates": {"type": "list", "elements": "raw", "default": []},
    "spread": {"type": "raw"},
    "service_tag": {"type": "str"},
    "kb_numbers": {"type": "list", "elements": "str", "default": []},
    "blocked_kbs": {"type": "list", "elements": "str", "default": []},
    "preflight_overrides": {"type": "list", "elements": "str", "default": []},
    "retry": {"type": "bool", "default": False},
    "restart": {"type": "bool", "default": False},
    "restart_timeout": {"type": "int", "default": 1800},
    "proof": {"type": "str", "choices": ["guest", "azure"], "default": "guest"},
    "maximum_duration": {"type": "str", "default": "PT2H"},
    "expected_minutes": {"type": "int", "default": 15},
    "locations": {"type": "list", "elements": "dict", "default": []},
    "guest_timeout": {"type": "int", "default": 900},
    "ask_guests": {"type": "bool", "default": False},
    "ask_timeout": {"type": "int", "default": 120},
    "follow": {"type": "bool", "default": False},
    "plan_file": {"type": "path"},
    "plan": {"type": "dict", "default": {}},
    "confirm_above": {"type": "int", "default": 500},
    "confirm": {"type": "str"},
    "details": {"type": "str", "choices": ["auto", "all"], "default": "auto"},
    "state_dir": {"type": "path"},
    "print_only": {"type": "bool", "default": False},
    "hooks": {"type": "dict", "default": {}},
    "catch_up": {"type": "bool", "default": False},
}

ROLLOUT_WAVE: Options = {
    **CALENDAR,
    "phase": {
        "type": "str",
        "choices": ["preflight", "select", "hooked", "restart", "settle", "judge", "gate", "verify"],
        "required": True,
    },
    "plan": {"type": "dict", "default": {}},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "machines": {"type": "dict", "default": {}},
    "preflight": {"type": "dict", "default": {}},
    "assessments": {"type": "dict", "default": {}},
    "selection": {"type": "dict", "default": {}},
    "installations": {"type": "dict", "default": {}},
    "restarts": {"type": "dict", "default": {}},
    "judgement": {"type": "dict", "default": {}},
    "control": {"type": "dict", "default": {}},
    "hooks": {"type": "dict", "default": {}},
    "stage": {"type": "str", "choices": ["before_machine", "after_machine"]},
    "guest_variable": {"type": "str"},
    "guest_timeout": {"type": "int", "default": 900},
    "proof": {"type": "str", "choices": ["guest", "azure"], "default": "guest"},
    "kb_numbers": {"type": "list", "elements": "str", "default": []},
    "preflight_overrides": {"type": "list", "elements": "str", "default": []},
    "exclude_kbs_requiring_reboot": {"type": "bool", "default": True},
    "brake": {"type": "bool", "default": True},
    "blocked_kbs": {"type": "list", "elements": "str", "default": []},
    "approved_kbs": {"type": "list", "elements": "str", "default": []},
    "unproven_products": {"type": "list", "elements": "str", "default": []},
    "restart_budget": {"type": "str"},
    "maximum_duration": {"type": "str", "default": "PT2H"},
    **LOAD_LIMITS,
    "measure_load": {"type": "bool", "default": False},
}

ROLLOUT_RING: Options = {
    "phase": {
        "type": "str",
        "choices": ["begin", "held", "approach", "enter", "released", "hooked", "finish"],
        "required": True,
    },
    "plan": {"type": "dict", "required": True},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "control": {"type": "dict", "default": {}},
    "enrollment": {"type": "dict", "default": {}},
    "machines": {"type": "dict", "default": {}},
    "hooks": {"type": "dict", "default": {}},
    "stage": {
        "type": "str",
        "choices": ["before_rollout", "after_rollout", "before_ring", "after_ring", "before_wave", "after_wave"],
    },
    "wanted": {"type": "int", "default": 0},
    "hold": {"type": "bool", "default": False},
    "on_stop": {"type": "str", "choices": ["leave", "hold"], "default": "leave"},
    "proof": {"type": "str", "choices": ["guest", "azure"], "default": "guest"},
    "guest_timeout": {"type": "int", "default": 900},
    "preflight_overrides": {"type": "list", "elements": "str", "default": []},
    "maximum_duration": {"type": "str", "default": "PT2H"},
    "window_patience": {"type": "str", "default": "P1D"},
    "restart_budget": {"type": "str"},
    "release_timeout": {"type": "int", "default": 14400},
    "soak_services": {"type": "list", "elements": "str", "default": []},
    "soak_most_cpu_percent": {"type": "float"},
    "soak_least_memory_mb": {"type": "int"},
    **LOAD_LIMITS,
}

ROLLOUT_WHY: Options = {
    "state_dir": {"type": "path", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "rollout_id": {"type": "str", "default": ""},
}

ROLLBACK_STEP: Options = {
    "phase": {"type": "str", "choices": ["begin", "staged", "prove"], "required": True},
    "host": {"type": "str", "required": True},
    "resource_id": {"type": "str", "required": True},
    "kb": {"type": "str", "default": ""},
    "confirm": {"type": "bool", "default": False},
    "tasks": {"type": "path"},
    "machines": {"type": "list", "elements": "dict", "default": []},
    "state_dir": {"type": "path", "required": True},
    "timeout": {"type": "int", "default": 1800},
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
