# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make foreign-read`: azure.azcollection and azure-mgmt-compute of every version read and work on the embedded fleet.

What each of them saw is compared with the fleet file: machine by machine, setting by setting. They come unchanged from
the package index, into environments of their own under .build/ (azure.azcollection's has 900 MB).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import azcollection
import emulator_process
import foreign_clients
from environments import BUILD, COLLECTIONS, REHEARSAL, ROOT, Environment, SetupError, ensure, process_environment

FLEET = ROOT / "emulator" / "fleets" / "sixty.yml"
FOREIGN = ROOT / "tools" / "foreign"
RUN_DIR = BUILD / "foreign-read"
# azure.azcollection pins 33; 40 is what comes next, and "newest" whatever there is by then.
SDK_VERSIONS = ("==33.*", "==34.*", "==35.*", "==36.*", "==37.*", "==38.*", ">=39")
GROUP = "rg-web"
# One healthy machine for each client to work on; what they do to it must not get into another's way.
WORKED_ON = ("web-ws22-z1-0001", "web-ws22-z1-0002", "web-ws22-z2-0001", "web-ws22-z2-0002", "can-ws22-1", "can-ws22-2",
             "web-ws22-updatesoff")  # fmt: skip
TAGGED = "web-ws22-slow"
CLIENT = "colleague"
STEP_SECONDS = 2.0
Machines = dict[str, dict[str, Any]]


def fleet_file(bin_folder: Path) -> Machines:
    """The machines that Azure has, by name, as the fleet file says: defaults merged in, `count` written out."""
    # PyYAML is in the rehearsal's environment, not in the interpreter that runs this.
    code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1], encoding='utf-8'))))"
    command = [str(bin_folder / "python"), "-c", code, str(FLEET)]
    document = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    found: Machines = {}
    for item in document["machines"]:
        merged = {**document["defaults"], **item}
        for key in ("tags", "patch_settings"):
            merged[key] = {**document["defaults"].get(key, {}), **item.get(key, {})}
        count = merged.get("count")
        names = [item["name"]] if count is None else [f"{item['name']}{n:04d}" for n in range(1, count + 1)]
        found.update({name: merged for name in names if not merged.get("deleted")})
    return found


def says(item: Mapping[str, Any]) -> dict[str, Any]:
    """What the fleet file says of a machine outright, in the words that the SDK's script uses."""
    settings = item["patch_settings"]
    said = {
        "location": item["location"],
        "zone": item.get("zone"),
        "tags": {**item["tags"], "hotpatch-ring": item["ring"]},
        "power": item.get("power", "running"),
        "patch_mode": settings["patch_mode"],
        "enable_automatic_updates": item.get("enable_automatic_updates", True),
        "allow_extension_operations": item.get("allow_extension_operations", True),
    }
    if "enable_hotpatching" in settings:
        said["enable_hotpatching"] = settings["enable_hotpatching"]
    if "bypass_platform_safety_checks" in settings:
        said["bypass"] = settings["bypass_platform_safety_checks"]
    if "sku" in item.get("image", {}):
        said["sku"] = item["image"]["sku"]
    if said["power"] == "running":
        said["agent"] = "Ready" if item.get("agent_ready", True) else "Not Ready"
    return said


def differences(seen: Mapping[str, Any], item: Mapping[str, Any]) -> list[str]:
    """Where a client saw something else than the fleet file says."""
    wrong = [
        f"{key}: saw {seen.get(key)!r}, is {value!r}" for key, value in says(item).items() if seen.get(key) != value
    ]
    for key in ("availability_set", "scale_set"):
        last = str(seen.get(key) or "").rpartition("/")[2].lower()
        if last != str(item.get(key) or "").lower():
            wrong.append(f"{key}: saw {seen.get(key)!r}, is {item.get(key)!r}")
    return wrong


