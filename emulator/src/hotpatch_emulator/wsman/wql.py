# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""WQL, the part of SQL that WMI understands, parsed by sqlglot with WQL's own quoting rules.

Microsoft's WQL reference: string literals stand in single or double quotes; inside, a backslash, and the quote that
encloses the literal, are written with a backslash before them. There is no doubled quote and no comment. A query
that WMI would refuse raises :class:`InvalidQuery`; that includes valid SQL such as functions, aliases and joins.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import sqlglot
from sqlglot import exp, tokens
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from hotpatch_emulator.wsman.cim import Value
from hotpatch_emulator.wsman.shapes import to_dmtf

_LONGEST_QUERY = 16_384
_STRAY_BACKSLASH = re.compile(r"""\\(?![\\'"])""")
_LITERALS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_ESCAPES = re.compile(r"""\\\\|\\'|\\\"""")

Row = Mapping[str, Value]
Predicate = Callable[[Row], bool]


class InvalidQuery(ValueError):
    """WMI would answer WBEM_E_INVALID_QUERY."""


class Wql(Dialect):
    """WQL's quoting rules for sqlglot."""

    class Tokenizer(tokens.Tokenizer):
        QUOTES: ClassVar[list[tuple[str, str] | str]] = ["'", '"']
        STRING_ESCAPES: ClassVar[list[str]] = ["\\"]
        # WQL quotes no names; the parser needs some quote, and names in it are refused below.
        IDENTIFIERS: ClassVar[list[str | tuple[str, str]]] = ["`"]
        COMMENTS: ClassVar[list[str | tuple[str, str]]] = []


# sqlglot reads \n and the like as control characters wherever a backslash escapes; WQL does not.
Wql.UNESCAPED_SEQUENCES = {"\\\\": "\\", "\\'": "'", '\\"': '"'}


@dataclass(frozen=True)
class Query:
    """A parsed SELECT. ``properties`` is None for ``*``; ``referenced`` are the names in WHERE, as written.

    ``matches`` judges a row whose keys are lower-case property names.
    """

    class_name: str
    properties: tuple[str, ...] | None
    referenced: frozenset[str]
    matches: Predicate

    def check(self, known: Iterable[str]) -> None:
        """Raise InvalidQuery for a property that the class does not have."""
        allowed = {name.lower() for name in known}
        for name in (*(self.properties or ()), *self.referenced):
            if name.lower() not in allowed:
                raise InvalidQuery(f"class {self.class_name} has no property {name}")


@functools.lru_cache(maxsize=256)
def parse(text: str) -> Query:
    """Parse one WQL SELECT. A client asks every guest the same few, so they are kept."""
    if len(text) > _LONGEST_QUERY:
        raise InvalidQuery("the query is too long")
    if any(_STRAY_BACKSLASH.search(_ESCAPES.sub("", literal)) for literal in _LITERALS.findall(text)):
        raise InvalidQuery("a backslash in a string literal must be written twice")
    try:
        statements = sqlglot.parse(text, read=Wql)
        if len(statements) != 1:
            raise InvalidQuery("WQL takes one statement")
        return _query(statements[0])
    except (SqlglotError, RecursionError) as error:
        raise InvalidQuery(str(error)) from error


def _query(tree: exp.Expr | None) -> Query:
    if not isinstance(tree, exp.Select):
        raise InvalidQuery("only SELECT is a WQL data query")
    source = tree.args.get("from_") or tree.args.get("from")
    present = {name for name, value in tree.args.items() if value} - {"expressions", "from", "from_", "where"}
    if source is None or present:
        raise InvalidQuery(f"WQL has no {', '.join(sorted(present)) or 'SELECT without FROM'}")
    table = source.this
    if not isinstance(table, exp.Table) or {name for name, value in table.args.items() if value} != {"this"}:
        raise InvalidQuery("FROM takes one class name")
    where = tree.args.get("where")
    referenced: set[str] = set()
    matches = _predicate(where.this, referenced) if where else _always
    return Query(_name(table.this), _projection(tree.expressions), frozenset(referenced), matches)


def _always(_row: Row) -> bool:
    return True


def _name(node: object) -> str:
    if not isinstance(node, exp.Identifier) or node.args.get("quoted"):
        raise InvalidQuery("a plain name is needed")
    return str(node.this)


def _projection(expressions: list[exp.Expr]) -> tuple[str, ...] | None:
    if len(expressions) == 1 and isinstance(expressions[0], exp.Star):
        return None
    return tuple(_column(item) for item in expressions)


def _column(node: object) -> str:
    if not isinstance(node, exp.Column) or node.args.get("table"):
        raise InvalidQuery("a property name is needed")
    return _name(node.this)


