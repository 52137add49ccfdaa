# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rings of a rollout as the user writes them: who belongs to each, and the rules it is rolled out by.

A ring's machines are named by inventory group or host, by Azure tags, or both; the first ring that names a machine has
it. Every rule that a ring does not give is the rollout's own, so that one option changes all rings at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from .durations import format_duration, parse_duration
from .errors import InputError
from .placement import AVAILABILITY_FIRST_RULES, SpreadRule, parse_spread, spread_words
from .waves import Budget, WaveSize, parse_budget, parse_wave_sizes
from .windows import Blackout, WindowRules, parse_blackout_dates, parse_window

OPTION = "hotpatch_rings"
ONLY_RING = "all"
"""The name of the one ring that a rollout without rings has."""

PASSED_ON = ("hooks", "hold", "frozen", "not_started_limit")
"""Rules that are kept for the stages that know them, unread here."""

_KEYS = (
    "name",
    "hosts",
    "tags",
    "canary",
    "waves",
    "error_budget",
    "wave_error_budget",
    "soak",
    "window",
    "blackout_dates",
    "spread",
    *PASSED_ON,
)


@dataclass(frozen=True)
class RingRules:
    """One ring: its members as named, and its rules.

    :param hosts: inventory groups and hosts; empty with no tags either: everybody that no earlier ring has.
    :param tags: Azure tags that a machine must all have; names compare without case, values with (as Azure does).
    :param canary: inventory groups and hosts of the ring that are taken first.
    :param waves: sizes of its waves; percentages are of the ring's machines that can start.
    :param error_budget: the most bad endings in the ring; None: only the rollout's budget counts.
    :param wave_error_budget: the most bad endings in one of its waves; None: likewise.
    :param soak: time between its last proof and the next ring.
    :param window: when its machines may be started; None: always.
    :param blackout_dates: local dates on which none is started: the ring's own and the rollout's.
    :param spread: the rules of placement that are kept in it.
    :param extras: the rules named in PASSED_ON, as given.
    """

    name: str
    hosts: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    canary: tuple[str, ...] = ()
    waves: tuple[WaveSize, ...] = ()
    error_budget: Budget | None = None
    wave_error_budget: Budget | None = None
    soak: timedelta = timedelta()
    window: WindowRules | None = None
    blackout_dates: tuple[Blackout, ...] = ()
    spread: frozenset[SpreadRule] = AVAILABILITY_FIRST_RULES
    extras: Mapping[str, Any] = field(default_factory=dict)

    @property
    def takes_the_rest(self) -> bool:
        """Whether it names nobody, and so has everybody that no earlier ring has."""
        return not self.hosts and not self.tags

    def to_dict(self) -> dict[str, Any]:
        """Return the ring as a user would write it: :func:`parse_ring` reads it back."""
        return {
            "name": self.name,
            "hosts": list(self.hosts),
            "tags": dict(self.tags),
            "canary": list(self.canary),
            "waves": [str(size) for size in self.waves],
            "error_budget": None if self.error_budget is None else str(self.error_budget),
            "wave_error_budget": None if self.wave_error_budget is None else str(self.wave_error_budget),
            "soak": format_duration(self.soak),
            "window": None if self.window is None else self.window.to_dict(),
            "blackout_dates": [str(item) for item in self.blackout_dates],
            "spread": spread_words(self.spread),
            **self.extras,
        }


def parse_rings(raw: object, defaults: Mapping[str, object]) -> tuple[RingRules, ...]:
    """Return the rings in their order; without any, the one ring ``all`` with everybody.

    :param raw: the value of ``hotpatch_rings``: a list of mappings, or nothing.
    :param defaults: rules for rings that do not give their own, under a ring's own keys (``waves`` is required).
    InputError for what is no ring, an unknown key, a name given twice, and a ring behind one that takes everybody.
    """
    if raw is None or raw == [] or raw == "":
        return (parse_ring({"name": ONLY_RING}, defaults, OPTION),)
    if not isinstance(raw, (list, tuple)):
        raise InputError(OPTION, raw, "a list of rings, each with a name, its hosts or tags, and its rules")
    rings = tuple(parse_ring(item, defaults, f"{OPTION}[{number}]") for number, item in enumerate(raw))
    seen: set[str] = set()
    for number, ring in enumerate(rings):
        where = f"{OPTION}[{number}]"
        if ring.name.lower() in seen:
            raise InputError(f"{where}.name", ring.name, "a name that no earlier ring has")
        if number and rings[number - 1].takes_the_rest:
            raise InputError(
                f"{where}.name",
                ring.name,
                f"before the ring {rings[number - 1].name!r}, which takes everybody (it names neither hosts nor tags)",
            )
        seen.add(ring.name.lower())
    return rings


