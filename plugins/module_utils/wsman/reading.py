# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads guests: one over its host's connection options, or many beside each other within one deadline.

Nothing here raises for what a guest or the network does; a guest that cannot be read is a result that says why.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from ..clock import Clock
from ..domain.guest import GuestFacts, unreachable_guest
from .cim import Sender
from .connection import Deadline, read_options
from .explain import deadline_passed
from .faults import Unreachable, printable
from .probe import probe
from .psrp import read_psrp_options
from .tickets import TICKETS


class Closable(Sender, Protocol):
    """A sender that holds a connection."""

    def close(self) -> None:
        """Close the connection."""


class GuestOptions(Protocol):
    """How to reach one host, whichever connection plugin the host uses."""

    @property
    def endpoint(self) -> str:
        """The URL of the guest's WinRM listener."""

    def redact(self, text: str) -> str:
        """Blank the host's secrets out of a text."""

    def open(self, deadline: Deadline) -> Closable:
        """Make what sends envelopes to the guest, and waits no longer than until the deadline."""


def options_for(kind: str, get_option: Callable[[str], Any]) -> GuestOptions:
    """Read the options of a host whose connection plugin is called *kind*.

    ``get_option`` is the connection plugin's. Raises :class:`Unreachable` with what to do if the guest cannot be asked
    over such a connection, or one of its options cannot be used.
    """
    if kind == "winrm":
        return read_options(get_option)
    if kind == "psrp":
        return read_psrp_options(get_option)
    raise Unreachable(
        f"the host's ansible_connection is {kind}, and the guest can be asked over winrm or psrp only; "
        "set ansible_connection to winrm, or leave the host without guest proof (hotpatch_proof: azure)"
    )


def read_guest(options: GuestOptions, clock: Clock, subset: str, seconds: float, watched: bool = False) -> GuestFacts:
    """Read one guest in at most so many real seconds; see :class:`.connection.Deadline` for ``watched``."""
    sender = options.open(Deadline(seconds, watched))
    try:
        return probe(sender, clock, subset, options.redact)
    finally:
        sender.close()


def end_reading() -> None:
    """Leave nothing behind when a task has read all it wanted: deletes the Kerberos tickets that were got for it."""
    TICKETS.forget()


@dataclass(frozen=True)
class Target:
    """One of many guests: its host, and its options or why there are none."""

    host: str
    options: GuestOptions | None
    why: str = ""


@dataclass(eq=False)
class _Worker:
    """A thread that reads one guest after the other; what it is reading, and until when it may."""

    host: str = ""
    share: float = 0.0
    ends: float = 0.0
    """When it is given up, in monotonic seconds."""
    abandoned: bool = False


#: How long after its share of the time a guest's reading may still end by itself, in seconds, and as a part of it.
_GRACE, _GRACE_PART = 0.5, 0.25


class _Round:
    """One reading of many guests: the threads that ask, and the watch over them.

    Requests are made in the threads themselves: under load a further thread for every request, as a single guest's
    reading has, costs more than the request. Sockets' time-outs end what is silent, with all facts read so far; a guest
    that drips a byte now and then is left to its thread, and another thread goes on with the others.
    """

    def __init__(self, count: int, clock: Clock, subset: str, seconds: float, parallel: int) -> None:
        self.count, self.clock, self.subset, self.seconds, self.parallel = count, clock, subset, seconds, parallel
        self.deadline = Deadline(seconds)
        self.found: dict[str, GuestFacts] = {}
        self._waiting = count
        self._lock = threading.Lock()
        self._todo: queue.SimpleQueue[Target | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[str, GuestFacts]] = queue.SimpleQueue()
        self._workers: set[_Worker] = set()
        self._missing: set[str] = set()

    def add(self, target: Target) -> None:
        """Have a guest read, as soon as a thread is free."""
        if target.options is None:
            self.found[target.host] = unreachable_guest(target.why, self.clock.now())
            with self._lock:
                self._waiting -= 1
            return
        self._todo.put(target)
        self._missing.add(target.host)
        if len(self._workers) < self.parallel:
            self._hire()
        self._collect(0)

    def finish(self) -> None:
        """Wait until all are read, or the time is over."""
        for dummy in range(2 * self.count):
            # Enough for every thread, also for those that take the place of abandoned ones.
            self._todo.put(None)
        while self._missing and self.deadline.remaining > 0:
            with self._lock:
                ends = [worker.ends for worker in self._workers if worker.host]
            patience = min([self.deadline.remaining, *(one - time.monotonic() for one in ends)])
            self._collect(max(0.001, patience))
        why = f"the guest was not read within the {self.seconds:g} seconds allowed for {self.count} guests together"
        self.found.update({host: unreachable_guest(why, self.clock.now()) for host in self._missing})

    def _hire(self) -> None:
        worker = _Worker()
        self._workers.add(worker)
        # Daemons: one that hangs in a system call must not keep the process from ending.
        threading.Thread(target=self._work, args=(worker,), name="guest", daemon=True).start()

    def _collect(self, seconds: float) -> None:
        """Take what is done, waiting so long for the first; then look for guests that outstay their share."""
        try:
            while True:
                host, facts = self._done.get(timeout=seconds) if seconds else self._done.get_nowait()
                seconds = 0
                if host in self._missing:
                    self._missing.discard(host)
                    self.found[host] = facts
        except queue.Empty:
            pass
        with self._lock:
            late = [worker for worker in self._workers if worker.host and time.monotonic() > worker.ends]
            for worker in late:
                worker.abandoned = True
                self._workers.discard(worker)
        for worker in late:
            if worker.host in self._missing:
                self._missing.discard(worker.host)
                self.found[worker.host] = unreachable_guest(deadline_passed(worker.share).why, self.clock.now())
            self._hire()

    def _work(self, worker: _Worker) -> None:
        while (target := self._todo.get()) is not None:
            with self._lock:
                # So long that those still waiting get as long, too.
                rounds = max(1, math.ceil(self._waiting / self.parallel))
                self._waiting -= 1
                share = self.deadline.remaining / rounds
                grace = min(_GRACE, share * _GRACE_PART)
                worker.host, worker.share, worker.ends = target.host, share, time.monotonic() + share + grace
            if share <= 0:
                return
            facts = _read_target(target, self.clock, self.subset, share)
            with self._lock:
                if worker.abandoned:
                    return
                worker.host = ""
            self._done.put((target.host, facts))


def read_many(
    targets: Iterable[Target], count: int, clock: Clock, subset: str, seconds: float, parallel: int
) -> dict[str, GuestFacts]:
    """Read *count* guests with *parallel* threads, all within so many real seconds; the order is that of *targets*.

    The first guests are asked while the later targets are still being worked out. A guest that hangs takes no more
    than its share of the time, so that it never costs another guest's reading.
    """
    together = _Round(count, clock, subset, seconds, min(parallel, max(1, count)))
    order: list[str] = []
    for target in targets:
        order.append(target.host)
        together.add(target)
    together.finish()
    return {host: together.found[host] for host in order}


def _read_target(target: Target, clock: Clock, subset: str, seconds: float) -> GuestFacts:
    options = target.options
    if options is None:
        return unreachable_guest(target.why, clock.now())
    try:
        return read_guest(options, clock, subset, seconds, watched=True)
    except Exception as error:  # a fault of ours or of a library costs this guest's reading, not the others'
        text = options.redact(printable(f"{type(error).__name__}: {error}", 200))
        return unreachable_guest(f"reading the guest broke off ({text})", clock.now())