def _referenced(node: object, referenced: set[str]) -> str:
    """Note a property that WHERE names; its lower-case name."""
    name = _column(node)
    referenced.add(name)
    return name.lower()


def _predicate(node: exp.Expr, referenced: set[str]) -> Predicate:
    """Compile a WHERE expression; property names go to ``referenced``."""
    if isinstance(node, exp.Paren):
        return _predicate(node.this, referenced)
    if isinstance(node, exp.And | exp.Or):
        left, right = _predicate(node.this, referenced), _predicate(node.expression, referenced)
        if isinstance(node, exp.And):
            return lambda row: left(row) and right(row)
        return lambda row: left(row) or right(row)
    if isinstance(node, exp.Not):
        inner = _predicate(node.this, referenced)
        return lambda row: not inner(row)
    if isinstance(node, exp.Is):
        name = _referenced(node.this, referenced)
        if not isinstance(node.expression, exp.Null):
            raise InvalidQuery("IS takes NULL")
        return lambda row: row[name] is None
    if isinstance(node, exp.Like):
        return _like(node, referenced)
    return _comparison(node, referenced)


_OPERATORS: dict[type[exp.Expr], Callable[[int], bool]] = {
    exp.EQ: lambda order: order == 0,
    exp.NEQ: lambda order: order != 0,
    exp.LT: lambda order: order < 0,
    exp.LTE: lambda order: order <= 0,
    exp.GT: lambda order: order > 0,
    exp.GTE: lambda order: order >= 0,
}


def _comparison(node: exp.Expr, referenced: set[str]) -> Predicate:
    if type(node) not in _OPERATORS:
        raise InvalidQuery(f"WQL has no {node.key.upper()}")
    judge = _OPERATORS[type(node)]
    left, right = node.this, node.expression
    sign = 1
    if not isinstance(left, exp.Column):  # 5 < Index is allowed; turn it round
        left, right, sign = right, left, -1
    name = _referenced(left, referenced)
    literal = _literal(right)
    if literal is None:
        if not isinstance(node, exp.EQ | exp.NEQ):
            raise InvalidQuery("NULL can only be compared with = and <>")
        wanted = isinstance(node, exp.EQ)
        return lambda row: (row[name] is None) == wanted

    def compare(row: Row) -> bool:
        order = _order(row[name], literal)
        return order is not None and judge(order * sign)

    return compare


def _literal(node: object) -> str | int | float | bool | None:
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Neg):
        number = _literal(node.this)
        if isinstance(number, int | float) and not isinstance(number, bool):
            return -number
    elif isinstance(node, exp.Literal):
        if node.is_string:
            return str(node.this)
        return float(node.this) if "." in node.this or "e" in node.this.lower() else int(node.this)
    raise InvalidQuery("a property can only be compared with a constant")


def _order(value: Value, literal: str | int | float | bool) -> int | None:
    """-1, 0 or 1 as value stands to literal, None where WMI finds no match (NULL, arrays, foreign types)."""
    if value is None or isinstance(value, tuple):
        return None
    if isinstance(value, datetime):
        return _sign(to_dmtf(value), str(literal))
    if isinstance(value, bool):
        wanted = literal if isinstance(literal, bool) else {"true": True, "false": False}.get(str(literal).lower())
        return None if wanted is None else _sign(value, wanted)
    if isinstance(value, int):
        try:
            return _sign(value, float(literal))
        except ValueError:
            return None
    return _sign(value.lower(), str(literal).lower())


def _sign(left: object, right: object) -> int:
    return 0 if left == right else (1 if left > right else -1)  # type: ignore[operator]


def _like(node: exp.Like, referenced: set[str]) -> Predicate:
    name = _referenced(node.this, referenced)
    pattern = _literal(node.expression)
    if not isinstance(pattern, str):
        raise InvalidQuery("LIKE takes a string")
    expression = re.compile(_like_regex(pattern), re.IGNORECASE | re.DOTALL)
    return lambda row: isinstance(row[name], str) and expression.fullmatch(str(row[name])) is not None


_LIKE_TOKEN = re.compile(r"%|_|\[(\^?)([^\]]+)\]|.", re.DOTALL)


def _like_regex(pattern: str) -> str:
    """% any run, _ one character, [a-f] and [^a-f] sets, everything else itself."""
    parts = []
    for token in _LIKE_TOKEN.finditer(pattern):
        if token.group() == "%":
            parts.append(".*")
        elif token.group() == "_":
            parts.append(".")
        elif token.group(2):
            inside = re.sub(r"([\\\]\[^&~|])", r"\\\1", token.group(2))
            parts.append(f"[{token.group(1)}{inside}]")
        else:
            parts.append(re.escape(token.group()))
    return "".join(parts)
