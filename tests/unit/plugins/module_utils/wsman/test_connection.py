# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections: Ansible's options become pywinrm's, and every way a network can misbehave ends in time, with a reason.

The servers here are raw sockets on loopback, and the client is the real pywinrm.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman import envelope, transport
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.connection import (
    Deadline,
    WinrmOptions,
    WinrmSender,
    read_options,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.explain import Way
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import (
    BadAnswer,
    DeadlinePassed,
    Unreachable,
    WsmanError,
    WsmanFault,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.reading import options_for

SECRET = "Sw0rdf1sh&<7"
Serve = Callable[[socket.socket], None]


def options_of(**given: Any) -> WinrmOptions:
    values = {
        "port": 5986,
        "path": "/wsman",
        "remote_addr": "10.0.0.4",
        "remote_user": "ops",
        "remote_password": SECRET,
    }
    values.update(given)
    return read_options(values.get)


@pytest.mark.parametrize(
    ("given", "endpoint", "transports"),
    [
        ({}, "https://10.0.0.4:5986/wsman", ("ssl",)),
        ({"port": 5985}, "http://10.0.0.4:5985/wsman", ("plaintext",)),
        ({"port": 5985, "scheme": "https"}, "https://10.0.0.4:5985/wsman", ("ssl",)),
        ({"port": 443, "path": "/win/wsman"}, "https://10.0.0.4:443/win/wsman", ("ssl",)),
        ({"remote_addr": "fd00::1"}, "https://[fd00::1]:5986/wsman", ("ssl",)),
        ({"remote_user": "ops@corp.example"}, "https://10.0.0.4:5986/wsman", ("kerberos",)),
        ({"transport": ["ntlm", "ssl"], "port": "5986"}, "https://10.0.0.4:5986/wsman", ("ntlm", "ssl")),
        ({"transport": [None]}, "https://10.0.0.4:5986/wsman", ("ssl",)),
        ({"remote_addr": "web-01.corp.example"}, "https://web-01.corp.example:5986/wsman", ("ssl",)),
    ],
)
def test_endpoint_and_transport(given: dict[str, Any], endpoint: str, transports: tuple[str, ...]) -> None:
    """The rules of ansible.builtin.winrm."""
    found = options_of(**given)
    assert (found.endpoint, found.transports) == (endpoint, transports)


@pytest.mark.parametrize(
    ("given", "timeouts"),
    [
        ({}, (20, 30)),
        ({"connection_timeout": 45}, (45, 55)),
        ({"connection_timeout": 600}, (60, 610)),
        ({"_extras": {"ansible_winrm_operation_timeout_sec": "40", "ansible_winrm_read_timeout_sec": 50}}, (40, 50)),
    ],
)
def test_timeouts(given: dict[str, Any], timeouts: tuple[int, int]) -> None:
    """connection_timeout sets both; Windows allows no operation longer than a minute."""
    found = options_of(**given)
    assert (found.operation_timeout, found.read_timeout) == timeouts


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"port": "many"}, "ansible_port is 'many', but must be a whole number"),
        ({"_extras": {"ansible_winrm_read_timeout_sec": "soon"}}, "ansible_winrm_read_timeout_sec is 'soon'"),
        ({"_extras": {"ansible_winrm_read_timeout_sec": 5}}, "the first must be at least 1 and less than the second"),
    ],
)
def test_options_that_cannot_be_used(given: dict[str, Any], why: str) -> None:
    """One sentence with the option and its value."""
    with pytest.raises(Unreachable, match=re.escape(why)):
        options_of(**given)


def test_extras_reach_pywinrm_and_the_password_is_not_shown() -> None:
    """Only what pywinrm knows, and never what has an option of its own."""
    extras = {"ansible_winrm_server_cert_validation": "ignore", "ansible_winrm_transport": "x", "ansible_winrm_new": 1}
    found = options_of(_extras=extras)
    assert found.extras == {"server_cert_validation": "ignore", "new": 1}
    assert SECRET not in repr(found)
    assert found.redact(f"you said {SECRET}!") == "you said ********!"


pytest.importorskip("winrm")
trustme = pytest.importorskip("trustme")

REQUEST = envelope.invoke_request(envelope.Address("https://127.0.0.1/wsman"), "root/x", "A", "B")


