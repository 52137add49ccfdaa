# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes a fleet file of a real fleet: what machine_info and guest_info returned for it, so that its own night can be
rehearsed.

Read is JSON: ``machines`` as winfleet.hotpatch.machine_info returns them with ``details: all``, and beside it, where
they are known, ``hosts`` (ARM ID by host name) and ``guests`` (guest_info's ``guest`` by host name); the playbook
winfleet.hotpatch.snapshot writes it. The shapes are read here anew: the emulator imports nothing of the collection.
What the emulator cannot stand in for is left out and named, never put in as something else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml

from hotpatch_emulator.settings import FleetError

BUILDS = {"20348": "ws2022", "26100": "ws2025"}
_VM = "/providers/microsoft.compute/virtualmachines/"


@dataclass
class OwnFleet:
    """The fleet file's document, and a sentence for each machine that is not in it."""

    document: dict[str, Any]
    left_out: list[str] = field(default_factory=list)


def convert(snapshot: Mapping[str, Any]) -> OwnFleet:
    """The fleet file of a snapshot. Raises FleetError with one sentence when it holds no machine to stand in for."""
    machines = snapshot.get("machines")
    if not isinstance(machines, list) or not all(isinstance(item, Mapping) for item in machines):
        raise FleetError("the snapshot holds no list 'machines'; write it with the playbook winfleet.hotpatch.snapshot")
    hosts = {str(identifier).lower(): str(host) for host, identifier in _mapping(snapshot.get("hosts")).items()}
    guests = _mapping(snapshot.get("guests"))
    now = _moment_of(snapshot, machines)
    left_out: list[str] = []
    found: list[dict[str, Any]] = []
    for entry in machines:
        identifier = str(entry.get("id") or "")
        host = hosts.get(identifier.lower())
        refused = _refused(entry)
        if refused:
            left_out.append(f"{host or identifier or 'a machine without an ID'}: {refused}")
        else:
            found.append(_machine(entry, host, _mapping(guests.get(host)) if host else {}, now))
    if not found:
        raise FleetError("the snapshot holds no machine that the emulator can stand in for: " + "; ".join(left_out[:3]))
    subscriptions = dict.fromkeys(str(item["subscription"]) for item in found)
    document = {
        "now": now.isoformat().replace("+00:00", "Z"),
        "speed": 60,
        "seed": 1,
        "subscriptions": [{"id": identifier, "name": identifier} for identifier in subscriptions],
        "machines": found,
    }
    return OwnFleet(document, left_out)


def _refused(entry: Mapping[str, Any]) -> str:
    """Why the emulator cannot stand in for this machine, or the empty string."""
    if _VM not in str(entry.get("id") or "").lower():
        return "no Azure virtual machine"
    if entry.get("error"):
        return f"Azure did not show it ({_mapping(entry['error']).get('code') or 'no code'})"
    if _value(entry.get("os_type")) not in (None, "Windows", "windows"):
        return f"its operating system is {_value(entry.get('os_type'))}"
    if _product(entry) is None:
        return "it is neither Windows Server 2022 nor 2025, or its product was not read"
    return ""


def _product(entry: Mapping[str, Any]) -> str | None:
    if entry.get("product") in BUILDS.values():
        return str(entry["product"])
    version = str(_value(entry.get("os_version")) or "")
    return next((name for build, name in BUILDS.items() if f".{build}." in f"{version}."), None)


def _machine(entry: Mapping[str, Any], host: str | None, guest: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    parts = str(entry["id"]).split("/")
    zones = entry.get("zones") or []
    power = _value(entry.get("power_state"))
    made = {
        "name": parts[8],
        "host": host,
        "vm_id": entry.get("vm_id"),
        "subscription": parts[2].lower(),
        "resource_group": parts[4],
        "location": entry.get("location") or None,
        "product": _product(entry),
        "image": _image(entry),
        "zone": str(zones[0]) if zones else None,
        "availability_set": _last(entry.get("availability_set")),
        "update_domain": _value(entry.get("platform_update_domain")),
        "scale_set": _last(entry.get("scale_set")),
        "power": "running" if power in (None, "running") else "deallocated" if power == "deallocated" else "stopped",
        "agent_ready": _value(entry.get("agent_status")) in (None, "Ready"),
        "provision_vm_agent": _value(entry.get("provision_vm_agent")),
        "enable_automatic_updates": _value(entry.get("enable_automatic_updates")),
        "allow_extension_operations": _value(entry.get("allow_extension_operations")),
        "patch_settings": _settings(_mapping(entry.get("patch_settings"))),
        "tags": {str(name): str(value) for name, value in _mapping(entry.get("tags")).items()} or None,
        "guest": _guest(entry, guest, now) or None,
    }
    return {name: value for name, value in made.items() if value is not None}


def _image(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    image = _mapping(_value(entry.get("image")))
    if image.get("id"):
        return {"id": str(image["id"])}
    names = ("publisher", "offer", "sku", "version", "exact_version")
    return {name: str(image[name]) for name in names if image.get(name)} or None


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Patch settings as they were read; what ARM leaves out stays out, so that no default creeps in."""
    names = (
        "patch_mode",
        "enable_hotpatching",
        "assessment_mode",
        "reboot_setting",
        "bypass_platform_safety_checks",
    )
    settings = {name: _value(given.get(name)) for name in names}
    if settings["patch_mode"] is None:
        del settings["patch_mode"]
    return settings


def _guest(entry: Mapping[str, Any], guest: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    zone = _value(entry.get("time_zone"))
    made: dict[str, Any] = {"time_zone": zone} if zone else {}
    if not guest:
        return made
    if guest.get("reachable") is False:
        return {**made, "winrm": False}
    plain = {
        "ubr": _value(guest.get("ubr")),
        "clock_skew_seconds": _value(guest.get("skew_seconds")),
        "vbs_status": _value(guest.get("vbs_status")),
        "pending_restart": _value(guest.get("pending_restart")),
        "free_memory_kb": _value(guest.get("free_memory_kb")),
        "total_memory_kb": _value(guest.get("total_memory_kb")),
        "smbios_uuid": _value(guest.get("smbios_uuid")),
        "kbs": list(_value(guest.get("kbs")) or ()) or None,
    }
    made.update({name: value for name, value in plain.items() if value is not None})
    if "smbios_uuid" in made:
        made["smbios_uuid_swapped"] = False  # it is written down as Windows shows it
    for name in ("hotpatch_package_version", "hotpatch_table_size"):
        if _mapping(guest.get(name)).get("state") in ("value", "absent"):
            made[name] = _value(guest.get(name))
    booted = _value(guest.get("boot_time"))
    if booted:
        made["booted_hours_ago"] = round(max(0.0, (now - _moment(str(booted))).total_seconds() / 3600), 3)
    return made


def _moment_of(snapshot: Mapping[str, Any], machines: Sequence[Mapping[str, Any]]) -> datetime:
    """When the fleet was like this: the snapshot's own word, else the latest reading."""
    told = [str(item["read_at"]) for item in machines if item.get("read_at")]
    if snapshot.get("now"):
        told = [str(snapshot["now"])]
    if not told:
        raise FleetError("the snapshot does not say when it was read: neither 'now' nor a machine's 'read_at' is there")
    return max(_moment(text) for text in told)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise FleetError(f"the snapshot holds {text!r}, which is no ISO 8601 time") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def _value(fact: Any) -> Any:
    """A fact's value; None where it is absent or was not readable."""
    return fact.get("value") if isinstance(fact, Mapping) else fact


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _last(identifier: Any) -> str | None:
    return str(identifier).rpartition("/")[2] if identifier else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the fleet file. Exit status 2: it could not be made, and standard error says why in one sentence."""
    parser = argparse.ArgumentParser(prog="hotpatch-own-fleet", description="Make a fleet file of a real fleet.")
    parser.add_argument("snapshot", type=Path, help="what winfleet.hotpatch.snapshot wrote (JSON)")
    parser.add_argument("fleet", type=Path, help="the fleet file to write (YAML); edit it to try failures out")
    given = parser.parse_args(arguments)
    try:
        made = convert(json.loads(given.snapshot.read_text(encoding="utf-8")))
        given.fleet.write_text(yaml.safe_dump(made.document, sort_keys=False), encoding="utf-8")
    except (FleetError, OSError, ValueError) as error:
        print(f"hotpatch-own-fleet: {error}", file=sys.stderr)
        return 2
    for sentence in made.left_out:
        print(f"left out: {sentence}", file=sys.stderr)
    print(f"{len(made.document['machines'])} machines written to {given.fleet}, {len(made.left_out)} left out")
    return 0


if __name__ == "__main__":
    sys.exit(main())
