# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.advice import ADVICE
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.diagnosis import Finding, diagnose, ready
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.eligibility import CODES, eligibility
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.enrolment import enrolment
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import UpdateEvent, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.hresults import MEANINGS, hresult_in, meaning
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import unread_machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.track import track
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.update_policy import conflicts, update_source

from .builders import (
    ABSENT,
    APRIL,
    IMAGE,
    MAY,
    NOW,
    PATCH,
    UNREAD,
    VIEW,
    at,
    guest,
    known,
    machine,
    rid,
)

OFF = f"{VIEW}__statuses"
STOPPED = [{"code": "PowerState/deallocated"}]
FAILED = UpdateEvent(at(-60), 20, "KB5087423", "0x80072EE2", meaning("0x80072EE2"))
MENDED = UpdateEvent(at(-30), 19, "KB5087423")
OTHER = UpdateEvent(at(-30), 19, "KB1")
WSUS = {"WUServer": "http://wsus", "AU\\UseWUServer": "1"}


def findings(of_machine: dict[str, Any], of_guest: Any, release: Any = MAY) -> tuple[Finding, ...]:
    found = machine(**of_machine)
    inside = of_guest if not isinstance(of_guest, dict) else guest(**of_guest)
    fit, enrolled = eligibility(found), enrolment(found, inside)
    return diagnose(found, inside, fit, enrolled, track(found, enrolled, fit, inside, Fact.of(release)))


# what is changed of a good machine, what of a good guest; the codes that must come out, in this order
TABLE: list[tuple[dict[str, Any], Any, list[str]]] = [
    ({}, {}, []),
    ({}, unreachable_guest("timed out", NOW), ["guest_unreachable"]),
    ({}, None, ["guest_unreachable"]),
    ({OFF: STOPPED}, unreachable_guest("timed out", NOW), ["stopped"]),
    ({OFF: [{"code": "PowerState/starting"}]}, None, ["power_changing", "guest_unreachable"]),
    ({f"{IMAGE}__sku": "2022-datacenter"}, {}, ["image_not_supported"]),
    ({f"{PATCH}__patchMode": "Manual"}, {}, ["patch_mode"]),
    ({f"{PATCH}__enableHotpatching": False}, {}, ["hotpatching_off"]),
    ({f"{PATCH}__enableHotpatching": False}, {"hotpatch_package": ABSENT}, ["hotpatching_off"]),
    ({}, {"smbios_uuid": "ffeeddcc-bbaa-9988-7766-554433221100"}, ["wrong_guest"]),
    ({}, {"smbios_uuid": UNREAD}, ["guest_identity_unknown"]),
    ({}, {"pending_restart": True}, ["restart_pending"]),
    ({}, {"pending_restart": UNREAD}, ["restart_pending_unread"]),
    ({}, {"vbs_status": 0}, ["vbs_off"]),
    ({}, {"vbs_status": 1, "vbs_configured": False}, ["vbs_off"]),
    ({}, {"vbs_status": 1, "vbs_configured": True}, ["vbs_restart_needed"]),
    ({}, {"vbs_status": 0, "vbs_configured": True, "security_properties": (1, 5)}, ["secure_boot_missing"]),
    ({}, {"vbs_status": 0, "security_properties": (1, 2)}, ["vbs_off"]),
    ({}, {"vbs_status": 0, "security_properties": UNREAD}, ["vbs_off"]),
    ({}, {"vbs_status": UNREAD}, ["vbs_unread"]),
    ({}, {"hotpatch_package": ABSENT}, ["package_missing"]),
    ({}, {"hotpatch_table_size": 0}, ["table_size_missing"]),
    ({}, {"hotpatch_table_size": ABSENT, "hotpatch_package": UNREAD}, ["enrolment_unread", "table_size_missing"]),
    ({}, {"ubr": 30000}, ["below_baseline"]),
    ({}, {"update_policies": WSUS}, ["wsus"]),
    ({}, {"update_policies": {"WUServer": "http://wsus"}}, []),
    ({}, {"update_policies": {"DoNotConnectToWindowsUpdateInternetLocations": "1"}}, ["no_internet_locations"]),
    ({}, {"update_policies": {"AU\\NoAutoUpdate": "1"}}, []),  # AutomaticByPlatform sets it itself
    (
        {f"{PATCH}__patchMode": "AutomaticByOS"},
        {"update_policies": {"AU\\NoAutoUpdate": "1"}},
        ["patch_mode", "no_auto_update"],
    ),
    ({}, {"update_policies": UNREAD}, []),
    ({}, {"service_start_modes": {"wuauserv": "Disabled", "himds": "Auto"}}, ["windows_update_disabled"]),
    (
        {},
        {"service_start_modes": {"himds": "Disabled", "WindowsAzureGuestAgent": "Disabled"}},
        ["azure_agent_disabled", "arc_agent_disabled"],
    ),
    ({}, {"hotpatch_extension_versions": ABSENT}, []),  # enrolled without it: fine
    ({}, {"hotpatch_extension_versions": ABSENT, "hotpatch_package": ABSENT}, ["package_missing", "extension_missing"]),
    ({}, {"hotpatch_extension_versions": UNREAD, "hotpatch_package": ABSENT}, ["package_missing"]),
    ({}, {"licence_status": 5}, ["not_licensed"]),
    ({}, {"licence_status": ABSENT}, ["not_licensed"]),
    ({}, {"licence_status": UNREAD}, []),
    ({}, {"licensing_mutex": True}, ["licensing_fault"]),
    ({}, {"licensing_mutex": True, "licensing_override": 1}, []),
    ({}, {"update_events": (FAILED,)}, ["update_failed"]),
    ({}, {"update_events": (MENDED, FAILED)}, []),
    ({}, {"update_events": (OTHER, FAILED)}, ["update_failed"]),
    (
        {f"{IMAGE}__sku": "2022-datacenter"},
        {"pending_restart": True, "vbs_status": 0, "update_policies": WSUS},
        ["image_not_supported", "restart_pending", "vbs_off", "wsus"],
    ),
]


