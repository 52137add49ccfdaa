# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Windows guests: one WS-Management (WinRM) listener per machine, answering as Windows does without PowerShell."""
