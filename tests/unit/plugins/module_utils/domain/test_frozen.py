# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What later rings may install, by tables."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.frozen import Seen, allowed, proven

HOTPATCH, OTHER = "KB5087423", "KB5090000"
ON_TRACK = ("ws2025", "on_track")


@pytest.mark.parametrize(
    ("verdict", "counts"),
    [
        ("patched", True),
        ("patched_restarted_as_planned", True),
        ("patched_by_platform", True),
        ("already_current", True),
        ("claimed", False),
        ("restarted_unexpectedly", False),
        ("failed", False),
        ("unproven", False),
        ("skipped", False),
        ("not_started", False),
        (None, False),
    ],
)
def test_only_a_proof_inside_the_guest_proves(verdict: str | None, counts: bool) -> None:
    found = proven([Seen("ws2025", "on_track", verdict, [HOTPATCH])])
    assert found == ({ON_TRACK: frozenset({HOTPATCH})} if counts else {})


def test_proofs_add_up_per_product_and_track() -> None:
    found = proven(
        [
            Seen("ws2025", "on_track", "patched", [HOTPATCH]),
            Seen("ws2025", "on_track", "patched", [OTHER]),
            Seen("ws2025", "baseline_due", "patched_restarted_as_planned", ["KB1000001"]),
            Seen("ws2022", "on_track", "failed", ["KB1000002"]),
            Seen(None, "on_track", "patched", ["KB1000003"]),
            Seen("ws2022", "on_track", "patched", ["KB1000004"], soaked=False),
        ]
    )
    assert found == {ON_TRACK: {HOTPATCH, OTHER}, ("ws2025", "baseline_due"): {"KB1000001"}}


PROVEN = {ON_TRACK: frozenset({HOTPATCH})}


@pytest.mark.parametrize(
    ("wanted", "product", "track", "earlier", "words", "blocked", "kbs", "code"),
    [
        # The first ring tries out.
        ([HOTPATCH], "ws2025", "on_track", None, [], {}, (HOTPATCH,), ""),
        ([HOTPATCH], "ws2025", "on_track", PROVEN, [], {}, (HOTPATCH,), ""),
        ([HOTPATCH, OTHER], "ws2025", "on_track", PROVEN, [], {}, (HOTPATCH,), ""),
        ([OTHER], "ws2025", "on_track", PROVEN, [], {}, (), "not_proven"),
        ([HOTPATCH], "ws2022", "on_track", PROVEN, [], {}, (), "not_proven"),
        ([HOTPATCH], "ws2025", "baseline_due", PROVEN, [], {}, (), "not_proven"),
        ([HOTPATCH], "ws2025", "on_track", {}, [], {}, (), "not_proven"),
        ([HOTPATCH], "ws2022", "on_track", PROVEN, ["ws2022"], {}, (HOTPATCH,), ""),
        ([HOTPATCH], "ws2022", "on_track", PROVEN, [" WS2022/on_track"], {}, (HOTPATCH,), ""),
        ([HOTPATCH], "ws2022", "baseline_due", PROVEN, ["ws2022/on_track"], {}, (), "not_proven"),
        ([HOTPATCH], "ws2022", "on_track", PROVEN, ["all"], {}, (HOTPATCH,), ""),
        # A block wins over a proof and over a word, in the first ring too.
        ([HOTPATCH], "ws2025", "on_track", PROVEN, ["all"], {HOTPATCH: "x"}, (), "kb_blocked"),
        ([HOTPATCH, OTHER], "ws2025", "on_track", None, [], {HOTPATCH: "x"}, (OTHER,), ""),
        ([HOTPATCH, OTHER], "ws2025", "on_track", PROVEN, [], {HOTPATCH: "x"}, (), "not_proven"),
    ],
)
def test_what_may_be_sent(
    wanted: list[str],
    product: str,
    track: str,
    earlier: dict[tuple[str, str], frozenset[str]] | None,
    words: list[str],
    blocked: dict[str, str],
    kbs: tuple[str, ...],
    code: str,
) -> None:
    found = allowed(wanted, product, track, earlier, words, blocked)
    assert (found.kbs, found.reason_code) == (kbs, code)
    assert bool(found.reason) is not bool(kbs)


def test_an_approved_kb_needs_no_proof_and_no_word() -> None:
    assert allowed([HOTPATCH, OTHER], "ws2022", "on_track", {}, approved=[OTHER]).kbs == (OTHER,)
    assert allowed([HOTPATCH], "ws2022", "on_track", {}, approved=[OTHER]).reason_code == "not_proven"
    assert allowed([OTHER], "ws2022", "on_track", {}, (), {OTHER: "x"}, [OTHER]).reason_code == "kb_blocked"
