# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kerberos with real tickets: an MIT KDC, kinit, pywinrm, sealed messages, and guests that accept by their keytab.

Needs Debian's krb5-kdc, krb5-admin-server and krb5-user, and the Python packages of the dependency group ``kerberos``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import emulator_process
import kdc as kdc_module
import pytest
import yaml
from ansible_runs import BIN, FLEETS, environment

pytest.importorskip("kerberos", reason="pykerberos is not installed (dependency group kerberos)")
pytest.importorskip("gssapi", reason="gssapi is not installed (dependency group kerberos)")
PROBLEM = kdc_module.missing()
pytestmark = pytest.mark.skipif(PROBLEM is not None, reason=str(PROBLEM))

USER = f"hotpatch-probe@{kdc_module.REALM}"
PASSWORD = "Dom&in-Passw0rd"
WRONG = "Not-The-D0main-Password"

PLAY = """
- name: Read
  hosts: "{hosts}"
  gather_facts: false
  tasks:
    - name: Ask
      winfleet.hotpatch.guest_info:
        subset: poll
        hosts: "{{{{ {many} }}}}"
      register: reading
    - name: Keep
      ansible.builtin.copy:
        content: "{{{{ reading | to_json }}}}"
        dest: "{out}/{{{{ inventory_hostname }}}}.json"
        mode: "0600"
      delegate_to: localhost
      vars:
        ansible_connection: local
"""


@pytest.fixture(name="kdc")
def _kdc(tmp_path: Path) -> Iterator[kdc_module.Kdc]:
    folder = tmp_path / "kdc"
    folder.mkdir()
    kdc = kdc_module.Kdc(folder)
    kdc.add_user("hotpatch-probe", PASSWORD)
    kdc.add_user("somebody", PASSWORD)
    for host in ("sealed01", "tls01"):
        kdc.add_guest(f"{host}.hotpatch.test")
    kdc.start()
    yield kdc
    kdc.stop()


