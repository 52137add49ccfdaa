# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report as one self-contained page: Jinja2 draws it from the templates beside this file, DataTables moves it.

Everything that came from a machine or from Azure is escaped by Jinja2, and a content security policy lets nothing run
but the scripts of this collection (by their hashes), so that text which got through all the same would stay text.

``dataTables.min.js`` is that of the npm package datatables.net 3.1.5 (MIT), but that its one typographic quotation mark
is written as an escape, which ansible-test asks for; a test compares it with the original's digest.

Note that this plugin util is private to the collection.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import parse_timestamp
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.report_figures import GROUPS
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_report import printable
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils import report_chart

TEMPLATES = Path(__file__).parent / "report_templates"

GROUP_NAMES = {
    "at_release": "At the release",
    "claimed": "Claimed by Azure",
    "attention": "Needs a person",
    "open": "Not started or open",
    "left_out": "Left out",
}
GROUP_SIGNS = {"at_release": "✔", "claimed": "≈", "attention": "✖", "open": "○", "left_out": "\u2013"}
"""Beside a colour always a sign and a word: a group is never told by colour alone."""


def to_html(report: dict[str, Any]) -> str:
    """Return the page. Machines' text is escaped, and control characters in it are blanks."""
    scripts = [
        _read("early.js"),
        f"/*\n{_read('dataTables.license.txt')}*/\n{_read('dataTables.min.js')}",
        _read("report.js"),
    ]
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            total=report["compliance"]["total"],
            outcome=outcome(report),
            duration=_duration(report),
            timeline=report_chart.timeline(report),
            style=_read("report.css"),
            early=scripts[0],
            scripts=scripts[1:],
            policy=policy(scripts),
        )
    )


def policy(scripts: list[str]) -> str:
    """Return the content security policy: no network at all, and no script but these."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; base-uri 'none'; form-action 'none'"


def outcome(report: dict[str, Any]) -> dict[str, str]:
    """Return the rollout's verdict for the top of the page: its ``group`` (colour and sign), ``word`` and ``text``."""
    if report["failure"]:
        return {"group": "attention", "word": "Failed", "text": report["failure"]}
    if report["status"] == "running":
        return {"group": "open", "word": "Not finished", "text": "Machines have no verdict yet; run the rollout again."}
    attention = report["compliance"]["total"]["attention"]
    if attention:
        text = f"Within the error budget of {report['error_budget']}, but not every machine is patched."
        return {"group": "attention", "word": "Passed with errors", "text": text}
    if report["claimed"]:
        text = f"{report['claimed']} of them by Azure's word alone: no guest was asked for proof."
        return {"group": "claimed", "word": "Passed", "text": text}
    return {"group": "at_release", "word": "Passed", "text": "Every machine that takes part is proven at the release."}


def moment(stamp: str | datetime | None) -> str:
    """Return an ISO 8601 time stamp as people read it, in UTC; a dash for none."""
    if not stamp:
        return "\u2013"
    return (parse_timestamp(stamp) if isinstance(stamp, str) else stamp.astimezone(timezone.utc)).strftime(
        "%Y-%m-%d %H:%M:%S"
    )


def evidence(machine: dict[str, Any]) -> str:
    """Return what stands behind a verdict, one line each: next step, proof, installation, readings, ARM ID."""
    lines = [f"Next step: {machine['next_step']}"] if machine["next_step"] else []
    lines += machine["evidence"]
    installation = machine["installation"] or {}
    if installation.get("installation_activity_id"):
        lines.append(
            f"Installation {installation['installation_activity_id']}, started "
            f"{installation.get('start_time') or 'at an unknown time'} "
            f"by {installation.get('started_by') or 'an unknown hand'}; "
            f"Azure says {installation.get('status') or 'nothing'}"
        )
    for when in ("before", "after"):
        if machine[f"guest_{when}"]:
            lines.append(f"Guest {when}: {_reading(machine[f'guest_{when}'])}")
    lines += [f"Hook {stage} failed: {why}" for stage, why in machine["hooks_failed"].items() if why]
    if machine["soak"]:
        well = (
            "well"
            if machine["soak"].get("well")
            else f"not well; before it was {machine['soak'].get('verdict_before')}"
        )
        lines.append(f"After its ring's soak, read {machine['soak'].get('read_at')}: {well}")
    if machine["held"]:
        lines.append(f"Held from the platform's own patching since {machine['held']}")
    if machine["exposed_from"]:
        until = machine["exposed_until"] or "further notice"
        lines.append(f"The platform may have patched it before its turn, from {machine['exposed_from']} until {until}")
    lines += [f"Plan: {note}" for note in machine["notes"]]
    return "\n".join(f"• {printable(line)}" for line in [*lines, machine["id"]])


def _lines(machine: dict[str, Any]) -> Markup:
    """The evidence as escaped lines: the environment's own way with text would make one line of them."""
    return escape(evidence(machine))


def _reading(guest: dict[str, Any]) -> str:
    if not guest.get("reachable"):
        return f"no answer, {guest.get('why')}"
    return (
        f"build {guest.get('build') or 'not read'}, booted {guest.get('boot_time') or 'at an unread time'}, "
        f"read {guest.get('read_at')}"
    )


def _duration(report: dict[str, Any]) -> str:
    minutes = int((parse_timestamp(report["ended"]) - parse_timestamp(report["started"])).total_seconds() // 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{days} d"] * bool(days) + [f"{hours} h"] * bool(hours) + [f"{minutes} min"]
    return " ".join(parts)


def _blank_controls(value: Any) -> Any:
    """What Jinja2 does with each value before escaping it."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_blank_controls,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["moment"] = moment
    environment.globals.update(
        groups=GROUPS,
        group_names=GROUP_NAMES,
        group_signs=GROUP_SIGNS,
        stacked=report_chart.stacked,
        evidence=_lines,
    )
    return environment


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
