# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which shape a guest writes its answers, one named switch for each thing in which WS-Management servers differ.

The first value of every switch is what was captured from Windows Server 2008 R2 to 2016; the others were captured from
Windows Server 2003 or from Microsoft OMI, or are what client code in use against Windows tolerates. ``omi`` is all of
Microsoft OMI's own at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import Any

SWITCHES: Mapping[str, Mapping[str, str]] = {
    "paging": {
        "one_then_pull": "of several rows the first answer carries one, the rest is pulled",
        "all_at_once": "all rows that fit come with the first answer (Server 2003, OMI)",
        "none_then_pull": "the first answer has no Items at all, whatever was asked",
        "one_each": "every answer carries one row",
    },
    "namespaces": {
        "as_captured": "Items and EndOfSequence are of WS-Management with Enumerate, of WS-Enumeration with Pull",
        "swapped": "the other way round",
        "wsman": "always of WS-Management",
        "enumeration": "always of WS-Enumeration",
    },
    "rows": {
        "as_asked": "a projection gives XmlFragment rows, anything else typed ones",
        "full": "whole typed rows, also for a projection",
        "refused": "a projection is no valid query (OMI)",
    },
    "dates": {
        "utc": "with as many fraction digits as needed, and Z",
        "offset": "in local time, with its offset",
        "nanoseconds": "with nine fraction digits",
        "whole_seconds": "without a fraction",
        "dmtf": "WMI's own text inside Datetime",
        "text": "WMI's own text without a Datetime element",
    },
    "null": {"nil": "xsi:nil", "omitted": "the property is left out"},
    "booleans": {"lower": "true", "upper": "TRUE (OMI)", "digit": "1"},
    "end": {
        "empty_context": "Enumerate's last answer has an empty context, Pull's none",
        "with_context": "an ended enumeration has a context all the same (OMI)",
        "no_context": "there is no context element",
    },
    "output": {"method": "<Method>_OUTPUT", "class": "<Class>_OUTPUT (OMI)"},
}
PRESETS: Mapping[str, Mapping[str, str]] = {
    "omi": {
        **{"paging": "all_at_once", "rows": "refused", "booleans": "upper"},
        **{"end": "with_context", "output": "class"},
    },
}
_LOCAL = timezone(timedelta(hours=2))


@dataclass(frozen=True)
class Shape:
    """One value for every switch."""

    paging: str = "one_then_pull"
    namespaces: str = "as_captured"
    rows: str = "as_asked"
    dates: str = "utc"
    null: str = "nil"
    booleans: str = "lower"
    end: str = "empty_context"
    output: str = "method"

    @classmethod
    def parse(cls, given: Any) -> Shape:
        """Read switches by name, or a preset's name; ValueError says in one sentence what is wrong."""
        if isinstance(given, str):
            if given not in PRESETS:
                raise ValueError(f"guest fault shape {given!r} is not allowed; choose one of {', '.join(PRESETS)}")
            given = PRESETS[given]
        if not isinstance(given, Mapping):
            raise ValueError(f"guest fault shape {given!r} is neither a mapping of switches nor a preset's name")
        for name, value in given.items():
            if name not in SWITCHES:
                raise ValueError(f"guest fault shape has no switch {name!r}; there are {', '.join(SWITCHES)}")
            if value not in SWITCHES[name]:
                allowed = ", ".join(SWITCHES[name])
                raise ValueError(f"guest fault shape {name} {value!r} is not allowed; choose one of {allowed}")
        return cls(**{str(name): str(value) for name, value in given.items()})

    def prefix(self, pulling: bool) -> str:
        """The prefix of Items and EndOfSequence."""
        fixed = {"wsman": "w", "enumeration": "n"}.get(self.namespaces)
        return fixed or ("n" if pulling is (self.namespaces == "as_captured") else "w")

    def boolean(self, value: bool) -> str:
        words = {"lower": ("false", "true"), "upper": ("FALSE", "TRUE"), "digit": ("0", "1")}
        return words[self.booleans][value]

    def moment(self, value: datetime) -> str:
        """The text of a date."""
        utc = value.astimezone(timezone.utc)
        if self.dates in ("dmtf", "text"):
            return to_dmtf(value)
        if self.dates == "offset":
            return utc.astimezone(_LOCAL).isoformat()
        whole = utc.strftime("%Y-%m-%dT%H:%M:%S")
        if self.dates == "nanoseconds":
            return f"{whole}.{utc.microsecond:06d}000Z"
        fraction = f".{utc.microsecond:06d}".rstrip("0") if utc.microsecond and self.dates == "utc" else ""
        return f"{whole}{fraction}Z"


def to_dmtf(moment: datetime) -> str:
    """WMI's own text form, such as 20260513010000.000000+000."""
    return moment.astimezone(timezone.utc).strftime("%Y%m%d%H%M%S.%f+000")


assert [one.name for one in fields(Shape)] == list(SWITCHES)
WINDOWS = Shape()
