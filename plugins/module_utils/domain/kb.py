# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Knowledge base numbers, written ``KB5087423`` everywhere inside the collection.

Azure answers with digits only (``kbId: "4052623"``) and refuses digits in a request: ``The entry in
'kbNumbersToInclude' with value '1111' is not valid. It must be a KBID such as KB4512508.`` (recorded traffic 2024-11).
"""

from __future__ import annotations

import re

from .errors import InputError

# Updates for Windows Server carry six (KB890830, the removal tool) or seven digits.
_KB = re.compile(r"(?:KB)?([0-9]{6,7})", re.IGNORECASE)
_ALLOWED = "a knowledge base number of six or seven digits such as KB5087423 or 5087423"


def normal_kb(raw: object) -> str | None:
    """Return ``KB<digits>`` for text or a number of that form, None for anything else."""
    if isinstance(raw, bool) or not isinstance(raw, (str, int)):
        return None
    found = _KB.fullmatch(str(raw).strip())
    return f"KB{found[1]}" if found else None


def parse_kb(option: str, raw: object) -> str:
    """Return ``KB<digits>`` of what a user wrote, with or without ``KB``, as text or number; InputError else."""
    number = normal_kb(raw)
    if number is None:
        raise InputError(option, raw, _ALLOWED)
    return number


def kb_digits(kb: str) -> str:
    """Return the digits of a ``KB<digits>``, as Azure's answers spell it."""
    return kb[2:] if kb[:2].upper() == "KB" else kb
