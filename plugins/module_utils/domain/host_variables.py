# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a host that stands for a machine: azure.azcollection's names where it has the fact, else ours."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .eligibility import availability
from .facts import Fact
from .graph_machine import GraphMachine, ring_of
from .machine import Machine, product
from .patch_status import AssessmentSummary
from .timestamps import to_iso

ADDRESSES = ("private", "public")
ALIASES = {"name": "machine_name", "tags": "machine_tags"}
"""Names that azure.azcollection gives two variables. Ansible has reserved them, and warns for every host and task; so
expressions of an inventory may use them, and hosts do not have them."""


def host_variables(
    found: GraphMachine, read_at: datetime, *, ring_tag: str, address_order: Sequence[str]
) -> dict[str, Any]:
    """Return the host's variables as plain JSON; unreadable facts are null, and named with their reason in ``unread``.

    :param address_order: which of ``private`` and ``public`` makes ``ansible_host``, the first that is there.
    """
    machine = found.machine
    unread: dict[str, str] = {}

    def value(name: str, fact: Fact[Any]) -> Any:
        if fact.is_unreadable:
            unread[name] = fact.why
        return fact.value

    private = list(value("private_ipv4_addresses", found.addresses.private) or ())
    public = list(value("public_ipv4_addresses", found.addresses.public) or ())
    judged = found.eligibility()
    variables: dict[str, Any] = {
        "id": str(machine.id),
        "hotpatch_resource_id": str(machine.id),
        "machine_name": machine.name,
        "resource_type": f"{machine.id.provider}/{machine.id.type}",
        "subscription_id": machine.id.subscription_id,
        "resource_group": machine.id.resource_group,
        "location": machine.location,
        "availability_zone": list(machine.zones),
        "availability_set": machine.availability_set,
        "scale_set": machine.scale_set,
        "virtual_machine_size": found.size,
        "security_type": found.security_type,
        "vmid": machine.vm_id,
        "computer_name": value("computer_name", machine.computer_name),
        "os_name": value("os_name", machine.os_name),
        "os_version": value("os_version", machine.os_version),
        "time_zone": value("time_zone", machine.time_zone),
        "image": _image(value("image", machine.image)),
        "product": value("product", product(machine)),
        "provisioning_state": (machine.provisioning_state or "").lower() or None,
        "powerstate": value("powerstate", machine.power_state),
        "availability": availability(machine).state,
        "machine_tags": dict(machine.tags),
        "hotpatch_ring": ring_of(machine.tags, ring_tag),
        "patch_settings": {name: value(f"patch_settings.{name}", fact) for name, fact in _settings(machine)},
        "last_assessment": _assessment(machine.assessment),
        "last_installation": installation_variables(found),
        "eligibility": {
            "state": judged.state,
            "reasons": [{"code": reason.code, "text": reason.text} for reason in judged.reasons],
            "not_judged": [reason.code for reason in judged.overridden],
        },
        "private_ipv4_addresses": private,
        "public_ipv4_addresses": public,
        "hotpatch_read_at": to_iso(read_at),
    }
    if machine.id.kind == "arc_machine":
        variables["hotpatch_licence"] = value("hotpatch_licence", found.licence)
    if not found.assessed:
        unread["last_assessment"] = "assessments were not asked for"
    if not found.installed:
        unread["last_installation"] = "installations were not asked for"
    address = next((item for kind in address_order for item in (private if kind == "private" else public)), None)
    if address:
        variables["ansible_host"] = address
    variables["unread"] = unread
    return variables


def with_aliases(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables with those under :data:`ALIASES` besides."""
    return {**variables, **{alias: variables[name] for alias, name in ALIASES.items()}}


def _settings(machine: Machine) -> list[tuple[str, Fact[Any]]]:
    settings = machine.patch_settings
    return [(field.name, getattr(settings, field.name)) for field in dataclasses.fields(settings)]


def _image(image: Any) -> dict[str, Any] | None:
    return None if image is None else {field.name: getattr(image, field.name) for field in dataclasses.fields(image)}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else to_iso(moment)


def _assessment(summary: AssessmentSummary | None) -> dict[str, Any] | None:
    if summary is None:
        return None
    return {
        "status": summary.status,
        "start_time": _time(summary.start_time),
        "last_modified_time": _time(summary.last_modified_time),
        "reboot_pending": summary.reboot_pending,
        "critical_and_security_patch_count": summary.critical_and_security_patch_count,
        "other_patch_count": summary.other_patch_count,
        "error": _code(summary.error),
    }


def installation_variables(found: GraphMachine) -> dict[str, Any] | None:
    """Return the last installation as plain JSON, None where Resource Graph shows none."""
    if found.installation is None:
        return None
    summary = found.installation.summary
    return {
        "status": summary.status,
        "activity_id": summary.activity_id,
        "start_time": _time(summary.start_time),
        "last_modified_time": _time(summary.last_modified_time),
        "started_by": found.installation.started_by,
        "reboot_status": found.installation.reboot_status,
        "installed_patch_count": summary.installed_patch_count,
        "failed_patch_count": summary.failed_patch_count,
        "pending_patch_count": summary.pending_patch_count,
        "error": _code(summary.error),
    }


def _code(error: Mapping[str, Any] | None) -> str | None:
    return None if error is None else str(error.get("code") or error.get("message") or "unknown")
