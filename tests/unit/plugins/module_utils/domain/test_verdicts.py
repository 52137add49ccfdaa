# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.eligibility import eligibility
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.enrolment import enrolment
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.installation import Outcome
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import unread_machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.proof import Proof, prove
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import Release
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.track import track
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.verdicts import (
    COUNTS_AGAINST_BUDGET,
    VERDICTS,
    final_verdict,
    preflight_verdict,
)

from .builders import (
    ABSENT,
    APRIL,
    ASSESSED,
    IMAGE,
    MAY,
    NOW,
    PATCH,
    UNREAD,
    VIEW,
    VM_ID,
    VM_ID_SWAPPED,
    at,
    guest,
    known,
    machine,
    rid,
)

POWER = f"{VIEW}__statuses"
SILENT = unreachable_guest("connection refused", NOW)
OTHER_UUID = "00000000-1111-2222-3333-444444444444"
MAY_DONE: dict[str, Any] = {"ubr": 32772, "kbs": ("KB5082063", "KB5087423")}


def preflight(inside: GuestFacts | None, release: Fact[Release], **changes: Any) -> tuple[str, str] | None:
    host = machine(**changes)
    fit, enrolled = eligibility(host), enrolment(host, inside)
    found = preflight_verdict(host, inside, fit, enrolled, track(host, enrolled, fit, inside, release), release)
    assert found is None or found.reason
    return None if found is None else (found.name, found.reason_code)


@pytest.mark.parametrize(
    ("changes", "inside", "verdict"),
    [
        ({}, guest(), None),
        ({}, guest(smbios_uuid=VM_ID_SWAPPED), None),
        # What Azure says
        ({POWER: [{"code": "PowerState/deallocated"}]}, SILENT, ("skipped", "stopped")),
        ({POWER: [{"code": "PowerState/stopped"}], IMAGE: ...}, SILENT, ("skipped", "stopped")),
        ({POWER: [{"code": "PowerState/starting"}]}, guest(), ("not_started", "power_changing")),
        ({POWER: []}, guest(), ("not_started", "power_unknown")),
        ({VIEW: ...}, guest(), ("not_started", "power_unknown")),
        ({f"{IMAGE}__sku": "2025-datacenter-g2"}, guest(), ("skipped", "image_not_supported")),
        ({f"{IMAGE}__sku": "2025-datacenter-g2"}, SILENT, ("skipped", "image_not_supported")),
        ({"properties__virtualMachineScaleSet": {"id": "/s"}}, guest(), ("skipped", "scale_set_member")),
        ({f"{VIEW}__vmAgent": ...}, guest(), ("not_started", "agent_not_ready")),
        # The guest did not answer, or is another machine
        ({}, SILENT, ("not_started", "guest_unreachable")),
        ({}, guest(smbios_uuid=OTHER_UUID), ("not_started", "wrong_guest")),
        ({}, guest(smbios_uuid=OTHER_UUID, **MAY_DONE), ("not_started", "wrong_guest")),
        ({}, guest(smbios_uuid=UNREAD), ("not_started", "guest_identity_unknown")),
        ({"properties__vmId": ...}, guest(), ("not_started", "guest_identity_unknown")),
        # At the level already, by the guest's own word
        ({}, guest(**MAY_DONE), ("already_current", "at_release")),
        ({}, guest(ubr=32772, kbs=UNREAD), ("already_current", "at_release")),
        ({}, guest(ubr=32860, kbs=()), ("already_current", "at_release")),
        ({}, guest(**MAY_DONE, pending_restart=True), ("already_current", "at_release")),
        ({f"{PATCH}__enableHotpatching": False}, guest(**MAY_DONE), ("already_current", "at_release")),
        # A restart is pending
        ({}, guest(pending_restart=True, pending_restart_sources=("cbs",)), ("not_started", "restart_pending")),
        ({}, guest(ubr=32690, kbs=("KB5087423",), pending_restart=True), ("not_started", "restart_pending")),
        ({}, guest(pending_restart=UNREAD), ("not_started", "restart_pending_unread")),
        ({}, guest(pending_restart=ABSENT), None),
        # The guest is asked, not Azure's older word
        ({ASSESSED: {"status": "Succeeded", "rebootPending": True}}, guest(), None),
        # Enrolment
        ({f"{PATCH}__enableHotpatching": False}, guest(), ("not_started", "not_enrolled")),
        ({f"{PATCH}__enableHotpatching": ...}, guest(), ("not_started", "not_enrolled")),
        ({}, guest(hotpatch_package=ABSENT), ("not_started", "enrolling")),
        ({}, guest(vbs_status=1), ("not_started", "enrolling")),
        ({}, guest(vbs_status=UNREAD), ("not_started", "enrolment_unknown")),
        # Track
        ({}, guest(ubr=32463, kbs=("KB5078736",)), ("not_started", "baseline_due")),
        ({}, guest(ubr=32698, kbs=("KB5091157",)), ("not_started", "off_track")),
        ({}, guest(ubr=UNREAD), ("not_started", "track_unknown")),
        ({}, guest(build=20348), ("not_started", "track_unknown")),
    ],
)
def test_preflight(changes: dict[str, Any], inside: GuestFacts, verdict: tuple[str, str] | None) -> None:
    assert preflight(inside, Fact.of(MAY), **changes) == verdict


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, None),
        ({f"{PATCH}__enableHotpatching": False}, ("not_started", "not_enrolled")),
        ({ASSESSED: {"status": "Succeeded", "rebootPending": True}}, ("not_started", "restart_pending")),
        ({"properties__storageProfile": ...}, ("not_started", "os_type_unread")),
        ({IMAGE: ...}, ("skipped", "image_not_supported")),
    ],
)
def test_preflight_by_azures_word_alone(changes: dict[str, Any], verdict: tuple[str, str] | None) -> None:
    assert preflight(None, Fact.of(MAY), **changes) == verdict


