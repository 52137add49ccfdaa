# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Geometry of the report's charts: where the bars of waves and of compliance lie; the template draws them as SVG.

Note that this plugin util is private to the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import parse_timestamp
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.report_figures import GROUPS

WIDTH, LEFT, RIGHT = 1000, 200, 150
"""Units of the drawing: whole width, room for labels, room for what stands behind the bars."""
ROW, SMALLEST_ROW, TALLEST = 26, 5, 2000
"""Height of a row; with many waves rows get lower, so that the chart stays below TALLEST."""
_NARROWEST = 2.0
_MOST_TICKS = 6
_STEPS = [
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=12),
    timedelta(days=1),
    timedelta(days=2),
    timedelta(days=7),
    timedelta(days=14),
    timedelta(days=28),
    timedelta(days=91),
    timedelta(days=364),
]


def stacked(tally: Mapping[str, Any], width: int = 300) -> list[dict[str, Any]]:
    """Return the parts of one compliance bar: ``group``, ``x``, ``width``, ``machines``; empty groups are left out."""
    parts, x = [], 0.0
    for group in GROUPS:
        if tally[group]:
            size = width * tally[group] / tally["machines"]
            parts.append({"group": group, "x": round(x, 2), "width": round(size, 2), "machines": tally[group]})
            x += size
    return parts


def timeline(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the waves' bars over time, with the soak of each ring behind its last wave; None when none was started."""
    rows = _rows(report)
    if not rows:
        return None
    first, last = min(row["start"] for row in rows), max(row["end"] for row in rows)
    span = max(last - first, timedelta(minutes=1))
    height = max(SMALLEST_ROW, min(ROW, TALLEST // len(rows)))

    def across(moment: datetime) -> float:
        share: float = (moment - first) / span
        return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 2)

    for number, row in enumerate(rows):
        row["y"], row["x"] = number * height, across(row["start"])
        row["width"] = max(_NARROWEST, round(across(row["end"]) - row["x"], 2))
    return {
        "width": WIDTH,
        "left": LEFT,
        "row": height,
        "labels": height >= 12,
        "height": height * len(rows),
        "rows": rows,
        "ticks": [{"x": across(moment), "label": label} for moment, label in _ticks(first, first + span)],
        "first": first,
        "last": last,
    }


def _rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    ended = parse_timestamp(report["ended"])
    bad = _attention_by_wave(report["machines"])
    rows = []
    soaks = {ring["name"]: ring for ring in report["rings"] if ring["finished"] and ring["soak_until"]}
    last_of = {wave["ring"]: wave["number"] for wave in report["waves"] if wave["started"]}
    for wave in report["waves"]:
        if not wave["started"]:
            continue
        start = parse_timestamp(wave["started"])
        end = parse_timestamp(wave["finished"]) if wave["finished"] else max(ended, start)
        label = f"{wave['ring']}, wave {wave['number']}"
        rows.append(
            {
                "kind": "wave" if wave["finished"] else "open",
                "label": label,
                "start": start,
                "end": max(end, start),
                "machines": len(wave["machines"]),
                "attention": bad.get(wave["number"], 0),
            }
        )
        if wave["ring"] in soaks and last_of[wave["ring"]] == wave["number"]:
            rows.append(_soak(soaks[wave["ring"]]))
    return rows


def _soak(ring: Mapping[str, Any]) -> dict[str, Any]:
    start = parse_timestamp(ring["finished"])
    return {
        "kind": "soak",
        "label": f"{ring['name']}, soak",
        "start": start,
        "end": max(parse_timestamp(ring["soak_until"]), start),
        "machines": 0,
        "attention": 0,
    }


def _attention_by_wave(machines: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for machine in machines:
        if machine["group"] == "attention" and machine["wave"] is not None:
            found[machine["wave"]] = found.get(machine["wave"], 0) + 1
    return found


def _ticks(first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    """Round moments (UTC) of the axis, no more than _MOST_TICKS of them, with their labels."""
    step = next((step for step in _STEPS if (last - first) / step <= _MOST_TICKS), (last - first) / _MOST_TICKS)
    midnight = first.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight + step * -(-(first - midnight) // step)
    pattern = "%d %b %H:%M" if last - first > timedelta(hours=20) else "%H:%M"
    found = []
    while moment <= last:
        found.append((moment, moment.strftime(pattern)))
        moment += step
    return found
