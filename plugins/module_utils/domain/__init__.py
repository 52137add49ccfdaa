# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pure decisions about machines, guests, releases and rollouts; imports only the standard library."""
