# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read out of the control file and the tag, by a table."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.control import (
    Control,
    combined,
    parse_control,
    unreadable,
)


@pytest.mark.parametrize(
    ("text", "word", "blocked"),
    [
        ("", "resume", []),
        ("\n# a note\n", "resume", []),
        ("pause", "pause", []),
        ("  PAUSE \n", "pause", []),
        ("abort", "abort", []),
        ("pause\nresume", "resume", []),
        ("resume; pause", "pause", []),
        ("block KB5087423", "resume", ["KB5087423"]),
        ("pause, block 5087423", "pause", ["KB5087423"]),
        ("block KB5087423\nblock kb5087424 # crashes SQL", "resume", ["KB5087423", "KB5087424"]),
        # What is not understood is no leave to go on.
        ("stop", "pause", []),
        ("resume\npaws", "pause", []),
        ("block", "pause", []),
        ("block everything", "pause", []),
        ("x" * 5000, "pause", []),
    ],
)
def test_reading(text: str, word: str, blocked: list[str]) -> None:
    found = parse_control(text, "the file")
    assert (found.word, list(found.blocked)) == (word, blocked)
    assert bool(found.why) is (word != "resume")


def test_the_loudest_counts() -> None:
    silent, pause, abort = Control(), unreadable("the tag", "403"), parse_control("abort; block KB5087423", "the file")
    assert combined([]).word == "resume"
    assert combined([silent, pause]).why == pause.why
    found = combined([pause, abort, silent])
    assert (found.word, found.why, list(found.blocked)) == ("abort", "the file says abort", ["KB5087423"])
