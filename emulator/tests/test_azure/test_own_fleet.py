# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A snapshot of a real fleet becomes a fleet file that starts, with the same IDs, hosts and settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from hotpatch_emulator import own_fleet
from hotpatch_emulator.config import load
from hotpatch_emulator.settings import FleetError

SUBSCRIPTION = "11111111-2222-4333-8444-555555555555"
PATH = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-web/providers/Microsoft.Compute"
VM_ID = "6f1c2a3b-0000-4111-8222-9a8b7c6d5e4f"


def fact(value: Any) -> dict[str, Any]:
    return {"state": "value", "value": value, "why": ""}


IMAGE = {
    "publisher": "MicrosoftWindowsServer",
    "offer": "WindowsServer",
    "sku": "2025-datacenter-azure-edition",
    "version": "latest",
}
ABSENT = {"state": "absent", "value": None, "why": ""}
UNREADABLE = {"state": "unreadable", "value": None, "why": "not asked"}


def machine(name: str = "web01", **own: Any) -> dict[str, Any]:
    entry = {
        "id": f"{PATH}/virtualMachines/{name}",
        "name": name,
        "location": "northeurope",
        "vm_id": VM_ID,
        "product": "ws2025",
        "read_at": "2026-05-13T01:02:03Z",
        "error": None,
        "os_type": fact("Windows"),
        "os_version": fact("Microsoft Windows NT 10.0.26100.0"),
        "power_state": fact("running"),
        "image": fact({**IMAGE, "exact_version": None, "id": None}),
        "zones": ["2"],
        "availability_set": None,
        "scale_set": None,
        "agent_status": fact("Ready"),
        "provision_vm_agent": fact(True),
        "enable_automatic_updates": fact(True),
        "allow_extension_operations": ABSENT,
        "patch_settings": {
            "patch_mode": fact("AutomaticByPlatform"),
            "enable_hotpatching": ABSENT,
            "assessment_mode": fact("ImageDefault"),
            "reboot_setting": fact("Never"),
            "bypass_platform_safety_checks": fact(True),
        },
        "time_zone": fact("W. Europe Standard Time"),
        "tags": {"ring": "canary"},
    }
    return {**entry, **own}


GUEST = {
    "reachable": True,
    "ubr": fact(32690),
    "skew_seconds": fact(-1.5),
    "vbs_status": fact(1),
    "pending_restart": fact(True),
    "free_memory_kb": UNREADABLE,
    "total_memory_kb": fact(4194304),
    "smbios_uuid": fact("3B2A1C6F-0000-1141-8222-9A8B7C6D5E4F"),
    "kbs": fact(["KB5082063"]),
    "hotpatch_package_version": ABSENT,
    "hotpatch_table_size": UNREADABLE,
    "boot_time": fact("2026-05-12T01:02:03Z"),
}


def start(tmp_path: Path, snapshot: dict[str, Any]) -> Any:
    """The fleet as the emulator reads the file that the command wrote."""
    source, target = tmp_path / "snapshot.json", tmp_path / "fleet.yml"
    source.write_text(json.dumps(snapshot), encoding="utf-8")
    assert own_fleet.main([str(source), str(target)]) == 0
    return load(target)


def test_the_same_machine_stands_in_the_emulator(tmp_path: Path) -> None:
    identifier = machine()["id"]
    made = start(tmp_path, {"machines": [machine()], "hosts": {"web.one": identifier}, "guests": {"web.one": GUEST}})
    (found,) = made.fleet
    assert (found.id, found.vm_id, found.host) == (identifier, VM_ID, "web.one")
    assert (found.location, found.zones, found.tags) == ("northeurope", ("2",), {"ring": "canary"})
    assert found.patch_settings.enable_hotpatching is None
    assert found.patch_settings.reboot_setting == "Never"
    assert found.patch_settings.bypass_platform_safety_checks is True
    assert made.now.isoformat() == "2026-05-13T01:02:03+00:00"
    guest = found.guest
    assert (guest.ubr, guest.clock_skew_seconds, guest.vbs_status, guest.pending_restart) == (32690, -1.5, 1, True)
    assert guest.smbios_uuid == "3B2A1C6F-0000-1141-8222-9A8B7C6D5E4F"
    assert guest.hotpatch_package_version is None
    assert guest.booted_at.isoformat() == "2026-05-12T01:02:03+00:00"
    assert (guest.total_memory_kb, guest.time_zone) == (4194304, "W. Europe Standard Time")


@pytest.mark.parametrize(
    ("own", "power", "agent"),
    [
        ({"power_state": fact("deallocated"), "agent_status": UNREADABLE}, "deallocated", True),
        ({"power_state": fact("stopped")}, "stopped", True),
        ({"agent_status": fact("Not Ready")}, "running", False),
    ],
)
def test_power_and_agent(tmp_path: Path, own: dict[str, Any], power: str, agent: bool) -> None:
    (found,) = start(tmp_path, {"machines": [machine(**own)]}).fleet
    assert (found.power_state, found.agent_ready) == (power, agent)


def test_a_guest_that_did_not_answer_does_not_answer_there_either(tmp_path: Path) -> None:
    snapshot = {"machines": [machine()], "hosts": {"a": machine()["id"]}, "guests": {"a": {"reachable": False}}}
    (found,) = start(tmp_path, snapshot).fleet
    assert not found.guest.winrm


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({"id": PATH.replace("Microsoft.Compute", "Microsoft.HybridCompute/machines/arc")}, "no Azure"),
        ({"error": {"code": "AuthorizationFailed"}}, "AuthorizationFailed"),
        ({"os_type": fact("Linux")}, "Linux"),
        ({"product": None, "os_version": fact("Microsoft Windows NT 10.0.17763.0")}, "neither"),
    ],
)
def test_what_cannot_be_stood_in_for_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], own: dict[str, Any], why: str
) -> None:
    made = start(tmp_path, {"machines": [machine(), machine("other", **own)]})
    assert [found.name for found in made.fleet] == ["web01"]
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        ({}, "no list 'machines'"),
        ({"machines": []}, "neither 'now' nor"),
        ({"machines": [machine(read_at="yesterday")]}, "no ISO 8601 time"),
        ({"machines": [machine(os_type=fact("Linux"))]}, "no machine that the emulator can stand in for"),
    ],
)
def test_a_useless_snapshot_is_refused_in_one_sentence(snapshot: dict[str, Any], words: str) -> None:
    with pytest.raises(FleetError, match=words):
        own_fleet.convert(snapshot)


def test_two_subscriptions_keep_their_ids(tmp_path: Path) -> None:
    other = "99999999-2222-4333-8444-555555555555"
    second = machine("db01", id=machine()["id"].replace(SUBSCRIPTION, other).replace("web01", "db01"))
    made = start(tmp_path, {"machines": [machine(), second]})
    assert set(made.fleet.subscriptions) == {SUBSCRIPTION, other}
    assert yaml.safe_load((tmp_path / "fleet.yml").read_text(encoding="utf-8"))["machines"][1]["subscription"] == other
