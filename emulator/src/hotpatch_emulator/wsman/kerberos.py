# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kerberos, the server's side: real tickets of a real KDC, accepted with the keytab that KRB5_KTNAME names.

Needs the Python packages gssapi and krb5, which are compiled against the system's Kerberos (pyspnego's extra
``kerberos``). Channel bindings are judged by MIT Kerberos itself: a wrong one is refused, a missing one is not (that is
Windows' Relaxed; Strict cannot be shown).
"""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import spnego
from spnego.channel_bindings import GssChannelBindings

from hotpatch_emulator.wsman.ntlm import NegotiateError, Negotiation

if TYPE_CHECKING:
    from hotpatch_emulator.state import Guest


class KerberosNegotiation(Negotiation):
    """One client's attempt to authenticate with a ticket for this guest."""

    method = "kerberos"

    def __init__(self, guest: Guest, binding: bytes | None) -> None:
        self._guest = guest
        bound = binding is not None and guest.winrm_service.cbt_hardening != "none"
        self._binding = GssChannelBindings(application_data=binding) if bound and binding is not None else None
        try:
            self._context = spnego.server(service="HTTP", protocol="kerberos")
        except Exception as error:  # no keytab, an unreadable one, no library
            raise NegotiateError(f"tickets cannot be accepted: {type(error).__name__}") from error

    def step(self, token: bytes) -> bytes | None:
        """Take a ticket, return the proof that it could be read. NegotiateError: it is somebody else's."""
        if not token:
            raise NegotiateError("the token is empty")
        try:
            answer = self._context.step(token, channel_bindings=self._binding)
        except Exception as error:  # pyspnego and GSSAPI raise whatever a malformed token leads them to
            raise NegotiateError(f"the ticket is not accepted: {type(error).__name__}") from error
        if self._context.complete:
            user = (self._context.client_principal or "").partition("@")[0]
            if user.lower() != self._guest.username.lower():
                raise NegotiateError(f"the account {user!r} may not use this guest")
        return answer


def missing() -> str | None:
    """What stands in the way of accepting tickets, in one sentence; None if nothing does."""
    absent = [name for name in ("gssapi", "krb5") if importlib.util.find_spec(name) is None]
    if absent:
        return f"a guest takes kerberos, which needs the Python packages gssapi and krb5; missing: {', '.join(absent)}"
    if not os.environ.get("KRB5_KTNAME"):
        return "a guest takes kerberos, but KRB5_KTNAME names no keytab with the guests' HTTP principals"
    return None
