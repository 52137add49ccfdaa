# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many guests read from one task and each from its own: every host's own variables count, and no secret is shown.

What reached the guests is read from the emulator's audit log.
"""

from __future__ import annotations

import base64
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
import emulator_process
import pytest
import yaml
from ansible_runs import BIN, FLEETS, environment

WRONG = "N0t-the-one{{"
VAULT_PASSWORD = "0pen-Sesame"
READABLE = ("plain01", "sealed01", "vault01", "lazy01", "cert01", "psrp01")
REASONS = {
    "mute01": "Connection refused",
    "wrong01": "refused the credentials",
    "ssh01": "ansible_connection is ssh",
    "undefined01": "'nowhere' is undefined",
    "untrusted01": "not trusted",
}

# The credential and the CA come from the play, as AWX's machine credential comes from extra variables.
MANY = """
- name: Read all from one task
  hosts: plain01
  gather_facts: false
  vars:
    ansible_winrm_ca_trust_path: "{{{{ own_trust | default('{ca}') }}}}"
  tasks:
    - name: Read
      winfleet.hotpatch.guest_info:
        hosts: "{{{{ groups['all'] }}}}"
        subset: poll
        timeout: 60
      register: reading
      delegate_to: localhost
      run_once: true
    - name: Keep
      ansible.builtin.copy:
        content: "{{{{ reading.guests | to_json }}}}"
        dest: "{out}"
        mode: "0600"
      delegate_to: localhost
      vars:
        ansible_connection: local
"""
EACH = """
- name: Read each by its own task
  # Ansible itself cannot work out the user of one host, and fails its task before any action runs.
  hosts: all:!undefined01
  gather_facts: false
  vars:
    ansible_winrm_ca_trust_path: "{{{{ own_trust | default('{ca}') }}}}"
  tasks:
    - name: Read
      winfleet.hotpatch.guest_info:
        subset: poll
        timeout: 60
      register: reading
    - name: Show
      ansible.builtin.debug:
        var: reading
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


def inventory_of(running: emulator_process.Emulator, folder: Path) -> str:
    """The emulator's inventory, with its credential taken away and every host reached in a way of its own."""
    document = yaml.safe_load(running.inventory.read_text(encoding="utf-8"))
    group = document["all"]["children"]["rehearsal"]
    password = str(group["vars"].pop("ansible_password"))
    group["vars"].pop("ansible_winrm_ca_trust_path")
    hosts = group["hosts"]
    (folder / "vault-password").write_text(VAULT_PASSWORD, encoding="utf-8")
    vaulted = subprocess.run(
        [str(BIN / "ansible-vault"), "encrypt_string", "--vault-password-file", "vault-password", password],
        cwd=folder,
        env=environment({}),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    group["vars"]["ansible_winrm_operation_timeout_sec"] = "{{ 5 + 5 }}"
    hosts["lazy01"].update(site_password="{{ lookup('env', 'SITE_PASSWORD') }}", ansible_password="{{ site_password }}")
    hosts["wrong01"]["ansible_password"] = WRONG.replace("{{", "{{ '{{' }}")
    hosts["ssh01"]["ansible_connection"] = "ssh"
    hosts["undefined01"]["ansible_user"] = "{{ nowhere }}"
    hosts["untrusted01"].update(own_trust=certifi.where(), ansible_port="{{ 5900 + 86 }}")
    hosts["psrp01"].update(ansible_connection="ansible.builtin.psrp", ansible_psrp_ca_cert=running.endpoints["ca"])
    for name in ("plain01", "sealed01", "psrp01", "mute01", "undefined01", "untrusted01"):
        hosts[name]["ansible_winrm_password"] = "{{ machine_credential }}"
    (folder / "inventory.yml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (folder / "host_vars").mkdir()
    (folder / "host_vars" / "vault01.yml").write_text(f"---\nansible_password: {vaulted}", encoding="utf-8")
    return password


def play(
    running: emulator_process.Emulator, folder: Path, text: str, password: str, *options: str
) -> tuple[dict[str, Any], str]:
    """Run a play; the readings it kept and all that it printed."""
    out = folder / "readings.json"
    (folder / "play.yml").write_text(text.format(ca=running.endpoints["ca"], out=out), encoding="utf-8")
    (folder / "credential.json").write_text(json.dumps({"machine_credential": password}), encoding="utf-8")
    environ = running.environment()
    environ.pop("REQUESTS_CA_BUNDLE")
    program = [str(BIN / "ansible-playbook"), "play.yml", "-i", "inventory.yml", "-e", "@credential.json"]
    done = subprocess.run(
        [*program, "--vault-password-file", "vault-password", *options],
        cwd=folder,
        env=environment({**environ, "SITE_PASSWORD": password, "ANSIBLE_LOG_PATH": str(folder / "ansible.log")}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    printed = done.stdout + done.stderr + (folder / "ansible.log").read_text(encoding="utf-8")
    assert out.is_file(), printed
    return json.loads(out.read_text(encoding="utf-8")), printed


def spellings(secret: str) -> list[str]:
    """A secret as it might be printed."""
    return [secret, base64.b64encode(f"hotpatch-probe:{secret}".encode()).decode()]


@pytest.fixture(name="running")
def _running(start_emulator: Callable[..., emulator_process.Emulator]) -> emulator_process.Emulator:
    return start_emulator(FLEETS / "guests.yml")


def reads(running: emulator_process.Emulator) -> Counter[str]:
    """How many requests each guest answered with something."""
    lines = running.audit()
    return Counter(
        line["machine"] for line in lines if line["kind"] == "winrm" and line["status"] == 200 and "action" in line
    )


@pytest.mark.parametrize("text", [MANY, EACH], ids=["many", "each"])
def test_guests_over_their_own_variables(running: emulator_process.Emulator, tmp_path: Path, text: str) -> None:
    """From one task and from each host's own the same guests are read with the same words, and nothing is printed."""
    password = inventory_of(running, tmp_path)
    found, printed = play(running, tmp_path, text, password, "-vvvv")
    for host in READABLE:
        assert found[host]["reachable"], (host, found[host]["why"])
        assert found[host]["build"]["value"] == 26100
    for host, why in REASONS.items():
        if host in found:
            assert not found[host]["reachable"] and why in found[host]["why"], (host, found[host]["why"])
    assert reads(running) == dict.fromkeys(READABLE, 2)
    for secret in (password, WRONG, VAULT_PASSWORD):
        for spelling in spellings(secret):
            assert spelling not in printed and spelling not in json.dumps(found)
