# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one error that the domain raises: an input that cannot be right.

Everything else the domain meets is a fact (:mod:`.facts`) or a decision with reasons, never an exception.
"""

from __future__ import annotations

_LONGEST_VALUE = 200


class InputError(ValueError):
    """An option holds a value that cannot work; ``str()`` is one sentence for the user.

    :param option: the option's name as the user writes it.
    :param value: the value as given; shown shortened, so never hand a secret to this class.
    :param allowed: a noun phrase of what would have been accepted ("an ISO 8601 duration such as PT2H").
    :param next_step: what the user can do about it, as the rest of a sentence; may be empty.
    """

    def __init__(self, option: str, value: object, allowed: str, next_step: str = "") -> None:
        self.option = option
        self.value = value
        self.allowed = allowed
        self.next_step = next_step
        super().__init__(self._sentence())

    def _sentence(self) -> str:
        shown = repr(self.value)
        if len(shown) > _LONGEST_VALUE:
            shown = shown[:_LONGEST_VALUE] + "..."
        tail = f"; {self.next_step}" if self.next_step else ""
        return f"Option {self.option} has the value {shown}, but it must be {self.allowed}{tail}."

    def __reduce__(self) -> tuple[type[InputError], tuple[str, object, str, str]]:
        """Survive pickling: ansible-core hands exceptions between processes."""
        return (type(self), (self.option, self.value, self.allowed, self.next_step))
