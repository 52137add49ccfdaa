# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep two runs from working on the same rollout or the same machine at once.

Two locks, for two lifetimes:

* :class:`FolderLock` belongs to a whole rollout.  It outlives the single task that took it, so it is a file naming
  its owner (host, process id, start time), and it may be taken over when that owner is dead.
* :class:`MachineClaims` belongs to one running module.  It is a set of kernel record locks in one file, a byte a
  machine, which the kernel drops by itself when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import socket
import tempfile
from pathlib import Path

from .guard import Process

LOCK_NAME = "lock.json"
CLAIMS_NAME = "machines.lock"


class LockHeld(Exception):
    """Somebody else holds the lock; the message is one clear sentence."""


def private_folder(path: Path) -> Path:
    """Make ``path`` (mode 0700) and refuse one that other users could write to.

    Raises:
        LockHeld: the folder belongs to somebody else or is writable by others.
        OSError: it cannot be made.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o022:
        raise LockHeld(
            f"The state folder {path} can be written by other users, so its journal cannot be trusted; "
            "use a folder of your own with mode 0700 (option state_path)."
        )
    return path


class FolderLock:
    """The lock of one rollout on its state folder."""

    def __init__(self, folder: Path, owner: Process) -> None:
        self._path = folder / LOCK_NAME
        self._owner = {"host": socket.gethostname(), "pid": owner.pid, "start": owner.start}

    def holder(self) -> dict[str, object] | None:
        """The live owner other than us, or None.  An owner on another host counts as alive: it cannot be asked."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            process = Process(int(found["pid"]), str(found["start"]))
            host = str(found["host"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            # A torn lock file was written by a process that died in the middle of it.
            return None
        mine = {"host": host, "pid": process.pid, "start": process.start} == self._owner
        if mine or (host == self._owner["host"] and not process.alive()):
            return None
        return dict(found)

    def refuse_if_held(self) -> None:
        """Raise LockHeld when another live run owns the folder."""
        other = self.holder()
        if other is not None:
            raise LockHeld(
                f"The state folder {self._path.parent} is in use by process {other['pid']} on {other['host']}; "
                f"wait for it to end, or remove {self._path} when that run is certainly over."
            )

    def acquire(self) -> None:
        """Take the lock, or take it over from a dead owner.

        Raises:
            LockHeld: a live owner has it.
        """
        with open(self._path.with_suffix(".mutex"), "a", encoding="utf-8") as mutex:
            # Looking and writing must be one step, or two runs could both find a dead owner.
            fcntl.flock(mutex, fcntl.LOCK_EX)
            self.refuse_if_held()
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".lock-")
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(self._owner, stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(name, self._path)

    def release(self) -> None:
        """Give the lock back if it is ours."""
        try:
            if json.loads(self._path.read_text(encoding="utf-8")) == self._owner:
                self._path.unlink()
        except (OSError, ValueError):
            return


class MachineClaims:
    """Claims on single machines, each dropped by the kernel when this process ends."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = os.open(folder / CLAIMS_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def claim(self, key: str) -> bool:
        """Claim the machine with this key; False when another process on this host has it."""
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _offset(key))
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Drop all claims."""
        os.close(self._descriptor)


def _offset(key: str) -> int:
    """A byte position for the key; 62 bits keep two machines of one fleet apart."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") >> 2
