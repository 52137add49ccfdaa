# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a guest to hotpatch readiness: read, write what differs, read back, and restart only where that was asked for.

Nothing is taken for done because a call succeeded: the guest is read again. A restart is asked for once and never
again; whether it happened is told by the boot time, also when the answer to the call was lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..clock import Clock
from ..domain.guest import VBS_RUNNING, GuestFacts
from ..domain.prerequisites import Preparation, RegistryValue, another_boot, prepare
from ..domain.proof import same_machine
from ..domain.timestamps import to_iso
from .cim import CimSession
from .connection import Deadline
from .faults import BadAnswer, Unreachable, WsmanError, WsmanFault
from .notes import CIMV2
from .reading import GuestOptions, read_guest
from .registry import write_value

SUBSETS = "enrolment,vbs,identity,updates"
LOOK_AGAIN_SECONDS = 10
"""Between two looks at a guest that restarts, by the collection's clock."""


@dataclass(frozen=True)
class Wishes:
    """What the user wants.

    :param restart: the explicit word that the guest may be restarted.
    :param restart_timeout: seconds by the collection's clock until it must be back.
    :param timeout: real seconds for one reading or for all writes.
    :param vm_id: ARM's vmId: a guest that is not this machine is neither written to nor restarted. None checks nothing.
    """

    iso_enrolment: bool = False
    restart: bool = False
    restart_timeout: float = 900
    timeout: float = 60
    vm_id: str | None = None
    check_mode: bool = False


def prepare_guest(options: GuestOptions, clock: Clock, wishes: Wishes) -> dict[str, Any]:
    """Do it, and return the task's result: also when it failed, with what was changed until then."""
    before = read_guest(options, clock, SUBSETS, wishes.timeout)
    plan = prepare(before, wishes.iso_enrolment)
    refusal = plan.refusal.text if plan.refusal else _stranger(before, wishes.vm_id)
    if refusal:
        return _result(before, plan, failed=f"Nothing was changed: {refusal}.")
    wants_restart = wishes.restart and plan.restart_needed.value is True
    if wishes.check_mode:
        return _result(before, plan, changed=bool(plan.changes) or wants_restart)
    after = before
    if plan.changes:
        trouble = _write(options, plan.changes, wishes.timeout)
        after = read_guest(options, clock, SUBSETS, wishes.timeout)
        missing = prepare(after, wishes.iso_enrolment)
        if missing.refusal or missing.changes:
            changed = len(missing.changes) < len(plan.changes)
            return _result(after, plan, changed=changed, failed=_not_written(missing, trouble))
    if not wants_restart:
        return _result(after, plan, changed=bool(plan.changes))
    trouble = _restart(options, clock, after, wishes)
    after = read_guest(options, clock, SUBSETS, wishes.timeout) if not trouble else after
    return _result(after, plan, changed=True, restarted=not trouble, failed=trouble)


def _stranger(guest: GuestFacts, vm_id: str | None) -> str:
    """Why this is not known to be the machine that ARM means; empty when it is, or when nobody wants to know."""
    if vm_id is None:
        return ""
    right = same_machine(guest, vm_id)
    if right.value:
        return ""
    return f"the guest is not known to be the machine that Azure means ({right.why})"


def _write(options: GuestOptions, changes: tuple[RegistryValue, ...], timeout: float) -> str:
    """Write all values; what went wrong, or empty."""
    sender = options.open(Deadline(timeout))
    # Two requests a value: make the key, set the value.
    session = CimSession(sender, 2 * len(changes))
    try:
        for change in changes:
            write_value(session, change.key, change.name, change.value)
    except WsmanError as error:
        return options.redact(error.why)
    finally:
        sender.close()
    return ""


def _not_written(missing: Preparation, trouble: str) -> str:
    if missing.refusal:
        why = missing.refusal.text
        return (
            f"Whether the registry was written is not known: {why}. Run the task again, it changes only what differs."
        )
    names = ", ".join(change.name for change in missing.changes)
    return f"The guest does not hold {names} after writing: {trouble or 'it reported success'}."


def _restart(options: GuestOptions, clock: Clock, before: GuestFacts, wishes: Wishes) -> str:
    """Ask the guest to restart, once, and wait until it is back; what went wrong, or empty."""
    asked = to_iso(clock.now())
    refusal = _reboot(options, wishes.timeout)
    if refusal:
        return f"The guest was not restarted: {refusal}."
    deadline = clock.monotonic() + wishes.restart_timeout
    why = "it has not gone down"
    while clock.monotonic() < deadline:
        clock.sleep(LOOK_AGAIN_SECONDS)
        booted = another_boot(before, read_guest(options, clock, "poll", wishes.timeout))
        if booted.value:
            return ""
        why = booted.why or why
    return (
        f"The guest was asked to restart at {asked} and is not back after {wishes.restart_timeout:g} s ({why}); "
        "look at its console before anything else restarts it."
    )


def _reboot(options: GuestOptions, timeout: float) -> str:
    """Call Win32_OperatingSystem.Reboot; the guest's refusal, or empty, also when the answer was lost.

    Microsoft's class reference: 0 is success, and the caller needs the privilege to shut the system down.
    """
    sender = options.open(Deadline(timeout))
    try:
        outputs = CimSession(sender, 1).invoke(CIMV2, "Win32_OperatingSystem", "Reboot")
    except WsmanFault as fault:
        return options.redact(fault.why)
    except (Unreachable, BadAnswer):
        # It may be on its way down already: the boot time will tell.
        return ""
    finally:
        sender.close()
    code = outputs.integer("ReturnValue", -(2**31), 2**32 - 1).value
    if code:
        return f"Win32_OperatingSystem.Reboot returned {code}; does the account have the right to shut it down?"
    return ""


def _result(
    guest: GuestFacts, plan: Preparation, *, changed: bool = False, restarted: bool = False, failed: str = ""
) -> dict[str, Any]:
    running = guest.vbs_status.map(lambda status: status == VBS_RUNNING)
    outstanding = None if plan.restart_needed.value is None else bool(plan.restart_needed.value) and not restarted
    warnings = list(plan.warnings)
    if restarted and running.value is False:
        warnings.append("The guest was restarted, and virtualization-based security does not run all the same.")
    result: dict[str, Any] = {
        "changed": changed,
        "changes": [change.to_dict() for change in plan.changes],
        "restarted": restarted,
        "restart_needed": outstanding,
        "restart_reason": "" if restarted else plan.restart_needed.why,
        "vbs_running": running.value,
        "advice": warnings,
        "guest": guest.to_dict(),
        "diff": _diff(plan),
        "msg": failed or _sentence(plan, restarted, outstanding),
    }
    if failed:
        result["failed"] = True
    return result


def _sentence(plan: Preparation, restarted: bool, outstanding: bool | None) -> str:
    done = f"{len(plan.changes)} registry values differed" if plan.changes else "The registry is as it should be"
    if restarted:
        return f"{done}; the guest was restarted."
    if outstanding:
        return f"{done}; the guest needs a restart, {plan.restart_needed.why}."
    if outstanding is None:
        return f"{done}; whether a restart is needed is not known, {plan.restart_needed.why}."
    return f"{done}."


def _diff(plan: Preparation) -> dict[str, str]:
    """The values before and after as text, for diff mode."""

    def line(change: RegistryValue, value: int | str | None) -> str:
        return "" if value is None else f"HKLM\\{change.key}\\{change.name} = {value}\n"

    return {
        "before": "".join(line(change, change.before) for change in plan.changes),
        "after": "".join(line(change, change.value) for change in plan.changes),
    }
