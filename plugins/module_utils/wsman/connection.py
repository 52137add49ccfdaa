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
from typing import Any, TypeVar
from urllib.parse import urlunsplit

from . import transport as wire
from .envelope import Address, Request
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
    """A point in real time after which a guest is not waited for. Sockets live in real time, so this does too."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
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
            raise wire.deadline_passed(self.seconds)
        threading.Thread(target=worker, name="winrm", daemon=True).start()
        try:
            value, error = results.get(timeout=self.remaining)
        except queue.Empty:
            raise wire.deadline_passed(self.seconds) from None
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
    port = _number("ansible_port", get_option("port"), 5986)
    scheme = _text(get_option("scheme")) or ("http" if port == 5985 else "https")
    host = _text(get_option("remote_addr")) or ""
    path = _text(get_option("path")) or "/wsman"
    username, password = _text(get_option("remote_user")), _text(get_option("remote_password"))
    transports = tuple(str(name) for name in get_option("transport") or () if name)
    if not transports:
        basic = "ssl" if scheme == "https" else "plaintext"
        transports = ("kerberos",) if username and "@" in username else (basic,)
    found = {str(name): value for name, value in (get_option("_extras") or {}).items()}
    extras = {name[len("ansible_winrm_") :]: _plain(value) for name, value in found.items()}
    operation = _number("ansible_winrm_operation_timeout_sec", extras.get("operation_timeout_sec"), OPERATION_TIMEOUT)
    read = _number("ansible_winrm_read_timeout_sec", extras.get("read_timeout_sec"), READ_TIMEOUT)
    timeout = _number("ansible_winrm_connection_timeout", get_option("connection_timeout"), 0)
    if timeout:
        operation, read = timeout, timeout + 10
    if not 1 <= operation < read:
        raise Unreachable(
            f"ansible_winrm_operation_timeout_sec is {operation} and ansible_winrm_read_timeout_sec is {read}; "
            "the first must be at least 1 and less than the second"
        )
    return WinrmOptions(
        endpoint=urlunsplit((scheme, f"{_bracketed(host)}:{port}", path, "", "")),
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
    mode = _text(get_option("kerberos_mode"))
    if mode == "manual" or (mode != "managed" and not password) or not username:
        return None
    arguments = _text(get_option("kinit_args"))
    return Kinit(
        username,
        password or "",
        _text(get_option("kerberos_command")) or "kinit",
        tuple(shlex.split(arguments)) if arguments else (("-f",) if delegation else ()),
        tuple(str(name) for name in get_option("kinit_env_vars") or ()),
    )


def _plain(value: Any) -> Any:
    """Strip what ansible-core 2.19 and newer tag values with, and decrypt what 2.18 and older keep encrypted."""
    if value is None or isinstance(value, bool):
        return value
    return int(value) if isinstance(value, int) else str(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _number(option: str, value: Any, default: int) -> int:
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise Unreachable(f"{option} is {str(value)!r}, but must be a whole number") from None


def _bracketed(host: str) -> str:
    try:
        return f"[{ipaddress.IPv6Address(host)}]"
    except ValueError:
        return host


class WinrmSender:
    """Sends envelopes to one host through pywinrm, within a deadline. Fits :class:`.cim.Sender`.

    The transports of the host are tried in their order until one authenticates; the others are then forgotten.
    """

    def __init__(self, options: WinrmOptions, deadline: Deadline) -> None:
        self._options = options
        self._deadline = deadline
        self._transport: wire.BoundedTransport | None = None

    @property
    def address(self) -> Address:
        """The endpoint, and an operation timeout that does not reach past the deadline."""
        left = max(1, int(self._deadline.remaining))
        return Address(self._options.endpoint, min(self._options.operation_timeout, left))

    def send(self, request: Request) -> bytes:
        """Send one message and return the raw answer. Raises WsmanError and nothing else."""
        if wire.IMPORT_ERROR is not None:
            raise Unreachable(wire.missing_library())
        return self._deadline.run(lambda: self._send(request.envelope))

    def close(self) -> None:
        """Close the HTTP connection."""
        if self._transport is not None:
            self._transport.close_session()

    def _send(self, envelope: str) -> bytes:
        if self._transport is not None:
            return self._exchange(self._transport, envelope)
        refusals: list[str] = []
        for name in self._options.transports:
            try:
                if name == "kerberos" and self._options.kinit is not None:
                    TICKETS.obtain(self._options.kinit, self._deadline.remaining)
                candidate = wire.make_transport(self._transport_options(name))
                answer = self._exchange(candidate, envelope)
            except DeadlinePassed:
                raise
            except Unreachable as error:
                refusals.append(error.why if len(self._options.transports) == 1 else f"{name}: {error.why}")
                continue
            self._transport = candidate
            return answer
        raise Unreachable("; ".join(refusals) or "the host has no WinRM transport (ansible_winrm_transport is empty)")

    def _exchange(self, transport: wire.BoundedTransport, envelope: str) -> bytes:
        timeout = max(0.1, min(self._options.read_timeout, self._deadline.remaining))
        try:
            return wire.exchange(transport, envelope, timeout)
        except WsmanError as error:
            raise type(error)(self._options.redact(error.why)) from None

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
