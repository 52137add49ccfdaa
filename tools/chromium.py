# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds a Chromium for the tests of the report's page, or installs the distribution's where it may."""

from __future__ import annotations

import os
import shutil
import subprocess

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
APT = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]


def find() -> str | None:
    """The program that CHROMIUM names, or one on PATH; None where there is none."""
    named = os.environ.get("CHROMIUM")
    return shutil.which(named) if named else next(filter(None, map(shutil.which, PROGRAMS)), None)


def ensure() -> tuple[str | None, str]:
    """A Chromium's path, or None and why; it is installed only as root and by apt, on Debian and its kin."""
    program = find()
    if program or os.environ.get("CHROMIUM"):
        return program, "" if program else f"CHROMIUM={os.environ['CHROMIUM']} is no program"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None, "no Chromium was found; install one, or name it in CHROMIUM"
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ([*APT, "update"], [*APT, "install", "--yes", "--no-install-recommends", "chromium"]):
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            return None, f"no Chromium was found, and {' '.join(command)} said: {last}"
    return find(), "apt-get installed chromium, but no program of that name is on PATH"
