# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users that sign in with name and password (the flow that Microsoft calls ROPC), and their refresh tokens.

Only through an application that keeps no secret, like the az CLI's own. A refresh token works once, which is less
favourable than Entra's.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping, Sequence
from typing import Any

from hotpatch_emulator.assertions import Refused
from hotpatch_emulator.settings import Principal, make_secret

PUBLIC_APPLICATIONS = ("04b07795-8ddb-461a-bbee-02f9e1bf7b46",)
"""The az CLI, which every tenant knows."""
GRANTS = ("password", "refresh_token")


class Users:
    """Who of the principals is a user, and which refresh tokens are out."""

    def __init__(self, principals: Sequence[Principal]) -> None:
        self._users = {principal.user.lower(): principal for principal in principals if principal.user}
        self._refresh: dict[str, Principal] = {}

    def find(self, name: str) -> Principal | None:
        return self._users.get(name.lower())

    def sign_in(self, form: Mapping[str, str]) -> Principal:
        """The user of a token request; raises Refused."""
        if form.get("grant_type") == "refresh_token":
            known = self._refresh.pop(form.get("refresh_token", ""), None)
            if known is None:
                raise Refused(9002313, "Invalid request. The refresh token is malformed or was used before.")
            return known
        user = self.find(form.get("username", ""))
        if user is None:
            raise Refused(
                50034,
                "The user account {EUII Hidden} does not exist in the directory. To sign into this application, "
                "the account must be added to the directory.",
            )
        if not hmac.compare_digest(form.get("password", "").encode(), user.password.encode()):
            raise Refused(50126, "Error validating credentials due to invalid username or password.")
        return user

    def refresh_token(self, user: Principal) -> str:
        token = make_secret(60)
        self._refresh[token] = user
        return token

    def realm(self, name: str) -> dict[str, Any]:
        """GET /common/userrealm/NAME: what kind of user that is."""
        domain = name.rpartition("@")[2]
        if self.find(name) is None:
            return {"ver": "1.0", "account_type": "Unknown", "cloud_instance_name": "HotpatchEmulator"}
        return {
            "ver": "1.0",
            "account_type": "Managed",
            "domain_name": domain,
            "cloud_instance_name": "HotpatchEmulator",
            "cloud_audience_urn": "urn:federation:MicrosoftOnline",
        }


def id_claims(user: Principal, tenant: str, issuer: str, client_id: str, lifetime: int) -> dict[str, Any]:
    """The claims of an ID token."""
    now = int(time.time())
    return {
        "aud": client_id,
        "iss": issuer,
        "iat": now,
        "nbf": now,
        "exp": now + lifetime,
        "name": user.name,
        "oid": user.object_id,
        "preferred_username": user.user,
        "sub": user.object_id,
        "tid": tenant,
        "ver": "2.0",
    }
