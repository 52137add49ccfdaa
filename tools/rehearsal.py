# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make rehearsal`: a whole rollout over the sixty machines of the embedded Azure, then what became of each machine.

The embedded Azure is started if none runs in .build/rehearsal, and stays up: the second rehearsal finds the fleet as
the first one left it, and changes nothing. Between rehearsals its time runs no faster than ours, so that a month does
not pass over a coffee.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import emulator_process
from environments import BUILD, REHEARSAL, ROOT, SetupError, ensure, process_environment

FLEET = ROOT / "emulator" / "fleets" / "sixty.yml"
RUN_DIR = BUILD / "rehearsal"
STATE_DIR = RUN_DIR / "state"
RINGS = [
    {"name": "canary", "hosts": "canary", "waves": [1, "100%"]},
    {"name": "broad", "hosts": "broad", "waves": ["25%", "100%"]},
]
# Once a machine is patched, the next rollout finds it so; whatever its last verdict was, nothing is left to do.
SETTLED = {"patched", "patched_by_platform", "patched_restarted_as_planned", "restarted_unexpectedly"}


def run() -> int:
    """Starts or finds the embedded Azure, rolls out, and compares the report with what the fleet file expects."""
    bin_folder = ensure(REHEARSAL)
    running = emulator_process.find(RUN_DIR)
    if running is not None and not current():
        print("The embedded Azure was changed since it was started; it starts afresh.", flush=True)
        emulator_process.stop(RUN_DIR)
        running = None
    again = running is not None and (STATE_DIR / "report.json").is_file()
    if running is None:
        clear()
        print("Starting the embedded Azure with sixty machines ...", flush=True)
        running = emulator_process.start(bin_folder, FLEET, RUN_DIR)
        (RUN_DIR / "digest").write_text(emulator_digest(), encoding="utf-8")
    else:
        print("The embedded Azure is still up from the last rehearsal.", flush=True)
    clock = RUN_DIR / "speed"
    if clock.is_file():
        running.control("/emulator/clock", "PUT", {"rate": float(clock.read_text(encoding="utf-8"))})
    else:
        clock.write_text(str(running.control("/emulator/clock")["rate"]), encoding="utf-8")
    try:
        code = roll_out(bin_folder, running)
    finally:
        running.control("/emulator/clock", "PUT", {"rate": 1.0})
    report_file = STATE_DIR / "report.json"
    if code != 0 or not report_file.is_file():
        print(f"The rollout ended with code {code}; the embedded Azure is still up: {RUN_DIR}", file=sys.stderr)
        return code or 1
    return judge(json.loads(report_file.read_text(encoding="utf-8")), expectations(running), again)


