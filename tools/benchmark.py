# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make benchmark`: runs benchmarks/run.py, with az and azure.azcollection beside it when PEERS is set."""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def main() -> int:
    """The benchmark's exit code."""
    sys.path.insert(0, str(FOLDER))
    import run

    return run.main(["--peers"] if os.environ.get("PEERS") not in (None, "", "0") else [])


if __name__ == "__main__":
    sys.exit(main())
