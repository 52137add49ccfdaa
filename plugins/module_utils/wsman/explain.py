# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong on the way to a guest, as one sentence each that holds no secret; whichever library carried it."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from .faults import BadAnswer, DeadlinePassed, Unreachable, WsmanError, printable

with contextlib.suppress(ImportError):
    # Without it nothing can have gone wrong in it.
    import requests

# What a guest offers in WWW-Authenticate, and the host's transport that uses it.
_OFFERS = {"Negotiate": "ntlm", "Kerberos": "kerberos", "CredSSP": "credssp", "Basic": "basic"}
# The other way round; ntlm and kerberos come under Negotiate, too.
_ASKED: Mapping[str, tuple[str, ...]] = {
    "ntlm": ("Negotiate",),
    "kerberos": ("Kerberos", "Negotiate"),
    "credssp": ("CredSSP",),
    **dict.fromkeys(("basic", "plaintext", "ssl"), ("Basic",)),
}
CERTIFICATE_HINT = (
    "a guest that does not trust the issuer of the client certificate may hang up like this, and over TLS 1.3 every "
    "guest does unless the control node's urllib3 answers after the handshake (2.1.0 does not)"
)
_REFUSED = (
    "the guest refused the credentials (HTTP 401): the user name or password is wrong, the account may not use "
    "WinRM, or the listener does not allow this kind of authentication"
)


@dataclass(frozen=True)
class Way:
    """How a guest was asked. ``offers`` fills with the ways in which a guest that refused would let somebody in.

    The words are those of the connection plugin whose variables a user would have to change.
    """

    endpoint: str
    method: str
    shows_certificate: bool = False
    sealed: bool = False
    offers: set[str] = field(default_factory=set)
    method_variable: str = "ansible_winrm_transport"
    sealing_variable: str = "ansible_winrm_message_encryption"
    other_variables: str = "ansible_port, ansible_winrm_path"

    @property
    def is_plain(self) -> bool:
        """Whether there is no TLS."""
        return not self.endpoint.lower().startswith("https")


def note_offers(header: str, offers: set[str]) -> None:
    """Collect the known ways of authentication that a WWW-Authenticate header names."""
    words = header.lower().replace(",", " ").split()
    offers.update(offer for offer in _OFFERS if offer.lower() in words)


def explain_refusal(way: Way) -> Unreachable:
    """Say why HTTP 401 came."""
    if way.shows_certificate:
        return Unreachable(
            "the guest refused the client certificate (HTTP 401): it maps it to no account, or its WinRM service does "
            "not allow certificates; see WSMan:\\localhost\\ClientCertificate in the guest"
        )
    offered: Collection[str] = [offer for offer in _OFFERS if offer in way.offers]
    asked = _ASKED.get(way.method, ())
    if not offered or any(offer in way.offers for offer in asked):
        return Unreachable(_REFUSED)
    why = f"the guest does not take {way.method} authentication here (HTTP 401) but offers {', '.join(offered)}; "
    if way.is_plain:
        # Never advise to send a password in clear because somebody on the way offers to take it.
        offered = [offer for offer in offered if offer != "Basic"]
    if not offered:
        return Unreachable(why + "use https (ansible_port, ansible_winrm_scheme)")
    return Unreachable(why + f"set {way.method_variable} to {' or '.join(_OFFERS[offer] for offer in offered)}")


def explain_state(code: int, has_body: bool, way: Way) -> Unreachable:
    """Say what an HTTP status means that carries no answer of WinRM."""
    if code == 403 and way.shows_certificate:
        return Unreachable(
            "the guest refused the connection (HTTP 403): it got no client certificate, or does not trust its issuer"
        )
    if code == 500 and not has_body and not way.sealed and way.is_plain:
        return Unreachable(
            "the guest answered HTTP 500 without a fault; over http Windows takes sealed messages only, unless its "
            f"AllowUnencrypted is set: leave {way.sealing_variable} at auto, with ntlm or kerberos, or use https"
        )
    return Unreachable(
        f"the address answered HTTP {code}, which is not WinRM's answer; check {way.other_variables} and proxies in "
        "between"
    )