class Domain:
    """Guests of a domain, and plays that ask them."""

    def __init__(self, kdc: kdc_module.Kdc, running: emulator_process.Emulator, folder: Path) -> None:
        self.kdc = kdc
        self.running = running
        self.folder = folder
        document = yaml.safe_load(running.inventory.read_text(encoding="utf-8"))
        self.group = document["all"]["children"]["rehearsal"]
        self.group["vars"].update(
            ansible_winrm_transport="kerberos",
            ansible_user=USER,
            ansible_password=PASSWORD,
            ansible_winrm_kinit_env_vars=["KRB5_CONFIG"],
            ansible_winrm_kerberos_hostname_override="{{ inventory_hostname }}.hotpatch.test",
        )
        self.document = document

    def play(self, hosts: str = "all", many: str = "omit", **environ: str) -> tuple[dict[str, Any], str]:
        """Results by host and all that was printed."""
        (self.folder / "inventory.yml").write_text(yaml.safe_dump(self.document), encoding="utf-8")
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        (self.folder / "play.yml").write_text(PLAY.format(hosts=hosts, many=many, out=out), encoding="utf-8")
        own = {"KRB5_CONFIG": self.kdc.environment["KRB5_CONFIG"], "TMPDIR": str(self.folder)}
        done = subprocess.run(
            [str(BIN / "ansible-playbook"), "-i", "inventory.yml", "play.yml", "-vvvv"],
            cwd=self.folder,
            env=environment({**self.running.environment(), **own, **environ}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == 0, printed
        for secret in (PASSWORD, WRONG):
            assert secret not in printed
        assert not list(self.folder.glob("hotpatch-tickets-*")), "no ticket is left behind"
        return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in out.glob("*.json")}, printed

    def asked(self) -> list[tuple[str, str, bool]]:
        """Which guest answered a read, after which authentication, and whether sealed."""
        lines = [line for line in self.running.audit() if line["kind"] == "winrm" and "action" in line]
        return [(line["machine"], line["authentication"], line["sealed"]) for line in lines]


@pytest.fixture(name="domain")
def _domain(
    kdc: kdc_module.Kdc,
    start_emulator: Callable[..., emulator_process.Emulator],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Domain:
    for name, value in kdc.environment.items():
        monkeypatch.setenv(name, value)
    running = start_emulator(FLEETS / "kerberos.yml")
    for name in kdc.environment:
        monkeypatch.delenv(name)
    return Domain(kdc, running, tmp_path)


def test_a_ticket_by_password(domain: Domain) -> None:
    """kinit gets it, the guest accepts it; http is sealed, https is bound to its channel; what is no member is told."""
    results, dummy = domain.play()
    assert results["sealed01"]["reachable"], results["sealed01"]["why"]
    assert results["tls01"]["reachable"], results["tls01"]["why"]
    assert results["tls01"]["guest"]["build"]["value"] == 26100
    assert not results["stranger01"]["reachable"]
    assert "Kerberos" in results["stranger01"]["why"] and "not found" in results["stranger01"]["why"]
    assert sorted(domain.asked()) == [("sealed01", "kerberos", True)] * 2 + [("tls01", "kerberos", False)] * 2
    issued = domain.kdc.asked()
    assert sum("AS_REQ" in line for line in issued) == 3, "one for each task"
    assert sum("TGS_REQ" in line and "HTTP/tls01" in line for line in issued) == 1


def test_many_guests_share_a_ticket(domain: Domain) -> None:
    """One task, one password, one kinit; a host with an account of its own has its own ticket."""
    domain.group["hosts"]["tls01"]["ansible_user"] = f"somebody@{kdc_module.REALM}"
    results, dummy = domain.play("localhost", "groups['all']")
    guests = results["localhost"]["guests"]
    assert guests["sealed01"]["reachable"], guests["sealed01"]["why"]
    assert not guests["tls01"]["reachable"] and "may not use WinRM" in guests["tls01"]["why"]
    assert sum("AS_REQ" in line for line in domain.kdc.asked()) == 2
    assert domain.asked() == [("sealed01", "kerberos", True)] * 2


def test_a_wrong_password_is_tried_once(domain: Domain) -> None:
    """It would lock the account otherwise, with so many hosts."""
    domain.group["vars"]["ansible_password"] = WRONG
    results, dummy = domain.play("localhost", "groups['all']")
    for guest in results["localhost"]["guests"].values():
        assert not guest["reachable"] and "no Kerberos ticket for hotpatch-probe" in guest["why"], guest["why"]
    log = (domain.kdc.folder / "kdc.log").read_text(encoding="utf-8")
    assert log.count("PREAUTH_FAILED") <= 1 and domain.asked() == []


def test_a_ticket_that_is_there_already(domain: Domain) -> None:
    """kinit_mode manual: nobody asks for another, and it is left alone."""
    environ = {**domain.kdc.environment, "KRB5CCNAME": f"FILE:{domain.folder}/ticket"}
    kinit = kdc_module.program("kinit")
    assert kinit is not None
    subprocess.run([kinit, USER], input=PASSWORD, env=environ, text=True, check=True, capture_output=True)
    domain.group["vars"].pop("ansible_password")
    results, dummy = domain.play("sealed01", KRB5CCNAME=environ["KRB5CCNAME"])
    assert results["sealed01"]["reachable"], results["sealed01"]["why"]
    assert sum("AS_REQ" in line for line in domain.kdc.asked()) == 1
    assert (domain.folder / "ticket").is_file()


def test_no_ticket_at_all(domain: Domain) -> None:
    """Neither a password nor a ticket."""
    domain.group["vars"].pop("ansible_password")
    results, dummy = domain.play("sealed01", KRB5CCNAME=f"FILE:{domain.folder}/none")
    assert not results["sealed01"]["reachable"] and "is there a ticket (klist)" in results["sealed01"]["why"]
    assert domain.asked() == []


def test_no_kdc(domain: Domain) -> None:
    """Nobody answers kinit."""
    domain.kdc.stop()
    results, dummy = domain.play("sealed01")
    assert "no Kerberos ticket for hotpatch-probe" in results["sealed01"]["why"]
