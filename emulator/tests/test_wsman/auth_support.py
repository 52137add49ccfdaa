# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests with each way of authentication, and clients that do not ask before they send."""

from __future__ import annotations

import socket
import ssl
from typing import Any

NAME = "SELECT CSName FROM Win32_OperatingSystem"

SERVICES: dict[str, Any] = {
    "now": "2026-05-13T01:00:00Z",
    "speed": 0,
    "seed": 7,
    "machines": [
        # As Windows comes: Negotiate only, http only, nothing unsealed.
        {"name": "plain01", "guest": {"authentication": ["ntlm"], "https_listener": False, "http_listener": True}},
        {"name": "tls01", "guest": {"authentication": ["ntlm"]}},
        {"name": "both01", "guest": {"authentication": ["ntlm", "basic"], "http_listener": True}},
        {
            "name": "lax01",
            "guest": {"authentication": ["basic", "ntlm"], "http_listener": True, "allow_unencrypted": True},
        },
        {"name": "strict01", "guest": {"authentication": ["ntlm"], "cbt_hardening": "strict"}},
        {"name": "none01", "guest": {"authentication": ["ntlm"], "cbt_hardening": "none"}},
        {"name": "cert01", "guest": {"authentication": ["certificate", "ntlm"], "http_listener": True}},
    ],
}


class Raw:
    """A socket that says what it is told and reads one answer at a time."""

    def __init__(self, address: str, port: int = 5985, context: ssl.SSLContext | None = None) -> None:
        raw = socket.create_connection((address, port), 5)
        self._socket = raw if context is None else context.wrap_socket(raw, server_hostname=address)
        self._file = self._socket.makefile("rb")

    def post(self, body: bytes = b"", **headers: str) -> tuple[int, dict[str, list[str]], bytes]:
        """Status, headers by lower-case name, body."""
        sent = {"Host": "guest", "Content_Type": "application/soap+xml;charset=UTF-8", **headers}
        lines = ["POST /wsman HTTP/1.1", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in sent.items()]
        self._socket.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        return self.read()

    def read(self) -> tuple[int, dict[str, list[str]], bytes]:
        first = self._file.readline()
        if not first:
            raise ConnectionError("the server hung up")
        received: dict[str, list[str]] = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode().partition(":")
            received.setdefault(name.lower(), []).append(value.strip())
        length = int(received.get("content-length", ["0"])[0])
        return int(first.split()[1]), received, self._file.read(length)

    def close(self) -> None:
        self._file.close()
        self._socket.close()
