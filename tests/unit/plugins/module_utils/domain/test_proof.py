# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.proof import prove
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import Release

from .builders import ABSENT, MAY, NOW, UNREAD, VM_ID, VM_ID_SWAPPED, at, guest, known

START = at(0)
LATER: dict[str, Any] = {"read_at": at(30), "local_time": at(30)}


def answer(fact: Fact[bool]) -> bool | str | None:
    return fact.value if fact.known else fact.state


@pytest.mark.parametrize(
    ("changes", "restarted"),
    [
        ({"boot_time": at(-60)}, False),
        ({"boot_time": at(10)}, True),
        ({"boot_time": at(-2.1)}, False),
        ({"boot_time": at(2.1)}, True),
        # Too close to call
        ({"boot_time": at(2)}, "unreadable"),
        ({"boot_time": at(-2)}, "unreadable"),
        ({"boot_time": at(1)}, "unreadable"),
        ({"boot_time": at(-1)}, "unreadable"),
        # The guest's clock is off: a boot that looks later was earlier, and the other way round
        ({"boot_time": at(50), "skew_seconds": 3600.0, "local_time": at(90)}, False),
        ({"boot_time": at(-50), "skew_seconds": -3600.0, "local_time": at(-30)}, True),
        ({"boot_time": at(50), "skew_seconds": UNREAD}, "unreadable"),
        ({"boot_time": at(-6000), "skew_seconds": UNREAD}, "unreadable"),
        ({"boot_time": UNREAD}, "unreadable"),
        ({"boot_time": ABSENT}, "unreadable"),
        ({"boot_time": at(30)}, True),
        ({"boot_time": at(31)}, "unreadable"),  # after the guest's own clock
        ({"boot_time": at(-60), "read_at": at(0)}, "unreadable"),  # read before the installation
        ({"reachable": False, "why": "refused"}, "unreadable"),
    ],
)
def test_restarted(changes: dict[str, Any], restarted: bool | str) -> None:
    found = prove(guest(**{**LATER, **changes}), START, Fact.of(MAY), VM_ID).restarted
    assert answer(found) == restarted
    assert found.why


def test_without_an_installation_nothing_is_known_of_restarts() -> None:
    assert prove(guest(**LATER), None, Fact.of(MAY), VM_ID).restarted.is_unreadable


def test_the_tolerance_can_be_set() -> None:
    inside = guest(**LATER, boot_time=at(1))
    assert prove(inside, START, Fact.of(MAY), VM_ID, tolerance_seconds=10).restarted.value is True


@pytest.mark.parametrize(
    ("changes", "release", "patched"),
    [
        ({"kbs": ("KB5087423",), "ubr": 32772}, Fact.of(MAY), True),
        ({"kbs": ("KB5087423",), "ubr": UNREAD}, Fact.of(MAY), True),
        ({"kbs": ("KB5087423",), "ubr": 32690}, Fact.of(MAY), True),
        ({"kbs": UNREAD, "ubr": 32772}, Fact.of(MAY), True),
        ({"kbs": (), "ubr": 32860}, Fact.of(MAY), True),  # past it
        ({"kbs": (), "ubr": 32690}, Fact.of(MAY), False),
        ({"kbs": ("KB5082063",), "ubr": 32690}, Fact.of(MAY), False),
        ({"kbs": ABSENT, "ubr": 32690}, Fact.of(MAY), "unreadable"),
        ({"kbs": UNREAD, "ubr": 32690}, Fact.of(MAY), "unreadable"),
        ({"kbs": (), "ubr": UNREAD}, Fact.of(MAY), "unreadable"),
        ({"kbs": (), "build": UNREAD}, Fact.of(MAY), "unreadable"),
        ({"kbs": (), "build": 20348, "ubr": 99999}, Fact.of(MAY), "unreadable"),
        ({}, Fact.unreadable("calendar ends"), "unreadable"),
        ({}, Fact.absent(), "unreadable"),
        ({"reachable": False, "why": "refused", "kbs": ("KB5087423",)}, Fact.of(MAY), "unreadable"),
        # A release without a known build is proven by its KB alone
        ({"kbs": ("KB5091470",)}, Fact.of(known("ws2025", "KB5091470")), True),
        ({"kbs": (), "ubr": 40000}, Fact.of(known("ws2025", "KB5091470")), False),
        ({"kbs": UNREAD}, Fact.of(known("ws2025", "KB5091470")), "unreadable"),
    ],
)
def test_patched(changes: dict[str, Any], release: Fact[Release], patched: bool | str) -> None:
    assert answer(prove(guest(**{**LATER, **changes}), START, release, VM_ID).patched) == patched


@pytest.mark.parametrize(
    ("smbios", "vm_id", "right"),
    [
        (VM_ID, VM_ID, True),
        (VM_ID.upper(), VM_ID, True),
        (VM_ID_SWAPPED, VM_ID, True),
        ("{" + VM_ID + "}", VM_ID, True),
        ("ffeeddcc-bbaa-9988-7766-554433221100", VM_ID, False),  # wholly reversed is neither order
        ("00112233-4455-6677-8899-aabbccddee00", VM_ID, False),
        ("not a uuid", VM_ID, "unreadable"),
        (VM_ID, "not a uuid", "unreadable"),
        (VM_ID, None, "unreadable"),
        (UNREAD, VM_ID, "unreadable"),
        (ABSENT, VM_ID, "unreadable"),
        ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000", "unreadable"),
        ("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "ffffffff-ffff-ffff-ffff-ffffffffffff", "unreadable"),
    ],
)
def test_right_guest(smbios: Any, vm_id: str | None, right: bool | str) -> None:
    assert answer(prove(guest(**LATER, smbios_uuid=smbios), START, Fact.of(MAY), vm_id).right_guest) == right


def test_evidence_reads_well() -> None:
    inside = guest(**LATER, boot_time=START - timedelta(days=21), kbs=("KB5087423",), ubr=32772)
    proof = prove(inside, START, Fact.of(MAY), VM_ID)
    assert proof.evidence == (
        f"right guest: yes, SMBIOS UUID {VM_ID}, vmId {VM_ID}",
        "patched: yes, KB5087423 is installed",
        "restarted: no, booted 2026-04-22T01:00:00Z, installation began 2026-05-13T01:00:00Z",
    )
    assert json.loads(json.dumps(proof.to_dict()))["restarted"]["value"] is False


@pytest.mark.parametrize(
    ("kb", "ubr", "kbs", "patched"),
    [
        ("KB5070893", 6905, ("KB5066835", "KB5070893"), True),
        ("KB5070893", 6905, ("KB5066835", "KB5070881"), "unreadable"),
        ("KB5070893", 6905, UNREAD, "unreadable"),
        ("KB5070893", 6899, ("KB5066835",), False),
        ("KB5070893", 7092, ("KB5068966",), True),  # past both
        ("KB5068966", 7092, (), True),  # a build of its own
        ("KB5091470", 32690, (), False),  # no build is known of it
    ],
)
def test_a_build_that_two_kbs_share_proves_neither(kb: str, ubr: int, kbs: Any, patched: bool | str) -> None:
    found = prove(guest(**LATER, ubr=ubr, kbs=kbs), START, Fact.of(known("ws2025", kb)), VM_ID).patched
    assert answer(found) == patched
    assert found.is_unreadable is (patched == "unreadable")


def test_a_silent_guest_proves_nothing() -> None:
    proof = prove(unreachable_guest("timed out", NOW), START, Fact.of(MAY), VM_ID)
    assert proof.evidence == tuple(f"{name}: not known, timed out" for name in ("right guest", "patched", "restarted"))
