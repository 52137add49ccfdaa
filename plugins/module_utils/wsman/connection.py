# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's own WinRM connection options, turned into something that sends envelopes to it.

The options are read with ``connection.get_option`` only, so whatever makes Ansible's winrm connection plugin reach the
host (inventory, group variables, AWX machine credentials) makes the probe reach it. No shell is opened.
Rules as in ``ansible.builtin.winrm`` of ansible-core 2.16 to 2.21: the scheme is http for port 5985 and else https; no
transport means kerberos for a user@domain and else basic; connection_timeout sets the operation timeout, and the read
timeout to 10 seconds more.
"""

from __future__ import annotations

import ipaddress
import queue
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlunsplit

from . import transport as wire
from .envelope import Address, Request
from .explain import deadline_passed
from .faults import DeadlinePassed, Unreachable, WsmanError
from .secrets import Secrets, password_in
from .tickets import TICKETS, Kinit

T = TypeVar("T")

#: The longest operation timeout that Windows accepts by default (MaxTimeoutms), seconds.
MAX_OPERATION_TIMEOUT = 60
#: pywinrm's own defaults, seconds.
OPERATION_TIMEOUT = 20
READ_TIMEOUT = 30
# Names of extras (ansible_winrm_<name>) that have an option of their own, or are handled here.
_OWN_OPTIONS = frozenset(
    {"endpoint", "transport", "auth_method", "username", "password", "scheme", "path"}
    | {"kinit_mode", "kinit_cmd", "read_timeout_sec", "operation_timeout_sec"}
)


class Deadline:
    """A point in real time after which a guest is not waited for. Sockets live in real time, so this does too.

    With ``watched`` somebody else sees to it that nobody waits any longer, and work is done in the caller's own thread.
    """

    def __init__(self, seconds: float, watched: bool = False) -> None:
        self.seconds = seconds
        self._watched = watched
        self._end = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self._end - time.monotonic())

    def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns or raise what it raises, but raise :class:`DeadlinePassed` when time is up.

        Socket time-outs bound one read, not their number: a guest that drips a byte a second, in its TLS handshake
        or headers too, or a name server that is silent, would hold us for ever. So the work is done in a daemon
        thread that is left behind.
        """
        results: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def worker() -> None:
            try:
                results.put((work(), None))
            except BaseException as error:  # handed over to the caller, whatever it is
                results.put((None, error))

        if self.remaining <= 0:
            raise deadline_passed(self.seconds)
        if self._watched:
            return work()
        threading.Thread(target=worker, name="winrm", daemon=True).start()
        try:
            value, error = results.get(timeout=self.remaining)
        except queue.Empty:
            raise deadline_passed(self.seconds) from None
        if error is not None:
            raise error
        return value  # type: ignore[return-value]


@dataclass(frozen=True)
class WinrmOptions:
    """How to reach one host. ``extras`` are pywinrm's own option names; no secret is ever shown."""

    endpoint: str
    transports: tuple[str, ...]
    username: str | None
    password: str | None = field(repr=False)
    operation_timeout: int = OPERATION_TIMEOUT
    read_timeout: int = READ_TIMEOUT
    extras: Mapping[str, Any] = field(default_factory=dict, repr=False)
    kinit: Kinit | None = None

    def redact(self, text: str) -> str:
        """Blank the secrets out of a text; see :class:`.secrets.Secrets`."""
        return Secrets(self.username, self.password, password_in(self.extras.get("proxy"))).redact(text)

    def open(self, deadline: Deadline) -> WinrmSender:
        """Make what sends envelopes to the host."""
        return WinrmSender(self, deadline)


def read_options(get_option: Callable[[str], Any]) -> WinrmOptions:
    """Read the options of a host whose connection plugin is ``winrm``.

    ``get_option`` is the connection plugin's. Raises :class:`Unreachable` naming the option that cannot be used.
    """
    port = whole_number("ansible_port", get_option("port"), 5986)
    scheme = plain_text(get_option("scheme")) or ("http" if port == 5985 else "https")
    host = plain_text(get_option("remote_addr")) or ""
    path = plain_text(get_option("path")) or "/wsman"
    username, password = plain_text(get_option("remote_user")), plain_text(get_option("remote_password"))
    transports = tuple(str(name) for name in get_option("transport") or () if name)
    if not transports:
        basic = "ssl" if scheme == "https" else "plaintext"
        transports = ("kerberos",) if username and "@" in username else (basic,)
    found = {str(name): value for name, value in (get_option("_extras") or {}).items()}
    extras = {name[len("ansible_winrm_") :]: plain_value(value) for name, value in found.items()}
    operation = whole_number(
        "ansible_winrm_operation_timeout_sec", extras.get("operation_timeout_sec"), OPERATION_TIMEOUT
    )
    read = whole_number("ansible_winrm_read_timeout_sec", extras.get("read_timeout_sec"), READ_TIMEOUT)
    timeout = whole_number("ansible_winrm_connection_timeout", get_option("connection_timeout"), 0)
    if timeout:
        operation, read = timeout, timeout + 10
    if not 1 <= operation < read:
        raise Unreachable(
            f"ansible_winrm_operation_timeout_sec is {operation} and ansible_winrm_read_timeout_sec is {read}; "
            "the first must be at least 1 and less than the second"
        )
    return WinrmOptions(
        endpoint=urlunsplit((scheme, f"{bracketed(host)}:{port}", path, "", "")),
        transports=transports,
        username=username,
        password=password,
        operation_timeout=min(operation, MAX_OPERATION_TIMEOUT),
        read_timeout=read,
        extras={name: value for name, value in extras.items() if name not in _OWN_OPTIONS},
        kinit=_kinit(get_option, username, password, bool(extras.get("kerberos_delegation"))),
    )


