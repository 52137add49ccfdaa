# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the Kusto Query Language that fleet tools send to Azure Resource Graph, parsed and run over rows.

Tables are iterables of dicts. Supported are where, extend, project, project-away, order/sort by, limit/take, top,
distinct, count and summarize (``kql_functions`` has the functions); whatever else is refused with the place in the
query. The packages for KQL on PyPI know no ``in~`` or no paths in ``project``, or are twenty thousand generated
lines, so the grammar is here and lark, a kept parser generator, reads it.

Semantics follow Microsoft's reference of KQL as far as the subset goes: names of columns are case-sensitive, names
of tables are not, and a path into a dynamic value that does not exist is null.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken, VisitError

from hotpatch_emulator.kql_functions import AGGREGATES, FUNCTIONS, OPERATORS, moment_of, number_of, text_of
from hotpatch_emulator.kql_steps import (
    Aggregated,
    Column,
    Expression,
    Ordering,
    Row,
    Scope,
    Step,
    named,
    projection,
    sorting,
    summary,
)

_GRAMMAR = r"""
start: (table | _operator) ("|" _operator)* ";"?
table: NAME
_operator: where | extend | project | project_away | order | limit | top | distinct | count | summarize
where: "where" expression
extend: "extend" column ("," column)*
project: "project" column ("," column)*
project_away: PROJECT_AWAY NAME ("," NAME)*
order: ("order" | "sort") "by" ordering ("," ordering)*
limit: ("limit" | "take") NUMBER
top: "top" NUMBER "by" ordering ("," ordering)*
distinct: "distinct" column ("," column)*
count: "count"
summarize: "summarize" (aggregate ("," aggregate)*)? ("by" by)?
by: column ("," column)*
aggregate: (NAME "=")? NAME "(" expression? ")"
column: (NAME "=")? expression
ordering: expression DIRECTION? ("nulls" NULLS)?

?expression: conjunction | expression "or" conjunction    -> either
?conjunction: test | conjunction "and" test               -> both
?test: sum
    | sum (COMPARISON | WORD_TEST) sum                    -> compare
    | sum LIST_TEST "(" expression ("," expression)* ")"  -> contained
    | sum "between" "(" sum ".." sum ")"                  -> between
?sum: postfix
    | sum SIGN postfix                                    -> add
?postfix: atom
    | postfix "." NAME                                    -> member
    | postfix "[" (NUMBER | STRING) "]"                   -> item
?atom: NAME                                               -> name
    | "[" STRING "]"                                      -> quoted_name
    | NAME "(" (expression ("," expression)*)? ")"        -> call
    | "(" expression ")"
    | STRING                                              -> string
    | TIMESPAN                                            -> timespan
    | DATETIME                                            -> moment
    | NUMBER                                              -> number
    | BOOLEAN                                             -> boolean

COMPARISON: "==" | "!=" | "=~" | "!~" | "<=" | ">=" | "<" | ">"
WORD_TEST: /(!?(has_cs|has|contains_cs|contains|startswith_cs|startswith|endswith_cs|endswith)|matches\s+regex)\b/
LIST_TEST: /!?in~?(?=\s*\()/ | /has_any(?=\s*\()/
DIRECTION: "asc" | "desc"
NULLS: "first" | "last"
SIGN: "+" | "-"
BOOLEAN.2: /(true|false)\b/
PROJECT_AWAY.3: "project-away"
DATETIME.4: /datetime\([^)]*\)/
TIMESPAN.3: /\d+(\.\d+)?(ms|d|h|m|s)\b/
NUMBER: /\d+(\.\d+)?/
NAME: /[A-Za-z_]\w*/
STRING: /@?"([^"\\\n]|\\.)*"|@?'([^'\\\n]|\\.)*'/
COMMENT: /\/\/[^\n]*/
%ignore /\s+/
%ignore COMMENT
"""


class KqlError(Exception):
    """A query that cannot be read; ``line`` and ``column`` (from 0) say where, ``token`` what stands there."""

    def __init__(self, message: str, line: int, column: int, token: str) -> None:
        super().__init__(message)
        self.line, self.column, self.token = line, column, token


@dataclass(frozen=True)
class Query:
    """A query ready to run; ``table`` is in lower case."""

    table: str
    steps: tuple[Step, ...]

    def run(self, rows: Iterable[Row], now: datetime) -> list[Row]:
        """Return the rows of the result; ``now`` is what now() and ago() mean. Rows given are not changed."""
        result = list(rows)
        for step in self.steps:
            result = step(result, now)
        return result


def _unquoted(token: str) -> str:
    if token.startswith("@"):
        return token[2:-1]
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found.group(1), found.group(1)), token[1:-1])


