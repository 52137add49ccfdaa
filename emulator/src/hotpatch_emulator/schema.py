# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON schema of a fleet file: what may stand in it, so that a slip of the pen is refused by name."""

from __future__ import annotations

from typing import Any

_NUMBER = {"type": "number", "minimum": 0}
_FLAG = {"type": "boolean"}
_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT}
_RANGE = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
_BUCKET = {
    "type": "object",
    "additionalProperties": False,
    "required": ["capacity", "refill"],
    "properties": {"capacity": _NUMBER, "refill": _NUMBER},
}


def _object(properties: dict[str, Any], required: list[str] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": required or [],
    }


SWITCHES = _object(
    {
        "platform_patches_by_itself": _FLAG,
        "platform_within_days": _NUMBER,
        "platform_not_before_hours": _NUMBER,
        "enrolment_delay_minutes": _RANGE,
        "patch_status_lag_minutes": _RANGE,
        "hotpatch_reboot_behavior": {"enum": ["NeverReboots", "CanRequestReboot"]},
        "conflict_code": {"enum": ["Conflict", "OperationNotAllowed", "ScopeLocked"]},
        "stopped_machine": {"enum": ["accepted_then_failed", "refused"]},
        "rebuilt_poll_url": {"enum": ["not_found", "forbidden", "accepted"]},
        "operation_kept_minutes": _NUMBER,
        "unselected_state": {"enum": ["Excluded", "NotSelected"]},
        "install_failure": {"enum": ["patch", "operation"]},
        "put_without_patch_settings": {"enum": ["reset", "refused"]},
        "reboot_setting_of": {"enum": ["model", "call"]},
        "throttle_body": {"enum": ["text_for_polls", "json", "text"]},
        "buckets": {"enum": ["smaller_than_documented", "documented", "larger_than_documented"]},
        "bucket_sizes": {"type": "object", "additionalProperties": _BUCKET},
        "others_draw_percent": {"type": "number", "minimum": 0, "maximum": 90},
        "others_schedule": {
            "type": "array",
            "items": _object(
                {"from_minutes": _NUMBER, "to_minutes": _NUMBER, "percent": {"type": "number", "maximum": 100}},
                ["from_minutes", "to_minutes", "percent"],
            ),
        },
        "others_draw": {"enum": ["at_refill", "evenly"]},
        "ratelimit_headers": {"enum": ["comma_separated", "repeated"]},
        "resource_graph_lag_minutes": _RANGE,
        "operations_read_scope": {"enum": ["subscription", "machine"]},
        "drained_percent": {"type": "number", "minimum": 0, "maximum": 100},
        "list_expand": {"enum": ["refused_without_filter", "allowed"]},
        "page_size": {"type": "integer", "minimum": 1},
        "assess_minutes": _RANGE,
        "install_minutes": _RANGE,
        "duration_shape": {"enum": ["uniform", "lognormal"]},
        "restart_down_seconds": _RANGE,
        "restart_late_seconds": _RANGE,
        "baseline_down_seconds": _RANGE,
        "servicing_seconds": _RANGE,
        "agent_silence_minutes": _NUMBER,
        "update_seconds": _RANGE,
        "token_lifetime_seconds": {"type": "integer", "minimum": 5},
    }
)

_IMAGE = _object(
    {"publisher": _TEXT, "offer": _TEXT, "sku": _TEXT, "version": _TEXT, "exact_version": _TEXT, "id": _TEXT}
)

_PATCH_SETTINGS = _object(
    {
        "patch_mode": {"enum": ["Manual", "AutomaticByOS", "AutomaticByPlatform"]},
        "enable_hotpatching": {"type": ["boolean", "null"]},
        "assessment_mode": {"enum": ["ImageDefault", "AutomaticByPlatform", None]},
        "reboot_setting": {"enum": ["Unknown", "IfRequired", "Never", "Always", None]},
        "bypass_platform_safety_checks": {"type": ["boolean", "null"]},
    }
)

_GUEST = _object(
    {
        "address": _TEXT,
        "winrm": _FLAG,
        "authentication": {
            "type": "array",
            "minItems": 1,
            "uniqueItems": True,
            "items": {"enum": ["basic", "ntlm", "kerberos", "certificate"]},
        },
        "https_listener": _FLAG,
        "http_listener": _FLAG,
        "allow_unencrypted": _FLAG,
        "cbt_hardening": {"enum": ["none", "relaxed", "strict"]},
        "certificate_name": _TEXT,
        "level": {"enum": ["baseline", "current", "behind", "off_track"]},
        "ubr": {"type": "integer", "minimum": 1},
        "kbs": {"type": "array", "items": {"type": "string", "pattern": "^KB[0-9]+$"}},
        "enrolled": _FLAG,
        "vbs_configured": _FLAG,
        "vbs_status": {"enum": [0, 1, 2]},
        "hotpatch_table_size": {"type": ["integer", "null"]},
        "hotpatch_package_version": {"type": ["string", "null"]},
        "pending_restart": _FLAG,
        "booted_hours_ago": _NUMBER,
        "clock_skew_seconds": {"type": "number"},
        "time_zone": _TEXT,
        "utc_offset_minutes": {"type": "integer", "minimum": -720, "maximum": 840},
        "smbios_uuid_swapped": _FLAG,
        "smbios_uuid": _TEXT,
        "services": {"type": "object", "additionalProperties": {"type": "string"}},
        "free_memory_kb": {"type": "integer", "minimum": 0},
        "total_memory_kb": {"type": "integer", "minimum": 0},
        "cpu_percent": {"type": "integer", "minimum": 0, "maximum": 100},
        "domain_role": {"type": "integer", "minimum": 0, "maximum": 5},
        "domain": _TEXT,
        "cluster_name": _TEXT,
        "cluster_owner_node": _TEXT,
        "sql_instances": _TEXTS,
        "update_policies": {"type": "object", "additionalProperties": {"type": ["string", "integer"]}},
        "service_start_modes": {"type": "object", "additionalProperties": {"type": "string"}},
        "update_events": {
            "type": "array",
            "items": _object(
                {"event_id": {"type": "integer"}, "minutes_ago": _NUMBER, "title": _TEXT, "hresult": _TEXT},
                ["event_id"],
            ),
        },
        "licence_status": {"type": ["integer", "null"], "minimum": 0, "maximum": 6},
        "licensing_mutex": {"type": ["boolean", "null"]},
        "licensing_override": {"type": ["integer", "null"]},
        "extension_versions": {"type": ["array", "null"], "items": {"type": "string", "pattern": r"^\d+(\.\d+)+$"}},
        "extension_reported_minutes_ago": _NUMBER,
        "system_drive_bytes": {"type": "integer", "minimum": 0},
        "system_drive_free_bytes": {"type": "integer", "minimum": 0},
        "pending_renames": {"type": "integer", "minimum": 0},
        "secure_boot": _FLAG,
    }
)

