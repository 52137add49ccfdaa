# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a bad update may be taken off a machine, and whether it is off: by the guest's word alone.

There is no rollback by the platform; Microsoft's way back is to uninstall the update, install the last good baseline
and restart (Microsoft Learn, "Hotpatch for Windows Server", 2025-07).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .facts import Fact
from .guest import GuestFacts
from .proof import same_machine
from .restart import unsettled


@dataclass(frozen=True)
class Decision:
    """``go`` on, ``done`` already, or ``refused``; ``reason`` is one sentence."""

    word: Literal["go", "done", "refused"]
    code: str
    reason: str


def may_take_off(guest: GuestFacts, kb: str, vm_id: str | None, under_way: bool, too_late: str = "") -> Decision:
    """Say whether the update may be taken off now.

    :param under_way: an earlier run began it, so that a pending restart and a KB that is gone are its doing.
    :param too_late: why it may not be begun now (its window), or empty.
    """
    if not guest.reachable:
        return Decision("refused", "guest_silent", f"the guest did not answer: {guest.why}")
    right = same_machine(guest, vm_id)
    if right.value is not True:
        return Decision("refused", "wrong_guest", right.why)
    if guest.kbs.value is None:
        return Decision("refused", "updates_unread", f"its installed updates were not read: {guest.kbs.why}")
    if kb not in guest.kbs.value and not under_way:
        return Decision("done", "not_installed", f"{kb} is not installed")
    if guest.pending_restart.value is not False and not under_way:
        by = ", ".join(guest.pending_restart_sources) or guest.pending_restart.why or "source unknown"
        return Decision("refused", "restart_pending", f"a restart is pending, or could not be read ({by})")
    if too_late:
        return Decision("refused", "outside_window", too_late)
    return Decision("go", "under_way" if under_way else "installed", f"{kb} is installed" if not under_way else "begun")


def not_off_yet(guest: GuestFacts, kb: str, anew: Fact[bool], ran_before: Mapping[str, str]) -> str:
    """Return what is still missing until the update is off and the guest at rest, or empty."""
    waiting = unsettled(guest, anew, ran_before)
    if waiting:
        return waiting
    if guest.kbs.value is None:
        return f"its installed updates were not read: {guest.kbs.why}"
    return f"{kb} is still installed after the restart" if kb in guest.kbs.value else ""
