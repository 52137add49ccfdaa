# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's figures, worked out from its machine rows alone: compliance, restarts, load, and what is wrong.

A row is what ``rollout_report.machine_row`` makes. Everything here is pure and returns plain JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from statistics import median, quantiles
from typing import Any

from ..domain.releases import Release, release_from_dict
from ..domain.restarts import spared_since_boot, spares_restart
from ..domain.timestamps import parse_timestamp

Row = Mapping[str, Any]

GROUPS = ("at_release", "claimed", "attention", "left_out", "open")
"""What a verdict means for compliance; ``attention`` is what counts against the error budget."""

_AT_RELEASE = frozenset({"patched", "already_current", "patched_restarted_as_planned", "patched_by_platform"})
_OTHER = {"claimed": "claimed", "skipped": "left_out", "not_started": "open", None: "open"}
UNKNOWN_PLACE = "unknown"
NAMED_HOSTS = 20
"""How many hosts a problem names; all of them are in the machine rows."""
HEAVIEST = 5


def group_of(verdict: str | None, counts: bool) -> str:
    """Return the group of a verdict; one that is not known here needs a person, and never passes for good."""
    if counts:
        return "attention"
    return "at_release" if verdict in _AT_RELEASE else _OTHER.get(verdict, "attention")


def compliance(rows: Sequence[Row]) -> dict[str, Any]:
    """Return how many machines are at the release: in all, by ring in plan order, and by region in alphabet order."""
    rings = list(dict.fromkeys(str(row["ring"] or UNKNOWN_PLACE) for row in rows))
    regions = sorted({str(row["location"] or UNKNOWN_PLACE) for row in rows})
    return {
        "total": _tally("all", rows),
        "by_ring": _tallies(rows, rings, lambda row: str(row["ring"] or UNKNOWN_PLACE)),
        "by_region": _tallies(rows, regions, lambda row: str(row["location"] or UNKNOWN_PLACE)),
    }


def _tallies(rows: Sequence[Row], names: Iterable[str], key: Callable[[Row], str]) -> list[dict[str, Any]]:
    grouped: dict[str, list[Row]] = {name: [] for name in names}
    for row in rows:
        grouped[key(row)].append(row)
    return [_tally(name, members) for name, members in grouped.items()]


def _tally(name: str, rows: Sequence[Row]) -> dict[str, Any]:
    counts = dict.fromkeys(GROUPS, 0)
    for row in rows:
        counts[row["group"]] += 1
    # Machines that cannot take part are no failure of the rollout, so they are not in the percentage.
    meant = len(rows) - counts["left_out"]
    percent = int(1000 * counts["at_release"] / meant) / 10 if meant else None
    return {"name": name, "machines": len(rows), **counts, "percent_at_release": percent}


def restarts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many restarts there were, and how many hotpatching spared.

    ``avoided`` are machines that this rollout patched, proven without a restart, with a release that is known to spare
    one; ``kind_unknown`` are those whose release is not in the calendar. ``avoided_since_boot`` also counts the earlier
    hotpatches that a guest runs without having booted since they came out.
    """
    found = {"planned": 0, "unexpected": 0, "avoided": 0, "kind_unknown": 0, "avoided_since_boot": 0}
    for row in rows:
        verdict = row["verdict"]
        found["planned"] += verdict == "patched_restarted_as_planned"
        found["unexpected"] += verdict == "restarted_unexpectedly"
        release = release_from_dict(row["release"]) if row["release"] else None
        if verdict == "patched" and release is not None:
            spares = spares_restart(release)
            found["avoided"] += spares is True
            found["kind_unknown"] += spares is None
        if release is not None:
            found["avoided_since_boot"] += _spared(release, row["guest_after"] or row["guest_before"])
    return found


def _spared(release: Release, guest: Mapping[str, Any] | None) -> int:
    if not guest or not guest.get("reachable") or not guest.get("boot_time") or not guest.get("build"):
        return 0
    build, dummy, revision = str(guest["build"]).partition(".")
    if build != str(release.build) or guest.get("skew_seconds") is None:
        return 0
    booted = parse_timestamp(str(guest["boot_time"])) - timedelta(seconds=float(guest["skew_seconds"]))
    return len(spared_since_boot(release, int(revision), booted))


def platform(rows: Sequence[Row]) -> dict[str, int]:
    """Return what Azure's own patching did and may do: machines ``patched`` by it, ``held`` from it, and ``exposed`` to
    it, which are neither at the release nor held.
    """
    waiting = [row for row in rows if row["group"] == "open" and row["wave"] is not None]
    return {
        "patched": sum(row["verdict"] == "patched_by_platform" for row in rows),
        "held": sum(row["held"] is not None for row in rows),
        "exposed": sum(row["held"] is None for row in waiting),
    }


def load(rows: Sequence[Row]) -> dict[str, Any]:
    """Return CPU load and free memory before and after the installations, of the machines where both were read.

    Each measure holds ``machines``, and with any the ``median`` and the worst twentieth's border (``p95``: high for
    CPU, low for memory) before and after; ``heaviest`` names the machines whose CPU load rose most.
    """
    pairs = {name: _pairs(rows, name) for name in ("cpu_percent", "free_memory_kb")}
    risen = sorted(pairs["cpu_percent"], key=lambda item: item[1] - item[2])[:HEAVIEST]
    return {
        "cpu_percent": _spread(pairs["cpu_percent"], 95),
        "free_memory_kb": _spread(pairs["free_memory_kb"], 5),
        "heaviest": [
            {"host": host, "cpu_before": before, "cpu_after": after} for host, before, after in risen if after > before
        ],
    }


def _pairs(rows: Sequence[Row], name: str) -> list[tuple[str, float, float]]:
    found = []
    for row in rows:
        before, after = (row["guest_before"] or {}).get(name), (row["guest_after"] or {}).get(name)
        if before is not None and after is not None:
            found.append((str(row["host"]), float(before), float(after)))
    return found


def _spread(pairs: Sequence[tuple[str, float, float]], border: int) -> dict[str, Any]:
    if not pairs:
        return {"machines": 0}
    before, after = [pair[1] for pair in pairs], [pair[2] for pair in pairs]
    return {
        "machines": len(pairs),
        "median_before": median(before),
        "median_after": median(after),
        "p95_before": _border(before, border),
        "p95_after": _border(after, border),
    }


def _border(values: Sequence[float], percent: int) -> float:
    return quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


def problems(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return what is wrong, one entry for each verdict and reason, the worst first, with the next step."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["group"] in ("attention", "open"):
            found.setdefault((str(row["verdict"] or "no_verdict"), str(row["reason_code"] or row["stage"])), []).append(
                row
            )
    entries = [
        {
            "verdict": verdict,
            "reason_code": code,
            "counts_against_budget": bool(members[0]["counts_against_budget"]),
            "machines": len(members),
            "hosts": [str(row["host"]) for row in members[:NAMED_HOSTS]],
            "example": str(members[0]["reason"] or ""),
            "next_step": members[0]["next_step"],
        }
        for (verdict, code), members in found.items()
    ]
    return sorted(entries, key=lambda entry: (not entry["counts_against_budget"], -entry["machines"], entry["verdict"]))
