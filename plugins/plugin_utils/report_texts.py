# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report as CSV for spreadsheets, Markdown for a change ticket, and JUnit for pipelines.

Names, reasons and errors come from machines and from Azure: in each format they are data and nothing else.

Note that this plugin util is private to the collection.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_report import printable

Report = Mapping[str, Any]

CSV_COLUMNS = (
    "host",
    "ring",
    "wave",
    "verdict",
    "group",
    "counts_against_budget",
    "reason_code",
    "reason",
    "next_step",
    "kb",
    "product",
    "track",
    "location",
    "zone",
    "service",
    "build_before",
    "build_after",
    "boot_time_after",
    "installation_activity_id",
    "evidence",
    "id",
)
MARKDOWN_MACHINES = 50
"""Machines that the Markdown names: a ticket has little room, and the CSV has all."""
_MARKDOWN_TEXT = 400
# What a spreadsheet takes for a formula, at the start of a cell, or behind what another language's one separates by.
_FORMULA = re.compile(r"(^|[;,|])(\s*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")


def to_csv(report: Report) -> str:
    """Return one line a machine, all cells quoted, with a header; no cell is a formula to a spreadsheet."""
    stream = io.StringIO()
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(CSV_COLUMNS)
    for machine in report["machines"]:
        writer.writerow([_cell(value) for value in _csv_row(machine)])
    return stream.getvalue()


def _csv_row(machine: Mapping[str, Any]) -> list[Any]:
    before, after = machine["guest_before"] or {}, machine["guest_after"] or {}
    known = {
        **machine,
        "verdict": machine["verdict"] or "no_verdict",
        "kb": " ".join(machine["kb_numbers"]) or (machine["release"] or {}).get("kb"),
        "build_before": before.get("build"),
        "build_after": after.get("build"),
        "boot_time_after": after.get("boot_time"),
        "installation_activity_id": (machine["installation"] or {}).get("installation_activity_id"),
        "evidence": "; ".join(machine["evidence"]),
    }
    return [known[column] for column in CSV_COLUMNS]


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return value
    return _FORMULA.sub(r"\1\2'", printable(value))


def to_markdown(report: Report) -> str:
    """Return the outcome, the figures, and the machines that need a person, as GitHub-flavoured Markdown."""
    total = report["compliance"]["total"]
    lines = [
        f"# Rollout {_code(report['rollout_id'])}: {report['status']}",
        "",
        f"**{'Failed' if report['failure'] else 'Result'}:** {_code(report['failure'] or report['msg'])}",
        "",
        f"{report['msg'] and _code(report['msg'])}" if report["failure"] else "",
        "",
        *_table(("what", "value"), _facts(report, total)),
        "",
        "## Compliance",
        "",
        *_compliance(report["compliance"]),
        "",
    ]
    if report["waves"]:
        lines += ["## Waves", "", *_waves(report["waves"]), ""]
    bad = [machine for machine in report["machines"] if machine["group"] in ("attention", "open")]
    if bad:
        # What counts against the budget first.
        bad.sort(key=lambda machine: not machine["counts_against_budget"])
        lines += ["## Machines that need a person", "", *_machines(bad[:MARKDOWN_MACHINES]), ""]
    if len(bad) > MARKDOWN_MACHINES:
        lines += [f"and {len(bad) - MARKDOWN_MACHINES} more, in `report.csv`.", ""]
    return "\n".join(lines)


def _facts(report: Report, total: Mapping[str, Any]) -> list[tuple[object, ...]]:
    restarts = report["restarts"]
    return [
        ("Started", _seconds(report["started"])),
        ("Ended", _seconds(report["ended"])),
        ("Machines", total["machines"]),
        ("Proven at the release", total["at_release"]),
        ("Claimed by Azure, not proven", total["claimed"]),
        ("Counting against the error budget", f"{report['counting_against_budget']} (budget {report['error_budget']})"),
        ("Not started or not judged", total["open"]),
        ("Restarts, planned", restarts["planned"]),
        ("Restarts, unexpected", restarts["unexpected"]),
        ("Restarts avoided", restarts["avoided"]),
    ]


def _compliance(compliance: Mapping[str, Any]) -> list[str]:
    header = (
        "ring or region",
        "machines",
        "at release",
        "claimed",
        "need a person",
        "open",
        "left out",
        "at release, %",
    )
    rows: list[tuple[object, ...]] = []
    for kind, tallies in (("ring", compliance["by_ring"]), ("region", compliance["by_region"])):
        rows += [
            (
                f"{kind} {_code(tally['name'])}",
                tally["machines"],
                tally["at_release"],
                tally["claimed"],
                tally["attention"],
                tally["open"],
                tally["left_out"],
                "-" if tally["percent_at_release"] is None else tally["percent_at_release"],
            )
            for tally in tallies
        ]
    return _table(header, rows)