@pytest.mark.parametrize("release", [Fact[Release].unreadable("calendar ends"), Fact[Release].absent("no release")])
@pytest.mark.parametrize("inside", [guest(), None])
def test_nobody_starts_for_an_unknown_release(release: Fact[Release], inside: GuestFacts | None) -> None:
    assert preflight(inside, release) == ("not_started", "release_unknown")


def test_a_release_without_a_known_build_waits_for_its_restart() -> None:
    release = Fact.of(known("ws2025", "KB5091470"))
    listed = guest(kbs=("KB5082063", "KB5091470"))
    assert preflight(listed, release) == ("already_current", "at_release")
    assert preflight(replace(listed, pending_restart=YES), release) == ("not_started", "restart_pending")


def test_a_baseline_is_due_in_its_month_too() -> None:
    assert preflight(guest(ubr=32463, kbs=()), Fact.of(APRIL)) == ("not_started", "baseline_due")
    assert preflight(guest(), Fact.of(APRIL)) == ("already_current", "at_release")


def test_a_guest_that_was_read_needs_a_track() -> None:
    host, inside, release = machine(), guest(), Fact.of(MAY)
    found = preflight_verdict(host, inside, eligibility(host), enrolment(host, inside), None, release)
    assert found is not None
    assert (found.name, found.reason_code) == ("not_started", "track_unknown")
    assert preflight_verdict(host, None, eligibility(host), enrolment(host, None), None, release) is None


def test_a_machine_that_azure_did_not_show() -> None:
    host = unread_machine(ResourceId.parse(rid()), {"code": "ResourceNotFound", "message": "not there"})
    fit, enrolled = eligibility(host), enrolment(host, None)
    found = preflight_verdict(host, None, fit, enrolled, None, Fact.of(MAY))
    assert found is not None
    assert (found.name, found.reason_code) == ("not_started", "machine_unread")
    assert "ResourceNotFound: not there" in found.reason


YES, NO = Fact.of(True, "yes"), Fact.of(False, "no")
CLAIMED = Outcome("claimed", "installed", "Azure says KB5087423 is Installed")
WITHHELD = Outcome("withheld", "excluded", "KB5087423 came back Excluded")
NOT_OFFERED = Outcome("not_offered", "not_in_list", "KB5087423 is not in the list")
FAILED = Outcome("failed", "status_failed", "Azure says Failed")
UNLISTED = Outcome("unlisted", "patches_unread", "1 installed, but which is not known")
UNKNOWN: Fact[bool] = Fact.unreadable("access denied")


