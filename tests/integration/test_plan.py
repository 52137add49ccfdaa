# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans over a fleet whose machines depend on each other: made, carried, followed, refused. Judged from outside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import audit_checker as check
import emulator_process
import pytest
import yaml
from ansible_runs import FLEETS, Rollout, run_module

StartEmulator = Callable[..., emulator_process.Emulator]
RolloutOver = Callable[..., Rollout]
FLEET = FLEETS / "rings.yml"
RINGS = [
    {"name": "canary", "hosts": "canaries", "waves": [1, "double"], "error_budget": 0, "soak": "PT1H"},
    {"name": "broad", "tags": {"ring": "broad"}, "waves": ["100%"], "error_budget": "10%"},
]
HOST_VARIABLES: dict[str, dict[str, Any]] = {
    "canaries": {"hosts": {"canary01": {}, "canary02": {}}},
    "frozen": {"hosts": {"farm0012": {}}, "vars": {"hotpatch_exempt": {"reason": "audit", "until": "2026-06-30"}}},
}


@pytest.fixture
def planned(
    start_emulator: StartEmulator, rollout_over: RolloutOver, tmp_path: Path
) -> tuple[emulator_process.Emulator, Rollout]:
    """The fleet, and a rollout over it with two rings and an inventory that says what Azure does not."""
    running = start_emulator(FLEET)
    extra = tmp_path / "groups.yml"
    extra.write_text(yaml.safe_dump({"all": {"children": HOST_VARIABLES}}), encoding="utf-8")
    rollout = rollout_over(
        running,
        hotpatch_rings=RINGS,
        hotpatch_service_tag="service",
        hotpatch_plan_file=str(tmp_path / "plans" / "may.json"),
    )
    return running, replace(rollout, options=("-i", str(extra)))


def make(rollout: Rollout, log: Path) -> tuple[dict[str, Any], str]:
    code, output = replace(rollout, playbook="winfleet.hotpatch.plan").run(log)
    assert code == 0, output
    return json.loads(Path(rollout.variables["hotpatch_plan_file"]).read_text(encoding="utf-8")), output


def described() -> dict[str, dict[str, Any]]:
    """The fleet file's machines by the names they get."""
    document = yaml.safe_load(FLEET.read_text(encoding="utf-8"))
    found = {}
    for item in document["machines"]:
        count = item.get("count")
        names = [item["name"]] if count is None else [f"{item['name']}{n:04d}" for n in range(1, count + 1)]
        for number, name in enumerate(names):
            merged = {**document["defaults"], **item, "update_domain": number % 5}
            found[name] = {**merged, "tags": {**document["defaults"]["tags"], **item.get("tags", {})}}
    return found


def breaches(plan: dict[str, Any], zones: dict[tuple[str, str], str]) -> list[str]:
    """What in a plan breaks the rules of availability, from the fleet file alone."""
    fleet = described()
    members = Counter(item["availability_set"] for item in fleet.values() if "availability_set" in item)
    found = []
    for number, wave in enumerate(plan["waves"], start=1):
        hosts = [machine["host"] for machine in wave["machines"]]
        for one, other in combinations([fleet[host] for host in hosts], 2):
            pair = f"wave {number}: {one['name']} and {other['name']}"
            if {one["location"], other["location"]} == {"westeurope", "northeurope"}:
                found.append(f"{pair} are in paired regions")
            same_set = one.get("availability_set") and one.get("availability_set") == other.get("availability_set")
            if same_set and one["update_domain"] != other["update_domain"]:
                found.append(f"{pair} are in two update domains")
            if one["tags"].get("service") and one["tags"].get("service") == other["tags"].get("service"):
                physical = {zones[(item.get("subscription", "production"), str(item["zone"]))] for item in (one, other)}
                if len(physical) > 1:
                    found.append(f"{pair} are in two zones")
        sets = Counter(fleet[host]["availability_set"] for host in hosts if "availability_set" in fleet[host])
        found += [
            f"wave {number}: {count} of {name}"
            for name, count in sets.items()
            if count > 1 and (members[name] < 10 or count > members[name] * 0.2)
        ]
        found += [
            f"wave {number}: {group} together"
            for group in (("north0001", "north0002"), ("sql01", "sql02"))
            if set(group) <= set(hosts)
        ]
    return found


