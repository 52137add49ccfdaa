# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.graph import (
    GraphInstallation,
    graph_installation,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.joining import (
    AlreadyDone,
    AskGraph,
    JoinActivity,
    JoinPollUrl,
    JournalEntry,
    Start,
    WaitThenLook,
    next_step,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import Machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso

from .builders import ASSESSED, INSTALLED, NOW, VIEW, at, machine, rid

URL = "https://127.0.0.1/operations/1?t=1&s=abc"
OURS, THEIRS = "aaaa-1", "bbbb-2"


def shows(status: str, activity: str = THEIRS, start: float | None = -60, where: str = INSTALLED) -> Machine:
    kind = "installationActivityId" if where == INSTALLED else "assessmentActivityId"
    summary: dict[str, Any] = {"status": status, kind: activity}
    if start is not None:
        summary["startTime"] = to_iso(at(start))
    return machine(**{where: summary})


INTENT = JournalEntry(rid(), "install", "intent-1", NOW)  # the answer was lost
ACCEPTED = replace(INTENT, activity_id=OURS, poll_url=URL)
URL_GONE = replace(INTENT, activity_id=OURS)
FINISHED = replace(ACCEPTED, finished="Succeeded")
NOTHING, NO_VIEW = machine(), machine(**{VIEW: ...})


@pytest.mark.parametrize(
    ("entry", "view", "read", "step"),
    [
        # We never sent anything
        (None, NOTHING, 1, Start),
        (None, shows("Succeeded"), 1, Start),
        (None, shows("Failed"), 1, Start),
        (None, shows("Unknown"), 1, Start),
        (None, shows("InProgress"), 1, JoinActivity(THEIRS, ours=False)),
        (None, shows("inprogress", start=-6000), 1, JoinActivity(THEIRS, ours=False)),
        (None, shows("NotStarted"), 1, JoinActivity(THEIRS, ours=False)),
        (None, shows("InProgress", where=ASSESSED), 1, WaitThenLook),
        (None, NO_VIEW, 1, WaitThenLook),
        # We saw the end of ours
        (FINISHED, NOTHING, 1, Start),
        (FINISHED, shows("Succeeded", OURS), 1, Start),
        (FINISHED, shows("InProgress", OURS), 1, Start),  # the late view
        (FINISHED, shows("InProgress", OURS.upper()), 1, Start),
        (FINISHED, shows("InProgress"), 1, JoinActivity(THEIRS, ours=False)),
        (FINISHED, NO_VIEW, 1, WaitThenLook),
        (replace(INTENT, finished="Refused"), shows("InProgress", ""), 1, JoinActivity(None, ours=False)),
        # Azure took it, and we can poll
        (ACCEPTED, NOTHING, 1, JoinPollUrl(URL, OURS)),
        (ACCEPTED, NOTHING, 6000, JoinPollUrl(URL, OURS)),
        (ACCEPTED, NO_VIEW, 1, JoinPollUrl(URL, OURS)),
        (ACCEPTED, shows("InProgress", OURS, 0), 1, JoinPollUrl(URL, OURS)),
        (ACCEPTED, shows("InProgress", THEIRS, 0), 1, JoinPollUrl(URL, OURS)),
        (ACCEPTED, shows("Succeeded", THEIRS), 1, JoinPollUrl(URL, OURS)),
        (ACCEPTED, shows("Unknown", OURS, 0), 1, JoinPollUrl(URL, OURS)),
        (ACCEPTED, shows("Succeeded", OURS, 0), 1, JoinPollUrl(URL, OURS)),
        (ACCEPTED, shows("CompletedWithWarnings", OURS.upper(), 0), 1, JoinPollUrl(URL, OURS)),
        # Azure took it, its poll URL is gone
        (URL_GONE, shows("InProgress", OURS, 0), 1, JoinActivity(OURS, ours=True)),
        (URL_GONE, shows("Unknown", OURS, 0), 6000, JoinActivity(OURS, ours=True)),
        (URL_GONE, shows("Failed", OURS, 0), 1, AlreadyDone),
        (URL_GONE, shows("InProgress", THEIRS, 1), 1, JoinActivity(THEIRS, ours=False)),
        (URL_GONE, shows("Succeeded", THEIRS, 1), 1, WaitThenLook),
        (URL_GONE, NOTHING, 1, WaitThenLook),
        (URL_GONE, NOTHING, 9.99, WaitThenLook),
        (URL_GONE, NOTHING, 10, Start),
        (URL_GONE, NO_VIEW, 6000, WaitThenLook),
        # The answer was lost: nobody knows whether Azure took it
        (INTENT, NOTHING, 1, WaitThenLook),
        (INTENT, NOTHING, 10, Start),
        (INTENT, NOTHING, -1, WaitThenLook),  # a view older than the intent
        (INTENT, NO_VIEW, 6000, WaitThenLook),
        (INTENT, shows("InProgress", THEIRS, 0.1), 1, JoinActivity(THEIRS, ours=True)),
        (INTENT, shows("InProgress", THEIRS, -1), 1, JoinActivity(THEIRS, ours=True)),  # clocks differ
        (INTENT, shows("InProgress", THEIRS, -3), 1, JoinActivity(THEIRS, ours=False)),
        (INTENT, shows("InProgress", THEIRS, -2), 1, JoinActivity(THEIRS, ours=True)),  # just within
        (INTENT, shows("InProgress", THEIRS, 10), 12, JoinActivity(THEIRS, ours=True)),
        (INTENT, shows("InProgress", THEIRS, 11), 12, JoinActivity(THEIRS, ours=False)),
        (INTENT, shows("InProgress", THEIRS, None), 12, JoinActivity(THEIRS, ours=False)),
        (INTENT, shows("Succeeded", THEIRS, 0.1), 5, AlreadyDone),
        (INTENT, shows("Failed", THEIRS, 60), 90, AlreadyDone),
        (INTENT, shows("Succeeded", THEIRS, -60), 5, WaitThenLook),
        (INTENT, shows("Succeeded", THEIRS, -60), 11, Start),
        (INTENT, shows("Succeeded", THEIRS, None), 5, WaitThenLook),
        (INTENT, shows("InProgress", where=ASSESSED), 60, WaitThenLook),
    ],
)
def test_next_step(entry: JournalEntry | None, view: Machine, read: float, step: Any) -> None:
    found = next_step(entry, view, at(read))
    if isinstance(step, type):
        assert isinstance(found, step)
    else:
        assert found == step


@pytest.mark.parametrize(
    ("entry", "view", "read", "ours"),
    [
        (URL_GONE, shows("Succeeded", OURS.upper(), 0), 1, True),
        (INTENT, shows("Succeeded", THEIRS, 0.1), 5, True),
        (INTENT, shows("Succeeded", THEIRS, 60), 90, False),
    ],
)
def test_whose_it_was(entry: JournalEntry, view: Machine, read: float, ours: bool) -> None:
    found = next_step(entry, view, at(read))
    assert isinstance(found, AlreadyDone)
    assert (found.ours, found.summary) == (ours, view.installation)


@pytest.mark.parametrize(
    ("read", "settle", "seconds"), [(1, 600, 540), (9.999, 600, 1), (-5, 600, 600), (1, 90, 30), (0, 0, 1)]
)
def test_how_long_to_wait(read: float, settle: float, seconds: float) -> None:
    found = next_step(INTENT, NOTHING, at(read), settle)
    assert isinstance(found, WaitThenLook)
    assert found.seconds == pytest.approx(seconds)
    assert found.why


@pytest.mark.parametrize("status", ["InProgress", "NotStarted"])
@pytest.mark.parametrize("where", [INSTALLED, ASSESSED])
@pytest.mark.parametrize("operation", ["install", "assess"])
@pytest.mark.parametrize("entry", [None, INTENT, ACCEPTED, URL_GONE, FINISHED])
@pytest.mark.parametrize("read", [1, 100_000])
def test_never_starts_while_anything_runs(
    status: str, where: str, operation: Any, entry: JournalEntry | None, read: float
) -> None:
    mine = replace(entry, operation=operation) if entry is not None else None
    assert not isinstance(next_step(mine, shows(status, where=where), at(read), operation=operation), Start)


def test_assessments_go_the_same_way() -> None:
    entry = replace(ACCEPTED, operation="assess")
    assert next_step(entry, NOTHING, at(1), operation="assess") == JoinPollUrl(URL, OURS)
    assert next_step(None, shows("InProgress", where=ASSESSED), at(1), operation="assess") == JoinActivity(
        THEIRS, False
    )
    assert isinstance(next_step(None, shows("InProgress"), at(1), operation="assess"), WaitThenLook)


@pytest.mark.parametrize(
    ("operation", "where", "what"), [("install", ASSESSED, "an assessment"), ("assess", INSTALLED, "an installation")]
)
def test_says_what_it_waits_for(operation: Any, where: str, what: str) -> None:
    found = next_step(None, shows("InProgress", where=where), at(1), operation=operation)
    assert isinstance(found, WaitThenLook)
    assert found.why.startswith(what)


def test_an_entry_of_the_other_operation_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="install says nothing about assess"):
        next_step(INTENT, NOTHING, at(1), operation="assess")


