# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Catch up the machines that the last rollout passed over because they were off or out of reach, and nobody else.

The catching up is a rollout of its own in the same folder, by the same rules: what the last one proved stands in for
the rings that have nobody left in them, and a machine is sent only the KBs that it was planned for then.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..domain.errors import InputError
from .rollout_gate import proven_of
from .rollout_state import RUNNING, Record, Rollout

OPTION = "hotpatch_state_dir"
PASSED_OVER = frozenset({("skipped", "stopped"), ("not_started", "guest_unreachable")})
"""Verdict and reason code of the machines that are caught up: nothing was sent to them, nothing spoke against it."""


def passed_over(previous: Rollout | None) -> dict[str, Record]:
    """The machines that may be caught up, by lower-case ARM ID; those of a catching up that was interrupted go on.

    Raises InputError where there was no rollout, or one that did not end well: that one is run again, not bypassed.
    """
    if previous is None:
        raise InputError(OPTION, "a folder without a rollout", "the state folder of the rollout to catch up with")
    if previous.status == RUNNING and previous.catch_up:
        return dict(previous.machines)
    if previous.status == RUNNING or previous.stop:
        ended = "was interrupted" if previous.status == RUNNING else f"was stopped ({previous.stop['reason']})"  # type: ignore[index]
        raise InputError(
            OPTION,
            f"a folder whose rollout {previous.rollout_id} {ended}",
            "one whose rollout came to its end",
            "run winfleet.hotpatch.rollout again, which goes on with all of its machines",
        )
    return {
        key: record for key, record in previous.machines.items() if (record.verdict, record.reason_code) in PASSED_OVER
    }


def only(ids: Mapping[str, str], previous: Rollout | None) -> dict[str, str]:
    """Those of the hosts' ARM IDs that may be caught up."""
    wanted = passed_over(previous)
    return {host: resource_id for host, resource_id in ids.items() if resource_id.lower() in wanted}


def take_over(rollout: Rollout, previous: Rollout) -> None:
    """Bind a freshly made plan to the rollout it catches up with: its proofs, and its KBs."""
    if rollout is previous:
        # It was interrupted, and is bound already.
        return
    rollout.catch_up = True
    kept = proven_of(previous, list(previous.machines.values()))
    rollout.proven = [[product, track, sorted(kbs)] for (product, track), kbs in sorted(kept.items())]
    moved = set()
    for key, record in rollout.machines.items():
        before = previous.machines[key].kbs
        if record.judged or set(record.kbs) <= set(before):
            continue
        now, then = ", ".join(record.kbs), ", ".join(before) or "no release"
        record.judge("not_started", "release_moved", f"{now} is due now, and the rollout it missed was of {then}")
        record.wave = None
        moved.add(key)
    for wave in rollout.waves:
        wave.machines = [key for key in wave.machines if key not in moved]
