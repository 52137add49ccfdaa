# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges a report's files by parsers that are not ours: each holds every machine, and the JSON keeps to its schema."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
from ansible_runs import ROOT
from markdown_it import MarkdownIt

FILES = {"report.csv", "report.html", "report.json", "report.junit.xml", "report.md", "report.txt"}


class _Hosts(HTMLParser):
    """The first cell of each row of the page's last table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.hosts: list[str] = []
        self._inside = False
        self.feed(text.rpartition('<table id="machines-table">')[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = (tag, dict(attrs).get("scope")) == ("th", "row")
        if self._inside:
            self.hosts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "th"

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.hosts[-1] += data


def complaints(folder: Path) -> list[str]:
    """What is wrong with the report in that folder; nothing, if all is well."""
    missing = sorted(FILES - {path.name for path in folder.iterdir()})
    if missing:
        return [f"not written: {', '.join(missing)}"]
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    report: dict[str, Any] = json.loads(texts["report.json"])
    schema = json.loads((ROOT / "docs" / "report.schema.json").read_text(encoding="utf-8"))
    found = [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(report)]
    verdicts = {machine["host"]: machine["verdict"] or "no_verdict" for machine in report["machines"]}
    rows = {row["host"]: row["verdict"] for row in csv.DictReader(texts["report.csv"].splitlines(), strict=True)}
    if rows != verdicts:
        found.append(f"the CSV says {rows}, the JSON {verdicts}")
    suites = list(junitparser.JUnitXml.fromstring(texts["report.junit.xml"].encode()))
    cases = {case.name for suite in suites[1:] for case in suite}
    if cases != set(verdicts):
        found.append(f"JUnit has {sorted(cases)}")
    failed = bool(next(iter(suites[0])).result)
    if failed != bool(report["failure"] or report["status"] == "running"):
        found.append("JUnit and the JSON differ on whether the rollout failed")
    if _Hosts(texts["report.html"]).hosts != list(verdicts):
        found.append(f"the page has {_Hosts(texts['report.html']).hosts}")
    tables = [token for token in MarkdownIt().enable("table").parse(texts["report.md"]) if token.type == "table_open"]
    if len(tables) < 3:
        found.append(f"the Markdown has {len(tables)} tables")
    return found
