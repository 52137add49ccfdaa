# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout remembers on disk: its plan, and for every machine how far it came and which verdict it has.

One file, ``rollout.json``, in the rollout's state folder. It is written whole at each step (temporary file, fsync,
rename), readable by its owner only, so that a run killed at any moment leaves either the step before or the step after.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from ..domain.rings import ONLY_RING

T = TypeVar("T")

FORMAT = 1
STATE_FILE = "rollout.json"
RUNNING, FINISHED, STOPPED = "running", "finished", "stopped"


class StateError(Exception):
    """The state folder cannot be used; the text is one sentence for the user."""


@dataclass
class Record:
    """One machine of a rollout.

    ``stage`` is ``planned``, ``selected`` (its installation may have been sent from here on) or ``judged``; ``wave``
    counts from 1 and is None for a machine that was judged when the plan was made. ``install`` is its entry of
    patch_installation's result, ``before`` and ``after`` are what the guest said, shortened for the report.
    ``earlier`` is what an earlier rollout sent it for the same release without success.

    Where it stands, as the plan used it:

    :param ring: by name.
    :param service: as tagged or set; None without one.
    :param domain: the one it is a controller of.
    :param cluster: the one it is a node of; ``cluster_owner``: whether it owned it when the plan was made.
    :param role_unknown: why its guest could not tell domain and cluster; empty when it could, or was not asked.
    :param role_silent: whether its guest did not answer the plan; it tells its role before its wave starts.
    :param zone: physical (``westeurope-az1``), or one that holds for its subscription only where Azure did not tell.
    :param location: the region.
    :param availability_set: an ARM ID in lower case; ``update_domain`` is Azure's number in it.
    :param time_zone: the machine's, a Windows or IANA name.
    :param window: the host's own, as written.
    :param exposed_from: from when on the platform may patch it before its turn, to ``exposed_until`` (None: no turn is
        in sight); both None when its turn comes first.
    :param notes: what the plan has to say of it.

    What became of it beside its verdict:

    :param hooks_failed: why a hook failed on it, by stage (``before_machine``, ``after_machine``); it counts then.
    :param soak: what its guest showed after its ring's soak: ``well``, ``read_at``, ``guest``, and the verdict and
        reason it had before (``verdict_before``, ``reason_before``).
    :param checks: what was found right before its start, ``read_at`` and for each of ``eligibility``, ``enrolment`` and
        ``track`` its ``state`` and ``why``.
    :param restart: our restart after a baseline: ``decision`` and ``reason``, ``boot_before``, ``services_before``,
        ``guest_before``, and once it was sent ``sent``, ``outcome``, ``waiting`` (what it has not settled to, empty for
        nothing) and ``settled_at``; None where none was considered.
    :param held: when (ISO 8601) it was held from the platform's own patching, None when it is not.
    :param load: how busy its guest was before and after the installation (:meth:`Impact.to_dict`), None when that was
        not asked for.
    """

    host: str
    id: str
    name: str
    wave: int | None = None
    stage: str = "planned"
    product: str | None = None
    track: str | None = None
    release: dict[str, Any] | None = None
    kbs: list[str] = field(default_factory=list)
    selected_at: str | None = None
    verdict: str | None = None
    reason_code: str | None = None
    reason: str | None = None
    evidence: list[str] = field(default_factory=list)
    install: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    earlier: dict[str, Any] | None = None
    ring: str | None = None
    service: str | None = None
    domain: str | None = None
    cluster: str | None = None
    cluster_owner: bool = False
    role_unknown: str = ""
    role_silent: bool = False
    zone: str | None = None
    location: str | None = None
    availability_set: str | None = None
    update_domain: int | None = None
    time_zone: str | None = None
    window: dict[str, Any] | None = None
    exposed_from: str | None = None
    exposed_until: str | None = None
    notes: list[str] = field(default_factory=list)
    hooks_failed: dict[str, str] = field(default_factory=dict)
    soak: dict[str, Any] | None = None
    checks: dict[str, Any] | None = None
    restart: dict[str, Any] | None = None
    held: str | None = None
    load: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """The ARM ID as it compares: case does not count."""
        return self.id.lower()

    @property
    def judged(self) -> bool:
        return self.verdict is not None

    def judge(self, verdict: str, reason_code: str, reason: str) -> None:
        """Give this machine its one verdict."""
        self.stage, self.verdict, self.reason_code, self.reason = "judged", verdict, reason_code, reason


