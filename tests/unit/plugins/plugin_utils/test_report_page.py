# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page without a browser: what machines say stays text, nothing is fetched, and no script runs but ours."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_samples import HOSTILE, hostile, interrupted, report_of, rollout

from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.report_page import TEMPLATES, outcome, to_html


class Page(HTMLParser):
    """The elements, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag)]

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.scripts[-1] += data
        else:
            self.texts.append(data)


def named(text: str) -> dict[str, Any]:
    """A report where that text stands wherever a machine, Azure or the inventory can put text."""
    made = rollout(4, 2, bad=1.0)
    for ring in made.rings:
        ring.name = text
    for wave in made.waves:
        wave.ring = text
    for number, item in enumerate(made.machines.values()):
        item.host, item.id, item.ring, item.zone = f"{text}{number}", text, text, text
        item.verdict, item.reason_code, item.reason = "failed", text, text
        item.evidence, item.notes = [text], [text]
        item.install = {"installation_activity_id": f"i{text}", "status": text, "start_time": text, "started_by": text}
        item.after = {"reachable": False, "why": text, "read_at": text}
        item.before = {"reachable": True, "build": text, "boot_time": None, "read_at": text}
    made.stop = {"wave": 1, "code": text, "reason": f"stopped: {text}"}
    return report_of(made)


PLAIN = Page(to_html(named("x")))


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(
        st.sampled_from(HOSTILE), st.text(min_size=1), st.text(alphabet="<>\"'&/=-!{}%\x00\u202e\ud800`sx", min_size=1)
    )
)
def test_text_never_becomes_markup(text: str) -> None:
    written = to_html(named(text))
    written.encode()
    page = Page(written)
    assert page.tags == PLAIN.tags
    assert Counter((tag, name) for tag, name, value in page.attributes) == Counter(
        (tag, name) for tag, name, value in PLAIN.attributes
    )
    assert "\u202e" not in written


def test_nothing_is_fetched() -> None:
    page = Page(to_html(report_of(hostile())))
    links = [value for tag, name, value in page.attributes if name in ("href", "src", "action", "data", "srcset")]
    assert set(links) == {"#machines"}
    assert not page.tags["link"] and not page.tags["iframe"] and not page.tags["img"]


def test_the_policy_lets_run_exactly_the_scripts_of_the_page() -> None:
    page = Page(to_html(report_of(hostile())))
    policy = next(value for tag, name, value in page.attributes if name == "content" and "script-src" in value)
    allowed = next(part for part in policy.split("; ") if part.startswith("script-src ")).split()[1:]
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts]
    assert allowed == [f"'sha256-{digest}'" for digest in hashes]
    assert len(page.scripts) == 3 and policy.startswith("default-src 'none';")
    assert not [name for tag, name, value in page.attributes if name.startswith("on")]


def test_the_table_is_the_one_that_was_published() -> None:
    """sha256 of js/dataTables.min.js in the npm package datatables.net 3.1.5, with its one quotation mark unescaped."""
    script = (TEMPLATES / "dataTables.min.js").read_text(encoding="utf-8").replace('"\\u201c"', '"\u201c"')
    digest = hashlib.sha256(script.encode()).hexdigest()
    assert digest == "38017a5586acd9c6eb6bbfe8b6938e1a25bdc717c5acfcb07e0c9d663282c59d"


def test_the_licence_of_the_table_goes_along() -> None:
    assert "Permission is hereby granted, free of charge" in to_html(report_of(rollout(2, 1)))


def test_each_machine_is_in_the_page_with_reason_and_evidence() -> None:
    report = report_of(rollout(60))
    text = "\n".join(Page(to_html(report)).texts)
    for machine in report["machines"]:
        assert machine["host"] in text and machine["id"] in text
        assert all(item in text for item in machine["evidence"])
    for problem in report["problems"]:
        assert problem["next_step"] in text


def claimed() -> dict[str, Any]:
    made = rollout(5, 2, bad=0.0)
    for item in made.machines.values():
        item.judge("claimed", "run_succeeded", "Azure says so")
    return report_of(made)


@pytest.mark.parametrize(
    ("report", "word", "group"),
    [
        (report_of(rollout(60, bad=0.3)), "Passed with errors", "attention"),
        (report_of(hostile()), "Failed", "attention"),
        (report_of(interrupted()), "Not finished", "open"),
        (claimed(), "Passed", "claimed"),
        (report_of(rollout(1, 1, bad=0.0)), "Passed", "at_release"),
    ],
)
def test_the_verdict_at_the_top(report: dict[str, Any], word: str, group: str) -> None:
    found = outcome(report)
    assert (found["word"], found["group"]) == (word, group)
    written = to_html(report)
    assert f"<strong>{word}</strong>" in written and f"<title>{word}: rollout" in written
    if group == "claimed":
        assert "5 of them by Azure's word alone" in written.replace("&#39;", "'")
