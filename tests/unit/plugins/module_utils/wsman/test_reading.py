# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many guests beside each other: what one does costs the others nothing, and the time is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import SystemClock
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.connection import Deadline
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.envelope import Address
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import Unreachable
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.reading import Target, options_for, read_many

SECRET = "Sw0rdf1sh"


class Options:
    """A host whose sender does what a function says; everything is counted."""

    endpoint = "https://127.0.0.1:5986/wsman"

    def __init__(self, make: Callable[[Deadline], Any]) -> None:
        self.make = make
        self.closed = 0
        self.seconds = 0.0

    def redact(self, text: str) -> str:
        return text.replace(SECRET, "***")

    def open(self, deadline: Deadline) -> Any:
        self.seconds = deadline.seconds
        sender = self.make(deadline)

        def close() -> None:
            self.closed += 1

        sender.close = close
        return sender


class Refusing:
    """A sender whose guest refuses."""

    def __init__(self, work: Callable[[], None] = lambda: None) -> None:
        self.address = Address(Options.endpoint)
        self.work = work

    def send(self, _request: Any) -> bytes:
        self.work()
        raise Unreachable("the guest refused")


def read(targets: Iterator[Target] | list[Target], seconds: float = 10, parallel: int = 4, **given: Any) -> Any:
    found = list(targets)
    return read_many(iter(found), len(found), SystemClock(), "poll", seconds, parallel, **given)


def healthy(windows: Any) -> Options:
    return Options(lambda _deadline: windows())


def test_each_host_has_its_own_result_in_order(windows: Any) -> None:
    """Read, refused, without usable options and broken off, each with its reason; connections are closed."""

    def breaks(_deadline: Deadline) -> Any:
        def boom() -> None:
            raise RuntimeError(f"no idea what {SECRET} is")

        return Refusing(boom)

    options = [healthy(windows), Options(breaks), healthy(windows)]
    found = read(
        [
            Target("a", options[0]),
            Target("b", None, "the host's ansible_connection is ssh"),
            Target("c", options[1]),
            Target("d", options[2]),
        ]
    )
    assert list(found) == ["a", "b", "c", "d"]
    assert found["a"].reachable and found["d"].build.value == 26100
    assert found["b"].why == "the host's ansible_connection is ssh"
    assert not found["c"].reachable and "RuntimeError: no idea what *** is" in found["c"].why
    assert [one.closed for one in options] == [1, 1, 1]


def test_no_more_than_parallel_are_asked_at_a_time() -> None:
    """And all are asked."""
    at_once: list[int] = []
    asking = threading.Semaphore(0)
    lock = threading.Lock()
    busy = 0

    def work() -> None:
        nonlocal busy
        with lock:
            busy += 1
            at_once.append(busy)
        time.sleep(0.01)
        with lock:
            busy -= 1
        asking.release()

    found = read([Target(f"h{n}", Options(lambda _deadline: Refusing(work))) for n in range(20)], parallel=3)
    assert len(found) == len(at_once) == 20 and max(at_once) <= 3
    assert {guest.why for guest in found.values()} == {"the guest refused"}


def test_guests_that_hang_take_their_share_only(windows: Any) -> None:
    """Two threads, three that hang before a healthy one: it is read all the same, within the time for all."""
    never = threading.Event()

    def hangs(deadline: Deadline) -> Any:
        return Refusing(lambda: deadline.run(lambda: never.wait(60)))

    hanging = [Options(hangs) for dummy in range(3)]
    started = time.monotonic()
    found = read([*(Target(f"h{n}", one) for n, one in enumerate(hanging)), Target("z", healthy(windows))], 2, 2)
    assert time.monotonic() - started < 6
    assert found["z"].reachable
    assert all("seconds allowed" in found[f"h{n}"].why for n in range(3))
    assert hanging[0].seconds <= 1, "half the time, since two rounds are needed"
    never.set()


def test_senders_that_keep_no_time_are_left_to_their_threads(windows: Any) -> None:
    """Whatever a library waits for, others are read with another thread, and who was not read is told so."""
    never = threading.Event()
    stuck = Options(lambda _deadline: Refusing(lambda: never.wait(60) or None))
    found = read([Target("a", stuck), Target("b", stuck), Target("c", healthy(windows))], 4, 1)
    assert [guest.reachable for guest in found.values()] == [False, False, True]
    assert all("seconds allowed in total" in found[host].why for host in "ab")
    never.set()


def test_the_time_for_all_is_kept() -> None:
    """Also when nobody is read; then it is told for how many it was."""
    never = threading.Event()
    stuck = Options(lambda _deadline: Refusing(lambda: never.wait(60) or None))
    started = time.monotonic()
    found = read([Target(f"h{n}", stuck) for n in range(3)], 0.5, 3)
    assert time.monotonic() - started < 5
    assert {guest.why for guest in found.values()} == {
        "the guest was not read within the 0.5 seconds allowed for 3 guests together"
    }
    never.set()


def test_targets_are_worked_out_while_guests_are_asked(windows: Any) -> None:
    """The first is read before the last is known."""
    first = threading.Event()
    options = Options(lambda _deadline: Refusing(first.set))

    def targets() -> Iterator[Target]:
        yield Target("a", options)
        assert first.wait(10)
        yield Target("b", healthy(windows))

    found: dict[str, GuestFacts] = read_many(targets(), 2, SystemClock(), "poll", 20, 4)
    assert found["b"].reachable


@pytest.mark.parametrize("kind", ["ssh", "local", "smart"])
def test_other_connections(kind: str) -> None:
    """They say what to do."""
    with pytest.raises(Unreachable, match=f"ansible_connection is {kind}, .*hotpatch_proof: azure"):
        options_for(kind, {}.get)
