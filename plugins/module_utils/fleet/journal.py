# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down what is about to be sent to Azure before it is sent, so that a later run joins instead of repeating.

One JSON object a line, appended only, mode 0600 (poll URLs carry Azure's signature), flushed to the disk before the
caller goes on.  Kinds of lines, all with ``time``, ``intent_id``, ``resource_id`` and ``operation``:

* ``intent``: the POST is about to be sent.
* ``accepted``: Azure took it; ``activity_id`` and ``poll_url``.
* ``gone``: Azure no longer knows the poll URL; only the instance view is left to ask.
* ``refused``: Azure did not take it, so the intent is void.
* ``finished``: the end; ``status`` (Azure's word) and ``kbs``, the KBs it says it installed.

A line cut short by a crash is skipped; what it would have said, the instance view still tells.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from ..domain.joining import JournalEntry
from ..domain.timestamps import parse_timestamp, to_iso

JOURNAL_NAME = "journal.jsonl"


class JournalError(Exception):
    """The journal cannot be read or written; the message is one clear sentence."""


@dataclass(frozen=True)
class Installed:
    """A KB that one of our installations put on a machine, by Azure's word."""

    kb: str
    activity_id: str
    time: datetime


@dataclass
class _Memory:
    """What the journal says, by machine key."""

    latest: dict[tuple[str, str], JournalEntry] = field(default_factory=dict)
    earlier: dict[tuple[str, str], JournalEntry] = field(default_factory=dict)
    installed: dict[str, dict[str, Installed]] = field(default_factory=dict)
    skipped_lines: int = 0

    def read(self, line: str) -> None:
        """Learn one line of the file, or count it as skipped."""
        try:
            self.take(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            self.skipped_lines += 1

    def take(self, record: Mapping[str, Any]) -> None:
        """Learn one line; KeyError, ValueError or TypeError when it is not one of ours."""
        machine, operation, intent_id = record["resource_id"], record["operation"], record["intent_id"]
        key = (machine.lower(), operation)
        kind = record["kind"]
        if kind == "intent":
            if key in self.latest and self.latest[key].intent_id != intent_id:
                self.earlier[key] = self.latest[key]
            self.latest[key] = JournalEntry(
                resource_id=machine,
                operation=operation,
                intent_id=intent_id,
                intent_time=parse_timestamp(record["time"]),
                activity_id=None,
                poll_url=None,
                finished=None,
            )
            return
        entry = self.latest.get(key)
        if entry is None or entry.intent_id != intent_id:
            return
        if kind == "accepted":
            self.latest[key] = replace(entry, activity_id=record["activity_id"], poll_url=record["poll_url"])
        elif kind == "gone":
            self.latest[key] = replace(entry, poll_url=None)
        elif kind == "refused":
            # It never came to be, so what counts is what was there before it.
            del self.latest[key]
            if key in self.earlier:
                self.latest[key] = self.earlier.pop(key)
        elif kind == "finished":
            entry = replace(
                entry, finished=record["status"], activity_id=record.get("activity_id") or entry.activity_id
            )
            self.latest[key] = entry
            for kb in record.get("kbs", ()):
                found = Installed(kb, entry.activity_id or "", parse_timestamp(record["time"]))
                self.installed.setdefault(machine.lower(), {})[kb] = found


class Journal:
    """The journal of one state folder; several tasks and processes may append to it at once."""

    def __init__(self, folder: Path) -> None:
        """Open or make the journal.

        Raises:
            JournalError: the folder or file cannot be used.
        """
        self.path = folder / JOURNAL_NAME
        self._memory = _Memory()
        self._thread_lock = threading.Lock()
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flusher: asyncio.Task[None] | None = None
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.fchmod(self._descriptor, 0o600)
            self._read()
        except OSError as error:
            raise JournalError(f"The journal {self.path} cannot be opened: {error.strerror}.") from error

    def _read(self) -> None:
        with open(self.path, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                self._memory.read(line)

    @property
    def skipped_lines(self) -> int:
        """How many lines could not be read when the journal was opened."""
        return self._memory.skipped_lines

    def latest(self, key: str, operation: str) -> JournalEntry | None:
        """The newest intent for this machine (``ResourceId.key``) and operation, with what is known of it."""
        return self._memory.latest.get((key, operation))

    def installed(self, key: str) -> Mapping[str, Installed]:
        """The KBs our installations put on this machine, by KB."""
        return self._memory.installed.get(key, {})

    def intend(self, resource_id: str, operation: str, intent_id: str, now: datetime) -> None:
        """Record that a POST leaves at this very moment; blocks until that is on the disk.

        Called again for the same intent when the POST is sent again (Azure refused it with 429 before), so that the
        settle time always counts from the last moment at which Azure may have taken it.

        Raises:
            JournalError: it is not on the disk, so the POST must not be sent.
        """
        record, line = _line("intent", resource_id, operation, intent_id, now)
        try:
            self._write(line)
        except OSError as error:
            # "from None": a cause that is an OSError would pass for a lost connection on its way through the pipeline.
            raise self._unwritable(error) from None
        self._memory.take(record)

    async def accepted(self, entry: JournalEntry, now: datetime, activity_id: str, poll_url: str) -> None:
        """Record that Azure took the request."""
        more = {"activity_id": activity_id, "poll_url": poll_url}
        await self._append("accepted", entry.resource_id, entry.operation, entry.intent_id, now, more)

    async def gone(self, entry: JournalEntry, now: datetime) -> None:
        """Record that the poll URL is no longer known to Azure."""
        await self._append("gone", entry.resource_id, entry.operation, entry.intent_id, now)

    async def refused(self, entry: JournalEntry, now: datetime) -> None:
        """Record that Azure did not take the request."""
        await self._append("refused", entry.resource_id, entry.operation, entry.intent_id, now)

    async def finished(
        self, entry: JournalEntry, now: datetime, status: str, kbs: Sequence[str] = (), activity_id: str = ""
    ) -> None:
        """Record the end of the operation and the KBs it installed."""
        more = {"status": status, "kbs": list(kbs), "activity_id": activity_id or entry.activity_id}
        await self._append("finished", entry.resource_id, entry.operation, entry.intent_id, now, more)

    async def _append(
        self,
        kind: str,
        resource_id: str,
        operation: str,
        intent_id: str,
        now: datetime,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Queue one line and wait until it is on the disk.

        Lines that come while the disk is busy are written and flushed together: a thousand machines started at once
        cost a few flushes, not a thousand.
        """
        record, line = _line(kind, resource_id, operation, intent_id, now, more)
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((line, written))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.ensure_future(self._flush())
        # Shielded: a cancelled caller must not take the line of another machine, or its own, with it.
        await asyncio.shield(written)
        self._memory.take(record)

    async def _flush(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            problem: JournalError | None = None
            try:
                await asyncio.get_running_loop().run_in_executor(None, self._write, b"".join(b[0] for b in batch))
            except OSError as error:
                problem = self._unwritable(error)
            for dummy, written in batch:
                if written.done():
                    continue
                if problem is None:
                    written.set_result(None)
                else:
                    written.set_exception(problem)

    def _unwritable(self, error: OSError) -> JournalError:
        return JournalError(f"The journal {self.path} cannot be written: {error.strerror or error}.")

    def _write(self, data: bytes) -> None:
        # The thread lock for our own two threads, the file lock for other processes.
        with self._thread_lock, _locked(self._descriptor):
            size = os.fstat(self._descriptor).st_size
            if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
                # The last line was cut short by a crash: leave it alone on its line.
                data = b"\n" + data
            while data:
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)

    async def close(self) -> None:
        """Wait for lines still on their way to the disk, then close the file."""
        if self._flusher is not None:
            await asyncio.wait([self._flusher])
        os.close(self._descriptor)


def new_intent_id() -> str:
    """A fresh id for one intent."""
    return uuid4().hex


def _line(
    kind: str, resource_id: str, operation: str, intent_id: str, now: datetime, more: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], bytes]:
    record: dict[str, Any] = {
        "time": to_iso(now),
        "kind": kind,
        "intent_id": intent_id,
        "resource_id": resource_id,
        "operation": operation,
        **(more or {}),
    }
    return record, json.dumps(record, separators=(",", ":")).encode() + b"\n"


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
