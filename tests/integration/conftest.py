# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the integration tests share: an embedded Azure of their own, and rollouts over it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import emulator_process
import pytest
from ansible_runs import Rollout

StartEmulator = Callable[..., emulator_process.Emulator]


@pytest.fixture
def start_emulator(tmp_path: Path) -> Iterator[StartEmulator]:
    """Starts an embedded Azure with a fleet file; it is ended with the test."""
    run_dir = tmp_path / "emulator"

    def start(fleet: Path, *options: str) -> emulator_process.Emulator:
        return emulator_process.start(Path(sys.executable).parent, fleet, run_dir, *options)

    yield start
    emulator_process.stop(run_dir)


@pytest.fixture
def rollout_over(tmp_path: Path) -> Callable[..., Rollout]:
    """A rollout over an embedded Azure's inventory, with its state under the test's folder."""

    def over(running: emulator_process.Emulator, **variables: Any) -> Rollout:
        return Rollout(running.inventory, tmp_path / "state", running.environment(), variables)

    return over
