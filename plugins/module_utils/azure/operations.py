# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Long-running operations: what starting one gives, and what polling it tells.

The SDK's own pollers are not used: they keep no journal, know no budget, and read a Retry-After of 0 as "none".
Poll URLs are opaque; they are asked for exactly as Azure gave them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .errors import AzureFailure, ErrorBody, PollUrlGone, failure_from_body, parse_error_object

if TYPE_CHECKING:
    from .session import ArmSession

IN_PROGRESS = "InProgress"
SUCCEEDED = "Succeeded"
FINISHED = frozenset({"Succeeded", "Failed", "Canceled"})
"""ARM's three final words for an operation; every other word means that it goes on."""


@dataclass(frozen=True)
class Started:
    """Azure accepted a request: ``status`` 200, 201 or 202.

    ``activity_id`` is the operation's ID, which for assessments and installations is also their activity ID and the
    202's x-ms-request-id (recorded 2022 and 2024). ``poll_url`` is Azure-AsyncOperation (or Location, where there is
    only that), "" if the answer was final; ``retry_after`` seconds, if Azure asked; ``body`` the answer's JSON.
    """

    activity_id: str
    poll_url: str
    location: str
    request_id: str
    status: int
    retry_after: float | None
    body: dict[str, Any] | None


@dataclass(frozen=True)
class Operation:
    """One answer to a poll: ``status`` is InProgress, Succeeded, Failed, Canceled, or another word while it goes on.

    ``result`` is the operation's output if it has one, ``error`` Azure's own words if it failed, ``next_url`` the URL
    to poll next (Azure may hand out a new one each time), ``retry_after`` seconds, if Azure asked.
    """

    status: str
    result: dict[str, Any] | None
    error: ErrorBody | None
    retry_after: float | None
    next_url: str
    start_time: str = ""
    end_time: str = ""

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def failure(self, operation: str) -> AzureFailure | None:
        """Return the failure of an operation that failed, None otherwise; *operation* as in "assess machine x"."""
        if self.error is None:
            return None
        return failure_from_body(operation, None, self.error)


def started_from(
    status: int, headers: Mapping[str, str], body: dict[str, Any] | None, retry_after: float | None
) -> Started:
    """Read the answer that accepted an operation."""
    asynchronous = headers.get("Azure-AsyncOperation", "")
    location = headers.get("Location", "")
    poll_url = asynchronous or location
    request_id = headers.get("x-ms-request-id", "")
    activity_id = urlsplit(poll_url).path.rstrip("/").rpartition("/")[2] or request_id
    if not activity_id and body:
        activity_id = str(body.get("installationActivityId") or body.get("assessmentActivityId") or "")
    return Started(activity_id, poll_url, location, request_id, status, retry_after, body)


async def poll_operation(session: ArmSession, url: str, operation: str = "read the state of an operation") -> Operation:
    """Ask once how the operation at *url* goes.

    Raises PollUrlGone if Azure has forgotten it (404 or 410), AzureFailure for every other failure to ask.
    """
    try:
        answer = await session.get(url, operation)
    except AzureFailure as failure:
        if failure.status not in (404, 410):
            raise
        raise PollUrlGone(
            f"Could not {operation}: Azure answered {failure.status}, it no longer knows this operation; its outcome "
            "must be read from the machine.",
            kind="not_found",
            operation=operation,
            status=failure.status,
            code=failure.code,
            message=failure.message,
            request_id=failure.request_id,
        ) from failure
    return operation_from(answer.status, answer.headers, answer.body, url, answer.retry_after)


def operation_from(
    status: int, headers: Mapping[str, str], body: dict[str, Any] | None, url: str, retry_after: float | None
) -> Operation:
    """Read the answer to a poll, of an Azure-AsyncOperation or a Location URL."""
    next_url = headers.get("Azure-AsyncOperation") or headers.get("Location") or url
    if status == 202:
        return Operation(IN_PROGRESS, None, None, retry_after, next_url)
    if body is None:
        return Operation(SUCCEEDED, None, None, retry_after, url)
    word = str(body.get("status") or "")
    if not _is_operation(body):
        # A Location URL ends with the bare result, whose own status is about patches.
        return Operation(SUCCEEDED, body, None, retry_after, url)
    error = None
    if word in ("Failed", "Canceled"):
        error = parse_error_object(body.get("error")) if body.get("error") else ErrorBody(word, "")
    properties = body.get("properties")
    output = properties.get("output", properties) if isinstance(properties, Mapping) else None
    return Operation(
        word,
        dict(output) if isinstance(output, Mapping) else None,
        error,
        retry_after,
        next_url,
        str(body.get("startTime") or ""),
        str(body.get("endTime") or ""),
    )


def _is_operation(body: Mapping[str, Any]) -> bool:
    """Tell the state of an operation from a bare result: patch results name their activity, resources their type."""
    return bool(body.get("status")) and not {"installationActivityId", "assessmentActivityId", "type"} & body.keys()


def json_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in *text*, None if there is none."""
    try:
        body = json.loads(text) if text.strip() else None
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
