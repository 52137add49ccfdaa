# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is measured: the fleet, the request limits it is under, and the plays that work on it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schedule import Limit, Limits

SEED = 2605
# The 10 % and 90 % points of a lognormal distribution. Recorded Azure: assessments 109 s (2020); installations 2 min
# 17 s with nothing to do (2024), 3 min 48 s with two updates (2021), and far longer ones on other systems.
ASSESS_MINUTES = (1.6, 2.6)
INSTALL_MINUTES = (3.0, 10.0)

# As documented (Microsoft Learn, "Understand how Azure Resource Manager throttles requests" and "Compute API
# throttling", 2024 to 2026). What is not here never runs short.
PATCHES = Limit(600, 200, 60, 600)
WRITES = Limit(200, 10, 1, 200)
READS = Limit(250, 25, 1, 250)


@dataclass(frozen=True)
class Scenario:
    """Limits at the start, and the tags of the play's tasks that are run."""

    name: str
    play: str
    drained: float = 0.0
    others: float = 0.0

    @property
    def barrier(self) -> bool:
        """Whether the play's own form lets no machine be installed on before all are assessed."""
        return self.play == "two_tasks"

    def limits(self) -> Limits:
        """What the emulator allows in this scenario: others share Compute's limits, not the principal's own."""
        patches = PATCHES.shared(self.others).drained(self.drained)
        return Limits((patches, WRITES.drained(self.drained)), (READS.drained(self.drained),))


SCENARIOS = (
    Scenario("two tasks, limits as documented", "two_tasks"),
    Scenario("one task, limits as documented", "one_task"),
    Scenario("two tasks, limits half drained, a second principal takes 30 %", "two_tasks", 0.5, 0.3),
)


def write_fleet(path: Path, machines: int, scenario: Scenario | None = None, **switches: Any) -> None:
    """Write a fleet file (JSON is YAML) of so many machines in one subscription, group and region, none special."""
    scenario = scenario or Scenario("", "")
    settings: dict[str, Any] = {
        "platform_patches_by_itself": False,
        "duration_shape": "lognormal",
        "assess_minutes": ASSESS_MINUTES,
        "install_minutes": INSTALL_MINUTES,
        "buckets": "documented",
        "others_draw_percent": round(scenario.others * 100),
        "drained_percent": round(scenario.drained * 100),
        **switches,
    }
    half = machines // 2
    products = [("ws25", "ws2025", machines - half), ("ws22", "ws2022", half)]
    fleet = {
        "now": "2026-05-13T01:00:17Z",
        "seed": SEED,
        "subscriptions": [{"name": "benchmark"}],
        "switches": settings,
        "defaults": {
            "location": "westeurope",
            "resource_group": "rg-benchmark",
            "guest": {"winrm": False},
        },
        "machines": [{"name": name, "product": product, "count": count} for name, product, count in products if count],
    }
    path.write_text(json.dumps(fleet, indent=1), encoding="utf-8")
