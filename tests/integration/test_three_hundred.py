# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three hundred machines in five rings, with faults, by the real ansible-playbook, judged by the emulator's audit log.

Four rings end within their budgets; the first wave of the fifth spends its own, and the rest of it is not started.
"""

from __future__ import annotations

import json
import resource
from collections import Counter
from collections.abc import Callable
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import audit_checker as check
import audit_rules as rules
import emulator_process
from ansible_runs import Rollout
from audit_rules import Hours, Place, Purse

from hotpatch_emulator import regions

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]
SEED = 300
PAIRS = {"westeurope": "northeurope", "northeurope": "westeurope"}
PLAIN = {"https_listener": False, "http_listener": True, "allow_unencrypted": True}
FAILED = {"install": {"outcome": "Failed"}}
SOAK_SECONDS = 1800
RINGS: list[dict[str, Any]] = [
    {"name": "canary", "hosts": "canary", "waves": [2, "100%"], "error_budget": 0, "soak": SOAK_SECONDS},
    {"name": "pilot", "hosts": "pilot", "waves": ["100%"], "error_budget": 1},
    {"name": "early", "hosts": "early", "waves": ["100%"], "error_budget": "5%", "wave_error_budget": 3},
    {
        "name": "broad",
        "hosts": "broad",
        "waves": ["50%"],
        "error_budget": "5%",
        "window": {"start": "00:00", "end": "23:00", "time_zone": "Europe/Amsterdam"},
    },
    {"name": "last", "hosts": "last", "waves": ["25%", "100%"], "error_budget": 2},
]


def group(ring: str, name: str, count: int, **more: Any) -> dict[str, Any]:
    """So many machines of one kind; all but the first rings' guests speak plain http, which is cheaper."""
    guest = {} if ring in ("canary", "pilot") else PLAIN
    return {
        "name": f"{ring}-{name}-",
        "count": count,
        "ring": ring,
        **more,
        "guest": {**guest, **more.get("guest", {})},
    }


MACHINES = [
    group("canary", "a", 8, zone="1"),
    group("canary", "b", 4, product="ws2022", zone="2"),
    group("pilot", "a", 24, zone="2"),
    group("pilot", "bad", 1, script=FAILED),
    group("pilot", "off", 2, power="deallocated"),
    group("pilot", "b", 3, product="ws2022"),
    group("early", "a", 50, product="ws2022", zone="3"),
    group("early", "restarts", 2, script={"install": {"restarts": True}}),
    group("early", "current", 6, guest={"level": "current"}),
    group("early", "silent", 2, guest={"winrm": False}),
    group("broad", "set", 20, availability_set="big"),
    group("broad", "small", 3, availability_set="small"),
    group("broad", "shop1", 15, zone="1", tags={"service": "shop"}),
    group("broad", "shop2", 15, zone="2", tags={"service": "shop"}),
    group("broad", "shop3", 15, zone="3", tags={"service": "shop"}),
    group("broad", "north", 20, location="northeurope"),
    group("broad", "dc", 2, guest={"domain_role": 5, "domain": "corp.example"}),
    group("broad", "bad", 3, script={"install": {"outcome": "FailedOperation"}}),
    group("broad", "web", 25, product="ws2022"),
    group("last", "bad", 4, script=FAILED),
    group("last", "a", 76),
]
LOST = ["canary-a-0003", "pilot-a-0005", "early-a-0010", "broad-set-0001", "broad-web-0007"]


def fleet() -> dict[str, Any]:
    """The emulator's fleet file."""
    install = {"method": "POST", "path_regex": "/installPatches"}
    broken = [{"match": {**install, "machine": name}, "action": {"reset_after_accept": True}} for name in LOST]
    throttled = {"status": 429, "body": "Too many requests", "headers": {"Retry-After": "30"}}
    return {
        "now": "2026-05-13T01:00:00Z",
        "speed": 240,
        "seed": SEED,
        "switches": {"platform_not_before_hours": 72},
        "faults": [
            *broken,
            {"match": {**install, "nth": 40, "count": 5}, "action": throttled},
            {
                "match": {"method": "GET", "path_regex": "/operations/", "nth": 50, "count": 4},
                "action": {"status": 503},
            },
            {"match": {"method": "POST", "path_regex": "/assessPatches", "nth": 30}, "action": {"reset_before": True}},
        ],
        "machines": MACHINES,
    }


