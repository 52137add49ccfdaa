# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specifications, shared by each module and the action plugin of its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Options = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class ArgumentSpec:
    """Options with the rules between them, in the forms of AnsibleModule and of an action plugin."""

    options: Options
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    required_together: tuple[tuple[str, ...], ...] = ()
    required_one_of: tuple[tuple[str, ...], ...] = ()
    required_by: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def to_kwargs(self) -> dict[str, Any]:
        """Keyword arguments for ``AnsibleModule`` and ``ActionBase.validate_argument_spec`` alike."""
        return {
            "argument_spec": self.options,
            "mutually_exclusive": [list(group) for group in self.mutually_exclusive],
            "required_together": [list(group) for group in self.required_together],
            "required_one_of": [list(group) for group in self.required_one_of],
            "required_by": {name: list(needed) for name, needed in self.required_by.items()},
        }

    def secrets(self) -> tuple[str, ...]:
        """Names of the options whose values must never be shown."""
        return tuple(name for name, option in self.options.items() if option.get("no_log"))


TARGETS: Options = {
    "resource_ids": {"type": "list", "elements": "str", "aliases": ["ids", "id", "resource_id"]},
    "resource_group": {"type": "str"},
    "name": {"type": "str"},
}
FAILURES: Options = {
    "max_failures": {"type": "str", "default": "0"},
    "details": {"type": "str", "choices": ["failures", "all", "none"], "default": "failures"},
    "api_version": {"type": "str"},
}
WAITING: Options = {
    "wait": {"type": "bool", "default": True},
    "poll_interval": {"type": "int", "default": 30},
    "max_concurrent": {"type": "int"},
    "state_path": {"type": "path"},
    "rollout_id": {"type": "str"},
    "control_resource_groups": {"type": "list", "elements": "str", "default": []},
}
INSTALLATION: Options = {
    "maximum_duration": {"type": "str", "default": "PT2H"},
    "reboot_setting": {"type": "str", "choices": ["Never", "IfRequired", "Always"], "default": "Never"},
    "classifications_to_include": {
        "type": "list",
        "elements": "str",
        "choices": [
            "Critical",
            "Security",
            "UpdateRollUp",
            "FeaturePack",
            "ServicePack",
            "Definition",
            "Tools",
            "Updates",
        ],
    },
    "kb_numbers_to_include": {"type": "list", "elements": "str"},
    "kb_numbers_to_exclude": {"type": "list", "elements": "str"},
    "kb_numbers_by_machine": {"type": "dict"},
    "latest_starts": {"type": "dict"},
    "exclude_kbs_requiring_reboot": {"type": "bool", "default": True},
    "include_kbs_requiring_reboot_on": {"type": "list", "elements": "str", "default": []},
    "max_patch_publish_date": {"type": "str"},
    "assessments": {"type": "list", "elements": "dict"},
    "max_age": {"type": "int", "default": 14400},
}
SETTINGS: Options = {
    "state": {"type": "str", "choices": ["present", "absent", "held"], "default": "present"},
    "patch_mode": {"type": "str", "choices": ["AutomaticByPlatform", "AutomaticByOS", "Manual"]},
    "assessment_mode": {"type": "str", "choices": ["ImageDefault", "AutomaticByPlatform"]},
    "reboot_setting": {"type": "str", "choices": ["IfRequired", "Never", "Always"]},
    "bypass_platform_safety_checks": {"type": "bool"},
}


def machine_info_spec() -> ArgumentSpec:
    """``machine_info``: IDs, one machine, a resource group or a whole subscription."""
    return ArgumentSpec(
        {
            **auth_options(),
            **TARGETS,
            **FAILURES,
            "details": {"type": "str", "choices": ["all", "none"], "default": "all"},
            "expect_settings": {"type": "dict", "options": {name: dict(option) for name, option in SETTINGS.items()}},
        },
        mutually_exclusive=(("resource_ids", "resource_group"), ("resource_ids", "name")),
        required_by={"name": ("resource_group",)},
    )


def location_info_spec() -> ArgumentSpec:
    """``location_info``: subscriptions, and the regions of interest."""
    return ArgumentSpec(
        {
            **auth_options(),
            "subscription_ids": {"type": "list", "elements": "str"},
            "locations": {"type": "list", "elements": "str"},
            "api_version": {"type": "str"},
        }
    )


def enrollment_spec() -> ArgumentSpec:
    """``enrollment``."""
    own: Options = {
        "preflight_overrides": {"type": "list", "elements": "str", "default": []},
        "wait_timeout": {"type": "int", "default": 1800},
    }
    return _on_named_machines({**WAITING, **SETTINGS, **own})


def patch_assessment_spec() -> ArgumentSpec:
    """``patch_assessment``."""
    own: Options = {
        "wait_timeout": {"type": "int", "default": 1800},
        "max_age": {"type": "int", "default": 0},
    }
    return _on_named_machines({**WAITING, **own})


def patch_installation_spec() -> ArgumentSpec:
    """``patch_installation``."""
    return _on_named_machines({**WAITING, "wait_timeout": {"type": "int", "default": 14400}, **INSTALLATION})


def machine_restart_spec() -> ArgumentSpec:
    """``machine_restart``."""
    own: Options = {
        "wait_timeout": {"type": "int", "default": 1800},
        "confirm": {"type": "bool", "default": False},
        "once_since": {"type": "str"},
        "latest_starts": {"type": "dict"},
    }
    return _on_named_machines({**WAITING, **own})


def rollout_control_spec() -> ArgumentSpec:
    """``rollout_control``."""
    own: Options = {
        "state_path": {"type": "path", "required": True},
        "rollout_id": {"type": "str", "required": True},
        "control_resource_groups": {"type": "list", "elements": "str", "default": []},
        "until": {"type": "str"},
        "waiting_for": {"type": "str", "default": "the next step"},
    }
    return ArgumentSpec({**auth_options(), **own})


def _on_named_machines(own: Options) -> ArgumentSpec:
    return ArgumentSpec(
        {**auth_options(), **TARGETS, **FAILURES, **own},
        mutually_exclusive=(("resource_ids", "resource_group"), ("resource_ids", "name")),
        required_together=(("resource_group", "name"),),
        required_one_of=(("resource_ids", "name"),),
    )


def auth_options() -> Options:
    """How to sign in to Azure: the options of azure.azcollection, by the selector that understands them."""
    from ..azure.credentials.options import OPTIONS

    return {name: dict(option) for name, option in OPTIONS.items()}
