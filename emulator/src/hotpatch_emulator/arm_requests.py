# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request to the Resource Manager says: its class and operation for the limits, scope, API version, body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hotpatch_emulator.wire import ArmError

API_VERSIONS = (
    "2015-06-15", "2016-03-30", "2017-03-30", "2017-12-01", "2018-04-01", "2018-06-01", "2018-10-01", "2019-03-01",
    "2019-07-01", "2019-12-01", "2020-06-01", "2020-12-01", "2021-03-01", "2021-04-01", "2021-07-01", "2021-11-01",
    "2022-03-01", "2022-08-01", "2022-11-01", "2023-03-01", "2023-07-01", "2023-09-01", "2024-03-01", "2024-07-01",
    "2024-11-01", "2025-04-01", "2026-04-01",
)  # fmt: skip
_FIRST_WITH = {"assesspatches": "2020-06-01", "installpatches": "2020-12-01"}


@dataclass(frozen=True)
class Request:
    """What the gateway needs of an HTTP request; ``query`` values are decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    authorization: str | None
    body: bytes
    if_match: str | None = None


@dataclass
class Seen:
    """What became known of a request on its way, for the audit log."""

    principal: str | None = None
    action: str | None = None
    resource_id: str | None = None
    body: Any = None


VERBS = {
    name.lower(): name for name in ("assessPatches", "installPatches", "restart", "start", "powerOff", "deallocate")
}


def action_of(action: str, parts: Mapping[str, str]) -> str:
    if "verb" not in parts:
        return action
    return f"Microsoft.Compute/virtualMachines/{VERBS[parts['verb'].lower()]}/action"


def machine_id(parts: Mapping[str, str]) -> str:
    return (
        f"/subscriptions/{parts['sub']}/resourceGroups/{parts['group']}"
        f"/providers/Microsoft.Compute/virtualMachines/{parts['machine']}"
    )


def scope_of(path: str, levels: int | None) -> str:
    segments = path.strip("/").split("/")
    return "/" + "/".join(segments if levels is None else segments[:levels])


def arm_class(request: Request) -> tuple[str, str]:
    """The bucket class and the operation as the 429 names it: upper case, without the names."""
    kind = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(request.method, "writes")
    segments = request.path.strip("/").upper().split("/")
    names = [segment for index, segment in enumerate(segments) if index % 2 == 0 or "." in segment]
    return kind, f"{request.method}/{'/'.join(names)}"


def check_api_version(given: str, parts: Mapping[str, str]) -> None:
    if not given:
        raise ArmError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        )
    if "machine" not in parts:
        return
    first = _FIRST_WITH.get(parts.get("verb", "").lower(), API_VERSIONS[0])
    if given not in API_VERSIONS or given < first:
        supported = ", ".join(version for version in API_VERSIONS if version >= first)
        raise ArmError(
            400,
            "NoRegisteredProviderFound",
            f"No registered resource provider found for API version '{given}' for type 'virtualMachines'. The "
            f"supported api-versions are '{supported}'.",
        )


def parse_json(body: bytes) -> Any:
    if not body.strip():
        return None
    try:
        return json.loads(body)
    except ValueError as error:
        raise ArmError(
            400,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: '{error}'.",
        ) from None
