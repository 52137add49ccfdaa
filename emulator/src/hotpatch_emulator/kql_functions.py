# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values, comparisons and functions of the Kusto Query Language as far as ``kql`` knows it.

Values are JSON's, plus aware datetimes and timedeltas. Null is None and compares as the empty string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

Function = Callable[..., Any]
Aggregate = Callable[[Sequence[Any]], Any]

_FRACTION = re.compile(r"\.(\d+)")
_TERM = re.compile(r"[0-9a-z]+")
_UNIX = datetime(1970, 1, 1, tzinfo=timezone.utc)


def text_of(value: Any) -> str:
    """Any value as tostring() gives it: dynamic ones as JSON, true as "true", null as nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    return json.dumps(value, separators=(",", ":"), default=str)


def moment_of(value: Any) -> datetime | None:
    """todatetime(): ISO 8601 with any number of fraction digits; null where it is none."""
    if isinstance(value, datetime):
        return value
    text = _FRACTION.sub(lambda found: "." + found.group(1)[:6].ljust(6, "0"), text_of(value).strip())
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def number_of(value: Any) -> float | int | None:
    """A number, or a text that is one; null otherwise."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (int, float)):
        return value
    try:
        return float(text_of(value)) if "." in text_of(value) else int(text_of(value))
    except ValueError:
        return None


def sort_key(value: Any) -> tuple[int, Any]:
    """Orders values of one column, whatever they are; null comes first, as in ascending order."""
    if value is None:
        return (0, "")
    if isinstance(value, (bool, int, float)):
        return (1, float(value))
    if isinstance(value, datetime):
        return (2, (value - _UNIX).total_seconds())
    return (3, text_of(value))


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(text_of(value).lower())


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _split(text: Any, separator: Any, index: Any = None) -> list[str]:
    parts = text_of(text).split(text_of(separator))
    if index is None:
        return parts
    wanted = int(index)
    return [parts[wanted]] if -len(parts) <= wanted < len(parts) else []


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None and value != ""), None)


def _whole(value: Any) -> int | None:
    number = number_of(value)
    return None if number is None else int(number)


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else None


def _replaced(text: Any, pattern: Any, new: Any) -> str:
    return text_of(text).replace(text_of(pattern), text_of(new))


FUNCTIONS: dict[str, tuple[Function, int, int]] = {
    # name: (function, least, most arguments); now and ago need the clock and are kql's own
    "tostring": (text_of, 1, 1),
    "tolower": (lambda value: text_of(value).lower(), 1, 1),
    "toupper": (lambda value: text_of(value).upper(), 1, 1),
    "toint": (_whole, 1, 1),
    "tolong": (_whole, 1, 1),
    "todouble": (number_of, 1, 1),
    "tobool": (_boolean, 1, 1),
    "todatetime": (moment_of, 1, 1),
    "parse_json": (_parsed, 1, 1),
    "todynamic": (_parsed, 1, 1),
    "split": (_split, 2, 3),
    "strcat": (lambda *values: "".join(text_of(value) for value in values), 1, 64),
    "strlen": (lambda value: len(text_of(value)), 1, 1),
    "replace_string": (_replaced, 3, 3),
    "isempty": (lambda value: text_of(value) == "", 1, 1),
    "isnotempty": (lambda value: text_of(value) != "", 1, 1),
    "isnull": (lambda value: value is None, 1, 1),
    "isnotnull": (lambda value: value is not None, 1, 1),
    "not": (lambda value: not value, 1, 1),
    "iff": (lambda test, yes, no: yes if test else no, 3, 3),
    "iif": (lambda test, yes, no: yes if test else no, 3, 3),
    "coalesce": (_coalesce, 2, 64),
    "array_length": (_length, 1, 1),
}

AGGREGATES: dict[str, tuple[Aggregate, int, int]] = {
    # name: (of the values of its argument in one group, least, most arguments)
    "count": (len, 0, 0),
    "countif": (lambda values: sum(1 for value in values if value), 1, 1),
    "dcount": (lambda values: len({text_of(value) for value in values}), 1, 1),
    "min": (lambda values: min((v for v in values if v is not None), key=sort_key, default=None), 1, 1),
    "max": (lambda values: max((v for v in values if v is not None), key=sort_key, default=None), 1, 1),
    "sum": (lambda values: sum(number_of(value) or 0 for value in values), 1, 1),
    "make_list": (lambda values: [value for value in values if value is not None], 1, 1),
    "make_set": (lambda values: list(dict.fromkeys(text_of(value) for value in values if value is not None)), 1, 1),
}


def _terms(text: str) -> tuple[str, ...]:
    return tuple(_TERM.findall(text))


def _has(text: Any, wanted: Any) -> bool:
    """The whole terms of ``wanted`` side by side in the text, whatever the case."""
    return _has_terms(_terms(text_of(text).lower()), _terms(text_of(wanted).lower()))


def _has_terms(there: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    width = len(wanted)
    return any(there[at : at + width] == wanted for at in range(len(there) - width + 1))


def _has_case(text: Any, wanted: Any) -> bool:
    return re.search(rf"(?<![0-9A-Za-z]){re.escape(text_of(wanted))}(?![0-9A-Za-z])", text_of(text)) is not None


def _equal(left: Any, right: Any) -> bool:
    for convert, kind in ((moment_of, datetime), (number_of, (int, float))):
        if isinstance(left, kind) != isinstance(right, kind) and not isinstance(left or right, bool):
            return bool(convert(left) == convert(right))
    return left == right if isinstance(left, type(right)) else text_of(left) == text_of(right)


def _ordered(test: Callable[[Any, Any], bool]) -> Function:
    def compare(left: Any, right: Any) -> bool:
        one: Any
        other: Any
        if isinstance(left, (datetime, timedelta)) or isinstance(right, (datetime, timedelta)):
            one, other = (value if isinstance(value, timedelta) else moment_of(value) for value in (left, right))
        elif isinstance(left, (int, float)) or isinstance(right, (int, float)):
            one, other = number_of(left), number_of(right)
        else:
            one, other = text_of(left), text_of(right)
        return one is not None and other is not None and type(one) is type(other) and test(one, other)

    return compare


def _word(test: Callable[[str, str], bool], fold: bool = True) -> Function:
    def compare(left: Any, right: Any) -> bool:
        one, other = text_of(left), text_of(right)
        return test(one.lower(), other.lower()) if fold else test(one, other)

    return compare


OPERATORS: dict[str, Function] = {
    "==": _equal,
    "=~": _word(lambda one, other: one == other),
    "<": _ordered(lambda one, other: one < other),
    "<=": _ordered(lambda one, other: one <= other),
    ">": _ordered(lambda one, other: one > other),
    ">=": _ordered(lambda one, other: one >= other),
    "has": _has,
    "has_cs": _has_case,
    "contains": _word(lambda one, other: other in one),
    "contains_cs": _word(lambda one, other: other in one, fold=False),
    "startswith": _word(lambda one, other: one.startswith(other)),
    "startswith_cs": _word(lambda one, other: one.startswith(other), fold=False),
    "endswith": _word(lambda one, other: one.endswith(other)),
    "endswith_cs": _word(lambda one, other: one.endswith(other), fold=False),
    "matches regex": _word(lambda one, other: re.search(other, one) is not None, fold=False),
}
"""Comparisons that are true of two values; ``!`` before one, and != and !~, turn it round."""
