# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of hotpatch-emulator."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from hotpatch_emulator.app import Options, StartError, serve
from hotpatch_emulator.config import FleetError


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(
        prog="hotpatch-emulator", description="Stand in for Azure and its Windows guests on loopback addresses."
    )
    parser.add_argument("--fleet", type=Path, required=True, help="fleet file (YAML)")
    parser.add_argument("--run-dir", type=Path, required=True, help="where endpoints, inventory, CA and audit log go")
    parser.add_argument("--port", type=int, default=0, help="https port of the emulated Azure (default: any free one)")
    parser.add_argument("--control-port", type=int, default=0, help="http control port (default: any free one)")
    parser.add_argument("--winrm-port", type=int, default=5986, help="guests' port for https (default: 5986)")
    parser.add_argument("--winrm-http-port", type=int, default=5985, help="guests' port for http (default: 5985)")
    parser.add_argument("--guest-network", help="loopback network of the guests, e.g. 127.20.0.0/16 (default: search)")
    parser.add_argument("--speed", type=float, help="emulated seconds per real second (default: the fleet file's)")
    parser.add_argument("--seed", type=int, help="what is drawn by lot (default: the fleet file's)")
    given = parser.parse_args(arguments)
    return Options(
        fleet=given.fleet,
        run_dir=given.run_dir,
        port=given.port,
        control_port=given.control_port,
        winrm_port=given.winrm_port,
        winrm_http_port=given.winrm_http_port,
        network=given.guest_network,
        speed=given.speed,
        seed=given.seed,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop. Exit status 2: it could not start, and standard error says why in one sentence."""
    options = _options(arguments)
    try:
        asyncio.run(serve(options))
    except (FleetError, StartError, OSError, ValueError) as error:
        print(f"hotpatch-emulator: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
