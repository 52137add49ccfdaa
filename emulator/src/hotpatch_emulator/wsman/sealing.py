# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed messages: the multipart/encrypted bodies that carry envelopes over plain http (MS-WSMV 2.2.9.1)."""

from __future__ import annotations

import re
import struct

from hotpatch_emulator.wsman.ntlm import NegotiateError, Negotiation

MEDIA_TYPE = "multipart/encrypted"
_PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
CONTENT_TYPE = f'{MEDIA_TYPE};protocol="{_PROTOCOL}";boundary="Encrypted Boundary"'
_BOUNDARY = b"--Encrypted Boundary\r\n"
_END = b"--Encrypted Boundary--\r\n"
_HEAD = re.compile(
    rb"--Encrypted Boundary\r\n"
    rb"[ \t]*Content-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
    rb"[ \t]*OriginalContent: type=application/soap\+xml;charset=UTF-8;Length=(\d{1,9})\r\n"
    rb"--Encrypted Boundary\r\n"
    rb"[ \t]*Content-Type: application/octet-stream\r\n",
    re.IGNORECASE,
)


def unseal(negotiation: Negotiation, body: bytes) -> bytes:
    """The envelope inside a sealed body. NegotiateError: it was not sealed with this connection's keys, or altered."""
    head = _HEAD.match(body)
    if head is None or not body.endswith(_END):
        raise NegotiateError("the body is no sealed message")
    payload = body[head.end() : -len(_END)]
    if len(payload) < 4:
        raise NegotiateError("the sealed message has no signature")
    (size,) = struct.unpack_from("<I", payload)
    plain = negotiation.unwrap(payload[4 : 4 + size], payload[4 + size :])
    if len(plain) != int(head[1]):
        raise NegotiateError("the sealed message has another length than it says")
    return plain


def seal(negotiation: Negotiation, envelope: bytes) -> bytes:
    """A body that only the client of this connection can read."""
    header, data, padding = negotiation.wrap(envelope)
    original = f"type=application/soap+xml;charset=UTF-8;Length={len(envelope) + padding}"
    return b"".join(
        (
            _BOUNDARY,
            f"\tContent-Type: {_PROTOCOL}\r\n\tOriginalContent: {original}\r\n".encode(),
            _BOUNDARY,
            b"\tContent-Type: application/octet-stream\r\n",
            struct.pack("<I", len(header)),
            header,
            data,
            _END,
        )
    )
