# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a machine is one of few that others lean on: a domain controller, or a node of a failover cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .guest import DOMAIN_CONTROLLERS, GuestFacts

SUBSET = "roles"
"""What a guest is asked for these facts."""


@dataclass(frozen=True)
class ServerRole:
    """What others lean on this machine for.

    :param domain: the domain it is a controller of, in lower case; None when it is none.
    :param cluster: the failover cluster it is a node of, in lower case.
    :param owner: whether it owns the cluster's core group.
    :param unknown: what the guest could not tell, as a clause; empty when all is known, or it was not asked.
    :param silent: why the guest did not answer. It has to answer before it is started, and tells its role then: see
        :func:`surprises`.
    """

    domain: str | None = None
    cluster: str | None = None
    owner: bool = False
    unknown: str = ""
    silent: str = ""


def server_role(guest: GuestFacts | None, domain: str | None = None, cluster: str | None = None) -> ServerRole:
    """Return a machine's role by its guest, and by what the inventory says, which wins.

    :param guest: this run's reading; None when guests were not asked, which is said elsewhere, once for all of them.
    :param domain: the domain that the inventory says it is a controller of; "" says that it is none, None says nothing.
    :param cluster: likewise for the cluster.
    """
    role = ServerRole() if guest is None else _by_guest(guest, domain is None, cluster is None)
    if domain is not None:
        role = replace(role, domain=domain.lower() or None)
    if cluster is not None:
        role = replace(role, cluster=cluster.lower() or None)
    return role


def _by_guest(guest: GuestFacts, ask_domain: bool, ask_cluster: bool) -> ServerRole:
    if not guest.reachable:
        return ServerRole(silent=(guest.why or "no answer") if ask_domain or ask_cluster else "")
    unknown: list[str] = []
    domain = None
    role, named = guest.domain_role, guest.cluster_name
    if role.value in DOMAIN_CONTROLLERS:
        # Of an unknown domain: together with all others of an unknown one.
        domain = (guest.domain.value or "an unknown domain").lower()
    elif role.is_unreadable and ask_domain:
        unknown.append(f"whether it is a domain controller was not read ({role.why})")
    if named.is_unreadable and ask_cluster:
        unknown.append(f"whether it is a cluster's node was not read ({named.why})")
    cluster = named.value.lower() if named.value else None
    return ServerRole(domain, cluster, _owns(guest) if cluster else False, "; ".join(unknown))


def _owns(guest: GuestFacts) -> bool:
    """Whether it is the node that owns the core group; where the owner was not read nobody is known to be it."""
    owner, name = guest.cluster_owner_node.value, guest.computer_name.value
    return bool(owner and name) and str(owner).lower() == str(name).lower()


def surprises(roles: Mapping[str, ServerRole]) -> dict[str, str]:
    """Return the machines that must not be started together with the others, with the reason.

    What a plan knew it has kept apart; this finds what only showed when the guests were asked before a wave's start. Of
    machines that go one at a time the first may start. One whose role is still not known goes with none that has one.

    :param roles: the role of each machine that is about to be started, in the order in which they are preferred.
    """
    first: dict[tuple[str, str], str] = {}
    undetermined = ""
    held: dict[str, str] = {}
    for name, role in roles.items():
        groups = [("a domain controller of", role.domain), ("a node of the cluster", role.cluster)]
        own = [(what, group) for what, group in groups if group is not None]
        doubt = role.unknown or role.silent
        taken = next((first[group] for group in own if group in first), None)
        if taken is not None:
            what, group = next(group for group in own if group in first)
            held[name] = f"its guest says that it is {what} {group}, as {taken} is, which is started now"
        elif doubt and (first or undetermined):
            other = undetermined or next(iter(first.values()))
            held[name] = f"it may be a domain controller or a cluster's node ({doubt}), and {other} is started now"
        elif own and undetermined:
            held[name] = f"its guest says that it is {' '.join(own[0])}, as {undetermined} may be, which is started now"
        else:
            first.update(dict.fromkeys(own, name))
            undetermined = name if doubt else undetermined
    return held
