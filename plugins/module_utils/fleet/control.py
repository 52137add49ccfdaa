# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look, while a rollout runs, at what somebody outside asks of it: a file in its state folder, tags of resource groups.

The file is read before every start. Tags are a request to Azure each, so they are read every half minute, and what was
read last counts in between.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..azure.errors import AzureFailure
from ..clock import Clock
from ..domain.control import FILE_NAME, MOST_CHARACTERS, TAG_NAME, Control, combined, parse_control, unreadable
from ..domain.errors import InputError
from ..domain.resource_id import GROUP_PATTERN

TAG_SECONDS = 30.0
"""Seconds of the Clock between two readings of the tags."""


class Tags(Protocol):
    """What is asked of Azure; may raise AzureFailure."""

    async def tags(self, resource_group_id: str) -> Mapping[str, str]:
        """Return the tags of a resource group."""


def read_file(folder: Path) -> Control:
    """Return what the file ``control`` in the state folder says; one that is not there says nothing."""
    path = folder / FILE_NAME
    where = f"the file {path}"
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read(MOST_CHARACTERS + 1)
    except FileNotFoundError:
        return Control()
    except (OSError, ValueError) as error:
        return unreadable(where, str(getattr(error, "strerror", None) or error))
    return parse_control(text, where)


def check_groups(option: str, groups: Sequence[object]) -> tuple[str, ...]:
    """Return the ARM IDs of resource groups; InputError for one that is none."""
    for group in groups:
        if not GROUP_PATTERN.fullmatch(str(group).rstrip("/")):
            allowed = "the ARM ID of a resource group such as /subscriptions/<id>/resourceGroups/<name>"
            raise InputError(option, group, allowed)
    return tuple(str(group).rstrip("/") for group in groups)


class Steering:
    """Everything that may be said to one rollout from outside."""

    def __init__(self, folder: Path, clock: Clock, groups: Sequence[str] = (), tags: Tags | None = None) -> None:
        """Watch the folder's control file, and the tag of each of *groups* (ARM IDs) where *tags* can ask for it."""
        self._folder = folder
        self._clock = clock
        self._groups = tuple(groups)
        self._tags = tags
        self._tagged: dict[str, Control] = {}

    def look(self) -> Control:
        """What is said at this moment: by the file as it is, by tags as they were read last."""
        return combined([read_file(self._folder), *self._tagged.values()])

    async def refresh(self) -> None:
        """Read the tags. One that cannot be read pauses, and so does one that never was."""
        for group in self._groups:
            where = f"the tag {TAG_NAME} of {group}"
            if self._tags is None:
                self._tagged[group] = unreadable(where, "there is no way to Azure here")
                continue
            try:
                found = await self._tags.tags(group)
            except AzureFailure as failure:
                self._tagged[group] = unreadable(where, failure.sentence)
                continue
            # Names of tags compare without case.
            text = next((value for name, value in found.items() if name.lower() == TAG_NAME), "")
            self._tagged[group] = parse_control(str(text), where)

    async def follow(self) -> None:
        """Read the tags again and again."""
        while self._groups:
            await self._clock.asleep(TAG_SECONDS)
            await self.refresh()
