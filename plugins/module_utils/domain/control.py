# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what somebody outside says to a rollout that runs: pause, resume, abort, or block a KB at once.

The text is that of the file ``control`` in the state folder, or the value of the tag ``hotpatch-rollout`` of a
resource group: words and ``block KB5087423``, apart by lines, semicolons or commas. Of pause, resume and abort the
last one counts. What cannot be read is never taken for leave to go on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .kb import normal_kb

FILE_NAME = "control"
TAG_NAME = "hotpatch-rollout"
MOST_CHARACTERS = 4096

Word = Literal["resume", "pause", "abort"]
_WORDS: dict[str, Word] = {"pause": "pause", "resume": "resume", "abort": "abort"}
_RANK: dict[Word, int] = {"resume": 0, "pause": 1, "abort": 2}


@dataclass(frozen=True)
class Control:
    """What is asked for: ``resume`` is leave to go on; ``why`` says who asked for what else.

    :param blocked: KBs that may not be installed any more, with where that was said.
    """

    word: Word = "resume"
    why: str = ""
    blocked: Mapping[str, str] = field(default_factory=dict)


def parse_control(text: str, where: str) -> Control:
    """Return what a text says; one with a word that nobody knows pauses, and says so.

    :param where: names the place, as in ``the file /var/lib/hotpatch/control``.
    """
    if len(text) > MOST_CHARACTERS:
        return unreadable(where, f"it holds more than {MOST_CHARACTERS} characters")
    word: Word = "resume"
    blocked: dict[str, str] = {}
    for part in re.split(r"[\n;,]", text):
        said = part.partition("#")[0].strip()
        if not said:
            continue
        lowered = said.lower()
        kb = normal_kb(lowered[len("block") :].strip()) if lowered.startswith("block") else None
        if kb is not None:
            blocked[kb] = f"blocked by {where}"
        elif lowered in _WORDS:
            word = _WORDS[lowered]
        else:
            allowed = "pause, resume, abort and block KB<number>"
            return Control("pause", f"{where} says {said[:80]!r}, and only {allowed} are understood", blocked)
    return Control(word, f"{where} says {word}" if word != "resume" else "", blocked)


def unreadable(where: str, why: str) -> Control:
    """What a place says that cannot be read: wait until it can be."""
    return Control("pause", f"{where} cannot be read: {why}")


def combined(controls: Iterable[Control]) -> Control:
    """Return what several places say together: abort before pause before going on, and everything that is blocked."""
    found = Control()
    for control in controls:
        louder = control if _RANK[control.word] > _RANK[found.word] else found
        found = Control(louder.word, louder.why, {**found.blocked, **control.blocked})
    return found
