# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws fleets, plans and faults for Hypothesis: small, and full of what goes wrong.

A scenario is plain JSON, so that a failure can be printed and played again: ``fleet`` is the emulator's fleet file,
``variables`` what a user gives the playbook, ``host_variables`` what the inventory says of single hosts, ``again``
whether the playbook is run a second time.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

KB_2022 = "KB5087424"
NOW = "2026-05-13T01:00:00Z"
SCRIPTS: list[dict[str, Any]] = [
    {"install": {"outcome": "Failed"}},
    {"install": {"outcome": "FailedOperation"}},
    {"install": {"outcome": "Excluded"}},
    {"install": {"outcome": "NotSelected"}},
    {"install": {"outcome": "Pending"}},
    {"install": {"outcome": "CompletedWithWarnings"}},
    {"install": {"restarts": True}},
    {"offer": {"rebootBehavior": "CanRequestReboot"}},
    {"offer": {"rebootBehavior": "AlwaysRequiresReboot"}},
    {"offer": {"hidden": True}},
    {"assess": {"outcome": "Failed"}},
    {"assess": {"then_installs": "platform"}},
    {"platform": {"install_after_minutes": 4}},
    {"platform": {"install_after_minutes": 25}},
]
GUESTS: list[dict[str, Any]] = [
    {"level": "current"},
    {"level": "behind"},
    {"level": "off_track"},
    {"pending_restart": True},
    {"winrm": False},
    {"enrolled": False},
    {"clock_skew_seconds": 240},
]
ROLES: list[dict[str, Any]] = [
    {"domain_role": 5, "domain": "corp.example"},
    {"cluster_name": "sql", "domain_role": 3, "domain": "corp.example"},
]
FAULTS: list[dict[str, Any]] = [
    {"match": {"method": "POST", "path_regex": "/installPatches"}, "action": {"reset_after_accept": True}},
    {"match": {"method": "POST", "path_regex": "/installPatches"}, "action": {"reset_before": True}},
    {
        "match": {"method": "POST", "path_regex": "/installPatches"},
        "action": {"status": 429, "body": "Too many requests", "headers": {"Retry-After": "20"}},
    },
    {
        "match": {"method": "POST", "path_regex": "/installPatches"},
        "action": {"status": 409, "body": {"error": {"code": "Conflict", "message": "Another operation is running."}}},
    },
    {"match": {"method": "POST", "path_regex": "/assessPatches"}, "action": {"reset_after_accept": True}},
    {"match": {"method": "GET", "path_regex": "/operations/", "count": 2}, "action": {"status": 503, "body": ""}},
    {"match": {"method": "GET", "path_regex": "/virtualMachines/"}, "action": {"status": 500, "body": "sorry"}},
    {
        "match": {"method": "GET", "path_regex": "/locations"},
        "action": {"status": 403, "body": {"error": {"code": "x"}}},
    },
]
WAVES: list[list[Any]] = [[1], [2], ["50%"], ["100%"], [1, "double"], [1, "100%"], [1, "double up to 50%"], [3]]
WINDOWS: list[dict[str, Any]] = [
    {"start": "22:00", "end": "04:00", "time_zone": "UTC"},
    {"start": "00:30", "end": "02:00", "time_zone": "UTC"},
    {"start": "05:00", "end": "09:00", "time_zone": "Europe/Amsterdam"},
    {"start": "21:00", "end": "23:30", "time_zone": "America/New_York"},
]
SPREADS: list[Any] = ["availability_first"] * 5 + ["none", ["availability_sets", "zones"], ["region_pairs", "clusters"]]


def rarely(draw: st.DrawFn, one_in: int) -> bool:
    """True once in so many times; where Hypothesis shrinks, never."""
    return bool(draw(st.integers(0, one_in - 1)) == one_in - 1)


