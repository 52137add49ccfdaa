# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to authenticate with Azure, one small file each; this is what the rest of the collection needs of them."""

from __future__ import annotations

from .options import OPTIONS, AuthOptions, read_auth_options
from .selector import Choice, choose_method

__all__ = ["OPTIONS", "AuthOptions", "Choice", "choose_method", "read_auth_options"]
