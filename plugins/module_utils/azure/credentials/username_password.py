# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication as a user with a password: the options ad_user and password.

Microsoft advises against it: it cannot do multi-factor authentication, which Azure demands of users who change
anything. It is here because azure.azcollection and AWX's Azure credential have it. azure-identity's credential for it
is deprecated and has no async form, so it runs in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from ..errors import AzureFailure
from .freshness import is_due
from .method import Surroundings, check_tenant, require
from .options import AuthOptions

AZURE_CLI_APPLICATION = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
"""The Azure CLI's client ID, which azure.azcollection uses as well: every tenant knows it, and may use it so."""
ANY_TENANT = "organizations"


class UsernamePassword:
    NAME = "user name and password"
    OPTIONS = ("ad_user", "password", "client_id", "tenant")

    def validate(self, options: AuthOptions) -> None:
        require(
            options, ("ad_user", "password"), "a user needs ad_user and password together", "or use a service principal"
        )
        check_tenant(options)

    def principal(self, options: AuthOptions) -> str:
        return f"{options.get('tenant') or ANY_TENANT}/{options.get('ad_user')}".lower()

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        # Like azure-core, it would otherwise have Python print its warnings to stderr.
        logger = logging.getLogger("msal")
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
        try:
            from azure.identity import UsernamePasswordCredential
        except ImportError as error:
            import azure.identity  # missing altogether is another matter

            raise _no_longer(azure.identity.__version__) from error
        return ThreadedCredential(
            UsernamePasswordCredential(
                application_of(options),
                options.get("ad_user"),
                options.get("password"),
                tenant_id=options.get("tenant") or ANY_TENANT,
                transport=surroundings.blocking_transport(),
                **surroundings.login(options),
            )
        )


def application_of(options: AuthOptions) -> str:
    """Return the client ID to log in through: that given beside the user, never the environment's for a task's user."""
    for layer in options.layers("ad_user"):
        if layer.get("client_id") or layer.get("ad_user"):
            return layer.get("client_id") or AZURE_CLI_APPLICATION
    return AZURE_CLI_APPLICATION


def _no_longer(version: str) -> AzureFailure:
    operation = "get a token from Azure"
    return AzureFailure(
        f"Could not {operation} with ad_user and password: azure-identity {version} does not support that any more; "
        "use a service principal (client_id, tenant and a secret, certificate or OIDC token) or a managed identity.",
        kind="credential",
        operation=operation,
    )


class ThreadedCredential:
    """An async credential around a blocking one; keeps its tokens, as MSAL takes those of minutes for expired."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._tokens: dict[tuple[str, ...], Any] = {}
        self._asked_at = 0.0

    async def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        token, now = self._tokens.get(scopes), time.time()
        if options or is_due(token, self._asked_at, now):
            self._asked_at = now
            token = await asyncio.to_thread(self._inner.get_token_info, *scopes, options=options)
            self._tokens[scopes] = token
        return token

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        from azure.core.credentials import AccessToken

        token = await self.get_token_info(*scopes, options=options)
        return AccessToken(token.token, token.expires_on)

    async def close(self) -> None:
        await asyncio.to_thread(self._inner.close)

    async def __aenter__(self) -> ThreadedCredential:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()
