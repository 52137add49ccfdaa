# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's page in a real Chromium, as people use it: reading, sorting, searching, by keyboard, on paper."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect
from report_samples import HOSTILE, hostile, interrupted, report_of, rollout

if TYPE_CHECKING:
    from opened import Open

pytest_plugins = ("opened",)

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SAMPLES = {"finished": rollout, "hostile": hostile, "interrupted": interrupted}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("sample", SAMPLES)
def test_it_opens_quietly_and_axe_finds_nothing(open_report: Open, sample: str, scheme: str) -> None:
    opened = open_report(SAMPLES[sample](), color_scheme=scheme)
    expect(opened.page.locator(".dt-info")).to_be_visible()
    background = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = [int(number) for number in re.findall(r"\d+", background)[:3]]
    assert (max(brightness) < 64) if scheme == "dark" else (min(brightness) > 192)
    # Evidence is judged too, and so are the cells of every part.
    opened.page.locator("#machines-table summary").first.click()
    opened.keep(f"{sample}-{scheme}")
    found = Axe().run(
        opened.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    assert found.response["passes"], "axe judged nothing"
    assert found.violations_count == 0, found.generate_report()
    assert opened.console == []


def test_nothing_but_the_file_is_asked_for(open_report: Open) -> None:
    opened = open_report(hostile())
    opened.search("rocket")
    opened.page.emulate_media(media="print")
    assert [url.rpartition("/")[2] for url in opened.requests] == ["report.html"]


def test_sorting_by_click_and_by_keyboard(open_report: Open) -> None:
    made = rollout(60, 12)
    opened = open_report(made)
    header = opened.page.locator("#machines-table thead th", has_text="Wave")
    button = header.get_by_role("button")
    button.click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    button.press("Enter")
    expect(header).to_have_attribute("aria-sort", "descending")
    waves = [int(text) for text in opened.page.locator("#machines-table tbody td:nth-child(3)").all_inner_texts()]
    # As numbers: as texts, 9 would come before 12.
    assert waves[0] == 12 and waves == sorted(waves, reverse=True)
    opened.page.locator("#machines-table thead th", has_text="Machine").get_by_role("button").click()
    opened.shows(sorted(record.host for record in made.in_scope)[:25])


def test_search_finds_what_is_on_no_page_shown(open_report: Open) -> None:
    made = rollout(60)
    last = made.in_scope[-1]
    opened = open_report(made)
    assert last.host not in opened.rows
    opened.search(last.host)
    opened.shows([last.host])
    opened.says("Machines 1 to 1 of 1 (of 60)")
    # Evidence is searched as well, closed as it is.
    sent = [record for record in made.in_scope if record.install]
    opened.search(sent[40].install["installation_activity_id"])  # type: ignore[index]
    opened.shows([sent[40].host])
    opened.search("no such machine")
    opened.shows([])
    opened.says("No machines (of 60)")
    expect(opened.page.get_by_text("No machine matches.")).to_be_visible()


def test_a_group_is_shown_by_choice_and_by_its_count_at_the_top(open_report: Open) -> None:
    made = rollout(200, bad=0.2)
    report = report_of(made)
    bad = [machine["host"] for machine in report["machines"] if machine["group"] == "attention"]
    assert 10 < len(bad) < 100
    opened = open_report(made)
    opened.page.get_by_role("link", name=re.compile("Needs a person")).click()
    expect(opened.page.get_by_label("Show", exact=True)).to_have_value("attention")
    opened.page.get_by_label("Machines on a page").select_option("100")
    opened.shows(bad)
    opened.page.get_by_label("Show", exact=True).select_option("")
    opened.says("Machines 1 to 100 of 200")


def test_by_keyboard_alone(open_report: Open) -> None:
    opened = open_report(rollout())
    page = opened.page
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#machines")).to_be_focused()
    # Everything that takes part is reached in the order it is read.
    reached = []
    for dummy in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.tagName + ' ' + document.activeElement.getAttribute('aria-label')")
        )
    assert reached[0].startswith("SELECT") and reached[1].startswith("INPUT")
    assert "SUMMARY Evidence of vm-germ-00000" in reached
    summary = page.locator("#machines-table summary").first
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#machines-table .evidence").first).to_be_visible()


