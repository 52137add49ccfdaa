# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading errors as Azure words them, and wording them for people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import (
    AzureFailure,
    ErrorBody,
    failure_from_answer,
    missing_library,
    parse_error_body,
    unreachable,
    untrusted_certificate,
)

COMPUTE_429 = {
    "error": {
        "code": "OperationNotAllowed",
        "message": "The server rejected the request because too many requests have been received.",
        "details": [
            {"code": "TooManyRequests", "target": "HighCostGet3Min", "message": '{"operationgroup":"HighCostGet3Min"}'}
        ],
    }
}
ARC_429 = (
    "You have reached the limit of allowed 'GetOperationStatus' API calls."
    "Please retry after '2023-11-27T09:04:57.0000000Z' UTC."
)
NESTED = {
    "error": {
        "code": "BadRequest",
        "message": json.dumps({"error": {"code": "InvalidParameter", "message": "Not supported.", "target": "a.b"}}),
    }
}


@pytest.mark.parametrize(
    ("text", "code", "message", "target"),
    [
        (
            '{"error": {"code": "NotFound", "message": "The entity was not found."}}',
            "NotFound",
            "The entity was not found.",
            "",
        ),
        (
            '{"Error": {"Code": "InvalidScheduledEventId", "Message": "Not found"}}',
            "InvalidScheduledEventId",
            "Not found",
            "",
        ),
        ('{"code": "OperationNotAllowed", "message": "m", "target": "t"}', "OperationNotAllowed", "m", "t"),
        (json.dumps(NESTED), "InvalidParameter", "Not supported.", "a.b"),
        (json.dumps(COMPUTE_429), "OperationNotAllowed", COMPUTE_429["error"]["message"], ""),
        (ARC_429, "", ARC_429, ""),
        (
            '{"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}',
            "invalid_client",
            "AADSTS7000215: Invalid client secret provided.",
            "",
        ),
        ("<html><head><title>502 Bad\n Gateway</title></head></html>", "", "an HTML page titled '502 Bad Gateway'", ""),
        ("", "", "", ""),
        ("null", "", "", ""),
        ("[1]", "", "[1]", ""),
        ('{"error": {"code": null, "message": null, "details": null}}', "", "", ""),
        ('{"error": {"code": "C", "message": "{not json"}}', "C", "{not json", ""),
    ],
)
def test_every_recorded_form_of_an_error_is_read(text: str, code: str, message: str, target: str) -> None:
    body = parse_error_body(text)
    assert (body.code, body.message, body.target) == (code, message, target)


def test_details_are_kept_whole() -> None:
    details: Any = COMPUTE_429["error"]["details"]
    assert list(parse_error_body(json.dumps(COMPUTE_429)).details) == details
    assert failure_from_answer("x", 429, json.dumps(COMPUTE_429)).to_dict()["details"] == details


def test_long_and_many_lined_messages_become_one_line() -> None:
    body = parse_error_body("a\r\n" * 2000)
    assert "\n" not in body.message
    assert len(body.message) == 1000


@pytest.mark.parametrize(
    ("status", "text", "kind", "uncertain", "words"),
    [
        (
            400,
            '{"error": {"code": "InvalidParameter", "message": "Bad KB."}}',
            "invalid",
            False,
            "answered 400 InvalidParameter: Bad KB.",
        ),
        (401, "", "credential", False, "check tenant and cloud_environment"),
        (
            403,
            '{"error": {"code": "AuthorizationFailed", "message": "... perform action \'a/b/read\' over ..."}}',
            "forbidden",
            False,
            "the action a/b/read",
        ),
        (
            404,
            '{"error": {"code": "SubscriptionNotFound", "message": "m"}}',
            "not_found",
            False,
            "check subscription_id",
        ),
        (404, '{"error": {"code": "ResourceNotFound", "message": "m"}}', "not_found", False, "check the resource ID"),
        (408, "", "other", True, "answered 408"),
        (409, '{"error": {"code": "Conflict", "message": "m"}}', "conflict", False, "409 Conflict: m"),
        (429, "slow", "throttled", False, "try again after 37 seconds"),
        (500, "", "server", True, "try again later"),
        (
            503,
            '{"error": {"code": "ServerTimeout", "message": "m."}}',
            "server",
            True,
            "503 ServerTimeout: m; the fault",
        ),
    ],
)
def test_a_status_becomes_a_kind_and_a_next_step(
    status: int, text: str, kind: str, uncertain: bool, words: str
) -> None:
    failure = failure_from_answer("read machine m", status, text, request_id="r", retry_after=37)
    assert (failure.kind, failure.status, failure.uncertain, failure.request_id) == (kind, status, uncertain, "r")
    assert failure.sentence.startswith("Could not read machine m: Azure answered")
    assert words in failure.sentence
    assert failure.sentence.endswith(".")
    assert str(failure) == failure.sentence


def test_to_dict_leaves_out_what_is_not_known() -> None:
    assert AzureFailure("Sentence.").to_dict() == {"kind": "other", "msg": "Sentence."}
    assert unreachable("x", "h:1", "refused").to_dict() == {
        "kind": "unreachable",
        "msg": "Could not x: no answer from h:1 (refused); check the network, the proxy settings and "
        "cloud_environment.",
        "operation": "x",
        "message": "refused",
        "target": "h:1",
    }


def test_kinds_are_a_closed_list() -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        raise AzureFailure("s", kind="odd")


def test_certificates_and_libraries_have_their_own_sentences() -> None:
    assert "REQUESTS_CA_BUNDLE" in untrusted_certificate("x", "h", "self-signed certificate").sentence
    failure = missing_library(ModuleNotFoundError("No module named 'aiohttp'", name="aiohttp"))
    assert "'aiohttp'" in failure.sentence
    assert "install" in failure.sentence
    assert failure.target == "aiohttp"


def test_an_empty_body_is_no_words() -> None:
    assert parse_error_body("") == ErrorBody()
