# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page that a test opened, with the parts of the report that tests ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page

SCREENS = Path(__file__).resolve().parents[2] / ".build" / "screens"


@dataclass
class Opened:
    """A page that was opened, and what it said and asked for meanwhile."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[str]:
        """The first cells of the rows that are shown."""
        return self.page.locator("#machines-table tbody th").all_inner_texts()

    @property
    def info(self) -> str:
        return self.page.locator(".dt-info").inner_text()

    def search(self, text: str) -> None:
        self.page.get_by_label("Search all machines").fill(text)

    def keep(self, name: str) -> None:
        """Keep a screenshot of the whole page for people to look at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


Open = Callable[..., Opened]
