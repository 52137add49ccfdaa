# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say when a wave may start, and which of its machines, by the windows they may be started in.

A machine is started only when it can be installed and proven before its window closes (maximum duration and proof).
Machines of one wave belong together, so a wave waits for the moment at which all of them may start; where there is none
in reach, it goes at the moment at which most may, and the others are not started.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from .timestamps import to_iso


class Opening(Protocol):
    """What is asked of a machine's window, see :class:`..domain.windows.Window`; moments are UTC."""

    def fits(self, now: datetime, duration: timedelta) -> bool:
        """Whether what starts then ends before the window closes."""

    def is_open(self, now: datetime) -> bool:
        """Whether it is open then."""

    def next_fit(self, now: datetime, duration: timedelta) -> datetime | None:
        """The first moment from then on at which it fits."""

    def closes_at(self, now: datetime) -> datetime | None:
        """When the window that is open then closes."""


@dataclass(frozen=True)
class Refused:
    """Why a machine is not started."""

    code: str
    reason: str


@dataclass(frozen=True)
class WaveStart:
    """When the wave starts, the latest moment at which each machine may still be started, and who may not.

    :param at: the moment, None when no machine of the wave may be started in reach.
    :param latest: by machine; one that may be started at any time is not in it.
    """

    at: datetime | None
    latest: Mapping[str, datetime] = field(default_factory=dict)
    refused: Mapping[str, Refused] = field(default_factory=dict)


def wave_start(
    now: datetime, windows: Mapping[str, Opening | None], needed: timedelta, patience: timedelta
) -> WaveStart:
    """Return when the wave may start.

    :param windows: the window of each machine of the wave, None for one that may be started at any time.
    :param needed: what a machine takes from its start to its proof.
    :param patience: how long the wave may wait for windows to open.
    """
    bound = {key: window for key, window in windows.items() if window is not None}
    fits = {key: window.next_fit(now, needed) for key, window in bound.items()}
    reachable = {moment for moment in fits.values() if moment is not None and moment <= now + patience}
    moments = sorted({now, *reachable})
    free = len(windows) - len(bound)
    # max takes the first of equals, which is the earliest.
    best = max(moments, key=lambda moment: sum(window.fits(moment, needed) for window in bound.values()))
    going = [key for key, window in bound.items() if window.fits(best, needed)]
    refused = {key: _refusal(best, window, fits[key], needed) for key, window in bound.items() if key not in going}
    if not going and not free:
        return WaveStart(None, refused=refused)
    latest = {}
    for key in going:
        closes = bound[key].closes_at(best)
        if closes is not None:
            latest[key] = closes - needed
    return WaveStart(best, latest, refused)


def _refusal(at: datetime, window: Opening, fits: datetime | None, needed: timedelta) -> Refused:
    minutes = round(needed.total_seconds() / 60)
    if fits is None:
        return Refused("would_not_finish", f"no window of it is as long as the {minutes} minutes that it may take")
    then = f"it may be started next at {to_iso(fits)}"
    if window.is_open(at):
        closes = window.closes_at(at)
        shown = to_iso(closes) if closes is not None else "soon"
        return Refused("would_not_finish", f"its window closes at {shown}, it may take {minutes} minutes; {then}")
    return Refused("outside_window", f"its window is not open; {then}")
