# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pywinrm's HTTP transport with bounds, and its many exceptions as one sentence each.

Only ``winrm.transport.Transport`` is used (authentication, TLS, message sealing): ``Protocol.send_message`` would parse
a fault of an untrusted guest with an unguarded XML parser before we see it, and fixes the envelope size.
The bounds: no redirect is followed, no compressed answer is accepted (none was asked for), and reading a body stops
at the limit. pywinrm is imported here, guarded, so that this file can be imported without it.
"""

from __future__ import annotations

import inspect
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

from .envelope import MAX_BYTES
from .faults import BadAnswer, DeadlinePassed, Unreachable, WsmanError, printable

try:
    import requests
    from requests.adapters import HTTPAdapter
    from winrm.exceptions import (
        AuthenticationError,
        WinRMError,
        WinRMOperationTimeoutError,
        WinRMTransportError,
    )
    from winrm.transport import Transport

    IMPORT_ERROR: str | None = None
except ImportError as error:
    IMPORT_ERROR = str(error)
    HTTPAdapter = Transport = object  # type: ignore[assignment,misc]

#: HTTP states with which WinRM sends a SOAP fault as the body.
_FAULT_STATES = (400, 500)
# What a guest offers in WWW-Authenticate, and the host's transport that uses it.
_OFFERS = {"Negotiate": "ntlm", "Kerberos": "kerberos", "CredSSP": "credssp", "Basic": "basic"}
# The other way round; ntlm and kerberos come under Negotiate, too.
_ASKED: Mapping[str, tuple[str, ...]] = {
    "ntlm": ("Negotiate",),
    "kerberos": ("Kerberos", "Negotiate"),
    "credssp": ("CredSSP",),
    **dict.fromkeys(("basic", "plaintext", "ssl"), ("Basic",)),
}


class _BoundedAdapter(HTTPAdapter):
    """Hands out answers whose bodies end with an error when they grow past the limit.

    Notes in ``offers`` by which ways of authentication a guest that refused would let somebody in.
    """

    def __init__(self, offers: set[str]) -> None:
        super().__init__()
        self._offers = offers

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().send(request, *args, **kwargs)
        if response.status_code == 401:
            words = response.headers.get("WWW-Authenticate", "").lower().replace(",", " ").split()
            self._offers.update(offer for offer in _OFFERS if offer.lower() in words)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            response.close()
            raise BadAnswer("the answer is compressed, which was not asked for; it was not read")
        raw: Any = response.raw
        stream = raw.stream

        def bounded(amount: int = 2**14, decode_content: bool | None = None) -> Iterator[bytes]:
            size = 0
            for chunk in stream(amount, decode_content=False):
                size += len(chunk)
                if size > MAX_BYTES:
                    raw.close()
                    raise BadAnswer(f"the answer is larger than {MAX_BYTES} bytes; it was not read any further")
                yield chunk

        # Set on the instance: requests_ntlm finds the server's certificate only on urllib3's own class.
        raw.stream = bounded
        return response


class BoundedTransport(Transport):  # type: ignore[misc]
    """pywinrm's transport, whose every session goes through the bounded adapter, sealed ones from the first byte."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offers: set[str] = set()

    @property
    def shows_certificate(self) -> bool:
        """Whether a client certificate stands for the account."""
        return self.auth_method == "certificate" or (self.auth_method == "ssl" and bool(self.cert_pem))

    def setup_encryption(self, *session: Any) -> None:
        self._bound(session[0] if session else self.session)
        super().setup_encryption(*session)

    def build_session(self) -> Any:
        try:
            return self._bound(super().build_session())
        except Exception:
            # pywinrm keeps a session that could not agree on keys, and would send the next message unsealed over it.
            self.close_session()
            raise

    def _bound(self, session: Any) -> Any:
        if not isinstance(session.get_adapter("https://"), _BoundedAdapter):
            adapter = _BoundedAdapter(self.offers)
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            session.max_redirects = 0
            session.headers["Accept-Encoding"] = "identity"
        return session


def supported_options() -> frozenset[str]:
    """The transport options that the installed pywinrm knows by name."""
    return frozenset(inspect.signature(Transport.__init__).parameters) - {"self"}


def make_transport(options: Mapping[str, Any]) -> BoundedTransport:
    """Build a transport; raises :class:`Unreachable` if pywinrm cannot work with these options."""
    if IMPORT_ERROR is not None:
        raise Unreachable(missing_library())
    try:
        transport = BoundedTransport(**options)
    except Exception as error:  # pywinrm, and the authentication libraries below it, raise what they like
        raise explain(error) from None
    if transport.shows_certificate:
        _check_key(transport.cert_pem, transport.cert_key_pem)
    return transport


