# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand: requests that match a rule are answered wrongly, late or not at all.

A rule is JSON, posted to /emulator/faults::

    {"match": {"method": "POST", "path_regex": "installPatches", "machine": "dc01", "nth": 1, "count": 1,
               "percent": 100},
     "action": {"status": 503, "body": {...} or "text", "headers": {...}}}

``nth`` is the first matching request that is hit (1), ``count`` how many are from there on (1; -1 for all), and
``percent`` lets the seed decide about each. Actions: ``status`` with ``body`` and ``headers`` answers in Azure's
stead and does nothing; ``reset_before`` drops the connection and does nothing; ``reset_after_accept`` does what was
asked and then drops the connection, so the answer is lost; ``delay`` waits so many real seconds and then goes on.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_MATCH_KEYS = {"method", "path_regex", "machine", "nth", "count", "percent"}
_ACTION_KEYS = {"status", "body", "headers", "reset_before", "reset_after_accept", "delay"}


class FaultError(ValueError):
    """A rule that cannot be used; one sentence."""


@dataclass
class Fault:
    """One rule and how often it has matched and hit."""

    id: int
    method: str | None
    path: re.Pattern[str]
    machine: str | None
    nth: int
    count: int
    percent: float
    action: Mapping[str, Any]
    matched: int = 0
    hits: int = 0
    rule: Mapping[str, Any] = field(default_factory=dict)

    def matches(self, method: str, path: str, machine: str | None) -> bool:
        if self.method is not None and self.method != method.upper():
            return False
        if self.machine is not None and self.machine != (machine or "").lower():
            return False
        return self.path.search(path) is not None

    def to_dict(self) -> dict[str, Any]:
        return {"id": self.id, **self.rule, "matched": self.matched, "hits": self.hits}


class Faults:
    """The rules in force, oldest first; the first that hits wins."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(f"{seed}:faults")
        self._faults: list[Fault] = []
        self._next = 1

    def add(self, rule: Any) -> Fault:
        """Add a rule. Raises FaultError with one sentence."""
        if not isinstance(rule, Mapping):
            raise FaultError("a fault is an object with 'match' and 'action'")
        match, action = rule.get("match", {}), rule.get("action", {})
        for name, given, known in (("match", match, _MATCH_KEYS), ("action", action, _ACTION_KEYS)):
            unknown = set(given) - known
            if unknown:
                raise FaultError(f"{name} {sorted(unknown)[0]!r} is not known; allowed are {', '.join(sorted(known))}")
        if not action:
            raise FaultError(f"a fault needs an action; allowed are {', '.join(sorted(_ACTION_KEYS))}")
        try:
            path = re.compile(match.get("path_regex", ""), re.IGNORECASE)
        except re.error as error:
            raise FaultError(f"path_regex {match['path_regex']!r} is no regular expression: {error}") from error
        machine = match.get("machine")
        fault = Fault(
            self._next,
            match["method"].upper() if match.get("method") else None,
            path,
            machine.lower() if machine else None,
            int(match.get("nth", 1)),
            int(match.get("count", 1)),
            float(match.get("percent", 100)),
            action,
            rule=rule,
        )
        self._next += 1
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def listing(self) -> list[dict[str, Any]]:
        return [fault.to_dict() for fault in self._faults]

    def hit(self, method: str, path: str, machine: str | None) -> Fault | None:
        """The rule that spoils this request, if any; counts the request against every rule it matches."""
        chosen: Fault | None = None
        for fault in self._faults:
            if not fault.matches(method, path, machine):
                continue
            fault.matched += 1
            due = fault.matched >= fault.nth and (fault.count < 0 or fault.hits < fault.count)
            if chosen is None and due and self._random.uniform(0, 100) <= fault.percent:
                fault.hits += 1
                chosen = fault
        return chosen
