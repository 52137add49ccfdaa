# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hundreds of rollouts that nobody thought of, each judged by the emulator's audit log.

By default the same ones in every run. HOTPATCH_ROLLOUTS sets how many, HOTPATCH_SEED draws others, and
HOTPATCH_SHRINK=1 looks for the smallest that fails. A failure prints its scenario; with that in a file,
HOTPATCH_SCENARIO=FILE plays it alone.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import audit_checker as check
import audit_rules as rules
import emulator_process
import in_process
import jumping_clock
import pytest
from audit_rules import Hours, Place, Purse
from embedded import embedded
from hypothesis import HealthCheck, Phase, given, seed, settings
from random_rollouts import KB_2022, scenarios

from hotpatch_emulator import regions
from hotpatch_emulator.world import World

Line = dict[str, Any]
Scenario = dict[str, Any]
PAIRS = {"westeurope": "northeurope", "northeurope": "westeurope", "eastus": "westus"}
NEEDED = timedelta(minutes=40)
NEARLY_SECONDS = 300
COUNT = int(os.environ.get("HOTPATCH_ROLLOUTS", "60"))
ENOUGH = 20
"""Fewer rollouts need not hold something of everything."""
SEED = os.environ.get("HOTPATCH_SEED", "")
SHRINK = [Phase.shrink] if os.environ.get("HOTPATCH_SHRINK") else []


