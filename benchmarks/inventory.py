# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S603, T201  (a program: it prints, and runs commands of its own making)
"""Inventory and status of 10,000 emulated machines, held against a bare loop over the same pages in the same run.

The bare loop signs in, sends the very queries that the plugin sent (the emulator's audit log has them) one after the
other over one connection, reads the JSON and keeps nothing. What Ansible takes to start is measured beside it, as an
inventory of one host. Ends with 1 when an aim was missed. With --peers, az and
azure.azcollection read a sample beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import inventory_peers
import process

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tools"))

import emulator_process  # noqa: E402  (the project's own tools, which are no package)
from environments import BUILD, REHEARSAL, SetupError, ensure, process_environment  # noqa: E402

FOLDER = BUILD / "benchmark" / "inventory"
MOST_RATIO = 2.0
MOST_MEMORY_MB = 300.0
SETTLE_SECONDS = 6.0
"""Resource Graph allows 15 requests in 5 s. Nobody begins with a limit that the one before has used up."""

# Run by the environment's own Python, which has aiohttp; prints the seconds from the token to the last row.
BARE_LOOP = """
import asyncio, json, os, ssl, sys, time
import aiohttp

async def main(given):
    begun = time.monotonic()
    context = ssl.create_default_context(cafile=given["ca"])
    form = {"grant_type": "client_credentials", "client_id": given["client_id"], "client_secret": given["secret"],
            "scope": given["arm"] + "/.default"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
        async with session.post(given["token_url"], data=form) as answer:
            token = (await answer.json())["access_token"]
        rows = pages = 0
        for body in given["queries"]:
            options = {"resultFormat": "objectArray", "$top": 1000}
            while True:
                url = given["arm"] + "/providers/Microsoft.ResourceGraph/resources?api-version=2024-04-01"
                headers = {"Authorization": "Bearer " + token}
                async with session.post(url, json={**body, "options": options}, headers=headers) as answer:
                    if answer.status == 429:
                        await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
                        continue
                    found = await answer.json()
                rows, pages = rows + len(found["data"]), pages + 1
                if "$skipToken" not in found:
                    break
                options = {**options, "$skipToken": found["$skipToken"]}
    print(json.dumps({"seconds": time.monotonic() - begun, "cpu": time.process_time(), "rows": rows, "pages": pages}))

asyncio.run(main(json.load(sys.stdin)))
"""


@dataclass(frozen=True)
class Measured:
    """One command: what it cost, and the pages it fetched."""

    name: str
    wall: float
    cpu: float
    memory: float
    pages: int


def write_fleet(path: Path, machines: int) -> None:
    """A fleet of six kinds of machines in two subscriptions under one management group."""
    tenth = machines // 10
    kinds: list[dict[str, Any]] = [
        {"name": "app", "count": tenth * 4, "tags": {"hotpatch-ring": "broad"}},
        {"name": "web", "count": tenth * 2, "product": "ws2022", "subscription": "two", "location": "northeurope"},
        {"name": "off", "count": tenth, "power": "deallocated", "tags": {"hotpatch-ring": "broad"}},
        {"name": "old", "count": tenth, "product": "ws2022", "image": {"sku": "2022-datacenter-azure-edition"}},
        {"name": "manual", "count": tenth, "patch_settings": {"patch_mode": "Manual"}},
        {"name": "unlisted", "count": machines - 9 * tenth, "patch_settings": {"enable_hotpatching": False}},
    ]
    fleet = {
        "now": "2026-05-13T01:00:00Z",
        "speed": 1,
        "seed": 1,
        "subscriptions": [{"name": "one"}, {"name": "two"}],
        "management_groups": {"mg-all": ["one", "two"]},
        "switches": {"platform_patches_by_itself": False, "buckets": "documented", "others_draw_percent": 0},
        "defaults": {"location": "westeurope", "resource_group": "rg-bench", "guest": {"winrm": False}},
        "machines": kinds,
    }
    path.write_text(json.dumps(fleet), encoding="utf-8")


def queries_of(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The requests to Resource Graph of an audit log."""
    return [line for line in lines if str(line.get("path", "")).lower().endswith("resourcegraph/resources")]


def measure(
    name: str, command: Sequence[str], environ: Mapping[str, str], running: emulator_process.Emulator
) -> Measured:
    """Run one command and count its pages."""
    time.sleep(SETTLE_SECONDS)
    before = len(queries_of(running.audit()))
    log = FOLDER / f"{name.replace(' ', '_')}.log"
    cost = process.run(command, environ, FOLDER, log)
    if cost.exit_code:
        raise SetupError(f"{name} ended with {cost.exit_code}; {log} ends with:\n{log.read_text('utf-8')[-2000:]}")
    pages = len(queries_of(running.audit())) - before
    return Measured(name, cost.wall, cost.cpu, cost.peak_tree, pages)


def bare_loop(
    python: Path, environ: Mapping[str, str], running: emulator_process.Emulator, bodies: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Fetch the same pages with nothing around it; seconds, rows and pages."""
    time.sleep(SETTLE_SECONDS)
    ends = running.endpoints
    given = {
        "ca": ends["ca"],
        "arm": ends["arm"].rstrip("/"),
        "client_id": environ["AZURE_CLIENT_ID"],
        "secret": environ["AZURE_SECRET"],
        "token_url": f"{ends['arm'].rstrip('/')}/{ends['tenant_id']}/oauth2/v2.0/token",
        "queries": bodies,
    }
    done = subprocess.run(
        [str(python), "-c", BARE_LOOP],
        input=json.dumps(given),
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SetupError(f"The bare loop failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def distinct(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each query of an audit log once, without its page."""
    found = {json.dumps({name: line["body"].get(name) for name in ("query", "managementGroups")}) for line in lines}
    return [json.loads(text) for text in sorted(found)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 0 when all aims were met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--machines", type=int, default=10_000)
    parser.add_argument("--peers", action="store_true", help="install az and azure.azcollection and measure them too")
    parser.add_argument("--sample", type=int, default=200, help="machines for each client beside the peers")
    options = parser.parse_args(arguments)
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    bin_folder = ensure(REHEARSAL)
    write_fleet(FOLDER / "fleet.yml", options.machines)
    running = emulator_process.start(bin_folder, FOLDER / "fleet.yml", FOLDER / "emulator", timeout=180)
    try:
        code = judge(bin_folder, running, options.machines)
    except SetupError as problem:
        print(problem, file=sys.stderr)
        return 2
    finally:
        emulator_process.stop(FOLDER / "emulator")
    if options.peers:
        print(f"\nSide by side with az and azure.azcollection ({options.sample} machines) ...", flush=True)
        try:
            print(inventory_peers.table(inventory_peers.measure(options.sample, write_fleet)), flush=True)
        except (SetupError, emulator_process.EmulatorError) as problem:
            print(problem, file=sys.stderr)
            return 2
    return code


def judge(bin_folder: Path, running: emulator_process.Emulator, machines: int) -> int:
    """Run everything over one emulator and print it; 1 when an aim was missed."""
    environ = process_environment(bin_folder, **running.environment())
    environ.update(ANSIBLE_LOCALHOST_WARNING="false", NO_COLOR="1")
    source = FOLDER / "fleet.hotpatch.yml"
    source.write_text(
        "plugin: winfleet.hotpatch.machines\nmanagement_groups: [mg-all]\nplain_host_names: true\n", encoding="utf-8"
    )
    inventory, playbook = str(bin_folder / "ansible-inventory"), str(bin_folder / "ansible-playbook")
    variables = {
        "hotpatch_status_management_groups": ["mg-all"],
        "hotpatch_status_fail_on": [],
        "hotpatch_state_dir": str(FOLDER / "state"),
    }
    status = [playbook, "winfleet.hotpatch.status", "-i", "localhost,", "-e", json.dumps(variables)]
    # What is compiled and cached once must not count.
    measure("warm up", [inventory, "-i", str(source), "--graph"], environ, running)
    seen = queries_of(running.audit())
    for_inventory = distinct(seen)
    started = measure("start of ansible-inventory", [inventory, "-i", "localhost,", "--graph"], environ, running)
    found = [
        measure("inventory, its groups", [inventory, "-i", str(source), "--graph"], environ, running),
        measure(
            "inventory, all variables",
            [inventory, "-i", str(source), "--list", "--output", "list.json"],
            environ,
            running,
        ),
    ]
    bare = bare_loop(bin_folder / "python", environ, running, for_inventory)
    # The same hosts with the same variables and no Azure at all: what Ansible takes to hold them.
    kept = FOLDER / "kept.hotpatch.yml"
    kept.write_text(
        source.read_text("utf-8") + "cache: true\ncache_plugin: ansible.builtin.jsonfile\ncache_connection: cache\n",
        encoding="utf-8",
    )
    measure("cache filled", [inventory, "-i", str(kept), "--graph"], environ, running)
    cached = measure("inventory, from its cache", [inventory, "-i", str(kept), "--graph"], environ, running)
    before = len(queries_of(running.audit()))
    looked = measure("status", status, environ, running)
    for_status = distinct(queries_of(running.audit())[before:])
    nothing = [playbook, "winfleet.hotpatch.status", "-i", "localhost,", "-e", json.dumps(variables), "--syntax-check"]
    status_start = measure("start of ansible-playbook", nothing, environ, running)
    bare_status = bare_loop(bin_folder / "python", environ, running, for_status)
    print(f"\n{machines} machines, {bare['pages']} pages and {bare['rows']} rows for the inventory")
    for name, base in (("bare loop, inventory", bare), ("bare loop, status", bare_status)):
        print(f"  {name:32} {base['seconds']:6.1f} s, CPU {base['cpu']:5.1f} s, {base['pages']} pages")
    for item in (started, cached, *found, status_start, looked):
        print(f"  {item.name:32} {item.wall:6.1f} s, CPU {item.cpu:5.1f} s, {item.memory:4.0f} MB, {item.pages} pages")
    missed = []
    for item, base, start in ((found[0], bare, started), (looked, bare_status, status_start)):
        ratio = (item.wall - start.wall) / base["seconds"]
        print(f"  {item.name} less Ansible's start, over the bare loop: {ratio:.2f}")
        if ratio > MOST_RATIO:
            missed.append(f"{item.name} takes {ratio:.2f} times the bare loop, aim {MOST_RATIO:g}")
    missed += [
        f"{item.name} takes {item.memory:.0f} MB, aim {MOST_MEMORY_MB:g}"
        for item in (*found, looked)
        if item.memory > MOST_MEMORY_MB
    ]
    print("\n".join(["", *(f"MISSED: {sentence}" for sentence in missed)] if missed else ["", "All aims were met."]))
    return 1 if missed else 0


if __name__ == "__main__":
    began = time.monotonic()
    code = main()
    print(f"It took {time.monotonic() - began:.0f} s.")
    sys.exit(code)
