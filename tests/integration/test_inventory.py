# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin under a real ansible-inventory and ansible-playbook, judged by the emulator's audit log."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import emulator_process
import pytest
import yaml
from ansible_runs import BIN, DOZEN, FLEETS, Rollout, environment, run_module

StartEmulator = Callable[..., emulator_process.Emulator]
FLEET = FLEETS / "overview.yml"
GROUP = "hotpatch_machines"
BASIC = {"plugin": "winfleet.hotpatch.machines", "plain_host_names": True}


@pytest.fixture
def azure(start_emulator: StartEmulator) -> emulator_process.Emulator:
    return start_emulator(FLEET)


def configure(folder: Path, running: emulator_process.Emulator | None = None, **options: Any) -> Path:
    """Writes a configuration, with the guests' credentials in group_vars as a user has them; returns its path."""
    folder.mkdir(exist_ok=True)
    path = folder / "fleet.hotpatch.yml"
    path.write_text(yaml.safe_dump({**BASIC, **options}), "utf-8")
    if running is not None:
        given = yaml.safe_load(running.inventory.read_text("utf-8"))["all"]["children"]["rehearsal"]["vars"]
        wanted = ("ansible_user", "ansible_password", "ansible_winrm_transport", "ansible_winrm_ca_trust_path")
        (folder / "group_vars").mkdir(exist_ok=True)
        (folder / "group_vars" / f"{GROUP}.yml").write_text(yaml.safe_dump({name: given[name] for name in wanted}))
    return path


