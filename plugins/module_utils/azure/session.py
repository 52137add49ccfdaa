# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One session with Azure Resource Manager: one credential, one connection pool, one pipeline for all clients.

The pipeline is our own list of policies. The SDK's default one would register resource providers by itself and repeat
POSTs; neither may happen here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..clock import Clock, open_clock, require_loopback
from .clouds import Cloud, choose_authority, known_cloud, resolve_cloud
from .credentials.method import Surroundings
from .credentials.options import AuthOptions, read_auth_options
from .credentials.principal import PrincipalCredential
from .credentials.renewal import make_authentication
from .credentials.selector import choose_method
from .errors import AzureFailure, failure_from_answer, missing_library
from .network import (
    LOCAL_CONNECT_SECONDS,
    connection_failure,
    make_blocking_transport,
    make_ssl_context,
    make_transport,
    open_connections,
)
from .operations import json_object
from .pacing import Pacer, parse_retry_after
from .retry import make_policies

USER_AGENT = "winfleet.hotpatch"


@dataclass(frozen=True)
class Answer:
    """An answer from ARM: ``body`` is its JSON object, None if it has none; ``retry_after`` seconds, if asked."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] | None
    text: str
    retry_after: float | None


@asynccontextmanager
async def open_session(
    params: Mapping[str, Any], environ: Mapping[str, str], clock: Clock | None = None
) -> AsyncIterator[ArmSession]:
    """Open a session by a task's authentication options (OPTIONS) and *environ*.

    Makes no request, unless a custom cloud has to be asked for its metadata; the token is fetched with the first one.
    *clock* is the one to live by, opened here if None. Raises InputError for options that cannot work, ClockError, and
    AzureFailure.
    """
    options = read_auth_options(params, environ)
    choice = choose_method(options)
    known_cloud(options.get("cloud_environment"))
    context, warnings = make_ssl_context(environ, options.get("cert_validation_mode"))
    connections = open_connections(context)
    try:
        cloud = await resolve_cloud(options.get("cloud_environment"), connections, environ)
        if clock is None:
            clock = open_clock(environ, cloud.endpoints)
        authority = choose_authority(options.get("adfs_authority_url"), cloud)
        require_loopback(environ, [*cloud.endpoints, authority])
        surroundings = Surroundings(
            cloud,
            authority,
            environ,
            transport=lambda: make_transport(connections, environ),
            local_transport=lambda: make_transport(connections, {}, connect_seconds=LOCAL_CONNECT_SECONDS),
            blocking_transport=lambda: make_blocking_transport(context, environ, authority),
        )
        async with PrincipalCredential(choice, surroundings) as credential:
            transport = make_transport(connections, environ, clock)
            yield ArmSession(cloud, credential, clock, transport, choice.principal, options, warnings)
    finally:
        await connections.close()


class ArmSession:
    """What gateways ask Azure through. Made by open_session, usable until its context ends.

    ``subscription_id`` is the default one of options or environment ("" if none), ``principal`` names who is acting,
    ``warnings`` are for the user, ``pacer`` knows the request budgets.
    """

    def __init__(
        self,
        cloud: Cloud,
        credential: Any,
        clock: Clock,
        transport: Any,
        principal: str,
        options: AuthOptions,
        warnings: Sequence[str] = (),
    ) -> None:
        self.cloud = cloud
        self.clock = clock
        self.principal = principal
        self.subscription_id = options.get("subscription_id")
        self.secrets = options.secrets
        self.warnings = list(warnings)
        self.pacer = Pacer()
        self._credential = credential
        self._compute: dict[str, Any] = {}
        try:
            self._pipeline = _make_pipeline(cloud, credential, self.pacer, clock, transport)
        except ImportError as error:
            raise missing_library(error) from error

    def compute(self, subscription_id: str) -> Any:
        """Return azure-mgmt-compute's own async client for a subscription, on this session's pipeline."""
        key = subscription_id.lower()
        client = self._compute.get(key)
        if client is None:
            try:
                from azure.mgmt.compute.aio import ComputeManagementClient
            except ImportError as error:
                raise missing_library(error) from error
            client = self._compute[key] = ComputeManagementClient(
                self._credential,
                subscription_id,
                base_url=self.cloud.resource_manager,
                credential_scopes=[self.cloud.scope],
                # A whole pipeline leaves nothing of the SDK's default policies.
                pipeline=self._pipeline,
            )
        return client

    async def get(self, url: str, operation: str) -> Answer:
        """GET an opaque *url* that Azure gave us; *operation* says what for, as in "read the state of ...".

        Raises AzureFailure for every error answer, and for a URL outside this cloud: tokens go nowhere else.
        """
        self._require_own(url, operation)
        return await self._ask("GET", url, operation)

    async def query(self, path: str, body: Mapping[str, Any], operation: str) -> Answer:
        """POST *body* to *path* of this cloud, where a POST only asks (Resource Graph): it is repeated like a read.

        Raises AzureFailure for every error answer.
        """
        return await self._ask("POST", f"{self.cloud.resource_manager.rstrip('/')}{path}", operation, body)

    async def _ask(self, method: str, url: str, operation: str, body: Mapping[str, Any] | None = None) -> Answer:
        with azure_failures(operation, url, self.clock):
            from azure.core.rest import HttpRequest

            request = HttpRequest(method, url, headers={"Accept": "application/json"}, json=body)
            answered = await self._pipeline.run(request, stream=False)
        response = answered.http_response
        answer = self.answer_of(response)
        if response.status_code >= 400:
            raise failure_of_response(operation, response, self.clock)
        return answer

    def answer_of(self, response: Any) -> Answer:
        """Read an azure-core response whose body has been read."""
        text = response.text()
        retry_after = parse_retry_after(response.headers, self.clock.now())
        return Answer(response.status_code, response.headers, json_object(text), text, retry_after)

    def _require_own(self, url: str, operation: str) -> None:
        parts, own = urlsplit(url), urlsplit(self.cloud.resource_manager)
        host, own_host = parts.netloc.lower(), own.netloc.lower()
        if parts.scheme != "https" or not (host == own_host or host.endswith(f".{own_host}")):
            raise AzureFailure(
                f"Could not {operation}: its URL leads to {parts.scheme}://{host}, which is no part of the cloud at "
                f"{own_host}, and tokens are given to nobody else.",
                kind="invalid",
                operation=operation,
                target=host,
            )


def _make_pipeline(cloud: Cloud, credential: Any, pacer: Pacer, clock: Clock, transport: Any) -> Any:
    from azure.core.pipeline import AsyncPipeline, policies
    from azure.mgmt.core.policies import ARMHttpLoggingPolicy

    # Without a handler Python prints the SDK's warnings to stderr; what matters of them is in our failures.
    logger = logging.getLogger("azure")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    pacing, departure = make_policies(pacer, clock)
    return AsyncPipeline(
        transport,
        policies=[
            # Clients up to azure-mgmt-compute 35 read lists through it; out here it sees the last answer only.
            policies.ContentDecodePolicy(),
            policies.RequestIdPolicy(),
            policies.UserAgentPolicy(USER_AGENT),
            # Outside the repeating policy: the hook sees the last answer, not the first 429.
            policies.CustomHookPolicy(),
            pacing,
            make_authentication(credential, cloud.scope),
            ARMHttpLoggingPolicy(),
            departure,
        ],
    )


@contextmanager
def azure_failures(operation: str, url: str, clock: Clock) -> Iterator[None]:
    """Turn everything Azure's libraries raise inside into AzureFailure; other exceptions pass unchanged."""
    try:
        yield
    except AzureFailure:
        raise
    except ImportError as error:
        raise missing_library(error) from error
    except Exception as error:
        response = getattr(error, "response", None)
        if (getattr(response, "status_code", None) or 0) >= 400:
            raise failure_of_response(operation, response, clock) from error
        failure = connection_failure(operation, url, error) or _unreadable(operation, error)
        if failure is None:
            raise
        raise failure from error