@st.composite
def machines(draw: st.DrawFn, number: int, rings: list[str]) -> dict[str, Any]:
    """One machine of the fleet file."""
    # Plain http saves half of the processor's work; TLS has tests of its own.
    guest = {"https_listener": False, "http_listener": True, "allow_unencrypted": True}
    machine: dict[str, Any] = {
        "name": f"m{number}",
        "product": draw(st.sampled_from(["ws2025", "ws2025", "ws2022"])),
        "location": draw(st.sampled_from(["westeurope", "westeurope", "northeurope", "eastus"])),
    }
    where = draw(st.sampled_from(["zone", "zone", "set", "nowhere"]))
    if where == "zone":
        machine["zone"] = draw(st.sampled_from(["1", "2", "3"]))
    elif where == "set":
        machine["availability_set"] = f"set-{machine['location']}"
        machine["update_domain"] = draw(st.integers(0, 2))
    if draw(st.booleans()):
        machine["tags"] = {"Service": draw(st.sampled_from(["shop", "mail"]))}
    if rings and not rarely(draw, 12):
        machine["ring"] = draw(st.sampled_from(rings))
    if rarely(draw, 12):
        machine["power"] = "deallocated"
    if rarely(draw, 4):
        guest.update(draw(st.sampled_from(ROLES)))
    if rarely(draw, 4):
        guest.update(draw(st.sampled_from(GUESTS)))
    if rarely(draw, 3):
        machine["script"] = draw(st.sampled_from(SCRIPTS))
    return {**machine, "guest": guest}


@st.composite
def ring_rules(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """One ring of hotpatch_rings."""
    ring: dict[str, Any] = {"name": name, "hosts": name, "waves": draw(st.sampled_from(WAVES))}
    if draw(st.booleans()):
        ring["error_budget"] = draw(st.sampled_from([0, 1, 2, "50%", "100%"]))
    if rarely(draw, 4):
        ring["wave_error_budget"] = draw(st.sampled_from([0, 1]))
    if rarely(draw, 2):
        ring["soak"] = draw(st.sampled_from([600, "PT2H"]))
    if rarely(draw, 4):
        ring["window"] = draw(st.sampled_from(WINDOWS))
    if rarely(draw, 10):
        ring["blackout_dates"] = ["2026-05-13"]
    return ring


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    """A fleet, a plan, and what goes wrong."""
    names = [f"ring{number}" for number in range(draw(st.integers(0, 3)))]
    count = draw(st.integers(2, 7))
    fleet_machines = [draw(machines(number, names)) for number in range(count)]
    used = [name for name in names if any(machine.get("ring") == name for machine in fleet_machines)]
    variables: dict[str, Any] = {
        "hotpatch_maximum_duration": "PT40M",
        "hotpatch_guest_timeout": 300,
        "hotpatch_not_started_limit": "100%",
        "hotpatch_service_tag": "service",
        "hotpatch_spread": draw(st.sampled_from(SPREADS)),
        "hotpatch_waves": draw(st.sampled_from(WAVES)),
    }
    if used:
        variables["hotpatch_rings"] = [draw(ring_rules(name)) for name in used]
    if draw(st.booleans()):
        variables["hotpatch_error_budget"] = draw(st.sampled_from([0, 1, "50%", "100%", "100%"]))
    if not rarely(draw, 4):
        variables["hotpatch_unproven_products"] = ["all"]
    if rarely(draw, 8):
        variables["hotpatch_blocked_kbs"] = [KB_2022]
    if rarely(draw, 6):
        variables["hotpatch_restart_budget"] = 0
    hosts: dict[str, Any] = {}
    if rarely(draw, 6):
        until = draw(st.sampled_from(["2026-05-13", "2026-05-12"]))
        hosts["m0"] = {"hotpatch_exempt": {"reason": "frozen", "until": until}}
    if rarely(draw, 6):
        hosts["m1"] = {"hotpatch_window": draw(st.sampled_from(WINDOWS))}
    faults = []
    for fault in draw(st.lists(st.sampled_from(FAULTS), max_size=2)):
        machine = (
            {} if "locations" in fault["match"]["path_regex"] else {"machine": f"m{draw(st.integers(0, count - 1))}"}
        )
        faults.append({**fault, "match": {**fault["match"], **machine}})
    fleet = {
        "now": NOW,
        "speed": 120,
        "seed": draw(st.integers(1, 99)),
        "switches": {
            "platform_patches_by_itself": rarely(draw, 3),
            "unselected_state": draw(st.sampled_from(["Excluded", "NotSelected"])),
            "install_failure": draw(st.sampled_from(["patch", "operation"])),
            "conflict_code": draw(st.sampled_from(["Conflict", "OperationNotAllowed", "ScopeLocked"])),
            "reboot_setting_of": draw(st.sampled_from(["model", "call"])),
        },
        "faults": faults,
        "principals": [{"name": "rollout", "roles": [{"role": "Virtual Machine Contributor"}]}],
        "defaults": {"patch_settings": {"patch_mode": "AutomaticByPlatform"}},
        "machines": fleet_machines,
    }
    return {"fleet": fleet, "variables": variables, "host_variables": hosts, "again": rarely(draw, 5)}
