# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens that expire in the middle: renewed in time, and once more when Azure says so."""

from __future__ import annotations

import asyncio

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    MACHINE,
    OpenSession,
    Reply,
    ScriptedAzure,
)


def refused(code: str) -> Reply:
    words = 'Bearer authorization_uri="https://login.local/t", error="invalid_token", error_description="It is over."'
    return Reply(401, {"error": {"code": code, "message": "It is over."}}, {"WWW-Authenticate": words})


def authorisations(azure: ScriptedAzure) -> list[str]:
    return [seen.headers["Authorization"] for seen in azure.seen]


@pytest.mark.parametrize("start", [False, True])
async def test_an_expired_token_is_renewed_once(azure: ScriptedAzure, open_scripted: OpenSession, start: bool) -> None:
    """By this machine's clock it is good for an hour, so nobody but Azure can tell."""
    accepted = Reply(202, None, {"Location": f"{azure.url}/poll", "Azure-AsyncOperation": f"{azure.url}/poll"})
    azure.script(refused("ExpiredAuthenticationToken"), accepted if start else Reply(200, {"id": "x"}))
    checks = []
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        if start:
            await machines.start_assessment(MACHINE, check=lambda: checks.append(1))
        else:
            await machines.get(MACHINE)
    assert authorisations(azure) == ["Bearer token-1", "Bearer token-2"]
    assert len(azure.tokens) == 2
    assert len(checks) == (2 if start else 0), "each sending is checked, whether it may still leave"


async def test_a_second_refusal_ends_it(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(refused("ExpiredAuthenticationToken"), refused("ExpiredAuthenticationToken"))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure, match="ExpiredAuthenticationToken") as caught:
            await VirtualMachines(session).start_assessment(MACHINE)
    assert caught.value.kind == "credential"
    assert not caught.value.uncertain
    assert (len(azure.seen), len(azure.tokens)) == (2, 2)


@pytest.mark.parametrize("code", ["InvalidAuthenticationToken", "InvalidAuthenticationTokenAudience", "Other"])
async def test_other_refusals_are_not_repeated(azure: ScriptedAzure, open_scripted: OpenSession, code: str) -> None:
    azure.script(refused(code))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure, match=code):
            await VirtualMachines(session).start_assessment(MACHINE)
    assert (len(azure.seen), len(azure.tokens)) == (1, 1)


async def test_a_login_that_gives_the_same_token_again_is_not_repeated(
    azure: ScriptedAzure, open_scripted: OpenSession
) -> None:
    azure.token_reply = Reply(200, {"token_type": "Bearer", "expires_in": 3599, "access_token": "the same"})
    azure.script(refused("ExpiredAuthenticationToken"))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure, match="ExpiredAuthenticationToken"):
            await VirtualMachines(session).start_assessment(MACHINE)
    assert (len(azure.seen), len(azure.tokens)) == (1, 2)


async def test_many_requests_share_one_renewal(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    many = 8
    azure.script(*[Reply(200, {"id": "x"})] * (1 + many))
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        await machines.get(MACHINE)
        azure.expired["Bearer token-1"] = refused("ExpiredAuthenticationToken")
        await asyncio.gather(*(machines.get(MACHINE) for dummy in range(many)))
    assert len(azure.tokens) == 2
    assert authorisations(azure).count("Bearer token-2") == many


async def test_a_token_is_renewed_when_its_time_is_over(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.token_reply = Reply(200, {"token_type": "Bearer", "expires_in": 1, "access_token": "short"})
    azure.script(*[Reply(200, {"id": "x"})] * 3)
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        await machines.get(MACHINE)
        await machines.get(MACHINE)
        await asyncio.sleep(1.1)
        await machines.get(MACHINE)
    assert len(azure.tokens) in (2, 3), "one for each lifetime; a second may end between the first two requests"
