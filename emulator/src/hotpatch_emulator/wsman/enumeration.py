# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enumerations in progress: what is left to pull, and how much fits in one answer.

As captured from WinRM 2.0 and 3.0: the answer to Enumerate carries one item of a result with several, the rest comes
by Pull in portions of about 75 KB. Nobody documents whether a Pull may hand out a new context; WS-Enumeration allows
it, so this one always does.
"""

from __future__ import annotations

import time
import uuid
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from hotpatch_emulator.wsman import names, soap_faults

_PORTION = 75 * 1024
_ENVELOPE_OVERHEAD = 2048


@dataclass
class _Enumeration:
    uri: str
    rows: deque[str]
    last_used: float
    endless: bool


@dataclass(frozen=True)
class Portion:
    """Rows for one answer; ``context`` is empty when nothing is left."""

    rows: list[str]
    context: str


class Enumerations:
    """The open enumerations of one guest. They end with the guest's uptime: a restart makes a new object."""

    def __init__(self) -> None:
        self._open: dict[str, _Enumeration] = {}

    def start(
        self,
        uri: str,
        rows: Iterable[str],
        *,
        optimized: bool,
        max_elements: int,
        max_bytes: int,
        endless: bool,
        paging: str = "one_then_pull",
    ) -> Portion:
        """Begin; unless the client asks for optimization the first answer carries no item at all."""
        waiting = deque(rows)
        enumeration = _Enumeration(uri, waiting, time.monotonic(), endless and bool(waiting))
        if not optimized or (paging == "none_then_pull" and waiting):
            return Portion([], self._keep(enumeration))
        at_most = 1 if len(waiting) > 1 and paging != "all_at_once" else max_elements
        return self._take(enumeration, at_most, max_bytes)

    def pull(self, context: str, uri: str, max_elements: int, max_bytes: int) -> Portion:
        """The next portion."""
        enumeration = self._find(context)
        if enumeration.uri.lower() != uri.lower():
            raise soap_faults.pull_differs()
        del self._open[context]
        return self._take(enumeration, max_elements, max_bytes)

    def release(self, context: str) -> None:
        self._find(context)
        del self._open[context]

    def _find(self, context: str) -> _Enumeration:
        oldest = time.monotonic() - names.ENUMERATION_TIMEOUT_SECONDS
        for key in [key for key, item in self._open.items() if item.last_used < oldest]:
            del self._open[key]
        enumeration = self._open.get(context)
        if enumeration is None:
            raise soap_faults.invalid_context()
        return enumeration

    def _keep(self, enumeration: _Enumeration) -> str:
        context = f"uuid:{str(uuid.uuid4()).upper()}"
        enumeration.last_used = time.monotonic()
        self._open[context] = enumeration
        return context

    def _take(self, enumeration: _Enumeration, max_elements: int, max_bytes: int) -> Portion:
        room = max_bytes - _ENVELOPE_OVERHEAD
        rows: list[str] = []
        size = 0
        while enumeration.rows and len(rows) < max_elements:
            length = len(enumeration.rows[0].encode())
            if length > room:
                raise soap_faults.encoding_limit(max_bytes)
            if rows and size + length > min(_PORTION, room):
                break
            rows.append(enumeration.rows.popleft())
            size += length
        if enumeration.endless:
            enumeration.rows.append(rows[-1])
        return Portion(rows, self._keep(enumeration) if enumeration.rows else "")
