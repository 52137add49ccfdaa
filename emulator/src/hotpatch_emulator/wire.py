# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How Azure spells things: timestamps, tick counts, headers of every reply, errors."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

_DOTNET_EPOCH = datetime(1, 1, 1, tzinfo=timezone.utc)


def net_time(moment: datetime) -> str:
    """An offset rather than Z and 0 to 7 digits of fraction, trailing zeros dropped, as recorded."""
    moment = moment.astimezone(timezone.utc)
    # .NET counts tenths of microseconds; the last digit is made up from the ones before it.
    fraction = f"{moment.microsecond:06d}{moment.microsecond % 7}" if moment.microsecond else ""
    fraction = fraction.rstrip("0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "+00:00"


def whole_seconds(moment: datetime) -> str:
    """The form of startDateTime in recorded install results."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def ticks(moment: datetime) -> int:
    """.NET ticks, the ``t`` of signed poll URLs."""
    return int((moment - _DOTNET_EPOCH) / timedelta(microseconds=1)) * 10


def new_id() -> str:
    return str(uuid.uuid4())


def common_headers(moment: datetime, request_id: str, location: str = "WESTEUROPE") -> dict[str, str]:
    """Headers that every recorded reply of the Azure Resource Manager carries."""
    correlation = new_id()
    stamp = moment.astimezone(timezone.utc)
    return {
        "Cache-Control": "no-cache",
        "Pragma": "no-cache",
        "Expires": "-1",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-Cache": "CONFIG_NOCACHE",
        "Date": stamp.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "x-ms-request-id": request_id,
        "x-ms-correlation-request-id": correlation,
        "x-ms-routing-request-id": f"{location}:{stamp.strftime('%Y%m%dT%H%M%SZ')}:{correlation}",
        "X-MSEdge-Ref": f"Ref A: {secrets.token_hex(16).upper()} Ref B: EMU201100114017 "
        f"Ref C: {stamp.strftime('%Y-%m-%dT%H:%M:%SZ')}",
    }


def support_sentence(moment: datetime) -> str:
    """The message of every error of Resource Graph; what happened stands in its details (recorded 2021)."""
    stamp = moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    return f"Please provide below info when asking for support: timestamp = {stamp}, correlationId = {new_id()}."


@dataclass
class Reply:
    """An answer before the common headers are added; ``body`` None is an empty body, text is sent as plain text."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    request_id: str | None = None
    operation_id: str | None = None


class ArmError(Exception):
    """An error answer in Azure's shape."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        target: str | None = None,
        details: list[dict[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message
        self.target, self.details, self.headers = target, details, dict(headers or {})

    def reply(self) -> Reply:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.target is not None:
            error["target"] = self.target
        if self.details is not None:
            error["details"] = self.details
        return Reply(self.status, {"error": error}, self.headers)


class PlainTextError(Exception):
    """An error answer whose body is no JSON, as recorded for a 429."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        super().__init__(text)
        self.status, self.text, self.headers = status, text, dict(headers)

    def reply(self) -> Reply:
        return Reply(self.status, self.text, self.headers)
