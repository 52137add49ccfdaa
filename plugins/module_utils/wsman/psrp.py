# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts whose connection plugin is ``psrp``: their options, and pypsrp's HTTP transport with bounds.

Only the transport of ``pypsrp.wsman.WSMan`` is used (authentication, TLS, proxies, message sealing): no runspace is
opened and no PowerShell starts. pypsrp is imported here, guarded, so that this file can be imported without it.
The options are those of ``ansible.builtin.psrp`` of ansible-core 2.16 to 2.21 and mean what they mean there. What
concerns PowerShell, and reconnecting, is left out: a probe that is repeated later does better than one that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .bounds import bound_session
from .connection import (
    MAX_OPERATION_TIMEOUT,
    Deadline,
    GuestSender,
    Wire,
    bracketed,
    plain_text,
    plain_value,
    whole_number,
)
from .explain import CERTIFICATE_HINT, Way, explain_other, explain_refusal, explain_request, explain_state
from .faults import Unreachable, WsmanError, printable
from .secrets import Secrets, password_in
from .transport import FAULT_STATES

try:
    import requests
    from pypsrp.exceptions import AuthenticationError, WinRMTransportError
    from pypsrp.wsman import WSMan

    IMPORT_ERROR: str | None = None
except ImportError as error:
    IMPORT_ERROR = str(error)

# Options that pypsrp takes under the same name.
_SAME = (
    *("auth", "path", "proxy", "certificate_key_pem", "certificate_pem", "certificate_key_password"),
    *("credssp_auth_mechanism", "credssp_disable_tlsv1_2", "credssp_minimum_version"),
    *("negotiate_send_cbt", "negotiate_delegate", "negotiate_hostname_override", "negotiate_service"),
)


@dataclass(frozen=True)
class PsrpOptions:
    """How to reach one host. ``settings`` are pypsrp's own option names; no secret is ever shown."""

    endpoint: str
    operation_timeout: int
    read_timeout: int
    settings: Mapping[str, Any] = field(repr=False)

    def redact(self, text: str) -> str:
        """Blank the secrets out of a text; see :class:`.secrets.Secrets`."""
        given = self.settings
        secrets = (given.get("password"), given.get("certificate_key_password"), password_in(given.get("proxy")))
        return Secrets(given.get("username"), *secrets).redact(text)

    def open(self, deadline: Deadline) -> PsrpSender:
        """Make what sends envelopes to the host."""
        return PsrpSender(self, deadline)


def read_psrp_options(get_option: Callable[[str], Any]) -> PsrpOptions:
    """Read the options of a host whose connection plugin is ``psrp``; Unreachable names the one that cannot be used."""

    def optional(name: str) -> Any:
        try:
            return plain_value(get_option(name))
        except KeyError:
            return None  # the option is younger than this ansible-core

    scheme, port = optional("protocol"), optional("port")
    if scheme is None:
        scheme = "http" if port is not None and whole_number("ansible_port", port, 0) == 5985 else "https"
    port = whole_number("ansible_port", port, 5986 if scheme == "https" else 5985)
    host = plain_text(get_option("remote_addr")) or ""
    settings = {name: value for name in _SAME if (value := optional(name)) is not None}
    validation = optional("cert_validation") != "ignore" and (optional("ca_cert") or True)
    settings.update(
        server=host,
        port=port,
        username=plain_text(get_option("remote_user")),
        password=plain_text(get_option("remote_password")),
        ssl=scheme == "https",
        cert_validation=validation,
        encryption=optional("message_encryption") or "auto",
        no_proxy=bool(optional("ignore_proxy")),
        connection_timeout=whole_number("ansible_psrp_connection_timeout", optional("connection_timeout"), 30),
    )
    operation = whole_number("ansible_psrp_operation_timeout", optional("operation_timeout"), 20)
    path = str(settings.get("path", "wsman")).lstrip("/")
    return PsrpOptions(
        f"{scheme}://{bracketed(host)}:{port}/{path}",
        max(1, min(operation, MAX_OPERATION_TIMEOUT)),
        max(1, whole_number("ansible_psrp_read_timeout", optional("read_timeout"), 30)),
        settings,
    )


class PsrpTransport:
    """pypsrp's transport, bounded, whose exceptions become one sentence each."""

    def __init__(self, options: PsrpOptions) -> None:
        self._offers: set[str] = set()
        self._options = options
        try:
            self._transport: Any = WSMan(**options.settings, read_timeout=options.read_timeout).transport
            # Built here and not by the first message, which would go out unbounded.
            self._transport.session = bound_session(self._transport._build_session(), self._offers)
        except Exception as error:  # pypsrp, and the authentication libraries below it, raise what they like
            raise _explain(error) from None

    @property
    def way(self) -> Way:
        """How it asks."""
        return Way(
            self._options.endpoint,
            str(self._options.settings.get("auth", "negotiate")),
            self._options.settings.get("auth") == "certificate",
            bool(self._transport.wrap_required),
            self._offers,
            "ansible_psrp_auth",
            "ansible_psrp_message_encryption",
            "ansible_port, ansible_psrp_path",
        )

    def exchange(self, message: str, read_timeout: float) -> bytes:
        """Send a message, return the answer's body, that of a SOAP fault included. Raises WsmanError only.

        As with pywinrm, an encrypted session that Windows has forgotten is renewed once.
        """
        connect = min(float(self._options.settings["connection_timeout"]), read_timeout)
        self._transport.connection_timeout, self._transport.read_timeout = connect, read_timeout
        data = message.encode("utf-8")
        try:
            try:
                return bytes(self._transport.send(data))
            except WinRMTransportError as error:
                if not (error.code == 400 and not error.response_text and self._transport.encryption is not None):
                    raise
                self._renew()
                return bytes(self._transport.send(data))
        except WinRMTransportError as error:
            if error.code in FAULT_STATES and error.response_text:
                return str(error.response_text).encode("utf-8", "replace")
            raise explain_state(error.code, bool(error.response_text), self.way) from None
        except AuthenticationError:
            raise explain_refusal(self.way) from None
        except Exception as error:  # see __init__
            found = _explain(error)
            if isinstance(error, requests.exceptions.ConnectionError) and self.way.shows_certificate:
                found.add(CERTIFICATE_HINT)
            raise found from None

    def close_session(self) -> None:
        """Close the HTTP connection."""
        self._transport.close()

    def _renew(self) -> None:
        self._transport.close()
        self._transport.encryption = None
        self._transport.session = bound_session(self._transport._build_session(), self._offers)


class PsrpSender(GuestSender):
    """Sends through pypsrp."""

    def __init__(self, options: PsrpOptions, deadline: Deadline) -> None:
        super().__init__(options, deadline)
        self._options = options

    def _open(self, envelope: str) -> tuple[Wire, bytes]:
        if IMPORT_ERROR is not None:
            raise Unreachable(
                "the host's ansible_connection is psrp, but the Python library pypsrp cannot be imported on the "
                f"control node ({printable(IMPORT_ERROR, 120)}); install it into Ansible's own Python with: "
                "pip install pypsrp"
            )
        try:
            transport = PsrpTransport(self._options)
        except WsmanError as error:
            raise type(error)(self._options.redact(error.why)) from None
        return transport, self._exchange(transport, envelope)


def _explain(error: Exception) -> WsmanError:
    if isinstance(error, requests.exceptions.RequestException):
        return explain_request(error)
    if isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return Unreachable(f"pypsrp cannot use the host's options: {printable(str(error), 200)}")
    return explain_other(error)
