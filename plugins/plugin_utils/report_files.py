# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write a report in every format into its folder, each file whole or not at all.

Note that this plugin util is private to the collection.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_report
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import (
    ensure_state_dir,
    write_durably,
)
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.report_page import to_html
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.report_texts import to_csv, to_junit, to_markdown

FORMATS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    # JSON first: it is the evidence, and the others can be drawn from it again.
    "json": ("report.json", lambda report: json.dumps(report, indent=1) + "\n"),
    "text": ("report.txt", rollout_report.text),
    "html": ("report.html", to_html),
    "csv": ("report.csv", to_csv),
    "markdown": ("report.md", to_markdown),
    "junit": ("report.junit.xml", to_junit),
}


def write(report: dict[str, Any], report_dir: str) -> dict[str, str]:
    """Write every format; returns the paths by format. Raises StateError."""
    folder = ensure_state_dir(report_dir)
    paths = {}
    for name, (file, render) in FORMATS.items():
        write_durably(folder / file, render(report))
        paths[name] = str(folder / file)
    return paths
