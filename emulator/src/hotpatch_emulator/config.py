# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a fleet file into the state that both sides of the emulator share.

A fleet file holds no secret: passwords and client secrets are drawn anew at every start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from hotpatch_emulator.builder import Builder
from hotpatch_emulator.schema import FLEET
from hotpatch_emulator.settings import FleetError, Switches
from hotpatch_emulator.state import Fleet

__all__ = ["FleetError", "FleetFile", "load", "parse"]


@dataclass(frozen=True)
class FleetFile:
    """Everything a fleet file says, ready to run."""

    now: datetime
    speed: float
    seed: int
    fleet: Fleet
    faults: tuple[Mapping[str, Any], ...] = ()


def load(
    path: Path, *, speed: float | None = None, seed: int | None = None, network: str = "127.20.0.0/16"
) -> FleetFile:
    """Read and check a fleet file. Raises FleetError with one sentence."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetError(f"fleet file {path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise FleetError(f"fleet file {path} is no valid YAML: {error}") from error
    return parse(document, name=str(path), speed=speed, seed=seed, network=network)


def parse(
    document: Any,
    *,
    name: str = "fleet",
    speed: float | None = None,
    seed: int | None = None,
    network: str = "127.20.0.0/16",
) -> FleetFile:
    """Turn the parsed YAML into a fleet. ``speed`` and ``seed`` from the command line win over the file's."""
    document = _plain(document)
    problem = next(iter(jsonschema.Draft202012Validator(FLEET).iter_errors(document)), None)
    if problem is not None:
        where = "/".join(str(step) for step in problem.absolute_path) or "the top level"
        raise FleetError(f"fleet file {name}, at {where}: {problem.message}")
    chosen_seed = seed if seed is not None else int(document.get("seed", 1))
    now = _moment(document["now"], name)
    switches = _switches(document.get("switches", {}))
    builder = Builder(document, chosen_seed, now, network, name)
    fleet = Fleet(
        builder.tenant,
        builder.subscriptions,
        list(builder.machines()),
        builder.principals(),
        switches,
        chosen_seed,
        builder.management_groups(),
    )
    listed = [*fleet, *fleet.deleted]
    if len({machine.key for machine in listed}) != builder.built:
        raise FleetError(f"fleet file {name}: two machines share one name in one resource group")
    if len({machine.guest.address for machine in listed}) != builder.built:
        raise FleetError(f"fleet file {name}: two machines share one guest address")
    unknown = {m.script.then_installs for m in fleet} - {None, "platform", *(p.name for p in fleet.principals)}
    if unknown:
        raise FleetError(f"fleet file {name}: then_installs {sorted(map(str, unknown))[0]!r} is no principal")
    chosen_speed = float(document.get("speed", 1)) if speed is None else speed
    return FleetFile(now, chosen_speed, chosen_seed, fleet, tuple(document.get("faults", ())))


def _plain(value: Any) -> Any:
    """YAML dates back to text, so that the schema sees what the author wrote."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).isoformat()
    return value


def _moment(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise FleetError(f"fleet file {name}: now {text!r} is no ISO 8601 time such as 2026-05-13T01:00:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def _switches(given: Mapping[str, Any]) -> Switches:
    known = {item.name for item in fields(Switches)}
    chosen: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in given.items() if key in known
    }
    return Switches(**chosen)
