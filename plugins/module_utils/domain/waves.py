# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut a ring into waves, and say when an error budget is spent."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar, Union

from .errors import InputError

T = TypeVar("T")

_DOUBLING = re.compile(r"doubl(?:e|ing)(?:\s+up\s+to\s+(\S.*))?", re.IGNORECASE)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")


@dataclass(frozen=True)
class Share:
    """A number of machines, or a percentage of some total."""

    number: int | None = None
    percent: float | None = None

    def of(self, total: int) -> int:
        """Return the machines this is of a total; a part of a machine is dropped, as the cautious side."""
        if self.number is not None:
            return self.number
        # Through whole thousandths: 100 * 0.29 is 28.999... in binary.
        return total * round((self.percent or 0.0) * 1000) // 100_000

    def __str__(self) -> str:
        """As the user would write it."""
        return str(self.number) if self.number is not None else f"{self.percent:g}%"


@dataclass(frozen=True)
class Doubling:
    """Each wave is twice the one before it, up to a limit."""

    limit: Share | None = None

    def __str__(self) -> str:
        """As the user would write it."""
        return "double" if self.limit is None else f"double up to {self.limit}"


WaveSize = Union[Share, Doubling]  # noqa: UP007 - the sanity tests refuse "|" outside of annotations

Budget = Share
"""The most failures that are tolerated: a number of machines, or a percentage of those in question."""


def _parse_share(option: str, raw: object, allowed: str, least: int) -> Share:
    text = str(raw).strip() if isinstance(raw, (str, int)) and not isinstance(raw, bool) else ""
    found = _PERCENT.fullmatch(text)
    if found and least * 0.001 <= float(found[1]) <= 100:
        return Share(percent=float(found[1]))
    if text.isascii() and text.isdigit() and int(text) >= least:
        return Share(number=int(text))
    raise InputError(option, raw, allowed)


def parse_wave_sizes(raw: Sequence[object] | object, option: str = "hotpatch_waves") -> tuple[WaveSize, ...]:
    """Return the sizes of ``[1, "25%", "100%"]``, ``[1, "double up to 25%"]`` or of a single one.

    InputError for zero, nothing or other text.
    """
    allowed = (
        "a number of machines of at least 1, a percentage such as 25%, double, double up to one of these, "
        "or a list of these"
    )
    items = list(raw) if isinstance(raw, (list, tuple)) else [raw]
    if not items:
        raise InputError(option, raw, allowed)
    return tuple(_parse_wave_size(option, item, allowed) for item in items)


def _parse_wave_size(option: str, raw: object, allowed: str) -> WaveSize:
    found = _DOUBLING.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if found is None:
        return _parse_share(option, raw, allowed, least=1)
    return Doubling(_parse_share(option, found[1], allowed, least=1) if found[1] else None)


def wave_sizes(total: int, sizes: Sequence[WaveSize]) -> Iterator[int]:
    """Yield the size of each wave, without end; the last one repeats.

    Percentages are of all *total* machines and round down, but no wave is smaller than one machine: a wave's size is
    the most that can go wrong before a proof. A first ``double`` starts with one machine.
    """
    if not sizes:
        raise ValueError("Waves need at least one size.")
    size = 0
    for wanted in itertools.chain(sizes, itertools.repeat(sizes[-1])):
        if isinstance(wanted, Share):
            size = max(1, wanted.of(total))
        else:
            grown = max(1, 2 * size)
            size = grown if wanted.limit is None else min(grown, max(1, wanted.limit.of(total)))
        yield size


def cut_waves(hosts: Sequence[T], sizes: Sequence[WaveSize]) -> list[list[T]]:
    """Return the hosts in waves, in their order, each of the size that :func:`wave_sizes` gives it."""
    waves: list[list[T]] = []
    rest = list(hosts)
    for size in wave_sizes(len(hosts), sizes):
        if not rest:
            break
        waves.append(rest[:size])
        rest = rest[size:]
    return waves


def parse_budget(raw: object, option: str = "max_failures") -> Budget:
    """Return the budget of ``3`` or ``"10%"``; InputError for anything else."""
    return _parse_share(option, raw, "a number of machines of at least 0 or a percentage such as 10%", least=0)


def allows(budget: Budget, total: int, failed: int) -> bool:
    """Return whether a run may go on: the rule of AWS Systems Manager's error threshold.

    A budget of 3 stops at the fourth failure, 0 at the first, 10 % of 50 at the sixth.
    """
    return failed <= budget.of(total)
