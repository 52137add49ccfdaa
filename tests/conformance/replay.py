# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays recorded HTTP exchanges with Azure back to the collection, over TLS on a loopback address.

A file of exchanges is `{"interactions": [{"request": {method, uri, body}, "response": {status, headers, body},
"repeated": times}]}`. Each request gets the first answer to it that is not used up; the last one is given for ever.
Resource requests are told apart by method, path and whether they ask for the instance view; poll URLs are opaque, so
theirs must come back to the letter.
Whatever is asked that was not recorded is answered with 404 and kept in `unexpected`. The token and metadata
endpoints that every client asks first are answered too, and a clock, so that no minute is really waited for.
"""

from __future__ import annotations

import copy
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import trustme

TENANT = "99999999-0000-4000-8000-000000000001"
CLIENT = "99999999-0000-4000-8000-000000000002"
SECRET = "not-a-secret-of-anyone"
RECORDED_HOST = "https://management.azure.com"
# The recordings shorten the signature of a poll URL to these; real ones are long, and have letters of base64url.
SHORTENED = {"<cert,~2.6kB>": "MIIHpTCCBo2gAwIBAgIT-_" * 120, "<sig>": "kT3Zq-_8Yb0" * 8}
DROPPED_HEADERS = {"content-length", "transfer-encoding", "connection", "content-encoding", "strict-transport-security"}
CLOCK_RATE = 600.0


@dataclass
class Exchange:
    """One recorded request with its answer, and how often it may still be given before the next one."""

    method: str
    path: str
    query: str
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    left: int

    def answers(self, method: str, path: str, query: str) -> bool:
        """Whether this is what was asked for."""
        if self.method != method or self.path.lower() != path.lower():
            return False
        if "/operations/" in path.lower():
            return self.query == query
        return ("$expand" in self.query) == ("expand" in query)


@dataclass
class Asked:
    """One request that came, with its parsed JSON body."""

    method: str
    path: str
    query: str
    body: Any


@dataclass
class Replay:
    """A running server: `base` is its URL, `asked` what came for ARM, `unexpected` what no recording answers."""

    base: str
    clock: str
    ca: Path
    subscription: str
    exchanges: list[Exchange]
    started_at: datetime
    asked: list[Asked] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        """The variables with which a client takes this server for Azure."""
        return {
            "AZURE_TENANT": TENANT,
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_SECRET": SECRET,
            "AZURE_SUBSCRIPTION_ID": self.subscription,
            "AZURE_CLOUD_ENVIRONMENT": self.base,
            "AZURE_DISABLE_INSTANCE_DISCOVERY": "true",
            "REQUESTS_CA_BUNDLE": str(self.ca),
            "SSL_CERT_FILE": str(self.ca),
            "HOTPATCH_CLOCK": self.clock,
        }

    def posts(self, ending: str) -> list[Asked]:
        """The POSTs whose path ends so."""
        return [asked for asked in self.asked if asked.method == "POST" and asked.path.endswith(ending)]


class RunningReplay:
    """Context manager: starts the server for exchanges."""

    def __init__(self, interactions: list[dict[str, Any]], folder: Path) -> None:
        """`folder` takes the certificate of the server's own CA."""
        self._interactions = interactions
        self._folder = folder
        self._servers: list[_Server] = []

    def __enter__(self) -> Replay:
        """Listens, and returns the server's state."""
        authority = trustme.CA()
        ca = self._folder / "replay-ca.pem"
        authority.cert_pem.write_to_path(str(ca))
        arm = _Server(("127.0.0.1", 0), _ArmHandler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        arm.socket = context.wrap_socket(arm.socket, server_side=True)
        clock = _Server(("127.0.0.1", 0), _ClockHandler)
        base = f"https://127.0.0.1:{arm.server_port}"
        replay = Replay(
            base=base,
            clock=f"http://127.0.0.1:{clock.server_port}/emulator/clock",
            ca=ca,
            subscription=_subscription(self._interactions),
            exchanges=[_exchange(entry, base) for entry in self._interactions],
            started_at=_recorded_at(self._interactions),
        )
        real_start = time.monotonic()
        self._servers = [arm, clock]
        for server in self._servers:
            server.replay, server.real_start = replay, real_start
            threading.Thread(target=server.serve_forever, daemon=True).start()
        return replay

    def __exit__(self, *_: object) -> None:
        """Stops listening."""
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _subscription(interactions: list[dict[str, Any]]) -> str:
    return str(urlsplit(interactions[0]["request"]["uri"]).path.split("/")[2])


def _recorded_at(interactions: list[dict[str, Any]]) -> datetime:
    dates = [value for entry in interactions for name, value in entry["response"]["headers"].items() if name == "date"]
    return parsedate_to_datetime(dates[0])


def _exchange(entry: dict[str, Any], base: str) -> Exchange:
    request, response = entry["request"], copy.deepcopy(entry["response"])
    url = urlsplit(_localised(request["uri"], base))
    body = response["body"]
    if body is None:
        data = b""
    else:
        data = _localised(body if isinstance(body, str) else json.dumps(body), base).encode()
    headers = [
        (name, _localised(str(value), base))
        for name, values in response["headers"].items()
        if name.lower() not in DROPPED_HEADERS
        for value in (values if isinstance(values, list) else [values])
    ]
    return Exchange(request["method"], url.path, url.query, response["status"], headers, data, entry.get("repeated", 1))


def _localised(text: str, base: str) -> str:
    for short, whole in SHORTENED.items():
        text = text.replace(short, whole)
    return text.replace(RECORDED_HOST, base)


class _Server(ThreadingHTTPServer):
    """Knows what its handlers answer from."""

    replay: Replay
    real_start: float


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "replay"
    server: _Server  # narrower than what the base class promises

    def log_message(self, *_: Any) -> None:
        """Says nothing: what was asked is in `asked`."""

    def send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Sends a whole answer."""
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_json(self, content: Any, status: int = 200) -> None:
        """Sends an answer in JSON."""
        self.send(status, [("Content-Type", "application/json; charset=utf-8")], json.dumps(content).encode())


class _ClockHandler(_Handler):
    def do_GET(self) -> None:
        now = self.server.replay.started_at + timedelta(
            seconds=(time.monotonic() - self.server.real_start) * CLOCK_RATE
        )
        self.send_json({"now": now.isoformat(), "rate": CLOCK_RATE})


class _ArmHandler(_Handler):
    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def _answer(self, method: str) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        base = self.server.replay.base
        if url.path == "/metadata/endpoints":
            self.send_json(_metadata(base))
        elif url.path.endswith("/openid-configuration"):
            self.send_json(_openid(base))
        elif url.path.endswith("/oauth2/v2.0/token"):
            self.send_json(
                {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "replayed"}
            )
        else:
            self._replay(method, url.path, url.query, json.loads(data) if data.strip() else None)

    def _replay(self, method: str, path: str, query: str, body: Any) -> None:
        self.server.replay.asked.append(Asked(method, path, query, body))
        matching = [exchange for exchange in self.server.replay.exchanges if exchange.answers(method, path, query)]
        if not matching:
            self.server.replay.unexpected.append(f"{method} {path}?{query[:200]}")
            self.send_json({"error": {"code": "NotRecorded", "message": f"{method} {path} was not recorded"}}, 404)
            return
        chosen = next((exchange for exchange in matching if exchange.left > 0), matching[-1])
        chosen.left -= 1
        self.send(chosen.status, chosen.headers, chosen.body)


def _metadata(base: str) -> dict[str, Any]:
    """The document at /metadata/endpoints?api-version=2022-09-01, as far as clients read it."""
    return {
        "name": "Replay",
        "resourceManager": base,
        "authentication": {"loginEndpoint": base, "audiences": [base], "tenant": "common", "identityProvider": "AAD"},
        "suffixes": {},
    }


def _openid(base: str) -> dict[str, Any]:
    authority = f"{base}/{TENANT}"
    return {
        "issuer": f"{authority}/v2.0",
        "token_endpoint": f"{authority}/oauth2/v2.0/token",
        "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
    }
