# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts with the psrp connection: Ansible's options become pypsrp's, and what goes wrong ends as a reason."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman import envelope, psrp
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.connection import Deadline
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import Unreachable
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.psrp import PsrpOptions, read_psrp_options

SECRET = "Sw0rdf1sh&<7"
REQUEST = envelope.invoke_request(envelope.Address("https://127.0.0.1/wsman"), "root/x", "A", "B")


def options_of(**given: Any) -> PsrpOptions:
    values = {"remote_addr": "10.0.0.4", "remote_user": "ops", "remote_password": SECRET, "path": "wsman", **given}
    return read_psrp_options(values.get)


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ({}, "https://10.0.0.4:5986/wsman"),
        ({"port": 5985}, "http://10.0.0.4:5985/wsman"),
        ({"protocol": "http"}, "http://10.0.0.4:5985/wsman"),
        ({"protocol": "https"}, "https://10.0.0.4:5986/wsman"),
        ({"port": 5985, "protocol": "https"}, "https://10.0.0.4:5985/wsman"),
        ({"port": "443", "path": "/win/wsman"}, "https://10.0.0.4:443/win/wsman"),
        ({"remote_addr": "fd00::1"}, "https://[fd00::1]:5986/wsman"),
    ],
)
def test_endpoint(given: dict[str, Any], endpoint: str) -> None:
    """The rules of ansible.builtin.psrp."""
    assert options_of(**given).endpoint == endpoint


def test_settings_reach_pypsrp_under_its_names() -> None:
    """And what this ansible-core does not know is left to pypsrp; no secret is shown."""

    def get_option(name: str) -> Any:
        if name == "certificate_key_password":
            raise KeyError(name)  # as ansible-core before 2.21
        return {
            "remote_addr": "h",
            "remote_password": SECRET,
            "cert_validation": "ignore",
            "ca_cert": "/x.pem",
            "auth": "kerberos",
            "negotiate_service": "WSMAN",
            "ignore_proxy": True,
            "operation_timeout": 300,
            "credssp_disable_tlsv1_2": False,
        }.get(name)

    found = read_psrp_options(get_option)
    assert found.settings["cert_validation"] is False and found.settings["no_proxy"] is True
    assert (found.settings["auth"], found.settings["negotiate_service"]) == ("kerberos", "WSMAN")
    assert found.operation_timeout == 60 and "certificate_key_password" not in found.settings
    assert SECRET not in repr(found)
    assert options_of(ca_cert="/x.pem").settings["cert_validation"] == "/x.pem"
    assert options_of().settings["cert_validation"] is True


def test_every_secret_is_blanked() -> None:
    """The password, that of the client's key, and that of the proxy."""
    found = options_of(certificate_key_password="key-secret", proxy="http://me:proxy-secret@proxy")
    assert found.redact(f"{SECRET} key-secret proxy-secret") == "******** ******** ********"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"port": "many"}, "ansible_port is 'many', but must be a whole number"),
        ({"read_timeout": "soon"}, "ansible_psrp_read_timeout is 'soon'"),
    ],
)
def test_options_that_cannot_be_used(given: dict[str, Any], why: str) -> None:
    """One sentence with the option and its value."""
    with pytest.raises(Unreachable, match=re.escape(why)):
        options_of(**given)


def test_without_pypsrp(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is named, with the command that brings it."""
    monkeypatch.setattr(psrp, "IMPORT_ERROR", "No module named 'pypsrp'")
    with pytest.raises(Unreachable, match=r"ansible_connection is psrp, .*named 'pypsrp'.*pip install pypsrp"):
        options_of().open(Deadline(5)).send(REQUEST)


pytest.importorskip("pypsrp")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"auth": "basic", "protocol": "http"}, "Cannot use message encryption with auth 'basic'"),
        ({"auth": "basic", "remote_password": None}, "the password must be specified"),
        ({"auth": "certificate"}, "certificate_key_pem"),
        ({"auth": "magic"}, "'magic' is not supported"),
        ({"remote_addr": "guest.invalid"}, "cannot be resolved"),
    ],
)
def test_options_that_pypsrp_refuses(given: dict[str, Any], why: str) -> None:
    """They end as a reason without the password."""
    with pytest.raises(Unreachable, match=why) as caught:
        options_of(proxy=None, ignore_proxy=True, **given).open(Deadline(10)).send(REQUEST)
    assert SECRET not in caught.value.why
