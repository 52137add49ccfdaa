# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Negotiate with NTLM, the server's side: real cryptography by pyspnego, and the keys that messages are sealed with.

pyspnego's acceptor takes accounts only from the file that the environment variable NTLM_USER_FILE names, so that
variable is set for the length of one step, to a file that lives as long and that only its owner can read. What a
client sends is accepted raw or wrapped in SPNEGO, as Windows does; only NTLMv2 is accepted. The computer name in the
challenge is this machine's, not the guest's (pyspnego cannot be told another).
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import spnego
from spnego.channel_bindings import GssChannelBindings

if TYPE_CHECKING:
    from hotpatch_emulator.state import Guest

_NEGOTIATE = b"NTLMSSP\x00\x01\x00\x00\x00"
_AUTHENTICATE = b"NTLMSSP\x00\x03\x00\x00\x00"
_NT_RESPONSE_FIELDS = 20  # offset of length, maximum length and offset of the NT response (MS-NLMP 2.2.1.3)
_AV_PAIRS = 16 + 28  # they follow the proof and the fixed part of the client's challenge (MS-NLMP 2.2.2.7)
_CHANNEL_BINDINGS = 10  # MsvAvChannelBindings (MS-NLMP 2.2.2.1)
_ENVIRONMENT = threading.Lock()  # several emulators may run in the threads of one process


class NegotiateError(ValueError):
    """The client's token or message cannot be accepted."""


class Negotiation:
    """One client's attempt to authenticate, and its security context once that has succeeded.

    ``binding`` is what ties a token to the TLS channel that it comes through, None without TLS. Windows' Relaxed
    hardening accepts tokens without one and refuses wrong ones; Strict refuses both; None looks at neither.
    """

    method = "ntlm"

    def __init__(self, guest: Guest, binding: bytes | None) -> None:
        self._guest = guest
        hardening = guest.winrm_service.cbt_hardening
        self._strict = hardening == "strict"
        self._binding = (
            GssChannelBindings(application_data=binding) if binding is not None and hardening != "none" else None
        )
        self._context = spnego.server(protocol="negotiate", options=spnego.NegotiateOptions.use_negotiate)

    @property
    def complete(self) -> bool:
        return self._context.complete

    def step(self, token: bytes) -> bytes | None:
        """Take a token, return the one to answer with. NegotiateError: the client is not who it claims to be."""
        if not token:
            raise NegotiateError("the token is empty")
        expected = self._binding
        if expected is not None and not self._strict and not _is_bound(token):
            expected = None
        try:
            with _accounts_of(self._guest):
                return self._context.step(token, channel_bindings=expected)
        except Exception as error:  # pyspnego's parsers raise whatever a malformed token leads them to
            raise NegotiateError(f"the token is not accepted: {type(error).__name__}") from error

    def unwrap(self, header: bytes, data: bytes) -> bytes:
        """Decrypt a message and verify its signature."""
        try:
            return self._context.unwrap_winrm(header, data)
        except Exception as error:  # as above
            raise NegotiateError(f"the message cannot be unsealed: {type(error).__name__}") from error

    def wrap(self, plain: bytes) -> tuple[bytes, bytes, int]:
        """Header, encrypted data and length of the padding."""
        sealed = self._context.wrap_winrm(plain)
        return sealed.header, sealed.data, sealed.padding_length


def is_ntlm(token: bytes) -> bool:
    """Whether a token is of NTLM, raw or in SPNEGO."""
    return b"NTLMSSP\x00" in token


def begins(token: bytes) -> bool:
    """Whether a token opens an exchange (an NTLM NEGOTIATE message, raw or in SPNEGO)."""
    return _NEGOTIATE in token


@contextlib.contextmanager
def _accounts_of(guest: Guest) -> Iterator[None]:
    """Let pyspnego's acceptor know the guest's one account, which may be given without a domain or with the computer's.

    LM_COMPAT_LEVEL 5 makes it refuse LM and NTLMv1, which Windows Server 2025 no longer has.
    """
    with _ENVIRONMENT, tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="hotpatch-emulator-") as file:
        for domain in ("", ".", guest.computer_name):
            file.write(f"{domain}:{guest.username}:{guest.password}\n")
        file.flush()
        wanted = {"NTLM_USER_FILE": file.name, "LM_COMPAT_LEVEL": "5"}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def _is_bound(token: bytes) -> bool:
    """Whether an AUTHENTICATE message says which channel it belongs to; 16 zero bytes say that it does not."""
    start = token.find(_AUTHENTICATE)
    if start < 0:
        return False
    message = token[start:]
    try:
        length, _maximum, offset = struct.unpack_from("<HHI", message, _NT_RESPONSE_FIELDS)
        position = offset + _AV_PAIRS
        while position < offset + length:
            kind, size = struct.unpack_from("<HH", message, position)
            if kind == _CHANNEL_BINDINGS:
                return any(message[position + 4 : position + 4 + size])
            if kind == 0:
                break
            position += 4 + size
    except struct.error:
        pass  # malformed: the step that follows refuses it
    return False
