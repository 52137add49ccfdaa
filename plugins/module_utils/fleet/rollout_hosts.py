# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the inventory says of a rollout's hosts: which machine each is, where it belongs, and what is asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ..domain.errors import InputError
from ..domain.resource_id import ResourceId
from ..domain.time_zones import find_zone
from ..domain.windows import WindowRules, parse_window

ID_OPTION = "hotpatch_resource_id"
SERVICE_OPTION = "hotpatch_service"
WINDOW_OPTION = "hotpatch_window"
TIME_ZONE_OPTION = "hotpatch_time_zone"
EXEMPT_OPTION = "hotpatch_exempt"
DOMAIN_OPTION = "hotpatch_domain_controller_of"
CLUSTER_OPTION = "hotpatch_cluster"

HOST_VARIABLES = (
    ID_OPTION,
    "id",
    SERVICE_OPTION,
    WINDOW_OPTION,
    TIME_ZONE_OPTION,
    EXEMPT_OPTION,
    DOMAIN_OPTION,
    CLUSTER_OPTION,
)
"""All host variables that a plan reads."""

_SHOWN = 5


@dataclass(frozen=True)
class Exemption:
    """Why a machine takes no part, and the last day (UTC) of that."""

    reason: str
    until: date

    def holds(self, now: datetime) -> bool:
        """Whether the machine is exempt at that moment."""
        return now.date() <= self.until


@dataclass(frozen=True)
class HostSays:
    """One host's variables, checked.

    :param groups: the inventory groups it is in.
    :param window: its own window, in place of its ring's.
    :param domain: the domain it is a controller of; "" says none, None says nothing. Likewise ``cluster``.
    """

    groups: frozenset[str] = frozenset()
    service: str | None = None
    window: WindowRules | None = None
    time_zone: str | None = None
    exemption: Exemption | None = None
    domain: str | None = None
    cluster: str | None = None


@dataclass(frozen=True)
class Inventory:
    """The hosts of a run by name, and the names that groups and hosts of the whole inventory have."""

    hosts: Mapping[str, HostSays] = field(default_factory=dict)
    names: frozenset[str] = frozenset()

    def of(self, host: str) -> HostSays:
        """What is said of that host; nothing where it is not known."""
        return self.hosts.get(host, HostSays())


def read_inventory(variables: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Sequence[str]]) -> Inventory:
    """Return what the variables of each host say; InputError, naming host and variable, for what cannot be.

    :param variables: the values of HOST_VARIABLES by host, as far as they are set.
    :param groups: the inventory's groups with their hosts.
    """
    of_host: dict[str, set[str]] = {host: set() for host in variables}
    for group, members in groups.items():
        for host in members:
            if host in of_host:
                of_host[host].add(group)
    names = frozenset(groups) | {host for members in groups.values() for host in members} | frozenset(variables)
    hosts = {host: _host(host, values, frozenset(of_host[host])) for host, values in variables.items()}
    return Inventory(hosts, names)


def find_targets(variables: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the ARM ID by host, from the host variables ``hotpatch_resource_id`` or else ``id``.

    Raises InputError for hosts without one, for malformed ones, and for two hosts that name the same machine: it would
    be patched twice.
    """
    without = [host for host, values in variables.items() if not _given_id(values)]
    if without:
        raise InputError(
            ID_OPTION,
            f"(not set) for {some(without)}",
            "the ARM ID of each host's machine",
            "set it, or leave these hosts out with hotpatch_hosts or --limit",
        )
    ids: dict[str, str] = {}
    owners: dict[str, str] = {}
    for host, values in variables.items():
        rid = ResourceId.parse(str(_given_id(values)), f"{ID_OPTION} of host {host}")
        first = owners.setdefault(rid.key, host)
        if first != host:
            raise InputError(f"{ID_OPTION} of host {host}", str(rid), f"another machine than that of host {first}")
        ids[host] = str(rid)
    return ids


def some(names: Sequence[str], shown: int = _SHOWN) -> str:
    """The first few of those names, and how many more there are."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def parse_exemption(raw: object, option: str = EXEMPT_OPTION) -> Exemption | None:
    """Return the exemption of ``{reason: "...", until: "2026-12-31"}``, None for nothing; InputError for the rest.

    Both are required: what has no reason is forgotten, and what has no end stays for ever.
    """
    if raw is None or raw == "" or raw == {} or raw is False:
        return None
    allowed = "a mapping with a reason and a last day, such as {reason: frozen for the audit, until: 2026-12-31}"
    if not isinstance(raw, Mapping) or set(raw) != {"reason", "until"}:
        raise InputError(option, raw, allowed)
    reason = str(raw["reason"] or "").strip()
    if not reason:
        raise InputError(f"{option}.reason", raw["reason"], "a reason of at least one character")
    try:
        until = date.fromisoformat(str(raw["until"]).strip()[:10])
    except ValueError:
        raise InputError(f"{option}.until", raw["until"], "the last day of the exemption, such as 2026-12-31") from None
    return Exemption(reason, until)


def _given_id(values: Mapping[str, Any]) -> object:
    return values.get(ID_OPTION) or values.get("id")


def _host(host: str, values: Mapping[str, Any], groups: frozenset[str]) -> HostSays:
    def named(option: str) -> str:
        return f"{option} of host {host}"

    zone = _text(values, TIME_ZONE_OPTION, host)
    if zone:
        find_zone(zone, named(TIME_ZONE_OPTION))
    return HostSays(
        groups=groups,
        service=_text(values, SERVICE_OPTION, host) or None,
        window=parse_window(values.get(WINDOW_OPTION), named(WINDOW_OPTION)),
        time_zone=zone or None,
        exemption=parse_exemption(values.get(EXEMPT_OPTION), named(EXEMPT_OPTION)),
        domain=_text(values, DOMAIN_OPTION, host),
        cluster=_text(values, CLUSTER_OPTION, host),
    )


def _text(values: Mapping[str, Any], option: str, host: str) -> str | None:
    value = values.get(option)
    if value is None:
        return None
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise InputError(f"{option} of host {host}", value, "text")
    return str(value).strip()
