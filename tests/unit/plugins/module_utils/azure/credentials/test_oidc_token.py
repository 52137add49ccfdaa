# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OIDC token given as it is: what is sent, and what a token that Azure refuses is told."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    CLIENT,
    MACHINE,
    TENANT,
    OpenSession,
    Reply,
    ScriptedAzure,
)

TOKEN = "eyJhbGciOiJSUzI1NiJ9.canary-claims.canary-signature"


@pytest.mark.parametrize("by_task", [True, False])
async def test_the_token_request(
    azure: ScriptedAzure, environ: dict[str, str], open_scripted: OpenSession, by_task: bool
) -> None:
    """It wins over the secret that is there as well."""
    if not by_task:
        environ["AZURE_FEDERATED_TOKEN"] = TOKEN
    azure.script(Reply(200, {"id": "x"}))
    async with open_scripted(**({"oidc_token": f"{TOKEN}\n"} if by_task else {})) as session:
        assert session.principal == f"{TENANT}/{CLIENT}"
        assert TOKEN in [secret.strip() for secret in session.secrets]
        await VirtualMachines(session).get(MACHINE)
    (sent,) = azure.tokens
    assert sent["client_assertion"] == TOKEN
    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert (sent["client_id"], sent["grant_type"]) == (CLIENT, "client_credentials")
    assert "client_secret" not in sent


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("AADSTS700024: Client assertion is not within its valid time range.", "oidc_token_file_path"),
        ("AADSTS700211: No matching federated identity record found for presented assertion issuer.", "issuer"),
        ("AADSTS700212: No matching federated identity record found for presented assertion audience.", "api://"),
        ("AADSTS700213: No matching federated identity record found for presented assertion subject.", "subject"),
        ("AADSTS50013: Assertion failed signature validation.", "signature"),
        (f"AADSTS99999: It even repeats {TOKEN}.", "It even repeats"),
    ],
)
async def test_a_refused_token_is_told_the_next_step(
    azure: ScriptedAzure, open_scripted: OpenSession, error: str, words: str
) -> None:
    azure.token_reply = Reply(401, {"error": "invalid_client", "error_description": f"{error} Trace ID: t"})
    async with open_scripted(oidc_token=TOKEN) as session:
        with pytest.raises(AzureFailure, match=words) as caught:
            await VirtualMachines(session).start_assessment(MACHINE)
    assert caught.value.kind == "credential"
    assert "canary" not in str(caught.value.to_dict())
    assert azure.seen == []
