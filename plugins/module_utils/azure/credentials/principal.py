# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credential the session uses: one token for all its clients, and errors that name the option to look at."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from ..errors import AzureFailure, missing_library, parse_error_body
from ..network import connection_failure
from .managed_identity import needs_own_process
from .method import Surroundings
from .selector import Choice

_OPERATION = "get a token from Azure"

_AADSTS: dict[str, str] = {
    "AADSTS7000215": "the secret is not valid for this client_id; check secret (the secret's value, not its ID)",
    "AADSTS7000222": "the secret has expired; make a new one for this client_id and put it into secret",
    "AADSTS700016": "the tenant has no application with this client_id; check client_id and tenant",
    "AADSTS90002": "there is no such tenant in this cloud; check tenant and cloud_environment",
    "AADSTS900023": "tenant is neither a tenant ID nor a known domain name; check tenant",
    "AADSTS53003": "a conditional access policy of the tenant forbids this login; ask the tenant's administrator",
    "AADSTS500011": "the tenant does not know the Resource Manager of this cloud; check tenant and cloud_environment",
    "AADSTS7000112": "the application with this client_id is disabled; enable it in the tenant or use another",
    "AADSTS7000218": "this client_id needs a proof of its own; leave client_id out beside ad_user",
    "AADSTS700027": "the application does not know this certificate, or it has expired; add the certificate of "
    "x509_certificate_path to the application, or check client_id",
    "AADSTS700024": "the OIDC token, or the assertion signed with the certificate, is outside its time of validity; "
    "get a new token (oidc_token_file_path is read again each time), and check this machine's clock",
    "AADSTS700211": "the application has no federated credential for this token's issuer; check client_id and where "
    "the token comes from",
    "AADSTS700212": "the application has no federated credential for this token's audience; ask the issuer for a token "
    "for api://AzureADTokenExchange",
    "AADSTS700213": "the application has no federated credential for this token's subject; add one for it",
    "AADSTS70021": "the application has no federated credential for this token; check its issuer, subject and audience",
    "AADSTS50013": "the signature of the OIDC token is not its issuer's; check oidc_token",
    "AADSTS50034": "the tenant has no such user; check ad_user and tenant",
    "AADSTS50126": "user name or password is wrong; check ad_user and password",
    "AADSTS50055": "the password has expired; change it and put the new one into password",
    "AADSTS50057": "the user is disabled; enable the user in the tenant or use another",
    "AADSTS70043": "the login has expired; run 'az login' again",
    "AADSTS50076": "the user must use multi-factor authentication, which ad_user and password cannot; use a service "
    "principal, or run 'az login' again for the Azure CLI's login",
    "AADSTS50079": "the user must enrol for multi-factor authentication, which ad_user and password cannot use; use a "
    "service principal",
}
"""Codes of "Microsoft Entra authentication and authorization error codes" (Microsoft Learn), as next steps."""


class PrincipalCredential:
    """An async credential around azure-identity's; built on first use, asked by one caller at a time.

    Raises AzureFailure (kind ``credential``, ``unreachable`` or ``untrusted_certificate``), which azure-core's
    policies do not repeat, or MissingLibrary.
    """

    def __init__(self, choice: Choice, surroundings: Surroundings) -> None:
        self._choice = choice
        self._surroundings = surroundings
        self._inner: Any = None
        self._latest = ""
        self._lock = asyncio.Lock()

    async def get_token_info(self, *scopes: str, options: Any = None) -> Any:
        return await self._ask(lambda inner: inner.get_token_info(*scopes, options=options))

    async def get_token(self, *scopes: str, **options: Any) -> Any:
        return await self._ask(lambda inner: inner.get_token(*scopes, **options))

    async def renew(self, rejected: str) -> None:
        """Forget the token *rejected*, which Azure says has expired, so that the next caller gets a new one.

        azure-identity would hand out the same one until it has expired by this machine's clock, and has no way to be
        told; so the whole credential is made anew. Does nothing if another caller has renewed it already.
        """
        async with self._lock:
            if self._inner is not None and rejected == self._latest:
                outworn, self._inner = self._inner, None
                await outworn.close()

    async def close(self) -> None:
        if self._inner is not None:
            await self._inner.close()

    async def __aenter__(self) -> PrincipalCredential:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def _ask(self, question: Callable[[Any], Any]) -> Any:
        async with self._lock:
            try:
                if self._inner is None:
                    self._inner = self._build()
                answer = await question(self._inner)
                self._latest = answer.token
                return answer
            except AzureFailure:
                raise
            except ImportError as error:
                raise missing_library(error) from error
            except Exception as error:
                raise self._failure(error) from error

    def _build(self) -> Any:
        methods = self._choice.methods
        managed = [method for method in methods if method.NAME == "managed identity"]
        if managed and needs_own_process(self._surroundings.environ):
            raise AzureFailure(
                f"Could not {_OPERATION}: the task's environment names a managed identity endpoint that this process "
                "does not have in its own; set the variable where Ansible is started.",
                kind="credential",
                operation=_OPERATION,
            )
        built = [method.build(self._choice.options, self._surroundings) for method in methods]
        if len(built) == 1:
            return built[0]
        from azure.identity.aio import ChainedTokenCredential

        return ChainedTokenCredential(*built)

    def _failure(self, error: Exception) -> AzureFailure:
        """Make the failure for what azure-identity raised, with every secret value blanked."""
        names = " or ".join(method.NAME for method in self._choice.methods)
        broken = connection_failure(_OPERATION, self._surroundings.authority, error)
        if broken is not None and len(self._choice.methods) == 1:
            return broken
        response = getattr(error, "response", None)
        body = parse_error_body(_body_text(response)) if response is not None else None
        said = (body.message if body else "") or str(getattr(error, "message", "") or error)
        said = self._scrubbed(" ".join(said.split()))
        code = next(iter(re.findall(r"AADSTS\d+", said)), "") or (body.code if body else "")
        if len(self._choice.methods) > 1 and not code:
            reason = (
                "no credentials were given by options, environment or credential file, and neither the Azure CLI nor a "
                "managed identity has any; give client_id, secret and tenant, run 'az login', or set auth_source"
            )
        else:
            reason = _AADSTS.get(code, f"{said.rstrip('.')[:500]}; check the options {self._options_named()}")
        return AzureFailure(
            f"Could not {_OPERATION} with {names}{self._whose()}: {reason}{f' ({code})' if code else ''}.",
            kind="credential",
            operation=_OPERATION,
            status=getattr(response, "status_code", None),
            code=code,
            message=said[:1000],
        )

    def _whose(self) -> str:
        """The values that say whose login this is; none of them is a secret."""
        given = ((name, self._choice.options.get(name)) for name in ("tenant", "client_id", "ad_user"))
        shown = [f"{name} {value}" for name, value in given if value]
        return f" ({', '.join(shown)})" if shown and len(self._choice.methods) == 1 else ""

    def _options_named(self) -> str:
        names = [name for method in self._choice.methods for name in method.OPTIONS]
        return ", ".join([*names, "auth_source"])

    def _scrubbed(self, text: str) -> str:
        for secret in self._choice.options.secrets:
            text = text.replace(secret, "********")
        return text


def _body_text(response: Any) -> str:
    try:
        return str(response.text())
    except Exception:  # a body that was not read, or in no known encoding; there is the error's own text then
        return ""
