# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a token is to be asked for again, by the rule that azure-identity's own credentials follow.

For the credentials that have no such rule of their own: they would ask again for every request in a token's last
minutes, and for a token that lives no longer than that, always.
"""

from __future__ import annotations

from typing import Any

EARLY_SECONDS = 300
"""A token is renewed so long before it expires ..."""
PATIENCE_SECONDS = 30
"""... but while it is good, not more often than this, should the answer be the same token again."""


def is_due(token: Any, asked_at: float, now: float) -> bool:
    """Tell whether to ask again, having *token* (None for none) since *asked_at*; both times in epoch seconds."""
    if token is None or token.expires_on <= now:
        return True
    return token.expires_on - now <= EARLY_SECONDS and now - asked_at >= PATIENCE_SECONDS
