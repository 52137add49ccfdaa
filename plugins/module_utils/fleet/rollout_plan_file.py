# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan that can be carried: written as one small JSON document, and followed to the letter by a later rollout.

It holds what was decided, not what is known: rings with their rules, and for each machine its ARM ID, Azure's vmId, the
KBs and the wave. A rollout that follows it patches nothing else; where the fleet has changed meanwhile it refuses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..domain.errors import InputError
from ..domain.machine import Machine
from ..domain.rings import parse_ring
from .rollout_hosts import some
from .rollout_rings import NO_RING, waves_in_order
from .rollout_state import Rollout, Wave, ensure_state_dir, write_durably

FORMAT = 1
KIND = "winfleet.hotpatch plan"
OPTION = "hotpatch_plan_file"
FOLLOW_OPTION = "hotpatch_follow_plan"
NOT_IN_PLAN = "not_in_plan"


@dataclass(frozen=True)
class PlannedMachine:
    """One machine of a plan: what it is, and what it is to be sent."""

    host: str
    id: str
    vm_id: str | None
    kbs: tuple[str, ...]

    @property
    def key(self) -> str:
        return self.id.lower()


@dataclass(frozen=True)
class PlannedWave:
    """One wave of a plan."""

    ring: str
    machines: tuple[PlannedMachine, ...]


@dataclass(frozen=True)
class PlanFile:
    """A plan as carried; ``digest`` names it."""

    budget: str
    rings: tuple[dict[str, Any], ...]
    waves: tuple[PlannedWave, ...]
    made: str
    digest: str

    @property
    def machines(self) -> dict[str, PlannedMachine]:
        """All machines by lower-case ARM ID."""
        return {machine.key: machine for wave in self.waves for machine in wave.machines}


def plan_document(rollout: Rollout, machines: Mapping[str, Machine]) -> dict[str, Any]:
    """The plan of a rollout's open machines as plain JSON, and those left out with their reasons."""
    scope = set(rollout.scope)
    waves = []
    for wave in waves_in_order(rollout):
        records = [rollout.machines[key] for key in wave.machines if key in scope]
        planned = [
            {
                "host": record.host,
                "id": record.id,
                "vm_id": machines[record.key].vm_id if record.key in machines else None,
                "kbs": list(record.kbs),
            }
            for record in records
            if not record.judged
        ]
        if planned:
            waves.append({"ring": wave.ring, "expected": wave.expected, "machines": planned})
    left_out = [
        {"host": record.host, "verdict": record.verdict, "reason_code": record.reason_code, "reason": record.reason}
        for record in rollout.in_scope
        if record.judged
    ]
    body: dict[str, Any] = {
        "kind": KIND,
        "format": FORMAT,
        "made": rollout.started,
        "error_budget": rollout.budget,
        "rings": [ring.rules for ring in rollout.rings if ring.rules],
        "waves": waves,
        "left_out": left_out,
    }
    return {**body, "digest": _digest(body)}


