# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication as a service principal with a token of a federated issuer, given as it is: the option oidc_token.

Such tokens live for minutes (GitHub's for five), and Azure wants one again for every new token of its own, after about
an hour. For longer runs there is oidc_token_file_path.
"""

from __future__ import annotations

from typing import Any

from .method import Surroundings, application, require_application
from .options import AuthOptions


class OidcToken:
    NAME = "OIDC token"
    OPTIONS = ("client_id", "oidc_token", "tenant")

    def validate(self, options: AuthOptions) -> None:
        require_application(options, "oidc_token")

    def principal(self, options: AuthOptions) -> str:
        return application(options)

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        from azure.identity.aio import ClientAssertionCredential

        token = options.get("oidc_token").strip()
        return ClientAssertionCredential(
            options.get("tenant"),
            options.get("client_id"),
            lambda: token,
            transport=surroundings.transport(),
            **surroundings.login(options),
        )