@dataclass
class Wave:
    """One wave: the ARM IDs (lower case) it was planned with, its ring's name, and when it ran (ISO 8601, UTC).

    ``size`` is how many it might have held, ``held_back`` how many machines each rule of placement kept out of it;
    ``expected`` is when the plan thought that it would start, None where no window opens.
    """

    number: int
    machines: list[str]
    started: str | None = None
    finished: str | None = None
    ring: str = ONLY_RING
    size: int | None = None
    held_back: dict[str, int] = field(default_factory=dict)
    expected: str | None = None


@dataclass
class Ring:
    """One ring of the rollout and how far it came; times are ISO 8601, UTC.

    ``rules`` are as :meth:`RingRules.to_dict` writes them. ``soak_until`` is set when its last wave is judged and the
    ring has to soak; ``soaked`` when it was proven again after that.
    """

    name: str
    rules: dict[str, Any]
    started: str | None = None
    finished: str | None = None
    soak_until: str | None = None
    soaked: str | None = None


@dataclass
class Rollout:
    """The whole state of one rollout; ``machines`` is keyed by lower-case ARM ID, in plan order.

    ``scope`` are the keys of the machines of the current run: a run under ``--limit`` may continue a part of it.

    ``status`` is ``running``, ``finished`` or ``stopped``; ``stop`` says why it was stopped, with the wave's number.
    ``resumed`` counts how often a later run took it up again. ``budget`` is that of the whole rollout; ``rings`` are in
    the order they are taken, and in a state from before there were rings there is one, without rules. ``plan_digest``
    names the plan file that it follows. ``restart_timeout`` are the seconds that a machine of a baseline month is given
    to come back from its restart; 0: nobody said that machines may be restarted. ``catch_up`` says that it catches up
    with an earlier rollout, whose proofs are in ``proven``: lists of product, track and a list of KBs.
    """

    rollout_id: str
    started: str
    updated: str
    budget: str
    status: str = RUNNING
    stop: dict[str, Any] | None = None
    resumed: int = 0
    plan_digest: str | None = None
    restart_timeout: int = 0
    changed: bool = False
    rings: list[Ring] = field(default_factory=lambda: [Ring(ONLY_RING, {})])
    waves: list[Wave] = field(default_factory=list)
    scope: list[str] = field(default_factory=list)
    machines: dict[str, Record] = field(default_factory=dict)
    catch_up: bool = False
    proven: list[Any] = field(default_factory=list)
    format: int = FORMAT

    def wave(self, number: int) -> Wave:
        return self.waves[number - 1]

    def ring(self, name: str) -> Ring:
        """The ring of that name; KeyError where there is none."""
        for ring in self.rings:
            if ring.name == name:
                return ring
        raise KeyError(name)

    def waves_of(self, ring: str) -> list[Wave]:
        """The waves of that ring, in the order they are taken."""
        return [wave for wave in self.waves if wave.ring == ring]

    def records(self, hosts: Iterable[str]) -> list[Record]:
        """The records of *hosts*, in that order; hosts the plan does not know are left out."""
        by_host = {record.host: record for record in self.machines.values()}
        return [by_host[host] for host in hosts if host in by_host]

    @property
    def in_scope(self) -> list[Record]:
        """The machines of the current run, in plan order."""
        return [self.machines[key] for key in self.scope]

    def counts(self) -> dict[str, int]:
        """How many machines of this run have each verdict; one without counts as ``no_verdict``."""
        counts: dict[str, int] = {}
        for record in self.in_scope:
            name = record.verdict or "no_verdict"
            counts[name] = counts.get(name, 0) + 1
        return dict(sorted(counts.items()))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def new_rollout_id(now: datetime) -> str:
    """A name that sorts by time and is never given twice: ``20260513T010000Z-9f3c``."""
    return f"{now.strftime('%Y%m%dT%H%M%SZ')}-{secrets.token_hex(2)}"


