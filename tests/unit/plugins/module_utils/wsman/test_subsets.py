# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which subsets a choice means, as setup's gather_subset."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.probe import READERS
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.subsets import GROUPS, TRIPS, resolve

ALL = tuple(TRIPS)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("core", ("min", "enrolment", "restart", "identity", "updates")),
        ("poll", ("min",)),
        ("min", ("min",)),
        ([], ALL),  # an empty list leaves nothing out, as with setup
        (["!all"], ("min",)),
        (["all"], ALL),
        (["all", "!events", "!updates"], tuple(name for name in ALL if name not in ("events", "updates"))),
        (["!events"], tuple(name for name in ALL if name != "events")),
        (["!events", "core"], ("min", "enrolment", "restart", "identity", "updates")),
        (["core", "!updates"], ("min", "enrolment", "restart", "identity")),
        ("roles,load", ("min", "load", "roles")),
        (["poll", "load"], ("min", "load")),
        (["!core"], tuple(name for name in ALL if name not in GROUPS["core"])),
    ],
)
def test_resolve(wanted: Any, expected: tuple[str, ...]) -> None:
    """Exclusions win wherever they stand, and alone they are taken from all."""
    assert resolve(wanted) == expected
    assert resolve(",".join(resolve(wanted))) == expected, "what is resolved resolves to itself"


@pytest.mark.parametrize("wanted", ["hardware", "!hardware", "", "!min", "core,!poll"])
def test_refused(wanted: str) -> None:
    """A name nobody knows, and leaving out what tells whether a guest answers."""
    with pytest.raises(InputError, match="gather_subset"):
        resolve(wanted)


def test_limits() -> None:
    """The core takes at most 12 requests, a poll at most 2; every subset has somebody who reads it."""
    assert sum(TRIPS[name] for name in resolve("core")) == 12
    assert sum(TRIPS[name] for name in resolve("poll")) == 2
    assert set(READERS) == set(TRIPS) - {"min"}
