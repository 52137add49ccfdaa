# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes named for good, parents that die, and locks that outlive or follow their owners; with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import (
    CONTROLLER_VARIABLE,
    ParentGuard,
    Process,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.lock import (
    FolderLock,
    LockHeld,
    MachineClaims,
    private_folder,
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_its_id_and_start_time() -> None:
    me = Process.of(os.getpid())
    assert me.alive() and Process.parse(str(me)) == me
    assert not Process(os.getpid(), "1").alive(), "another process had this id before"
    assert Process(os.getpid(), "").alive()


def test_a_zombie_is_dead(child: subprocess.Popen[bytes]) -> None:
    process = Process.of(child.pid)
    assert process.alive()
    child.kill()
    deadline = time.monotonic() + 5
    while process.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not process.alive(), "killed, and nobody has waited for it yet"


@pytest.mark.parametrize("text", ["x", "0:1", "-1:2", "12:abc", ":5"])
def test_a_malformed_controller_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match=CONTROLLER_VARIABLE):
        ParentGuard({CONTROLLER_VARIABLE: text})


def test_the_guard_follows_the_named_controller(child: subprocess.Popen[bytes]) -> None:
    guard = ParentGuard({CONTROLLER_VARIABLE: str(Process.of(child.pid))})
    assert guard.refusal() == ""
    child.kill()
    child.wait()
    assert f"The controlling process {child.pid} has ended" in guard.refusal()


def test_the_guard_follows_its_parent() -> None:
    guard = ParentGuard({})
    assert guard.controller.pid == os.getppid() and guard.refusal() == ""


def test_a_stop_is_for_good() -> None:
    guard = ParentGuard({})
    guard.stop("first")
    guard.stop("second")
    assert guard.refusal() == "first"


def test_an_orphan_notices(tmp_path: Path) -> None:
    """A grandchild whose parent is killed: its guard must refuse."""
    told = tmp_path / "told"
    code = (
        "import os, sys, time\n"
        "from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import ParentGuard\n"
        "if os.fork(): time.sleep(60)\n"
        "guard = ParentGuard({})\n"
        "assert guard.refusal() == ''\n"
        f"open({str(told)!r}, 'w').write('ready')\n"
        "for _ in range(500):\n"
        "    if guard.refusal():\n"
        f"        open({str(told)!r}, 'w').write(guard.refusal())\n"
        "        sys.exit()\n"
        "    time.sleep(0.01)\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environ)
    wait_for(told, "ready")
    parent.kill()
    parent.wait()
    wait_for(told, "has ended")


def wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if path.exists() and text in path.read_text():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} never held {text!r}")


def test_a_live_owner_keeps_the_lock_and_a_dead_one_loses_it(tmp_path: Path, child: subprocess.Popen[bytes]) -> None:
    theirs, ours = FolderLock(tmp_path, Process.of(child.pid)), FolderLock(tmp_path, Process.of(os.getpid()))
    theirs.acquire()
    theirs.acquire()
    with pytest.raises(LockHeld, match=f"in use by process {child.pid}"):
        ours.acquire()
    child.kill()
    child.wait()
    ours.acquire()
    assert ours.holder() is None
    theirs.release()
    assert (tmp_path / "lock.json").exists(), "only the owner may release it"
    ours.release()
    assert not (tmp_path / "lock.json").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}'])
def test_a_torn_lock_file_is_no_lock(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock.json").write_text(content)
    FolderLock(tmp_path, Process.of(os.getpid())).acquire()


def test_an_owner_on_another_host_is_not_overruled(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text('{"host": "elsewhere", "pid": 999999, "start": "1"}')
    with pytest.raises(LockHeld, match="on elsewhere"):
        FolderLock(tmp_path, Process.of(os.getpid())).acquire()


def test_claims_are_by_machine_and_end_with_the_process(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = (
        "import sys, time, pathlib\n"
        "from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.lock import MachineClaims\n"
        f"claims = MachineClaims(pathlib.Path({str(tmp_path)!r}))\n"
        "assert claims.claim('vm1')\n"
        f"open({str(ready)!r}, 'w').write('ready')\n"
        "time.sleep(60)\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen([sys.executable, "-c", code], env=environ)
    try:
        wait_for(ready, "ready")
        claims = MachineClaims(tmp_path)
        assert not claims.claim("vm1")
        assert claims.claim("vm2") and claims.claim("vm2")
    finally:
        holder.kill()
        holder.wait()
    assert claims.claim("vm1")
    claims.close()


def test_a_state_folder_that_others_can_write_is_refused(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "a" / "state")
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    with pytest.raises(LockHeld, match="can be written by other users"):
        private_folder(folder)
