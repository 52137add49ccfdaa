# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pickle

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (InputError("a", "x", "a number"), "Option a has the value 'x', but it must be a number."),
        (InputError("a", 7, "text", "try b"), "Option a has the value 7, but it must be text; try b."),
        (InputError("a", None, "text"), "Option a has the value None, but it must be text."),
        (InputError("a", "l1\nl2", "one line"), r"Option a has the value 'l1\nl2', but it must be one line."),
        (InputError("a", "é", "ASCII"), "Option a has the value 'é', but it must be ASCII."),
    ],
)
def test_is_one_sentence_with_option_value_and_what_is_allowed(error: InputError, sentence: str) -> None:
    assert str(error) == sentence
    assert isinstance(error, ValueError)


def test_long_values_are_cut() -> None:
    assert len(str(InputError("a", "x" * 10_000, "short"))) < 300


def test_survives_pickling() -> None:
    error = InputError("a", "x", "a number", "try b")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.option, again.value, again.next_step) == (str(error), "a", "x", "try b")
