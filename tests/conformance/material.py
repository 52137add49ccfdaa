# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the exchanges and documents are that the collection and the emulator are judged by."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXCHANGES = Path(__file__).resolve().parent / "exchanges"
# Not part of this project: Azure's published OpenAPI files and recorded traffic, where a developer has them.
AZURE_MATERIAL = Path(os.environ.get("HOTPATCH_AZURE_MATERIAL") or ROOT.parent / "shared" / "azure")


def azure_material(part: str) -> Path:
    """The folder of one part of the material (`specs`, `recordings`); skips the test where it is absent."""
    folder = AZURE_MATERIAL / part
    if not folder.is_dir():
        pytest.skip(f"Azure's {part} are not at {AZURE_MATERIAL} (HOTPATCH_AZURE_MATERIAL names another place)")
    return folder
