# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""POST /batch of the Resource Manager: several reads in one request, as azure.azcollection's inventory sends them.

The endpoint is documented nowhere; shapes are those that azure.azcollection 3.21 sends and reads (plugins/inventory/
azure_rm.py), whose comment also says that it takes up to 500 requests. Inferred: each read is counted, authorized and
answered as if it had come alone, and anything but a GET is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hotpatch_emulator.arm_requests import Request, Seen
from hotpatch_emulator.audit import Audit
from hotpatch_emulator.wire import ArmError, Reply

MOST = 500


def _invalid(message: str) -> ArmError:
    return ArmError(400, "InvalidRequestContent", message)


def answer(body: Any, authorization: str | None, answer_one: Callable[[Request, Seen], Reply], audit: Audit) -> Reply:
    """Answer every request of the body; each has its own line in the audit log."""
    wanted = body.get("requests") if isinstance(body, Mapping) else None
    if not isinstance(wanted, list) or not 0 < len(wanted) <= MOST:
        raise _invalid(f"The batch must have 1 to {MOST} requests.")
    return Reply(200, {"responses": [_one(item, authorization, answer_one, audit) for item in wanted]})


def _one(
    item: Any, authorization: str | None, answer_one: Callable[[Request, Seen], Reply], audit: Audit
) -> dict[str, Any]:
    if not isinstance(item, Mapping) or item.get("httpMethod") != "GET" or not item.get("url"):
        raise _invalid("Every request of a batch needs 'httpMethod' GET and 'url'.")
    parts = urlsplit(str(item["url"]))
    seen = Seen()
    request = Request("GET", unquote(parts.path), dict(parse_qsl(parts.query)), authorization, b"")
    reply = answer_one(request, seen)
    audit.write(
        "request", seen.resource_id, method="GET", path=request.path, query=dict(request.query),
        api_version=request.query.get("api-version"), principal=seen.principal, status=reply.status,
        action=seen.action, batch=True,
    )  # fmt: skip
    return {
        "name": item.get("name"),
        "httpStatusCode": reply.status,
        "headers": dict(reply.headers),
        "content": reply.body,
        "contentLength": 0 if reply.body is None else len(str(reply.body)),
    }
