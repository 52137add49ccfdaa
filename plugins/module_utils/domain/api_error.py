# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure's error object in patch results, where a non-null error is normal on success."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def real_error(raw: Any) -> Mapping[str, Any] | None:
    """Return the error object, or None when there is none or when it says that all went well.

    A successful installation carries ``{"details": [], "code": "Success", "message": "0 error/s reported"}`` (recorded
    Azure traffic 2024-05, 2024-08 and 2024-11). An error of another shape is kept as ``{"message": <text>}``.
    """
    if raw is None or raw == {} or raw == "":
        return None
    if not isinstance(raw, Mapping):
        return {"code": "", "message": str(raw)}
    inner = raw.get("error")
    error = inner if isinstance(inner, Mapping) and "code" not in raw else raw
    if str(error.get("code") or "").lower() == "success" and not error.get("details"):
        return None
    if not error.get("code") and not error.get("message") and not error.get("details"):
        return None
    return dict(error)


def error_text(error: Mapping[str, Any] | None) -> str:
    """Return ``code: message`` of an error, with its first detail when the error itself has no message; "" for none."""
    if error is None:
        return ""
    code, message = str(error.get("code") or ""), str(error.get("message") or "")
    details = error.get("details")
    if not message and isinstance(details, list) and details and isinstance(details[0], Mapping):
        return ": ".join(part for part in (code, error_text(details[0])) if part)
    return ": ".join(part for part in (code, message) if part)
