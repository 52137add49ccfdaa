# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Native WS-Management: envelopes, CIM queries, registry reads and the guest probe, without PowerShell."""

from __future__ import annotations
