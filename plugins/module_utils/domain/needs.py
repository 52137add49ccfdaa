# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a machine needs a person, in the order in which a person should look, each with the next step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .eligibility import Availability, Eligibility
from .enrolment import Enrolment
from .errors import InputError
from .graph import GraphInstallation
from .graph_machine import GraphMachine
from .guest import GuestFacts
from .reasons import texts
from .track import Track

NEXT_STEPS: Mapping[str, str] = {
    "missing": "check that it exists and that the account may read it; if it is gone, take it out of the inventory",
    "installation_failed": "read Azure's error, then run winfleet.hotpatch.rollout again for it",
    "drift": "run winfleet.hotpatch.enroll, or change what is expected; look for the tool that writes its whole model",
    "off_track": "restart it with the next baseline; until then it gets no hotpatches",
    "restart_pending": "restart it when it suits: until then nothing is installed on it",
    "guest_unreachable": "make WinRM answer, or look whether the machine hangs",
    "patched_by_others": "find out who patches it beside the rollout; the platform does, unless the machine is held",
    "baseline_due": "plan a restart: the next rollout of a baseline restarts it",
    "not_enrolled": "run winfleet.hotpatch.enroll",
    "unknown": "see the reason; what could not be read is not known to be well",
    "ineligible": "move it to an image that can be hotpatched, or patch it by another way",
    "stopped": "start it before a rollout, or it stays behind",
}
"""Every code a need can have, most urgent first, with what to do about it."""

FAIL_ON = ("missing", "installation_failed", "drift", "off_track", "restart_pending", "guest_unreachable", "unknown")
"""Codes that by default make the fleet's status a failure: what somebody should look at today, and what could not be
read, which is not known to be well."""

PatchedBy = Literal["us", "platform", "somebody_else", "unknown"]
_FAILED = ("failed", "completedwithwarnings")


@dataclass(frozen=True)
class Need:
    """One need: a code of :data:`NEXT_STEPS` and what was found."""

    code: str
    text: str

    @property
    def next_step(self) -> str:
        """What to do about it."""
        return NEXT_STEPS[self.code]


def check_codes(option: str, codes: Iterable[str]) -> frozenset[str]:
    """Return the codes; InputError for one that does not exist."""
    wanted = [str(code) for code in codes]
    for code in wanted:
        if code not in NEXT_STEPS:
            raise InputError(option, code, "one of " + ", ".join(NEXT_STEPS))
    return frozenset(wanted)


def patched_by(installation: GraphInstallation | None, own: frozenset[str]) -> PatchedBy | None:
    """Return who began the last installation, None without one.

    :param own: activity IDs of this controller's journal, in lower case. An installation of a user's that is not among
        them was sent from elsewhere: by another tool, a person, or another controller of the same team.
    """
    if installation is None:
        return None
    if (installation.summary.activity_id or "").lower() in own:
        return "us"
    by = (installation.started_by or "").lower()
    return "platform" if by == "platform" else "somebody_else" if by == "user" else "unknown"


def needs_of(
    found: GraphMachine,
    guest: GuestFacts | None,
    *,
    power: Availability,
    fit: Eligibility,
    enrolled: Enrolment,
    where: Track,
    drift: Mapping[str, Mapping[str, Any]],
    by: PatchedBy | None,
) -> list[Need]:
    """Return what a machine needs a person for, most urgent first; empty when nothing does.

    A guest that nobody asked is no need; one that was asked and did not answer is, unless the machine is stopped.
    """
    running = power.state not in ("stopped", "changing")
    needs = [
        *_of_installation(found.installation, by),
        *([Need("drift", _drift_text(drift))] if drift else []),
        *_of_restart(found, guest),
        *([Need("guest_unreachable", guest.why)] if guest is not None and not guest.reachable and running else []),
        *_of_track(where, fit, enrolled, guest, "enable_hotpatching" in drift),
        *([Need("unknown", power.reason.text)] if power.state == "unknown" else []),
        *([Need("stopped", power.reason.text)] if power.state == "stopped" else []),
    ]
    order = list(NEXT_STEPS)
    return sorted(needs, key=lambda need: order.index(need.code))


def _of_installation(installation: GraphInstallation | None, by: PatchedBy | None) -> list[Need]:
    needs = []
    if installation is not None and installation.summary.status.lower() in _FAILED:
        error = installation.summary.error
        shown = "" if error is None else f": {error.get('code')}: {error.get('message')}"
        needs.append(Need("installation_failed", f"the last installation ended {installation.summary.status}{shown}"))
    if installation is not None and by in ("platform", "somebody_else"):
        who = "the platform itself" if by == "platform" else "somebody else than this controller"
        needs.append(Need("patched_by_others", f"the last installation was begun by {who}"))
    return needs


def _drift_text(drift: Mapping[str, Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{name} was not read: {item['unreadable']}"
        if "unreadable" in item
        else f"{name} is {'not set' if item['actual'] is None else item['actual']}, wanted {item['wanted']}"
        for name, item in drift.items()
    )


def _of_restart(found: GraphMachine, guest: GuestFacts | None) -> list[Need]:
    if guest is not None and guest.pending_restart.value is not None:
        if not guest.pending_restart.value:
            return []
        sources = ", ".join(guest.pending_restart_sources)
        return [Need("restart_pending", f"the guest has a restart pending ({sources or 'source not told'})")]
    assessment, installation = found.machine.assessment, found.installation
    if installation is not None and (installation.reboot_status or "").lower() == "required":
        return [Need("restart_pending", "the last installation needs a restart")]
    if assessment is not None and assessment.reboot_pending:
        return [Need("restart_pending", "the last assessment saw a restart pending")]
    return []


def _of_track(
    where: Track, fit: Eligibility, enrolled: Enrolment, guest: GuestFacts | None, drifted: bool
) -> list[Need]:
    if where.name in ("on_track", "enrolling") or (where.name == "not_enrolled" and drifted):
        return []
    if where.name in ("off_track", "baseline_due", "not_enrolled", "ineligible"):
        return [Need(where.name, texts(where.reasons))]
    # An enrolled machine whose guest was not asked, or did not answer, is said by other means.
    unasked = guest is None or not guest.reachable
    if unasked and fit.state == "eligible" and enrolled.state == "unknown" and not _unread(enrolled):
        return []
    return [Need("unknown", texts(where.reasons))]


def _unread(enrolled: Enrolment) -> bool:
    return any(reason.code == "setting_unread" for reason in enrolled.reasons)
