# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how far each machine of an enrolment campaign has come, and for whom waiting makes sense.

Enrolling is two things: Azure's settings, which change within a minute, and the guest, which follows minutes to hours
later. Nothing here restarts a guest; where one has to be restarted, the reason says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..domain.eligibility import availability
from ..domain.enrolment import enrolment
from ..domain.guest import VBS_RUNNING, GuestFacts
from ..domain.machine import Machine
from ..domain.proof import same_machine
from ..domain.reasons import texts
from ..domain.waves import allows, parse_budget

STATES = ("enrolled", "enrolling", "refused", "unreachable", "unknown", "failed")
COUNTS_AGAINST_BUDGET = frozenset({"refused", "unreachable", "unknown", "failed"})
"""``enrolling`` does not count: it is what a fleet is in for hours."""

MOST_ROUNDS = 24
"""How often a guest is asked at most: each round costs every waiting guest up to six requests."""

RESTART_ADVICE = (
    "switch it on (UEFI with Secure Boot, EnableVirtualizationBasedSecurity 1) and restart the guest when it suits; "
    "enrolling never restarts"
)


@dataclass(frozen=True)
class Row:
    """Where one machine stands; ``waits`` tells whether asking its guest again later can change that."""

    host: str
    id: str
    state: str
    reason_code: str
    reason: str
    waits: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


def row_from_dict(raw: Mapping[str, Any]) -> Row:
    """Return the row that :meth:`Row.to_dict` wrote."""
    return Row(**{name: raw[name] for name in ("host", "id", "state", "reason_code", "reason", "waits")})


def foreseen(host: str, resource_id: str, entry: Mapping[str, Any] | None) -> Row:
    """Return what check mode found for a machine: the state is the outcome of ``enrollment``, no guest is asked."""
    if entry is None:
        return Row(host, resource_id, "failed", "no_entry", "the enrolment returned nothing for this machine")
    outcome = str(entry.get("outcome"))
    return Row(host, resource_id, outcome, str(entry.get("reason_code") or outcome), str(entry.get("reason") or ""))


def standing(
    host: str,
    resource_id: str,
    entry: Mapping[str, Any] | None,
    machine: Machine | None,
    guest: GuestFacts | None,
    overrides: Collection[str] = (),
) -> Row:
    """Return where a machine stands.

    :param entry: what ``enrollment`` returned for it.
    :param machine: what Azure shows since.
    :param guest: this round's reading; None before the first one.
    :param overrides: as the domain's ``enrolment`` takes them.
    """

    def row(state: str, code: str, reason: str, waits: bool = False) -> Row:
        return Row(host, resource_id, state, code, reason, waits)

    if entry is None:
        return row("failed", "no_entry", "the enrolment returned nothing for this machine")
    outcome, reason = str(entry.get("outcome")), str(entry.get("reason") or "")
    code = str(entry.get("reason_code") or outcome)
    if outcome == "refused":
        return row("refused", code, reason)
    if outcome not in ("changed", "unchanged", "running"):
        return row("failed", code, reason)
    if machine is None or machine.error is not None:
        why = machine.power_state.why if machine is not None else "Azure's answer does not hold the machine"
        return row("failed", "machine_unread", why)
    power = availability(machine)
    if power.state == "stopped":
        return row("enrolling", "stopped", f"{power.reason.text}; its guest follows once it has been started")
    if guest is None:
        return row("enrolling", "guest_not_asked", "the settings are set, the guest was not asked yet", waits=True)
    if not guest.reachable:
        return row("unreachable", "guest_unreachable", guest.why, waits=True)
    return _by_guest(row, machine, guest, overrides)


def _by_guest(row: Callable[..., Row], machine: Machine, guest: GuestFacts, overrides: Collection[str]) -> Row:
    right = same_machine(guest, machine.vm_id)
    if right.value is False:
        return row("failed", "wrong_guest", f"the guest that answered is another machine: {right.why}")
    if right.value is None:
        return row("unknown", "guest_identity_unknown", right.why, waits=True)
    judged = enrolment(machine, guest, overrides)
    code, reason = judged.reasons[0].code, texts(judged.reasons)
    if judged.state == "not_enrolled":
        # Azure had reported the change as done.
        return row("failed", code, reason)
    if judged.state == "enrolling" and guest.vbs_status.known and guest.vbs_status.value != VBS_RUNNING:
        return row("enrolling", "vbs_not_running", f"{reason}; {RESTART_ADVICE}")
    return row(judged.state, code, reason, waits=judged.state != "enrolled")


def seconds_between_looks(interval: float, timeout: float) -> float:
    """Return the seconds from one round to the next: what the user asked for, but no more rounds than MOST_ROUNDS."""
    return max(interval, timeout / MOST_ROUNDS, 1.0)


def totals(rows: Iterable[Row]) -> dict[str, int]:
    """How many machines there are, and how many in each state."""
    tally = Counter(row.state for row in rows)
    order = [*STATES, *sorted(tally.keys() - set(STATES))]
    return {"machines": sum(tally.values()), **{state: tally[state] for state in order if tally[state]}}


def failure(rows: Collection[Row], error_budget: object) -> str:
    """Return why the campaign failed as one sentence, or an empty text."""
    budget = parse_budget(error_budget, "hotpatch_error_budget")
    bad = [row for row in rows if row.state in COUNTS_AGAINST_BUDGET]
    if allows(budget, len(rows), len(bad)):
        return ""
    return (
        f"{len(bad)} of {len(rows)} machines are refused, failed, unreachable or unknown, more than "
        f"hotpatch_error_budget ({budget}) allows. {bad[0].host}: {bad[0].reason}"
    )
