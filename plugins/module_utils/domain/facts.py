# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fact is a value, known to be absent, or unreadable with a reason; unreadable is never quietly "no".

A machine whose instance view was not read has an unreadable power state, not a stopped one. Decisions ask
:attr:`Fact.known` first, so that what nobody could read ends as ``unknown`` and not as a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

from .plain import to_plain

T = TypeVar("T")
U = TypeVar("U")

FactState = Literal["value", "absent", "unreadable"]


@dataclass(frozen=True)
class Fact(Generic[T]):
    """One thing read somewhere; made by :meth:`of`, :meth:`absent` and :meth:`unreadable`.

    :param state: ``value``, ``absent`` (it was read, and it is not there) or ``unreadable``.
    :param value: the value; ``None`` unless the state is ``value``.
    :param why: for ``unreadable`` always one reason; for the others an optional remark.
    """

    state: FactState
    value: T | None = None
    why: str = ""

    def __post_init__(self) -> None:
        """Refuse the two shapes that would hide something: a value of None, an unreadable without reason."""
        if self.state not in ("value", "absent", "unreadable"):
            raise ValueError(f"A fact cannot have the state {self.state!r}.")
        if (self.state == "value") is (self.value is None):
            raise ValueError(f"A fact of state {self.state!r} cannot hold {self.value!r}.")
        if self.state == "unreadable" and not self.why:
            raise ValueError("An unreadable fact must say why.")

    @classmethod
    def of(cls, value: T, why: str = "") -> Fact[T]:
        """Return the fact that holds this value."""
        return cls("value", value, why)

    @classmethod
    def absent(cls, why: str = "") -> Fact[T]:
        """Return the fact that it was looked for and is not there."""
        return cls("absent", None, why)

    @classmethod
    def unreadable(cls, why: str) -> Fact[T]:
        """Return the fact that nobody could read it, and why."""
        return cls("unreadable", None, why)

    @classmethod
    def of_optional(cls, value: T | None, why: str = "") -> Fact[T]:
        """Return the value, or absent when it is None (the source was read and holds nothing)."""
        return cls.absent(why) if value is None else cls.of(value)

    @property
    def known(self) -> bool:
        """True when there is a value."""
        return self.state == "value"

    @property
    def is_absent(self) -> bool:
        """True when it was read and is not there."""
        return self.state == "absent"

    @property
    def is_unreadable(self) -> bool:
        """True when nobody could read it."""
        return self.state == "unreadable"

    def map(self, change: Callable[[T], U]) -> Fact[U]:
        """Return the fact with its value changed; absent and unreadable stay as they are."""
        if self.value is None:
            return Fact(self.state, None, self.why)
        return Fact.of(change(self.value), self.why)

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"state", "value", "why"}`` as plain JSON; ``value`` is null unless the state is ``value``."""
        return {"state": self.state, "value": to_plain(self.value), "why": self.why}


@lru_cache(maxsize=4096, typed=True)
def shared_fact(value: T | None) -> Fact[T]:
    """Return :meth:`Fact.of_optional` of a text, number or truth value that many machines share; it is made once."""
    return Fact.of_optional(value)
