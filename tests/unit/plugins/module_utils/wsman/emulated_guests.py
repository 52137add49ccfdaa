# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator's guests in a thread of their own, asked with the real pywinrm; what was asked is in the audit log."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.connection import (
    Deadline,
    WinrmSender,
    read_options,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.probe import probe

pytest.importorskip("winrm")
trustme = pytest.importorskip("trustme")
server = pytest.importorskip("hotpatch_emulator.wsman.server")
config = pytest.importorskip("hotpatch_emulator.config")
audit = pytest.importorskip("hotpatch_emulator.audit")
clock = pytest.importorskip("hotpatch_emulator.clock")

SECONDS = 3.0


class Guests:
    """The emulator's listeners; the first machine of the document is the one meant where none is named."""

    def __init__(self, folder: Path, document: Mapping[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        # A network of its own, so that another emulator on this machine is in nobody's way.
        network = f"127.{random.randint(60, 250)}.{random.randint(0, 255)}.0/24"
        fleet = config.parse(document, network=network)
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        self.clock = clock.EmulatedClock(fleet.now, fleet.speed)
        self.audit = audit.Audit(folder / "audit.jsonl", self.clock)
        self.fleet = fleet.fleet
        self.first = str(document["machines"][0]["name"])
        self.listeners = self.run(server.start_guests(self.fleet, authority, self.audit, self.clock))

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def close(self) -> None:
        self.run(self.listeners.cleanup())
        self.audit.close()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def state(self, name: str = "") -> Any:
        """The guest inside, as the emulator holds it."""
        return self.fleet.by_name(name or self.first).guest

    def behave(self, **behaviour: Any) -> None:
        self.listeners.faults.set(self.state().address, behaviour)

    def sender(self, name: str = "", seconds: float = SECONDS, **options: Any) -> tuple[WinrmSender, Any]:
        """A sender to a guest, and what blanks its secrets out."""
        guest = self.state(name)
        values = {
            "port": 5986,
            "remote_addr": guest.address,
            "remote_user": guest.username,
            "remote_password": guest.password,
            "_extras": {"ansible_winrm_ca_trust_path": str(self.ca), "ansible_winrm_proxy": None},
            **options,
        }
        found = read_options(values.get)
        return WinrmSender(found, Deadline(seconds)), found.redact

    def probe(self, name: str = "", subset: str | Sequence[str] = "core", **options: Any) -> GuestFacts:
        sender, redact = self.sender(name, **options)
        started = time.monotonic()
        try:
            facts = probe(sender, self.clock, subset, redact)
        finally:
            sender.close()
        assert time.monotonic() - started < SECONDS + 5, "nothing outlives the deadline"
        assert self.state(name).password not in str(facts)
        return facts

    def lines(self, kind: str = "winrm") -> list[dict[str, Any]]:
        return [line for line in self.audit.lines() if line["kind"] == kind]

    def requests(self) -> int:
        return len(self.lines())
