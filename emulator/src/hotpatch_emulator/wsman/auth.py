# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may talk to a guest: HTTP basic authentication of the guest's one local account.

Kept apart from the listeners because Negotiate, Kerberos and client certificates belong here too; they need the
connection's state, basic does not.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotpatch_emulator.state import Guest

CHALLENGES = ('Basic realm="WSMAN"',)
"""WWW-Authenticate values of a 401, in the order a client should try them."""


def authenticate(authorization: str | None, guest: Guest) -> str | None:
    """The account that the Authorization header proves, or None.

    Windows compares account names without case and takes a local account with or without its computer's name.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, separator, password = base64.b64decode(token.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    domain, backslash, account = user.rpartition("\\")
    local = not backslash or domain.lower() in (".", guest.computer_name.lower())
    known = local and _same(account.lower(), guest.username.lower())
    return guest.username if separator and _same(password, guest.password) and known else None


def _same(left: str, right: str) -> bool:
    return hmac.compare_digest(left.encode(), right.encode())
