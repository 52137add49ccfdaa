# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a guest holds besides its patches: roles, update policies, licence, extension, disk, log, and a registry that
clients may write to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Union

Data = Union[str, int, "tuple[str | int, ...]"]
Written = tuple[str, int, Data]
"""A registry value: its name as it was spelled, its type's number, its data."""


@dataclass(frozen=True)
class LogEvent:
    """One event of Windows Update's client in the System log."""

    time: datetime
    code: int
    texts: tuple[str, ...]


@dataclass
class Inside:
    """Fields are named as in a fleet file.

    ``licensing_mutex`` None means that the key Subscriptions is not there, ``extension_versions`` None that the account
    sees no folder of any extension. ``written`` are registry values that clients set, by lower-case key and name.
    """

    domain_role: int = 2
    domain: str = "WORKGROUP"
    cluster_name: str | None = None
    cluster_owner_node: str = ""
    sql_instances: tuple[str, ...] = ()
    update_policies: dict[str, str | int] = field(default_factory=dict)
    service_start_modes: dict[str, str] = field(default_factory=dict)
    log: tuple[LogEvent, ...] = ()
    licence_status: int | None = 1
    licensing_mutex: bool | None = None
    licensing_override: int | None = None
    extension_versions: tuple[str, ...] | None = ()
    extension_reported: datetime | None = None
    system_drive_bytes: int = 136_365_211_648
    system_drive_free_bytes: int = 98_765_432_832
    pending_renames: int = 0
    secure_boot: bool = True
    written: dict[str, dict[str, Written]] = field(default_factory=dict)
    vbs_asked_for: bool = False

    def write(self, path: str, name: str, kind: int, data: Data) -> None:
        """Remember a registry value that a client set; ``path`` is below HKEY_LOCAL_MACHINE."""
        self.written.setdefault(path.lower(), {})[name.lower()] = (name, kind, data)
        if (path.lower(), name.lower()) == (_DEVICE_GUARD, "enablevirtualizationbasedsecurity"):
            self.vbs_asked_for = data == 1

    def create_key(self, path: str) -> None:
        self.written.setdefault(path.lower(), {})

    def vbs_after_boot(self, status: int) -> int:
        """Virtualization-based security begins with a boot, and runs only where the firmware has Secure Boot."""
        if not self.vbs_asked_for:
            return status
        return 2 if self.secure_boot else 1


_DEVICE_GUARD = r"system\currentcontrolset\control\deviceguard"

_TEXTS = {
    19: ("{title}", "{{9d7b8c1e-5a4f-4a1c-8a3e-6f0c2b1d7e55}}", "201"),
    20: ("{hresult}", "{title}", "{{9d7b8c1e-5a4f-4a1c-8a3e-6f0c2b1d7e55}}", "201"),
    21: ("{title}",),
    43: ("{title}", "{{9d7b8c1e-5a4f-4a1c-8a3e-6f0c2b1d7e55}}", "201"),
    44: ("{title}",),
}


def from_fleet(given: Mapping[str, Any], computer_name: str, now: datetime) -> Inside:
    """Read the part of a fleet file's guest that is about this."""
    plain = (
        *("domain_role", "domain", "cluster_name", "licence_status", "licensing_mutex", "licensing_override"),
        *("system_drive_bytes", "system_drive_free_bytes", "pending_renames", "secure_boot"),
    )
    inside = Inside(**{name: given[name] for name in plain if name in given})
    inside.cluster_owner_node = str(given.get("cluster_owner_node", computer_name))
    inside.sql_instances = tuple(given.get("sql_instances", ()))
    inside.update_policies = dict(given.get("update_policies", {}))
    inside.service_start_modes = dict(given.get("service_start_modes", {}))
    versions = given.get("extension_versions", ())
    inside.extension_versions = None if versions is None else tuple(versions)
    if "extension_reported_minutes_ago" in given:
        inside.extension_reported = now - timedelta(minutes=float(given["extension_reported_minutes_ago"]))
    inside.log = tuple(_event(item, now) for item in given.get("update_events", ()))
    return inside


def _event(item: Mapping[str, Any], now: datetime) -> LogEvent:
    code = int(item["event_id"])
    values = {"title": item.get("title", "Update"), "hresult": item.get("hresult", "0x80240022")}
    texts = tuple(text.format(**values) for text in _TEXTS.get(code, ("{title}",)))
    return LogEvent(now - timedelta(minutes=float(item.get("minutes_ago", 60))), code, texts)