def places(names: dict[str, str], subscription: str) -> dict[str, Place]:
    """Where each machine truly stands, by ARM ID."""
    dealt: Counter[str] = Counter()
    found = {}
    for kind in MACHINES:
        location = kind.get("location", "westeurope")
        zones = regions.physical_zones(SEED, subscription, location)
        for number in range(1, kind["count"] + 1):
            own = kind.get("availability_set", "")
            found[names[f"{kind['name']}{number:04d}"]] = Place(
                location,
                zones.get(kind.get("zone", ""), ""),
                own,
                dealt[own] % 5,
                kind.get("tags", {}).get("service", ""),
                kind["guest"].get("domain", ""),
            )
            dealt[own] += 1
    return found


def test_three_hundred_machines_in_five_rings(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> None:
    assert sum(kind["count"] for kind in MACHINES) == 300
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(fleet()), encoding="utf-8")
    running = start_emulator(path)
    variables = {"hotpatch_maximum_duration": "PT40M", "hotpatch_guest_timeout": 300, "hotpatch_service_tag": "service"}
    rollout = rollout_over(running, hotpatch_rings=RINGS, hotpatch_not_started_limit="100%", **variables)
    code, output = rollout.run(tmp_path / "run.log", timeout=900)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{spent.ru_utime + spent.ru_stime:.0f} s of CPU")
    assert code != 0 and "Traceback" not in output, output[-4000:]
    report, lines = rollout.report(), running.audit()
    assert all(fault["hits"] for fault in running.control("/emulator/faults"))
    machines = running.control("/emulator/machines")
    names = {machine["name"]: machine["id"] for machine in machines}
    members = {ring["name"]: [names[name] for name in names if name.startswith(ring["name"])] for ring in RINGS}
    where = places(names, running.endpoints["subscription_ids"][0])
    waves = [[names[host] for host in wave["machines"]] for wave in report["waves"]]
    purses = [
        Purse(name, frozenset(set(members[name]) & {machine for wave in waves for machine in wave}), most)
        for name, most in (("canary", 0), ("pilot", 1), ("early", 2), ("broad", 5), ("last", 2))
    ]
    awake = [names[name] for name in names if "-off-" not in name]
    hours = {machine: Hours(time(0), time(23), "Europe/Amsterdam") for machine in members["broad"]}
    assert [
        *check.restarts_under_never(lines),
        *check.installed_twice(lines),
        *check.outside_plan(lines, awake),
        *check.batches_in_order(lines, list(members.values()), "ring"),
        *check.batches_in_order(lines, waves),
        *check.soaked(lines, members["canary"], members["pilot"], SOAK_SECONDS),
        *rules.sets_broken(lines, where),
        *rules.zones_broken(lines, where),
        *rules.pairs_broken(lines, where, PAIRS),
        *rules.roles_broken(lines, where),
        *rules.outside_hours(lines, hours, timedelta(minutes=40)),
        *rules.overspent(lines, waves, purses),
        *rules.wider_than(lines, members["broad"], len(members["broad"]) // 2),
        *rules.untrue(
            lines,
            {machine["id"]: machine["verdict"] for machine in report["machines"]},
            {machine["id"]: machine["kbs"] for machine in machines},
        ),
    ] == []
    assert report["stop"]["code"] == "error_budget" and "ring last" in report["failure"], report["failure"]
    expected = {
        "patched": 300 - (2 + 6 + 2) - 6 - 4 - 60,
        "already_current": 6,
        "skipped": 2,
        "failed": 8,
        "restarted_unexpectedly": 2,
        "not_started": 2 + 60,
    }
    assert report["counts"] == expected, report["counts"]
