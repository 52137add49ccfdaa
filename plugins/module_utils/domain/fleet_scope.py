# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which machines are meant: a scope in Azure and filters on it, and what was expected to be found there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import InputError
from .machine import Machine
from .resource_id import ResourceId

ALL = "all"
POWER_STATES = ("running", "stopped", "deallocated", "starting", "stopping", "deallocating")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_GROUP_NAME = re.compile(r"[\w().-]{1,90}")
MOST_NAMED = 10
"""Names in one message."""


@dataclass(frozen=True)
class Scope:
    """Subscriptions or management groups (neither: all that the caller sees), and filters; all compare without case.

    :param resource_groups: only machines of these; empty for all.
    :param locations: Azure regions, without spaces; empty for all.
    :param tags: tag names with the values that will do; no values for any.
    :param power_states: only machines in these; empty for all.
    """

    subscriptions: tuple[str, ...] = ()
    management_groups: tuple[str, ...] = ()
    resource_groups: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    power_states: tuple[str, ...] = ()

    @property
    def is_filtered(self) -> bool:
        """Whether it is less than the subscriptions' or groups' all."""
        return bool(self.resource_groups or self.locations or self.tags or self.power_states)

    def takes(self, machine: Machine) -> bool:
        """Whether the filters take the machine; whose power state is unreadable is taken."""
        power = machine.power_state.value
        if self.power_states and power is not None and power.lower() not in self.power_states:
            return False
        if self.resource_groups and machine.id.resource_group.lower() not in self.resource_groups:
            return False
        if self.locations and machine.location.lower() not in self.locations:
            return False
        mine = {name.lower(): value.lower() for name, value in machine.tags.items()}
        return all(
            name.lower() in mine and (not values or mine[name.lower()] in values) for name, values in self.tags.items()
        )


def parse_scope(options: Mapping[str, Any], default_subscription: str) -> Scope:
    """Return the scope of a task's or inventory's options; InputError for what cannot be one.

    Without ``subscriptions`` and ``management_groups`` it is the default subscription; where none is known nobody
    guesses that all of a tenant was meant.
    """
    subscriptions = _texts(options, "subscriptions")
    groups = _texts(options, "management_groups")
    if subscriptions and groups:
        raise InputError("subscriptions", list(subscriptions), "left out beside management_groups")
    for group in groups:
        if not _GROUP_NAME.fullmatch(group):
            raise InputError("management_groups", group, "the ID of a management group, which is not its display name")
    everything = [item.lower() for item in subscriptions] == [ALL]
    for item in () if everything else subscriptions:
        if not _GUID.fullmatch(item):
            raise InputError("subscriptions", item, f"the GUID of a subscription, or {ALL} alone for all you may read")
    if not (subscriptions or groups):
        if not default_subscription:
            raise InputError(
                "subscriptions",
                None,
                f"a list of GUIDs, or {ALL} for all you may read, where neither management_groups nor subscription_id "
                "says which machines are meant",
                "set it, or AZURE_SUBSCRIPTION_ID in the environment",
            )
        subscriptions = (default_subscription,)
    power = _texts(options, "power_states")
    for state in power:
        if state.lower() not in POWER_STATES:
            raise InputError("power_states", state, "one of " + ", ".join(POWER_STATES))
    return Scope(
        subscriptions=() if everything else subscriptions,
        management_groups=groups,
        resource_groups=tuple(item.lower() for item in _texts(options, "resource_groups")),
        locations=tuple(item.lower().replace(" ", "") for item in _texts(options, "locations")),
        tags=_tags(options.get("tags") or {}),
        power_states=tuple(item.lower() for item in power),
    )


def _texts(options: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = options.get(name) or ()
    for item in found:
        if not isinstance(item, str) or not item.strip():
            raise InputError(name, item, "a list of texts that are not empty")
    return tuple(item.strip() for item in found)


def _tags(given: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(given, Mapping):
        raise InputError("tags", given, "a dictionary of tag names with a value, a list of values, or null for any")
    found = {}
    for name, value in given.items():
        values = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
        if any(isinstance(item, (Mapping, list, tuple)) for item in values):
            raise InputError("tags", {name: value}, "a value, a list of values, or null for any")
        # YAML makes booleans of "true" and numbers of "1"; tags are text.
        found[str(name)] = tuple(str(item).lower() for item in values)
    return found


@dataclass(frozen=True)
class Expected:
    """What should be found: a number, or machines by ARM ID or by name."""

    count: int | None = None
    machines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reconciled:
    """What was expected and not found.

    :param missing: machines as they were named.
    :param sentence: for the user, empty when everything is there.
    """

    missing: tuple[str, ...] = ()
    sentence: str = ""


def parse_expected(options: Mapping[str, Any] | None, listed: Sequence[str] = ()) -> Expected | None:
    """Return what options (``count``, ``machines``) and the lines of a file expect; None when they expect nothing."""
    given = options or {}
    count = given.get("count")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise InputError("expect.count", count, "a whole number of at least 0")
    machines = [str(item).strip() for item in (*(given.get("machines") or ()), *listed)]
    named = tuple(dict.fromkeys(item for item in machines if item and not item.startswith("#")))
    return Expected(count, named) if count is not None or named else None


def reconcile(expected: Expected | None, found: Iterable[ResourceId]) -> Reconciled:
    """Compare; a name counts as found when any machine has it, an ID only when that very machine is there."""
    if expected is None:
        return Reconciled()
    machines = list(found)
    known = {machine.key for machine in machines} | {machine.name.lower() for machine in machines}
    missing = tuple(item for item in expected.machines if item.rstrip("/").lower() not in known)
    said = []
    if missing:
        said.append(f"{len(missing)} expected machines are not shown: {named(missing)}")
    if expected.count is not None and len(machines) != expected.count:
        said.append(f"{len(machines)} machines are shown, {expected.count} were expected")
    if not said:
        return Reconciled()
    why = "Resource Graph leaves out what the caller may not read and shows a new machine some minutes late"
    return Reconciled(missing, f"{'; '.join(said)} ({why}).")


def named(items: Sequence[str], most: int = MOST_NAMED) -> str:
    """Return the first of some names in one line, with how many more there are."""
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more} more" if more > 0 else "")
