# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway to Azure's virtual machines: read them, assess and install patches, change settings.

Bodies go and come as ARM's own JSON: the SDK's models change between its versions, the wire does not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ..domain.resource_id import ResourceId
from .operations import Operation, Started, poll_operation, started_from
from .retry import CHECK_OPTION, read_text
from .session import Answer, ArmSession, azure_failures, unusable_answer

API_VERSION = "2024-07-01"
"""The version of Compute's API whose answers are recorded and whose OpenAPI description was checked."""
OPERATIONS = ("get", "list", "assess_patches", "install_patches", "update", "restart")

Check = Callable[[], None]


class _GoodAnswer(Exception):
    """Carries a good answer out of the SDK."""

    def __init__(self, response: Any) -> None:
        super().__init__("this answer is good")
        self.response = response


def _leave_with_answer(answered: Any) -> None:
    """The SDK's raw_response_hook, which is run before it reads an answer."""
    if answered.http_response.status_code < 300:
        raise _GoodAnswer(answered.http_response)


class VirtualMachines:
    """Requests about virtual machines in one session.

    *api_versions* overrides API_VERSION for single operations (names in OPERATIONS), or for all as ``""``.
    Every method raises AzureFailure with a sentence that names the machine. ``check`` is called right before a
    request leaves, each time it does; what it raises passes through and the request is not sent.
    """

    def __init__(self, session: ArmSession, api_versions: Mapping[str, str] | None = None) -> None:
        self._session = session
        self._api_versions = dict(api_versions or {})

    async def get(
        self, machine: ResourceId, check: Check | None = None, *, instance_view: bool = True
    ) -> dict[str, Any]:
        """Return a machine as ARM's JSON, with its ``properties.instanceView`` unless told otherwise."""
        get = self._operations(machine.subscription_id).get
        options = {"api_version": self._version("get"), "expand": "instanceView" if instance_view else None}
        operation = f"read the machine {machine}"
        answer = await self._send(operation, get, machine, **options, **{CHECK_OPTION: check})
        if answer.body is None:
            raise unusable_answer(operation, answer.text[:80])
        self._session.pacer.learn_region(str(machine), str(answer.body.get("location") or ""))
        return answer.body

    async def list(self, subscription_id: str, resource_group: str = "") -> list[dict[str, Any]]:
        """Return the machines of a resource group, or of a whole subscription, as ARM's JSON without instance views."""
        virtual_machines = self._operations(subscription_id)
        place = f"resource group {resource_group} of " if resource_group else ""
        operation = f"list the virtual machines in {place}subscription {subscription_id}"
        pages: list[Any] = []
        options = {"api_version": self._version("list"), "raw_response_hook": pages.append}
        with azure_failures(operation, self._session.cloud.resource_manager, self._session.clock):
            if resource_group:
                pager = virtual_machines.list(resource_group, **options)
            else:
                pager = virtual_machines.list_all(**options)
            async for _page in pager.by_page():
                pass
        return [machine for page in pages for machine in page.http_response.json().get("value", [])]

    async def start_assessment(self, machine: ResourceId, check: Check | None = None) -> Started:
        """Ask Azure to assess a machine's patches now."""
        begin = self._operations(machine.subscription_id).begin_assess_patches
        return await self._start(f"assess the patches of {machine}", begin, machine, "assess_patches", None, check)

    async def start_installation(
        self, machine: ResourceId, body: Mapping[str, Any], check: Check | None = None
    ) -> Started:
        """Ask Azure to install patches; *body* is VirtualMachineInstallPatchesParameters as JSON.

        If the failure is ``uncertain``, Azure may have started all the same.
        """
        begin = self._operations(machine.subscription_id).begin_install_patches
        return await self._start(f"install patches on {machine}", begin, machine, "install_patches", body, check)

    async def update(
        self, machine: ResourceId, body: Mapping[str, Any], check: Check | None = None, etag: str | None = None
    ) -> Started:
        """PATCH a machine with only what *body* (a part of the machine as JSON) holds.

        With *etag* only if the model is still the one read (If-Match): otherwise Azure answers 412 and changes nothing.
        """
        begin = self._operations(machine.subscription_id).begin_update
        # As a plain header: the SDK's parameter for it changed its name between versions.
        headers = {"If-Match": etag} if etag else None
        return await self._start(f"change the settings of {machine}", begin, machine, "update", body, check, headers)

    async def restart(self, machine: ResourceId, check: Check | None = None) -> Started:
        """Ask Azure to restart a machine; if the failure is ``uncertain``, it may restart all the same."""
        begin = self._operations(machine.subscription_id).begin_restart
        return await self._start(f"restart {machine}", begin, machine, "restart", None, check)

    async def poll(self, url: str) -> Operation:
        """Ask once how the operation at a poll URL goes; PollUrlGone if Azure has forgotten it."""
        return await poll_operation(self._session, url)

    async def _start(
        self,
        operation: str,
        begin: Callable[..., Any],
        machine: ResourceId,
        version_key: str,
        body: Mapping[str, Any] | None,
        check: Check | None,
        headers: Mapping[str, str] | None = None,
    ) -> Started:
        """Send one request that starts an operation, and read its acceptance."""
        # Bytes pass through every version of the SDK unchanged; models would not.
        contents = [] if body is None else [json.dumps(body, separators=(",", ":")).encode()]
        options: dict[str, Any] = {} if body is None else {"content_type": "application/json"}
        options |= {"api_version": self._version(version_key), "polling": False, CHECK_OPTION: check}
        if headers:
            options["headers"] = dict(headers)
        answer = await self._send(operation, begin, machine, *contents, **options)
        started = started_from(answer.status, answer.headers, answer.body, answer.retry_after)
        if not started.poll_url and started.body is None:
            # Neither a result nor a way to it: not Azure's answer, so whether it started is not known.
            raise unusable_answer(operation, answer.text[:80] or f"status {answer.status} without a poll URL")
        return started

    async def _send(
        self, operation: str, method: Callable[..., Any], machine: ResourceId, *contents: bytes, **options: Any
    ) -> Answer:
        """Call one method of the SDK on a machine, and return the raw answer it got.

        The SDK may stumble over a good answer, such as a 202 whose Retry-After is a date (39.0), or a value that its
        models do not know. Accepted is accepted: losing the poll URL here would mean not knowing what was started.
        So a good answer leaves the SDK before that makes models of it, which nobody needs and which cost more than
        all the rest of a request.
        """
        response: Any = None
        with azure_failures(operation, self._session.cloud.resource_manager, self._session.clock):
            try:
                await method(
                    machine.resource_group, machine.name, *contents, raw_response_hook=_leave_with_answer, **options
                )
            except _GoodAnswer as good:
                response = good.response
            else:
                raise unusable_answer(operation, "the SDK accepted an answer that is none of success")
        await read_text(response)
        return self._session.answer_of(response)

    def _operations(self, subscription_id: str) -> Any:
        return self._session.compute(subscription_id).virtual_machines

    def _version(self, operation: str) -> str:
        return self._api_versions.get(operation) or self._api_versions.get("") or API_VERSION
