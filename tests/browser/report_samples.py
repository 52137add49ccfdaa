# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts to draw reports of: any number of machines, every verdict, and text as hostile as a name can be."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import COUNTS_AGAINST_BUDGET
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import rollout_report
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Record, Ring, Rollout, Wave

START = datetime(2026, 5, 13, 1, 0, tzinfo=timezone.utc)
REGIONS = ("germanywestcentral", "northeurope", "swedencentral", "uksouth", "westeurope")
PRODUCT_KB = {"ws2025": ("KB5087423", 32690, 32772, 26100), "ws2022": ("KB5087424", 5020, 5074, 20348)}

HOSTILE = (
    "<script>window.broken=1</script>",
    '"><img src=x onerror="window.broken=1">',
    "</script></style></svg><svg onload=window.broken=1>",
    "&lt;img src=x onerror=window.broken=1&gt;",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:window.broken=1",
    '=HYPERLINK("http://evil.example";"x")',
    "name|with|pipes`and`ticks",
    "\u202egnp.exe\u202c \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f680\U0001f469\u200d\U0001f4bb rocket",
    "bell\x07 escape\x1b[2J null\x00 lone\ud800 \ufffe",
    "line\nbreak\r\nand\ttab\u2028sep",
    "]]> <!-- --> <![CDATA[",
    "x" * 300,
    "wide " * 60,
)
BAD = (
    ("failed", "status_failed", "Azure says Failed: 0x80240022 WU_E_ALL_UPDATES_FAILED, 0 installed, 1 failed"),
    ("restarted_unexpectedly", "booted_after_start", "the guest booted at 01:12:09, after the installation began"),
    ("unproven", "level_unread", "the guest's build was not read: access denied"),
    ("unreachable", "guest_silent", "the guest did not answer after the installation: connection timed out"),
    ("withheld", "excluded", "KB5087423 came back Excluded (rebootBehavior CanRequestReboot)"),
    ("not_offered", "not_in_assessment", "Azure does not offer KB5087423 to it"),
)
OTHER = (
    ("already_current", "at_release", "build 26100.32772 is the release's"),
    ("skipped", "stopped", "the machine is stopped (PowerState/deallocated)"),
    ("not_started", "guest_unreachable", "the guest did not answer: connection refused"),
    ("patched_by_platform", "not_our_installation", "KB5087423 is installed"),
)


def record(number: int, ring: str, wave: int, draw: random.Random, bad: float = 0.02) -> Record:
    """One machine as a rollout leaves it."""
    name = f"vm-{REGIONS[number % 5][:4]}-{number:05}"
    product = "ws2025" if number % 3 else "ws2022"
    kb, before, after, build = PRODUCT_KB[product]
    release = CALENDAR.find(product, kb)  # type: ignore[arg-type]
    assert release is not None
    group = f"/subscriptions/00000000-0000-0000-0000-{number % 20:012}/resourceGroups/rg-{number % 40}"
    made = Record(
        host=name,
        id=f"{group}/providers/Microsoft.Compute/virtualMachines/{name}",
        name=name,
        wave=wave,
        product=product,
        track="on_track",
        release=release.to_dict(),
        kbs=[kb],
        ring=ring,
        location=REGIONS[number % 5],
        zone=f"{REGIONS[number % 5]}-az{number % 3 + 1}",
    )
    booted = START - timedelta(days=draw.randint(1, 60), seconds=draw.randint(0, 86400))
    guest = {"reachable": True, "boot_time": to_iso(booted), "skew_seconds": 0.0, "pending_restart": False}
    made.before = {**guest, "read_at": to_iso(START), "build": f"{build}.{before}", "cpu_percent": draw.randint(2, 60)}
    made.before["free_memory_kb"] = draw.randint(1, 16) * 1048576
    chance = draw.random()
    if chance < bad:
        made.judge(*draw.choice(BAD))
    elif chance < bad + 0.08:
        made.judge(*draw.choice(OTHER))
    else:
        made.judge(
            "patched", "proven", f"build {build}.{after} is the release's; booted {to_iso(booted)}, before the start"
        )
    if made.verdict not in ("skipped", "not_started", "already_current"):
        made.install = {
            "installation_activity_id": f"{number:08x}-0000-4000-8000-000000000000",
            "start_time": to_iso(START + timedelta(minutes=wave)),
            "started_by": "us",
            "status": "Succeeded",
            "outcome": "claimed",
        }
        made.after = {
            **made.before,
            "read_at": to_iso(START),
            "build": f"{build}.{after}",
            "cpu_percent": draw.randint(2, 70),
        }
        made.evidence = [
            f"the build {build}.{after} is at or past the release's {build}.{after}",
            f"the guest booted {to_iso(booted)} (clock skew 0.0 s), the installation began later",
            "the guest's SMBIOS UUID is the machine's vmId",
        ]
    return made


