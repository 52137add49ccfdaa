# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication as whoever logged in to the Azure CLI (``az login``) on the machine this runs on.

azure-identity's AzureCliCredential finds ``az`` and its configuration by os.environ only; a task's ``environment``
(PATH, HOME, AZURE_CONFIG_DIR) would be ignored in an action plugin. Hence this small credential of our own.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .freshness import is_due
from .method import Surroundings
from .options import AuthOptions

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo

TIMEOUT_SECONDS = 60
"""``az`` takes a second or two, and longer on its first start."""


class AzureCli:
    NAME = "Azure CLI"
    OPTIONS = ("tenant",)

    def validate(self, options: AuthOptions) -> None:
        """Nothing to check: the tenant is optional."""

    def principal(self, options: AuthOptions) -> str:
        return f"cli/{options.get('tenant')}".lower()

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        return CliCredential(options.get("tenant"), surroundings.environ)


class CliCredential:
    """An async credential that runs ``az account get-access-token`` in *environ* and keeps its token.

    Raises azure-identity's CredentialUnavailableError if there is no CLI or no login, so that a chain goes on, and
    ClientAuthenticationError if the CLI failed.
    """

    def __init__(self, tenant: str, environ: Mapping[str, str]) -> None:
        self._tenant = tenant
        self._environ = environ
        self._tokens: dict[str, AccessTokenInfo] = {}
        self._asked_at = 0.0

    async def get_token_info(self, *scopes: str, options: Any = None) -> AccessTokenInfo:
        scope = scopes[0]
        token, now = self._tokens.get(scope), time.time()
        if token is None or is_due(token, self._asked_at, now):
            self._asked_at = now
            token = self._tokens[scope] = await self._ask(scope)
        return token

    async def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        from azure.core.credentials import AccessToken

        token = await self.get_token_info(*scopes)
        return AccessToken(token.token, token.expires_on)

    async def close(self) -> None:
        self._tokens.clear()

    async def __aenter__(self) -> CliCredential:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def _ask(self, scope: str) -> AccessTokenInfo:
        from azure.core.credentials import AccessTokenInfo
        from azure.core.exceptions import ClientAuthenticationError
        from azure.identity import CredentialUnavailableError

        az = shutil.which("az", path=self._environ.get("PATH") or os.defpath)
        if az is None:
            raise CredentialUnavailableError(message="there is no command 'az' on the PATH")
        resource = scope.removesuffix("/.default")
        command = [az, "account", "get-access-token", "--output", "json", "--resource", resource]
        if self._tenant:
            command += ["--tenant", self._tenant]
        status, output, errors = await _run(command, self._environ)
        if status == 0:
            token = parse_cli_token(output)
            if token is None:
                raise ClientAuthenticationError(message="'az account get-access-token' printed no usable token")
            return AccessTokenInfo(*token)
        said = " ".join(errors.split())[:500]
        if "AADSTS" not in said and ("az login" in said or "az account set" in said):
            raise CredentialUnavailableError(message="nobody is logged in to the Azure CLI, run 'az login'")
        raise ClientAuthenticationError(message=said or f"'az account get-access-token' ended with status {status}")


def parse_cli_token(output: str) -> tuple[str, int] | None:
    """Return token and expiry (epoch seconds) from the CLI's JSON; None if there is none.

    ``expires_on`` is epoch seconds since CLI 2.54; before, only ``expiresOn``, in local time, tells.
    """
    try:
        answer = json.loads(output)
        token = answer["accessToken"]
        if "expires_on" in answer:
            expires = int(answer["expires_on"])
        else:
            expires = int(datetime.fromisoformat(answer["expiresOn"]).timestamp())
    except (ValueError, TypeError, KeyError):
        return None
    return (token, expires) if isinstance(token, str) and token else None


async def _run(command: list[str], environ: Mapping[str, str]) -> tuple[int, str, str]:
    """Run *command*; its output holds the token and goes nowhere but to the caller."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**environ, "AZURE_CORE_NO_COLOR": "true"},
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), TIMEOUT_SECONDS)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        return 1, "", f"az account get-access-token did not answer within {TIMEOUT_SECONDS} seconds"
    return process.returncode or 0, output.decode(errors="replace"), errors.decode(errors="replace")
