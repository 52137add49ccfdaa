# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release calendar that a task goes by: the built-in one, under what the user's file and variable say.

Every task that decides by the calendar takes the same two options, ``calendar_file`` and ``calendar``; users set
``hotpatch_calendar_file`` and ``hotpatch_calendar``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from ..domain.calendar_entries import Conflict, Entries, merge, parse_entries
from ..domain.errors import InputError
from ..domain.releases import CALENDAR, Calendar

try:
    import yaml
except ImportError:
    # Only where a module runs on a host without ansible-core; JSON can still be read there.
    yaml = None  # type: ignore[assignment]

FILE_OPTION = "hotpatch_calendar_file"
VARIABLE = "hotpatch_calendar"
MAX_BYTES = 4 * 1024 * 1024
"""A calendar of ten years has some 50 kB."""

_A_CALENDAR = "a file in the shape of docs/calendar.schema.json, as JSON or YAML"


@dataclass(frozen=True)
class LoadedCalendar:
    """The calendar, from which sources it came in the order they were laid over each other, and where they differ."""

    calendar: Calendar
    sources: tuple[str, ...] = ("built in",)
    conflicts: tuple[Conflict, ...] = ()

    def over(self, entries: Entries) -> LoadedCalendar:
        """Return the calendar with one more source laid over it."""
        calendar, conflicts = merge(self.calendar, entries)
        return LoadedCalendar(calendar, (*self.sources, entries.source), self.conflicts + conflicts)

    @property
    def warnings(self) -> list[str]:
        """A sentence for each conflict."""
        return [f"Release calendar: {conflict}." for conflict in self.conflicts]


BUILT_IN = LoadedCalendar(CALENDAR)


def load_calendar(params: Mapping[str, Any]) -> LoadedCalendar:
    """Return the calendar that the options ``calendar_file`` and ``calendar`` ask for.

    Raises InputError, naming the place, for a file that cannot be read or entries that cannot be.
    """
    found = BUILT_IN
    if params.get("calendar_file"):
        found = found.over(read_file(str(params["calendar_file"])))
    if params.get("calendar"):
        found = found.over(parse_entries(VARIABLE, params["calendar"], VARIABLE))
    return found


def read_file(path: str, option: str = FILE_OPTION) -> Entries:
    """Return the entries of a JSON or YAML file."""
    return parse_text(read_bytes(path, option, MAX_BYTES), option, path)


def read_bytes(path: str, option: str, limit: int) -> bytes:
    """Return the file's bytes; InputError when it cannot be read or is larger than *limit*."""
    try:
        with Path(path).expanduser().open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise InputError(option, path, "a file that can be read", f"it cannot: {error.strerror or error}") from error
    if len(data) > limit:
        raise InputError(option, path, f"a file of at most {limit} bytes")
    return data


def parse_text(data: bytes, option: str, source: str) -> Entries:
    """Return the entries of a calendar in JSON or YAML, whatever the name of the file."""
    try:
        raw = json.loads(data)
    except (ValueError, RecursionError):
        raw = _from_yaml(data, option, source)
    return parse_entries(option, raw, source)


def _from_yaml(data: bytes, option: str, source: str) -> object:
    if yaml is None:
        raise InputError(option, source, "JSON where PyYAML is not installed", "install PyYAML or save it as JSON")
    try:
        # An alias could unfold a few bytes into gigabytes.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(data, Loader=yaml.SafeLoader)):
            raise InputError(option, source, _A_CALENDAR, "YAML aliases (*name) are not read")
        return _without_dates(yaml.safe_load(data))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        why = getattr(error, "problem", None) or "it cannot be read"
        raise InputError(option, source, _A_CALENDAR, f"{where}{why}") from error


def _without_dates(value: object) -> object:
    """YAML reads an unquoted 2026-10-13 as a date, JSON has it as text."""
    if isinstance(value, Mapping):
        return {str(key): _without_dates(item) for key, item in value.items()}
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, Sequence):
        return [_without_dates(item) for item in value]
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else value
