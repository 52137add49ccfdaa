# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resource groups' gateway, by what goes over the wire."""

from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.resource_groups import ResourceGroups

from .scripted_azure import SUBSCRIPTION, OpenSession, Reply, ScriptedAzure

GROUP = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"


async def test_the_tags_of_a_group(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(Reply(200, {"id": GROUP, "tags": {"hotpatch-rollout": "pause"}}), Reply(200, {"id": GROUP}))
    async with open_scripted() as session:
        groups = ResourceGroups(session)
        assert await groups.tags(GROUP) == {"hotpatch-rollout": "pause"}
        assert await groups.tags(GROUP) == {}
    assert azure.seen[0].method == "GET" and azure.seen[0].target == f"{GROUP}?api-version=2021-04-01"


@pytest.mark.parametrize("answer", [Reply(403, {"error": {"code": "AuthorizationFailed"}}), Reply(200, {"tags": [1]})])
async def test_what_is_no_answer_is_a_failure(answer: Reply, azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(answer)
    async with open_scripted() as session:
        with pytest.raises(AzureFailure):
            await ResourceGroups(session).tags(GROUP)