def plain(value: Any) -> Any:
    """A value of `ansible-inventory --list`, which wraps what came from elsewhere."""
    return value["__ansible_unsafe"] if isinstance(value, dict) and "__ansible_unsafe" in value else value


class Judge(foreign_clients.Checks):
    """One embedded Azure and the fleet file it was made from."""

    def __init__(self, running: emulator_process.Emulator, fleet: Machines) -> None:
        """Keeps both."""
        super().__init__()
        self.running = running
        self.fleet = fleet
        self.subscription = str(running.endpoints["subscription_ids"][0])
        self.principal = running.endpoints["principals"][CLIENT]

    def compare(self, who: str, seen: Mapping[str, Mapping[str, Any]], worked_on: str) -> None:
        """Every machine, as a client saw it, but the one that somebody works on."""
        wrong = [f"{name} was not seen" for name in self.fleet.keys() - seen.keys()]
        wrong += [f"{name} is not in the fleet file" for name in seen.keys() - self.fleet.keys()]
        for name in seen.keys() & self.fleet.keys() - {worked_on, *WORKED_ON, TAGGED}:
            wrong += [f"{name}: {sentence}" for sentence in differences(seen[name], self.fleet[name])]
        self.check(f"{who} sees {len(self.fleet)} machines as the fleet file has them", not wrong, "\n".join(wrong))

    def sdk(self, bin_folder: Path, wanted: str, worked_on: str) -> None:
        """One version of azure-mgmt-compute reads everything, and works on one machine."""
        running = self.running
        command = [str(bin_folder / "python"), str(FOREIGN / "sdk_client.py"), running.endpoints["arm"]]
        command += [
            str(running.endpoints["tenant_id"]),
            self.principal["client_id"],
            self.subscription,
            GROUP,
            worked_on,
        ]
        environ = process_environment(
            bin_folder,
            REQUESTS_CA_BUNDLE=str(running.endpoints["ca"]),
            FOREIGN_SECRET=self.principal["client_secret"],
        )
        code, output, errors = foreign_clients.run(command, environ, running, STEP_SECONDS, 300)
        self.check(f"azure-mgmt-compute{wanted} works to its end", code == 0, errors)
        if code:
            return
        told = json.loads(output)
        who = f"azure-mgmt-compute {told['version']}"
        self.compare(who, told["machines"], worked_on)
        self.check(f"{who} lists the same", set(told["listed"]) == set(self.fleet), str(told["listed"]))
        in_group = {name for name, item in self.fleet.items() if item["resource_group"] == GROUP}
        self.check(f"{who} lists a group", set(told["in_group"]) == in_group, str(told["in_group"]))
        powered = {n: c for n, c in told["with_status"].items() if any("PowerState" in code for code in c)}
        self.check(f"{who} lists all with their status", powered.keys() == self.fleet.keys(), str(told["with_status"]))
        work = told["work"]
        done = {
            "assessed": "Succeeded",
            "offered": ["KB5087424"],
            "installed": "Succeeded",
            "installed_count": 1,
            "updated": "Succeeded",
            "tags": {"judge": told["version"]},
            "still_hotpatching": True,
        }
        wrong = [f"{key}: {work.get(key)!r} and not {value!r}" for key, value in done.items() if work.get(key) != value]
        self.check(f"{who} assesses, installs and updates", not wrong, "\n".join(wrong))

    def azcollection(self, bin_folder: Path) -> None:
        """azure.azcollection: two modules read, one updates, and the inventory plugin."""
        output = RUN_DIR / "azcollection.json"
        running = self.running
        environ = process_environment(bin_folder)
        environ.update(running.environment())
        environ.update(azcollection.variables(running.endpoints["arm"], RUN_DIR / "azcollection"))
        environ.update(AZURE_CLIENT_ID=self.principal["client_id"], AZURE_SECRET=self.principal["client_secret"])
        variables = {
            "foreign_group": GROUP,
            "foreign_subscription": self.subscription,
            "foreign_tagged": TAGGED,
            "foreign_output": str(output),
            "ansible_python_interpreter": str(bin_folder / "python"),
        }
        command = [str(bin_folder / "ansible-playbook"), str(FOREIGN / "azcollection.yml"), "-e", json.dumps(variables)]
        code, said, errors = foreign_clients.run(command, environ, running, STEP_SECONDS, 600, RUN_DIR)
        self.check("azure.azcollection's play works to its end", code == 0, said + errors)
        if not code:
            self._judge_play(json.loads(output.read_text(encoding="utf-8")))
        self._inventory(bin_folder, environ)

    def _judge_play(self, told: Mapping[str, Any]) -> None:
        group = {name for name, item in self.fleet.items() if item["resource_group"] == GROUP}
        machines = {machine["name"]: machine for machine in told["machines"]}
        self.check("azure_rm_virtualmachine_info sees the group", machines.keys() == group, str(sorted(machines)))
        wrong = []
        for name in machines.keys() & group:
            item, seen = self.fleet[name], machines[name]
            power = item.get("power", "running")
            facts = {"location": item["location"], "power_state": power}
            wrong += [f"{name}: {key} {seen.get(key)!r}" for key, value in facts.items() if seen.get(key) != value]
            if item.get("zone") is not None and seen.get("zones") != [item["zone"]]:
                wrong.append(f"{name}: zones {seen.get('zones')!r}")
        self.check("and their place and power as the fleet file has them", not wrong, "\n".join(wrong))
        listed = {machine["name"] for machine in told["resources"]}
        self.check("azure_rm_resource_info sees the same group", listed == group, str(sorted(listed)))
        self.check("and an instance view", "PowerState" in json.dumps(told["view"]), str(told["view"])[:500])
        self.check(
            "azure_rm_virtualmachine tags a machine", told["update"].get("changed") is True, str(told["update"])[:500]
        )
        puts = [
            line
            for line in self.running.audit()
            if line["kind"] == "request" and line["method"] == "PUT" and str(line["resource_id"]).endswith(TAGGED)
        ]
        accepted = [line for line in puts if 200 <= int(line["status"]) < 300]
        self.check("it sent the whole model", len(accepted) == 1, json.dumps(puts)[:2000])
        bare = bool(accepted) and "patchSettings" not in json.dumps(accepted[0]["body"])
        self.check("without patch settings, as facts/anchors.md 1.2 says", bare, json.dumps(accepted)[:2000])
        reset = [line for line in self.running.audit() if line.get("what") == "model" and "patch_settings" in line]
        self.check("so that hotpatching is off now: drift", bool(reset), "no state line says that the settings changed")

    def _inventory(self, bin_folder: Path, environ: Mapping[str, str]) -> None:
        source = RUN_DIR / "fleet.azure_rm.yml"
        source.write_text(
            json.dumps({"plugin": "azure.azcollection.azure_rm", "auth_source": "env", "plain_host_names": True,
                        "include_vm_resource_groups": ["*"]}),
            encoding="utf-8",
        )  # fmt: skip
        command = [str(bin_folder / "ansible-inventory"), "-i", str(source), "--list"]
        code, output, errors = foreign_clients.run(command, environ, self.running, STEP_SECONDS, 300, RUN_DIR)
        hosts = json.loads(output)["_meta"]["hostvars"] if code == 0 else {}
        # Its default_host_filters leave out what does not run.
        running = {name for name, item in self.fleet.items() if item.get("power", "running") == "running"}
        wrong = [f"{name} is missing" for name in running - hosts.keys()]
        wrong += [f"{name} is too many" for name in hosts.keys() - running]
        self.check(f"the azure_rm inventory lists the {len(running)} that run", not wrong, "\n".join(wrong) or errors)
        wrong = []
        for name in hosts.keys() & self.fleet.keys():
            item, seen = self.fleet[name], hosts[name]
            facts = {"location": item["location"], "resource_group": item["resource_group"].lower()}
            facts["powerstate"] = item.get("power", "running")
            wrong += [
                f"{name}: {key} is {seen.get(key)!r}"
                for key, value in facts.items()
                if str(plain(seen.get(key))).lower() != value
            ]
        self.check("with their place and power", bool(hosts) and not wrong, "\n".join(wrong))
        self._both_inventories(bin_folder, environ, source, set(hosts))

    def _both_inventories(
        self, bin_folder: Path, environ: Mapping[str, str], theirs: Path, of_theirs: set[str]
    ) -> None:
        """Ours and azure_rm's of the same fleet in one run, as somebody has them who comes from the latter."""
        ours = RUN_DIR / "fleet.hotpatch.yml"
        ours.write_text(
            json.dumps({"plugin": "winfleet.hotpatch.machines", "subscriptions": [self.subscription],
                        "plain_host_names": True}),
            encoding="utf-8",
        )  # fmt: skip
        both = f"{environ['ANSIBLE_COLLECTIONS_PATH']}{os.pathsep}{COLLECTIONS}"
        command = [str(bin_folder / "ansible-inventory"), "-i", str(theirs), "-i", str(ours), "--list"]
        code, output, errors = foreign_clients.run(
            command, {**environ, "ANSIBLE_COLLECTIONS_PATH": both}, self.running, STEP_SECONDS, 300, RUN_DIR
        )
        hosts = json.loads(output)["_meta"]["hostvars"] if code == 0 else {}
        wrong = [f"{name} is missing" for name in self.fleet.keys() - hosts.keys()]
        wrong += [f"{name} is too many" for name in hosts.keys() - self.fleet.keys()]
        self.check(f"beside ours the {len(self.fleet)} are one host each", not wrong, "\n".join(wrong) or errors)
        wrong = []
        for name in hosts.keys() & self.fleet.keys():
            seen = {key: plain(value) for key, value in hosts[name].items()}
            stopped = self.fleet[name].get("power", "running") in ("stopped", "deallocated")
            if stopped is not (seen.get("availability") == "stopped"):
                wrong.append(f"{name}: availability is {seen.get('availability')!r}")
            if str(seen.get("id")).lower() != str(seen.get("hotpatch_resource_id")).lower():
                wrong.append(f"{name}: {seen.get('id')} is not {seen.get('hotpatch_resource_id')}")
            # Only azure_rm's hosts have this one.
            if (name in of_theirs) is not ("network_interface" in seen):
                wrong.append(f"{name}: azure_rm's variables")
        self.check("with what both know, stopped ones marked", bool(hosts) and not wrong, "\n".join(wrong))