def rollout_from_dict(data: Mapping[str, Any]) -> Rollout:
    """Inverse of ``Rollout.to_dict``; raises KeyError, TypeError or ValueError for anything else."""
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']!r} where {FORMAT} is understood")
    known = {item.name for item in fields(Rollout)}
    rollout = Rollout(**{name: value for name, value in data.items() if name in known})
    if "rings" in data:
        rollout.rings = [_known(Ring, ring) for ring in data["rings"]]
    rollout.waves = [_known(Wave, wave) for wave in data["waves"]]
    rollout.machines = {key: _known(Record, record) for key, record in data["machines"].items()}
    return rollout


def _known(kind: type[T], data: Mapping[str, Any]) -> T:
    """The dataclass of those keys that it knows: a newer version may have written more."""
    names = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in data.items() if name in names})


def state_path(state_dir: str) -> Path:
    return Path(state_dir).expanduser() / STATE_FILE


def ensure_state_dir(state_dir: str) -> Path:
    """Create the state folder (0700) where it is missing; raises StateError."""
    if not state_dir or not state_dir.strip():
        raise StateError("hotpatch_state_dir is empty; name a folder that survives between runs.")
    folder = Path(state_dir).expanduser()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"The state folder hotpatch_state_dir={str(folder)!r} cannot be created ({error.strerror}); "
            "name a folder this user may write to."
        ) from error
    return folder


def load(state_dir: str) -> Rollout | None:
    """Read the state, or None where no rollout was ever started here; raises StateError."""
    path = state_path(state_dir)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"The state file {str(path)!r} cannot be read ({error.strerror}).") from error
    try:
        return rollout_from_dict(json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"The state file {str(path)!r} is not one this collection wrote ({error}); move it away, after making sure "
            "that no installation it speaks of is still running."
        ) from error


def load_named(state_dir: str, rollout_id: str) -> Rollout | None:
    """Read the state of the rollout of that name, the folder's own or one that it keeps; raises StateError."""
    current = load(state_dir)
    if current is not None and rollout_id in ("", current.rollout_id):
        return current
    path = archive_path(state_dir, rollout_id)
    if not rollout_id or not path.exists():
        return None
    try:
        return rollout_from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StateError(f"The kept state {str(path)!r} cannot be read ({error}).") from error


def archive_path(state_dir: str, rollout_id: str) -> Path:
    """Where the state of an ended rollout is kept; only its last step can be in the folder."""
    return Path(state_dir).expanduser() / f"rollout-{Path(rollout_id).name}.json"


def save(state_dir: str, rollout: Rollout, now: str) -> None:
    """Write the state durably; raises StateError. *now* is the time of this step (ISO 8601)."""
    rollout.updated = now
    write_durably(state_path(state_dir), json.dumps(rollout.to_dict(), indent=1) + "\n")


def archive(state_dir: str, rollout: Rollout) -> Path:
    """Keep a finished rollout's state under its own name, so that the next one does not wipe its evidence."""
    ensure_state_dir(state_dir)
    path = archive_path(state_dir, rollout.rollout_id)
    write_durably(path, json.dumps(rollout.to_dict(), indent=1) + "\n")
    return path


def write_durably(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace *path* with *text* so that a crash leaves the old content or the new, never a part; raises StateError."""
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        temporary = ""
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StateError(f"{str(path)!r} cannot be written ({error.strerror}).") from error
    finally:
        if temporary:
            os.unlink(temporary)