def _waves(waves: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            _code(wave["ring"]),
            wave["number"],
            len(wave["machines"]),
            _seconds(wave["started"]),
            _seconds(wave["finished"]),
        )
        for wave in waves
    ]
    return _table(("ring", "wave", "machines", "started", "finished"), rows)


def _machines(machines: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = [
        (
            _code(machine["host"]),
            "-" if machine["wave"] is None else machine["wave"],
            machine["verdict"] or "no_verdict",
            _code(_shortened(machine["reason"] or "-")),
            machine["next_step"],
        )
        for machine in machines
    ]
    return _table(("machine", "wave", "verdict", "reason", "next step"), rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell) for cell in line) + " |" for line in lines]


def _code(text: object) -> str:
    """Text that came from outside, as a code span: there no HTML, link, mention or emphasis means anything."""
    shown = " ".join(printable(text).replace("`", "'").replace("\\", "/").split())
    # In a table a pipe ends the cell even in a code span, unless it is escaped.
    return "`" + (shown.replace("|", "\\|") or "-") + "`"


def _seconds(stamp: str | None) -> str:
    """A time stamp without its fraction of a second."""
    return re.sub(r"\.\d+(?=Z$)", "", stamp) if stamp else "-"


def _shortened(text: str) -> str:
    return text if len(text) <= _MARKDOWN_TEXT else text[:_MARKDOWN_TEXT].rstrip() + "..."


def to_junit(report: Report) -> str:
    """Return JUnit XML: the rollout's own verdict, then one suite a ring with one test a machine.

    What counts against the budget is a failure, a machine that was lost an error. Skipped and not started ones are
    skipped; whether too many were not started is the rollout's own test.
    """
    root = ElementTree.Element("testsuites", {"name": printable(f"rollout {report['rollout_id']}")})
    suite = _suite(root, "rollout", report["started"])
    _case(suite, "rollout", str(report["rollout_id"]), *_rollout_result(report), report["msg"])
    lost = set(report["lost"])
    suites: dict[str, ElementTree.Element] = {}
    for machine in report["machines"]:
        ring = str(machine["ring"])
        if ring not in suites:
            suites[ring] = _suite(root, ring, report["started"])
        wave = "no wave" if machine["wave"] is None else f"wave {machine['wave']}"
        evidence = "\n".join(machine["evidence"])
        result = _machine_result(machine, machine["host"] in lost)
        _case(suites[ring], f"{ring}.{wave}", str(machine["host"]), *result, f"{machine['verdict']}\n{evidence}")
    for element in (*root, root):
        cases = list(element.iter("testcase"))
        element.set("tests", str(len(cases)))
        for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            element.set(name, str(sum(case.find(tag) is not None for case in cases)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _rollout_result(report: Report) -> tuple[str, str, str]:
    if report["failure"]:
        return "failure", "rollout_failed", str(report["failure"])
    if report["status"] == "running":
        return "error", "rollout_open", "the rollout is not at its end: machines have no verdict yet"
    return "", "", ""


def _machine_result(machine: Mapping[str, Any], lost: bool) -> tuple[str, str, str]:
    """The tag, type and message of a test's result; no tag means that it passed."""
    verdict, reason = str(machine["verdict"] or "no_verdict"), str(machine["reason"] or "it has no verdict yet")
    if lost:
        return "error", verdict, reason
    tag = {"attention": "failure", "left_out": "skipped", "open": "skipped"}.get(machine["group"], "")
    return tag, verdict if tag else "", reason if tag else ""


def _suite(root: ElementTree.Element, name: str, started: object) -> ElementTree.Element:
    stamp = str(started).rstrip("Z")
    return ElementTree.SubElement(root, "testsuite", {"name": printable(name), "timestamp": printable(stamp)})


def _case(suite: ElementTree.Element, group: str, name: str, tag: str, kind: str, message: str, output: str) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", {"classname": printable(group), "name": printable(name), "time": "0"}
    )
    if tag:
        details = {"type": printable(kind), "message": printable(message)}
        ElementTree.SubElement(case, tag, details if tag != "skipped" else {"message": details["message"]})
    lines = [printable(line) for line in output.splitlines()]
    ElementTree.SubElement(case, "system-out").text = "\n".join(lines)