def _digest(body: Mapping[str, Any]) -> str:
    """Names what is decided: when waves are expected and who is left out is no part of it."""
    waves = [{"ring": wave["ring"], "machines": wave["machines"]} for wave in body["waves"]]
    text = json.dumps([body["error_budget"], body["rings"], waves], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_plan(path: str, document: Mapping[str, Any]) -> str:
    """Write the plan durably and return its path; raises StateError."""
    where = Path(path).expanduser()
    ensure_state_dir(str(where.parent))
    write_durably(where, json.dumps(document, indent=1) + "\n")
    return str(where)


def read_plan(path: str) -> PlanFile:
    """Read a plan that :func:`write_plan` wrote; InputError where there is none."""
    try:
        return parse_plan(json.loads(Path(path).expanduser().read_text(encoding="utf-8")), path)
    except OSError as error:
        raise InputError(OPTION, path, "a file that can be read", f"{error.strerror}; make it with plan.yml") from None
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(OPTION, path, "a plan that winfleet.hotpatch.plan wrote", f"it is no JSON: {error}") from None


def parse_plan(document: Any, path: str = "hotpatch_plan") -> PlanFile:
    """Return the plan of a document; InputError for anything else, and for one that somebody has changed."""
    allowed = "a plan that winfleet.hotpatch.plan wrote"
    try:
        if document["kind"] != KIND or document["format"] != FORMAT:
            raise InputError(OPTION, path, f"{allowed} in format {FORMAT}")
        if document["digest"] != _digest(document):
            raise InputError(OPTION, path, f"{allowed}, unchanged", "its digest does not fit; make a new plan")
        for number, ring in enumerate(document["rings"]):
            parse_ring(ring, {}, f"{path}: rings[{number}]")
        waves = tuple(
            PlannedWave(
                str(wave["ring"]),
                tuple(
                    PlannedMachine(str(one["host"]), str(one["id"]), one["vm_id"], tuple(map(str, one["kbs"])))
                    for one in wave["machines"]
                ),
            )
            for wave in document["waves"]
        )
        return PlanFile(
            str(document["error_budget"]),
            tuple(dict(ring) for ring in document["rings"]),
            waves,
            str(document["made"]),
            str(document["digest"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(OPTION, path, allowed, f"it lacks something: {error}") from None


def follow(rollout: Rollout, plan: PlanFile, machines: Mapping[str, Machine], inventory: frozenset[str]) -> None:
    """Give the machines of a draft the rings and waves of the plan, and leave out whom it does not name.

    InputError where the fleet is no longer the one that the plan was made for: a host that the inventory does not have
    any more, another machine behind a host, or other KBs. Hosts that ``--limit`` leaves out are simply not taken.
    """
    _require_same_fleet(rollout, plan, machines, inventory)
    planned = plan.machines
    if rollout.plan_digest not in (None, plan.digest):
        raise InputError(
            OPTION,
            plan.digest,
            f"the plan {rollout.plan_digest} that the interrupted rollout {rollout.rollout_id} follows",
            "run that one to its end first",
        )
    if rollout.plan_digest is None and rollout.resumed:
        raise InputError(
            OPTION,
            plan.digest,
            f"left out: the interrupted rollout {rollout.rollout_id} was not started from a plan file",
            f"run it to its end without {FOLLOW_OPTION} first",
        )
    rollout.plan_digest = plan.digest
    for record in rollout.in_scope:
        if record.key not in planned and not record.judged:
            record.judge("skipped", NOT_IN_PLAN, f"the plan {plan.digest} of {plan.made} does not name it")
    _take_waves(rollout, plan)


def _take_waves(rollout: Rollout, plan: PlanFile) -> None:
    """The plan's waves by its own numbers, also those with nobody in this run's scope: a later run may take them."""
    while len(rollout.waves) < len(plan.waves):
        wave = plan.waves[len(rollout.waves)]
        number = len(rollout.waves) + 1
        rollout.waves.append(Wave(number, [], ring=wave.ring, size=len(wave.machines)))
    for wave, own in zip(plan.waves, rollout.waves):
        for machine in wave.machines:
            record = rollout.machines.get(machine.key)
            if record is None or record.wave is not None or record.judged:
                continue
            record.ring, record.wave = wave.ring, own.number
            own.machines.append(machine.key)


def _require_same_fleet(
    rollout: Rollout, plan: PlanFile, machines: Mapping[str, Machine], inventory: frozenset[str]
) -> None:
    by_host = {record.host: record for record in rollout.in_scope}
    gone = [one.host for one in plan.machines.values() if one.host not in by_host and one.host not in inventory]
    if gone:
        raise _changed(plan, f"the inventory no longer has {some(gone)}")
    for one in plan.machines.values():
        record = by_host.get(one.host)
        if record is None:
            continue
        if record.key != one.key:
            raise _changed(plan, f"{one.host} was {one.id} and is {record.id}")
        machine = machines.get(one.key)
        if one.vm_id and machine is not None and machine.vm_id and machine.vm_id.lower() != one.vm_id.lower():
            raise _changed(plan, f"the machine of {one.host} was made anew (vmId {one.vm_id}, now {machine.vm_id})")
        if not record.judged and record.wave is None and tuple(record.kbs) != one.kbs:
            now, then = ", ".join(record.kbs) or "nothing", ", ".join(one.kbs)
            raise _changed(plan, f"{one.host} was to be sent {then} and would now be sent {now}")
        if record.reason_code == NO_RING:
            # The rings of the plan count, not those of today.
            record.stage, record.verdict, record.reason_code, record.reason = "planned", None, None, None


def _changed(plan: PlanFile, what: str) -> InputError:
    return InputError(
        OPTION, plan.digest, f"a plan of the fleet as it is ({what})", "look at what changed and make a new plan"
    )
