# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blanks a host's secrets out of texts: a hostile guest was given some of them, and may echo them in any spelling."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import quote, urlsplit
from xml.sax.saxutils import escape

BLANK = "********"
#: The shortest piece of a secret that is blanked where a text was cut off in the middle of it.
_PIECE = 4


class Secrets:
    """What must not be shown of one host. Its ``repr`` shows nothing, so that no traceback or log shows it either."""

    def __init__(self, username: str | None, *secrets: str | None) -> None:
        spellings: set[str] = set()
        for secret in secrets:
            if secret:
                spellings.update(_spellings(secret))
                # What basic authentication sends.
                spellings.add(_base64(f"{username or ''}:{secret}"))
        # The longest first: a shorter one may be a part of it.
        self._spellings = sorted(spellings, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return *text* with every spelling of every secret blanked, also one that is cut off at the end."""
        for spelling in self._spellings:
            text = text.replace(spelling, BLANK)
        for spelling in self._spellings:
            text = _without_cut_end(text, spelling)
        return text

    def __repr__(self) -> str:
        return "Secrets(...)"


def password_in(url: str | None) -> str | None:
    """The password that a proxy's URL carries, as it stands there."""
    try:
        return urlsplit(url or "").password
    except ValueError:
        return None


def _spellings(secret: str) -> Iterable[str]:
    return (secret, quote(secret, safe=""), escape(secret), _base64(secret))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogateescape")).decode()


def _without_cut_end(text: str, secret: str) -> str:
    """Blank the beginning of a secret at the very end of a text, or before the dots that mark a cut."""
    body, dots = (text[:-3], "...") if text.endswith("...") else (text, "")
    for length in range(min(len(secret) - 1, len(body)), _PIECE - 1, -1):
        if body.endswith(secret[:length]):
            return body[:-length] + BLANK + dots
    return text
