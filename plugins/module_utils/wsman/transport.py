# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pywinrm's HTTP transport with bounds, and its many exceptions as one sentence each.

Only ``winrm.transport.Transport`` is used (authentication, TLS, message sealing): ``Protocol.send_message`` would parse
a fault of an untrusted guest with an unguarded XML parser before we see it, and fixes the envelope size.
pywinrm is imported here, guarded, so that this file can be imported without it.
"""

from __future__ import annotations

import inspect
import ssl
from collections.abc import Mapping
from typing import Any

from .bounds import bound_session
from .explain import CERTIFICATE_HINT, Way, explain_other, explain_refusal, explain_request, explain_state
from .faults import Unreachable, WsmanError, printable

try:
    import requests
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
    Transport = object

#: HTTP states with which WinRM sends a SOAP fault as the body.
FAULT_STATES = (400, 500)


class BoundedTransport(Transport):  # type: ignore[misc]
    """pywinrm's transport, whose every session is bounded, sealed ones from the first byte."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offers: set[str] = set()

    @property
    def shows_certificate(self) -> bool:
        """Whether a client certificate stands for the account."""
        return self.auth_method == "certificate" or (self.auth_method == "ssl" and bool(self.cert_pem))

    @property
    def way(self) -> Way:
        """How it asks."""
        return Way(
            str(self.endpoint), self.auth_method, self.shows_certificate, self.encryption is not None, self.offers
        )

    def setup_encryption(self, *session: Any) -> None:
        bound_session(session[0] if session else self.session, self.offers)
        super().setup_encryption(*session)

    def build_session(self) -> Any:
        try:
            return bound_session(super().build_session(), self.offers)
        except Exception:
            # pywinrm keeps a session that could not agree on keys, and would send the next message unsealed over it.
            self.close_session()
            raise

    def exchange(self, message: str, read_timeout: float) -> bytes:
        """Send a message, return the answer's body; see :func:`exchange`."""
        return exchange(self, message, read_timeout)


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
        if error.code in FAULT_STATES and error.response_text:
            return bytes(error.response_text.encode("utf-8", "replace"))
        raise explain_state(error.code, bool(error.response_text), transport.way) from None
    except AuthenticationError as error:
        raise (explain_refusal(transport.way) if "rejected" in str(error) else explain(error)) from None
    except Exception as error:  # see make_transport
        found = explain(error)
        if isinstance(error, requests.exceptions.ConnectionError) and transport.shows_certificate:
            found.add(CERTIFICATE_HINT)
        raise found from None


def explain(error: Exception) -> WsmanError:
    """Turn whatever came out of pywinrm into one sentence that holds no secret."""
    if isinstance(error, AuthenticationError):
        return Unreachable(f"the WinRM credentials of the host are not complete: {printable(str(error), 200)}")
    if isinstance(error, requests.exceptions.RequestException):
        return explain_request(error)
    if isinstance(error, WinRMOperationTimeoutError):
        return Unreachable("the guest did not finish the read within the WS-Management operation timeout")
    if isinstance(error, WinRMError):
        return Unreachable(f"pywinrm cannot use the host's WinRM options: {printable(str(error), 200)}")
    return explain_other(error)