def rollout(machines: int = 60, waves: int = 8, seed: int = 1, **other: Any) -> Rollout:
    """A finished rollout over three rings: canary, pilot with a soak, broad."""
    draw = random.Random(seed)
    made = Rollout("20260513T010000Z-9f3c", to_iso(START), to_iso(START + timedelta(hours=9)), "5%", changed=True)
    made.status = "finished"
    made.rings = [Ring("canary", {}), Ring("pilot", {}), Ring("broad", {})]
    moment, start, planned = START, 0, _sizes(machines, waves)
    for number, size in enumerate(planned, start=1):
        ring = made.rings[0 if number == 1 else 1 if number <= max(2, len(planned) // 4) else 2]
        records = [record(index, ring.name, number, draw, **other) for index in range(start, start + size)]
        made.machines.update({item.key: item for item in records})
        finished = moment + timedelta(minutes=draw.randint(12, 40))
        wave = Wave(number, [item.key for item in records], to_iso(moment), to_iso(finished), ring.name)
        made.waves.append(wave)
        ring.started, ring.finished = ring.started or to_iso(moment), to_iso(finished)
        moment, start = finished + timedelta(minutes=1), start + size
        if number == 1:
            moment = finished + timedelta(hours=2)
            ring.soak_until = ring.soaked = to_iso(moment)
    made.updated = to_iso(moment)
    made.scope = list(made.machines)
    return made


def _sizes(machines: int, waves: int) -> list[int]:
    waves = max(1, min(waves, machines))
    rest = machines - 1
    sizes = [1, *[rest // max(1, waves - 1)] * (waves - 1)]
    sizes[-1] += machines - sum(sizes)
    return sizes


def hostile() -> Rollout:
    """A rollout whose machines put the worst they can into names, reasons, places and evidence."""
    made = rollout(len(HOSTILE) * 2, 4, bad=0.5)
    for number, item in enumerate(made.machines.values()):
        text = HOSTILE[number % len(HOSTILE)]
        item.host = f"{number} {text}"
        item.location, item.zone, item.service = text, None, text
        item.reason, item.evidence, item.notes = text, [text, f"x {text}"], [text]
        item.install = {**(item.install or {}), "installation_activity_id": text, "status": text, "start_time": text}
        item.after = {"reachable": False, "why": text, "read_at": text}
        told = {"hooks_failed": {text: text}, "soak": {"well": False, "read_at": text, "verdict_before": text}}
        for name, value in {**told, "held": to_iso(START), "exposed_from": to_iso(START)}.items():
            setattr(item, name, value)
    made.stop = {"wave": 2, "code": "error_budget", "reason": f"stopped: {' '.join(HOSTILE[:3])}"}
    made.status = "stopped"
    made.rings[1].name = HOSTILE[0]
    for wave in made.waves:
        wave.ring = HOSTILE[0] if wave.ring == "pilot" else wave.ring
    for item in made.machines.values():
        item.ring = HOSTILE[0] if item.ring == "pilot" else item.ring
    return made


def interrupted(machines: int = 24) -> Rollout:
    """A rollout that was cut off in its third wave."""
    made = rollout(machines, 6)
    made.status = "running"
    made.waves[2].finished = None
    for wave in made.waves[2:]:
        for key in wave.machines:
            item = made.machines[key]
            item.verdict = item.reason_code = item.reason = item.after = None
            item.evidence, item.stage = [], "selected" if wave.number == 3 else "planned"
    for wave in made.waves[3:]:
        wave.started = wave.finished = None
    return made


def report_of(made: Rollout) -> dict[str, Any]:
    """The report as plain JSON."""
    return rollout_report.build(made, rollout_report.lost_of(made), COUNTS_AGAINST_BUDGET, "100%")
