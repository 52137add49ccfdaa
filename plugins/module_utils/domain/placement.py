# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Place a ring's machines in waves so that what depends on each other is never under way together.

The rules are those of Azure's own availability-first order (Microsoft Learn, "Automatic guest patching for Azure
virtual machines", 2024-07), which an installation on demand does not keep: within an availability set one update domain
at a time and at most 20 % of its machines, one at a time in sets of fewer than ten; machines of different zones never
at once, which here is asked of the machines of one service; paired regions never at once. Domain controllers of one
domain and nodes of one cluster, which Azure does not know, go one at a time, and the node that owns the cluster last.

What is not known is taken as the worst it can be: see :class:`Site`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from .errors import InputError
from .waves import WaveSize, wave_sizes

OPTION = "hotpatch_spread"
AVAILABILITY_FIRST = "availability_first"

SpreadRule = Literal["availability_sets", "zones", "region_pairs", "domain_controllers", "clusters"]
SPREAD_RULES: tuple[SpreadRule, ...] = get_args(SpreadRule)
AVAILABILITY_FIRST_RULES: frozenset[SpreadRule] = frozenset(SPREAD_RULES)

SET_PERCENT, SMALL_SET = 20, 10


@dataclass(frozen=True)
class Site:
    """Where a machine stands.

    :param key: the machine, as it is known to the caller.
    :param location: its region, in lower case.
    :param zone: its physical zone, or a name that is the same only for machines known to share one; None: none was
        chosen for it, which counts as a zone of its own in its region.
    :param availability_set: any name of the set; None: in none.
    :param update_domain: its update domain in the set; None: not known, so that nobody of the set goes with it.
    :param service: what it serves together with others.
    :param domain_controller_of: the domain; None: it is no domain controller.
    :param cluster: the cluster; None: in none.
    :param owner: whether it owns the cluster's core group.
    :param role_unknown: whether it may be a domain controller or a node for all that is known; it then goes with no
        domain controller, no node and no other such machine.
    :param window: a name for when it may be started; machines whose windows never meet cannot share a wave.
    """

    key: str
    location: str = ""
    zone: str | None = None
    availability_set: str | None = None
    update_domain: int | None = None
    service: str | None = None
    domain_controller_of: str | None = None
    cluster: str | None = None
    owner: bool = False
    role_unknown: bool = False
    window: str | None = None

    @property
    def zone_name(self) -> str:
        """Its zone, or the one that stands for "none chosen" in its region."""
        return self.zone or f"{self.location} without zone"


@dataclass
class PlacedWave:
    """One wave: who is in it, how many it might hold, and how many each rule held back from it."""

    keys: list[str]
    size: int
    held_back: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Surroundings:
    """What the rules need to know beside the machines themselves.

    :param pairs: paired region by region, in lower case; None for a region that has none. A region that is missing here
        may be paired with any other.
    :param set_sizes: machines by availability set, of the whole rollout; a set that is missing counts as small.
    :param rules: the rules that are kept.
    :param apart: pairs of window names that are never open together.
    """

    pairs: Mapping[str, str | None] = field(default_factory=dict)
    set_sizes: Mapping[str, int] = field(default_factory=dict)
    rules: frozenset[SpreadRule] = AVAILABILITY_FIRST_RULES
    apart: frozenset[frozenset[str]] = frozenset()


def parse_spread(raw: object, option: str = OPTION) -> frozenset[SpreadRule]:
    """Return the rules of ``availability_first`` (all, as for nothing given), ``none``, or a list of those to keep."""
    allowed = f"{AVAILABILITY_FIRST}, none, or a list of the rules to keep, of " + ", ".join(SPREAD_RULES)
    if raw is None or raw == "":
        return AVAILABILITY_FIRST_RULES
    items = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    words = [item.strip().lower() if isinstance(item, str) else item for item in items]
    if words == [AVAILABILITY_FIRST]:
        return AVAILABILITY_FIRST_RULES
    if words in ([], ["none"]):
        return frozenset()
    for word in words:
        if word not in SPREAD_RULES:
            raise InputError(option, word, allowed)
    return frozenset(rule for rule in SPREAD_RULES if rule in words)


def spread_words(rules: frozenset[SpreadRule]) -> str | list[str]:
    """Return the rules as a user would write them."""
    if rules == AVAILABILITY_FIRST_RULES:
        return AVAILABILITY_FIRST
    return [rule for rule in SPREAD_RULES if rule in rules] or "none"