@pytest.mark.parametrize(
    ("outcome", "restarted", "patched", "right", "options", "verdict"),
    [
        (CLAIMED, NO, YES, YES, {}, "patched"),
        (UNLISTED, NO, YES, YES, {}, "patched"),
        (CLAIMED, NO, YES, YES, {"started_by": "other"}, "patched_by_platform"),
        (NOT_OFFERED, NO, YES, YES, {}, "patched_by_platform"),
        (WITHHELD, NO, YES, YES, {}, "patched_by_platform"),
        # A restart that nobody was told of, though Azure says all is well
        (CLAIMED, YES, YES, YES, {}, "restarted_unexpectedly"),
        (FAILED, YES, NO, YES, {}, "restarted_unexpectedly"),
        (WITHHELD, YES, UNKNOWN, YES, {}, "restarted_unexpectedly"),
        (CLAIMED, YES, YES, YES, {"started_by": "other"}, "restarted_unexpectedly"),
        (CLAIMED, YES, YES, YES, {"restart_planned": True}, "patched_restarted_as_planned"),
        (CLAIMED, NO, YES, YES, {"restart_planned": True}, "patched"),
        (CLAIMED, YES, NO, YES, {"restart_planned": True}, "failed"),
        (FAILED, YES, YES, YES, {"restart_planned": True}, "failed"),
        # Azure claims, the guest denies
        (CLAIMED, NO, NO, YES, {}, "failed"),
        (UNLISTED, NO, NO, YES, {}, "failed"),
        (WITHHELD, NO, NO, YES, {}, "withheld"),
        (NOT_OFFERED, NO, NO, YES, {}, "not_offered"),
        (FAILED, NO, NO, YES, {}, "failed"),
        (FAILED, NO, YES, YES, {}, "failed"),
        (FAILED, UNKNOWN, UNKNOWN, YES, {}, "failed"),
        # What could not be read proves nothing
        (CLAIMED, UNKNOWN, YES, YES, {}, "unproven"),
        (CLAIMED, UNKNOWN, YES, YES, {"restart_planned": True}, "unproven"),
        (CLAIMED, NO, UNKNOWN, YES, {}, "unproven"),
        (UNLISTED, NO, UNKNOWN, YES, {}, "unproven"),
        (WITHHELD, NO, UNKNOWN, YES, {}, "withheld"),
        (NOT_OFFERED, UNKNOWN, UNKNOWN, YES, {}, "not_offered"),
        (CLAIMED, NO, YES, NO, {}, "unproven"),
        (CLAIMED, YES, YES, NO, {}, "unproven"),
        (CLAIMED, NO, YES, UNKNOWN, {}, "unproven"),
    ],
)
def test_final(
    outcome: Outcome,
    restarted: Fact[bool],
    patched: Fact[bool],
    right: Fact[bool],
    options: dict[str, Any],
    verdict: str,
) -> None:
    found = final_verdict(outcome, Proof(restarted, patched, right), guest(), **options)
    assert found.name == verdict
    assert found.reason
    assert found.to_dict() == {"name": verdict, "reason_code": found.reason_code, "reason": found.reason}


@pytest.mark.parametrize("outcome", [CLAIMED, WITHHELD, NOT_OFFERED, FAILED, UNLISTED])
def test_a_guest_that_falls_silent_is_unreachable(outcome: Outcome) -> None:
    proof = prove(SILENT, at(-5), Fact.of(MAY), VM_ID)
    found = final_verdict(outcome, proof, SILENT)
    assert (found.name, found.reason_code) == ("unreachable", "guest_silent")


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (CLAIMED, "claimed"),
        (WITHHELD, "withheld"),
        (NOT_OFFERED, "not_offered"),
        (FAILED, "failed"),
        (UNLISTED, "unproven"),
    ],
)
def test_without_proof_it_is_a_claim_and_never_patched(outcome: Outcome, verdict: str) -> None:
    assert final_verdict(outcome, None, None).name == verdict


def test_a_proof_without_its_reading_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="reading"):
        final_verdict(CLAIMED, Proof(NO, YES, YES), None)


def test_the_list_is_closed_and_says_what_counts() -> None:
    assert set(VERDICTS) == {
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
    }
    assert set(VERDICTS) - COUNTS_AGAINST_BUDGET == {
        "patched",
        "already_current",
        "patched_restarted_as_planned",
        "patched_by_platform",
        "claimed",
        "skipped",
        "not_started",
    }
    assert final_verdict(FAILED, None, None).counts
    assert not final_verdict(CLAIMED, None, None).counts
