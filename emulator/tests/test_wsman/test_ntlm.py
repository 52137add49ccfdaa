# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Negotiate with NTLM: sealed over http, bound to the channel over https, kept with the connection. Real clients."""

from __future__ import annotations

import base64
import logging
import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import spnego
from auth_support import NAME, SERVICES, Raw
from spnego.channel_bindings import GssChannelBindings
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError, WSManFaultError
from wsman_support import CIMV2, Client, Guests

from hotpatch_emulator import config

SEALED = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'


def ntlm(doors: Guests, name: str, scheme: str = "https", **options: Any) -> Client:
    return Client(doors.protocol(name, endpoint=doors.url(name, scheme), transport="ntlm", **options))


@pytest.mark.parametrize(
    ("name", "scheme", "options"),
    [
        ("plain01", "http", {}),
        ("both01", "http", {}),
        ("tls01", "https", {}),
        ("tls01", "https", {"send_cbt": False}),
        ("tls01", "https", {"message_encryption": "always"}),
        ("strict01", "https", {}),
        ("none01", "https", {"send_cbt": False}),
        ("lax01", "http", {"message_encryption": "never"}),
    ],
)
def test_pywinrm(doors: Guests, name: str, scheme: str, options: dict[str, Any]) -> None:
    sealed = options.get("message_encryption", "auto") == "always" or (scheme == "http" and name != "lax01")
    client = ntlm(doors, name, scheme, **options)
    for _ in range(3):
        assert client.rows(NAME) == [{"CSName": doors.guest(name).computer_name.upper()}]
    lines = doors.log()
    # Two legs are refused (nothing, then the challenge); afterwards the connection is known.
    assert [line["status"] for line in lines] == [401, 401] + [200] * (4 if sealed else 3)
    talk = [line for line in lines if line.get("wql")]
    assert {(line["authentication"], line["sealed"]) for line in talk} == {("ntlm", sealed)}


def test_what_travels_over_http_is_sealed(doors: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Any, bytes]] = []
    send = requests.Session.send

    def watch(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        answer = send(self, request, **options)
        seen.append((request, answer.content))
        return answer

    monkeypatch.setattr(requests.Session, "send", watch)
    ntlm(doors, "plain01", "http").rows(NAME)
    request, answer = seen[-1]
    assert request.headers["Content-Type"] == SEALED
    assert b"Win32_OperatingSystem" not in request.body and b"Envelope" not in answer
    assert answer.startswith(b"--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted")


def test_faults_are_sealed_too(doors: Guests) -> None:
    with pytest.raises(WSManFaultError) as caught:
        ntlm(doors, "plain01", "http").rows("SELECT Nothing FROM Win32_Nothing")
    assert caught.value.fault_subcode


@pytest.mark.parametrize("provider", ["negotiate", "ntlm"])
@pytest.mark.parametrize("secure", [False, True])
def test_pypsrp(doors: Guests, provider: str, secure: bool) -> None:
    """Another client, which wraps its tokens in SPNEGO."""
    pypsrp = pytest.importorskip("pypsrp.wsman")
    guest = doors.guest("both01")
    session = pypsrp.WSMan(
        guest.address,
        ssl=secure,
        port=5986 if secure else 5985,
        auth=provider,
        username=guest.username,
        password=guest.password,
        cert_validation=str(doors.ca_file),
        no_proxy=True,
    )
    with session:
        for _ in range(2):
            answer = session.get("http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_OperatingSystem")
            assert guest.computer_name.upper() in "".join(answer.itertext())
    assert {(line["authentication"], line["sealed"]) for line in doors.log() if "action" in line} == {
        ("ntlm", not secure)
    }


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "not-the-one"},
        {"username": "somebody"},
        {"username": "CORP\\hotpatch-probe"},
        {"username": "hotpatch-probe", "password": ""},
    ],
)
def test_wrong_credentials(doors: Guests, scheme: str, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidCredentialsError):
        ntlm(doors, "both01", scheme, **wrong).rows(NAME)
    assert {line["status"] for line in doors.log()} == {401}


