# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile and broken guests, met by real ansible-playbook at its loudest: each ends in time, with a reason, in secrecy.

The passwords are looked for in everything that is left: output, log, results.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import emulator_process
import pytest
import yaml
from ansible_runs import BIN, FLEETS, environment

WRONG = "Qu1te-another-0ne"
SECONDS = 12
# Name of the guest to a part of the reason; None where it was read in parts.
REASONS: dict[str, str | None] = {
    "healthy": None,
    "echo": None,
    "echo-denied": None,
    "endless-pulls": None,
    "corrupt-wmi": None,
    "denied": None,
    "doctype": "DOCTYPE",
    "garbage": "not well-formed",
    "endless-body": "larger than",
    "slow-drip": "seconds allowed",
    "hang": "in time|seconds allowed",
    "reset": "closed the connection",
    "truncate": "closed the connection",
    "wrong-relates-to": "another message",
    "http-error": "HTTP 503",
    "stopped": "Connection refused",
    "password": "refused the credentials",
    "other-name": "certificate is not trusted",
}
MANY = """
- name: Read all from one task
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Read
      winfleet.hotpatch.guest_info:
        hosts: "{{{{ groups['rehearsal'] }}}}"
        timeout: {seconds}
      register: reading
    - name: Keep
      ansible.builtin.copy:
        content: "{{{{ reading.guests | to_json }}}}"
        dest: "{out}"
        mode: "0600"
"""
EACH = """
- name: Read each by its own task
  hosts: rehearsal
  gather_facts: false
  tasks:
    - name: Read
      winfleet.hotpatch.guest_info:
        timeout: {seconds}
      register: reading
    - name: Keep
      ansible.builtin.copy:
        content: "{{{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'reading')
          | map(attribute='guest'))) | to_json }}}}"
        dest: "{out}"
        mode: "0600"
      delegate_to: localhost
      run_once: true
      vars:
        ansible_connection: local
"""


@pytest.mark.parametrize("text", [MANY, EACH], ids=["many", "each"])
def test_hostile_guests(start_emulator: Callable[..., emulator_process.Emulator], tmp_path: Path, text: str) -> None:
    """Nobody fails, nobody is unreachable for Ansible, nobody hangs, and nobody's secret is told."""
    running = start_emulator(FLEETS / "hostile.yml")
    document = yaml.safe_load(running.inventory.read_text(encoding="utf-8"))
    group = document["all"]["children"]["rehearsal"]
    password = str(group["vars"]["ansible_password"])
    group["hosts"]["password"]["ansible_password"] = WRONG
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(document), encoding="utf-8")
    out, log = tmp_path / "readings.json", tmp_path / "ansible.log"
    (tmp_path / "play.yml").write_text(text.format(out=out, seconds=SECONDS), encoding="utf-8")
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "-i", "inventory.yml", "play.yml", "-vvvv", "--forks", "20"],
        cwd=tmp_path,
        env=environment({**running.environment(), "ANSIBLE_LOG_PATH": str(log)}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20 * SECONDS,
        check=False,
    )
    printed = done.stdout + done.stderr + log.read_text(encoding="utf-8")
    assert done.returncode == 0, printed
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    assert set(found) == set(REASONS)
    for host, why in REASONS.items():
        guest = found[host]
        assert guest["reachable"] is (why is None), (host, guest["why"])
        assert why is None or any(part in guest["why"] for part in why.split("|")), (host, guest["why"])
    assert found["healthy"]["kbs"]["state"] == "value"
    assert found["endless-pulls"]["kbs"]["state"] == "unreadable" == found["denied"]["boot_time"]["state"]
    assert found["corrupt-wmi"]["pending_restart"]["state"] == "unreadable"
    assert found["echo"]["caption"]["value"] == "******** ********"
    assert "******** ********" in found["echo-denied"]["boot_time"]["why"]
    everything = printed + json.dumps(found)
    for secret in (password, WRONG):
        account = f"{group['vars']['ansible_user']}:{secret}"
        for spelling in (secret, quote(secret), base64.b64encode(account.encode()).decode()):
            assert spelling not in everything
