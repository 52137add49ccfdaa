# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the guest tests: one fleet and one client a test."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from hotpatch_emulator import config

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode has no other way to share code between tests

from auth_support import SERVICES
from wsman_support import DOCUMENT, Client, Guests


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def loop_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def guests(authority: trustme.CA, loop_thread: asyncio.AbstractEventLoop, tmp_path: Path) -> Iterator[Guests]:
    # A network of its own, so that another emulator on this machine is in nobody's way.
    network = f"127.{random.randint(60, 250)}.{random.randint(0, 255)}.0/24"
    running = Guests(loop_thread, config.parse(DOCUMENT, network=network), authority, tmp_path)
    yield running
    running.run(running.listeners.cleanup())
    running.audit.close()


@pytest.fixture
def doors(authority: trustme.CA, loop_thread: asyncio.AbstractEventLoop, tmp_path: Path) -> Iterator[Guests]:
    """Guests whose WinRM services are configured in different ways."""
    network = f"127.{random.randint(60, 250)}.{random.randint(0, 255)}.0/24"
    running = Guests(loop_thread, config.parse(SERVICES, network=network), authority, tmp_path)
    yield running
    running.run(running.listeners.cleanup())
    running.audit.close()


@pytest.fixture
def client(guests: Guests) -> Client:
    return Client(guests.protocol())
