# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the next release will do to a machine: hotpatch it, or restart it, or nobody knows.

An update build revision alone never decides that a machine is on track: 26100.6905 is KB5070881, which took machines
off the track until the next baseline, and KB5070893, which did not (Microsoft Learn, "Enable Hotpatch for Azure
Arc-enabled servers", 2025-10).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from .assessment import Assessment
from .eligibility import Eligibility
from .enrolment import Enrolment
from .facts import Fact
from .guest import GuestFacts
from .machine import Machine, product
from .reasons import Reason
from .releases import CALENDAR, Calendar, Release, Upcoming, baseline_of, upcoming
from .selection import NEVER_REBOOTS

TrackName = Literal["on_track", "baseline_due", "off_track", "enrolling", "not_enrolled", "ineligible", "unknown"]
_NOT_OFF_TRACK: Fact[Upcoming] = Fact.absent("it is not off track")


@dataclass(frozen=True)
class Track:
    """The track with its reasons.

    :param returns: for ``off_track``: the baseline that takes it back; absent when the calendar knows of none.
    :param evidence: what the assessment shows beside the reasons; it alone never puts a machine on track.
    """

    name: TrackName
    reasons: tuple[Reason, ...] = ()
    returns: Fact[Upcoming] = _NOT_OFF_TRACK
    evidence: tuple[Reason, ...] = ()


def track(
    machine: Machine,
    enrolment: Enrolment,
    eligibility: Eligibility,
    guest: GuestFacts | None,
    release: Fact[Release],
    calendar: Calendar = CALENDAR,
    assessment: Assessment | None = None,
) -> Track:
    """Return the machine's track for that release.

    :param guest: None or a guest that did not answer makes the track ``unknown``.
    :param release: as :func:`.releases.current_release` gives it; not known makes the track ``unknown``.
    :param assessment: a fresh one with its patches. It can only take certainty away: a baseline that is offered is not
        installed, whatever the build says; what is not offered may be installed, or not yet published.
    """
    if eligibility.state == "ineligible":
        return Track("ineligible", eligibility.reasons)
    if enrolment.state == "not_enrolled":
        return Track("not_enrolled", enrolment.reasons)
    if enrolment.state == "enrolling":
        return Track("enrolling", enrolment.reasons)
    if eligibility.state == "unknown":
        return Track("unknown", eligibility.reasons)
    if enrolment.state == "unknown":
        return Track("unknown", enrolment.reasons)
    if release.value is None:
        return Track("unknown", (Reason("release_unknown", release.why or "no release is known"),))
    if guest is None or not guest.reachable:
        why = "the guest was not asked" if guest is None else guest.why
        return Track("unknown", (Reason("guest_unread", why),))
    wrong = _wrong_product(machine, guest, release.value)
    if wrong:
        return Track("unknown", (wrong,))
    return _with_assessment(_by_level(guest, release.value, calendar), assessment, release.value, calendar)


def _with_assessment(found: Track, assessment: Assessment | None, release: Release, calendar: Calendar) -> Track:
    """Hold the guest's word against what Azure offers it."""
    if assessment is None:
        return found
    found = replace(found, evidence=_offered(assessment, release, calendar))
    baseline = baseline_of(release, calendar)
    if baseline is None or assessment.offer(baseline.kb) is None:
        return found
    text = f"Azure offers the baseline {baseline}, so it is not installed"
    if found.name == "on_track":
        both = Reason("baseline_offered", f"{text}, but {found.reasons[0].text}")
        return replace(found, name="unknown", reasons=(both,))
    if found.name == "unknown":
        return replace(found, name="baseline_due", reasons=(Reason("baseline_offered", text), *found.reasons))
    return found


def _offered(assessment: Assessment, release: Release, calendar: Calendar) -> tuple[Reason, ...]:
    """What the assessment holds, as reasons: the release, other releases of the calendar, and what may restart."""
    found = []
    for patch in assessment.patches:
        row = calendar.find(release.product, patch.kb) if patch.kb else None
        restarts = f"Azure says {patch.reboot_behavior} of a restart"
        if row is not None:
            code = "release_offered" if row == release else f"{row.kind}_offered"
            found.append(Reason(code, f"Azure offers {row}; {restarts}"))
        elif patch.reboot_behavior.lower() != NEVER_REBOOTS.lower():
            found.append(Reason("restarting_offered", f"Azure offers {patch.kb or patch.name}; {restarts}"))
    if not any(patch.kb == release.kb for patch in assessment.patches):
        found.append(Reason("release_not_offered", f"Azure does not offer {release}"))
    return tuple(found)


def _wrong_product(machine: Machine, guest: GuestFacts, release: Release) -> Reason | None:
    known = product(machine).value
    if known is not None and known != release.product:
        return Reason("other_product", f"the release is for {release.product}, the machine is {known}")
    if guest.build.value is not None and guest.build.value != release.build:
        return Reason("other_product", f"the guest has build {guest.build.value}, the release is for {release.build}")
    return None


def _by_level(guest: GuestFacts, release: Release, calendar: Calendar) -> Track:
    baseline = baseline_of(release, calendar)
    if baseline is None or baseline.ubr is None:
        why = f"the calendar holds no baseline for {release}, or not every month since"
        if baseline is not None:
            why = f"the calendar has no build (ubr) for the baseline {baseline}"
        return Track("unknown", (Reason("baseline_unknown", why),))
    kbs = guest.kbs.value or ()
    for item in _since(baseline, calendar):
        if not item.keeps_track and item.kb in kbs:
            back = upcoming(calendar, release.product, max(item.date, release.date), "baseline")
            until = str(back.value) if back.value is not None else "whose date is not known"
            text = f"{item} is installed and left the hotpatch track until the next baseline, {until}"
            return Track("off_track", (Reason("left_track", text),), back)
    if guest.ubr.value is None or guest.build.value is None:
        why = guest.ubr.why or guest.build.why or "no build in the registry"
        return Track("unknown", (Reason("build_unread", f"the guest's build was not read: {why}"),))
    shown = f"{guest.build.value}.{guest.ubr.value}"
    if guest.ubr.value < baseline.ubr:
        return Track("baseline_due", (Reason("below_baseline", f"build {shown} is below the baseline {baseline}"),))
    return _at_or_past_baseline(guest, shown, baseline, calendar)


def _at_or_past_baseline(guest: GuestFacts, shown: str, baseline: Release, calendar: Calendar) -> Track:
    same = [item for item in _since(baseline, calendar) if item.ubr == guest.ubr.value]
    keeping = [item for item in same if item.keeps_track]
    seen = [item for item in keeping if item.kb in (guest.kbs.value or ())]
    if keeping and (seen or len(keeping) == len(same)):
        return Track("on_track", (Reason("at_release", f"build {shown} is {(seen or keeping)[0]}"),))
    if same:
        names = " or ".join(item.kb for item in same)
        why = f": {guest.kbs.why}" if guest.kbs.is_unreadable else ", and the guest lists neither as installed"
        return Track("unknown", (Reason("ambiguous_build", f"build {shown} means {names}{why}"),))
    text = f"build {shown} is past the baseline {baseline.kb} but in no release of the calendar"
    return Track("unknown", (Reason("build_not_in_calendar", text),))


def _since(baseline: Release, calendar: Calendar) -> list[Release]:
    """Return the baseline and what was released after it: an older one is superseded by the baseline."""
    return [item for item in calendar.of(baseline.product) if item == baseline or item.date > baseline.date]
