# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the user's hooks: what is run before and after the rollout, each ring, each wave and each machine, and where.

A hook is a role (with ``tasks_from``) or a file of tasks by its absolute path. Those of machines run for each machine
that is to be installed, on it or on the controller; those of a wave, a ring or the whole rollout run once, on the
controller.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..domain.errors import InputError
from .rollout_state import Record, Rollout

OPTION = "hotpatch_hooks"
HOSTS, CONTROLLER = "hosts", "controller"
STAGES = tuple(f"{when}_{what}" for what in ("rollout", "ring", "wave", "machine") for when in ("before", "after"))
ON_HOSTS = frozenset({"before_machine", "after_machine"})
"""Stages whose hooks may run on hosts: they run on all of a wave's hosts that are to be installed."""

_KEYS = ("role", "tasks_from", "tasks", "on", "vars")

Hook = dict[str, Any]


def parse_hooks(raw: object, option: str = OPTION) -> dict[str, list[Hook]]:
    """Return the hooks by stage, each with ``name``, ``on``, and ``role`` and ``tasks_from``, or ``tasks``.

    :param raw: a mapping of stages to a hook or a list of hooks; a hook is a mapping, or as text the absolute path of a
        file of tasks or the name of a role.
    InputError, naming stage and key, for anything else, and for a file that is not there.
    """
    if raw in (None, "", {}, []):
        return {}
    if not isinstance(raw, Mapping):
        raise InputError(option, raw, f"a mapping with keys of {', '.join(STAGES)}")
    found: dict[str, list[Hook]] = {}
    for stage, given in raw.items():
        if stage not in STAGES:
            raise InputError(option, stage, f"one of the stages {', '.join(STAGES)}")
        items = given if isinstance(given, (list, tuple)) else [given]
        found[stage] = [_hook(item, str(stage), f"{option}.{stage}") for item in items]
    return {stage: hooks for stage, hooks in found.items() if hooks}


def _hook(raw: object, stage: str, option: str) -> Hook:
    if isinstance(raw, str) and raw.strip():
        raw = {"tasks": raw} if raw.startswith("/") else {"role": raw}
    if not isinstance(raw, Mapping):
        raise InputError(option, raw, "a role, the absolute path of a file of tasks, or a mapping with one of them")
    unknown = [str(key) for key in raw if key not in _KEYS]
    if unknown:
        raise InputError(option, unknown[0], f"one of the keys {', '.join(_KEYS)}")
    role, tasks = str(raw.get("role") or ""), str(raw.get("tasks") or "")
    if bool(role) == bool(tasks):
        raise InputError(option, dict(raw), "a role or a file of tasks, and not both")
    if tasks and (not os.path.isabs(tasks) or not os.path.isfile(tasks)):
        raise InputError(f"{option}.tasks", tasks, "the absolute path of a file of tasks on the control node")
    where = str(raw.get("on") or (HOSTS if stage.endswith("_machine") else CONTROLLER))
    if where not in (HOSTS, CONTROLLER):
        raise InputError(f"{option}.on", where, f"{HOSTS} or {CONTROLLER}")
    if where == HOSTS and stage not in ON_HOSTS:
        allowed = f"{CONTROLLER} for {stage}"
        raise InputError(f"{option}.on", where, allowed, "use before_machine and after_machine for what runs on hosts")
    variables = raw.get("vars") or {}
    if not isinstance(variables, Mapping):
        raise InputError(f"{option}.vars", variables, "a mapping of variables")
    hook: Hook = {"name": role or tasks, "on": where, "vars": dict(variables)}
    if role:
        return {**hook, "role": role, "tasks_from": str(raw.get("tasks_from") or "main")}
    return {**hook, "tasks": tasks}


def hooks_for(rollout: Rollout, given: object, stage: str, ring: str | None = None) -> list[Hook]:
    """The hooks of a stage: the rollout's, then those of the ring's own rules."""
    found = list(parse_hooks(given).get(stage, []))
    if ring is not None:
        found += parse_hooks(rollout.ring(ring).rules.get("hooks"), f"hooks of ring {ring}").get(stage, [])
    return found


def check_all(rollout: Rollout, given: object) -> None:
    """Raise InputError for any hook that cannot be run, before anything is."""
    parse_hooks(given)
    for ring in rollout.rings:
        parse_hooks(ring.rules.get("hooks"), f"hooks of ring {ring.name}")


def on_machines(rollout: Rollout, given: object) -> bool:
    """Whether any ring's machines have hooks; InputError for any hook that cannot be run."""
    # All are read, also behind the first that is found: one that cannot be run is refused.
    found = [hooks_for(rollout, given, stage, ring.name) for stage in sorted(ON_HOSTS) for ring in rollout.rings]
    return any(found)


def note_machine_failures(records: list[Record], failures: Mapping[str, str], stage: str) -> list[Record]:
    """Note the machines whose hook failed; one that was not started yet is not touched. Returns them.

    :param failures: why, by host.
    """
    found = []
    for record in records:
        why = failures.get(record.host)
        if not why:
            continue
        record.hooks_failed[stage] = why
        found.append(record)
        if stage == "before_machine" and not record.judged:
            record.judge("not_started", "hook_failed", f"a hook before it failed, so it was not touched: {why}")
            record.selected_at = None
    return found
