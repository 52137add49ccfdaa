# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP sessions with bounds: no redirect, no compressed answer (none was asked for), and no endless body.

Whichever library authenticates, TLS and sockets are those of requests and urllib3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .envelope import MAX_BYTES
from .explain import note_offers
from .faults import BadAnswer


def bound_session(session: Any, offers: set[str]) -> Any:
    """Bound every answer of a session of requests, and collect in *offers* what refusing guests would take."""
    if getattr(session, "hotpatch_bounded", False):
        return session
    for adapter in session.adapters.values():
        adapter.send = _bounded_send(adapter.send, offers)
    session.max_redirects = 0
    session.headers["Accept-Encoding"] = "identity"
    session.hotpatch_bounded = True
    return session


def _bounded_send(send: Any, offers: set[str]) -> Any:
    def bounded(request: Any, *args: Any, **kwargs: Any) -> Any:
        response = send(request, *args, **kwargs)
        if response.status_code == 401:
            note_offers(response.headers.get("WWW-Authenticate", ""), offers)
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            response.close()
            raise BadAnswer("the answer is compressed, which was not asked for; it was not read")
        _bound_body(response.raw)
        return response

    return bounded


def _bound_body(raw: Any) -> None:
    stream = raw.stream

    def bounded(amount: int = 2**14, decode_content: bool | None = None) -> Iterator[bytes]:
        size = 0
        for chunk in stream(amount, decode_content=False):
            size += len(chunk)
            if size > MAX_BYTES:
                raw.close()
                raise BadAnswer(f"the answer is larger than {MAX_BYTES} bytes; it was not read any further")
            yield chunk

    # Set on the instance: requests_ntlm and pypsrp find the server's certificate only on urllib3's own class.
    raw.stream = bounded
