# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleet files, the command line, the run directory and the control port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import yaml

from hotpatch_emulator import catalogue, config
from hotpatch_emulator.config import FleetError

if TYPE_CHECKING:
    from azure_support import Running, Start

ROOT = Path(__file__).parents[2]
DOZEN = ROOT / "fleets" / "dozen.yml"
NOW = "2026-05-13T01:00:00Z"


def test_the_dozen_holds_what_it_promises() -> None:
    fleet = config.load(DOZEN).fleet
    assert len(fleet) == 12
    assert Counter(machine.expect["verdict"] for machine in fleet) == {
        "patched": 3, "already_current": 1, "skipped": 2, "not_started": 2, "withheld": 2, "failed": 1,
        "restarted_unexpectedly": 1,
    }  # fmt: skip
    unfit = [m.name for m in fleet if not catalogue.supports_hotpatch(m.image.publisher, m.image.offer, m.image.sku)]
    assert unfit == ["old-ws22-image"]


def test_ids_follow_the_seed_and_secrets_do_not() -> None:
    first, again, other = config.load(DOZEN), config.load(DOZEN), config.load(DOZEN, seed=1)
    assert [m.vm_id for m in first.fleet] == [m.vm_id for m in again.fleet]
    assert [m.vm_id for m in first.fleet] != [m.vm_id for m in other.fleet]
    assert first.fleet.principals[0].secret != again.fleet.principals[0].secret


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"now": NOW}, ["machines"]),
        ({"now": NOW, "machines": [{"name": "a", "colour": "red"}]}, ["machines/0", "colour"]),
        ({"now": NOW, "machines": [{"name": "a"}], "switches": {"kind": True}}, ["switches", "kind"]),
        ({"now": "yesterday", "machines": [{"name": "a"}]}, ["yesterday"]),
        ({"now": NOW, "machines": [{"name": "a"}, {"name": "A"}]}, ["two machines"]),
        ({"now": NOW, "machines": [{"name": "a", "guest": {"address": "127.0.0.9"}},
                                    {"name": "b", "guest": {"address": "127.0.0.9"}}]}, ["address"]),
        ({"now": NOW, "machines": [{"name": "a", "subscription": "none"}]}, ["none"]),
        ({"now": NOW, "machines": [{"name": "a"}],
          "principals": [{"name": "p", "roles": [{"role": "King"}]}]}, ["King", "Reader"]),
        ({"now": NOW, "machines": [{"name": "n", "count": 300}]}, ["too few addresses"]),
        ("text", ["object"]),
    ],
)  # fmt: skip
def test_bad_fleets_are_refused_by_name(document: Any, words: list[str]) -> None:
    with pytest.raises(FleetError) as refused:
        config.parse(document, network="127.30.0.0/24")
    for word in words:
        assert word in str(refused.value)


def test_run_directory(azure: Running) -> None:
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in azure.run_dir.iterdir()}
    for name in ("endpoints.json", "environment.sh", "inventory.yml", "audit.jsonl"):
        assert modes[name] == "0o600"
    inventory = yaml.safe_load((azure.run_dir / "inventory.yml").read_text(encoding="utf-8"))
    group = inventory["all"]["children"]["rehearsal"]
    assert group["hosts"]["ready25"]["hotpatch_resource_id"] == azure.vm("ready25")
    assert group["vars"]["ansible_winrm_ca_trust_path"] == azure.endpoints["ca"]
    shell = f"set -e; . {azure.run_dir}/environment.sh; env"
    printed = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True).stdout
    assert f"AZURE_SECRET={azure.endpoints['client_secret']}" in printed
    assert f"HOTPATCH_CLOCK={azure.endpoints['clock']}" in printed


def test_clock(start: Start) -> None:
    azure = start(speed=0)
    url = azure.endpoints["clock"]
    assert azure.http.get(url).json() == {"now": "2026-05-13T01:00:00+00:00", "rate": 0.0}
    assert azure.http.put(url, json={"advance_seconds": 90}).json()["now"] == "2026-05-13T01:01:30+00:00"
    assert azure.http.put(url, json={"rate": 60}).json()["rate"] == 60.0
    for wrong in ({"advance_seconds": -1}, {"rate": -1}, {"rate": "fast"}, {}, {"jump": 1}):
        assert azure.http.put(url, json=wrong).status_code == 400


def test_control_of_machines(azure: Running) -> None:
    control = f"{azure.endpoints['control']}/emulator"
    assert azure.http.post(f"{control}/machines/ready25/restart", json={"down_seconds": 60}).status_code == 200
    (line,) = azure.audit("restart")
    assert (line["cause"], line["resource_id"]) == ("fault", azure.vm("ready25"))
    assert azure.http.post(f"{control}/machines/nobody/restart", json={}).status_code == 404
    assert azure.http.put(f"{control}/machines/ready25/winrm", json={"answer": "hang"}).status_code == 204
    assert azure.http.put(f"{control}/machines/ready25/winrm", json={"answer": "sing"}).status_code == 400
    described = {m["name"]: m for m in azure.http.get(f"{control}/machines").json()}
    assert described["ready22"]["build"] == "20348.5020"
    lines = azure.http.get(f"{control}/audit").text.splitlines()
    assert any(json.loads(text)["kind"] == "restart" for text in lines)
    assert azure.http.get(f"{control}/audit?since={len(lines)}").text == ""


def test_two_emulators_side_by_side(start: Start) -> None:
    first, second = start(), start()
    assert first.arm != second.arm
    assert first.machine("ready25").guest.address != second.machine("ready25").guest.address


def _command(*options: str) -> list[str]:
    return [sys.executable, "-m", "hotpatch_emulator", *options]


def test_command_line(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(
        _command("--fleet", str(DOZEN), "--run-dir", str(tmp_path / "run"), "--speed", "5"),
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("hotpatch-emulator ready: 12 machines")
        endpoints = json.loads((tmp_path / "run" / "endpoints.json").read_text(encoding="utf-8"))
        assert requests.get(endpoints["clock"], timeout=5).json()["rate"] == 5.0
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_command_line_refuses_in_one_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    ended = subprocess.run(
        _command("--fleet", str(tmp_path / "none.yml"), "--run-dir", str(tmp_path / "run")),
        capture_output=True, text=True, env=environment, timeout=30, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert ended.stderr.startswith("hotpatch-emulator: fleet file") and ended.stderr.count("\n") == 1
