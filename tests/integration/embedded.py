# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An embedded Azure in a thread of the test's process: it starts in a fifth of a second."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import emulator_process
from cryptography.hazmat.primitives.asymmetric import rsa

from hotpatch_emulator import assertions
from hotpatch_emulator.app import Options, running
from hotpatch_emulator.world import World


@functools.cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@contextmanager
def embedded(document: dict[str, Any], run_dir: Path) -> Iterator[tuple[World, emulator_process.Emulator]]:
    """Run an emulator over a fleet document, with this process's environment pointing at it.

    What goes on in it is asked over the wire, as of one that is a process of its own; only the fleet, which nobody
    changes but the emulator itself, is handed out beside.
    """
    run_dir.mkdir(parents=True)
    fleet = run_dir / "fleet.json"
    fleet.write_text(json.dumps(document), encoding="utf-8")
    started = threading.Event()
    found: dict[str, Any] = {}

    async def live() -> None:
        ended = asyncio.Event()
        try:
            async with running(Options(fleet=fleet, run_dir=run_dir)) as emulator:
                loop = asyncio.get_running_loop()
                found.update(world=emulator.world, endpoints=emulator.endpoints)
                found.update(end=lambda: loop.call_soon_threadsafe(ended.set))
                started.set()
                await ended.wait()
        except Exception as error:
            found["error"] = error
            started.set()

    # A key of its own for every emulator would cost more than all that is sent to it.
    assertions.new_key = _key
    thread = threading.Thread(target=asyncio.run, args=(live(),), daemon=True)
    thread.start()
    started.wait(60)
    if "error" in found or not found:
        raise RuntimeError(f"the embedded Azure did not start: {found.get('error')}")
    process = emulator_process.Emulator(os.getpid(), run_dir, found["endpoints"])
    try:
        with mock.patch.dict(os.environ, process.environment()):
            yield found["world"], process
    finally:
        found["end"]()
        thread.join(60)
    if "error" in found:
        raise found["error"]
