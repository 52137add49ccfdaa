# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to a guest, as its WinRM service is configured: basic, Negotiate (NTLM, Kerberos), client certificates.

http.sys keeps what Negotiate has proved with the connection: requests that follow on it need no Authorization header.
Basic and certificates are looked at with every request. What is refused over plain http, unless AllowUnencrypted is
set, is basic (it is not even offered) and every message that is not sealed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hotpatch_emulator.wsman import certificates, kerberos
from hotpatch_emulator.wsman.ntlm import NegotiateError, Negotiation, begins, is_ntlm

if TYPE_CHECKING:
    from hotpatch_emulator.state import Guest

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"


@dataclass(frozen=True)
class Outcome:
    """Who is asking, and how that was proved; without an account, the status and challenges to refuse with.

    ``token`` is the last one of a Negotiate exchange, which goes with the answer.
    """

    account: str | None = None
    method: str = ""
    status: int = 401
    challenges: tuple[str, ...] = ()
    token: str | None = None


class Connection:
    """One client's connection to a guest and what the client has proved on it. ``binding`` is None without TLS."""

    def __init__(self, guest: Guest, transport: asyncio.Transport, binding: bytes | None) -> None:
        self.guest = guest
        self.secure = transport.get_extra_info("ssl_object") is not None
        self.security: Negotiation | None = None
        self._transport = transport
        self._binding = binding

    @property
    def unsealed_allowed(self) -> bool:
        return self.secure or self.guest.winrm_service.allow_unencrypted

    @property
    def methods(self) -> tuple[str, ...]:
        """What this listener takes."""
        return tuple(
            method
            for method in self.guest.winrm_service.authentication
            if (method != "basic" or self.unsealed_allowed) and (method != "certificate" or self.secure)
        )

    async def authenticate(self, authorization: str | None) -> Outcome:
        """Judge a request by its Authorization header and by what the connection has proved before."""
        scheme, _, value = (authorization or "").partition(" ")
        methods = self.methods
        if authorization is None and self.security is not None and self.security.complete:
            return Outcome(self.guest.username, self.security.method)
        if scheme.lower() == "basic" and "basic" in methods:
            account = _basic(value, self.guest)
            if account is not None:
                return Outcome(account, "basic")
        elif scheme.lower() in ("negotiate", "kerberos") and ("ntlm" in methods or "kerberos" in methods):
            return self._negotiate(value, methods)
        elif scheme == MUTUAL and "certificate" in methods:
            return await self._certificate()
        return self._refusal()

    def forget(self) -> None:
        """Lose the security context."""
        self.security = None

    def _refusal(self) -> Outcome:
        if self.security is not None and not self.security.complete:
            self.forget()  # an exchange that is interrupted has to begin anew
        methods = self.methods
        # A member of a domain offers both, whichever of them the client can use.
        challenges = ["Negotiate", "Kerberos"] if "ntlm" in methods or "kerberos" in methods else []
        challenges += ['Basic realm="WSMAN"'] if "basic" in methods else []
        return Outcome(challenges=tuple(challenges))

    def _negotiate(self, value: str, methods: tuple[str, ...]) -> Outcome:
        try:
            given = base64.b64decode(value.strip(), validate=True)
            if self.security is None or self.security.complete or begins(given):
                kind = Negotiation if is_ntlm(given) else kerberos.KerberosNegotiation
                if kind.method not in methods:
                    return self._refusal()
                self.security = kind(self.guest, self._binding)
            answer = self.security.step(given)
        except (NegotiateError, binascii.Error):
            self.forget()
            return self._refusal()
        token = None if answer is None else f"Negotiate {base64.b64encode(answer).decode()}"
        if self.security.complete:
            return Outcome(self.guest.username, self.security.method, token=token)
        return Outcome(challenges=(token or "Negotiate",))

    async def _certificate(self) -> Outcome:
        """Without a certificate 403, as http.sys words it; with one that is mapped to nobody 401."""
        shown = await certificates.presented_by(self._transport)
        if shown is None:
            return Outcome(status=403)
        principal = certificates.principal_in(shown)
        if principal is None or principal.lower() != certificates.principal_of(self.guest.username).lower():
            return self._refusal()
        return Outcome(self.guest.username, "certificate")


def _basic(value: str, guest: Guest) -> str | None:
    """The account that name and password prove, or None.

    Windows compares account names without case and takes a local account with or without its computer's name.
    """
    try:
        user, separator, password = base64.b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    domain, backslash, account = user.rpartition("\\")
    local = not backslash or domain.lower() in (".", guest.computer_name.lower())
    known = local and _same(account.lower(), guest.username.lower())
    return guest.username if separator and _same(password, guest.password) and known else None


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
