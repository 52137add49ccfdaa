# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which error budget is spent: that of the wave, of the ring, of the rollout, or a ring's budget of restarts.

The rule is that of AWS Systems Manager's error threshold, in every scope alike: a budget of 3 stops at the fourth bad
machine, one of 0 at the first, 10 % of 50 machines at the sixth. What counts is looked at after each wave is proven,
and a machine that counted once stays counted (as in Google's OS Config).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .verdicts import COUNTS_AGAINST_BUDGET
from .waves import Budget, allows

HOOK_FAILED = "hook_failed"
"""Reason code of a machine that was not touched because a hook before it failed: it counts all the same."""

RESTARTED = "restarted_unexpectedly"
SHOWN = 10

ScopeName = Literal["wave", "ring", "rollout", "restarts"]


@dataclass(frozen=True)
class Ended:
    """How one machine ended, as far as budgets care.

    :param verdict: None while it has none.
    :param hook_failed: whether a hook after it failed, whatever became of the machine itself.
    """

    host: str
    verdict: str | None
    reason_code: str | None = None
    hook_failed: bool = False

    @property
    def counts(self) -> bool:
        """Whether it counts against every error budget."""
        return counts(self.verdict, self.reason_code, self.hook_failed)


@dataclass(frozen=True)
class Spent:
    """A budget that more machines ended badly than it allows."""

    scope: ScopeName
    name: str
    budget: Budget
    total: int
    bad: tuple[Ended, ...]

    @property
    def reason(self) -> str:
        """One sentence for people."""
        names = ", ".join(f"{item.host} ({_shown(item)})" for item in self.bad[:SHOWN])
        more = f" and {len(self.bad) - SHOWN} more" if len(self.bad) > SHOWN else ""
        what = "restarts unasked" if self.scope == "restarts" else "errors"
        verb = "restarted although nobody had asked" if self.scope == "restarts" else "ended badly"
        whose = f"the budget of {what} of {self.name}" if self.name else "the error budget"
        return f"{whose}, {self.budget}, is used up: {len(self.bad)} of {self.total} machines {verb}: {names}{more}"


@dataclass(frozen=True)
class Scope:
    """The machines that one budget is about; without a budget nothing in it stops the rollout."""

    scope: ScopeName
    name: str
    budget: Budget | None
    machines: Sequence[Ended]


def counts(verdict: str | None, reason_code: str | None = None, hook_failed: bool = False) -> bool:
    """Return whether a machine that ended so counts against the error budgets.

    Unreachable, unproven and restarted machines do; one that was not started does not (it has a limit of its own),
    unless a hook kept it from being touched.
    """
    return verdict in COUNTS_AGAINST_BUDGET or hook_failed or reason_code == HOOK_FAILED


def first_spent(scopes: Iterable[Scope]) -> Spent | None:
    """Return the first scope, in the order given, whose budget is spent; None while all allow to go on."""
    for scope in scopes:
        if scope.budget is None:
            continue
        bad = tuple(item for item in scope.machines if _bad_in(scope.scope, item))
        if not allows(scope.budget, len(scope.machines), len(bad)):
            return Spent(scope.scope, scope.name, scope.budget, len(scope.machines), bad)
    return None


def _bad_in(scope: ScopeName, item: Ended) -> bool:
    return item.verdict == RESTARTED if scope == "restarts" else item.counts


def _shown(item: Ended) -> str:
    return "a hook failed" if item.hook_failed or item.reason_code == HOOK_FAILED else str(item.verdict)