def test_a_plan_is_printed_written_and_keeps_every_rule(
    planned: tuple[emulator_process.Emulator, Rollout], tmp_path: Path
) -> None:
    running, rollout = planned
    plan, output = make(rollout, tmp_path / "plan.log")
    subscriptions = dict(zip(("production", "disaster"), running.endpoints["subscription_ids"]))
    arguments = {"subscription_ids": list(subscriptions.values()), "locations": ["westeurope"]}
    told = run_module("location_info", arguments, running.environment(), tmp_path)
    by_id = {entry["subscription_id"]: entry["locations"][0]["zones"] for entry in told["subscriptions"]}
    zones = {(name, n): zone for name, key in subscriptions.items() for n, zone in by_id[key.lower()].items()}
    differing = [n for n in "123" if zones[("production", n)] != zones[("disaster", n)]]
    assert differing, "the fleet is to number its zones in two ways"
    assert breaches(plan, zones) == []

    hosts = [machine["host"] for wave in plan["waves"] for machine in wave["machines"]]
    assert sorted(hosts + [one["host"] for one in plan["left_out"]]) == sorted(described())
    assert len(set(hosts)) == len(hosts)
    assert {one["host"]: one["reason_code"] for one in plan["left_out"]} == {
        "nobody01": "no_ring",
        "off01": "stopped",
        "farm0012": "exempt",
    }
    assert [[machine["host"] for machine in wave["machines"]] for wave in plan["waves"][:2]] == [
        ["canary01"],
        ["canary02"],
    ]
    assert {wave["ring"] for wave in plan["waves"][2:]} == {"broad"}
    assert hosts.index("sql02") < hosts.index("sql01"), "the owner of the cluster goes last"
    assert "The guests of silent01 did not answer" in output
    assert all(name in output for name in described())
    assert "exempt until 2026-06-30: audit" in output and "no ring of hotpatch_rings names it" in output
    assert check.writes(running.audit()) == []
    assert not rollout.state_dir.exists()
    # The same fleet gives the same plan.
    assert make(rollout, tmp_path / "again.log")[0]["digest"] == plan["digest"]


def test_a_plan_is_followed_and_nothing_beside_it(
    planned: tuple[emulator_process.Emulator, Rollout], tmp_path: Path
) -> None:
    """Made for the canaries alone: whatever the rollout is told besides, nobody else is touched."""
    running, rollout = planned
    only = replace(rollout, options=(*rollout.options, "--limit", "canaries"))
    plan, dummy = make(only, tmp_path / "plan.log")
    follow = replace(rollout, variables={**rollout.variables, "hotpatch_follow_plan": True, "hotpatch_proof": "azure"})
    follow.variables["hotpatch_rings"] = []
    code, output = follow.run(tmp_path / "run.log")
    assert code == 0, output
    lines = running.audit()
    ids = [machine["id"] for wave in plan["waves"] for machine in wave["machines"]]
    assert check.judge(lines, 1, ids) == []
    assert [line["resource_id"].rpartition("/")[2] for line in check.install_requests(lines)] == [
        "canary01",
        "canary02",
    ]
    assert "does not name it" in output


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"hotpatch_follow_plan": True, "hotpatch_kb_numbers": ["9999999"]}, "would now be sent KB9999999"),
        ({"hotpatch_confirm_above": 20, "hotpatch_confirm": 21}, "at least 27"),
        ({"hotpatch_rings": [{"name": "a", "hosts": "canarys"}]}, "hotpatch_rings[0].hosts has the value 'canarys'"),
    ],
)
def test_what_is_refused_sends_nothing(
    planned: tuple[emulator_process.Emulator, Rollout], tmp_path: Path, variables: dict[str, Any], said: str
) -> None:
    running, rollout = planned
    if "hotpatch_follow_plan" in variables:
        make(rollout, tmp_path / "plan.log")
    refused = replace(rollout, variables={**rollout.variables, **variables})
    code, output = refused.run(tmp_path / "run.log")
    assert code != 0 and said in output, output
    assert "Traceback" not in output
    assert check.writes(running.audit()) == []


def test_locations_that_may_not_be_read_are_said(
    planned: tuple[emulator_process.Emulator, Rollout], tmp_path: Path
) -> None:
    running, rollout = planned
    withdrawn = {"withdraw": ["Microsoft.Resources/subscriptions/locations/read"]}
    running.control("/emulator/principals/rollout/permissions", "PUT", withdrawn)
    plan, output = make(rollout, tmp_path / "plan.log")
    assert "Which regions are paired is not known" in output and "AuthorizationFailed" in output
    assert "The physical zone of" in output
    # By number, and never across subscriptions: each of the six is in a wave of its own.
    fleet = described()
    web = [sum(fleet[m["host"]]["tags"].get("service") == "web" for m in wave["machines"]) for wave in plan["waves"]]
    assert max(web) == 1 and sum(web) == 6
    assert breaches(plan, {(s, str(n)): f"{s}{n}" for s in ("production", "disaster") for n in (1, 2, 3)}) == []
