# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authentication policy of the session's pipeline: azure-core's own, which besides renews an expired token.

azure-core renews a token five minutes before it expires by this machine's clock. When that clock is wrong or stood
still meanwhile, Azure refuses the token, and azure-core would go on offering it. Azure refuses before it acts on
anything, so every request, also one that starts an installation, can be sent again with a new token; once.
"""

from __future__ import annotations

from typing import Any

from ..errors import parse_error_body
from ..retry import read_text
from .principal import PrincipalCredential

EXPIRED = "ExpiredAuthenticationToken"
"""The Resource Manager's code in a 401 for a token whose time is over; others a new token would not mend."""
_SCHEME = "Bearer "


def make_authentication(credential: PrincipalCredential, scope: str) -> Any:
    """Return the policy that authorises requests with tokens for *scope*.

    Made here and not at import, because its base class needs azure-mgmt-core.
    """
    from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

    class RenewingAuthentication(AsyncARMChallengeAuthenticationPolicy):
        async def on_challenge(self, request: Any, response: Any) -> bool:
            """Tell whether a 401 can be answered by sending *request* once more; azure-core then does so once."""
            if await super().on_challenge(request, response):
                return True
            if parse_error_body(await read_text(response.http_response)).code != EXPIRED:
                return False
            rejected = str(request.http_request.headers.get("Authorization", ""))
            await credential.renew(rejected.removeprefix(_SCHEME))
            await self.authorize_request(request, scope)
            return bool(request.http_request.headers["Authorization"] != rejected)

    return RenewingAuthentication(credential, scope)