def test_wrong_password_with_pypsrp(doors: Guests) -> None:
    pypsrp = pytest.importorskip("pypsrp.wsman")
    refused = pytest.importorskip("pypsrp.exceptions").AuthenticationError
    guest = doors.guest("plain01")
    with (
        pytest.raises(refused),
        pypsrp.WSMan(
            guest.address, ssl=False, auth="negotiate", username=guest.username, password="x", no_proxy=True
        ) as one,
    ):
        one.get(CIMV2)


@pytest.mark.parametrize("form", ["{0}", ".\\{0}", "{1}\\{0}", "{2}"])
def test_a_local_account_with_and_without_its_computer(doors: Guests, form: str) -> None:
    guest = doors.guest("tls01")
    username = form.format(guest.username, guest.computer_name, guest.username.upper())
    assert ntlm(doors, "tls01", username=username).rows(NAME)


@pytest.mark.parametrize(
    ("name", "scheme", "challenges"),
    [
        ("plain01", "http", ["Negotiate", "Kerberos"]),
        ("tls01", "https", ["Negotiate", "Kerberos"]),
        ("both01", "https", ["Negotiate", "Kerberos", 'Basic realm="WSMAN"']),
        ("both01", "http", ["Negotiate", "Kerberos"]),
        ("lax01", "http", ["Negotiate", "Kerberos", 'Basic realm="WSMAN"']),
    ],
)
def test_what_is_offered(doors: Guests, name: str, scheme: str, challenges: list[str]) -> None:
    answer = doors.http.post(
        doors.url(name, scheme), data=b"<a/>", headers={"Content-Type": "application/soap+xml"}, timeout=5
    )
    assert (answer.status_code, answer.raw.headers.getlist("WWW-Authenticate")) == (401, challenges)


@pytest.mark.parametrize(("name", "scheme"), [("plain01", "http"), ("both01", "http"), ("tls01", "https")])
def test_basic_is_refused_where_it_is_not_offered(doors: Guests, name: str, scheme: str) -> None:
    with pytest.raises(InvalidCredentialsError):
        Client(doors.protocol(name, endpoint=doors.url(name, scheme))).rows(NAME)


def test_basic_over_http_where_it_is_allowed(doors: Guests) -> None:
    assert Client(doors.protocol("lax01", endpoint=doors.url("lax01", "http"))).rows(NAME)


def test_unsealed_messages_over_http_are_refused(doors: Guests) -> None:
    """AllowUnencrypted is false: an error without a fault, and nothing is done."""
    with pytest.raises(WinRMTransportError) as caught:
        ntlm(doors, "plain01", "http", message_encryption="never").rows(NAME)
    assert caught.value.code == 500
    assert not [line for line in doors.log() if "wql" in line]


class Handshake:
    """An NTLM client on a bare socket."""

    def __init__(self, doors: Guests, raw: Raw, name: str = "plain01", **options: Any) -> None:
        guest = doors.guest(name)
        self.raw = raw
        self.context = spnego.client(
            guest.username, guest.password, protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm, **options
        )

    def first(self) -> bytes:
        status, headers, _ = self.raw.post(Authorization=self.header(self.context.step()))
        assert status == 401
        (challenge,) = headers["www-authenticate"]
        return base64.b64decode(challenge.removeprefix("Negotiate "))

    def second(self, challenge: bytes, body: bytes = b"", **headers: str) -> tuple[int, dict[str, list[str]], bytes]:
        return self.raw.post(body, Authorization=self.header(self.context.step(challenge)), **headers)

    @staticmethod
    def header(token: bytes | None) -> str:
        return f"Negotiate {base64.b64encode(token or b'').decode()}"


@pytest.fixture
def raw(doors: Guests) -> Iterator[Raw]:
    connection = Raw(doors.guest("plain01").address)
    yield connection
    connection.close()


