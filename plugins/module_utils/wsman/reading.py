# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads guests: one over its host's connection options, or many beside each other within one deadline.

Nothing here raises for what a guest or the network does; a guest that cannot be read is a result that says why.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from ..clock import Clock
from ..domain.guest import GuestFacts, unreachable_guest
from .cim import Sender
from .connection import Deadline, read_options
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


def read_guest(options: GuestOptions, clock: Clock, subset: str, seconds: float) -> GuestFacts:
    """Read one guest in at most so many real seconds."""
    sender = options.open(Deadline(seconds))
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


class _Round:
    """What the threads of one reading share."""

    def __init__(self, count: int, parallel: int, deadline: Deadline) -> None:
        self._waiting = count
        self._parallel = parallel
        self._lock = threading.Lock()
        self.deadline = deadline
        self.todo: queue.SimpleQueue[Target | None] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[tuple[str, GuestFacts]] = queue.SimpleQueue()

    def take_share(self) -> float:
        """How long the next guest may take, in seconds: so long that those still waiting get as long, too."""
        with self._lock:
            rounds = max(1, math.ceil(self._waiting / self._parallel))
            self._waiting -= 1
        return self.deadline.remaining / rounds


def read_many(
    targets: Iterable[Target], count: int, clock: Clock, subset: str, seconds: float, parallel: int
) -> dict[str, GuestFacts]:
    """Read *count* guests with *parallel* threads, all within so many real seconds; the order is that of *targets*.

    The first guests are asked while the later targets are still being worked out. A guest that hangs takes no more
    than its share of the time, so that it never costs another guest's reading.
    """
    shared = _Round(count, parallel, Deadline(seconds))
    found: dict[str, GuestFacts] = {}
    order: list[str] = []
    asked: list[str] = []
    for target in targets:
        order.append(target.host)
        if target.options is None:
            shared.take_share()
            found[target.host] = unreachable_guest(target.why, clock.now())
            continue
        shared.todo.put(target)
        asked.append(target.host)
        if len(asked) <= parallel:
            # Daemons: one that hangs in a system call must not keep the process from ending.
            threading.Thread(target=_work, args=(shared, clock, subset), name="guest", daemon=True).start()
    for dummy in range(parallel):
        shared.todo.put(None)
    missing = set(asked)
    while missing:
        try:
            host, facts = shared.done.get(timeout=max(0.001, shared.deadline.remaining))
        except queue.Empty:
            break
        missing.discard(host)
        found[host] = facts
    why = f"the guest was not read within the {seconds:g} seconds allowed for {count} guests together"
    found.update({host: unreachable_guest(why, clock.now()) for host in missing})
    return {host: found[host] for host in order}


def _work(shared: _Round, clock: Clock, subset: str) -> None:
    while (target := shared.todo.get()) is not None:
        share = shared.take_share()
        if share <= 0:
            return
        shared.done.put((target.host, _read_target(target, clock, subset, share)))


def _read_target(target: Target, clock: Clock, subset: str, seconds: float) -> GuestFacts:
    options = target.options
    if options is None:
        return unreachable_guest(target.why, clock.now())
    try:
        return read_guest(options, clock, subset, seconds)
    except Exception as error:  # a fault of ours or of a library costs this guest's reading, not the others'
        text = options.redact(printable(f"{type(error).__name__}: {error}", 200))
        return unreachable_guest(f"reading the guest broke off ({text})", clock.now())