def roll_out(bin_folder: Path, running: emulator_process.Emulator) -> int:
    """Runs the playbook as a user would: the emulator's environment, its inventory, and two variables of our own."""
    # Some of the sixty end badly on purpose; the budget lets the rollout go on past them.
    variables = {
        "hotpatch_state_dir": str(STATE_DIR),
        "hotpatch_report_dir": str(STATE_DIR),
        "hotpatch_error_budget": "100%",
        "hotpatch_not_started_limit": "100%",
        # The one that takes too long is known after half an hour of emulated time.
        "hotpatch_maximum_duration": "PT40M",
        # And the one that falls silent after five minutes.
        "hotpatch_guest_timeout": 300,
        "hotpatch_rings": RINGS,
    }
    command = [
        str(bin_folder / "ansible-playbook"),
        "winfleet.hotpatch.rollout",
        "-i",
        str(running.inventory),
        "-e",
        json.dumps(variables),
    ]
    print("ansible-playbook winfleet.hotpatch.rollout -i inventory.yml", flush=True)
    # With sixty hosts only what is out of the ordinary is worth a line each; the progress and the table are not hosts'.
    quiet = {"ANSIBLE_DISPLAY_OK_HOSTS": "false", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false"}
    if sys.stdout.isatty():
        quiet["ANSIBLE_FORCE_COLOR"] = "true"
    environ = process_environment(bin_folder, **running.environment(), **quiet)
    with subprocess.Popen(command, cwd=RUN_DIR, env=environ, stdout=subprocess.PIPE, text=True) as process:
        told = process.stdout or ()
        for line in told:
            if line.startswith("PLAY RECAP"):
                break  # counts of tasks by host, below a table that says what became of each
            print(line, end="", flush=True)
        for dummy in told:
            pass
    return process.returncode


def expectations(running: emulator_process.Emulator) -> dict[str, dict[str, str]]:
    """The verdict, and where it matters the reason's code, that the fleet file expects for each machine, by name."""
    expected: dict[str, dict[str, str]] = json.loads((running.run_dir / "expect.json").read_text(encoding="utf-8"))
    return expected


def as_expected(machine: dict[str, Any], wanted: dict[str, str], again: bool) -> bool:
    """Whether a machine of the report ended as the fleet file expects of this, or of a second rehearsal."""
    if again and "again" in wanted:
        return bool(machine["verdict"] == wanted["again"])
    if again and wanted["verdict"] in SETTLED and machine["verdict"] == "already_current":
        return True
    reason = wanted.get("reason", machine["reason_code"])
    return bool(machine["verdict"] == wanted["verdict"] and machine["reason_code"] == reason)


def judge(report: dict[str, Any], expected: dict[str, dict[str, str]], again: bool) -> int:
    """Prints whether each machine ended as the fleet file says, and where the report is; 0 when all did."""
    found = {machine["name"]: machine for machine in report["machines"]}
    wrong = []
    for name, wanted in expected.items():
        machine = found.get(name, {"verdict": "absent", "reason_code": ""})
        if not as_expected(machine, wanted, again):
            should = wanted.get("again") if again else None
            should = should or " because of ".join(wanted[key] for key in ("verdict", "reason") if key in wanted)
            wrong.append(f"{name} ended as {machine['verdict']} ({machine['reason_code']}), expected {should}")
    wrong += [f"{name} is not in the fleet file" for name in found.keys() - expected.keys()]
    if again and report["changed"]:
        wrong.append("a second rehearsal changed something")
    print(f"\nReport: {_shown(STATE_DIR / 'report.txt')} and report.json beside it.")
    print(f"The embedded Azure's own log of what was done: {_shown(RUN_DIR / 'audit.jsonl')}")
    if wrong:
        print("\nNot as the fleet file expects:")
        print("\n".join(f"  {sentence}" for sentence in wrong))
        return 1
    if again:
        print("Nothing was changed: every machine is as the last rehearsal left it.")
    else:
        print(f"All {len(expected)} machines ended as the fleet file expects. Run it again: nothing will change.")
    print("The embedded Azure stays up for that; `make rehearsal-stop` ends it.")
    return 0


def emulator_digest() -> str:
    """A digest of the emulator's code and fleet file: an emulator that runs other code than is here would mislead."""
    files = [FLEET, *sorted((ROOT / "emulator" / "src").rglob("*.py"))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def current() -> bool:
    """Whether the embedded Azure that was started last is of the code that is here now."""
    digest = RUN_DIR / "digest"
    return digest.is_file() and digest.read_text(encoding="utf-8") == emulator_digest()


def clear() -> None:
    """Forgets the last rehearsal: the fleet is new, so is the rollout's state."""
    shutil.rmtree(RUN_DIR, ignore_errors=True)


def stop() -> int:
    """Ends the embedded Azure, if it runs, and forgets the rehearsal."""
    if emulator_process.stop(RUN_DIR):
        print("The embedded Azure of the rehearsal was ended.")
    clear()
    return 0


def _shown(path: Path) -> str:
    return os.path.relpath(path, Path.cwd())


def main(arguments: list[str]) -> int:
    """`run` or `stop`."""
    verbs = {"run": run, "stop": stop}
    if len(arguments) != 1 or arguments[0] not in verbs:
        print("usage: rehearsal.py run | stop", file=sys.stderr)
        return 2
    try:
        return verbs[arguments[0]]()
    except (SetupError, emulator_process.EmulatorError) as problem:
        print(problem, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