def _error_at(token: Token, message: str) -> KqlError:
    return KqlError(message, token.line or 1, (token.column or 1) - 1, str(token))


class _Builder(Transformer[Token, Query]):
    """Turns the parse tree into closures."""

    # -- expressions --------------------------------------------------------------------------------------------

    def name(self, children: list[Token]) -> Expression:
        token = children[0]
        return Expression(lambda scope: scope.row.get(token.value), token.value, token)

    def quoted_name(self, children: list[Token]) -> Expression:
        wanted = _unquoted(children[0])
        return Expression(lambda scope: scope.row.get(wanted), wanted)

    def _inside(self, target: Expression, key: str | int) -> Expression:
        def value(scope: Scope) -> Any:
            holder = target.value(scope)
            if isinstance(holder, Mapping):
                return holder.get(str(key))
            if isinstance(holder, list) and isinstance(key, int) and key < len(holder):
                return holder[key]
            return None

        title = f"{target.title}_{key}" if target.title else ""
        return Expression(value, title)

    def member(self, children: list[Any]) -> Expression:
        return self._inside(children[0], str(children[1]))

    def item(self, children: list[Any]) -> Expression:
        token: Token = children[1]
        return self._inside(children[0], int(token) if token.type == "NUMBER" else _unquoted(token))

    def string(self, children: list[Token]) -> Expression:
        return self._constant(_unquoted(children[0]))

    def number(self, children: list[Token]) -> Expression:
        return self._constant(float(children[0]) if "." in children[0] else int(children[0]))

    def boolean(self, children: list[Token]) -> Expression:
        return self._constant(children[0] == "true")

    def timespan(self, children: list[Token]) -> Expression:
        amount, unit = re.fullmatch(r"([\d.]+)(\w+)", children[0]).groups()  # type: ignore[union-attr]
        names = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}
        return self._constant(timedelta(**{names[unit]: float(amount)}))

    def moment(self, children: list[Token]) -> Expression:
        return self._constant(moment_of(children[0][len("datetime(") : -1].strip("\"' ")))

    @staticmethod
    def _constant(value: Any) -> Expression:
        return Expression(lambda _scope: value, constant=value)

    def call(self, children: list[Any]) -> Expression:
        name, arguments = children[0], [child.value for child in children[1:] if child is not None]
        if name == "now" and len(arguments) <= 1:
            if not arguments:
                return Expression(lambda scope: scope.now)
            return Expression(lambda scope: scope.now + arguments[0](scope))
        if name == "ago" and len(arguments) == 1:
            return Expression(lambda scope: scope.now - arguments[0](scope))
        function, least, most = FUNCTIONS.get(name, (None, 0, 0))
        if function is None or not least <= len(arguments) <= most:
            raise _error_at(name, f"the emulator has no function {name} of {len(arguments)} arguments")
        known = function
        return Expression(lambda scope: known(*(argument(scope) for argument in arguments)))

    def add(self, children: list[Any]) -> Expression:
        left, sign, right = children

        def value(scope: Scope) -> Any:
            one, other = left.value(scope), right.value(scope)
            if not isinstance(one, (datetime, timedelta)):
                one = number_of(one)
            if not isinstance(other, (datetime, timedelta)):
                other = number_of(other)
            if one is None or other is None:
                return None
            return one + other if sign == "+" else one - other

        return Expression(value)

    def compare(self, children: list[Any]) -> Expression:
        left, token, right = children
        operator = " ".join(str(token).split())
        wanted = operator not in ("!=", "!~") and not operator.startswith("!")
        plain = {"!=": "==", "!~": "=~"}.get(operator, operator.removeprefix("!"))
        test = OPERATORS[plain]
        return Expression(lambda scope: test(left.value(scope), right.value(scope)) is wanted)

    def contained(self, children: list[Any]) -> Expression:
        left, operator, *items = children
        if operator == "has_any":
            test = OPERATORS["has"]
            return Expression(lambda scope: any(test(left.value(scope), item.value(scope)) for item in items))
        fold = operator.endswith("~")
        wanted = not operator.startswith("!")

        def text(value: Any) -> str:
            return text_of(value).lower() if fold else text_of(value)

        # Lists of hundreds of IDs are usual: look them up, do not go through them for every row.
        known = frozenset(text(item.constant) for item in items if item.constant is not None)
        others = [item for item in items if item.constant is None]

        def value(scope: Scope) -> bool:
            mine = text(left.value(scope))
            return (mine in known or any(mine == text(item.value(scope)) for item in others)) is wanted

        return Expression(value)

    def between(self, children: list[Any]) -> Expression:
        value, least, most = children
        not_less, not_more = OPERATORS[">="], OPERATORS["<="]
        return Expression(
            lambda scope: (
                not_less(value.value(scope), least.value(scope)) and not_more(value.value(scope), most.value(scope))
            )
        )

    def either(self, children: list[Expression]) -> Expression:
        left, right = children
        return Expression(lambda scope: bool(left.value(scope)) or bool(right.value(scope)))

    def both(self, children: list[Expression]) -> Expression:
        left, right = children
        return Expression(lambda scope: bool(left.value(scope)) and bool(right.value(scope)))

    # -- operators ----------------------------------------------------------------------------------------------

    def column(self, children: list[Any]) -> Column:
        given, expression = children if len(children) == 2 else (None, children[0])
        return Column(str(given) if given is not None else expression.title, expression)

    def ordering(self, children: list[Any]) -> Ordering:
        expression, words = children[0], [str(child) for child in children[1:] if child is not None]
        descending = "asc" not in words
        return Ordering(expression, descending, "first" in words if len(words) == 2 else not descending)

    def aggregate(self, children: list[Any]) -> Aggregated:
        argument = children.pop() if isinstance(children[-1], Expression) else None
        *given, name = [child for child in children if child is not None]
        function, least, most = AGGREGATES.get(name, (None, 0, 0))
        if function is None or not least <= int(argument is not None) <= most:
            raise _error_at(name, f"the emulator has no aggregation {name} of this form")
        title = f"{name}_{argument.title if argument else ''}"
        return Aggregated(str(given[0]) if given else title, function, argument)

    def by(self, children: list[Column]) -> tuple[Column, ...]:
        return named(children)

    def where(self, children: list[Expression]) -> Step:
        test = children[0]
        if test.bare is not None:
            # Resource Graph takes no lone name for a predicate (recorded: "where where" ends too early).
            raise KqlError("incomplete predicate", test.bare.end_line or 1, (test.bare.end_column or 1) - 1, "<EOF>")
        return lambda rows, now: [row for row in rows if test.value(Scope(row, now))]

    def extend(self, children: list[Column]) -> Step:
        columns = named(children)

        def step(rows: list[Row], now: datetime) -> list[Row]:
            result = []
            for row in rows:
                wider = dict(row)
                for column in columns:
                    wider[column.name] = column.expression.value(Scope(wider, now))
                result.append(wider)
            return result

        return step

    def project(self, children: list[Column]) -> Step:
        return projection(named(children))

    def project_away(self, children: list[Token]) -> Step:
        gone = {str(name) for name in children[1:]}
        return lambda rows, _now: [{key: row[key] for key in row if key not in gone} for row in rows]

    def order(self, children: list[Ordering]) -> Step:
        return sorting(children)

    def limit(self, children: list[Token]) -> Step:
        number = int(float(children[0]))
        return lambda rows, _now: rows[:number]

    def top(self, children: list[Any]) -> Step:
        number, ordered = int(float(children[0])), sorting(children[1:])
        return lambda rows, now: ordered(rows, now)[:number]

    def distinct(self, children: list[Column]) -> Step:
        projected = projection(named(children))

        def step(rows: list[Row], now: datetime) -> list[Row]:
            return list({text_of(row): row for row in projected(rows, now)}.values())

        return step

    def count(self, _children: list[Any]) -> Step:
        return lambda rows, _now: [{"Count": len(rows)}]

    def summarize(self, children: list[Any]) -> Step:
        keys = next((child for child in children if isinstance(child, tuple)), ())
        return summary([child for child in children if isinstance(child, Aggregated)], keys)

    def table(self, children: list[Token]) -> str:
        return str(children[0]).lower()

    def start(self, children: list[Any]) -> Query:
        table, steps = (children[0], children[1:]) if isinstance(children[0], str) else ("resources", children)
        return Query(table, tuple(steps))


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=False)


@lru_cache(maxsize=256)
def parse(text: str) -> Query:
    """Read a query; KqlError says where it cannot be read."""
    lines = text.split("\n")
    end = (len(lines), len(lines[-1]))
    try:
        return _Builder().transform(_parser().parse(text))
    except UnexpectedEOF as error:
        raise KqlError("the query ends too early", *end, "<EOF>") from error
    except UnexpectedToken as error:
        if error.token.type == "$END":
            raise KqlError("the query ends too early", *end, "<EOF>") from error
        raise _error_at(error.token, f"unexpected {error.token}") from error
    except UnexpectedCharacters as error:
        token = re.match(r"[\w-]+|.", text[error.pos_in_stream :], re.DOTALL)
        found = token.group() if token else "<EOF>"
        raise KqlError(f"unexpected {found}", error.line, error.column - 1, found) from error
    except VisitError as error:
        if isinstance(error.orig_exc, KqlError):
            raise error.orig_exc from None
        raise
