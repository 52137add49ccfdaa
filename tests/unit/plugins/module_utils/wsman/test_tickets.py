# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""kinit is called as Ansible calls it, once for each user and password, and nothing of it stays behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.connection import read_options
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import Unreachable
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.tickets import Kinit, Tickets

SECRET = "Sw0rdf1sh"


@pytest.fixture(name="kinit")
def _kinit(tmp_path: Path) -> str:
    """A kinit that notes how it was called, writes a ticket, and obeys its principal."""
    path = tmp_path / "kinit"
    path.write_text(
        "#!/bin/sh\n"
        f'read password; echo "$*|$password|$KRB5CCNAME|${{EXTRA-unset}}" >> {tmp_path}/calls\n'
        'case "$*" in *wrong*) echo "kinit: Password incorrect for $password" >&2; exit 1;;\n'
        "*slow*) exec sleep 30;; esac\n"
        'touch "${KRB5CCNAME#DIR:}/ticket"\n',
        encoding="utf-8",
    )
    path.chmod(0o700)
    return str(path)


def calls(kinit: str) -> list[list[str]]:
    return [line.split("|") for line in (Path(kinit).parent / "calls").read_text(encoding="utf-8").splitlines()]


def test_one_call_for_each_user_and_password(kinit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password comes by standard input, the environment is empty but for what is named, and all is put back."""
    monkeypatch.setenv("KRB5CCNAME", "FILE:/before")
    monkeypatch.setenv("EXTRA", "seen")
    tickets = Tickets()
    for dummy in range(3):
        tickets.obtain(Kinit("ops@X", SECRET, kinit), 10)
        tickets.obtain(Kinit("other@X", SECRET, kinit, ("-f",), ("EXTRA",)), 10)
    folder = os.environ["KRB5CCNAME"].removeprefix("DIR:")
    assert calls(kinit) == [
        ["ops@X", SECRET, f"DIR:{folder}", "unset"],
        ["-f other@X", SECRET, f"DIR:{folder}", "seen"],
    ]
    assert os.stat(folder).st_mode & 0o777 == 0o700 and (Path(folder) / "ticket").is_file()
    tickets.forget()
    assert os.environ["KRB5CCNAME"] == "FILE:/before" and not Path(folder).exists()
    tickets.forget()


@pytest.mark.parametrize(
    ("principal", "seconds", "why"),
    [
        ("wrong@X", 10, r"no Kerberos ticket for wrong@X: kinit said: .*Password incorrect for \*{8}$"),
        ("slow@X", 0.3, "the KDC did not answer kinit in time"),
    ],
)
def test_a_refusal_is_remembered(kinit: str, principal: str, seconds: float, why: str) -> None:
    """Every host that shares the credential gets the same reason, and the account is not locked."""
    tickets = Tickets()
    for dummy in range(3):
        with pytest.raises(Unreachable, match=why) as caught:
            tickets.obtain(Kinit(principal, SECRET, kinit), seconds)
        assert SECRET not in str(caught.value)
    assert len(calls(kinit)) == 1
    tickets.forget()
    assert "KRB5CCNAME" not in os.environ


def test_no_kinit() -> None:
    """The package is named, and the other way."""
    tickets = Tickets()
    with pytest.raises(
        Unreachable, match=r"/nowhere/kinit cannot be run .*krb5-user.*ansible_winrm_kinit_mode to manual"
    ):
        tickets.obtain(Kinit("ops@X", SECRET, "/nowhere/kinit"), 10)
    tickets.forget()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Kinit("ops@X", SECRET)),
        ({"remote_password": None}, None),
        ({"remote_password": None, "kerberos_mode": "managed"}, Kinit("ops@X", "")),
        ({"kerberos_mode": "manual"}, None),
        ({"kinit_args": "-k -t '/a b'"}, Kinit("ops@X", SECRET, "kinit", ("-k", "-t", "/a b"))),
        ({"_extras": {"ansible_winrm_kerberos_delegation": True}}, Kinit("ops@X", SECRET, "kinit", ("-f",))),
        (
            {"kerberos_command": "/opt/kinit", "kinit_env_vars": ["KRB5_CONFIG"]},
            Kinit("ops@X", SECRET, "/opt/kinit", (), ("KRB5_CONFIG",)),
        ),
    ],
)
def test_the_rules_of_ansible(given: dict[str, Any], expected: Kinit | None) -> None:
    """A ticket is got where there is a password, unless told otherwise; no repr shows it."""
    values = {"remote_addr": "web01", "port": 5985, "remote_user": "ops@X", "remote_password": SECRET, **given}
    found = read_options(values.get)
    assert found.kinit == expected and found.transports == ("kerberos",)
    assert SECRET not in repr(found)
