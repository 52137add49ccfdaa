# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock: real, followed, refused."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import (
    CLOCK_VARIABLE,
    ClockError,
    FollowedClock,
    SystemClock,
    is_loopback,
    open_clock,
    require_loopback,
)

START = datetime(2026, 5, 13, 1, 0, tzinfo=timezone.utc)


class Published:
    """An emulator's clock on loopback HTTP."""

    def __init__(self) -> None:
        self.base, self.since, self.rate = START, time.monotonic(), 100.0
        self.reads = 0
        self.raw: tuple[int, bytes] | None = None
        published = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                published.reads += 1
                status, body = published.raw or (200, published.answer())
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/emulator/clock"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def now(self) -> datetime:
        return self.base + timedelta(seconds=(time.monotonic() - self.since) * self.rate)

    def answer(self) -> bytes:
        return json.dumps({"now": self.now().isoformat().replace("+00:00", "Z"), "rate": self.rate}).encode()

    def advance(self, seconds: float) -> None:
        self.base += timedelta(seconds=seconds)


@pytest.fixture
def published() -> Iterator[Published]:
    clock = Published()
    yield clock
    clock.server.shutdown()
    clock.server.server_close()


def test_real_time_without_the_variable() -> None:
    clock = open_clock({}, ["https://management.azure.com"])
    assert isinstance(clock, SystemClock)
    assert clock.rate == 1.0
    assert abs((clock.now() - datetime.now(timezone.utc)).total_seconds()) < 5
    before = clock.monotonic()
    clock.sleep(0.01)
    asyncio.run(clock.asleep(0.01))
    assert clock.monotonic() - before >= 0.019


def test_follows_the_published_time_and_rate(published: Published) -> None:
    clock = open_clock({CLOCK_VARIABLE: published.url}, ["https://127.0.0.1:8443", "localhost", "127.8.9.10"])
    assert clock.rate == 100.0
    real, started = time.monotonic(), clock.monotonic()
    clock.sleep(10)
    asyncio.run(clock.asleep(10))
    assert time.monotonic() - real < 2
    assert clock.monotonic() - started >= 20
    # A fifth of a real second either way.
    assert abs((clock.now() - published.now()).total_seconds()) < 20


def test_a_clock_set_forward_ends_a_sleep(published: Published) -> None:
    clock = FollowedClock(published.url)
    threading.Timer(0.3, published.advance, [10_000]).start()
    real = time.monotonic()
    asyncio.run(clock.asleep(9_000))
    assert time.monotonic() - real < 5
    assert (clock.now() - START).total_seconds() >= 9_000


def test_whoever_falls_asleep_between_two_readings_is_woken_too(published: Published) -> None:
    clock = FollowedClock(published.url)

    async def late() -> None:
        await asyncio.sleep(0.4)
        await clock.asleep(9_000)

    async def both() -> None:
        await asyncio.gather(clock.asleep(9_000), late())

    threading.Timer(0.7, published.advance, [10_000]).start()
    real = time.monotonic()
    asyncio.run(both())
    assert time.monotonic() - real < 5


def test_time_never_goes_back(published: Published) -> None:
    clock = FollowedClock(published.url)
    clock.sleep(50)
    seen = clock.now()
    published.advance(-200)
    time.sleep(1.05)
    clock.sleep(1)
    assert clock.now() >= seen


def test_many_sleepers_read_the_clock_once_a_second(published: Published) -> None:
    clock = FollowedClock(published.url)

    async def all_of_them() -> None:
        await asyncio.gather(*(clock.asleep(150) for dummy in range(200)))

    asyncio.run(all_of_them())
    assert published.reads <= 4


def test_an_emulator_that_goes_away_does_not_stop_time(published: Published) -> None:
    clock = FollowedClock(published.url)
    published.raw = (500, b"")
    before = clock.monotonic()
    clock.sleep(150)
    assert clock.monotonic() - before >= 150


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("https://127.0.0.1:8443", True),
        ("127.250.3.4", True),
        ("127.0.0.1:5986", True),
        ("::1", True),
        ("[::1]:5986", True),
        ("https://LOCALHOST/x", True),
        ("localhost.example.com", False),
        ("https://localhost@example.com/", False),
        ("https://127.0.0.1.example.com", False),
        ("https://management.azure.com", False),
        ("10.0.0.4", False),
        ("0.0.0.0", False),
        ("", False),
        ("https://[broken", False),
    ],
)
def test_what_is_loopback(endpoint: str, expected: bool) -> None:
    assert is_loopback(endpoint) is expected


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/c", "http://10.0.0.1/c", "http://clock.example/c", "file:///c", "x"]
)
def test_a_clock_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(ClockError, match=CLOCK_VARIABLE):
        open_clock({CLOCK_VARIABLE: url}, [])


def test_real_endpoints_are_never_driven_by_an_emulated_clock(published: Published) -> None:
    environ = {CLOCK_VARIABLE: published.url}
    with pytest.raises(ClockError, match=r"'https://management\.azure\.com' is not a loopback"):
        open_clock(environ, ["https://127.0.0.1", "https://management.azure.com"])
    assert published.reads == 0
    with pytest.raises(ClockError, match="'vm1'"):
        require_loopback(environ, ["vm1"])
    require_loopback(environ, ["127.0.0.1"])
    require_loopback({}, ["vm1"])


@pytest.mark.parametrize(
    "raw",
    [
        (404, b"{}"),
        (200, b"no JSON"),
        (200, b"[]"),
        (200, b'{"now": "2026-05-13T01:00:00", "rate": 60}'),
        (200, b'{"now": "2026-05-13T01:00:00Z", "rate": 0}'),
        (200, b'{"now": "2026-05-13T01:00:00Z"}'),
        (200, b'{"now": "soon", "rate": 60}'),
    ],
)
def test_an_unusable_answer_is_one_sentence(published: Published, raw: tuple[int, bytes]) -> None:
    published.raw = raw
    with pytest.raises(ClockError, match="without a usable"):
        FollowedClock(published.url)


def test_a_clock_that_does_not_answer(published: Published) -> None:
    published.server.shutdown()
    published.server.server_close()
    with pytest.raises(ClockError, match="did not answer"):
        FollowedClock(published.url)