def test_what_was_proved_belongs_to_the_connection(doors: Guests, raw: Raw) -> None:
    shake = Handshake(doors, raw)
    assert shake.second(shake.first())[0] == 200
    assert raw.post()[0] == 200
    other = Raw(doors.guest("plain01").address)
    assert other.post()[0] == 401
    other.close()
    assert raw.post(Authorization="Basic eDp5")[0] == 401  # a header is judged whatever was proved before
    assert raw.post()[0] == 200


def test_a_challenge_is_for_one_connection(doors: Guests, raw: Raw) -> None:
    """A token that was stolen from one connection opens no other."""
    shake = Handshake(doors, raw)
    token = Handshake.header(shake.context.step(shake.first()))
    other = Raw(doors.guest("plain01").address)
    assert other.post(Authorization=token)[0] == 401
    again = Handshake(doors, other)
    again.first()
    assert other.post(Authorization=token)[0] == 401
    other.close()


def test_a_handshake_can_be_begun_anew(doors: Guests, raw: Raw) -> None:
    Handshake(doors, raw).first()
    shake = Handshake(doors, raw)
    assert shake.second(shake.first())[0] == 200


@pytest.mark.parametrize(
    "token",
    [
        "Negotiate",
        "Negotiate ",
        "Negotiate !!!",
        "Negotiate " + base64.b64encode(b"NTLMSSP\0").decode(),
        "Negotiate " + base64.b64encode(b"NTLMSSP\0\1\0\0\0").decode(),
        "Negotiate " + base64.b64encode(b"NTLMSSP\0\3\0\0\0" + b"\xff" * 64).decode(),
        "Negotiate " + base64.b64encode(b"\x60\x82\xff\xff" + b"\x06" * 40).decode(),
        "NTLM " + base64.b64encode(b"NTLMSSP\0\1\0\0\0").decode(),
        "Kerberos YII=",
        "Bearer x",
        "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual",
    ],
)
def test_tokens_that_are_none(doors: Guests, raw: Raw, token: str) -> None:
    status, headers, body = raw.post(b"<a/>", Authorization=token)
    assert (status, headers["www-authenticate"], body) == (401, ["Negotiate", "Kerberos"], b"")
    shake = Handshake(doors, raw)
    challenge = shake.first()
    assert raw.post(Authorization=token)[0] == 401
    assert shake.second(challenge)[0] == 401  # the exchange was broken off
    shake = Handshake(doors, raw)
    assert shake.second(shake.first())[0] == 200


def test_ntlm_version_1_is_refused(doors: Guests, raw: Raw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", "1")
    shake = Handshake(doors, raw)
    monkeypatch.undo()
    assert shake.second(shake.first())[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not sealed at all",
        b"--Encrypted Boundary--\r\n",
        b"--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
        b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=4\r\n--Encrypted Boundary\r\n"
        b"\tContent-Type: application/octet-stream\r\n\x10\0\0\0" + b"\1\0\0\0" + b"\0" * 12 + b"abcd"
        b"--Encrypted Boundary--\r\n",
    ],
)
def test_sealed_messages_that_are_not_ours(doors: Guests, raw: Raw, body: bytes) -> None:
    assert raw.post(body, Content_Type=SEALED)[0] == 401
    shake = Handshake(doors, raw)
    assert shake.second(shake.first())[0] == 200
    assert raw.post(body, Content_Type=SEALED)[::2] == (400 if body else 200, b"")
    assert raw.post(b"<a/>", Content_Type=SEALED)[0] == (401 if body else 400)


