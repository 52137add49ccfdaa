# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one verdict a machine leaves with, from a closed list, with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from .eligibility import Eligibility, availability
from .enrolment import Enrolment
from .facts import Fact
from .guest import GuestFacts
from .installation import Outcome
from .machine import Machine
from .plain import fields_to_plain
from .proof import Proof, at_release, same_machine
from .reasons import Reason, texts
from .releases import Release
from .track import Track

VerdictName = Literal[
    "patched",
    "already_current",
    "patched_restarted_as_planned",
    "restarted_unexpectedly",
    "patched_by_platform",
    "withheld",
    "not_offered",
    "failed",
    "unproven",
    "claimed",
    "unreachable",
    "skipped",
    "not_started",
]

VERDICTS: tuple[VerdictName, ...] = get_args(VerdictName)
"""All verdicts there are."""

COUNTS_AGAINST_BUDGET: frozenset[VerdictName] = frozenset(
    {"restarted_unexpectedly", "withheld", "not_offered", "failed", "unproven", "unreachable"}
)
"""What an error budget counts. ``not_started`` has a limit of its own; ``claimed`` was asked for by the user."""


@dataclass(frozen=True)
class Verdict:
    """A verdict with its reason; ``reason_code`` is stable, ``reason`` is for people."""

    name: VerdictName
    reason_code: str
    reason: str

    @property
    def counts(self) -> bool:
        """Whether it counts against the error budget."""
        return self.name in COUNTS_AGAINST_BUDGET

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return fields_to_plain(self)


def preflight_verdict(
    machine: Machine,
    guest: GuestFacts | None,
    eligibility: Eligibility,
    enrolment: Enrolment,
    track: Track | None,
    release: Fact[Release],
) -> Verdict | None:
    """Return why a machine is not started, or None: it may be.

    Nobody is started whose guest did not answer in this run, who has a restart pending, or who is not the machine that
    ARM means; what is not known is ``not_started``, what cannot be is ``skipped``.

    :param guest: this run's reading; None when the user chose to go by Azure's word alone, or it was not read yet.
    :param track: may be None only when the guest is.
    """
    return (
        _by_azure(machine, eligibility)
        or _by_guest(machine, guest, release)
        or _by_decision(machine, guest, eligibility, enrolment, track, release)
    )


def _by_azure(machine: Machine, eligibility: Eligibility) -> Verdict | None:
    if machine.error is not None:
        return Verdict("not_started", "machine_unread", f"Azure did not show the machine: {machine.power_state.why}")
    power = availability(machine)
    if power.state == "stopped":
        return Verdict("skipped", "stopped", power.reason.text)
    if eligibility.state == "ineligible":
        return Verdict("skipped", *_first(eligibility.reasons))
    if power.state != "running":
        return Verdict("not_started", power.reason.code, power.reason.text)
    return None


def _by_guest(machine: Machine, guest: GuestFacts | None, release: Fact[Release]) -> Verdict | None:
    if guest is None:
        return None
    if not guest.reachable:
        return Verdict("not_started", "guest_unreachable", f"the guest did not answer: {guest.why}")
    right = same_machine(guest, machine.vm_id)
    if right.value is None:
        return Verdict("not_started", "guest_identity_unknown", right.why)
    if not right.value:
        return Verdict("not_started", "wrong_guest", f"the guest that answered is another machine: {right.why}")
    level = at_release(guest, release)
    pending = guest.pending_restart.value is True
    if level.value and not (pending and _only_listed(guest, release)):
        return Verdict("already_current", "at_release", level.why + (", a restart is pending" if pending else ""))
    return None


def _only_listed(guest: GuestFacts, release: Fact[Release]) -> bool:
    """Return whether the KB is listed while the build is not there yet: installed, but waiting for its restart."""
    wanted = release.value
    if wanted is None or wanted.ubr is None:
        return True
    return guest.ubr.value is None or guest.ubr.value < wanted.ubr


def _by_decision(
    machine: Machine,
    guest: GuestFacts | None,
    eligibility: Eligibility,
    enrolment: Enrolment,
    track: Track | None,
    release: Fact[Release],
) -> Verdict | None:
    if eligibility.state == "unknown":
        return Verdict("not_started", *_first(eligibility.reasons))
    pending = _restart_pending(machine, guest)
    if pending is not None:
        return pending
    if enrolment.state in ("not_enrolled", "enrolling") or (enrolment.state == "unknown" and guest is not None):
        return Verdict("not_started", _named(enrolment.state, "enrolment"), texts(enrolment.reasons))
    if release.value is None:
        return Verdict("not_started", "release_unknown", release.why or "no release is known")
    if guest is None:
        return None
    if track is None:
        return Verdict("not_started", "track_unknown", "the machine's track was not worked out")
    if track.name == "on_track":
        return None
    return Verdict("not_started", _named(track.name, "track"), texts(track.reasons))


