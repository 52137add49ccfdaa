# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe with NTLM and client certificates against the emulator's guests: real cryptography on both sides.

How a guest was asked, and whether sealed, is read from the emulator's audit log.
"""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.probe import probe

pytest.importorskip("winrm")
trustme = pytest.importorskip("trustme")

DOCUMENT = {
    "now": "2026-05-13T01:00:00Z",
    "speed": 0,
    "machines": [
        {"name": "http01", "guest": {"authentication": ["ntlm"], "https_listener": False, "http_listener": True}},
        {"name": "tls01", "guest": {"authentication": ["ntlm"], "cbt_hardening": "strict"}},
        {"name": "cert01", "guest": {"authentication": ["certificate"]}},
        {"name": "basic01", "guest": {"authentication": ["basic"]}},
    ],
}
WRONG = "Not-the-passw0rd"


@pytest.fixture
def guests(emulated: Any) -> Any:
    return emulated(DOCUMENT)


@pytest.mark.parametrize(
    ("name", "transport", "extras", "asked"),
    [
        ("http01", ["ntlm"], {}, ("ntlm", True)),
        ("http01", ["basic", "ntlm"], {}, ("ntlm", True)),
        ("tls01", ["ntlm"], {}, ("ntlm", False)),
        ("tls01", ["ntlm"], {"ansible_winrm_message_encryption": "always"}, ("ntlm", True)),
        ("basic01", ["ntlm", "ssl"], {}, ("basic", False)),
        ("http01", ["psrp:negotiate"], {}, ("ntlm", True)),
        ("http01", ["psrp:ntlm"], {}, ("ntlm", True)),
        ("tls01", ["psrp:negotiate"], {}, ("ntlm", False)),
        ("tls01", ["psrp:ntlm"], {"ansible_winrm_message_encryption": "always"}, ("ntlm", True)),
        ("basic01", ["psrp:basic"], {}, ("basic", False)),
    ],
)
def test_ntlm(guests: Any, name: str, transport: list[str], extras: dict[str, Any], asked: tuple[str, bool]) -> None:
    """Sealed over http, bound to the channel over https."""
    facts = guests.probe(name, transport, extras)
    assert facts.reachable and facts.ubr.value == guests.fleet.by_name(name).guest.ubr
    assert guests.asked() == [asked] * facts.round_trips


@pytest.mark.parametrize("transport", ["certificate", "ssl", "psrp:certificate"])
@pytest.mark.parametrize("options", [{}, {"remote_user": None, "remote_password": None}])
def test_certificate(guests: Any, transport: str, options: dict[str, Any]) -> None:
    """The mapped certificate stands for the account, with and without a user name."""
    facts = guests.probe("cert01", [transport], guests.certificate(), **options)
    assert facts.reachable, facts.why
    assert guests.asked() == [("certificate", False)] * 2


@pytest.mark.parametrize(
    ("name", "transport", "options", "why"),
    [
        ("http01", "ntlm", {"remote_password": WRONG}, "user name or password is wrong"),
        ("tls01", "ntlm", {"remote_password": WRONG}, "user name or password is wrong"),
        ("tls01", "ntlm", {"remote_user": "CORP\\\\hotpatch-probe"}, "user name or password is wrong"),
        ("http01", "basic", {}, "does not take basic authentication here (HTTP 401) but offers Negotiate"),
        ("basic01", "ntlm", {}, "but offers Basic; set ansible_winrm_transport to basic"),
        ("basic01", "certificate", {}, "refused the client certificate (HTTP 401)"),
        ("http01", "psrp:ntlm", {"remote_password": WRONG}, "user name or password is wrong"),
        ("tls01", "psrp:basic", {}, "but offers Negotiate, Kerberos; set ansible_psrp_auth to ntlm or kerberos"),
        ("basic01", "psrp:ntlm", {}, "but offers Basic; set ansible_psrp_auth to basic"),
        ("basic01", "psrp:certificate", {}, "refused the client certificate (HTTP 401)"),
    ],
)
def test_refusals(guests: Any, name: str, transport: str, options: dict[str, Any], why: str) -> None:
    """A result with the reason; nothing was answered."""
    facts = guests.probe(name, [transport], guests.certificate(), **options)
    assert not facts.reachable and why in facts.why
    assert guests.asked() == [] and guests.statuses() == {401}


@pytest.mark.parametrize(
    ("transport", "variable"),
    [("ntlm", "ansible_winrm_message_encryption"), ("psrp:ntlm", "ansible_psrp_message_encryption")],
)
def test_unsealed_messages_are_refused_with_the_way_out(guests: Any, transport: str, variable: str) -> None:
    """AllowUnencrypted is false on a Windows that nobody has changed."""
    facts = guests.probe("http01", [transport], {"ansible_winrm_message_encryption": "never"})
    assert not facts.reachable and variable in facts.why


def test_a_certificate_of_somebody_else(guests: Any) -> None:
    """Of another account, and of another authority."""
    facts = guests.probe("cert01", ["certificate"], guests.certificate("somebody@localhost"))
    assert not facts.reachable and "maps it to no account" in facts.why
    facts = guests.probe("cert01", ["certificate"], guests.certificate(authority=trustme.CA()))
    assert not facts.reachable and "does not trust the issuer of the client certificate" in facts.why


@pytest.mark.parametrize("transport", ["ntlm", "psrp:ntlm"])
def test_a_forgotten_session_is_renewed(guests: Any, transport: str) -> None:
    """Sealed with new keys, and nothing is lost."""
    guests.listeners.faults.set(guests.fleet.by_name("http01").guest.address, {"answer": "forget_session", "times": 1})
    facts = guests.probe("http01", [transport])
    assert facts.reachable, facts.why
    assert guests.asked() == [("ntlm", True)] * 2


@pytest.mark.parametrize("transport", ["ntlm", "psrp:ntlm"])
@pytest.mark.parametrize("name", ["http01", "tls01"])
def test_a_dropped_connection_is_authenticated_anew(guests: Any, name: str, transport: str) -> None:
    """Windows drops idle connections after two minutes, and with them what was proved."""
    sender = guests.sender(name, [transport], {})
    first = probe(sender, guests.clock, "poll")
    assert first.reachable
    station = guests.listeners._stations[guests.fleet.by_name(name).guest.address]

    async def drop() -> None:
        station.drop()

    guests.run(drop())
    again = probe(sender, guests.clock, "poll")
    sender.close()
    assert again.reachable and again.ubr.value == first.ubr.value, again.why
    assert guests.asked() == [("ntlm", name == "http01")] * 4


def test_a_password_that_changes_between_reads(guests: Any) -> None:
    """The second read ends as a reason, and nothing is sent unsealed instead."""
    sender = guests.sender("http01", ["ntlm"], {})
    assert probe(sender, guests.clock, "poll").reachable
    guest = guests.fleet.by_name("http01").guest
    guest.password = "An0ther-one"
    station = guests.listeners._stations[guest.address]

    async def drop() -> None:
        station.drop()

    guests.run(drop())
    for dummy in range(2):
        facts = probe(sender, guests.clock, "poll")
        assert not facts.reachable and "refused the credentials" in facts.why
    sender.close()
    assert guests.asked() == [("ntlm", True)] * 2


@pytest.mark.parametrize("transport", ["ntlm", "psrp:ntlm"])
@pytest.mark.parametrize("answer", ["doctype", "garbage", "wrong_relates_to"])
def test_hostile_content_that_is_sealed(guests: Any, answer: str, transport: str) -> None:
    """Whoever has the keys may still lie."""
    guests.listeners.faults.set(guests.fleet.by_name("http01").guest.address, {"answer": answer})
    facts = guests.probe("http01", [transport])
    assert not facts.reachable
    assert any(word in facts.why for word in ("DOCTYPE", "not well-formed", "another message", "UTF-8")), facts.why


@pytest.mark.parametrize("transport", ["ntlm", "psrp:ntlm"])
@pytest.mark.parametrize("answer", ["reset", "truncate", "http_error", "endless_body", "hang"])
def test_other_troubles_of_sealed_answers(guests: Any, answer: str, transport: str) -> None:
    """Each ends as a reason."""
    guests.listeners.faults.set(guests.fleet.by_name("http01").guest.address, {"answer": answer})
    facts = guests.probe("http01", [transport], connection_timeout=1)
    assert not facts.reachable and facts.why.isprintable()
