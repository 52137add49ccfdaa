# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OIDC token file, which is workload identity: read again for every token, and told when it is unusable."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.oidc_token_file import read_token
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    MACHINE,
    OpenSession,
    Reply,
    ScriptedAzure,
)


@pytest.mark.parametrize("by_task", [True, False])
async def test_the_file_is_read_again_for_every_token(
    azure: ScriptedAzure, environ: dict[str, str], open_scripted: OpenSession, tmp_path: Path, by_task: bool
) -> None:
    """A lifetime of zero seconds makes every request ask for a token; Kubernetes replaces the file meanwhile."""
    path = tmp_path / "token"
    path.write_text("first.of.them\n")
    if not by_task:
        environ["AZURE_FEDERATED_TOKEN_FILE"] = str(path)
    azure.token_reply = Reply(200, {"token_type": "Bearer", "expires_in": 0, "access_token": "t"})
    azure.script(Reply(200, {"id": "x"}), Reply(200, {"id": "x"}))
    async with open_scripted(**({"oidc_token_file_path": str(path)} if by_task else {})) as session:
        machines = VirtualMachines(session)
        await machines.get(MACHINE)
        path.write_text("second.of.them\n")
        await machines.get(MACHINE)
    assert [sent["client_assertion"] for sent in azure.tokens] == ["first.of.them", "second.of.them"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"", "it is empty"),
        (b"\n\n", "it is empty"),
        (b"hush-hush", "holds no token"),
        (b"hush.hush.no token", "holds no token"),
        (b"hush.hush.\xff", "holds no token"),
    ],
)
async def test_a_file_that_is_unusable(
    azure: ScriptedAzure, open_scripted: OpenSession, tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    async with open_scripted(oidc_token_file_path=str(path)) as session:
        with pytest.raises(AzureFailure, match=words) as caught:
            await VirtualMachines(session).start_assessment(MACHINE)
    assert caught.value.kind == "credential"
    assert "oidc_token_file_path" in caught.value.sentence
    assert "hush" not in str(caught.value.to_dict())
    assert (azure.tokens, azure.seen) == ([], [])


def test_a_token_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("  a.b.c \r\n")
    assert read_token(str(tmp_path / "token"), "oidc_token_file_path") == "a.b.c"
