# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say of a machine, outside any rollout, what its guest proves about the current release, and explain it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ..domain.diagnosis import diagnose, ready
from ..domain.eligibility import eligibility
from ..domain.enrolment import enrolment
from ..domain.guest import GuestFacts
from ..domain.machine import Machine
from ..domain.proof import prove
from ..domain.reasons import texts
from ..domain.timestamps import to_iso
from ..domain.track import track
from ..domain.verdicts import preflight_verdict
from .rollout_releases import Releases
from .rollout_report import printable

AT_RELEASE = "at_release"


def verify(
    host: str, machine: Machine, guest: GuestFacts | None, releases: Releases, overrides: Collection[str] = ()
) -> dict[str, Any]:
    """Return what is known of the machine as plain JSON.

    ``state`` is ``at_release``, or the reason why a rollout would not start it (``restart_pending``, ``stopped`` ...),
    or ``outstanding`` when nothing stands against it. ``restarted`` tells whether the guest booted since Azure's last
    installation; null where that cannot be known. ``ready`` tells whether the machine can be hotpatched, and
    ``findings`` what stands against it with the next step, see :class:`..domain.diagnosis.Finding`.
    """
    release = releases.of(machine)
    fit, enrolled = eligibility(machine, overrides), enrolment(machine, guest, overrides)
    where = track(machine, enrolled, fit, guest, release)
    verdict = preflight_verdict(machine, guest, fit, enrolled, where, release)
    last = machine.installation
    result: dict[str, Any] = {
        "host": host,
        "id": str(machine.id),
        "release": release.value.to_dict() if release.value else None,
        "track": where.name,
        "track_reason": texts(where.reasons),
        "patched": None,
        "restarted": None,
        "right_guest": None,
        "evidence": [],
    }
    findings = diagnose(machine, guest, fit, enrolled, where)
    result["ready"], result["findings"] = ready(findings), [finding.to_dict() for finding in findings]
    if guest is not None and guest.reachable:
        proof = prove(guest, last.start_time if last else None, release, machine.vm_id)
        result["patched"], result["restarted"] = proof.patched.value, proof.restarted.value
        result["right_guest"], result["evidence"] = proof.right_guest.value, list(proof.evidence)
    if last is not None:
        began = to_iso(last.start_time) if last.start_time else "at an unknown time"
        result["evidence"].append(f"Azure's last installation {last.activity_id} began {began}: {last.status}")
    if verdict is None:
        result["state"] = "outstanding"
        result["reason"] = (
            f"{release.value.kb if release.value else 'the release'} is not installed; it may be rolled out"
        )
    elif verdict.name == "already_current":
        result["state"], result["reason"] = AT_RELEASE, verdict.reason
    else:
        result["state"], result["reason"] = verdict.reason_code, verdict.reason
    return result


def advice(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """The findings of all machines as lines for people: what was found, then what to do and who says so."""
    lines = []
    for row in rows:
        if row["findings"]:
            state = "could be hotpatched, but have a look" if row["ready"] else "is not ready to be hotpatched"
            lines.append(f"{printable(row['host'])} {state}:")
        for place, finding in enumerate(row["findings"], start=1):
            mark = " [inferred]" if finding["inferred"] else ""
            lines.append(f"  {place}. {finding['code']}: {printable(finding['text'])}{mark}")
            lines.append(f"     next: {printable(finding['next_step'])} ({finding['source']})")
    return lines