def test_an_altered_message_is_refused(doors: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    client = ntlm(doors, "plain01", "http")
    client.rows(NAME)
    encryption = client.protocol.transport.encryption
    assert encryption is not None
    honest = encryption._build_message

    def altered(message: bytes, host: Any) -> bytes:
        sealed = bytearray(honest(message, host))
        sealed[60] ^= 1
        return bytes(sealed)

    monkeypatch.setattr(encryption, "_build_message", altered)
    with pytest.raises(WinRMTransportError) as caught:
        client.rows(NAME)
    assert caught.value.code == 400


def test_a_forgotten_session(doors: Guests) -> None:
    """HTTP 400 without a body, once; a client that starts over is let in."""
    client = ntlm(doors, "plain01", "http")
    doors.behave("plain01", answer="forget_session", times=1)
    with pytest.raises(WinRMTransportError) as caught:
        client.rows(NAME)
    assert (caught.value.code, caught.value.response_text) == (400, "")
    assert ntlm(doors, "plain01", "http").rows(NAME)


def test_spoilt_content_is_sealed_too(doors: Guests) -> None:
    """A hostile guest knows the keys."""
    doors.behave("plain01", answer="doctype", times=1)
    protocol = ntlm(doors, "plain01", "http").protocol
    with pytest.raises(WinRMTransportError) as caught:
        protocol.transport.send_message("<nonsense/>")
    assert caught.value.response_text.startswith("<!DOCTYPE s:Envelope")


BINDING = b"tls-server-end-point:"


@pytest.mark.parametrize(
    ("name", "binding", "status"),
    [
        ("tls01", None, 200),
        ("tls01", b"another channel", 401),
        ("strict01", None, 401),
        ("strict01", b"another channel", 401),
        ("none01", b"another channel", 200),
    ],
)
def test_channel_bindings(doors: Guests, name: str, binding: bytes | None, status: int) -> None:
    """Relaxed refuses wrong ones, Strict missing ones as well, None looks at neither."""
    context = ssl.create_default_context(cafile=str(doors.ca_file))
    raw = Raw(doors.guest(name).address, 5986, context)
    bound = None if binding is None else GssChannelBindings(application_data=BINDING + binding)
    shake = Handshake(doors, raw, name, channel_bindings=bound)
    assert shake.second(shake.first())[0] == status
    raw.close()


def test_identify_needs_no_account(doors: Guests) -> None:
    body = (
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body>'
        b'<i:Identify xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"/></s:Body></s:Envelope>'
    )
    raw = Raw(doors.guest("plain01").address)
    status, _, answer = raw.post(body, WSMANIDENTIFY="unauthenticated")
    assert status == 200 and b"OS: 0.0.0 SP: 0.0 Stack: 3.0" in answer
    assert raw.post(b"<a/>", WSMANIDENTIFY="unauthenticated")[0] == 401
    raw.close()


def test_the_environment_and_the_log_keep_no_secret(
    doors: Guests, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    before = dict(os.environ)
    ntlm(doors, "plain01", "http").rows(NAME)
    assert dict(os.environ) == before
    password = doors.guest("plain01").password
    assert password not in caplog.text and password not in (tmp_path / "audit.jsonl").read_text()


def test_many_at_once(doors: Guests) -> None:
    """Each step has the environment for itself."""
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda name=name, scheme=scheme: found.append(ntlm(doors, name, scheme).rows(NAME)))
        for name, scheme in [("plain01", "http"), ("tls01", "https"), ("both01", "http"), ("strict01", "https")] * 4
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 16 and all(found)


def test_a_restart_ends_what_was_proved(doors: Guests, raw: Raw) -> None:
    shake = Handshake(doors, raw)
    assert shake.second(shake.first())[0] == 200
    doors.guest("plain01").restart(doors.clock.now(), 60)
    doors.clock.advance(61)
    with pytest.raises(ConnectionError):
        raw.post()


@pytest.mark.parametrize(
    "wrong", [{"authentication": []}, {"authentication": ["credssp"]}, {"cbt_hardening": "some"}, {"http_listener": 1}]
)
def test_a_service_that_does_not_exist_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(config.FleetError, match="guest"):
        config.parse({**SERVICES, "machines": [{"name": "a", "guest": wrong}]})