def set_limit(machines: int) -> int:
    """Return how many of an availability set may go at once."""
    return 1 if machines < SMALL_SET else max(1, machines * SET_PERCENT // 100)


def place(sites: Sequence[Site], sizes: Sequence[WaveSize], around: Surroundings) -> list[PlacedWave]:
    """Return the waves of one ring: each machine in the first wave that has room and no rule against it.

    The machines keep their order as far as the rules allow. A wave is never larger than its size, and the sizes'
    percentages are of all *sites*.
    """
    rest = list(sites)
    waiting = _Waiting(sites)
    waves: list[PlacedWave] = []
    for size in wave_sizes(len(sites), sizes):
        if not rest:
            break
        wave = _OpenWave(around, waiting)
        held: Counter[str] = Counter()
        skipped: list[Site] = []
        position = 0
        while position < len(rest) and len(wave.keys) < size:
            site = rest[position]
            against = wave.against(site)
            if against is None:
                wave.add(site)
            else:
                held[against] += 1
                skipped.append(site)
            position += 1
        rest = skipped + rest[position:]
        if not wave.keys:
            # No rule keeps a machine out of an empty wave for ever, but a loop without end would be worse than a wave.
            wave.add(rest.pop(0))
        waiting.leave(wave.sites)
        waves.append(PlacedWave(wave.keys, size, dict(sorted(held.items()))))
    return waves


class _Waiting:
    """How many machines of each cluster have no wave yet, its owner aside."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self._nodes = Counter(site.cluster for site in sites if site.cluster and not site.owner)

    def others_of(self, cluster: str) -> int:
        return self._nodes[cluster]

    def leave(self, sites: Iterable[Site]) -> None:
        self._nodes.subtract(site.cluster for site in sites if site.cluster and not site.owner)


class _OpenWave:
    """A wave that is being filled, and what is in it by each rule."""

    def __init__(self, around: Surroundings, waiting: _Waiting) -> None:
        self.sites: list[Site] = []
        self._around = around
        self._waiting = waiting
        self._sets: dict[str, list[Site]] = {}
        self._zones: dict[str, str] = {}
        self._regions: dict[str, None] = {}
        self._domains: set[str] = set()
        self._clusters: set[str] = set()
        self._unknown_role = False
        self._windows: dict[str, None] = {}
        self._checks: list[tuple[str, Callable[[Site], bool]]] = [
            (rule, check)
            for rule, check in (
                ("availability_sets", self._set_against),
                ("zones", self._zone_against),
                ("region_pairs", self._region_against),
                ("domain_controllers", self._domain_against),
                ("clusters", self._cluster_against),
            )
            if rule in around.rules
        ]
        if around.apart:
            self._checks.append(("windows", self._window_against))

    @property
    def keys(self) -> list[str]:
        return [site.key for site in self.sites]

    def against(self, site: Site) -> str | None:
        """Return the rule that keeps the machine out of this wave, or None."""
        for rule, check in self._checks:
            if check(site):
                return rule
        return None

    def add(self, site: Site) -> None:
        self.sites.append(site)
        if site.availability_set:
            self._sets.setdefault(site.availability_set, []).append(site)
        if site.service:
            self._zones.setdefault(site.service, site.zone_name)
        self._regions[site.location] = None
        if site.domain_controller_of:
            self._domains.add(site.domain_controller_of)
        if site.cluster:
            self._clusters.add(site.cluster)
        self._unknown_role = self._unknown_role or site.role_unknown
        if site.window:
            self._windows[site.window] = None

    def _set_against(self, site: Site) -> bool:
        there = self._sets.get(site.availability_set) if site.availability_set else None
        if not there or site.availability_set is None:
            return False
        domains = {other.update_domain for other in there} | {site.update_domain}
        limit = set_limit(self._around.set_sizes.get(site.availability_set, 0))
        return None in domains or len(domains) > 1 or len(there) >= limit

    def _zone_against(self, site: Site) -> bool:
        return bool(site.service) and self._zones.get(str(site.service), site.zone_name) != site.zone_name

    def _region_against(self, site: Site) -> bool:
        return any(self._may_be_paired(site.location, other) for other in self._regions if other != site.location)

    def _may_be_paired(self, one: str, other: str) -> bool:
        pairs = self._around.pairs
        if one not in pairs or other not in pairs:
            return True
        # A pair need not be mutual in Azure's answer.
        return pairs[one] == other or pairs[other] == one

    def _domain_against(self, site: Site) -> bool:
        if site.role_unknown:
            return self._unknown_role or bool(self._domains)
        if site.domain_controller_of is None:
            return False
        return self._unknown_role or site.domain_controller_of in self._domains

    def _cluster_against(self, site: Site) -> bool:
        if site.cluster and site.owner and self._waiting.others_of(site.cluster):
            return True
        if site.role_unknown:
            return self._unknown_role or bool(self._clusters)
        if site.cluster is None:
            return False
        return self._unknown_role or site.cluster in self._clusters

    def _window_against(self, site: Site) -> bool:
        apart = self._around.apart
        return bool(site.window) and any(frozenset((site.window, other)) in apart for other in self._windows)