def run(command: list[str], environ: dict[str, str], folder: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        env=environment(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def listed(path: Path, environ: dict[str, str]) -> tuple[dict[str, Any], str]:
    code, output, errors = run(["ansible-inventory", "-i", str(path), "--list"], environ, path.parent)
    assert code == 0, errors
    return json.loads(output), errors


def hosts_of(found: dict[str, Any]) -> dict[str, Any]:
    """The hosts' variables; since ansible-core 2.19 a text that is no template is written as one that is unsafe."""

    def unwrapped(value: Any) -> Any:
        if isinstance(value, dict):
            safe = {name: unwrapped(item) for name, item in value.items()}
            return safe["__ansible_unsafe"] if set(safe) == {"__ansible_unsafe"} else safe
        return [unwrapped(item) for item in value] if isinstance(value, list) else value

    variables: dict[str, Any] = unwrapped(found["_meta"]["hostvars"])
    return variables


def queries(running: emulator_process.Emulator) -> list[dict[str, Any]]:
    return [line for line in running.audit() if str(line.get("path", "")).endswith("ResourceGraph/resources")]


def test_a_management_group(azure: emulator_process.Emulator, tmp_path: Path) -> None:
    path = configure(
        tmp_path / "inv",
        management_groups=["mg-all"],
        keyed_groups=[
            {"prefix": "ring", "key": "tags['hotpatch-ring'] | default(hotpatch_ring)", "default_value": "none"},
            {"prefix": "region", "key": "location"},
        ],
        groups={"stopped": "availability == 'stopped'", "canaries": "chosen == 'canary'"},
        compose={"chosen": "hotpatch_ring", "ansible_host": "ansible_host | default(name)"},
        strict=False,
    )
    found, errors = listed(path, azure.environment())
    hosts = hosts_of(found)
    same = sorted(name for name in hosts if name.startswith("web1"))
    assert len(hosts) == 7 and len(same) == 2 and all(len(name) == len("web1_1234") for name in same)
    assert "2 machines would be called web1" in errors
    assert found["stopped"]["hosts"] == ["asleep"]
    north = next(name for name in same if hosts[name]["location"] == "northeurope")
    assert sorted(found["region_northeurope"]["hosts"]) == sorted(["old", north])
    canary = next(name for name in same if hosts[name]["hotpatch_ring"] == "canary")
    assert found["canaries"]["hosts"] == [canary] and canary in found["ring_canary"]["hosts"]
    first = hosts[canary]
    assert (first["ansible_connection"], first["ansible_port"], first["ansible_winrm_scheme"]) == (
        "winrm",
        5986,
        "https",
    )
    assert first["ansible_host"].startswith("127.") and first["public_ipv4_addresses"] == ["203.0.113.7"]
    assert hosts["db"]["public_ipv4_addresses"] == [] and hosts["db"]["unread"] == {}
    assert hosts["db"]["availability_set"].lower().endswith("/avset-db")
    assert hosts["web2"]["time_zone"] == "W. Europe Standard Time" and hosts["asleep"]["powerstate"] == "deallocated"
    assert hosts["old"]["eligibility"]["reasons"][0]["code"] == "image_not_supported"
    assert len(queries(azure)) == 5, "a query a table, a request a page"
    assert {tuple(line["body"]["managementGroups"]) for line in queries(azure)} == {("mg-all",)}
    assert [line for line in azure.audit() if line.get("method") in ("PUT", "PATCH", "DELETE")] == []


def test_texts_from_azure_are_no_templates(azure: emulator_process.Emulator, tmp_path: Path) -> None:
    path = configure(tmp_path / "inv", subscriptions=[azure.endpoints["subscription_ids"][0]])
    command = ["ansible", "web1", "-i", str(path), "-m", "ansible.builtin.debug", "-a", "msg={{ machine_tags.note }}"]
    code, output, errors = run([*command, "-c", "local"], azure.environment(), path.parent)
    assert code == 0 and "lookup('pipe'" in output, output + errors
    assert not list(tmp_path.rglob("pwned"))


def test_filters_go_with_the_query(azure: emulator_process.Emulator, tmp_path: Path) -> None:
    narrow: dict[str, Any] = {
        "tags": {"HOTPATCH-ring": "Broad"},
        "locations": ["West Europe"],
        "resource_groups": ["RG-WEB"],
    }
    path = configure(tmp_path / "inv", subscriptions=["all"], power_states=["running"], **narrow)
    assert sorted(hosts_of(listed(path, azure.environment())[0])) == ["drifted", "web2"]
    asked = [line["body"]["query"] for line in queries(azure)]
    assert any("resourceGroup in~ ('rg-web')" in query and "contains 'broad'" in query for query in asked)
    assert [query for query in asked if "networkinterfaces" in query and "| where id in~ (" in query]


def test_what_the_account_may_not_read_is_named(azure: emulator_process.Emulator, tmp_path: Path) -> None:
    """A reader of one resource group's machines: no interfaces, no other group, and an expected list says so."""
    (tmp_path / "expected.txt").write_text("# the fleet\nweb1\ndb\n", "utf-8")
    principal = azure.endpoints["principals"]["narrow"]
    environ = {
        **azure.environment(),
        "AZURE_CLIENT_ID": principal["client_id"],
        "AZURE_SECRET": principal["client_secret"],
    }
    expect = {"file": "../expected.txt", "count": 5}
    path = configure(tmp_path / "inv", subscriptions=["all"], expect=expect)
    found, errors = listed(path, environ)
    assert sorted(hosts_of(found)) == ["asleep", "drifted", "web1", "web2"]
    told = " ".join(errors.split())
    assert "1 expected machines are not shown: db; 4 machines are shown, 5 were expected" in told
    hidden = hosts_of(found)["web1"]
    assert "ansible_host" not in hidden and "web1VMNic" in hidden["unread"]["private_ipv4_addresses"]
    missing = (
        f"/subscriptions/{azure.endpoints['subscription_ids'][0]}/resourceGroups/rg-db/providers/Microsoft.Compute"
    )
    path = configure(
        tmp_path / "inv",
        subscriptions=["all"],
        expect={"machines": [f"{missing}/virtualMachines/db"]},
        expect_missing="add",
    )
    assert listed(path, environ)[0]["hotpatch_missing"]["hosts"] == ["db"]
    path = configure(tmp_path / "inv", subscriptions=["all"], expect={"count": 5}, expect_missing="fail")
    code, dummy, errors = run(
        ["ansible-inventory", "-i", str(path), "--list"],
        {**environ, "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"},
        tmp_path,
    )
    assert code != 0 and "5 were expected" in " ".join(errors.split())


def test_the_cache_is_used_until_options_change_or_it_is_flushed(
    azure: emulator_process.Emulator, tmp_path: Path
) -> None:
    cache: dict[str, Any] = {
        "cache": True,
        "cache_plugin": "ansible.builtin.jsonfile",
        "cache_connection": str(tmp_path / "cache"),
    }
    options: dict[str, Any] = {"management_groups": ["mg-two"], **cache}
    path = configure(tmp_path / "inv", **options)
    first, dummy = listed(path, azure.environment())
    assert len(queries(azure)) == 5
    second, dummy = listed(path, azure.environment())
    assert len(queries(azure)) == 5 and second == first
    # ansible-inventory has the option from core 2.17 on, ansible-playbook always had it.
    play = tmp_path / "play.yml"
    play.write_text("- hosts: all\n  gather_facts: false\n", encoding="utf-8")
    flushed = ["ansible-playbook", "-i", str(path), "--list-hosts", "--flush-cache", str(play)]
    code, dummy, errors = run(flushed, azure.environment(), tmp_path)
    assert code == 0 and len(queries(azure)) == 10, errors
    third, dummy = listed(configure(tmp_path / "inv", **options, tags={"none": None}), azure.environment())
    assert hosts_of(third) == {} and len(queries(azure)) > 10
    secret = azure.environment()["AZURE_SECRET"]
    assert all(secret not in file.read_text("utf-8") for file in (tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"subscriptions": ["production"]}, "Option subscriptions has the value 'production'"),
        ({"subscriptions": ["all"], "management_groups": ["x"]}, "left out beside management_groups"),
        ({"management_groups": ["nowhere"]}, "NoValidSubscriptionsInQueryRequest: There must be at least one"),
        ({"subscriptions": ["all"], "expect": {"file": "gone.txt"}}, "Option expect.file"),
        ({"subscriptions": ["all"], "expect": {"number": 3}}, "Option expect"),
    ],
)
def test_what_cannot_work_is_one_sentence(
    azure: emulator_process.Emulator, tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    path = configure(tmp_path / "inv", **options)
    environ = {**azure.environment(), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"}
    code, dummy, errors = run(["ansible-inventory", "-i", str(path), "--list"], environ, tmp_path)
    told = " ".join(errors.split())
    assert code != 0 and said in told and "Traceback" not in told


def test_a_wrong_secret_is_told_and_not_shown(azure: emulator_process.Emulator, tmp_path: Path) -> None:
    path = configure(tmp_path / "inv", subscriptions=["all"], secret="{{ 'wrong-' ~ 'Sw0rdf1sh' }}")
    client = azure.endpoints["principals"]["rollout"]["client_id"]
    path.write_text(path.read_text("utf-8") + f"client_id: {client}\n", "utf-8")
    environ = {**azure.environment(), "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "1"}
    code, output, errors = run(["ansible-inventory", "-i", str(path), "--list"], environ, tmp_path)
    assert code != 0 and "AADSTS7000215" in errors, errors
    assert "Sw0rdf1sh" not in output + errors
    assert queries(azure) == []


def test_a_rollout_over_the_inventory(start_emulator: StartEmulator, tmp_path: Path) -> None:
    """The whole rollout, on the hosts that the plugin makes; the emulator's own inventory is not used."""
    running = start_emulator(DOZEN)
    path = configure(tmp_path / "inv", running)
    variables = {"hotpatch_hosts": "app-ws25-01:web-ws22-01", "hotpatch_wave_sizes": [1, "100%"]}
    rollout = Rollout(path, tmp_path / "state", running.environment(), variables)
    code, output = rollout.run(tmp_path / "run.log")
    assert code == 0, output
    assert {row["host"]: row["verdict"] for row in rollout.report()["machines"]} == {
        "app-ws25-01": "patched",
        "web-ws22-01": "patched",
    }


def test_machine_info_by_both_sources(azure: emulator_process.Emulator, tmp_path: Path) -> None:
    wide = {"management_groups": ["mg-all"], "details": "none", "max_failures": "100%"}
    graph = run_module("machine_info", {**wide, "source": "resource_graph"}, azure.environment(), tmp_path)
    asked = len(queries(azure))
    compute = run_module("machine_info", wide, azure.environment(), tmp_path)
    assert (graph["counts"], compute["counts"]) == ({"machines": 7, "read": 7},) * 2
    assert asked == 3 and len(queries(azure)) == 4
    read = [line for line in azure.audit() if line.get("method") == "GET" and "virtualMachines/" in str(line["path"])]
    assert len(read) == 7, "what Resource Graph listed, Compute was asked about"
    names = ("name", "power_state", "patch_mode", "enable_hotpatching", "location")
    rows = [sorted([entry.get(name) for name in names] for entry in found["machines"]) for found in (graph, compute)]
    assert json.dumps(rows[0]) == json.dumps(rows[1])
