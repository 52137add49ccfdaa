# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Freeze what earlier rings proved: their KBs, per product and track, are all that later rings may install.

A product or track that no earlier ring proved does not go on without an explicit word: what was tried out on Windows
Server 2025 says nothing of 2022, and a hotpatched machine says nothing of one that takes the cumulative update.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

PROVING = frozenset({"patched", "patched_restarted_as_planned", "patched_by_platform", "already_current"})
"""Verdicts that rest on a proof inside the guest. already_current is one of them: the guest showed the release in this
run. A rollout that is taken up on another control node, without its state folder, finds the earlier rings so."""

ANY_PRODUCT = "all"

Key = tuple[str, str]
"""Product and track."""


@dataclass(frozen=True)
class Seen:
    """How a machine of an earlier ring ended, and the KBs that its guest proved."""

    product: str | None
    track: str | None
    verdict: str | None
    kbs: Sequence[str] = ()
    soaked: bool = True


@dataclass(frozen=True)
class Allowed:
    """What a machine may be sent: the KBs that are left, or, with none, why none is."""

    kbs: tuple[str, ...]
    reason_code: str = ""
    reason: str = ""


def proven(machines: Iterable[Seen]) -> dict[Key, frozenset[str]]:
    """Return the KBs that the machines of earlier rings proved, by product and track."""
    found: dict[Key, frozenset[str]] = {}
    for machine in machines:
        if machine.verdict in PROVING and machine.product and machine.track and machine.soaked:
            key = (machine.product, machine.track)
            found[key] = found.get(key, frozenset()) | frozenset(machine.kbs)
    return found


def spoken_for(product: str | None, track: str | None, words: Collection[str]) -> bool:
    """Return whether the user let a product (``ws2022``), a product's track (``ws2022/on_track``) or all go on."""
    lowered = {word.strip().lower() for word in words}
    return bool(lowered & {ANY_PRODUCT, str(product).lower(), f"{product}/{track}".lower()})


def allowed(
    wanted: Sequence[str],
    product: str | None,
    track: str | None,
    earlier: Mapping[Key, frozenset[str]] | None,
    words: Collection[str] = (),
    blocked: Mapping[str, str] | None = None,
    approved: Collection[str] = (),
) -> Allowed:
    """Return what of the wanted KBs a machine may be sent.

    :param earlier: what earlier rings proved (:func:`proven`); None in the first ring, which tries out for the others.
    :param words: products that go on unproven, see :func:`spoken_for`.
    :param approved: KBs that the user approved for every ring.
    :param blocked: KBs that nobody is sent any more, with where that was said.
    """
    block = blocked or {}
    left = tuple(kb for kb in wanted if kb not in block)
    if wanted and not left:
        where = "; ".join(dict.fromkeys(block[kb] for kb in wanted))
        return Allowed((), "kb_blocked", f"{', '.join(wanted)} is blocked ({where})")
    if earlier is None or spoken_for(product, track, words):
        return Allowed(left)
    found = earlier.get((str(product), str(track)))
    if found is None and not set(left) & set(approved):
        text = f"no earlier ring proved the release on {product} machines of track {track}"
        return Allowed((), "not_proven", f"{text}; to go on all the same, name {product} in hotpatch_unproven_products")
    known = frozenset(found or ()) | frozenset(approved)
    kept = tuple(kb for kb in left if kb in known)
    if not kept:
        text = f"earlier rings proved {', '.join(sorted(known)) or 'no KB'} on {product}, not {', '.join(left)}"
        return Allowed((), "not_proven", text)
    return Allowed(kept)
