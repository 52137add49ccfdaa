# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make benchmark`: benchmarks/run.py and inventory.py, with az and azure.azcollection beside them when PEERS is set.

With the word "inventory", `make benchmark-inventory`: only the latter. The exit code is the worst of theirs.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"


def main() -> int:
    """The benchmarks' exit code."""
    sys.path.insert(0, str(FOLDER))
    import inventory
    import run

    arguments = ["--peers"] if os.environ.get("PEERS") not in (None, "", "0") else []
    parts = [inventory.main] if sys.argv[1:] == ["inventory"] else [run.main, inventory.main]
    return max([part(arguments) for part in parts])


if __name__ == "__main__":
    sys.exit(main())
