# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep Python's search for cyclic garbage out of the way while tens of thousands of machines are read.

It looks at every container again and again while they are made, none of which is garbage: a third of the time that
reading and judging 10,000 machines takes (benchmarks/README.md). What is in no cycle is freed at once as ever.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause it, and leave it as it was found."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
