# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make foreign-az`: the az CLI, pointed at the embedded Azure, reads machines, assesses and installs.

A foreign client is the best judge of whether the emulator answers as Azure does. Installs azure-cli (some hundred MB)
into an environment of its own under .build/.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import emulator_process
import foreign_clients
from environments import AZURE_CLI, BUILD, REHEARSAL, ROOT, SetupError, ensure, process_environment

RUN_DIR = BUILD / "foreign-az"
CLOUD = "HotpatchEmulator"
WAIT_SECONDS = 10


class Az(foreign_clients.Checks):
    """Runs az in a configuration folder of its own, and keeps count of what it said."""

    def __init__(self, bin_folder: Path, running: emulator_process.Emulator) -> None:
        """Takes the emulator's CA, and nothing of the user's az."""
        super().__init__()
        self._running = running
        self._program = str(bin_folder / "az")
        self._environ = process_environment(
            bin_folder,
            AZURE_CONFIG_DIR=str(RUN_DIR / "config"),
            AZURE_CORE_INSTANCE_DISCOVERY="false",
            AZURE_CORE_COLLECT_TELEMETRY="false",
            REQUESTS_CA_BUNDLE=str(running.endpoints["ca"]),
        )

    def ask(self, *arguments: str, secret: str = "") -> Any:
        """One az command; its JSON answer, or None when it failed (the failure is printed and counted)."""
        command = [self._program, *arguments, "--only-show-errors", "--output", "json"]
        code, output, errors = foreign_clients.run(command, self._environ, self._running, WAIT_SECONDS)
        shown = " ".join(arguments).replace(secret, "***") if secret else " ".join(arguments)
        self.check(f"az {shown}", code == 0, errors)
        return json.loads(output) if code == 0 and output.strip() else None


def accept(az: Az, running: emulator_process.Emulator) -> None:
    """What a user of az would do with a machine: log in, look at it, assess it, install on it, look again."""
    endpoints = running.endpoints
    az.ask("cloud", "register", "--name", CLOUD, "--endpoint-resource-manager", endpoints["arm"])
    az.ask("cloud", "set", "--name", CLOUD)
    secret = endpoints["client_secret"]
    login = ["login", "--service-principal", "--username", endpoints["client_id"], "--password", secret]
    az.ask(*login, "--tenant", endpoints["tenant_id"], secret=secret)
    machines = az.ask("vm", "list") or []
    az.check("az vm list shows the dozen", len(machines) >= 12, f"{len(machines)} machines")
    wanted = next((machine for machine in machines if _hotpatched(machine)), None)
    if wanted is None:
        az.check("one of them is enrolled", False, "none has enableHotpatching")
        return
    target = ["--resource-group", wanted["resourceGroup"], "--name", wanted["name"]]
    shown = az.ask("vm", "show", *target) or {}
    az.check("az vm show shows that machine", shown.get("id", "").lower() == wanted["id"].lower(), str(shown)[:500])
    view = az.ask("vm", "get-instance-view", *target) or {}
    az.check("its instance view says that it runs", "PowerState/running" in json.dumps(view), str(view)[:500])
    assessment = az.ask("vm", "assess-patches", *target) or {}
    az.check("the assessment succeeded", assessment.get("status") == "Succeeded", str(assessment)[:500])
    install = ["vm", "install-patches", *target, "--maximum-duration", "PT2H", "--reboot-setting", "Never"]
    result = az.ask(*install, "--classifications-to-include-win", "Critical", "Security") or {}
    az.check("the installation succeeded", result.get("status") == "Succeeded", str(result)[:500])
    az.check("it names its patches", bool(result.get("patches")), str(result)[:500])


def _hotpatched(machine: dict[str, Any]) -> bool:
    windows = (machine.get("osProfile") or {}).get("windowsConfiguration") or {}
    return bool((windows.get("patchSettings") or {}).get("enableHotpatching"))


def main() -> int:
    """Sets up both sides, runs the acceptance, and prints totals as the test gates do."""
    fleet = ROOT / "emulator" / "fleets" / "dozen.yml"
    try:
        az_folder, emulator_folder = ensure(AZURE_CLI), ensure(REHEARSAL)
        emulator_process.stop(RUN_DIR)
        shutil.rmtree(RUN_DIR, ignore_errors=True)
        running = emulator_process.start(emulator_folder, fleet, RUN_DIR, "--speed", "1")
    except (SetupError, emulator_process.EmulatorError) as problem:
        print(problem, file=sys.stderr)
        return 1
    try:
        az = Az(az_folder, running)
        accept(az, running)
    finally:
        emulator_process.stop(RUN_DIR)
    return az.total()


if __name__ == "__main__":
    sys.exit(main())