def row(status: str, activity: str = THEIRS, start: float = 10, by: str = "User") -> GraphInstallation:
    return graph_installation(
        {"status": status, "installationActivityId": activity, "startDateTime": to_iso(at(start)), "startedBy": by}
    )


LATER = 3600


@pytest.mark.parametrize(
    ("entry", "rows", "step"),
    [
        # Not asked yet, and only where the other witnesses would let it be sent again
        (INTENT, None, AskGraph),
        (URL_GONE, None, AskGraph),
        (None, None, Start),
        (FINISHED, None, Start),
        # Nothing, or nothing that began since the intent
        (INTENT, [], Start),
        (INTENT, [row("Succeeded", start=-3000), row("InProgress", start=-3000)], Start),
        (URL_GONE, [row("Succeeded", start=-3000)], Start),
        # The answer was lost: what began right after the intent was ours, unless the platform began it
        (INTENT, [row("InProgress")], JoinActivity(THEIRS, ours=True)),
        (INTENT, [row("InProgress", by="Platform")], JoinActivity(THEIRS, ours=False)),
        (INTENT, [row("InProgress", start=2000)], JoinActivity(THEIRS, ours=False)),
        (INTENT, [row("Succeeded", "x", start=20), row("InProgress", "y", start=900)], JoinActivity("y", ours=False)),
        (INTENT, [row("Failed")], AlreadyDone(row("Failed").summary, ours=True)),
        (INTENT, [row("Succeeded", by="Platform")], AlreadyDone(row("Succeeded").summary, ours=False)),
        # The activity is known
        (URL_GONE, [row("InProgress", OURS.upper())], JoinActivity(OURS.upper(), ours=True)),
        (URL_GONE, [row("CompletedWithWarnings", OURS)], AlreadyDone(row("CompletedWithWarnings", OURS).summary, True)),
        (URL_GONE, [row("Succeeded", start=600)], Start),  # another's, later
        (URL_GONE, [row("InProgress", start=600)], JoinActivity(THEIRS, ours=False)),
        (URL_GONE, [row("Unknown", OURS)], Start),
    ],
)
def test_resource_graph_is_heard_before_anything_is_sent_again(
    entry: JournalEntry | None, rows: list[GraphInstallation] | None, step: Any
) -> None:
    found = next_step(entry, NOTHING, at(LATER), graph=rows)
    assert found == step if not isinstance(step, type) else isinstance(found, step)


def test_resource_graph_never_hurries_what_the_other_witnesses_hold_back() -> None:
    assert isinstance(next_step(INTENT, NOTHING, at(5), graph=[]), WaitThenLook)
    assert isinstance(next_step(INTENT, NO_VIEW, at(LATER), graph=[]), WaitThenLook)
    assessing = replace(INTENT, operation="assess")
    assert isinstance(next_step(assessing, NOTHING, at(LATER), operation="assess", graph=None), Start)
