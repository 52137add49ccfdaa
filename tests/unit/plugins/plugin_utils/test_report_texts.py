# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report's text formats, read back by parsers that are not ours; nothing a machine says gets out of its place."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from typing import Any

import junitparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from report_samples import HOSTILE, hostile, interrupted, report_of, rollout

from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.report_texts import (
    CSV_COLUMNS,
    MARKDOWN_MACHINES,
    to_csv,
    to_junit,
    to_markdown,
)

FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
ANYTHING = st.one_of(
    st.text(), st.sampled_from(HOSTILE), st.text(alphabet="=+-@;,|`\\\"'<>&\r\n\t\x00\u202e\ud800a[]()*_#!~")
)


def named(text: str) -> dict[str, Any]:
    """A report whose machines all carry that text wherever one can."""
    made = rollout(6, 2, bad=1.0)
    for number, item in enumerate(made.machines.values()):
        item.host = f"{text}{number}"
        item.reason, item.evidence, item.location, item.ring = text, [text], text, text
    made.stop = {"wave": 1, "code": "x", "reason": text}
    return report_of(made)


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_csv_has_a_row_for_each_machine() -> None:
    report = report_of(rollout(60))
    rows = read_csv(to_csv(report))
    assert [row["host"] for row in rows] == [machine["host"] for machine in report["machines"]]
    assert [row["verdict"] for row in rows] == [machine["verdict"] for machine in report["machines"]]
    assert {row["kb"] for row in rows} == {"KB5087423", "KB5087424"}
    assert set(rows[0]) == set(CSV_COLUMNS)
    assert {row["wave"] for row in rows} == {str(machine["wave"]) for machine in report["machines"]}


@given(ANYTHING)
def test_csv_cells_are_no_formulas_and_one_line_each(text: str) -> None:
    written = to_csv(named(text))
    written.encode()
    rows = read_csv(written)
    assert len(rows) == 6 == len(written.rstrip("\r\n").split("\r\n")) - 1
    for row in rows:
        for cell in row.values():
            assert not FORMULA.match(cell)
            assert not any(unicodedata.category(letter) in ("Cc", "Cf", "Cs") for letter in cell)
            # Where a spreadsheet separates by another sign, what follows it begins a cell as well.
            assert not [part for part in re.split(r"[;,|\t]", cell)[1:] if FORMULA.match(part)]


def cells(markdown: str) -> list[list[list[str]]]:
    """The tables of a Markdown text as an independent parser sees them: rows of plain cell texts."""
    tables: list[list[list[str]]] = []
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown)
    for token in tokens:
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and tables and token.children is not None and token.level > 3:
            tables[-1][-1].append("".join(child.content for child in token.children))
    return tables


def test_markdown_holds_the_tables() -> None:
    report = report_of(rollout(60))
    figures, compliance, waves, machines = cells(to_markdown(report))
    assert ["Machines", "60"] in figures
    assert [row[0] for row in compliance[1:4]] == ["ring canary", "ring pilot", "ring broad"]
    assert len(waves) == 9
    bad = [item for item in report["machines"] if item["group"] in ("attention", "open")]
    assert {row[0] for row in machines[1:]} == {item["host"] for item in bad}
    assert all(row[4] for row in machines[1:])


def test_markdown_stays_small_for_a_ticket() -> None:
    report = report_of(rollout(2000, 40, bad=0.5))
    text = to_markdown(report)
    assert len(text) < 65536
    assert len(cells(text)[3]) == MARKDOWN_MACHINES + 1
    assert re.search(r"^and \d+ more, in `report\.csv`\.$", text, re.MULTILINE)


def in_a_span(text: str) -> str:
    """What a code span can show of a text: no controls, single blanks, and neither backticks nor backslashes."""
    visible = "".join(" " if unicodedata.category(letter)[0] == "C" else letter for letter in text)
    return " ".join(visible.replace("`", "'").replace("\\", "/").split()) or "-"


@given(ANYTHING)
def test_markdown_text_is_text(text: str) -> None:
    report = named(text)
    written = to_markdown(report)
    written.encode()
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(written)
    kinds = {token.type for token in tokens}
    children = {child.type for token in tokens for child in token.children or []}
    assert not kinds & {"html_block", "fence", "code_block", "hr", "blockquote_open", "bullet_list_open"}
    assert children <= {"text", "code_inline", "strong_open", "strong_close", "softbreak"}
    rows = cells(written)[3][1:]
    assert [row[0] for row in rows] == [in_a_span(machine["host"]) for machine in report["machines"]]
    for row, machine in zip(rows, report["machines"], strict=True):
        # A cell that ended too early would push the others to the right, where a parser drops them.
        assert row[4] == machine["next_step"]
        assert row[3] == in_a_span(machine["reason"]) or row[3].endswith("...")


def junit(text: str) -> junitparser.JUnitXml:
    return junitparser.JUnitXml.fromstring(text.encode())


def test_junit_tells_the_verdicts() -> None:
    report = report_of(rollout(200, bad=0.2))
    suites = list(junit(to_junit(report)))
    assert [suite.name for suite in suites] == ["rollout", "canary", "pilot", "broad"]
    cases = {case.name: case for suite in suites[1:] for case in suite}
    assert len(cases) == 200
    for machine in report["machines"]:
        results = [type(result).__name__ for result in cases[machine["host"]].result]
        wanted = {"attention": ["Failure"], "left_out": ["Skipped"], "open": ["Skipped"]}.get(machine["group"], [])
        assert results == wanted, machine["verdict"]
    whole = junit(to_junit(report))
    assert whole.tests == 201
    assert whole.failures == report["counting_against_budget"]
    assert whole.skipped == sum(machine["group"] in ("left_out", "open") for machine in report["machines"])


def test_junit_fails_when_the_rollout_failed_and_names_the_lost() -> None:
    made = rollout(4, 2, bad=0.0)
    first = next(iter(made.machines.values()))
    first.judge("not_started", "lost", "it dropped out")
    suites = list(junit(to_junit(report_of(made))))
    assert [type(result).__name__ for result in next(iter(suites[0])).result] == ["Failure"]
    assert [type(result).__name__ for case in suites[1] for result in case.result] == ["Error"]


def test_junit_of_an_unfinished_rollout_is_no_success() -> None:
    suites = list(junit(to_junit(report_of(interrupted()))))
    assert [type(result).__name__ for result in next(iter(suites[0])).result] == ["Error"]


@settings(max_examples=60)
@given(ANYTHING)
def test_junit_is_xml_whatever_machines_say(text: str) -> None:
    suites = list(junit(to_junit(named(text))))
    assert sum(len(list(suite)) for suite in suites) == 7


@pytest.mark.parametrize("render", [to_csv, to_markdown, to_junit])
def test_hostile_reports_are_drawn(render: Any) -> None:
    report = report_of(hostile())
    json.loads(json.dumps(report))
    render(report).encode()