def main() -> int:
    """Sets everything up, lets each client work, and prints totals as the test gates do."""
    try:
        emulator_folder = ensure(REHEARSAL)
        emulator_process.stop(RUN_DIR)
        shutil.rmtree(RUN_DIR, ignore_errors=True)
        peer = azcollection.prepare()
        sdks = [
            (
                wanted,
                ensure(
                    Environment(
                        f"compute{wanted.strip('=>.*')}",
                        (),
                        (f"azure-mgmt-compute{wanted}", "azure-identity"),
                        with_project=False,
                    )
                ),
            )
            for wanted in SDK_VERSIONS
        ]
        running = emulator_process.start(emulator_folder, FLEET, RUN_DIR, "--speed", "1")
    except (SetupError, emulator_process.EmulatorError) as problem:
        print(problem, file=sys.stderr)
        return 1
    try:
        judge = Judge(running, fleet_file(emulator_folder))
        for (wanted, folder), worked_on in zip(sdks, WORKED_ON, strict=True):
            judge.sdk(folder, wanted, worked_on)
        judge.azcollection(peer)
    finally:
        emulator_process.stop(RUN_DIR)
    return judge.total()


if __name__ == "__main__":
    os.umask(0o077)  # what it leaves in its folder has the tokens of a run
    sys.exit(main())
