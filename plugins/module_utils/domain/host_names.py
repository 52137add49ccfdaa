# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names for the hosts of an inventory that no two machines share and that stay when others come and go.

The default is that of azure.azcollection's ``azure_rm``: the machine's name and the beginning of its ID's SHA-1.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

SHORTEST = 4
"""Digits of the hash, as many as ``azure_rm`` takes."""
_ALL_DIGITS = 40


def suffixed(name: str, resource_id: str, digits: int = SHORTEST) -> str:
    """Return the name with the beginning of the ID's hash; the ID is taken as Azure spells it, as ``azure_rm`` does."""
    return f"{name}_{hashlib.sha1(resource_id.encode(), usedforsecurity=False).hexdigest()[:digits]}"


def unique_names(wished: Sequence[tuple[str, str]]) -> tuple[list[str], dict[str, list[str]]]:
    """Return one name for each (wished name, ARM ID), and the IDs by wished name where several wished for the same.

    Whoever shares a wish gets it with a hash of its ID, all of them: which came first must not matter. Names compare
    with case, as Ansible's do.
    """
    often = Counter(name for name, dummy in wished)
    taken = {name for name, number in often.items() if number == 1}
    shared: dict[str, list[str]] = {}
    for name, resource_id in wished:
        if often[name] > 1:
            shared.setdefault(name, []).append(resource_id)
    settled: dict[tuple[str, str], str] = {}
    open_ones = [(name, resource_id) for name, ids in shared.items() for resource_id in ids]
    for digits in range(SHORTEST, _ALL_DIGITS + 1):
        longer = {pair: suffixed(*pair, digits) for pair in open_ones}
        number = Counter(longer.values())
        last = digits == _ALL_DIGITS
        fits = {pair: name for pair, name in longer.items() if last or (number[name] == 1 and name not in taken)}
        settled.update(fits)
        open_ones = [pair for pair in open_ones if pair not in fits]
    return [settled.get(pair, pair[0]) for pair in wished], shared
