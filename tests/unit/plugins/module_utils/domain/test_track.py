# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.assessment import Assessment, AvailablePatch
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.eligibility import eligibility
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.enrolment import enrolment
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import (
    CALENDAR,
    Calendar,
    MonthKind,
    Release,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.track import track

from .builders import ABSENT, APRIL, IMAGE, MAY, NOW, PATCH, UNREAD, VIEW, guest, known, machine

OCT25 = known("ws2025", "KB5066835")
NOV25 = known("ws2025", "KB5068966")
JAN26 = known("ws2025", "KB5073379")


def of(inside: GuestFacts | None, release: Fact[Release], **changes: Any) -> tuple[str, str]:
    host = machine(**changes)
    found = track(host, enrolment(host, inside), eligibility(host), inside, release)
    assert found.reasons[0].text
    return found.name, found.reasons[0].code


@pytest.mark.parametrize(
    ("release", "ubr", "kbs", "name", "code"),
    [
        # A hotpatch month
        (MAY, 32690, ("KB5082063",), "on_track", "at_release"),
        (MAY, 32772, ("KB5082063", "KB5087423"), "on_track", "at_release"),
        (MAY, 32463, ("KB5078736",), "baseline_due", "below_baseline"),
        (MAY, 32230, ("KB5073379",), "baseline_due", "below_baseline"),
        (MAY, 32690, UNREAD, "on_track", "at_release"),
        # April's cumulative out-of-band update leaves the track, whatever the build says
        (MAY, 32698, ("KB5082063", "KB5091157"), "off_track", "left_track"),
        (MAY, 32772, ("KB5091157",), "off_track", "left_track"),
        (MAY, 32698, ("KB5082063",), "unknown", "ambiguous_build"),
        (MAY, 32698, UNREAD, "unknown", "ambiguous_build"),
        # May's cumulative update instead of its hotpatch
        (MAY, 32860, ("KB5087539",), "unknown", "build_not_in_calendar"),
        (MAY, UNREAD, ("KB5082063",), "unknown", "build_unread"),
        (MAY, ABSENT, ("KB5082063",), "unknown", "build_unread"),
        # One build, two KBs (26100.6905): the build alone never decides
        (NOV25, 6905, ("KB5066835", "KB5070881"), "off_track", "left_track"),
        (NOV25, 6905, ("KB5066835", "KB5070893"), "on_track", "at_release"),
        (NOV25, 6905, ("KB5066835",), "unknown", "ambiguous_build"),
        (NOV25, 6905, UNREAD, "unknown", "ambiguous_build"),
        (OCT25, 6905, ("KB5070881",), "off_track", "left_track"),
        (OCT25, 6905, ("KB5070893",), "on_track", "at_release"),
        (NOV25, 7092, ("KB5068966",), "on_track", "at_release"),
        # A later baseline takes it back
        (JAN26, 32230, ("KB5070881", "KB5073379"), "on_track", "at_release"),
        (JAN26, 7392, ("KB5070881",), "baseline_due", "below_baseline"),
        # A baseline month
        (APRIL, 32463, ("KB5078736",), "baseline_due", "below_baseline"),
        (APRIL, 32690, ("KB5082063",), "on_track", "at_release"),
    ],
)
def test_by_level(release: Release, ubr: Any, kbs: Any, name: str, code: str) -> None:
    assert of(guest(ubr=ubr, kbs=kbs), Fact.of(release)) == (name, code)


@pytest.mark.parametrize(
    ("changes", "inside", "release", "name", "code"),
    [
        ({IMAGE: ...}, guest(), Fact.of(MAY), "ineligible", "image_not_supported"),
        ({f"{PATCH}__enableHotpatching": False}, guest(), Fact.of(MAY), "not_enrolled", "hotpatching_off"),
        ({}, guest(vbs_status=1), Fact.of(MAY), "enrolling", "not_effective"),
        ({f"{VIEW}__vmAgent": ...}, guest(), Fact.of(MAY), "unknown", "agent_not_ready"),
        ({}, guest(vbs_status=UNREAD), Fact.of(MAY), "unknown", "guest_unread"),
        ({}, None, Fact.of(MAY), "unknown", "guest_not_asked"),
        ({}, unreachable_guest("timed out", NOW), Fact.of(MAY), "unknown", "guest_unreachable"),
        ({}, guest(), Fact.unreadable("calendar ends"), "unknown", "release_unknown"),
        ({}, guest(), Fact.absent(), "unknown", "release_unknown"),
        ({}, guest(build=20348), Fact.of(MAY), "unknown", "other_product"),
        ({f"{IMAGE}__sku": "2022-datacenter-azure-edition-core"}, guest(), Fact.of(MAY), "unknown", "other_product"),
        ({}, guest(build=UNREAD), Fact.of(MAY), "unknown", "build_unread"),
        ({}, guest(), Fact.of(known("ws2025", "KB5046696")), "unknown", "baseline_unknown"),
    ],
)
def test_before_the_level(
    changes: dict[str, Any], inside: GuestFacts | None, release: Fact[Release], name: str, code: str
) -> None:
    assert of(inside, release, **changes) == (name, code)


def test_the_calendar_is_data() -> None:
    host, inside = machine(), guest()
    found = track(host, enrolment(host, inside), eligibility(host), inside, Fact.of(MAY), Calendar((MAY,)))
    assert (found.name, found.reasons[0].code) == ("unknown", "baseline_unknown")


def test_ws2022_has_rows_of_its_own() -> None:
    host = machine(**{f"{IMAGE}__sku": "2022-datacenter-azure-edition-hotpatch"})
    inside = guest(build=20348, ubr=5020, kbs=("KB5082142",))
    release = Fact.of(known("ws2022", "KB5087424"))
    assert track(host, enrolment(host, inside), eligibility(host), inside, release).name == "on_track"
    # Out-of-band of 2026-04-19 without a known build: only the KB tells.
    left = guest(build=20348, ubr=5020, kbs=("KB5082142", "KB5091575"))
    assert track(host, enrolment(host, left), eligibility(host), left, release).name == "off_track"


def offered(*patches: tuple[str, str]) -> Assessment:
    listed = tuple(AvailablePatch(kb, kb, kb, ("Security",), behavior, None) for kb, behavior in patches)
    return Assessment("Succeeded", "a", False, len(listed), 0, NOW, listed, None)


HOTPATCH, BASELINE = ("KB5087423", "NeverReboots"), ("KB5082063", "CanRequestReboot")
BASELINE_ONLY = ["baseline_offered", "release_not_offered"]


@pytest.mark.parametrize(
    ("ubr", "kbs", "assessment", "name", "code", "evidence"),
    [
        (32690, ("KB5082063",), None, "on_track", "at_release", []),
        (32690, ("KB5082063",), offered(HOTPATCH), "on_track", "at_release", ["release_offered"]),
        # That it is not offered proves nothing: it may be installed, or not be published yet.
        (32772, ("KB5087423",), offered(), "on_track", "at_release", ["release_not_offered"]),
        (32690, ("KB5082063",), offered(), "on_track", "at_release", ["release_not_offered"]),
        # The build says on track, and the baseline is offered: one of the two is wrong.
        (32690, UNREAD, offered(BASELINE), "unknown", "baseline_offered", BASELINE_ONLY),
        (
            32772,
            ("KB5087423",),
            offered(BASELINE, HOTPATCH),
            "unknown",
            "baseline_offered",
            ["baseline_offered", "release_offered"],
        ),
        # Where the guest leaves it open, an offered baseline decides, and an offered hotpatch does not.
        (UNREAD, (), offered(BASELINE), "baseline_due", "baseline_offered", BASELINE_ONLY),
        (UNREAD, (), offered(HOTPATCH), "unknown", "build_unread", ["release_offered"]),
        (32463, (), offered(BASELINE), "baseline_due", "below_baseline", BASELINE_ONLY),
        (32698, (), offered(HOTPATCH), "unknown", "ambiguous_build", ["release_offered"]),
        (
            32698,
            ("KB5091157",),
            offered(BASELINE),
            "off_track",
            "left_track",
            BASELINE_ONLY,
        ),
        # What may restart is named, known to the calendar or not.
        (
            32690,
            (),
            offered(HOTPATCH, ("KB5087539", "AlwaysRequiresReboot"), ("KB5000001", "neverReboots")),
            "on_track",
            "at_release",
            ["release_offered", "restarting_offered"],
        ),
        (
            32690,
            (),
            offered(("KB5091157", "CanRequestReboot")),
            "on_track",
            "at_release",
            ["out_of_band_offered", "release_not_offered"],
        ),
    ],
)
def test_an_assessment_only_takes_certainty_away(
    ubr: Any, kbs: Any, assessment: Assessment | None, name: str, code: str, evidence: list[str]
) -> None:
    host, inside = machine(), guest(ubr=ubr, kbs=kbs)
    found = track(
        host, enrolment(host, inside), eligibility(host), inside, Fact.of(MAY), CALENDAR, assessment=assessment
    )
    assert (found.name, found.reasons[0].code) == (name, code)
    assert [item.code for item in found.evidence] == evidence


@pytest.mark.parametrize(
    ("release", "kbs", "calendar", "returns", "text"),
    [
        (NOV25, ("KB5070881",), CALENDAR, "2026-01", "KB5073379 (baseline of 2026-01-13)"),
        (MAY, ("KB5091157",), CALENDAR, "2026-06", "KB5094125 (baseline of 2026-06-09)"),
        # As the calendar stood in May: June had been announced as a hotpatch, July as a baseline.
        (
            MAY,
            ("KB5091157",),
            Calendar(
                tuple(row for row in CALENDAR.releases if row.month <= "2026-05"),
                (
                    MonthKind("ws2025", "2026-06", "hotpatch", released=False),
                    MonthKind("ws2025", "2026-07", "baseline", released=False),
                ),
            ),
            "2026-07",
            "the announced baseline of 2026-07, expected on 2026-07-14",
        ),
        (
            MAY,
            ("KB5091157",),
            Calendar(tuple(row for row in CALENDAR.releases if row.month <= "2026-05")),
            None,
            "whose date is not known",
        ),
    ],
)
def test_who_was_knocked_off_is_told_when_it_returns(
    release: Release, kbs: tuple[str, ...], calendar: Calendar, returns: str | None, text: str
) -> None:
    host, inside = machine(), guest(ubr=release.ubr, kbs=kbs)
    found = track(host, enrolment(host, inside), eligibility(host), inside, Fact.of(release), calendar)
    assert found.name == "off_track"
    assert (found.returns.value.month if found.returns.value else None) == returns
    assert text in found.reasons[0].text


@pytest.mark.parametrize(
    ("month", "kind", "released", "name", "code"),
    [
        (None, None, None, "unknown", "baseline_unknown"),
        ("2026-04", "hotpatch", False, "unknown", "baseline_unknown"),  # announced only: announcements break
        ("2026-04", "baseline", True, "unknown", "baseline_unknown"),  # which build that was, nobody knows
        ("2026-04", "hotpatch", True, "on_track", "at_release"),
    ],
)
def test_a_month_in_between_that_is_not_known_may_have_been_a_baseline(
    month: str | None, kind: Any, released: Any, name: str, code: str
) -> None:
    """As if April 2026 had no row: May's hotpatch may build on it or on January's baseline."""
    rows = tuple(row for row in CALENDAR.releases if row.product == "ws2025" and row.month != "2026-04")
    months = (MonthKind("ws2025", month, kind, released),) if month is not None else ()
    host, inside = machine(), guest(ubr=32772, kbs=("KB5087423",))
    calendar = Calendar(rows, months)
    found = track(host, enrolment(host, inside), eligibility(host), inside, Fact.of(MAY), calendar)
    assert (found.name, found.reasons[0].code) == (name, code)


@pytest.mark.parametrize("inside", [None, unreachable_guest("timed out", NOW)])
def test_an_enrolment_seen_earlier_does_not_stand_in_for_a_reading(inside: GuestFacts | None) -> None:
    host = machine()
    found = track(host, enrolment(host, guest()), eligibility(host), inside, Fact.of(MAY))
    assert (found.name, found.reasons[0].code) == ("unknown", "guest_unread")
