# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the Azure side's tests: start an emulator, once or as often as a test needs."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hotpatch_emulator.app import Options, running

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode has no other way to share code between tests

from azure_support import FLEET, Running, Start


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start an emulator on a fleet; keyword arguments replace top-level keys, switches are merged."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    contexts: list[Any] = []

    def begin(*, switches: dict[str, Any] | None = None, **replaced: Any) -> Running:
        document = {**FLEET, **replaced, "switches": {**FLEET["switches"], **(switches or {})}}
        run_dir = tmp_path / f"run{len(contexts)}"
        fleet = tmp_path / f"fleet{len(contexts)}.yml"
        fleet.write_text(yaml.safe_dump(document), encoding="utf-8")
        context = running(Options(fleet=fleet, run_dir=run_dir))
        emulator = asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(30)
        contexts.append(context)
        return Running(emulator, run_dir)

    yield begin
    for context in reversed(contexts):
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def azure(start: Start) -> Running:
    """The usual fleet."""
    return start()
