# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the collection's modules and playbooks as a user does, by ansible and ansible-playbook."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DOZEN = ROOT / "emulator" / "fleets" / "dozen.yml"
SIXTY = ROOT / "emulator" / "fleets" / "sixty.yml"
FLEETS = Path(__file__).resolve().parent / "fleets"
COLLECTIONS = str(ROOT / ".build" / "collections")
BIN = Path(sys.executable).parent
RESULT = re.compile(r"^localhost \| ([A-Z]+)!? (?:\| \S+ )?=> (\{.*\})", re.DOTALL | re.MULTILINE)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a run: plain output, and what makes a client take an emulator for Azure."""
    plain = {
        "ANSIBLE_COLLECTIONS_PATH": COLLECTIONS,
        "ANSIBLE_FORCE_COLOR": "false",
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "NO_COLOR": "1",
    }
    return {**os.environ, **plain, **environ}


def run_module(
    name: str, arguments: dict[str, Any], environ: Mapping[str, str], folder: Path, check: bool = False
) -> dict[str, Any]:
    """Runs one module of the collection on the controller and returns its result, failed or not."""
    command = [str(BIN / "ansible"), "localhost", "-m", f"winfleet.hotpatch.{name}", "-a", json.dumps(arguments)]
    done = subprocess.run(
        [*command, *(["--check"] if check else [])],
        env=environment(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = RESULT.search(done.stdout)
    assert found, f"no result of {name}:\n{done.stdout}\n{done.stderr}"
    result: dict[str, Any] = json.loads(found.group(2))
    return {**result, "failed": found.group(1) == "FAILED"}


def listen_to_interrupts() -> None:
    """Undoes what a background job's shell has set: there SIGINT is ignored, at a terminal it is not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@dataclass
class Rollout:
    """One way to roll out: inventory, variables, environment, and the folder for state and report."""

    inventory: Path
    state_dir: Path
    environ: dict[str, str]
    variables: dict[str, Any]
    playbook: str = "winfleet.hotpatch.rollout"
    options: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """The command line."""
        variables = {"hotpatch_state_dir": str(self.state_dir), **self.variables}
        program = [str(BIN / "ansible-playbook"), self.playbook, "-i", str(self.inventory), *self.options]
        return [*program, "-e", json.dumps(variables)]

    def start(self, output: Path) -> subprocess.Popen[bytes]:
        """Starts it in a session of its own, as a terminal or AWX would; its output goes to a file."""
        with output.open("wb") as stream:
            return subprocess.Popen(
                self.command(),
                env=environment(self.environ),
                cwd=self.inventory.parent,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=listen_to_interrupts,
            )

    def run(self, output: Path, timeout: float = 240) -> tuple[int, str]:
        """Runs it to its end; its exit code and output."""
        process = self.start(output)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        return code, output.read_text(encoding="utf-8", errors="replace")

    def report(self) -> dict[str, Any]:
        """What the run left in report.json."""
        report: dict[str, Any] = json.loads((self.state_dir / "report.json").read_text(encoding="utf-8"))
        return report