@pytest.mark.parametrize(("of_machine", "of_guest", "codes"), TABLE)
def test_findings(of_machine: dict[str, Any], of_guest: Any, codes: list[str]) -> None:
    """In the order in which they should be mended, each with a next step and whose advice it is."""
    found = findings(of_machine, of_guest)
    assert [finding.code for finding in found] == codes
    for finding in found:
        plain = json.loads(json.dumps(finding.to_dict()))
        assert plain["next_step"] and plain["source"] and not plain["next_step"].endswith(".")


def test_a_machine_that_azure_did_not_show() -> None:
    found = unread_machine(ResourceId.parse(rid()), {"code": "AuthorizationFailed", "message": "no", "status": 403})
    fit, enrolled = eligibility(found), enrolment(found, None)
    codes = diagnose(found, None, fit, enrolled, track(found, enrolled, fit, None, Fact.of(MAY)))
    assert [finding.code for finding in codes] == ["machine_unread"]


def test_off_the_track() -> None:
    """An out-of-band update that left the track."""
    october = known("ws2025", "KB5070893")
    found = findings({}, {"kbs": ("KB5070881",), "ubr": 6905}, october)
    assert [finding.code for finding in found] == ["left_track"]
    assert "next baseline" in found[0].to_dict()["next_step"]


def test_hints_do_not_make_a_machine_unready() -> None:
    """Nor does anything that was not asked about."""
    assert ready(findings({}, {"update_policies": WSUS, "licence_status": 5, "update_events": (FAILED,)}))
    assert not ready(findings({}, {"vbs_status": 0}))
    assert ready(findings({}, {}))
    assert ready(findings({}, {"kbs": ("KB5082063",)}, APRIL))


def test_a_known_error_brings_its_own_next_step() -> None:
    found = findings({}, {"update_events": (FAILED,)})[0].to_dict()
    assert found["next_step"] == MEANINGS[0x80072EE2] and "0x80072EE2" in found["text"]
    unknown = UpdateEvent(at(-60), 20, "KB1", "0x80240022", "")
    assert "CBS.log" in findings({}, {"update_events": (unknown,)})[0].to_dict()["next_step"]


def test_every_code_has_advice() -> None:
    """Those of eligibility, too; and the table of codes above reaches every advice there is."""
    assert set(CODES) <= set(ADVICE)
    reached = {code for dummy, dummy, codes in TABLE for code in codes} | {"left_track", "machine_unread"}
    elsewhere = {*CODES, "power_unknown", "setting_unread", "baseline_offered"}
    assert set(ADVICE) == reached | elsewhere


def test_the_readme_names_every_code() -> None:
    """What a user can meet is documented, and nothing else."""
    readme = Path(__file__).parents[5] / "roles" / "verify" / "README.md"
    section = readme.read_text(encoding="utf-8").partition("## Findings")[2]
    assert set(re.findall(r"^\| `(\w+)` ", section, re.MULTILINE)) == set(ADVICE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0x80072ee2", "0x80072EE2"),
        ("0x80072EE2 ", "0x80072EE2"),
        ("-2147012894", "0x80072EE2"),
        ("2147954402", "0x80072EE2"),
        ("0x8007", ""),
        ("KB5087423", ""),
        ("12", ""),
    ],
)
def test_hresults(text: str, expected: str) -> None:
    assert hresult_in(text) == expected
    assert bool(meaning(hresult_in(text))) is bool(expected)


def test_policies() -> None:
    assert update_source({}) == "windows_update"
    assert update_source({"AU\\UseWUServer": "1"}) == "windows_update"  # there is no server to use
    assert update_source(WSUS) == "wsus"
    assert [reason.code for reason in conflicts(WSUS, None)] == ["wsus"]
