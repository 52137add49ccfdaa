# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give every machine of a rollout its ring and its wave, by the rings' rules and by where the machines stand.

A machine that has a wave keeps it: a run that is taken up again finds it where the first one put it, and machines that
came later get waves of their own, behind those of their ring.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations

from ..domain.errors import InputError
from ..domain.guest import GuestFacts
from ..domain.locations import Regions, region_name
from ..domain.machine import Machine
from ..domain.placement import Site, Surroundings, place
from ..domain.rings import OPTION, RingRules
from ..domain.server_role import server_role
from ..domain.windows import Window, meet
from .rollout_hosts import HostSays, Inventory
from .rollout_state import Record, Ring, Rollout, Wave
from .rollout_windows import Windows, rules_of

NO_RING = "no_ring"


@dataclass(frozen=True)
class Knowledge:
    """What a plan knows of the fleet beside Azure's word of each machine.

    :param guests: readings by host; None when guests were not asked at all.
    :param regions: pairs and physical zones, as far as they could be read.
    :param service_tag: the Azure tag that names a machine's service.
    """

    inventory: Inventory = field(default_factory=Inventory)
    guests: Mapping[str, GuestFacts] | None = None
    regions: Regions = field(default_factory=Regions)
    service_tag: str = ""

    def guest_of(self, host: str) -> GuestFacts | None:
        """This run's reading of a host's guest, None when guests were not asked."""
        return None if self.guests is None else self.guests.get(host)


def check_ring_names(rings: Sequence[RingRules], inventory: Inventory) -> None:
    """Raise InputError for a ring's host or group that the inventory does not have: a slip would leave machines out."""
    if not inventory.names:
        return
    for number, ring in enumerate(rings):
        for key, names in (("hosts", ring.hosts), ("canary", ring.canary)):
            for name in names:
                if name not in inventory.names:
                    raise InputError(f"{OPTION}[{number}].{key}", name, "a group or host of the inventory")


def ring_of(host: str, says: HostSays, tags: Mapping[str, str], rings: Sequence[RingRules]) -> str | None:
    """The first ring that names the machine, None where none does."""
    lowered = {name.lower(): value for name, value in tags.items()}
    for ring in rings:
        named = not ring.hosts or bool(set(ring.hosts) & ({host} | says.groups))
        tagged = all(lowered.get(name.lower()) == value for name, value in ring.tags.items())
        if named and tagged:
            return ring.name
    return None


def stand(record: Record, machine: Machine, known: Knowledge) -> None:
    """Write down where the machine stands, as far as it is known."""
    says, guest = known.inventory.of(record.host), known.guest_of(record.host)
    tags = {name.lower(): value for name, value in machine.tags.items()}
    role = server_role(guest, says.domain, says.cluster)
    record.service = says.service or (tags.get(known.service_tag.lower()) if known.service_tag else None) or None
    record.domain, record.cluster, record.cluster_owner = role.domain, role.cluster, role.owner
    record.role_unknown = role.unknown
    record.role_silent = bool(role.silent)
    record.location = region_name(machine.location) or None
    record.zone = _zone(machine, known.regions)
    record.availability_set = machine.availability_set.lower() if machine.availability_set else None
    record.update_domain = machine.platform_update_domain.value
    record.window = says.window.to_dict() if says.window else None
    record.time_zone = says.time_zone or machine.time_zone.value


def _zone(machine: Machine, regions: Regions) -> str | None:
    if not machine.zones:
        return None
    number, subscription = machine.zones[0], machine.id.subscription_id
    physical = regions.physical_zone(subscription, machine.location, number)
    return physical or f"{region_name(machine.location)} zone {number} of subscription {subscription}"


def take_rings(rollout: Rollout, rings: Sequence[RingRules]) -> None:
    """Give the rollout these rings, by name; one that is no longer named stays while it has waves, before the rest."""
    wanted = {rules.name: rules for rules in rings}
    waved = {wave.ring for wave in rollout.waves}
    before = {ring.name: ring for ring in rollout.rings}
    kept = [ring for ring in rollout.rings if ring.name not in wanted and ring.name in waved]
    for name, rules in wanted.items():
        ring = before.get(name) or Ring(name, {})
        ring.rules = rules.to_dict()
        kept.append(ring)
    rollout.rings = kept


def place_all(rollout: Rollout, known: Knowledge, now: datetime, needed: timedelta) -> None:
    """Give every machine in scope that has neither verdict nor wave its wave.

    :param needed: how long a machine takes at most, for windows that may never be open together.
    """
    windows = Windows(rollout)
    sizes = _set_sizes(rollout.machines.values())
    pairs = known.regions.pairs()
    for ring in rollout.rings:
        rules = rules_of(ring)
        waiting = {
            key: rollout.machines[key]
            for key in _in_order(rollout, rules, known.inventory)
            if rollout.machines[key].ring == ring.name and _is_waiting(rollout.machines[key])
        }
        if not waiting:
            continue
        around = Surroundings(pairs, sizes, rules.spread, _never_together(windows.by_name(waiting), now, needed))
        sites = [_site(key, record, windows.name_of(record)) for key, record in waiting.items()]
        for placed in place(sites, rules.waves, around):
            number = len(rollout.waves) + 1
            rollout.waves.append(
                Wave(number, placed.keys, ring=ring.name, size=placed.size, held_back=placed.held_back)
            )
            for key in placed.keys:
                rollout.machines[key].wave = number
        # It has machines again that are not proven.
        ring.finished = ring.soak_until = ring.soaked = None


def _set_sizes(records: Iterable[Record]) -> dict[str, int]:
    """Machines by availability set; those left out do not count, so that a set is never taken for a larger one."""
    return Counter(item.availability_set for item in records if item.availability_set and item.verdict != "skipped")


def _is_waiting(record: Record) -> bool:
    return not record.judged and record.wave is None


def _in_order(rollout: Rollout, rules: RingRules, inventory: Inventory) -> Iterable[str]:
    """The keys in scope in plan order, the ring's canaries first."""
    if not rules.canary:
        return rollout.scope
    first = set(rules.canary)

    def is_canary(key: str) -> bool:
        host = rollout.machines[key].host
        return bool(first & ({host} | inventory.of(host).groups))

    return sorted(rollout.scope, key=lambda key: not is_canary(key))


def _site(key: str, record: Record, window: str) -> Site:
    return Site(
        key=key,
        location=record.location or "",
        zone=record.zone,
        availability_set=record.availability_set,
        update_domain=record.update_domain,
        service=record.service,
        domain_controller_of=record.domain,
        cluster=record.cluster,
        owner=record.cluster_owner,
        role_unknown=bool(record.role_unknown),
        window=window or None,
    )


def _never_together(windows: Mapping[str, Window], now: datetime, needed: timedelta) -> frozenset[frozenset[str]]:
    pairs = combinations(sorted(windows), 2)
    return frozenset(frozenset(pair) for pair in pairs if not meet(windows[pair[0]], windows[pair[1]], now, needed))


def waves_in_order(rollout: Rollout) -> list[Wave]:
    """The waves as they are taken: ring after ring, whatever was planned later."""
    order = {ring.name: number for number, ring in enumerate(rollout.rings)}
    return sorted(rollout.waves, key=lambda wave: (order.get(wave.ring, -1), wave.number))
