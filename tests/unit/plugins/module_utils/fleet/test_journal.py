# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: on the disk before the caller goes on, private, and readable after any crash."""

from __future__ import annotations

import asyncio
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.joining import JournalEntry
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.journal import Journal, JournalError

from ..domain.builders import NOW, rid

MACHINE = rid()
KEY = MACHINE.lower()


async def accepted(journal: Journal, intent_id: str = "one") -> JournalEntry:
    journal.intend(MACHINE, "install", intent_id, NOW)
    entry = journal.latest(KEY, "install")
    assert entry is not None
    await journal.accepted(entry, NOW, "activity", "https://arm/poll?s=signature")
    found = journal.latest(KEY, "install")
    assert found is not None
    return found


def again(folder: Path) -> Journal:
    """The journal as the next run reads it."""
    return Journal(folder)


async def test_an_intent_is_on_the_disk_when_intend_returns(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.intend(MACHINE, "install", "one", NOW)
    found = again(tmp_path).latest(KEY, "install")
    assert found == JournalEntry(MACHINE, "install", "one", NOW)
    await journal.close()


async def test_every_step_is_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    entry = await accepted(journal)
    assert again(tmp_path).latest(KEY, "install") == entry
    assert (entry.activity_id, entry.poll_url, entry.finished) == ("activity", "https://arm/poll?s=signature", None)
    await journal.gone(entry, NOW)
    reread = again(tmp_path).latest(KEY, "install")
    assert reread is not None and reread.poll_url is None and reread.activity_id == "activity"
    await journal.finished(entry, NOW, "Succeeded", ["KB5087423"])
    reread = again(tmp_path).latest(KEY, "install")
    assert reread is not None and reread.finished == "Succeeded"
    assert again(tmp_path).installed(KEY)["KB5087423"].activity_id == "activity"
    await journal.close()


async def test_a_refused_intent_is_void(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    first = await accepted(journal)
    await journal.finished(first, NOW, "Succeeded")
    journal.intend(MACHINE, "install", "two", NOW + timedelta(minutes=5))
    second = journal.latest(KEY, "install")
    assert second is not None and second.intent_id == "two"
    await journal.refused(second, NOW)
    for reader in (journal, again(tmp_path)):
        left = reader.latest(KEY, "install")
        assert left is not None and left.intent_id == "one" and left.finished == "Succeeded"
    await journal.close()


async def test_sending_again_moves_the_settle_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.intend(MACHINE, "install", "one", NOW)
    journal.intend(MACHINE, "install", "one", NOW + timedelta(minutes=20))
    found = again(tmp_path).latest(KEY, "install")
    assert found is not None and found.intent_time == NOW + timedelta(minutes=20)
    await journal.close()


async def test_operations_and_machines_do_not_mix(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.intend(MACHINE, "assess", "one", NOW)
    assert journal.latest(KEY, "install") is None
    assert journal.latest(rid("web2").lower(), "assess") is None
    await journal.close()


async def test_a_line_cut_short_is_skipped_and_left_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await accepted(journal)
    await journal.close()
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole + b'{"time":"2026-05-13T01:00:00Z","kind":"fini')
    second = again(tmp_path)
    assert second.skipped_lines == 1
    entry = second.latest(KEY, "install")
    assert entry is not None and entry.finished is None
    await second.finished(entry, NOW, "Failed")
    third = again(tmp_path)
    found = third.latest(KEY, "install")
    assert third.skipped_lines == 1 and found is not None and found.finished == "Failed"
    await second.close()


@pytest.mark.parametrize("line", [b"\xff\xfe\x00", b"[]", b'"text"', b"{}", b'{"kind":"accepted"}', b"null"])
async def test_a_foreign_line_does_no_harm(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "journal.jsonl").write_bytes(line + b"\n")
    journal = Journal(tmp_path)
    assert journal.skipped_lines == 1
    await journal.close()


async def test_the_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        journal = Journal(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    await journal.close()


async def test_many_machines_share_a_flush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes: list[int] = []
    real = os.fsync

    def counted(descriptor: int) -> None:
        flushes.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    journal = Journal(tmp_path)
    for number in range(50):
        journal.intend(rid(f"vm{number}"), "assess", f"intent{number}", NOW)
    flushes.clear()
    entries = [journal.latest(rid(f"vm{number}").lower(), "assess") for number in range(50)]
    await asyncio.gather(*(journal.accepted(entry, NOW, "a", "u") for entry in entries if entry))
    assert len(flushes) < 10
    reread = again(tmp_path)
    assert all(reread.latest(rid(f"vm{number}").lower(), "assess").activity_id == "a" for number in range(50))  # type: ignore[union-attr]
    await journal.close()


async def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    entry = await accepted(journal)
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(JournalError, match="cannot be written: No space left on device") as caught:
        journal.intend(MACHINE, "install", "two", NOW)
    # The HTTP pipeline takes an OSError in the chain for a lost connection, after which Azure may have acted.
    assert caught.value.__cause__ is None
    with pytest.raises(JournalError, match="No space left"):
        await journal.finished(entry, NOW, "Succeeded")
    monkeypatch.undo()
    await journal.close()


async def test_two_processes_append_whole_lines(tmp_path: Path) -> None:
    one, two = Journal(tmp_path), Journal(tmp_path)
    for number in range(20):
        (one if number % 2 else two).intend(rid(f"vm{number}"), "assess", str(number), NOW)
    assert again(tmp_path).skipped_lines == 0
    assert len(one.path.read_text().splitlines()) == 20
    await one.close()
    await two.close()
