# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables: whether an update may be taken off, and when it is off."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.restart import booted_anew
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.rollback import may_take_off, not_off_yet

from .builders import VM_ID
from .test_restart import BACK, LONG_AGO, SENT, SILENT, reading

KB = "KB5082063"
CALM: dict[str, Any] = {"pending_restart": False}


@pytest.mark.parametrize(
    ("seen", "under_way", "too_late", "word", "code"),
    [
        (reading(**CALM), False, "", "go", "installed"),
        (reading(**CALM), False, "its window is closed", "refused", "outside_window"),
        (reading(**CALM, kbs=()), False, "", "done", "not_installed"),
        (reading(**CALM, kbs=()), False, "closed", "done", "not_installed"),
        (reading(**CALM, kbs=()), True, "", "go", "under_way"),
        (reading(), False, "", "refused", "restart_pending"),
        (reading(pending_restart=Fact.unreadable("denied")), False, "", "refused", "restart_pending"),
        (reading(), True, "", "go", "under_way"),
        (reading(**CALM, kbs=Fact.unreadable("denied")), False, "", "refused", "updates_unread"),
        (reading(**CALM, smbios_uuid="00000000-0000-4000-8000-000000000001"), True, "", "refused", "wrong_guest"),
        (SILENT, True, "", "refused", "guest_silent"),
    ],
)
def test_whether_it_may_be_taken_off(seen: GuestFacts, under_way: bool, too_late: str, word: str, code: str) -> None:
    found = may_take_off(seen, KB, VM_ID, under_way, too_late)
    assert (found.word, found.code) == (word, code)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (reading(**BACK, kbs=()), ""),
        (reading(**BACK), "still installed"),
        (reading(**BACK, kbs=Fact.unreadable("denied")), "not read"),
        (reading(kbs=()), "not restarted yet"),
        (SILENT, "does not answer"),
    ],
)
def test_when_it_is_off(seen: GuestFacts, words: str) -> None:
    found = not_off_yet(seen, KB, booted_anew(seen, SENT, LONG_AGO), {})
    assert (words in found) if words else found == ""
