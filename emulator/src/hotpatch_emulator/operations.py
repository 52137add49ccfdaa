# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure's asynchronous operations: signed poll URLs and what they answer, as recorded in 2024.

The operation's id is its activity id and the request id of the call that started it. Poll URLs carry signed
parameters (t, c, s, h) of about 3 kB; a URL put together anew from the id is refused (a switch says how).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hotpatch_emulator.audit import Audit
from hotpatch_emulator.settings import Switches
from hotpatch_emulator.state import VirtualMachine
from hotpatch_emulator.wire import ArmError, Reply, net_time, new_id, ticks

NOT_FOUND = ("NotFound", "The entity was not found in this Azure location.")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class Operation:
    """One long-running operation on a machine. ``error`` and ``output`` are set when it ends."""

    id: str
    kind: str
    machine: VirtualMachine
    started: datetime
    started_by: str
    principal: str | None
    ended: datetime | None = None
    status: str = "InProgress"
    output: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    wants_location: bool = True
    retry_after: int | None = None


class Operations:
    """All operations of the run, running and ended."""

    def __init__(self, audit: Audit, switches: Switches, base_url: str = "https://127.0.0.1") -> None:
        self.base_url = base_url
        self._audit = audit
        self._switches = switches
        self._operations: dict[str, Operation] = {}
        self._key = secrets.token_bytes(32)
        self._certificate = _base64url(secrets.token_bytes(1950))
        self._partition = new_id()

    def start(
        self,
        kind: str,
        machine: VirtualMachine,
        now: datetime,
        *,
        principal: str | None,
        started_by: str = "User",
        wants_location: bool = True,
        retry_after: int | None = None,
        **audited: Any,
    ) -> Operation:
        """Begin an operation; it occupies the machine until ``finish``."""
        operation = Operation(
            new_id(), kind, machine, now, started_by, principal, wants_location=wants_location, retry_after=retry_after
        )
        self._operations[operation.id] = operation
        machine.running_operation = operation.id
        self._audit.write(
            "operation",
            machine.id,
            at=now,
            event="started",
            operation=kind,
            activity_id=operation.id,
            status="InProgress",
            started_by=started_by,
            principal=principal,
            **audited,
        )
        return operation

    def finish(
        self,
        operation: Operation,
        now: datetime,
        *,
        output: dict[str, Any] | None = None,
        error: dict[str, Any] | None = None,
        **audited: Any,
    ) -> None:
        """End an operation: with ``error`` it is Failed, otherwise Succeeded, whatever the output says inside."""
        operation.ended = now
        operation.status = "Failed" if error else "Succeeded"
        operation.output, operation.error = output, error
        if operation.machine.running_operation == operation.id:
            operation.machine.running_operation = None
        self._audit.write(
            "operation",
            operation.machine.id,
            at=now,
            event="finished",
            operation=operation.kind,
            activity_id=operation.id,
            status=operation.status,
            started_by=operation.started_by,
            principal=operation.principal,
            **audited,
        )

    def get(self, operation_id: str) -> Operation | None:
        return self._operations.get(operation_id.lower())

    def running(self, machine: VirtualMachine) -> Operation | None:
        """What occupies the machine now."""
        return self._operations[machine.running_operation] if machine.running_operation else None

    # -- poll URLs ----------------------------------------------------------------------------------------------

    def accepted(self, operation: Operation, api_version: str, now: datetime) -> dict[str, str]:
        """The headers of the answer that started the operation."""
        headers = {
            "Azure-AsyncOperation": self._url(operation, api_version, now, monitor=False),
            "Azure-AsyncNotification": "Enabled",
        }
        if operation.wants_location:
            headers["Location"] = self._url(operation, api_version, now, monitor=True)
        if operation.retry_after is not None:
            headers["Retry-After"] = str(operation.retry_after)
        return headers

    def _url(self, operation: Operation, api_version: str, now: datetime, *, monitor: bool) -> str:
        stamp = str(ticks(now))
        signature, digest = self._sign(operation.id, api_version, stamp, monitor)
        machine = operation.machine
        return (
            f"{self.base_url}/subscriptions/{machine.subscription_id}/providers/Microsoft.Compute/locations/"
            f"{machine.location}/operations/{operation.id}?p={self._partition}"
            f"{'&monitor=true' if monitor else ''}&api-version={api_version}"
            f"&t={stamp}&c={self._certificate}&s={signature}&h={digest}"
        )

    def _sign(self, operation_id: str, api_version: str, stamp: str, monitor: bool) -> tuple[str, str]:
        message = "|".join((operation_id, api_version, stamp, str(monitor), self._partition)).encode()
        # Azure signs with RSA: the signature is 256 bytes long, the digest 32.
        signature = b"".join(hmac.digest(self._key, message + bytes([n]), "sha256") for n in range(8))
        return _base64url(signature), _base64url(hashlib.sha256(signature + message).digest())

    def poll(
        self, subscription: str, location: str, operation_id: str, query: Mapping[str, str], now: datetime
    ) -> Reply:
        """Answer a GET on a poll URL."""
        operation = self.get(operation_id)
        if (
            operation is None
            or operation.machine.subscription_id.lower() != subscription.lower()
            or operation.machine.location.lower() != location.lower()
            or (operation.ended and now > operation.ended + timedelta(minutes=self._switches.operation_kept_minutes))
        ):
            raise ArmError(404, *NOT_FOUND)
        monitor = query.get("monitor", "").lower() == "true"
        self._check_signature(operation, query, monitor)
        return self._monitored(operation, query, now) if monitor else Reply(200, status_body(operation))

    def _check_signature(self, operation: Operation, query: Mapping[str, str], monitor: bool) -> None:
        if self._switches.rebuilt_poll_url == "accepted":
            return
        signature, digest = self._sign(operation.id, query.get("api-version", ""), query.get("t", ""), monitor)
        given = (query.get("p", ""), query.get("c", ""), query.get("s", ""), query.get("h", ""))
        if given == (self._partition, self._certificate, signature, digest):
            return
        if self._switches.rebuilt_poll_url == "forbidden":
            raise ArmError(403, "AuthorizationFailed", "The signature of the operation URL is missing or invalid.")
        raise ArmError(404, *NOT_FOUND)

    def _monitored(self, operation: Operation, query: Mapping[str, str], now: datetime) -> Reply:
        if operation.ended is None:
            url = self._url(operation, query.get("api-version", ""), now, monitor=True)
            return Reply(202, None, {"Location": url})
        if operation.error is not None:
            return Reply(409, {"error": operation.error})
        return Reply(200, operation.output)


def status_body(operation: Operation) -> dict[str, Any]:
    """The body of a GET on Azure-AsyncOperation, keys in the recorded order."""
    body: dict[str, Any] = {"startTime": net_time(operation.started)}
    if operation.ended is not None:
        body["endTime"] = net_time(operation.ended)
    body["status"] = operation.status
    if operation.output is not None:
        body["properties"] = {"output": operation.output}
    if operation.error is not None:
        body["error"] = operation.error
    body["name"] = operation.id
    return body
