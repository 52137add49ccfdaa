# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the parts of a query are, and the steps that need more than one row: columns, order, groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from lark import Token

from hotpatch_emulator.kql_functions import sort_key, text_of

Row = dict[str, Any]


class Scope(NamedTuple):
    """What an expression is evaluated in; made for every row, so a tuple."""

    row: Row
    now: datetime


@dataclass(frozen=True)
class Expression:
    """``value`` computes it; ``title`` is the column name it gets by itself; ``bare`` marks a lone name.

    ``constant`` holds a value that is the same for every row.
    """

    value: Callable[[Scope], Any]
    title: str = ""
    bare: Token | None = None
    constant: Any = None


@dataclass(frozen=True)
class Column:
    name: str
    expression: Expression


@dataclass(frozen=True)
class Ordering:
    expression: Expression
    descending: bool
    nulls_first: bool


@dataclass(frozen=True)
class Aggregated:
    name: str
    function: Callable[[list[Any]], Any]
    argument: Expression | None


Step = Callable[[list[Row], datetime], list[Row]]


def named(columns: list[Column]) -> tuple[Column, ...]:
    """Give columns without a name of their own Kusto's: Column1, Column2 ..."""
    named, number = [], 0
    for column in columns:
        if not column.name:
            number += 1
            column = Column(f"Column{number}", column.expression)
        named.append(column)
    return tuple(named)


def projection(columns: tuple[Column, ...]) -> Step:
    def step(rows: list[Row], now: datetime) -> list[Row]:
        return [{column.name: column.expression.value(Scope(row, now)) for column in columns} for row in rows]

    return step


def sorting(orderings: list[Ordering]) -> Step:
    def step(rows: list[Row], now: datetime) -> list[Row]:
        result = list(rows)
        for ordering in reversed(orderings):
            value = ordering.expression.value
            keyed = [(value(Scope(row, now)), row) for row in result]
            nulls = [row for key, row in keyed if key is None]
            there = [pair for pair in keyed if pair[0] is not None]
            there.sort(key=lambda pair: sort_key(pair[0]), reverse=ordering.descending)
            rest = [row for _key, row in there]
            result = nulls + rest if ordering.nulls_first else rest + nulls
        return result

    return step


def summary(aggregates: list[Aggregated], keys: tuple[Column, ...]) -> Step:
    def step(rows: list[Row], now: datetime) -> list[Row]:
        groups: dict[tuple[str, ...], tuple[Row, list[Row]]] = {}
        for row in rows:
            values = {key.name: key.expression.value(Scope(row, now)) for key in keys}
            groups.setdefault(tuple(map(text_of, values.values())), (values, []))[1].append(row)
        if not keys:
            groups.setdefault((), ({}, []))
        result = []
        for values, members in groups.values():
            line = dict(values)
            for aggregate in aggregates:
                argument = aggregate.argument
                line[aggregate.name] = aggregate.function(
                    [argument.value(Scope(row, now)) if argument else None for row in members]
                )
            result.append(line)
        return result

    return step