class Server:
    """Accepts connections on loopback and hands each to a function, in a thread."""

    def __init__(self, serve: Serve, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._serve = serve
        self._context = context
        self.port = self._listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _peer = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            self._serve(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(handler: Serve, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Server:
        servers.append(Server(handler, context, host))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def sender(port: int, seconds: float = 20, **given: Any) -> WinrmSender:
    given = {"remote_addr": "127.0.0.1", "port": port, "scheme": "http", **given}
    given["_extras"] = {"ansible_winrm_proxy": None, **given.get("_extras", {})}
    return WinrmSender(options_of(**given), Deadline(seconds))


def read_request(connection: socket.socket) -> tuple[str, str]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536) or b"\r\n\r\n"
    head, _blank, body = data.partition(b"\r\n\r\n")
    length = int((re.search(rb"content-length: (\d+)", head, re.IGNORECASE) or [b"", b"0"])[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head.decode(), body.decode()


def answering(status: str, body: bytes, *headers: str) -> Serve:
    def handler(connection: socket.socket) -> None:
        while True:
            read_request(connection)
            lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
            connection.sendall("\r\n".join(lines).encode() + body)

    return handler


def test_an_answer_and_what_the_guest_gets(serve: Any) -> None:
    """Basic authentication at once, no shell, one connection for many requests, no compression asked for."""
    seen: list[tuple[str, str]] = []

    def handler(connection: socket.socket) -> None:
        while True:
            seen.append(read_request(connection))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<x/>")

    server = serve(handler)
    ours = sender(server.port)
    assert ours.send(REQUEST) == b"<x/>" == ours.send(REQUEST)
    assert server.connections == 1 and len(seen) == 2
    head, body = seen[0]
    assert head.startswith("POST /wsman HTTP/1.1")
    assert base64.b64encode(f"ops:{SECRET}".encode()).decode() in head
    assert "Accept-Encoding: identity" in head and "application/soap+xml;charset=UTF-8" in head
    assert body == REQUEST.envelope


@pytest.mark.parametrize("status", ["500 Internal Server Error", "400 Bad Request"])
def test_a_fault_is_an_answer(serve: Any, wire: Any, status: str) -> None:
    """WinRM sends faults with an error status; pywinrm would parse them unguarded."""
    body = wire.envelope(wire.fault("w:AccessDenied", wire.wsman_fault(5)), REQUEST.message_id)
    ours = sender(serve(answering(status, body)).port)
    with pytest.raises(WsmanFault, match="may not read"):
        envelope.open_envelope(ours.send(REQUEST), REQUEST)


def test_a_hostile_fault_is_refused(serve: Any) -> None:
    """A billion laughs in an error answer meets our parser, not pywinrm's."""
    body = b'<!DOCTYPE x [<!ENTITY a "ha">]><x>&a;</x>'
    ours = sender(serve(answering("500 Internal Server Error", body)).port)
    with pytest.raises(BadAnswer, match="DOCTYPE"):
        envelope.open_envelope(ours.send(REQUEST), REQUEST)


def saying(connection: socket.socket, words: bytes) -> None:
    """Hear a request, say something and hang up."""
    read_request(connection)
    connection.sendall(words)


def half_close(connection: socket.socket) -> None:
    """Hear a request, close one's own direction and keep listening."""
    read_request(connection)
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(4096):
        pass


PAGE = b"<html>no</html>"
ANSWERS: dict[str, tuple[Serve, str]] = {
    "401": (answering("401 Unauthorized", b"", 'WWW-Authenticate: Basic realm="WSMAN"'), "refused the credentials"),
    "404": (answering("404 Not Found", PAGE), "HTTP 404, which is not WinRM's answer"),
    "503": (answering("503 Service Unavailable", PAGE), "HTTP 503"),
    "500 without body": (answering("500 Internal Server Error", b""), "HTTP 500"),
    "500 in another encoding": (answering("500 Internal Server Error", b"\xff\xfe\x00"), "not text in UTF-8"),
    "redirect": (answering("307 Temporary Redirect", b"", "Location: http://127.0.0.1:1/"), "redirect"),
    "compressed": (answering("200 OK", b"\x1f\x8b", "Content-Encoding: gzip"), "compressed"),
    "closes": (lambda connection: saying(connection, b""), "closed the connection"),
    "cuts off": (
        lambda connection: saying(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n<x"),
        "closed the connection",
    ),
    "half-closed": (half_close, "closed the connection"),
    "no http": (lambda connection: connection.sendall(b"SSH-2.0-x\r\n\r\n"), "closed the connection|request failed"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_are_none(serve: Any, name: str) -> None:
    """Each ends with one sentence, without the password and without waiting for a time-out."""
    handler, why = ANSWERS[name]
    started = time.monotonic()
    with pytest.raises(WsmanError, match=why) as caught:
        sender(serve(handler).port).send(REQUEST)
    assert time.monotonic() - started < 10
    assert SECRET not in caught.value.why and caught.value.why.isprintable()


def flood(connection: socket.socket, head: bytes, piece: bytes) -> None:
    read_request(connection)
    connection.sendall(head)
    while True:
        connection.sendall(piece)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", b"x" * 65536),
        (CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        (CHUNKED.replace(b"200 OK", b"500 Error"), b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        (CHUNKED.replace(b"200 OK", b"401 No"), b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    ],
)
def test_a_gigabyte_is_not_read(serve: Any, head: bytes, piece: bytes) -> None:
    """Reading stops at a mebibyte, whatever the length, the framing or the status."""
    started = time.monotonic()
    with pytest.raises(WsmanError, match=r"larger than|refused the credentials") as caught:
        sender(serve(lambda connection: flood(connection, head, piece)).port).send(REQUEST)
    assert time.monotonic() - started < 10
    assert isinstance(caught.value, BadAnswer) or b"401" in head


def drip(connection: socket.socket, head: bytes) -> None:
    read_request(connection)
    connection.sendall(head)
    while True:
        connection.sendall(b"a")
        time.sleep(0.05)


@pytest.mark.parametrize(
    "handler",
    [
        lambda connection: drip(connection, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"),
        lambda connection: drip(connection, b"HTTP/1.1 200 OK\r\nX-Long: "),
        lambda connection: time.sleep(30),
    ],
    ids=["body", "headers", "silence"],
)
def test_nothing_outlives_the_deadline(serve: Any, handler: Serve) -> None:
    """A byte now and then keeps every socket time-out from firing; the deadline holds all the same."""
    ours = sender(serve(handler).port, seconds=1)
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"within the 1 seconds allowed in total|did not answer in time"):
        ours.send(REQUEST)
    assert time.monotonic() - started < 6
    with pytest.raises(DeadlinePassed):
        ours.send(REQUEST)


def test_a_tls_handshake_that_drips_does_not_outlive_the_deadline(serve: Any) -> None:
    """The client waits inside the handshake, where no time-out of requests counts in total."""

    def handler(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")  # the head of a long ServerHello
        while True:
            connection.sendall(b"\x00")
            time.sleep(0.05)

    started = time.monotonic()
    with pytest.raises(Unreachable):
        sender(serve(handler).port, seconds=1, scheme="https").send(REQUEST)
    assert time.monotonic() - started < 6


def test_nobody_listens() -> None:
    """WinRM stopped, or the machine is down."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unreachable, match=r"cannot be connected to \(Connection refused\)"):
        sender(port).send(REQUEST)


def test_a_name_that_does_not_resolve() -> None:
    """The reserved domain .invalid has no names."""
    with pytest.raises(Unreachable, match="cannot be resolved"):
        sender(5986, remote_addr="guest.invalid").send(REQUEST)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: Any) -> tuple[Any, Path]:
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return ca, path


def tls_server(serve: Any, ca: Any, *names: str, handler: Serve | None = None) -> Server:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(*names).configure_cert(context)
    server: Server = serve(handler or answering("200 OK", b"<x/>"), context)
    return server


@pytest.mark.parametrize(
    ("name", "trusted", "extras", "why"),
    [
        ("127.0.0.1", True, {}, None),
        ("127.0.0.1", False, {}, "certificate is not trusted (.*); name its CA in ansible_winrm_ca_trust_path"),
        ("127.0.0.8", True, {}, "certificate is not trusted .*127.0.0.1.*let ansible_host be a name"),
        ("127.0.0.8", False, {"ansible_winrm_server_cert_validation": "ignore"}, None),
        ("127.0.0.1", False, {"ansible_winrm_ca_trust_path": "/nowhere/ca.pem"}, "/nowhere/ca.pem"),
    ],
)
def test_tls(
    serve: Any, authority: Any, name: str, trusted: bool, extras: Any, why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Certificates are verified, name and issuer, unless the host's variables say otherwise."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    ca, path = authority
    extras = {**({"ansible_winrm_ca_trust_path": str(path)} if trusted else {}), **extras}
    ours = sender(tls_server(serve, ca, name).port, scheme="https", _extras=extras)
    if why is None:
        assert ours.send(REQUEST) == b"<x/>"
    else:
        with pytest.raises(Unreachable, match=why):
            ours.send(REQUEST)


def test_tls_where_there_is_none(serve: Any) -> None:
    """An http port asked by https."""

    def handler(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(Unreachable, match="TLS with the guest failed"):
        sender(serve(handler).port, scheme="https").send(REQUEST)


def test_transports_are_tried_in_order(serve: Any) -> None:
    """The first that authenticates is kept; why the others failed is told when none does."""
    server = serve(answering("200 OK", b"<x/>"))
    ours = sender(server.port, transport=["certificate", "plaintext"])
    assert ours.send(REQUEST) == ours.send(REQUEST) == b"<x/>"
    with pytest.raises(Unreachable, match=r"certificate: .*cert_pem.*; magic: .*unsupported auth method: magic"):
        sender(server.port, transport=["certificate", "magic"]).send(REQUEST)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"remote_user": None}, "requires a username"),
        ({"remote_password": None}, "requires a password"),
        ({"_extras": {"ansible_winrm_message_encryption": "always"}}, "message encryption"),
        ({"_extras": {"ansible_winrm_server_cert_validation": "maybe"}}, "server_cert_validation"),
    ],
)
def test_options_that_pywinrm_refuses(serve: Any, given: dict[str, Any], why: str) -> None:
    """They end as a reason, too."""
    server = serve(answering("200 OK", b"<x/>"))
    with pytest.raises(Unreachable, match=why) as caught:
        sender(server.port, **given).send(REQUEST)
    assert SECRET not in caught.value.why


def test_without_pywinrm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is named, with the command that brings it."""
    monkeypatch.setattr(transport, "IMPORT_ERROR", "No module named 'winrm'")
    with pytest.raises(Unreachable, match=r"pywinrm.*No module named 'winrm'.*pip install pywinrm"):
        sender(1).send(REQUEST)


def test_errors_are_redacted(serve: Any) -> None:
    """Even where a library quotes the password."""
    ours = sender(1)

    def quoting(*_arguments: Any) -> bytes:
        raise RuntimeError(f"cannot use {SECRET}")

    ours._transport = transport.make_transport(ours._transport_options("plaintext"))
    ours._transport.send_message = quoting
    with pytest.raises(Unreachable, match=r"RuntimeError: cannot use \*{8}") as caught:
        ours.send(REQUEST)
    assert SECRET not in str(caught.value)


def test_a_forgotten_sealed_session_is_renewed_once() -> None:
    """Windows answers 400 without a body then; a message that was read is never sent twice."""
    from winrm.exceptions import WinRMTransportError

    class Sealed:
        encryption: Any = object()
        read_timeout_sec = 0.0
        way = Way("http://127.0.0.1:5985/wsman", "ntlm", sealed=True)
        closed = 0

        def __init__(self, *answers: Any) -> None:
            self.answers = list(answers)

        def close_session(self) -> None:
            self.closed += 1

        def send_message(self, _message: str) -> bytes:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return bytes(answer)

    stale = WinRMTransportError("http", 400, "")
    sealed: Any = Sealed(stale, b"<x/>")
    assert transport.exchange(sealed, "m", 5.0) == b"<x/>"
    assert sealed.closed == 1
    for lost in (Sealed(stale, stale), Sealed(WinRMTransportError("http", 500, ""))):
        with pytest.raises(Unreachable, match="HTTP"):
            transport.exchange(lost, "m", 5.0)  # type: ignore[arg-type]
        assert lost.answers == []


@pytest.mark.parametrize(
    ("transports", "scheme", "offers", "why"),
    [
        (
            ["basic"],
            "https",
            ["Negotiate", "Kerberos"],
            "does not take basic .* set ansible_winrm_transport to ntlm or",
        ),
        (["plaintext"], "http", ["Negotiate"], "offers Negotiate; set ansible_winrm_transport to ntlm$"),
        (["ntlm"], "https", ['Basic realm="WSMAN"'], "offers Basic; set ansible_winrm_transport to basic$"),
        # A man in the middle may offer basic to get at the password: that is never advised without TLS.
        (["ntlm"], "http", ['Basic realm="WSMAN"'], r"offers Basic; use https \(ansible_port"),
        (["basic"], "http", ['Basic realm="WSMAN"'], "user name or password is wrong"),
        (["basic"], "http", ["Nonsense \x07evil, x"], "user name or password is wrong"),
        (["basic"], "http", [], "user name or password is wrong"),
    ],
)
def test_a_refusal_tells_what_the_guest_takes(
    serve: Any, authority: tuple[Any, Path], transports: list[str], scheme: str, offers: list[str], why: str
) -> None:
    """A guest with Windows' own settings does not take basic, which looks like a wrong password otherwise."""
    answer = answering("401 Unauthorized", b"", *(f"WWW-Authenticate: {offer}" for offer in offers))
    ca, path = authority
    server = tls_server(serve, ca, "127.0.0.1", handler=answer) if scheme == "https" else serve(answer)
    extras = {"ansible_winrm_ca_trust_path": str(path)}
    with pytest.raises(Unreachable, match=why) as caught:
        sender(server.port, scheme=scheme, transport=transports, _extras=extras).send(REQUEST)
    assert "401" in caught.value.why and "evil" not in caught.value.why and SECRET not in caught.value.why


def test_unsealed_messages_that_windows_refuses(serve: Any) -> None:
    """HTTP 500 without a fault, over http."""
    server = serve(answering("500 Internal Server Error", b""))
    with pytest.raises(Unreachable, match=r"AllowUnencrypted.*ansible_winrm_message_encryption"):
        sender(server.port, transport=["plaintext"]).send(REQUEST)


def client_files(folder: Path, ca: Any, passphrase: bytes | None = None) -> dict[str, str]:
    """A client certificate as the host's variables name it."""
    from cryptography.hazmat.primitives import serialization as to

    leaf = ca.issue_cert("ops@localhost")
    key = to.load_pem_private_key(leaf.private_key_pem.bytes(), None)
    locked = to.BestAvailableEncryption(passphrase) if passphrase else to.NoEncryption()
    (folder / "cert.pem").write_bytes(leaf.cert_chain_pems[0].bytes())
    (folder / "key.pem").write_bytes(key.private_bytes(to.Encoding.PEM, to.PrivateFormat.PKCS8, locked))
    return {
        "ansible_winrm_cert_pem": str(folder / "cert.pem"),
        "ansible_winrm_cert_key_pem": str(folder / "key.pem"),
    }


@pytest.mark.parametrize("trouble", ["passphrase", "other key", "no pem", "missing"])
def test_a_client_certificate_that_cannot_be_used(authority: tuple[Any, Path], tmp_path: Path, trouble: str) -> None:
    """It is told before anything is sent, and OpenSSL asks nobody for a passphrase."""
    extras = client_files(tmp_path, authority[0], b"opensesame" if trouble == "passphrase" else None)
    if trouble == "other key":
        (tmp_path / "other").mkdir()
        extras["ansible_winrm_cert_key_pem"] = client_files(tmp_path / "other", authority[0])[
            "ansible_winrm_cert_key_pem"
        ]
    elif trouble == "no pem":
        (tmp_path / "cert.pem").write_text("nonsense")
    elif trouble == "missing":
        (tmp_path / "key.pem").unlink()
    with pytest.raises(
        Unreachable, match=r"client certificate cannot be used \(.*passphrase|cert_key_pem file not found"
    ):
        sender(1, scheme="https", transport=["certificate"], _extras=extras).send(REQUEST)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("401 Unauthorized", r"refused the client certificate \(HTTP 401\).*ClientCertificate"),
        ("403 Forbidden", r"HTTP 403\): it got no client certificate, or does not trust its issuer"),
        ("", "does not trust the issuer of the client certificate may hang up"),
    ],
)
def test_a_client_certificate_that_is_refused(
    serve: Any, authority: tuple[Any, Path], tmp_path: Path, status: str, why: str
) -> None:
    """A wrong password is not what is wrong."""
    ca, path = authority
    handler = answering(status, b"") if status else lambda connection: saying(connection, b"")
    extras = {"ansible_winrm_ca_trust_path": str(path), **client_files(tmp_path, ca)}
    server = tls_server(serve, ca, "127.0.0.1", handler=handler)
    with pytest.raises(Unreachable, match=why):
        sender(server.port, scheme="https", transport=["certificate"], _extras=extras).send(REQUEST)


def test_what_could_not_be_sealed_is_not_sent_unsealed(serve: Any) -> None:
    """pywinrm keeps a session that failed to agree on keys, and would send the next message over it in clear."""
    seen: list[str] = []

    def handler(connection: socket.socket) -> None:
        while True:
            seen.append(read_request(connection)[1])
            connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n")

    options = sender(serve(handler).port, transport=["ntlm"])._transport_options("ntlm")
    ours = transport.make_transport(options)
    for dummy in range(2):
        with pytest.raises(Unreachable):
            transport.exchange(ours, "the message", 5.0)
    assert len(seen) >= 2 and set(seen) == {""}


def test_an_operation_timeout_never_reaches_past_the_deadline() -> None:
    """The guest gives up before we do."""
    assert sender(1, seconds=100).address.operation_timeout == 20
    assert 1 <= sender(1, seconds=5).address.operation_timeout <= 5
    assert sender(1, seconds=0.1).address.operation_timeout == 1


def test_the_environment_is_left_alone(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here writes to os.environ."""
    before = dict(os.environ)
    sender(serve(answering("200 OK", b"<x/>")).port).send(REQUEST)
    assert dict(os.environ) == before


def over(kind: str, server: Any, host: str, **given: Any) -> Any:
    """A sender of either connection plugin to a server of this test, with the proxy options that the plugin has."""
    values = {"port": server.port, "remote_addr": host, "remote_user": "ops", "remote_password": SECRET}
    if kind == "winrm":
        proxy = given.pop("proxy", None)
        values.update(path="/wsman", transport=["basic"])
        values["_extras"] = {"ansible_winrm_proxy": proxy, "ansible_winrm_ca_trust_path": given.pop("ca", None)}
    else:
        values.update(path="wsman", auth="basic", ca_cert=given.pop("ca", None), ignore_proxy="proxy" not in given)
        values["message_encryption"] = "never" if given.get("scheme") == "http" else "auto"
        values["protocol"] = given.pop("scheme")
    return options_for(kind, {**values, **given}.get).open(Deadline(10))


@pytest.mark.parametrize("kind", ["winrm", "psrp"])
def test_a_guest_at_an_ipv6_address(serve: Any, authority: tuple[Any, Path], kind: str) -> None:
    """In brackets where a URL wants them, and its certificate is verified all the same."""
    seen: list[str] = []

    def handler(connection: socket.socket) -> None:
        seen.append(read_request(connection)[0])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<x/>")

    ca, path = authority
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("::1").configure_cert(context)
    try:
        server = serve(handler, context, host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback address")
    assert over(kind, server, "::1", scheme="https", ca=str(path)).send(REQUEST) == b"<x/>"
    assert f"Host: [::1]:{server.port}" in seen[0]


@pytest.mark.parametrize("kind", ["winrm", "psrp"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy(serve: Any, authority: tuple[Any, Path], kind: str, scheme: str) -> None:
    """It is told the guest, through a tunnel where there is TLS; its own password is not shown when it refuses."""
    seen: list[str] = []

    def handler(connection: socket.socket) -> None:
        seen.append(read_request(connection)[0])
        connection.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n")

    server = serve(handler)
    proxy = f"http://me:pr0xy-secret@127.0.0.1:{server.port}"
    sender_through = over(kind, server, "10.0.0.4", scheme=scheme, proxy=proxy, ca=str(authority[1]))
    with pytest.raises(Unreachable, match=r"HTTP 407|the proxy on the way to the guest cannot be used") as caught:
        sender_through.send(REQUEST)
    line = f"POST http://10.0.0.4:{server.port}/wsman" if scheme == "http" else f"CONNECT 10.0.0.4:{server.port}"
    assert seen and seen[0].startswith(line)
    assert f"Proxy-Authorization: Basic {base64.b64encode(b'me:pr0xy-secret').decode()}" in seen[0]
    assert "pr0xy-secret" not in caught.value.why and SECRET not in caught.value.why
