# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Chromium for the report's page, and pages opened in it, with the parts that tests ask for.

A pytest plugin and no conftest.py, which mypy could not tell from the integration tests'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import chromium
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from report_samples import report_of

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Rollout
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils import report_files

SCREENS = Path(__file__).resolve().parents[2] / ".build" / "screens"
# As root there is no sandbox to be had, and without the rest Chromium calls home at each start.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Opened:
    """A page that was opened, and what it said and asked for meanwhile."""

    page: Page
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def first_cells(self) -> Locator:
        """The first cells of the rows that are shown: the machines' names."""
        return self.page.locator("#machines-table tbody th")

    @property
    def rows(self) -> list[str]:
        return self.first_cells.all_inner_texts()

    def shows(self, hosts: list[str]) -> None:
        """Assert that these machines, and no others, are shown in this order, now or soon."""
        expect(self.first_cells).to_have_text(hosts)

    def says(self, text: str) -> None:
        """Assert what stands below the table, now or soon."""
        expect(self.page.locator(".dt-info")).to_have_text(text)

    def search(self, text: str) -> None:
        self.page.get_by_label("Search all machines").fill(text)

    def keep(self, name: str) -> None:
        """Keep a screenshot of the whole page for people to look at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = chromium.find()
    if not program:
        pytest.skip("no Chromium was found; install one, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS])
        yield browser
        browser.close()


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Writes the report of a rollout as a run does, and opens its page from disk."""
    contexts = []

    def open_it(rollout: Rollout, **options: Any) -> Opened:
        paths = report_files.write(report_of(rollout), str(tmp_path / "report"))
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(60_000)
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.console.append(f"{message.type}: {message.text}"))
        opened.page.on("pageerror", lambda error: opened.console.append(f"error: {error}"))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(Path(paths["html"]).as_uri())
        return opened

    yield open_it
    for context in contexts:
        context.close()