def test_what_a_screen_reader_is_told(open_report: Open) -> None:
    opened = open_report(rollout())
    page = opened.page
    for role, name in (("main", None), ("banner", None), ("contentinfo", None)):
        expect(page.get_by_role(role, name=name)).to_have_count(1)  # type: ignore[arg-type]
    levels = page.locator("h1, h2, h3").evaluate_all("all => all.map(item => item.tagName)")
    assert levels[0] == "H1" and levels.count("H1") == 1
    chart = page.get_by_role("img", name=re.compile("bars from 2026-05-13"))
    expect(chart).to_have_count(1)
    expect(page.locator(".dt-info")).to_have_attribute("aria-live", "polite")


def test_colour_is_never_the_only_sign(open_report: Open) -> None:
    opened = open_report(rollout(300, bad=0.2))
    opened.page.get_by_label("Machines on a page").select_option("500")
    script = "cells => cells.map(cell => [cell.className.trim(), getComputedStyle(cell, '::before').content])"
    signs = dict(opened.page.locator("#machines-table td.verdict").evaluate_all(script))
    assert len(signs) == 4 and len(set(signs.values())) == 4 and "none" not in signs.values()


def test_hostile_text_stays_text(open_report: Open) -> None:
    made = hostile()
    opened = open_report(made)
    opened.page.get_by_label("Machines on a page").select_option("100")
    for text in ("onerror", "script", "rocket", "7 * 7", ""):
        opened.search(text)
        for summary in opened.page.locator("#machines-table summary").all():
            summary.click()
    assert opened.page.evaluate("window.broken") is None
    assert opened.rows[:2] == [f"0 {HOSTILE[0]}", f"1 {HOSTILE[1]}"]
    assert opened.page.locator("#machines-table").locator("script, img, iframe").count() == 0
    assert opened.console == []


def test_a_script_that_got_into_the_page_would_not_run(open_report: Open) -> None:
    """The second wall: were the escaping broken, the content security policy stops what came through."""
    opened = open_report(rollout(3, 2))
    opened.page.evaluate(
        """() => { const made = document.createElement("div"); made.innerHTML = "<img src=x onerror='window.broken=1'>";
        document.body.append(made); const script = document.createElement("script"); script.text = "window.broken=2";
        document.body.append(script); }"""
    )
    opened.page.wait_for_timeout(200)
    assert opened.page.evaluate("window.broken") is None
    assert any("Content Security Policy" in line for line in opened.console)


def test_without_scripts_every_machine_is_readable(open_report: Open) -> None:
    opened = open_report(rollout(60), java_script_enabled=False)
    assert len(opened.rows) == 60
    expect(opened.page.locator("#machines-table tbody th").last).to_be_visible()
    expect(opened.page.locator("#group-filter")).to_be_hidden()
    opened.page.locator("#machines-table summary").last.click()
    expect(opened.page.locator("#machines-table .evidence").last).to_be_visible()


def test_on_paper_there_are_no_pages_to_turn(open_report: Open) -> None:
    opened = open_report(rollout(60), color_scheme="dark")
    opened.page.emulate_media(media="print")
    colours = "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    assert opened.page.evaluate(colours) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    for part in (".dt-search", ".dt-paging", "#group-filter", "#machines-table summary"):
        expect(opened.page.locator(part).first).to_be_hidden()
    opened.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    expect(opened.first_cells).to_have_count(60)
    opened.page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    expect(opened.first_cells).to_have_count(25)
    assert opened.page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize("width", [320, 768])
def test_on_a_small_screen_only_tables_scroll_sideways(open_report: Open, width: int) -> None:
    opened = open_report(hostile(), viewport={"width": width, "height": 800})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_ten_thousand_machines(open_report: Open) -> None:
    """Only a page of them is in the document, and search, sorting and filter go over all."""
    made = rollout(10_000, 40)
    report: dict[str, Any] = report_of(made)
    opened = open_report(made)
    expect(opened.first_cells).to_have_count(25)
    opened.says("Machines 1 to 25 of 10,000")
    last = made.in_scope[-1]
    opened.search(last.host)
    opened.shows([last.host])
    opened.search("")
    header = opened.page.locator("#machines-table thead th", has_text="Machine")
    for direction in ("ascending", "descending"):
        header.get_by_role("button").click()
        expect(header).to_have_attribute("aria-sort", direction)
    opened.shows(sorted((record.host for record in made.in_scope), reverse=True)[:25])
    opened.page.get_by_label("Show", exact=True).select_option("attention")
    opened.says(f"Machines 1 to 25 of {report['counting_against_budget']} (of 10,000)")
    assert opened.console == []
    opened.keep("ten-thousand")