def _restart_pending(machine: Machine, guest: GuestFacts | None) -> Verdict | None:
    if guest is None:
        if machine.assessment is not None and machine.assessment.reboot_pending:
            return Verdict("not_started", "restart_pending", "Azure's last assessment says that a restart is pending")
        return None
    pending = guest.pending_restart
    if pending.is_unreadable:
        return Verdict("not_started", "restart_pending_unread", f"a pending restart could not be read: {pending.why}")
    if pending.value:
        by = f" ({', '.join(guest.pending_restart_sources)})" if guest.pending_restart_sources else ""
        return Verdict("not_started", "restart_pending", f"a restart is pending in the guest{by}")
    return None


def final_verdict(
    outcome: Outcome,
    proof: Proof | None,
    guest: GuestFacts | None,
    started_by: Literal["us", "other"] = "us",
    restart_planned: bool = False,
) -> Verdict:
    """Return the verdict of a machine that an installation ran on.

    :param outcome: what Azure says became of the release's KB.
    :param proof: from a reading after the installation; None when no proof was asked for.
    :param guest: that reading; ValueError when a proof comes without it.
    :param started_by: ``other`` when the installation that ran was not ours.
    :param restart_planned: whether a restart was part of the plan.
    """
    if proof is None:
        if outcome.name == "unlisted":
            return Verdict("unproven", outcome.code, outcome.reason)
        return Verdict(outcome.name, outcome.code, outcome.reason)
    if guest is None:
        raise ValueError("A proof needs the reading it was made from.")
    if not guest.reachable:
        return Verdict("unreachable", "guest_silent", f"the guest did not answer after the installation: {guest.why}")
    if proof.right_guest.value is not True:
        code = "wrong_guest" if proof.right_guest.known else "guest_identity_unknown"
        return Verdict("unproven", code, proof.right_guest.why)
    if proof.restarted.value and not restart_planned:
        # Whatever else happened: this is what nobody had been told.
        return Verdict("restarted_unexpectedly", "booted_after_start", f"{proof.restarted.why}; {outcome.reason}")
    if outcome.name == "failed":
        return Verdict("failed", outcome.code, outcome.reason)
    if proof.patched.value is None:
        return _unread_level(outcome, proof)
    if not proof.patched.value:
        return _not_patched(outcome, proof)
    if proof.restarted.value is None:
        return Verdict("unproven", "restart_unread", f"{proof.patched.why}; {proof.restarted.why}")
    return _patched(outcome, proof, started_by)


def _unread_level(outcome: Outcome, proof: Proof) -> Verdict:
    if outcome.name in ("withheld", "not_offered"):
        return Verdict(outcome.name, outcome.code, outcome.reason)
    return Verdict("unproven", "level_unread", proof.patched.why)


def _not_patched(outcome: Outcome, proof: Proof) -> Verdict:
    if outcome.name in ("withheld", "not_offered"):
        return Verdict(outcome.name, outcome.code, outcome.reason)
    return Verdict("failed", "guest_not_patched", f"{outcome.reason}, but in the guest {proof.patched.why}")


def _patched(outcome: Outcome, proof: Proof, started_by: Literal["us", "other"]) -> Verdict:
    if started_by == "other":
        return Verdict("patched_by_platform", "not_our_installation", proof.patched.why)
    if outcome.name in ("withheld", "not_offered"):
        text = f"{proof.patched.why}, though in our installation {outcome.reason}"
        return Verdict("patched_by_platform", "present_without_us", text)
    if proof.restarted.value:
        return Verdict("patched_restarted_as_planned", "proven", f"{proof.patched.why}; {proof.restarted.why}")
    return Verdict("patched", "proven", f"{proof.patched.why}; {proof.restarted.why}")


def _named(state: str, of: str) -> str:
    """Return the state as a reason code; "unknown" says of what."""
    return f"{of}_unknown" if state == "unknown" else state


def _first(reasons: tuple[Reason, ...]) -> tuple[str, str]:
    return (reasons[0].code if reasons else "no_reason", texts(reasons))
