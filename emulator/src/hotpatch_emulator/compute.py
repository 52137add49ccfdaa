# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Compute resource provider: what each call on a machine does and answers.

The gateway (``arm``) has already checked token, role, API version and request limits.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from hotpatch_emulator import catalogue, selection, vm_body, vm_update
from hotpatch_emulator.operations import Operation
from hotpatch_emulator.state import VirtualMachine
from hotpatch_emulator.wire import ArmError, Reply
from hotpatch_emulator.world import World

_SCALE_SET_FILTER = re.compile(r"\s*'?virtualMachineScaleSet/id'?\s+eq\s+'?(?P<id>/[^']+?)'?\s*", re.IGNORECASE)
_START_SECONDS = 30
_STOP_SECONDS = 20
_RESTART_SECONDS = 36


@dataclass(frozen=True)
class Change:
    """A PATCH or (``whole``) a PUT of a machine's model; ``if_match`` is the header, quotes and all."""

    body: Any
    api_version: str
    principal: str
    if_match: str | None = None
    whole: bool = False


class Compute:
    """Handlers of the calls on virtual machines."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._switches = world.fleet.switches

    # -- reading ------------------------------------------------------------------------------------------------

    def get(self, machine: VirtualMachine, query: Mapping[str, str], now: datetime) -> Reply:
        expand = query.get("$expand", "")
        if expand and expand.lower() not in ("instanceview", "userdata"):
            raise ArmError(
                400,
                "InvalidParameter",
                f"The value '{expand}' of parameter '$expand' is not allowed. Allowed values are: instanceView, "
                "userData.",
                target="$expand",
            )
        body = vm_body.model(machine, now, with_instance_view=expand.lower() == "instanceview")
        return Reply(200, body, {"ETag": body["etag"]})

    def instance_view(self, machine: VirtualMachine, now: datetime) -> Reply:
        return Reply(200, vm_body.instance_view(machine, now))

    def list(
        self, machines: list[VirtualMachine], path: str, query: Mapping[str, str], now: datetime, *, status_only: bool
    ) -> Reply:
        """A page of machines. Compute allows $expand=instanceView on lists only together with a scale set $filter."""
        wanted = query.get("$filter")
        expand = query.get("$expand", "").lower() == "instanceview"
        if wanted is not None:
            match = _SCALE_SET_FILTER.fullmatch(wanted)
            if match is None:
                raise ArmError(400, "BadRequest", f"The filter '{wanted}' is not supported.", target="$filter")
            name = match["id"].rsplit("/", 1)[-1].lower()
            machines = [m for m in machines if m.scale_set and m.scale_set.lower() == name]
        elif expand and self._switches.list_expand == "refused_without_filter":
            raise ArmError(
                400,
                "BadRequest",
                "The $expand query parameter 'instanceView' can only be specified if a valid $filter option is "
                "specified.",
                target="$expand",
            )
        start = _skip(query)
        page = machines[start : start + self._switches.page_size]
        with_view = expand or status_only
        body: dict[str, Any] = {"value": [vm_body.model(m, now, with_instance_view=with_view) for m in page]}
        following = start + len(page)
        if following < len(machines):
            kept = {key: value for key, value in query.items() if key.lower() != "$skiptoken"}
            kept["$skiptoken"] = base64.urlsafe_b64encode(json.dumps({"skip": following}).encode()).decode()
            text = "&".join(f"{quote(key, safe='$')}={quote(value, safe='')}" for key, value in kept.items())
            body["nextLink"] = f"{self._world.operations.base_url}{path}?{text}"
        return Reply(200, body)

    # -- changing -----------------------------------------------------------------------------------------------

    def _refuse_when_busy(self, machine: VirtualMachine, verb: str) -> None:
        """Nobody has published what a second patch operation gets; which of three known codes is a switch."""
        running = self._world.operations.running(machine)
        if running is None:
            return
        code = self._switches.conflict_code
        texts = {
            "Conflict": "The request failed due to conflict with a concurrent request. To resolve it, please refer to "
            "https://aka.ms/activitylog to get more details on the conflicting requests.",
            "OperationNotAllowed": f"Operation '{verb}' is not allowed on VM '{machine.name}' since another operation "
            f"is in progress.",
            "ScopeLocked": f"The scope '{machine.id}' cannot perform write operation because the following scope(s) "
            "are locked. Please remove the lock and try again.",
        }
        raise ArmError(409, code, texts[code])

    def _refuse_when_stopped(self, machine: VirtualMachine, verb: str) -> None:
        if machine.power_state == "running" or self._switches.stopped_machine != "refused":
            return
        raise ArmError(
            409,
            "OperationNotAllowed",
            f"Operation '{verb}' is not allowed on VM '{machine.name}' since the VM is not running.",
        )

    def _refuse_without_agent(self, machine: VirtualMachine, verb: str) -> None:
        if machine.provision_vm_agent and machine.allow_extension_operations:
            return
        raise ArmError(
            409,
            "OperationNotAllowed",
            f"Operation '{verb}' is not allowed on VM '{machine.name}': extension operations are disallowed on it or "
            "it has no VM agent.",
        )

    def assess_patches(self, machine: VirtualMachine, api_version: str, now: datetime, principal: str) -> Reply:
        self._refuse_when_busy(machine, "assessPatches")
        self._refuse_when_stopped(machine, "assessPatches")
        self._refuse_without_agent(machine, "assessPatches")
        return self._accepted(self._world.patching.assess(machine, now, principal), api_version, now)

    def install_patches(
        self, machine: VirtualMachine, body: Any, api_version: str, now: datetime, principal: str
    ) -> Reply:
        chosen = selection.parse(body)
        self._refuse_when_busy(machine, "installPatches")
        self._refuse_when_stopped(machine, "installPatches")
        self._refuse_without_agent(machine, "installPatches")
        return self._accepted(self._world.patching.install(machine, chosen, now, principal), api_version, now)

    def _accepted(self, operation: Operation, api_version: str, now: datetime) -> Reply:
        headers = self._world.operations.accepted(operation, api_version, now)
        return Reply(202, None, headers, request_id=operation.id, operation_id=operation.id)

    def _refuse_other_version(self, machine: VirtualMachine, if_match: str | None) -> None:
        """If-Match is in the OpenAPI of 2024-07-01; nobody has recorded the 412, so only its status is certain."""
        if if_match not in (None, "*", f'"{machine.etag}"'):
            raise ArmError(
                412, "PreconditionFailed", f"The etag {if_match} of VM '{machine.name}' is not the current one."
            )

    def update(self, machine: VirtualMachine, change: Change, now: datetime) -> Reply:
        """PATCH or PUT the model: 200 with the new model at once, and an operation that ends later."""
        principal, api_version = change.principal, change.api_version
        self._refuse_other_version(machine, change.if_match)
        self._refuse_when_busy(machine, "PUT" if change.whole else "PATCH")
        enabled_before = machine.patch_settings.enable_hotpatching is True
        if change.whole:
            keeps = self._switches.put_without_patch_settings != "reset"
            changed = vm_update.replace_model(machine, change.body, api_version, refuse_bare=keeps)
        else:
            changed = vm_update.apply(machine, change.body, api_version)
        operation = self._world.operations.start(
            "write", machine, now, principal=principal, wants_location=False, retry_after=10, changed=sorted(changed)
        )
        machine.etag += 1
        machine.provisioning_state = "Updating"
        if changed:
            self._world.audit.write("state", machine.id, at=now, what="model", principal=principal, **changed)
        enabled = machine.patch_settings.enable_hotpatching is True
        if enabled != enabled_before:
            self._enrol_later(machine, enabled, now)
        seconds = self._world.fleet.random.uniform(*self._switches.update_seconds)
        self._world.agenda.at(now + timedelta(seconds=seconds), lambda at: self._updated(operation, at))
        reply = Reply(200, vm_body.model(machine, now), self._world.operations.accepted(operation, api_version, now))
        reply.headers["ETag"] = f'"{machine.etag}"'
        reply.request_id = reply.operation_id = operation.id
        return reply

    def _updated(self, operation: Operation, now: datetime) -> None:
        operation.machine.provisioning_state = "Succeeded"
        operation.machine.provisioned_at = now
        self._world.operations.finish(operation, now)

    def _enrol_later(self, machine: VirtualMachine, enabled: bool, now: datetime) -> None:
        """The guest follows the model late; until then the restarting cumulative update is offered."""
        minutes = self._world.fleet.random.uniform(*self._switches.enrolment_delay_minutes)

        def take_effect(at: datetime) -> None:
            guest = machine.guest
            if (machine.patch_settings.enable_hotpatching is True) != enabled:
                return
            if machine.power_state != "running" or not machine.agent_ready:
                self._world.agenda.at(at + timedelta(minutes=10), take_effect)
                return
            package = catalogue.PRODUCTS[machine.product].hotpatch_package_version
            guest.hotpatch_package_version = package if enabled else None
            guest.hotpatch_table_size = 4096 if enabled else None
            self._world.audit.write("state", machine.id, at=at, what="enrolment", effective=guest.enrolled)

        self._world.agenda.at(now + timedelta(minutes=minutes), take_effect)

    # -- power --------------------------------------------------------------------------------------------------

    def power(self, verb: str, machine: VirtualMachine, api_version: str, now: datetime, principal: str) -> Reply:
        """restart, start, powerOff or deallocate."""
        self._refuse_when_busy(machine, verb)
        if verb == "restart" and machine.power_state != "running":
            raise ArmError(
                409,
                "OperationNotAllowed",
                f"Operation 'restart' is not allowed on VM '{machine.name}' since the VM is not running.",
            )
        operation = self._world.operations.start(verb, machine, now, principal=principal, retry_after=10)
        if verb == "restart":
            late = self._world.fleet.random.uniform(*self._switches.restart_late_seconds)
            self._world.agenda.at(
                now + timedelta(seconds=late), lambda at: self._world.patching.restart_by_user(operation, at)
            )
            self._end_after(operation, _RESTART_SECONDS, now)
        elif verb == "start":
            self._start(operation, now)
        else:
            self._stop(operation, "deallocated" if verb == "deallocate" else "stopped", now)
        return self._accepted(operation, api_version, now)

    def _end_after(self, operation: Operation, seconds: float, now: datetime) -> None:
        self._world.agenda.at(now + timedelta(seconds=seconds), lambda at: self._world.operations.finish(operation, at))

    def _set_power(self, machine: VirtualMachine, state: str, at: datetime) -> None:
        machine.power_state = state
        self._world.audit.write("state", machine.id, at=at, what="power", power=state)

    def _start(self, operation: Operation, now: datetime) -> None:
        machine = operation.machine
        if machine.power_state == "running":
            self._end_after(operation, 2, now)
            return
        self._set_power(machine, "starting", now)

        def running(at: datetime) -> None:
            self._set_power(machine, "running", at)
            machine.guest.power_on(at, self._world.fleet.random.uniform(*self._switches.restart_down_seconds))
            self._world.operations.finish(operation, at)

        self._world.agenda.at(now + timedelta(seconds=_START_SECONDS), running)

    def _stop(self, operation: Operation, target: str, now: datetime) -> None:
        machine = operation.machine
        if machine.power_state == target:
            self._end_after(operation, 2, now)
            return
        self._set_power(machine, "deallocating" if target == "deallocated" else "stopping", now)
        machine.guest.power_off()

        def stopped(at: datetime) -> None:
            self._set_power(machine, target, at)
            self._world.operations.finish(operation, at)

        self._world.agenda.at(now + timedelta(seconds=_STOP_SECONDS), stopped)


def _skip(query: Mapping[str, str]) -> int:
    token = next((value for key, value in query.items() if key.lower() == "$skiptoken"), None)
    if token is None:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token))["skip"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise ArmError(400, "InvalidParameter", "The $skiptoken is invalid.", target="$skiptoken") from None
