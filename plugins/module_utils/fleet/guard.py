# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether the run that asked for this work is still there, so that an orphan starts nothing more.

Ansible's workers and modules outlive an ``ansible-playbook`` that is killed (SIGKILL leaves a ``run_once`` worker
running, and since ansible-core 2.19 in a session of its own).  An orphan that goes on starting installations is
out of anybody's control, so every start and every poll asks the guard first.

A process is named by its id *and* its start time: ids are used again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from ..domain.errors import InputError

CONTROLLER_VARIABLE = "HOTPATCH_CONTROLLER"


class Guard(Protocol):
    """Anything that can forbid further work."""

    @property
    def controller(self) -> Process:
        """The process that everything is done for."""

    def stop(self, reason: str) -> None:
        """Start nothing more, for this reason."""

    def refusal(self) -> str:
        """Return the empty string while work may go on, otherwise one sentence why it may not."""


@dataclass(frozen=True)
class Process:
    """One process for good: its id and the kernel's start time (clock ticks since boot; empty where unknown)."""

    pid: int
    start: str = ""

    def __str__(self) -> str:
        return f"{self.pid}:{self.start}"

    @classmethod
    def of(cls, pid: int) -> Process:
        """Name the process that holds ``pid`` now."""
        return cls(pid, _start_time(pid) or "")

    @classmethod
    def parse(cls, text: str, option: str = CONTROLLER_VARIABLE) -> Process:
        """Read ``<pid>:<start time>``; InputError for anything else."""
        pid, dummy, start = text.partition(":")
        if not pid.isdigit() or int(pid) <= 0 or not (start == "" or start.isdigit()):
            raise InputError(option, text, "a process id and its start time, as in '4711:88312'")
        return cls(int(pid), start)

    def alive(self) -> bool:
        """Whether this very process (not a later one with its id) still runs; a zombie does not."""
        start = _start_time(self.pid)
        if start is None:
            return False
        return not self.start or not start or start == self.start


def _start_time(pid: int) -> str | None:
    """Start time from ``/proc`` (proc(5), field 22), "" where there is no ``/proc``, None when the process is gone."""
    if not os.path.isdir("/proc/self"):
        return _probe_without_proc(pid)
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            text = stat.read()
    except OSError:
        return None
    # The command name (field 2) may hold blanks and brackets; everything after the last ')' is regular.
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return fields[19]


def _probe_without_proc(pid: int) -> str | None:
    """Without ``/proc`` (macOS, BSD) only the id can be asked for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


class ParentGuard:
    """Forbid further work once the controlling process is gone or a stop was asked for.

    The controller is the process that ``HOTPATCH_CONTROLLER`` names (the action plugin passes it to a module on the
    same host), otherwise the parent at the time the guard was made.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        named = environ.get(CONTROLLER_VARIABLE, "")
        self._parent = os.getppid()
        self.controller = Process.parse(named) if named else Process.of(self._parent)
        self._named = bool(named)
        self._stop = ""

    def stop(self, reason: str) -> None:
        """Forbid all further work from now on, for instance because a signal asked for it."""
        self._stop = self._stop or reason

    def refusal(self) -> str:
        """Return the empty string while work may go on, otherwise one sentence why it may not."""
        if self._stop:
            return self._stop
        # A changed parent is the quickest sign on every platform: orphans are handed to init or a subreaper.
        if not self.controller.alive() or (not self._named and os.getppid() != self._parent):
            return (
                f"The controlling process {self.controller.pid} has ended, so nothing more is started; "
                "what Azure is doing already goes on, and a later run joins it."
            )
        return ""
