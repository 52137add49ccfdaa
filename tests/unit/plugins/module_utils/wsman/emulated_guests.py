# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The emulator's guests, asked whole: what a test changes inside them, and what the audit log says of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts

from .conftest import EmulatedGuests

SECONDS = 3.0


class Guests(EmulatedGuests):
    """The first machine of the document is the one meant where none is named."""

    def __init__(self, folder: Path, document: dict[str, Any]) -> None:
        super().__init__(folder, document)
        self.seconds = SECONDS
        self.first = str(document["machines"][0]["name"])

    def state(self, name: str = "") -> Any:
        """The guest inside, as the emulator holds it."""
        return self.fleet.by_name(name or self.first).guest

    def behave_first(self, **behaviour: Any) -> None:
        self.behave(self.first, **behaviour)

    def read(self, name: str = "", subset: str | Sequence[str] = "core") -> GuestFacts:
        return self.probe(name or self.first, subset=subset if isinstance(subset, str) else ",".join(subset))

    def options(self, name: str = "") -> Any:
        """How to reach a guest, as an action hands it on."""
        self.sender(name or self.first, ["ssl"], {}).close()
        return self.found

    def lines(self, kind: str = "winrm") -> list[dict[str, Any]]:
        return [line for line in self.audit.lines() if line["kind"] == kind]
