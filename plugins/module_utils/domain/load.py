# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy a guest is: whether that holds it back from an installation, and what the installation changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .errors import InputError
from .facts import Fact
from .guest import GuestFacts
from .plain import fields_to_plain, from_plain
from .reasons import Reason

SUBSETS = ("load",)
"""What :func:`hold_back` and :func:`take` need of the probe beside what every reading holds."""


@dataclass(frozen=True)
class LoadLimits:
    """From where on a guest is too busy to be installed on; None is no limit, which is the default for both.

    :param max_cpu_percent: of all processors together, at the moment of the reading.
    :param min_free_memory_mb: free physical memory in MiB.
    """

    max_cpu_percent: float | None = None
    min_free_memory_mb: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be: limits that hold nobody or everybody are slips of the pen."""
        percent, memory = self.max_cpu_percent, self.min_free_memory_mb
        if percent is not None and not 0 < percent <= 100:
            raise InputError("hotpatch_max_cpu_percent", percent, "a percentage above 0 and up to 100")
        if memory is not None and memory < 0:
            raise InputError("hotpatch_min_free_memory", memory, "a number of MiB of at least 0")

    @property
    def any(self) -> bool:
        """Whether there is a limit at all, and so whether the probe needs :data:`SUBSETS`."""
        return self.max_cpu_percent is not None or self.min_free_memory_mb is not None


def hold_back(guest: GuestFacts, limits: LoadLimits) -> Reason | None:
    """Return why a guest's load holds it back; None when nothing does.

    Who sets a limit wants busy machines left alone, so that a load that could not be read holds a machine back as well,
    under a code of its own. The processor's load has no captured wire evidence: that is why no limit is set by default.
    """
    if limits.max_cpu_percent is not None:
        cpu = guest.cpu_percent
        if cpu.value is None:
            return Reason("load_unread", f"the processor's load was not read: {cpu.why or 'Windows told none'}")
        if cpu.value > limits.max_cpu_percent:
            limit = f"hotpatch_max_cpu_percent is {limits.max_cpu_percent:g}"
            return Reason("cpu_busy", f"the processors are {cpu.value:g} % busy, and {limit}")
    if limits.min_free_memory_mb is not None:
        memory = guest.free_memory_kb
        if memory.value is None:
            return Reason("load_unread", f"the free memory was not read: {memory.why or 'Windows told none'}")
        free = memory.value // 1024
        if free < limits.min_free_memory_mb:
            limit = f"hotpatch_min_free_memory is {limits.min_free_memory_mb}"
            return Reason("memory_low", f"{free} MiB of memory are free, and {limit}")
    return None


@dataclass(frozen=True)
class Load:
    """One guest's load at one moment; what was not read is None."""

    read_at: datetime
    cpu_percent: float | None
    free_memory_mb: int | None
    total_memory_mb: int | None


def take(guest: GuestFacts) -> Load | None:
    """Return the load that a reading holds; None for a guest that did not answer."""
    if not guest.reachable:
        return None
    return Load(guest.read_at, guest.cpu_percent.value, _mb(guest.free_memory_kb), _mb(guest.total_memory_kb))


def _mb(fact: Fact[int]) -> int | None:
    return None if fact.value is None else fact.value // 1024


@dataclass(frozen=True)
class Impact:
    """The load around an installation, small enough for the report of thousands; two moments are no measurement.

    The differences are after minus before, None where either was not read.
    """

    before: Load | None
    after: Load | None

    @property
    def cpu_percent_change(self) -> float | None:
        """How much busier the processors were afterwards, in percent of all of them."""
        pair = (self.before, self.after)
        values = [load.cpu_percent for load in pair if load is not None and load.cpu_percent is not None]
        return round(values[1] - values[0], 1) if len(values) == len(pair) else None

    @property
    def free_memory_mb_change(self) -> int | None:
        """How much more memory was free afterwards, in MiB."""
        pair = (self.before, self.after)
        values = [load.free_memory_mb for load in pair if load is not None and load.free_memory_mb is not None]
        return values[1] - values[0] if len(values) == len(pair) else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case, the differences beside the two moments."""
        changes = {
            "cpu_percent_change": self.cpu_percent_change,
            "free_memory_mb_change": self.free_memory_mb_change,
        }
        return {**fields_to_plain(self), **changes}


def impact_from_dict(raw: Mapping[str, Any]) -> Impact:
    """Return what :meth:`Impact.to_dict` wrote; ValueError when it is none."""
    return from_plain(Impact, raw)
