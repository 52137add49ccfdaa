# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The same look at a fleet by what a user would take instead: azure.azcollection's inventory, and az in a shell.

All of them read one emulator of some hundred machines, one after the other. What they tell is not the same: `az vm
list` says nothing of power states or addresses, and nobody but ours reads assessments and installations.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import emulator_process
import peers
import process
from azcollection import prepare as prepare_azcollection
from azcollection import variables as azcollection_variables
from environments import AZURE_CLI, BUILD, REHEARSAL, SetupError, ensure, process_environment

FOLDER = BUILD / "benchmark" / "inventory-peers"


@dataclass(frozen=True)
class Look:
    """What one client saw, what it cost, and how many requests Azure got."""

    name: str
    machines: int
    cost: process.Cost
    requests: int


def measure(sample: int, write_fleet: Callable[[Path, int], None]) -> list[Look]:
    """Let each client read the fleet; SetupError when one of them fails."""
    ours, az = ensure(REHEARSAL), ensure(AZURE_CLI)
    collection = prepare_azcollection()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    write_fleet(FOLDER / "fleet.yml", sample)
    running = emulator_process.start(ours, FOLDER / "fleet.yml", FOLDER / "emulator", timeout=60)
    try:
        return [*_inventories(ours, collection, running), *_az(az, running)]
    finally:
        emulator_process.stop(FOLDER / "emulator")


def _inventories(ours: Path, collection: Path, running: emulator_process.Emulator) -> list[Look]:
    subscriptions = list(running.endpoints["subscription_ids"])
    own = {"plugin": "winfleet.hotpatch.machines", "subscriptions": subscriptions, "plain_host_names": True}
    theirs = {
        "plugin": "azure.azcollection.azure_rm",
        "auth_source": "env",
        "subscription_id": subscriptions[0],
        "include_vm_resource_groups": ["*"],
        "plain_host_names": True,
        # By default it leaves out what does not run.
        "default_host_filters": [],
    }
    found = []
    for name, bin_folder, source, options, extra in (
        ("winfleet.hotpatch.machines", ours, "fleet.hotpatch.yml", {**own, "subscriptions": subscriptions[:1]}, {}),
        (
            "azure.azcollection.azure_rm",
            collection,
            "fleet.azure_rm.yml",
            theirs,
            azcollection_variables(running.endpoints["arm"], FOLDER / "azcollection"),
        ),
    ):
        (FOLDER / source).write_text(json.dumps(options), encoding="utf-8")
        environ = {**process_environment(bin_folder), **running.environment(), **extra}
        # A client that sees nothing has failed.
        environ.update(ANSIBLE_LOCALHOST_WARNING="false", ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true")
        command = [str(bin_folder / "ansible-inventory"), "-i", source, "--list", "--output", f"{source}.json"]
        cost, requests = _run(name, command, environ, running)
        seen = json.loads((FOLDER / f"{source}.json").read_text(encoding="utf-8"))["_meta"]["hostvars"]
        found.append(Look(name, len(seen), cost, requests))
    return found


def _az(bin_folder: Path, running: emulator_process.Emulator) -> list[Look]:
    environ = peers.az_environment(bin_folder, running.endpoints, FOLDER / "az")
    subscription = str(running.endpoints["subscription_ids"][0])
    found = []
    for name, arguments in (("az vm list", []), ("az vm list --show-details", ["--show-details"])):
        command = [str(bin_folder / "az"), "vm", "list", "--subscription", subscription, *arguments]
        cost, requests = _run(name, [*command, "--query", "length(@)", "--output", "tsv"], environ, running)
        said = (FOLDER / f"{name.replace(' ', '_')}.log").read_text(encoding="utf-8").split()
        found.append(Look(name, int(said[-1]), cost, requests))
    return found


def _run(
    name: str, command: Sequence[str], environ: Mapping[str, str], running: emulator_process.Emulator
) -> tuple[process.Cost, int]:
    before = _requests(running)
    log = FOLDER / f"{name.replace(' ', '_')}.log"
    cost = process.run(command, environ, FOLDER, log)
    if cost.exit_code:
        raise SetupError(f"{name} ended with {cost.exit_code}; {log} ends with:\n{log.read_text('utf-8')[-2000:]}")
    return cost, _requests(running) - before


def _requests(running: emulator_process.Emulator) -> int:
    return sum(line.get("kind") == "request" for line in running.audit())


def table(looks: Sequence[Look]) -> str:
    """What each client saw and cost."""
    lines = [f"\n  {'client':30}{'machines':>10}{'wall s':>9}{'CPU s':>8}{'MB':>6}{'requests':>10}"]
    for look in looks:
        cost = look.cost
        lines.append(
            f"  {look.name:30}{look.machines:10}{cost.wall:9.1f}{cost.cpu:8.1f}{cost.peak_tree:6.0f}{look.requests:10}"
        )
    return "\n".join(lines)