def explain_other(error: Exception) -> WsmanError:
    """Turn an exception that no library documents into one sentence."""
    if isinstance(error, WsmanError):
        return error
    if isinstance(error, UnicodeError):
        return BadAnswer("the answer is not text in UTF-8")
    if isinstance(error, OSError):
        return Unreachable(f"the guest could not be asked: {printable(str(error), 200)}")
    return Unreachable(f"the WinRM connection failed: {type(error).__name__}: {printable(str(error), 200)}")


def explain_request(error: requests.exceptions.RequestException) -> WsmanError:
    """Say what an exception of requests means."""
    cause = _root(error)
    kinds = requests.exceptions
    if isinstance(cause, WsmanError):
        return cause
    if type(error).__name__ in ("KerberosExchangeError", "MutualAuthenticationError"):
        return _explain_kerberos(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unreachable(
            f"the guest's TLS certificate is not trusted ({printable(cause.verify_message, 200)}); name its CA in "
            "ansible_winrm_ca_trust_path, or let ansible_host be a name that the certificate carries"
        )
    if isinstance(error, kinds.SSLError):
        reason = getattr(cause, "reason", None) or type(cause).__name__
        return Unreachable(
            f"TLS with the guest failed ({printable(str(reason), 120)}); is ansible_port an https listener?"
        )
    if isinstance(error, kinds.ProxyError):
        return Unreachable("the proxy on the way to the guest cannot be used; see ansible_winrm_proxy")
    if isinstance(error, kinds.ConnectTimeout):
        return Unreachable(
            "the guest did not accept a connection in time; is it running, or does a firewall drop WinRM?"
        )
    if isinstance(error, kinds.Timeout) or "timed out" in str(error).lower():
        return Unreachable("the guest accepted the connection but did not answer in time")
    if isinstance(error, kinds.TooManyRedirects):
        return Unreachable("the address answered with a redirect, which is never followed; it is not WinRM")
    if isinstance(cause, socket.gaierror):
        return Unreachable(
            f"the host's address cannot be resolved ({printable(cause.strerror or '', 120)}); see ansible_host"
        )
    if isinstance(cause, OSError) and cause.strerror:
        return Unreachable(
            f"the guest cannot be connected to ({printable(cause.strerror, 120)}); is WinRM listening there?"
        )
    if isinstance(error, (kinds.ConnectionError, kinds.ChunkedEncodingError)):
        return Unreachable("the guest closed the connection in the middle of an answer")
    return Unreachable(f"the WinRM request failed: {type(error).__name__}")


def _explain_kerberos(error: Exception) -> Unreachable:
    """Take the last words of GSSAPI, which are those of the Kerberos library, out of pywinrm's exception."""
    said = re.findall(r"'([^']{4,200})', -?\d+\)", str(error))
    reason = said[-1] if said else str(error)
    return Unreachable(
        f"Kerberos with the guest failed ({printable(reason, 160)}); is there a ticket (klist), is ansible_host the "
        "guest's name in its domain (else set ansible_winrm_kerberos_hostname_override), and are the clocks right?"
    )


def _root(error: BaseException) -> BaseException:
    """Follow causes, contexts and urllib3's ``reason`` to the error that started it."""
    for _step in range(12):
        nested = [getattr(error, "reason", None), error.__cause__, error.__context__, *error.args]
        deeper = next((one for one in nested if isinstance(one, BaseException) and one is not error), None)
        if deeper is None:
            return error
        error = deeper
    return error


def deadline_passed(seconds: float) -> DeadlinePassed:
    """The error for a guest whose total time is over."""
    shown = f"{round(seconds, 1):g}"
    return DeadlinePassed(f"the guest did not answer within the {shown} seconds allowed in total (option timeout)")