class Played:
    """One scenario after it was played: what was asked for, the audit log, the report, and what is true."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.variables = scenario["variables"]
        with embedded(scenario["fleet"], folder / "emulator") as (world, emulator):
            self.failure = self._run(emulator, folder)
            self.lines = emulator.audit()
            self.report = json.loads((folder / "state" / "report.json").read_text(encoding="utf-8"))
            self.truth = {item["id"]: item["kbs"] for item in emulator.control("/emulator/machines")}
            if scenario["again"]:
                self._run(emulator, folder)
            self.all_lines = emulator.audit()
            self.ids = {machine.name: machine.id for machine in world.fleet}
            self.places = places_of(world, scenario)
        self.machines = scenario["fleet"]["machines"]

    def _run(self, emulator: emulator_process.Emulator, folder: Path) -> str:
        variables = {"hotpatch_state_dir": str(folder / "state"), **self.variables}

        def before_task(name: str, arguments: Mapping[str, Any]) -> None:
            """Half a night that is waited for is set forward at once: it would be a thousand small jumps."""
            if name == "rollout_control" and arguments.get("until"):
                now = datetime.fromisoformat(emulator.control("/emulator/clock")["now"])
                left = (datetime.fromisoformat(arguments["until"]) - now).total_seconds() - NEARLY_SECONDS
                if left > 0:
                    emulator.control("/emulator/clock", "PUT", {"advance_seconds": left})

        play = in_process.InProcess(emulator.inventory, variables, self.scenario["host_variables"], before_task)
        return play.run()

    def ring_of(self, machine: Mapping[str, Any]) -> str:
        """The ring it was given, "" where it has none and others have."""
        return machine.get("ring", "") if "hotpatch_rings" in self.variables else "all"

    @property
    def rings(self) -> list[dict[str, Any]]:
        """The rings as asked for; the one without name where none were."""
        return self.variables.get("hotpatch_rings") or [{"name": "all", "waves": self.variables["hotpatch_waves"]}]

    def members(self, ring: str) -> list[str]:
        return [self.ids[machine["name"]] for machine in self.machines if self.ring_of(machine) == ring]

    def waves(self) -> list[list[str]]:
        """The waves as planned, by the report."""
        by_host = {machine["host"]: machine["id"] for machine in self.report["machines"]}
        return [[by_host[host] for host in wave["machines"]] for wave in self.report["waves"]]

    def allowed(self) -> list[str]:
        """Whom anything may be sent at all."""
        out = {
            host
            for host, given in self.scenario["host_variables"].items()
            if given.get("hotpatch_exempt", {}).get("until", "") >= "2026-05-13"
        }
        blocked = KB_2022 in self.variables.get("hotpatch_blocked_kbs", [])
        return [
            self.ids[machine["name"]]
            for machine in self.machines
            if machine["name"] not in out
            and self.ring_of(machine)
            and machine.get("power", "running") == "running"
            and not (blocked and machine["product"] == "ws2022")
        ]

    def hours(self) -> dict[str, Hours]:
        """Who may be started when."""
        found = {}
        windows = {ring["name"]: ring.get("window") for ring in self.rings}
        dark = {ring["name"]: ring.get("blackout_dates", []) for ring in self.rings}
        for machine in self.machines:
            ring = self.ring_of(machine)
            own = self.scenario["host_variables"].get(machine["name"], {}).get("hotpatch_window")
            window = own or windows.get(ring)
            if window:
                ends = (time.fromisoformat(window["start"]), time.fromisoformat(window["end"]))
                days = tuple(date.fromisoformat(day) for day in dark.get(ring, []))
                found[self.ids[machine["name"]]] = Hours(*ends, window["time_zone"], days)
        return found

    def purses(self) -> list[Purse]:
        """Every budget: of the rollout, of each ring, of each wave."""
        waves = self.waves()
        placed = frozenset(machine for wave in waves for machine in wave)
        own = self.variables.get("hotpatch_error_budget")
        found = []
        if own is not None or "hotpatch_rings" not in self.variables:
            found.append(Purse("the rollout", placed, most(own or 0, len(placed))))
        for ring in self.rings:
            inside = placed & set(self.members(ring["name"]))
            budget = ring.get("error_budget", 0 if own is None else None)
            if budget is not None and "hotpatch_rings" in self.variables:
                found.append(Purse(f"ring {ring['name']}", inside, most(budget, len(inside))))
            if "wave_error_budget" in ring:
                own_waves = [frozenset(wave) for wave in waves if set(wave) <= inside]
                found += [Purse("a wave", wave, ring["wave_error_budget"]) for wave in own_waves]
        return found


def most(given: object, total: int) -> int:
    """How many that is."""
    text = str(given)
    return total * int(text[:-1]) // 100 if text.endswith("%") else int(text)


def widest(sizes: list[Any], total: int) -> int:
    """The most that waves of these sizes can hold."""
    if any("double" in str(size) for size in sizes):
        return total
    return max(max(1, most(size, total)) for size in sizes)


def places_of(world: World, scenario: Scenario) -> dict[str, Place]:
    """Where the emulator says that each machine truly is."""
    guests = {machine["name"]: machine["guest"] for machine in scenario["fleet"]["machines"]}
    found = {}
    for machine in world.fleet:
        zones = regions.physical_zones(world.fleet.seed, machine.subscription_id, machine.location)
        guest = guests[machine.name]
        found[machine.id] = Place(
            location=machine.location,
            zone=zones[machine.zones[0]] if machine.zones else "",
            availability_set=machine.availability_set or "",
            update_domain=machine.update_domain or 0,
            service=machine.tags.get("Service", ""),
            domain=guest["domain"] if guest.get("domain_role", 0) >= 4 else "",
            cluster=guest.get("cluster_name", ""),
        )
    return found


def breaches(played: Played) -> list[str]:
    """Every promise that this rollout broke."""
    lines, spread = played.lines, played.variables["hotpatch_spread"]

    def kept(rule: str) -> bool:
        return spread == "availability_first" or rule in spread

    found = [
        *check.restarts_under_never(played.all_lines),
        *check.installed_twice(played.all_lines),
        *check.outside_plan(played.all_lines, played.allowed()),
        *rules.blocked_sent(played.all_lines, played.variables.get("hotpatch_blocked_kbs", [])),
        *check.batches_in_order(lines, [played.members(ring["name"]) for ring in played.rings], "ring"),
        *check.batches_in_order(lines, played.waves()),
        *rules.outside_hours(played.all_lines, played.hours(), NEEDED),
        *rules.overspent(lines, played.waves(), played.purses()),
        *rules.untrue(lines, {item["id"]: item["verdict"] for item in played.report["machines"]}, played.truth),
    ]
    if kept("availability_sets"):
        found += rules.sets_broken(lines, played.places)
    if kept("zones"):
        found += rules.zones_broken(lines, played.places)
    if kept("region_pairs"):
        found += rules.pairs_broken(lines, played.places, PAIRS)
    if spread == "availability_first":
        found += rules.roles_broken(lines, played.places)
    ours = [line for line in lines if str(line.get("started_by", "User")).lower() != "platform"]
    for ring, later in zip(played.rings, [*played.rings[1:], None], strict=True):
        members = played.members(ring["name"])
        found += rules.wider_than(lines, members, widest(ring["waves"], len(members)))
        ended = [line for line in check.installations(ours, "finished") if line["resource_id"] in members]
        if later and ring.get("soak") and ended:
            seconds = 600 if ring["soak"] == 600 else 7200
            found += check.soaked(ours, members, played.members(later["name"]), seconds)
    return found


def judge(scenario: Scenario) -> Played:
    """Play a scenario and assert that it kept every promise; a failure tells how to play it again."""
    with tempfile.TemporaryDirectory() as folder, jumping_clock.jumping():
        played = Played(scenario, Path(folder))
    found = breaches(played)
    assert not found, "\n".join([*found, f"HOTPATCH_SEED={SEED or 'derandomized'}", json.dumps(scenario)])
    return played


TOLD = dict.fromkeys(("rollouts", "installed", "ended badly", "stopped", "not started"), 0)


def _random_rollout(scenario: Scenario) -> None:
    played = judge(scenario)
    TOLD["rollouts"] += 1
    TOLD["installed"] += len(check.install_requests(played.lines))
    TOLD["ended badly"] += len(rules.bad_endings(played.lines))
    TOLD["stopped"] += bool(played.report["stop"])
    TOLD["not started"] += played.report["counts"].get("not_started", 0)


@pytest.mark.skipif("HOTPATCH_SCENARIO" in os.environ, reason="one scenario is played alone")
def test_random_rollouts() -> None:
    profile = settings(
        max_examples=COUNT,
        derandomize=not SEED,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *SHRINK],
        print_blob=True,
    )
    TOLD.update(dict.fromkeys(TOLD, 0))
    rollouts = profile(given(scenarios())(_random_rollout))
    (seed(int(SEED))(rollouts) if SEED else rollouts)()
    print(TOLD)
    if COUNT < ENOUGH:
        return
    # Drawn so that most of them do something: a generator that draws nothing but idle fleets would prove nothing.
    assert TOLD["installed"] >= TOLD["rollouts"], TOLD
    assert TOLD["ended badly"] and TOLD["stopped"] and TOLD["not started"], TOLD


@pytest.mark.skipif("HOTPATCH_SCENARIO" not in os.environ, reason="no scenario is given")
def test_one_scenario() -> None:
    judge(json.loads(Path(os.environ["HOTPATCH_SCENARIO"]).read_text(encoding="utf-8")))
