# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the domain's frozen dataclasses into plain JSON and back, by their own type hints.

Machines and guests cross process borders as Ansible results: from ``machine_info`` into a plan, from the probe into a
proof. One codec keeps both directions in step. Dates become ISO 8601 text, tuples lists, resource IDs their text.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import types
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from .timestamps import parse_timestamp, to_iso

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Return value as JSON types only; TypeError for what no JSON can carry.

    An object with its own ``to_dict`` decides itself, one with ``parse`` (a resource ID) becomes its text.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime):
        return to_iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if hasattr(type(value), "parse"):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return fields_to_plain(value)
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value) if isinstance(value, (set, frozenset)) else value
        return [to_plain(item) for item in items]
    raise TypeError(f"{type(value).__name__} cannot be written as plain JSON.")


def fields_to_plain(value: Any) -> dict[str, Any]:
    """Return the dataclass' own fields as plain JSON, in their order of definition."""
    return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}


def from_plain(kind: type[T], raw: Any) -> T:
    """Return the dataclass that :func:`to_plain` wrote; unknown keys are ignored, missing ones take the default.

    ValueError when a required field is missing or a value does not fit its type.
    """
    return cast(T, _decode(kind, raw, kind.__name__))


def _decode(hint: Any, raw: Any, where: str) -> Any:
    if hint is Any:
        return raw
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(hint, raw, where)
    if origin is tuple:
        return tuple(_decode(get_args(hint)[0], item, where) for item in _expect(list, raw, where))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        value_hint = get_args(hint)[1]
        return {str(key): _decode(value_hint, item, where) for key, item in _expect(dict, raw, where).items()}
    if origin is not None and dataclasses.is_dataclass(origin):
        return _decode_dataclass(origin, raw, where, get_args(hint))
    if origin is not None:  # a Literal
        if raw not in get_args(hint):
            raise ValueError(f"{where} cannot be {raw!r}.")
        return raw
    return _decode_class(hint, raw, where)


def _decode_class(hint: Any, raw: Any, where: str) -> Any:
    if hint is datetime:
        return parse_timestamp(_expect(str, raw, where))
    if hint is date:
        return date.fromisoformat(_expect(str, raw, where))
    if hasattr(hint, "parse"):
        return hint.parse(_expect(str, raw, where))
    if dataclasses.is_dataclass(hint):
        return _decode_dataclass(hint, raw, where, ())
    if hint is float:
        return float(_expect((int, float), raw, where))
    return _expect(hint, raw, where)


def _decode_union(hint: Any, raw: Any, where: str) -> Any:
    choices = [choice for choice in get_args(hint) if choice is not types.NoneType]
    if raw is None:
        return None
    return _decode(choices[0], raw, where)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    # Resolving the annotations anew took most of the time that reading a machine takes.
    return get_type_hints(kind)


def _decode_dataclass(kind: Any, raw: Any, where: str, arguments: tuple[Any, ...]) -> Any:
    values = _expect(dict, raw, where)
    hints = _hints(kind)
    variables = dict(zip(getattr(kind, "__parameters__", ()), arguments))
    found: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        if field.name in values:
            hint = _bind(hints[field.name], variables)
            found[field.name] = _decode(hint, values[field.name], f"{where}.{field.name}")
    try:
        return kind(**found)
    except TypeError as error:
        raise ValueError(f"{where} is incomplete: {error}.") from error


def _bind(hint: Any, variables: Mapping[Any, Any]) -> Any:
    """Put the argument of a generic dataclass (the T of Fact[T]) in place of its type variable."""
    if isinstance(hint, TypeVar):
        return variables.get(hint, Any)
    if get_origin(hint) in (Union, types.UnionType):
        return functools.reduce(operator.or_, (_bind(choice, variables) for choice in get_args(hint)))
    return hint


def _expect(kind: Any, raw: Any, where: str) -> Any:
    """Return raw when it is of that JSON type; a boolean is no number."""
    wrong_boolean = isinstance(raw, bool) and kind is not bool
    if wrong_boolean or not isinstance(raw, kind):
        raise ValueError(f"{where} cannot be {raw!r}.")
    return raw
