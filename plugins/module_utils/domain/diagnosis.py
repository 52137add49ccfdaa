# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a machine is not ready to be hotpatched, and what to do next, in the order in which it should be done.

Every finding names where its advice comes from. What rests on facts whose wire shape nobody has captured says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .advice import ADVICE, NO_ADVICE
from .eligibility import Eligibility, availability
from .enrolment import Enrolment
from .facts import Fact
from .guest import VBS_RUNNING, GuestFacts
from .machine import Machine
from .plain import fields_to_plain
from .proof import same_machine
from .track import Track
from .update_policy import conflicts

SECURE_BOOT = 2
"""Win32_DeviceGuard.AvailableSecurityProperties: Secure Boot is there (Microsoft's page on the class)."""

LICENSED = 1
INSTALLED, FAILED = 19, 20


@dataclass(frozen=True)
class Finding:
    """One thing that stands between a machine and its hotpatches.

    :param code: stable, snake_case; a key of :data:`.advice.ADVICE`.
    :param text: what was found, without a full stop.
    :param inferred: it rests on facts that nobody has captured on the wire: have a look before acting on it.
    :param hint: it may be a cause, and does not make a machine unready by itself.
    :param next_step: what to do, where that is not the table's.
    """

    code: str
    text: str
    inferred: bool = False
    hint: bool = False
    next_step: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON, with the next step and the source of the advice."""
        advice = ADVICE.get(self.code, NO_ADVICE)
        plain = {**fields_to_plain(self), "source": advice.source}
        plain["next_step"] = self.next_step or advice.next_step
        return plain


def diagnose(
    machine: Machine,
    guest: GuestFacts | None,
    eligibility: Eligibility,
    enrolment: Enrolment,
    track: Track,
) -> tuple[Finding, ...]:
    """Return what stands against hotpatching the machine; the first is to be mended first.

    What Azure says comes before what the guest says, and what makes the rest unknowable before the rest.
    """
    if machine.error is not None:
        return (Finding("machine_unread", f"Azure did not show the machine: {machine.power_state.why}"),)
    power = availability(machine)
    findings = [] if power.state == "running" else [Finding(power.reason.code, power.reason.text)]
    findings += [Finding(reason.code, reason.text) for reason in eligibility.reasons]
    findings += [
        Finding(reason.code, reason.text)
        for reason in enrolment.reasons
        if reason.code in ("hotpatching_off", "setting_unread")
    ]
    if guest is None or not guest.reachable:
        # A machine that is off does not answer; that it is off has been said.
        return tuple(findings if power.state == "stopped" else [*findings, _silent(guest)])
    findings += [*_identity(machine, guest), *_restart(guest), *_vbs(guest), *_enrolment(guest, enrolment)]
    findings += [
        Finding(reason.code, reason.text, inferred=True)
        for reason in track.reasons
        if track.name in ("baseline_due", "off_track")
    ]
    findings += [*_policies(machine, guest), *_services(guest), *_extension(guest, enrolment)]
    findings += [*_licence(guest), *_events(guest)]
    return tuple(findings)


def ready(findings: tuple[Finding, ...]) -> bool:
    """Return whether nothing but hints was found."""
    return all(finding.hint for finding in findings)


def _silent(guest: GuestFacts | None) -> Finding:
    return Finding(
        "guest_unreachable", f"the guest did not answer: {'it was not asked' if guest is None else guest.why}"
    )


def _identity(machine: Machine, guest: GuestFacts) -> list[Finding]:
    right = same_machine(guest, machine.vm_id)
    if right.value:
        return []
    if right.value is None:
        return [Finding("guest_identity_unknown", f"whose guest answered is not known: {right.why}", inferred=True)]
    return [Finding("wrong_guest", f"the guest that answered is another machine: {right.why}", inferred=True)]


def _restart(guest: GuestFacts) -> list[Finding]:
    pending = guest.pending_restart
    if pending.value:
        by = ", ".join(guest.pending_restart_sources) or "Windows"
        return [Finding("restart_pending", f"a restart is pending in the guest ({by})")]
    if pending.is_unreadable and not _not_asked(pending):
        return [Finding("restart_pending_unread", f"a pending restart could not be read: {pending.why}")]
    return []


def _vbs(guest: GuestFacts) -> list[Finding]:
    status = guest.vbs_status
    if status.value == VBS_RUNNING or _not_asked(status):
        return []
    if status.value is None:
        why = status.why or "Windows told no state"
        return [Finding("vbs_unread", f"virtualization-based security could not be read: {why}", inferred=True)]
    shown = f"virtualization-based security does not run (status {status.value})"
    properties = guest.security_properties.value
    if properties is not None and SECURE_BOOT not in properties:
        return [Finding("secure_boot_missing", f"{shown}, and Windows finds no Secure Boot", inferred=True)]
    if guest.vbs_configured.value:
        return [Finding("vbs_restart_needed", f"{shown}, though the registry asks for it", inferred=True)]
    return [Finding("vbs_off", shown, inferred=True)]


def _enrolment(guest: GuestFacts, enrolment: Enrolment) -> list[Finding]:
    """What is missing of an enrolment that Azure has been told of."""
    if enrolment.state == "enrolled" or any(reason.code == "hotpatching_off" for reason in enrolment.reasons):
        return []
    found = []
    for fact, code, what in (
        (guest.hotpatch_package, "package_missing", "the Hotpatch Enrollment Package is not installed"),
        (guest.hotpatch_table_size, "table_size_missing", "HotPatchTableSize is not set"),
    ):
        if _not_asked(fact):
            continue
        if fact.is_unreadable:
            found.append(Finding("enrolment_unread", f"the enrolment was not read: {fact.why}", inferred=True))
        elif not fact.value:
            found.append(Finding(code, f"switched on in Azure, but {what}", inferred=True))
    return found


def _policies(machine: Machine, guest: GuestFacts) -> list[Finding]:
    reasons = conflicts(guest.update_policies.value or {}, machine.patch_settings.patch_mode.value)
    return [Finding(reason.code, reason.text, inferred=True, hint=True) for reason in reasons]


_SERVICES = {
    "wuauserv": "windows_update_disabled",
    "WindowsAzureGuestAgent": "azure_agent_disabled",
    "himds": "arc_agent_disabled",
}


def _services(guest: GuestFacts) -> list[Finding]:
    modes = guest.service_start_modes.value or {}
    return [
        Finding(code, f"the service {name} is disabled", inferred=True, hint=True)
        for name, code in _SERVICES.items()
        if modes.get(name) == "Disabled"
    ]


def _extension(guest: GuestFacts, enrolment: Enrolment) -> list[Finding]:
    off = any(reason.code == "hotpatching_off" for reason in enrolment.reasons)
    if off or enrolment.state == "enrolled" or not guest.hotpatch_extension_versions.is_absent:
        return []
    text = "the guest holds no folder of the extension Microsoft.CPlat.Core.WindowsHotpatch"
    return [Finding("extension_missing", text, inferred=True, hint=True)]


def _licence(guest: GuestFacts) -> list[Finding]:
    found = []
    status = guest.licence_status
    if status.is_absent:
        found.append(Finding("not_licensed", "Windows has no product key", inferred=True, hint=True))
    elif status.value is not None and status.value != LICENSED:
        text = f"Windows is not licensed (LicenseStatus {status.value})"
        found.append(Finding("not_licensed", text, inferred=True, hint=True))
    if guest.licensing_mutex.value and not guest.licensing_override.value:
        text = "DeviceLicensingServiceCommandMutex is set, the mark of the licensing fault of October 2025"
        found.append(Finding("licensing_fault", text, inferred=True, hint=True))
    return found


def _events(guest: GuestFacts) -> list[Finding]:
    """The newest failure of Windows Update, unless the same update was installed after it."""
    events = guest.update_events.value or ()
    failed = next((event for event in events if event.event_id == FAILED), None)
    if failed is None:
        return []
    mended = (event for event in events if event.event_id == INSTALLED and event.time > failed.time)
    if any(event.title == failed.title for event in mended):
        return []
    text = f"Windows Update failed to install {failed.title or 'an update'} ({failed.hresult or 'no error code'})"
    return [Finding("update_failed", text, inferred=True, hint=True, next_step=failed.meaning)]


def _not_asked(fact: Fact[Any]) -> bool:
    """Whether the reading left it out: what nobody asked about is no finding."""
    return fact.is_unreadable and fact.why.startswith("not asked")