_SCRIPT = _object(
    {
        "offer": _object(
            {
                "rebootBehavior": {"enum": ["NeverReboots", "CanRequestReboot", "AlwaysRequiresReboot"]},
                "hidden": _FLAG,
            }
        ),
        "assess": _object({"outcome": {"enum": ["Succeeded", "Failed"]}, "duration": _NUMBER, "then_installs": _TEXT}),
        "install": _object(
            {
                "outcome": {
                    "enum": [
                        "Succeeded",
                        "CompletedWithWarnings",
                        "Failed",
                        "FailedOperation",
                        "Excluded",
                        "NotSelected",
                        "Pending",
                    ],
                },
                "restarts": _FLAG,
                "duration": _NUMBER,
                "winrm": {"type": "object"},  # what the guest does from then on, checked by wsman.faults
            }
        ),
        "platform": _object({"install_after_minutes": _NUMBER}),
        "winrm": {"type": "object"},  # a guest's misbehaviour, checked by wsman.faults
    }
)

_MACHINE_PROPERTIES: dict[str, Any] = {
    "host": _TEXT,
    "vm_id": _TEXT,
    "update_domain": {"type": "integer", "minimum": 0},
    "product": {"enum": ["ws2022", "ws2025"]},
    "image": _IMAGE,
    "location": _TEXT,
    "resource_group": _TEXT,
    "subscription": _TEXT,
    "ring": _TEXT,
    "deleted": _FLAG,
    "zone": {"type": ["string", "integer"]},
    "availability_set": _TEXT,
    "scale_set": _TEXT,
    "size": _TEXT,
    "public_address": _TEXT,
    "power": {"enum": ["running", "deallocated", "stopped"]},
    "agent_ready": _FLAG,
    "provision_vm_agent": _FLAG,
    "enable_automatic_updates": _FLAG,
    "allow_extension_operations": _FLAG,
    "patch_settings": _PATCH_SETTINGS,
    "tags": {"type": "object", "additionalProperties": {"type": "string"}},
    "guest": _GUEST,
    "script": _SCRIPT,
    # "again" is the verdict of a second run over the same fleet, where it is neither the first's nor already_current.
    "expect": _object({"verdict": _TEXT, "reason": _TEXT, "again": _TEXT}, ["verdict"]),
}

FLEET: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "hotpatch-emulator fleet",
    **_object(
        {
            "now": _TEXT,
            "speed": {"type": "number", "minimum": 0, "maximum": 100000},
            "seed": {"type": "integer"},
            "tenant": _TEXT,
            "subscriptions": {
                "type": "array",
                "minItems": 1,
                "items": _object({"id": _TEXT, "name": _TEXT}, ["name"]),
            },
            "management_groups": {"type": "object", "additionalProperties": _TEXTS},
            "roles": {
                "type": "array",
                "items": _object({"name": _TEXT, "actions": _TEXTS, "not_actions": _TEXTS}, ["name", "actions"]),
            },
            "principals": {
                "type": "array",
                "minItems": 1,
                "items": _object(
                    {
                        "name": _TEXT,
                        "managed_identity": _FLAG,
                        "proofs": {
                            "type": "array",
                            "minItems": 1,
                            "uniqueItems": True,
                            "items": {"enum": ["secret", "certificate", "federated", "password"]},
                        },
                        "certificate_valid_days": {"type": "number"},
                        "federated_subject": _TEXT,
                        "federated_audience": _TEXT,
                        "user": _TEXT,
                        "roles": {
                            "type": "array",
                            "items": _object(
                                {
                                    "role": _TEXT,
                                    "scope": _TEXT,
                                    "subscription": _TEXT,
                                    "resource_group": _TEXT,
                                    "actions": _TEXTS,
                                    "not_actions": _TEXTS,
                                }
                            ),
                        },
                    },
                    ["name"],
                ),
            },
            "guest_user": _TEXT,
            "switches": SWITCHES,
            "faults": {"type": "array", "items": {"type": "object"}},  # checked by faults
            "defaults": _object(_MACHINE_PROPERTIES),
            "machines": {
                "type": "array",
                "minItems": 1,
                "items": _object(
                    {"name": _TEXT, "count": {"type": "integer", "minimum": 1}, **_MACHINE_PROPERTIES}, ["name"]
                ),
            },
        },
        ["now", "machines"],
    ),
}
