# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the emulator's audit log: what one client did to a fleet, when, and how soon it noticed what Azure had done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schedule import Work

ASSESS, INSTALL = "assessPatches", "installPatches"
Line = Mapping[str, Any]


@dataclass
class Operation:
    """One assessment or installation in POSIX seconds of emulated time; ``seen`` is when its end was first told."""

    kind: str
    machine: str
    started: float
    finished: float | None = None
    seen: float | None = None


@dataclass
class Story:
    """All of a client's requests and operations in one run."""

    requests: list[Line] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)

    @property
    def begun(self) -> float:
        return moment(self.requests[0])

    @property
    def elapsed(self) -> float:
        """Emulated seconds from the first request to the last one, which is the poll that told the last end."""
        return moment(self.requests[-1]) - self.begun

    @property
    def throttled(self) -> int:
        return sum(line["status"] == 429 for line in self.requests)

    def by_sort(self) -> Counter[str]:
        """How many requests of each sort."""
        return Counter(sort_of(line) for line in self.requests)

    def starts(self) -> list[float]:
        """When each assessment and installation was taken by Azure."""
        return [operation.started for operation in self.operations]

    def lags(self, kind: str) -> list[float]:
        """Seconds from the end of each operation of this kind until the client was told, in order of size."""
        return sorted(
            operation.seen - operation.finished
            for operation in self.operations
            if operation.kind == kind and operation.seen is not None and operation.finished is not None
        )

    def works(self) -> list[Work]:
        """The lengths that Azure drew, a machine each, in the order of the first request about it.

        Raises ValueError unless every machine was assessed and installed on exactly once.
        """
        lengths: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for operation in self.operations:
            if operation.finished is None:
                raise ValueError(f"{operation.kind} on {operation.machine} never ended")
            lengths[operation.machine][operation.kind].append(operation.finished - operation.started)
        wrong = [name for name, kinds in lengths.items() if [len(kinds[ASSESS]), len(kinds[INSTALL])] != [1, 1]]
        if wrong:
            raise ValueError(f"not one assessment and one installation each: {', '.join(sorted(wrong)[:5])}")
        return [Work(kinds[ASSESS][0], kinds[INSTALL][0]) for kinds in lengths.values()]


def moment(line: Line) -> float:
    """The emulated time of a line in POSIX seconds."""
    return datetime.fromisoformat(line["time"]).timestamp()


def sort_of(line: Line) -> str:
    """What a request was for: assess, install, poll, view, list, sign-in or other."""
    method, path = line["method"], line["path"].lower()
    if method == "POST" and path.endswith("/assesspatches"):
        return "assess"
    if method == "POST" and path.endswith("/installpatches"):
        return "install"
    if "/operations/" in path:
        return "poll"
    if "/virtualmachines/" in path:
        return "view"
    if path.endswith("/virtualmachines"):
        return "list"
    return "sign-in" if "oauth2" in path or ".well-known" in path else "other"


def read(lines: Iterable[Line], machines: Sequence[str] | None = None) -> Story:
    """The story of the lines; of some machines (names) only, if given, and then without what names no machine."""
    story = Story()
    known: dict[str, Operation] = {}
    wanted = None if machines is None else {name.lower() for name in machines}
    for line in lines:
        name = str(line.get("resource_id") or "").rpartition("/")[2].lower()
        if wanted is not None and name not in wanted:
            continue
        if line["kind"] == "request":
            story.requests.append(line)
            told = known.get(line["path"].rpartition("/")[2].lower())
            if told is not None and told.finished is not None and told.seen is None and line["status"] == 200:
                told.seen = moment(line)
        elif line["kind"] == "operation" and line["started_by"] == "User":
            if line["event"] == "started":
                operation = known[line["activity_id"]] = Operation(line["operation"], name, moment(line))
                story.operations.append(operation)
            else:
                known[line["activity_id"]].finished = moment(line)
    return story