def _check_key(certificate: str, key: str) -> None:
    """Refuse a client certificate that OpenSSL cannot use, before it asks the terminal for a passphrase."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=lambda: "")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        raise Unreachable(
            f"the client certificate cannot be used ({printable(str(reason), 80)}); ansible_winrm_cert_pem and "
            "ansible_winrm_cert_key_pem must be readable PEM files that belong together, the key without a passphrase"
        ) from None


def missing_library() -> str:
    """Say that pywinrm is not there, and what to do."""
    return (
        "the Python library pywinrm, which carries WinRM, cannot be imported on the control node "
        f"({printable(str(IMPORT_ERROR), 120)}); install it into Ansible's own Python with: pip install pywinrm"
    )


def exchange(transport: BoundedTransport, message: str, read_timeout: float) -> bytes:
    """Send a message, return the answer's body, that of a SOAP fault included. Raises WsmanError and nothing else.

    An encrypted session that Windows has forgotten (idle for some minutes) answers 400 without a body; such a
    message was never read by the guest, so it is sent once more over a new session.
    """
    transport.read_timeout_sec = read_timeout
    try:
        try:
            return bytes(transport.send_message(message))
        except WinRMTransportError as error:
            if not (error.code == 400 and not error.response_text and transport.encryption is not None):
                raise
            transport.close_session()
            transport.encryption = None
            return bytes(transport.send_message(message))
    except WinRMTransportError as error:
        if error.code in _FAULT_STATES and error.response_text:
            return bytes(error.response_text.encode("utf-8", "replace"))
        raise _explain_state(error, transport) or explain(error) from None
    except AuthenticationError as error:
        raise _explain_refusal(error, transport) or explain(error) from None
    except Exception as error:  # see make_transport
        found = explain(error)
        if transport.shows_certificate and isinstance(error, requests.exceptions.ConnectionError):
            found.add(_CERTIFICATE_HINT)
        raise found from None


_CERTIFICATE_HINT = (
    "a guest that does not trust the issuer of the client certificate may hang up like this, and over TLS 1.3 every "
    "guest does unless the control node's urllib3 answers after the handshake (2.1.0 does not)"
)


def _explain_refusal(error: AuthenticationError, transport: BoundedTransport) -> WsmanError | None:
    """Say why HTTP 401 came, if more is known than the status."""
    if "rejected" not in str(error):
        return None
    offered = [offer for offer in _OFFERS if offer in transport.offers]
    asked = _ASKED.get(transport.auth_method, ())
    if transport.shows_certificate:
        return Unreachable(
            "the guest refused the client certificate (HTTP 401): it maps it to no account, or its WinRM service does "
            "not allow certificates; see WSMan:\\localhost\\ClientCertificate in the guest"
        )
    if not offered or any(offer in transport.offers for offer in asked):
        return None
    why = (
        f"the guest does not take {transport.auth_method} authentication here (HTTP 401) but offers "
        f"{', '.join(offered)}; "
    )
    if _is_plain(transport):
        # Never advise to send a password in clear because somebody on the way offers to take it.
        offered = [offer for offer in offered if offer != "Basic"]
    if not offered:
        return Unreachable(why + "use https (ansible_port, ansible_winrm_scheme)")
    return Unreachable(why + f"set ansible_winrm_transport to {' or '.join(_OFFERS[offer] for offer in offered)}")


def _explain_state(error: WinRMTransportError, transport: BoundedTransport) -> WsmanError | None:
    """Say what an HTTP status means that depends on how the host authenticates."""
    if error.code == 403 and transport.shows_certificate:
        return Unreachable(
            "the guest refused the connection (HTTP 403): it got no client certificate, or does not trust its issuer"
        )
    if error.code == 500 and not error.response_text and transport.encryption is None and _is_plain(transport):
        return Unreachable(
            "the guest answered HTTP 500 without a fault; over http Windows takes sealed messages only, unless its "
            "AllowUnencrypted is set: leave ansible_winrm_message_encryption at auto, with ntlm or kerberos, or use "
            "https"
        )
    return None


def _is_plain(transport: BoundedTransport) -> bool:
    return not str(transport.endpoint).lower().startswith("https")


def explain(error: Exception) -> WsmanError:
    """Turn whatever came out of pywinrm into one sentence that holds no secret."""
    if isinstance(error, WsmanError):
        return error
    if isinstance(error, AuthenticationError):
        if "rejected" not in str(error):
            return Unreachable(f"the WinRM credentials of the host are not complete: {printable(str(error), 200)}")
        return Unreachable(
            "the guest refused the credentials (HTTP 401): the user name or password is wrong, the account may not use "
            "WinRM, or the listener does not allow this kind of authentication"
        )
    if isinstance(error, WinRMTransportError):
        return Unreachable(
            f"the address answered HTTP {error.code}, which is not WinRM's answer; check ansible_port, "
            "ansible_winrm_path and proxies in between"
        )
    if isinstance(error, requests.exceptions.RequestException):
        return _explain_http(error)
    if isinstance(error, WinRMOperationTimeoutError):
        return Unreachable("the guest did not finish the read within the WS-Management operation timeout")
    if isinstance(error, WinRMError):
        return Unreachable(f"pywinrm cannot use the host's WinRM options: {printable(str(error), 200)}")
    if isinstance(error, UnicodeError):
        return BadAnswer("the answer is not text in UTF-8")
    if isinstance(error, OSError):
        return Unreachable(f"the guest could not be asked: {printable(str(error), 200)}")
    return Unreachable(f"the WinRM connection failed: {type(error).__name__}: {printable(str(error), 200)}")


def _explain_http(error: requests.exceptions.RequestException) -> WsmanError:
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
    return DeadlinePassed(f"the guest did not answer within the {seconds:g} seconds allowed in total (option timeout)")
