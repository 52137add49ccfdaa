# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.eligibility import Eligibility
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.enrolment import Enrolment
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.proof import prove
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.releases import CALENDAR, Release
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.track import track

from .builders import ABSENT, MAY, NOW, UNREAD, VM_ID, VM_ID_SWAPPED, at, guest, known, machine

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


BEFORE = guest(kbs=("KB5082063",))


@pytest.mark.parametrize(
    ("before", "changes", "expected"),
    [
        (None, {}, ()),
        (unreachable_guest("refused", NOW), {}, ()),
        (BEFORE, {"reachable": False, "why": "refused"}, ()),
        (
            BEFORE,
            {"kbs": ("KB5082063", "KB5087423"), "ubr": 32772},
            "build 26100.32690, now 26100.32772; new updates KB5087423; the same boot",
        ),
        (BEFORE, {"kbs": ("KB5082063",)}, "still build 26100.32690; no new update is listed; the same boot"),
        (
            BEFORE,
            {"kbs": UNREAD, "boot_time": at(10)},
            "still build 26100.32690; another boot, that of 2026-05-13T01:10",
        ),
        (BEFORE, {"kbs": UNREAD, "ubr": UNREAD, "boot_time": UNREAD}, "compared with the reading of 2026-05-13T01:00"),
    ],
)
def test_an_earlier_reading_is_evidence_only(before: Any, changes: dict[str, Any], expected: Any) -> None:
    """It adds a sentence; what is proven stays the same."""
    inside = guest(**{**LATER, **changes})
    alone = prove(inside, START, Fact.of(MAY), VM_ID)
    found = prove(inside, START, Fact.of(MAY), VM_ID, before=before)
    assert (found.restarted, found.patched, found.right_guest) == (alone.restarted, alone.patched, alone.right_guest)
    added = found.evidence[len(alone.evidence) :]
    assert added == expected if expected == () else expected in added[0]


# Properties that hold whatever a guest says.

SECONDS = strategies.integers(-(10**8), 10**8)
SKEW = strategies.floats(-(10**7), 10**7, allow_nan=False)


@given(boot=SECONDS, skew=SKEW)
def test_skew_never_changes_the_answer(boot: int, skew: float) -> None:
    """A guest's clock may be wrong by months: what its boot time means does not depend on it."""
    true_boot = START + timedelta(seconds=min(boot, 29 * 60))
    off = timedelta(seconds=skew)
    right = prove(guest(**LATER, boot_time=true_boot), START, Fact.of(MAY), VM_ID).restarted
    wrong = prove(
        guest(read_at=at(30), local_time=at(30) + off, boot_time=true_boot + off, skew_seconds=skew),
        START,
        Fact.of(MAY),
        VM_ID,
    ).restarted
    apart = abs((true_boot - START).total_seconds())
    if abs(apart - 120) > 0.001:  # microseconds round
        assert answer(right) == answer(wrong)
    assert answer(right) == ("unreadable" if apart <= 120 else true_boot > START)


@given(one=strategies.uuids(), two=strategies.uuids(), swap=strategies.booleans(), upper=strategies.booleans())
def test_either_byte_order_is_the_same_machine(one: uuid.UUID, two: uuid.UUID, swap: bool, upper: bool) -> None:
    """And nobody else's is."""
    shown = str(uuid.UUID(bytes=one.bytes_le) if swap else one)
    inside = guest(**LATER, smbios_uuid=shown.upper() if upper else shown)
    if one.int not in (0, 2**128 - 1):
        assert prove(inside, START, Fact.of(MAY), str(one)).right_guest.value is True
    if two.bytes not in (one.bytes, one.bytes_le):
        assert prove(inside, START, Fact.of(MAY), str(two)).right_guest.value is not True


@given(
    ubr=strategies.integers(0, 40000), kbs=strategies.sets(strategies.sampled_from(["KB5082063", "KB5087423", "KB9"]))
)
def test_patched_is_the_kb_or_the_build(ubr: int, kbs: set[str]) -> None:
    """Nothing else makes a machine patched, and nothing takes it back."""
    found = prove(guest(**LATER, ubr=ubr, kbs=tuple(sorted(kbs))), START, Fact.of(MAY), VM_ID).patched
    assert found.value is ("KB5087423" in kbs or ubr >= 32772)


@given(ubr=strategies.integers(0, 40000))
def test_a_build_alone_never_tells_which_of_two_updates_it_is(ubr: int) -> None:
    """26100.6905 is one update that left the track and one that did not; without the list nobody says "on track"."""
    inside = guest(**LATER, ubr=ubr, kbs=UNREAD)
    enrolled, fit = Enrolment("enrolled"), Eligibility("eligible")
    october = known("ws2025", "KB5070893")
    where = track(machine(), enrolled, fit, inside, Fact.of(october))
    if where.name == "on_track":
        same = [item for item in CALENDAR.of("ws2025") if item.ubr == ubr]
        assert all(item.keeps_track for item in same)
    if ubr == 6905:
        assert where.name == "unknown"


def test_a_silent_guest_proves_nothing() -> None:
    proof = prove(unreachable_guest("timed out", NOW), START, Fact.of(MAY), VM_ID)
    assert proof.evidence == tuple(f"{name}: not known, timed out" for name in ("right guest", "patched", "restarted"))
