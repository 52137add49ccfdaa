# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client secret: what is sent, what is refused, and what wrong values are told."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.client_secret import ClientSecret
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.options import read_auth_options
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    CLIENT,
    MACHINE,
    SECRET,
    TENANT,
    OpenSession,
    Reply,
    ScriptedAzure,
)


@pytest.mark.parametrize("missing", ["client_id", "secret", "tenant"])
def test_all_three_are_needed(missing: str) -> None:
    params = {"client_id": CLIENT, "secret": SECRET, "tenant": TENANT}
    del params[missing]
    with pytest.raises(InputError, match=f"Option {missing}") as caught:
        ClientSecret().validate(read_auth_options(params, {}))
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("tenant", ["https://login.microsoftonline.com/x", "my tenant", "a/b"])
def test_a_tenant_is_an_id_or_a_domain(tenant: str) -> None:
    with pytest.raises(InputError, match="tenant"):
        ClientSecret().validate(read_auth_options({"client_id": CLIENT, "secret": SECRET, "tenant": tenant}, {}))


async def test_the_token_request(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(Reply(200, {"id": "x"}))
    async with open_scripted() as session:
        await VirtualMachines(session).get(MACHINE)
    (form,) = azure.tokens
    assert form["client_id"] == CLIENT
    assert form["client_secret"] == SECRET
    assert form["grant_type"] == "client_credentials"


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, f"AADSTS7000215: Invalid client secret provided for app '{CLIENT}'.", "check secret"),
        (401, "AADSTS7000222: The provided client secret keys are expired.", "has expired"),
        (400, "AADSTS700016: Application was not found in the directory.", "check client_id and tenant"),
        (400, f"AADSTS90002: Tenant '{TENANT}' not found.", "check tenant"),
        (400, "AADSTS99999: Something new.", "Something new"),
        (400, f"AADSTS99999: It even repeats {SECRET}.", "It even repeats"),
    ],
)
async def test_a_refused_login_names_the_option(
    azure: ScriptedAzure, open_scripted: OpenSession, status: int, error: str, words: str
) -> None:
    azure.token_reply = Reply(status, {"error": "invalid_client", "error_description": f"{error} Trace ID: t"})
    async with open_scripted() as session:
        with pytest.raises(AzureFailure) as caught:
            await VirtualMachines(session).start_assessment(MACHINE)
    failure = caught.value
    assert failure.kind == "credential"
    assert failure.code == error.partition(":")[0]
    assert words in failure.sentence
    assert SECRET not in str(failure.to_dict())
    assert not failure.uncertain
    assert len(azure.tokens) == 1
    assert azure.seen == [], "without a token nothing is sent"
