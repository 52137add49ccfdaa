# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a machine may be sent an operation, or one that already runs has to be joined: never the same thing twice.

Read the witnesses together: our journal (what we meant to send), the instance view (what Azure shows, minutes late),
the settle time, and for an installation whose fate is open Resource Graph. Only when all show nothing is a new
operation started.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Union

from .graph import GraphInstallation
from .machine import Machine
from .patch_status import AssessmentSummary, InstallationSummary

Operation = Literal["install", "assess", "restart"]
Summary = Union[AssessmentSummary, InstallationSummary]  # noqa: UP007 - ansible-test's pylint refuses "|" here

SETTLE_SECONDS = 600
"""How long after an intent the instance view may still miss its operation. It was seen to lag up to five minutes."""

LOOK_AGAIN_SECONDS = 60
CLOCKS_MAY_DIFFER = timedelta(minutes=2)

_RUNNING = ("inprogress", "notstarted")
_TERMINAL = ("succeeded", "failed", "completedwithwarnings")


@dataclass(frozen=True)
class JournalEntry:
    """What we wrote down of one operation: the intent before the POST, the rest after it.

    :param intent_time: by the controller's clock, UTC.
    :param activity_id: None until Azure answered; stays None when the answer was lost.
    :param poll_url: opaque; set to None once Azure no longer knows it.
    :param finished: Azure's terminal status, None while it is open.
    """

    resource_id: str
    operation: Operation
    intent_id: str
    intent_time: datetime
    activity_id: str | None = None
    poll_url: str | None = None
    finished: str | None = None


@dataclass(frozen=True)
class Start:
    """Nothing runs: send it."""

    why: str


@dataclass(frozen=True)
class JoinPollUrl:
    """Our own operation may still run: poll it."""

    url: str
    activity_id: str | None


@dataclass(frozen=True)
class JoinActivity:
    """An operation runs that has no poll URL here: follow it in the instance view."""

    activity_id: str | None
    ours: bool


@dataclass(frozen=True)
class AlreadyDone:
    """The operation that our journal left open has ended."""

    summary: Summary
    ours: bool


@dataclass(frozen=True)
class WaitThenLook:
    """Nothing may be sent yet: read the machine again after so many seconds."""

    seconds: float
    why: str


@dataclass(frozen=True)
class AskGraph:
    """Journal and instance view show nothing of what we meant to send: hear Resource Graph before sending again."""

    why: str


NextStep = Union[Start, JoinPollUrl, JoinActivity, AlreadyDone, WaitThenLook, AskGraph]  # noqa: UP007


def next_step(
    entry: JournalEntry | None,
    machine: Machine,
    view_read_at: datetime,
    settle_seconds: float = SETTLE_SECONDS,
    operation: Operation = "install",
    graph: Sequence[GraphInstallation] | None = (),
) -> NextStep:
    """Return what to do with the machine.

    :param entry: the journal's newest entry for this machine and operation, None when there is none.
    :param machine: read with its instance view at ``view_read_at`` (controller's clock).
    :param operation: what is to be started; an entry must be of the same.
    :param graph: the machine's installations in Resource Graph, None while it can be asked and was not. What it does
        not show proves nothing: it is late, and leaves out what the caller may not read.
    """
    if entry is not None and entry.operation != operation:
        raise ValueError(f"A journal entry of {entry.operation} says nothing about {operation}.")
    view = machine.installation if operation == "install" else machine.assessment
    other = machine.assessment if operation == "install" else machine.installation
    ended = ""
    if entry is not None and entry.finished is not None:
        # We saw its end ourselves; the late view may still show it in progress.
        ended, entry = (entry.activity_id or "").lower(), None
    if entry is not None:
        step = _of_open_entry(entry, view, settle_seconds)
        if step is not None:
            return step
    if not machine.instance_view_read:
        return WaitThenLook(LOOK_AGAIN_SECONDS, "the instance view was not read, so that nobody knows what runs")
    if view is not None and _running(view, ended):
        return JoinActivity(view.activity_id, ours=False)
    if other is not None and _running(other):
        what = "assessment" if operation == "install" else "installation"
        return WaitThenLook(LOOK_AGAIN_SECONDS, f"an {what} is in progress on the machine")
    if entry is None:
        return Start("nothing is in progress")
    wait = _unsettled(entry, view_read_at, settle_seconds)
    if wait is not None:
        return wait
    if operation == "install" and graph is None:
        return AskGraph("nothing is seen of the open intent in the instance view")
    step = _in_graph(entry, graph or (), settle_seconds)
    return step if step is not None else Start("nothing came of the open intent")


def _of_open_entry(entry: JournalEntry, view: Summary | None, settle_seconds: float) -> NextStep | None:
    """Return the step that our own open operation asks for, None when Azure shows nothing of it."""
    if entry.poll_url is not None:
        # Also where the view shows its end already: only the poll URL tells what became of each patch.
        return JoinPollUrl(entry.poll_url, entry.activity_id)
    ours = view is not None and _is_ours(entry, view, settle_seconds)
    if view is not None and view.status.lower() in _TERMINAL and (ours or _lost_and_later(entry, view)):
        return AlreadyDone(view, ours)
    if view is not None and (ours or _running(view)):
        return JoinActivity(view.activity_id, ours)
    return None


def _in_graph(entry: JournalEntry, graph: Sequence[GraphInstallation], settle_seconds: float) -> NextStep | None:
    """Return the step that Resource Graph asks for, by the newest that began since our intent; None for nothing."""
    since = [row for row in graph if _is_ours(entry, row.summary, settle_seconds) or _began_since(entry, row.summary)]
    for row in sorted(since, key=lambda row: row.summary.start_time or entry.intent_time, reverse=True):
        ours = _is_ours(entry, row.summary, settle_seconds) and row.started_by != "Platform"
        if _running(row.summary):
            return JoinActivity(row.summary.activity_id, ours)
        if row.summary.status.lower() in _TERMINAL and (ours or entry.activity_id is None):
            return AlreadyDone(row.summary, ours)
    return None


def _unsettled(entry: JournalEntry, view_read_at: datetime, settle_seconds: float) -> WaitThenLook | None:
    """Return the wait until a view can be believed that shows nothing, None when it can be now."""
    age = (view_read_at - entry.intent_time).total_seconds()
    if age > 0 and age >= settle_seconds:
        return None
    # A view older than the intent, or a clock set back, tells nothing about it: wait the full time.
    rest = settle_seconds - max(0.0, age)
    return WaitThenLook(max(1.0, rest), "Azure's view may not show yet what was last sent")


def _running(view: Summary, ended: str = "") -> bool:
    known_end = bool(ended) and (view.activity_id or "").lower() == ended
    return view.status.lower() in _RUNNING and not known_end


def _is_ours(entry: JournalEntry, view: Summary, settle_seconds: float) -> bool:
    """Return whether the view shows our operation: by activity ID, or, when the answer was lost, by its beginning."""
    if entry.activity_id is not None:
        return (view.activity_id or "").lower() == entry.activity_id.lower()
    latest = entry.intent_time + timedelta(seconds=settle_seconds)
    return _lost_and_later(entry, view) and view.start_time is not None and view.start_time <= latest


def _lost_and_later(entry: JournalEntry, view: Summary) -> bool:
    """Return whether our answer was lost and the view shows something that began since."""
    return entry.activity_id is None and _began_since(entry, view)


def _began_since(entry: JournalEntry, view: Summary) -> bool:
    return view.start_time is not None and view.start_time >= entry.intent_time - CLOCKS_MAY_DIFFER
