# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One exception for everything that can go wrong with Azure: a sentence for people beside Azure's own words.

Answers are read as Azure really sends them: JSON with a lower-case ``error``, the PascalCase ``Error`` of Microsoft
Maintenance, an inner error as a JSON string in a message (Compute's 429, failed deployments), the OAuth form of the
login endpoint, and the plain text of the Arc polling 429 (all from recorded Azure traffic, 2019 to 2025).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

KINDS = (
    "unreachable",
    "untrusted_certificate",
    "credential",
    "forbidden",
    "not_found",
    "throttled",
    "conflict",
    "invalid",
    "server",
    "other",
)

_LONGEST_TEXT = 1000


class AzureFailure(Exception):
    """Something asked of Azure did not happen.

    ``sentence`` is for people and never holds a secret; ``kind`` is one of KINDS; ``status`` the HTTP status (None if
    there was no answer); ``code``, ``message``, ``target`` and ``details`` are Azure's own, unchanged; ``operation``
    says what was asked, in words. ``retry_after`` is the seconds that Azure asks to wait, if it does. ``uncertain``
    means that Azure may have done what was asked all the same: the answer was lost, or the server failed on the way.
    """

    def __init__(
        self,
        sentence: str,
        *,
        kind: str = "other",
        operation: str = "",
        status: int | None = None,
        code: str = "",
        message: str = "",
        target: str = "",
        details: tuple[Mapping[str, Any], ...] = (),
        request_id: str = "",
        retry_after: float | None = None,
        uncertain: bool = False,
    ) -> None:
        super().__init__(sentence)
        if kind not in KINDS:
            raise ValueError(f"unknown kind of failure {kind!r}")
        self.sentence = sentence
        self.kind = kind
        self.operation = operation
        self.status = status
        self.code = code
        self.message = message
        self.target = target
        self.details = details
        self.request_id = request_id
        self.retry_after = retry_after
        self.uncertain = uncertain

    def to_dict(self) -> dict[str, Any]:
        """Return the failure as plain JSON: ``kind`` and ``msg`` always, of the rest what is known."""
        rest: dict[str, Any] = {
            "operation": self.operation,
            "status": self.status,
            "code": self.code,
            "message": self.message,
            "target": self.target,
            "details": [dict(detail) for detail in self.details],
            "request_id": self.request_id,
        }
        known = {key: value for key, value in rest.items() if value not in (None, "", [])}
        return {"kind": self.kind, "msg": self.sentence, **known}


class PollUrlGone(AzureFailure):
    """A poll URL answers 404 or 410: Azure has forgotten the operation, and its outcome must be read elsewhere."""


class MissingLibrary(AzureFailure):
    """A Python library that talks to Azure is not installed where this code runs."""


@dataclass(frozen=True)
class ErrorBody:
    """Azure's own words about an error; empty where it said nothing."""

    code: str = ""
    message: str = ""
    target: str = ""
    details: tuple[Mapping[str, Any], ...] = field(default=())


def parse_error_body(text: str) -> ErrorBody:
    """Read the body of an error answer, whatever its form; what is no JSON becomes the message (cut to 1000)."""
    try:
        body = json.loads(text)
    except ValueError:
        return ErrorBody(message=_readable(text))
    return parse_error_object(body)


def parse_error_object(body: Any) -> ErrorBody:
    """Read an error that is JSON already: ``{"error": {...}}``, ``{"Error": {...}}``, bare, or OAuth's form."""
    if not isinstance(body, Mapping):
        return ErrorBody(message=_readable(str(body)) if body not in (None, "") else "")
    fields = {str(key).lower(): value for key, value in body.items()}
    inner = fields.get("error")
    if isinstance(inner, Mapping):
        return parse_error_object(inner)
    if isinstance(inner, str):
        return ErrorBody(code=inner, message=_readable(str(fields.get("error_description") or "")))
    code = str(fields.get("code") or "")
    message = str(fields.get("message") or "")
    target = str(fields.get("target") or "")
    raw_details = fields.get("details")
    details = tuple(d for d in raw_details if isinstance(d, Mapping)) if isinstance(raw_details, list) else ()
    nested = _nested(message)
    if nested:
        message = nested.message or message
        return ErrorBody(nested.code or code, message, nested.target or target, nested.details or details)
    return ErrorBody(code, _readable(message), target, details)


def _nested(message: str) -> ErrorBody | None:
    """Some resource providers put their whole error as a JSON string into the message."""
    if not message.lstrip().startswith("{"):
        return None
    try:
        inner = parse_error_object(json.loads(message))
    except ValueError:
        return None
    return inner if inner.message or inner.code else None


def _readable(text: str) -> str:
    """Return *text* on one line, without markup, and no longer than a message should be."""
    if re.match(r"\s*<(!doctype|html)", text, re.IGNORECASE):
        title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
        text = f"an HTML page titled '{title.group(1).strip()}'" if title else "an HTML page"
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_TEXT else line[: _LONGEST_TEXT - 3] + "..."


_SUPPORT = "Please provide below info"


def failure_from_answer(
    operation: str, status: int, text: str, *, request_id: str = "", retry_after: float | None = None
) -> AzureFailure:
    """Make the failure for an answer with an error *status* and body *text*; *operation* as in "read machine x"."""
    return failure_from_body(operation, status, parse_error_body(text), request_id, retry_after)


def failure_from_body(
    operation: str,
    status: int | None,
    body: ErrorBody,
    request_id: str = "",
    retry_after: float | None = None,
) -> AzureFailure:
    """Make the failure for Azure's error *body*; *status* None means that a long-running operation ended with it."""
    kind = kind_of(status, body.code)
    answered = f"answered {status}" if status is not None else "ended it with an error"
    words = " ".join(part for part in (answered, body.code) if part)
    # Azure's sentence is quoted as it stands, so that it can be searched for.
    said = _first_detail(body) if body.message.startswith(_SUPPORT) else body.message
    quoted = f": {said.rstrip('.')}" if said else ""
    step = _next_step(kind, operation, body, retry_after)
    return AzureFailure(
        f"Could not {operation}: Azure {words}{quoted}{step}.",
        kind=kind,
        operation=operation,
        status=status,
        code=body.code,
        message=body.message,
        target=body.target,
        details=body.details,
        request_id=request_id,
        retry_after=retry_after,
        uncertain=status == 408 or (status is not None and status >= 500),
    )


def _first_detail(body: ErrorBody) -> str:
    """What Resource Graph hides behind a sentence about support that is the same for every error (recorded 2021)."""
    detail = next((item for item in body.details if item.get("message")), None)
    return body.message if detail is None else f"{detail.get('code') or 'no code'}: {detail['message']}"


def kind_of(status: int | None, code: str) -> str:
    """Name the kind of failure an HTTP status and Azure's code stand for."""
    if status is None:
        return "other"
    if status == 429:
        return "throttled"
    by_status = {400: "invalid", 401: "credential", 403: "forbidden", 404: "not_found", 410: "not_found"}
    by_status |= {409: "conflict", 412: "conflict", 405: "invalid", 413: "invalid", 415: "invalid", 422: "invalid"}
    if status in by_status:
        return by_status[status]
    return "server" if status >= 500 else "other"


def _next_step(kind: str, operation: str, body: ErrorBody, retry_after: float | None) -> str:
    """Say what to do next, as the tail of a sentence; nothing where Azure's words are all there is to say."""
    if kind == "forbidden":
        action = re.search(r"perform action '([^']+)'", body.message)
        what = f"the action {action.group(1)}" if action else "that"
        return f"; give the identity in use a role that allows {what} on this scope, or use another identity"
    if any(item.get("code") == "NoValidSubscriptionsInQueryRequest" for item in body.details):
        return "; check the subscriptions or management groups, and that the identity in use may see them"
    if kind == "not_found" and body.code == "SubscriptionNotFound":
        return "; check subscription_id, and that the identity in use may see the subscription"
    if kind == "not_found":
        return "; check the resource ID, and that the resource was not deleted or moved"
    if kind == "credential":
        return "; check tenant and cloud_environment: the token was not accepted"
    if kind == "throttled":
        wait = f" after {retry_after:.0f} seconds" if retry_after else " later"
        return f"; others use the same budget of requests: try again{wait}, or drive fewer machines at once"
    if kind == "server":
        return "; the fault is Azure's: try again later"
    return ""


def unreachable(operation: str, endpoint: str, reason: str, *, uncertain: bool = False) -> AzureFailure:
    """Make the failure for an endpoint (host, or host:port) that could not be connected to or did not answer."""
    return AzureFailure(
        f"Could not {operation}: no answer from {endpoint} ({reason.rstrip('.')}); check the network, the proxy "
        "settings and cloud_environment.",
        kind="unreachable",
        operation=operation,
        message=reason,
        target=endpoint,
        uncertain=uncertain,
    )


def untrusted_certificate(operation: str, endpoint: str, reason: str) -> AzureFailure:
    """Make the failure for an endpoint whose TLS certificate is not trusted."""
    return AzureFailure(
        f"Could not {operation}: the certificate of {endpoint} is not trusted ({reason.rstrip('.')}); name the issuing "
        "authority's PEM file in REQUESTS_CA_BUNDLE or SSL_CERT_FILE.",
        kind="untrusted_certificate",
        operation=operation,
        message=reason,
        target=endpoint,
    )


def missing_library(error: ImportError) -> MissingLibrary:
    """Make the failure for a library that could not be imported, naming it and the way to get it."""
    module = (error.name or "").partition(".")[0] or "azure"
    return MissingLibrary(
        f"The Python library {module!r} is missing or broken where this runs ({error}); for the Python interpreter in "
        "use, run: pip install azure-mgmt-compute azure-identity aiohttp.",
        operation="load the Azure libraries",
        message=str(error),
        target=module,
    )
