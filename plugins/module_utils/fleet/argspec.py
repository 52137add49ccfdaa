# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The argument specifications, shared by each module and the action plugin of its name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..domain.needs import FAIL_ON

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
    "join_only": {"type": "list", "elements": "str", "default": []},
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

CALENDAR: Options = {"calendar_file": {"type": "path"}, "calendar": {"type": "dict"}}
"""Of every task that decides by the release calendar; read by :mod:`.calendar`."""


POWER_STATES = ["running", "stopped", "deallocated", "starting", "stopping", "deallocating"]
PARTS = ["addresses", "assessments", "installations"]
SCOPE: Options = {
    "subscriptions": {"type": "list", "elements": "str"},
    "management_groups": {"type": "list", "elements": "str"},
    "resource_groups": {"type": "list", "elements": "str"},
    "locations": {"type": "list", "elements": "str"},
    "tags": {"type": "dict"},
    "power_states": {"type": "list", "elements": "str", "choices": POWER_STATES},
    "expect": {
        "type": "dict",
        "options": {"count": {"type": "int"}, "machines": {"type": "list", "elements": "str"}},
    },
}
"""Machines by scope, and what is expected there; of everything that reads a fleet from Resource Graph."""


def machine_info_spec() -> ArgumentSpec:
    """``machine_info``: IDs, one machine, a resource group, a subscription, or any scope."""
    own: Options = {
        "source": {"type": "str", "choices": ["compute", "resource_graph"], "default": "compute"},
        "gather": {
            "type": "list",
            "elements": "str",
            "choices": PARTS,
            "default": ["assessments", "installations"],
        },
    }
    return ArgumentSpec(
        {
            **auth_options(),
            **TARGETS,
            **FAILURES,
            **SCOPE,
            **own,
            "details": {"type": "str", "choices": ["all", "none"], "default": "all"},
            "expect_settings": {"type": "dict", "options": {name: dict(option) for name, option in SETTINGS.items()}},
        },
        mutually_exclusive=(
            ("resource_ids", "resource_group"),
            ("resource_ids", "name"),
            ("subscriptions", "management_groups"),
            *((named, wide) for named in ("resource_ids", "name") for wide in SCOPE if wide != "expect"),
        ),
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


def fleet_status_spec() -> ArgumentSpec:
    """``fleet_status``: the machines of the play by their IDs, or any scope."""
    own: Options = {
        "hosts": {"type": "dict"},
        "rings": {"type": "dict"},
        "ring_tag": {"type": "str", "default": "hotpatch-ring"},
        "ask_guests": {"type": "bool", "default": False},
        "guests_timeout": {"type": "int", "default": 600},
        "guests_parallel": {"type": "int", "default": 32},
        "guests": {"type": "dict"},
        "expect_settings": {"type": "dict", "options": {name: dict(option) for name, option in SETTINGS.items()}},
        "kb_numbers": {"type": "list", "elements": "str", "default": []},
        "preflight_overrides": {"type": "list", "elements": "str", "default": []},
        "fail_on": {"type": "list", "elements": "str", "default": list(FAIL_ON)},
        "details": {"type": "str", "choices": ["needs", "all", "none"], "default": "needs"},
        "state_path": {"type": "path"},
        "api_version": FAILURES["api_version"],
    }
    return ArgumentSpec(
        {**auth_options(), **SCOPE, **CALENDAR, **own},
        mutually_exclusive=(
            ("subscriptions", "management_groups"),
            *(("hosts", wide) for wide in SCOPE if wide != "expect"),
        ),
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


def release_info_spec() -> ArgumentSpec:
    """``release_info``: needs no authentication, for all it fetches is public."""
    return ArgumentSpec(
        {
            **CALENDAR,
            "calendar_url": {"type": "str"},
            "msrc_months": {"type": "list", "elements": "str", "default": []},
            "msrc_files": {"type": "list", "elements": "path", "default": []},
            "msrc_url": {"type": "str", "default": "https://api.msrc.microsoft.com/cvrf/v3.0"},
            "products": {
                "type": "list",
                "elements": "str",
                "choices": ["ws2022", "ws2025"],
                "default": ["ws2022", "ws2025"],
            },
            "at": {"type": "str"},
            "machines": {"type": "list", "elements": "dict", "default": []},
            "guests": {"type": "dict", "default": {}},
            "assessments": {"type": "list", "elements": "dict", "default": []},
            "max_age": {"type": "int", "default": 14400},
            "preflight_overrides": {"type": "list", "elements": "str", "default": []},
        },
    )


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