def parse_ring(raw: object, defaults: Mapping[str, object], where: str = OPTION) -> RingRules:
    """Return one ring; InputError, naming the key, for anything that cannot be."""
    if not isinstance(raw, Mapping):
        raise InputError(where, raw, "a mapping with name, hosts or tags, and the ring's rules")
    unknown = [str(key) for key in raw if key not in _KEYS]
    if unknown:
        raise InputError(where, unknown[0], "one of the keys " + ", ".join(_KEYS))
    # A rule that is given as null is as good as not given.
    given = {**defaults, **{str(key): value for key, value in raw.items() if value is not None}}
    name = given.get("name")
    if not isinstance(name, str) or not name.strip():
        raise InputError(f"{where}.name", name, "a name of at least one character")
    return RingRules(
        name=name.strip(),
        hosts=_names(given.get("hosts"), f"{where}.hosts"),
        tags=_tags(given.get("tags"), f"{where}.tags"),
        canary=_names(given.get("canary"), f"{where}.canary"),
        waves=parse_wave_sizes(given.get("waves"), _option(raw, where, "waves")),
        error_budget=_budget(given, raw, where, "error_budget"),
        wave_error_budget=_budget(given, raw, where, "wave_error_budget"),
        soak=parse_soak(given.get("soak"), _option(raw, where, "soak")),
        window=parse_window(given.get("window"), _option(raw, where, "window")),
        blackout_dates=_blackout_dates(raw, defaults, where),
        spread=parse_spread(given.get("spread"), _option(raw, where, "spread")),
        extras={key: given[key] for key in PASSED_ON if key in given},
    )


def parse_soak(raw: object, option: str = "hotpatch_soak") -> timedelta:
    """Return the length of ``3600``, ``"3600"`` or ``"PT1H"``; nothing is none. InputError for anything else."""
    if raw is None or raw == "":
        return timedelta()
    allowed = "a number of seconds of at least 0 or an ISO 8601 duration such as PT2H"
    text = str(raw).strip() if isinstance(raw, (str, int)) and not isinstance(raw, bool) else ""
    try:
        return timedelta(seconds=int(text)) if text.isascii() and text.isdigit() else parse_duration(text)
    except (ValueError, OverflowError):
        raise InputError(option, raw, allowed) from None


def _option(raw: Mapping[str, object], where: str, key: str) -> str:
    """Name the option that a rule comes from: the ring's own key, or the rollout's option."""
    return f"{where}.{key}" if raw.get(key) is not None else f"hotpatch_{key}"


def _budget(given: Mapping[str, object], raw: Mapping[str, object], where: str, key: str) -> Budget | None:
    value = given.get(key)
    return None if value is None or value == "" else parse_budget(value, _option(raw, where, key))


def _blackout_dates(raw: Mapping[str, object], defaults: Mapping[str, object], where: str) -> tuple[Blackout, ...]:
    """The rollout's dates and the ring's own: that a ring has its own does not open the others."""
    own = parse_blackout_dates(raw.get("blackout_dates"), f"{where}.blackout_dates")
    everybodys = parse_blackout_dates(defaults.get("blackout_dates"))
    return tuple(dict.fromkeys((*everybodys, *own)))


def _names(raw: object, option: str) -> tuple[str, ...]:
    items: Sequence[object] = [raw] if isinstance(raw, str) else raw if isinstance(raw, (list, tuple)) else []
    names = [item.strip() for item in items if isinstance(item, str) and item.strip()]
    if (raw is not None and not isinstance(raw, (str, list, tuple))) or len(names) != len(items):
        raise InputError(option, raw, "the name of an inventory group or host, or a list of them")
    return tuple(dict.fromkeys(names))


def _tags(raw: object, option: str) -> dict[str, str]:
    if raw is None:
        return {}
    allowed = "a mapping of tag names to the value that each must have, such as {environment: test}"
    if not isinstance(raw, Mapping):
        raise InputError(option, raw, allowed)
    for key, value in raw.items():
        if not isinstance(key, str) or not isinstance(value, (str, int, float)):
            raise InputError(option, raw, allowed)
    return {key: _tag_value(value) for key, value in raw.items()}


def _tag_value(value: object) -> str:
    """A tag's value is text in Azure; YAML makes a boolean of true and yes, whose spelling there is a guess."""
    return str(value).lower() if isinstance(value, bool) else str(value)
