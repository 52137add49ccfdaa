# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.api_error import error_text, real_error

SUCCESS = {"details": [], "code": "Success", "message": "0 error/s reported"}
FAILED = {"code": "VMGuestPatchInternalError", "message": "An internal execution error occurred. Please retry later."}


@pytest.mark.parametrize(
    ("raw", "error", "text"),
    [
        (None, None, ""),
        ({}, None, ""),
        ("", None, ""),
        (SUCCESS, None, ""),
        ({**SUCCESS, "code": "success"}, None, ""),
        ({"details": [], "code": None, "message": None}, None, ""),
        (FAILED, FAILED, f"{FAILED['code']}: {FAILED['message']}"),
        ({"error": FAILED}, FAILED, f"{FAILED['code']}: {FAILED['message']}"),
        ("plain text", {"code": "", "message": "plain text"}, "plain text"),
        # "Success" with details of failures is not believed.
        (
            {**SUCCESS, "details": [{"code": "0x8024402C", "message": "network"}]},
            {**SUCCESS, "details": [{"code": "0x8024402C", "message": "network"}]},
            "Success: 0 error/s reported",
        ),
        (
            {"code": "Failed", "details": [{"code": "0x80072EE2", "message": "timeout"}]},
            {"code": "Failed", "details": [{"code": "0x80072EE2", "message": "timeout"}]},
            "Failed: 0x80072EE2: timeout",
        ),
    ],
)
def test_success_is_no_error(raw: Any, error: Any, text: str) -> None:
    assert real_error(raw) == error
    assert error_text(real_error(raw)) == text
