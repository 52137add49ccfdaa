# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which facts the probe reads: named subsets with their greatest number of requests, chosen as ``setup`` chooses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..domain.errors import InputError

#: Subset to the most round trips it takes, in the order they are read: what is slow in Windows comes last, so that it
#: cannot cost the other facts.
TRIPS: Mapping[str, int] = {
    "min": 2,
    "enrolment": 4,
    "restart": 3,
    "identity": 1,
    "vbs": 1,
    "load": 1,
    "edition": 2,
    "disk": 1,
    "renames": 1,
    "roles": 4,
    "services": 3,
    "policies": 8,
    "licence": 4,
    "extension": 6,
    "updates": 2,
    "events": 4,
}

#: Names that stand for several subsets. ``poll`` is what a wait loop asks.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": tuple(TRIPS),
    "core": ("enrolment", "restart", "identity", "updates"),
    "poll": (),
}

ALWAYS = "min"


def resolve(wanted: str | Iterable[str]) -> tuple[str, ...]:
    """Return the subsets to read, in the order of :data:`TRIPS`; :data:`ALWAYS` is one of them.

    A name adds its subset, ``!name`` leaves it out wherever it stands; exclusions alone are taken from ``all``.

    :param wanted: names, or one text with commas between them.
    :raises InputError: a name is not known, or the subset that is always read is to be left out.
    """
    names = [name.strip() for name in (wanted.split(",") if isinstance(wanted, str) else wanted)]
    allowed = ", ".join((*TRIPS, *GROUPS))
    included: set[str] = set()
    excluded: set[str] = set()
    for name in names:
        plain = name.removeprefix("!").strip()
        if plain not in TRIPS and plain not in GROUPS:
            raise InputError("gather_subset", name, f"one of {allowed}, or one of them behind an exclamation mark")
        if name.startswith("!") and plain in (ALWAYS, "poll"):
            raise InputError(
                "gather_subset",
                name,
                "a list without this",
                "it is always read and tells whether a guest answers",
            )
        (excluded if name.startswith("!") else included).update(GROUPS.get(plain, (plain,)))
    if not any(not name.startswith("!") for name in names):
        included.update(GROUPS["all"])
    chosen = (included - excluded) | {ALWAYS}
    return tuple(name for name in TRIPS if name in chosen)