def _unreadable(operation: str, error: Exception) -> AzureFailure | None:
    """Make the failure for what is left: an answer that the SDK cannot read, or an error only azure-core knows."""
    from azure.core.exceptions import AzureError, DeserializationError

    if isinstance(error, (AzureError, DeserializationError, json.JSONDecodeError)):
        return unusable_answer(operation, str(error))
    return None


def unusable_answer(operation: str, reason: str) -> AzureFailure:
    """Make the failure for a good status whose body is nothing that Azure sends."""
    return AzureFailure(
        f"Could not {operation}: the answer is not what Azure sends ({' '.join(reason.split())[:200]}); check "
        "cloud_environment, and for a proxy on the way that answers in Azure's place.",
        operation=operation,
        message=reason[:1000],
        uncertain=True,
    )


def failure_of_response(operation: str, response: Any, clock: Clock) -> AzureFailure:
    """Make the failure for an azure-core response of 400 or more."""
    try:
        text = response.text()
    except Exception:  # not read, or undecodable: the status alone must do
        text = ""
    headers = response.headers
    return failure_from_answer(
        operation,
        response.status_code,
        text,
        request_id=headers.get("x-ms-request-id") or headers.get("x-ms-correlation-request-id") or "",
        retry_after=parse_retry_after(headers, clock.now(), text),
    )
