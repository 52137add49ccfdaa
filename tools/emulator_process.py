# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts, finds and ends the embedded Azure as a process of its own, for rehearsals and for tests."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class EmulatorError(Exception):
    """The embedded Azure did not start or does not answer; the message says where its log is."""


@dataclass(frozen=True)
class Emulator:
    """A running embedded Azure: its process, its run folder, and what `endpoints.json` there says."""

    pid: int
    run_dir: Path
    endpoints: dict[str, Any]

    @property
    def inventory(self) -> Path:
        """The Ansible inventory of the fleet."""
        return self.run_dir / "inventory.yml"

    def environment(self) -> dict[str, str]:
        """What `environment.sh` exports: everything a client needs to take the emulator for Azure."""
        exported: dict[str, str] = {}
        for line in (self.run_dir / "environment.sh").read_text(encoding="utf-8").splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["export"]:
                exported.update({name: value for name, dummy, value in (word.partition("=") for word in words[1:])})
        return exported

    def audit(self) -> list[dict[str, Any]]:
        """Every line of the audit log so far, in order; a line that is still being written is left out."""
        text = (self.run_dir / "audit.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def control(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Sends one request to the control port and returns its JSON answer."""
        data = None if body is None else json.dumps(body).encode()
        url = self.endpoints["control"].rstrip("/") + path
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text.strip() else None


def start(bin_folder: Path, fleet: Path, run_dir: Path, *options: str, timeout: float = 30) -> Emulator:
    """Starts an emulator that outlives this process, and returns it when it answers.

    Raises EmulatorError when it ends or stays silent for `timeout` seconds.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "endpoints.json").unlink(missing_ok=True)
    log = run_dir / "emulator.log"
    command = [str(bin_folder / "hotpatch-emulator"), "--fleet", str(fleet), "--run-dir", str(run_dir), *options]
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, start_new_session=True
        )
    (run_dir / "emulator.pid").write_text(str(process.pid), encoding="utf-8")
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        running = find(run_dir)
        if running is not None:
            return running
        time.sleep(0.1)
    stop(run_dir)
    tail = log.read_text(encoding="utf-8")[-2000:]
    raise EmulatorError(f"The emulator did not start with {fleet}; its log {log} ends with:\n{tail}")


def find(run_dir: Path) -> Emulator | None:
    """The emulator that runs in this folder and answers, or None."""
    try:
        pid = int((run_dir / "emulator.pid").read_text(encoding="utf-8"))
        endpoints = json.loads((run_dir / "endpoints.json").read_text(encoding="utf-8"))
        os.kill(pid, 0)
        running = Emulator(pid, run_dir, endpoints)
        running.control("/emulator/ready")
    except (OSError, ValueError, KeyError):
        return None
    return running


def stop(run_dir: Path, timeout: float = 10) -> bool:
    """Ends the emulator of this folder, if one runs there; True when there was one."""
    pid_file = run_dir / "emulator.pid"
    try:
        pid = int(pid_file.read_text(encoding="utf-8"))
        if b"hotpatch" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            raise ProcessLookupError(pid)  # the number has gone to another process since
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        pid_file.unlink(missing_ok=True)
        return False
    deadline = time.monotonic() + timeout
    while _alive(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    pid_file.unlink(missing_ok=True)
    return True


def _alive(pid: int) -> bool:
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass  # started by another process, which reaps it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"


def main(arguments: list[str]) -> int:
    """`start FLEET RUN_DIR [OPTION...]` or `stop RUN_DIR`, for callers that are no Python."""
    if arguments[:1] == ["start"] and len(arguments) >= 3:
        running = start(Path(sys.executable).parent, Path(arguments[1]), Path(arguments[2]), *arguments[3:])
        print(running.endpoints["arm"])
        return 0
    if arguments[:1] == ["stop"] and len(arguments) == 2:
        stop(Path(arguments[1]))
        return 0
    print("usage: emulator_process.py start FLEET RUN_DIR [OPTION...] | stop RUN_DIR", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
