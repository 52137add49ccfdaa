# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An embedded Azure with its Windows guests, for rehearsals and tests of hotpatch rollouts."""

from __future__ import annotations

__version__ = "0.1.0"
