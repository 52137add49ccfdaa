# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Azure side: credentials, clouds, one ARM session and a small gateway for each kind of resource."""