def _kinit(
    get_option: Callable[[str], Any], username: str | None, password: str | None, delegation: bool
) -> Kinit | None:
    """How to get a Kerberos ticket. As Ansible's plugin does: if there is a password, unless told otherwise."""
    mode = plain_text(get_option("kerberos_mode"))
    if mode == "manual" or (mode != "managed" and not password) or not username:
        return None
    arguments = plain_text(get_option("kinit_args"))
    return Kinit(
        username,
        password or "",
        plain_text(get_option("kerberos_command")) or "kinit",
        tuple(shlex.split(arguments)) if arguments else (("-f",) if delegation else ()),
        tuple(str(name) for name in get_option("kinit_env_vars") or ()),
    )


def plain_value(value: Any) -> Any:
    """Strip what ansible-core 2.19 and newer tag values with, and decrypt what 2.18 and older keep encrypted."""
    if value is None or isinstance(value, bool):
        return value
    return int(value) if isinstance(value, int) else str(value)


def plain_text(value: Any) -> str | None:
    """The text of an option, without the tags of ansible-core 2.19 and newer; None if it is not set."""
    return None if value is None else str(value)


def whole_number(option: str, value: Any, default: int) -> int:
    """The number of an option, or *default* if it is not set; Unreachable names the variable that is no number."""
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Unreachable(f"{option} is {str(value)!r}, but must be a whole number") from None


def bracketed(host: str) -> str:
    """A host as a URL spells it: an IPv6 address in brackets."""
    try:
        return f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        return host


class Wire(Protocol):
    """A library's HTTP transport to one guest, with bounds."""

    def exchange(self, message: str, read_timeout: float) -> bytes:
        """Send a message, return the answer's body, that of a SOAP fault included. Raises WsmanError only."""

    def close_session(self) -> None:
        """Close the HTTP connection."""


class Reached(Protocol):
    """What a sender needs to know of its host's options."""

    @property
    def endpoint(self) -> str:
        """The URL of the guest's listener."""

    @property
    def operation_timeout(self) -> int:
        """Seconds that the guest may work on one request."""

    @property
    def read_timeout(self) -> int:
        """Seconds that one read from the socket may take."""

    def redact(self, text: str) -> str:
        """Blank the host's secrets out of a text."""


class GuestSender:
    """Sends envelopes to one host within a deadline, over a transport that a subclass opens; a :class:`.cim.Sender`."""

    def __init__(self, options: Reached, deadline: Deadline) -> None:
        self._reached = options
        self._deadline = deadline
        self._transport: Wire | None = None

    @property
    def address(self) -> Address:
        """The endpoint, and an operation timeout that does not reach past the deadline."""
        left = max(1, int(self._deadline.remaining))
        return Address(self._reached.endpoint, min(self._reached.operation_timeout, left))

    def send(self, request: Request) -> bytes:
        """Send one message and return the raw answer. Raises WsmanError and nothing else."""
        return self._deadline.run(lambda: self._send(request.envelope))

    def close(self) -> None:
        """Close the HTTP connection."""
        if self._transport is not None:
            self._transport.close_session()

    def _send(self, envelope: str) -> bytes:
        if self._transport is not None:
            return self._exchange(self._transport, envelope)
        self._transport, answer = self._open(envelope)
        return answer

    def _open(self, envelope: str) -> tuple[Wire, bytes]:
        """Open a transport by sending the first message; return it and the answer."""
        raise NotImplementedError

    def _exchange(self, transport: Wire, envelope: str) -> bytes:
        timeout = max(0.1, min(self._reached.read_timeout, self._deadline.remaining))
        try:
            return transport.exchange(envelope, timeout)
        except WsmanError as error:
            raise type(error)(self._reached.redact(error.why)) from None


class WinrmSender(GuestSender):
    """Sends through pywinrm.

    The transports of the host are tried in their order until one authenticates; the others are then forgotten.
    """

    def __init__(self, options: WinrmOptions, deadline: Deadline) -> None:
        super().__init__(options, deadline)
        self._options = options

    def send(self, request: Request) -> bytes:
        """Send one message and return the raw answer. Raises WsmanError and nothing else."""
        if wire.IMPORT_ERROR is not None:
            raise Unreachable(wire.missing_library())
        return super().send(request)

    def _open(self, envelope: str) -> tuple[Wire, bytes]:
        refusals: list[str] = []
        for name in self._options.transports:
            try:
                if name == "kerberos" and self._options.kinit is not None:
                    TICKETS.obtain(self._options.kinit, self._deadline.remaining)
                candidate = wire.make_transport(self._transport_options(name))
                return candidate, self._exchange(candidate, envelope)
            except DeadlinePassed:
                raise
            except Unreachable as error:
                refusals.append(error.why if len(self._options.transports) == 1 else f"{name}: {error.why}")
        raise Unreachable("; ".join(refusals) or "the host has no WinRM transport (ansible_winrm_transport is empty)")

    def _transport_options(self, name: str) -> dict[str, Any]:
        known = wire.supported_options()
        options = {option: value for option, value in self._options.extras.items() if option in known}
        options.update(
            endpoint=self._options.endpoint,
            auth_method=name,
            username=self._options.username,
            password=self._options.password,
            read_timeout_sec=self._options.read_timeout,
        )
        options.setdefault("server_cert_validation", "validate")
        # Part of the name of the guest that a Kerberos ticket is for; pywinrm's own default is one layer above.
        options.setdefault("service", "HTTP")
        return options
