# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What assessing and installing have in common: one engine over the fleet, from parameters to the task's result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..azure.errors import AzureFailure, MissingLibrary
from ..clock import Clock
from ..domain.eligibility import availability
from ..domain.errors import InputError
from ..domain.resource_id import ResourceId
from ..domain.timestamps import parse_timestamp
from ..domain.waves import Budget, parse_budget
from . import results
from .campaign import Campaign, NotAdmitted, WaitEnded
from .context import Connect, at_least, default_subscription, drive, read_targets, state_folder
from .control import Steering, check_groups
from .guard import Guard
from .journal import Journal, JournalError
from .lock import FolderLock, MachineClaims, private_folder
from .progress import Progress
from .pursuit import Pursuit, View
from .results import Entry
from .rollout_events import Events
from .witness import Witness

FLEET_WIDE_KINDS = frozenset({"credential", "untrusted_certificate", "unreachable"})
"""Failures of the first request that every other machine would meet too: say it once, and try no secret twice."""

LEAST_POLL_INTERVAL = 5
"""Compute grants 15 looks a minute at the operations of one virtual machine (Microsoft Learn, "Compute throttling")."""

COUNTS = "_counts"
"""Key by which ``work`` says whether an entry counts against max_failures; without it "failed" does."""


class Skip(Exception):
    """This machine is left alone; not a failure."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass
class Engine:
    """Everything the machines of one task share."""

    params: Mapping[str, Any]
    clock: Clock
    guard: Guard
    campaign: Campaign
    pursuit: Pursuit
    claims: MachineClaims
    machines: list[ResourceId]
    warnings: Sequence[str]
    events: Events | None = None
    worst: Entry | None = None
    _first: dict[str, View | AzureFailure] = field(default_factory=dict)

    @property
    def details(self) -> str:
        return str(self.params["details"])

    def tell(self, event: str, machine: ResourceId, **told: Any) -> None:
        """Write an event of the rollout that this task is part of, if it is part of one.

        What happened has happened: where it cannot be written, nothing more is started.
        """
        if self.events is None:
            return
        try:
            self.events.write(event, id=str(machine), name=machine.name, **told)
        except OSError as error:
            self.campaign.stop("journal", f"The rollout's events cannot be written: {error}.")

    async def scout(self) -> None:
        """Read the first machine alone, so that a wrong secret is tried once and told once.

        Raises:
            AzureFailure: one that every other machine would meet too.
        """
        if not self.machines:
            return
        machine = self.machines[0]
        try:
            self._first[machine.key] = await self.pursuit.look(machine)
        except AzureFailure as failure:
            if is_fleet_wide(failure):
                raise
            self._first[machine.key] = failure

    async def first_look(self, machine: ResourceId) -> View:
        """Read the machine, or take what the scout found."""
        found = self._first.pop(machine.key, None)
        if isinstance(found, AzureFailure):
            raise found
        return found or await self.pursuit.look(machine)

    def claim(self, machine: ResourceId) -> None:
        """Make this process the only one of the host that works on the machine.

        Raises:
            NotAdmitted: another one does.
        """
        if not self.claims.claim(machine.key):
            raise NotAdmitted("claimed_elsewhere", "Another run on this host is working on this machine right now.")

    async def each(self, work: Callable[[ResourceId, Entry], Awaitable[Entry]]) -> list[Entry]:
        """Do the work on every machine; whatever goes wrong on one becomes its entry."""

        async def guarded(machine: ResourceId) -> Entry:
            entry: Entry = {"id": str(machine), "name": machine.name}
            try:
                entry = await work(machine, entry)
            except Skip as skip:
                entry.update(outcome="skipped", reason_code=skip.code, reason=skip.reason)
            except NotAdmitted as refused:
                entry.update(outcome="not_started", reason_code=refused.code, reason=refused.reason)
            except WaitEnded as ended:
                entry.update(outcome="not_started", reason_code=ended.code, reason=ended.reason)
            except JournalError as error:
                self.campaign.stop("journal", str(error))
                entry.update(outcome="not_started", reason_code="journal", reason=str(error))
            except AzureFailure as failure:
                entry.update(failure_entry(failure, results.wants_details(self.details, True)))
            counts = bool(entry.pop(COUNTS, entry["outcome"] == "failed"))
            if counts and self.worst is None:
                self.worst = entry
            self.campaign.finish(machine.key, counts)
            shaped = results.without_empty if results.wants_details(self.details, counts) else results.fit
            return shaped(entry)

        return await self.campaign.run(self.machines, guarded)


def is_fleet_wide(failure: AzureFailure) -> bool:
    """Whether every other machine would meet this failure too."""
    return failure.kind in FLEET_WIDE_KINDS or isinstance(failure, MissingLibrary)


def failure_entry(failure: AzureFailure, details: bool) -> Entry:
    """The part of an entry that tells of a failure."""
    return {
        "outcome": "failed",
        "reason_code": failure.kind,
        "reason": failure.sentence,
        "error": results.error_of(failure, details),
    }


def must_run(view: View) -> None:
    """Raise Skip when the machine is switched off: Azure cannot look into it."""
    power = availability(view.machine)
    if power.state == "stopped":
        raise Skip("stopped", power.reason.text)


@asynccontextmanager
async def open_engine(
    params: Mapping[str, Any],
    clock: Clock,
    progress: Progress,
    environ: Mapping[str, str],
    guard: Guard,
    verb: str,
    connect: Connect,
) -> AsyncIterator[Engine]:
    """Check the parameters, open journal, claims and session, and close them again.

    Raises:
        InputError, LockHeld, JournalError, AzureFailure: before anything was asked of a machine.
    """
    machines = read_targets(params, default_subscription(params, environ))
    budget: Budget = parse_budget(params["max_failures"])
    poll_interval = at_least(params, "poll_interval", LEAST_POLL_INTERVAL)
    wait_timeout = at_least(params, "wait_timeout", 1)
    max_concurrent = at_least(params, "max_concurrent", 1) if params.get("max_concurrent") is not None else None
    latest_starts = read_latest_starts(params)
    groups = check_groups("control_resource_groups", params.get("control_resource_groups") or ())
    folder = private_folder(state_folder(params, environ))
    FolderLock(folder, guard.controller).refuse_if_held()
    progress.begin(verb, len(machines), max_concurrent)
    claims, journal = MachineClaims(folder), Journal(folder)
    try:
        async with connect(params, environ, clock) as connection:
            part_of = str(params.get("rollout_id") or "")
            steering = Steering(folder, clock, groups, connection.groups) if part_of else None
            campaign = Campaign(
                clock,
                guard,
                progress,
                total=len(machines),
                poll_interval=poll_interval,
                wait_timeout=wait_timeout,
                max_failures=budget,
                max_concurrent=max_concurrent,
                steering=steering,
                latest_starts=latest_starts,
            )
            witness = (
                Witness(connection.graph, clock, campaign, bool(params["wait"]))
                if connection.graph is not None
                else None
            )
            pursuit = Pursuit(connection.gateway, journal, campaign, clock, bool(params["wait"]), witness)
            events = Events(folder, part_of, clock) if part_of else None
            engine = Engine(params, clock, guard, campaign, pursuit, claims, machines, connection.warnings, events)
            yield engine
    finally:
        await journal.close()
        claims.close()


def read_latest_starts(params: Mapping[str, Any]) -> dict[str, datetime]:
    """The last moment at which each machine may be started, by lower-case ARM ID; InputError for what is no time."""
    found = {}
    for resource_id, text in (params.get("latest_starts") or {}).items():
        try:
            found[str(resource_id).lower()] = parse_timestamp(str(text))
        except ValueError:
            raise InputError(f"latest_starts of {resource_id}", text, "a time in ISO 8601 with its offset") from None
    return found


def conduct(
    params: Mapping[str, Any],
    clock: Clock,
    progress: Progress,
    environ: Mapping[str, str],
    guard: Guard,
    verb: str,
    connect: Connect,
    work: Callable[[Engine], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """Open an engine, let ``work`` make the result, and add how long it took (seconds of the Clock)."""

    async def main() -> dict[str, Any]:
        begun = clock.monotonic()
        async with open_engine(params, clock, progress, environ, guard, verb, connect) as engine:
            await engine.scout()
            result = await work(engine)
        result["duration"] = round(clock.monotonic() - begun, 3)
        return result

    return drive(main, guard)


def summarize(engine: Engine, entries: list[Entry], changed: bool) -> dict[str, Any]:
    """The task's result: failed when the budget is exceeded or the run could not be brought to its end."""
    tally = results.counts(entries)
    campaign = engine.campaign
    result: dict[str, Any] = {
        "changed": changed,
        "machines": entries,
        "counts": tally,
        "msg": results.in_words(tally) + ".",
    }
    if engine.warnings:
        result["warnings"] = list(engine.warnings)
    if campaign.exceeded:
        result["failed"] = True
        result["msg"] = exceeded_message(campaign.failures, tally, str(engine.params["max_failures"]), engine.worst)
    elif campaign.stop_code:
        result["failed"] = True
        result["stop_code"] = campaign.stop_code
        result["msg"] = f"{campaign.stop_reason} ({results.in_words(tally)})"
    return result


def exceeded_message(failures: int, tally: Mapping[str, int], max_failures: str, worst: Entry | None) -> str:
    """One sentence on the budget and the first failure's own sentence."""
    first = f" {worst['name']}: {worst.get('reason', '')}" if worst else ""
    return (
        f"{failures} of {tally['machines']} machines failed, more than max_failures ({max_failures}) allows "
        f"({results.in_words(tally)}).{first}"
    )
