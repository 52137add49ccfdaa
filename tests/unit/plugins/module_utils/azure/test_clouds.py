# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a cloud by name or by its metadata."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.clouds import (
    choose_authority,
    known_cloud,
    read_metadata,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    MACHINE,
    OpenSession,
    Reply,
    ScriptedAzure,
)

PUBLIC = {
    "name": "AzureCloud",
    "resourceManager": "https://management.azure.com/",
    "authentication": {
        "loginEndpoint": "https://login.microsoftonline.com",
        "audiences": ["https://management.core.windows.net/"],
    },
}
CHINA = {
    "name": "AzureChinaCloud",
    "resourceManager": "https://management.chinacloudapi.cn",
    "authentication": {
        "loginEndpoint": "https://login.chinacloudapi.cn/",
        "audiences": ["https://management.chinacloudapi.cn"],
    },
}
STACK = {
    "galleryEndpoint": "g",
    "authentication": {"loginEndpoint": "https://login.local/", "audiences": ["https://stack.onmicrosoft.com/guid"]},
}


@pytest.mark.parametrize("name", ["AzureCloud", "azurecloud", "AzureUSGovernment", "AzureChinaCloud"])
def test_names(name: str) -> None:
    cloud = known_cloud(name)
    assert cloud is not None
    assert cloud.name.lower() == name.lower()
    assert all(url.startswith("https://") and not url.endswith("/") for url in cloud.endpoints)
    assert cloud.scope == f"{cloud.audience}/.default"


@pytest.mark.parametrize(
    "text", ["", "Azure", "http://127.0.0.1:1", "https://", "https://user:pw@host", "AzureGermanCloud"]
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError, match="cloud_environment"):
        known_cloud(text)


@pytest.mark.parametrize(
    ("body", "base", "name", "authority", "audience"),
    [
        (
            [PUBLIC, CHINA],
            "https://management.chinacloudapi.cn",
            "AzureChinaCloud",
            "https://login.chinacloudapi.cn",
            "https://management.chinacloudapi.cn",
        ),
        (
            [PUBLIC, CHINA],
            "https://management.azure.com",
            "AzureCloud",
            "https://login.microsoftonline.com",
            "https://management.core.windows.net/",
        ),
        (
            STACK,
            "https://management.local:30005",
            "management.local:30005",
            "https://login.local",
            "https://stack.onmicrosoft.com/guid",
        ),
    ],
)
def test_metadata(body: Any, base: str, name: str, authority: str, audience: str) -> None:
    cloud = read_metadata(body, base)
    assert (cloud.name, cloud.resource_manager, cloud.authority, cloud.audience) == (name, base, authority, audience)


@pytest.mark.parametrize(
    "body", [[], {}, {"authentication": {}}, {"authentication": {"loginEndpoint": "http://x", "audiences": ["a"]}}]
)
def test_unusable_metadata(body: Any) -> None:
    with pytest.raises((LookupError, ValueError)):
        read_metadata(body, "https://x")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", "https://login.microsoftonline.us"),
        ("https://adfs.example.com", "https://adfs.example.com"),
        ("https://adfs.example.com:44/", "https://adfs.example.com:44"),
        ("https://adfs.example.com/adfs/", "https://adfs.example.com"),
        (" https://gate.example.com/login/ADFS", "https://gate.example.com/login"),
    ],
)
def test_an_authority_of_ones_own(url: str, expected: str) -> None:
    cloud = known_cloud("AzureUSGovernment")
    assert cloud is not None
    assert choose_authority(url, cloud) == expected


@pytest.mark.parametrize("url", ["adfs.example.com", "http://adfs.example.com", "https://u:p@adfs.example.com"])
def test_an_authority_that_is_none(url: str) -> None:
    cloud = known_cloud("AzureCloud")
    assert cloud is not None
    with pytest.raises(InputError, match="adfs_authority_url"):
        choose_authority(url, cloud)


@pytest.mark.parametrize("by_task", [True, False])
async def test_the_login_goes_to_the_authority_of_ones_own(
    azure: ScriptedAzure, environ: dict[str, str], open_scripted: OpenSession, by_task: bool
) -> None:
    if not by_task:
        environ["AZURE_ADFS_AUTHORITY_URL"] = f"{azure.url}/adfs"
    azure.script(Reply(200, {"id": "x"}))
    given = {"adfs_authority_url": f"{azure.url}/adfs"} if by_task else {}
    async with open_scripted(tenant="adfs", **given) as session:
        await VirtualMachines(session).get(MACHINE)
    assert azure.token_paths == ["/adfs/oauth2/v2.0/token"]


async def test_a_custom_cloud_is_asked_for_its_endpoints(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    async with open_scripted(cloud_environment=f"{azure.url}/") as session:
        assert session.cloud.resource_manager == session.cloud.authority == azure.url
        assert session.cloud.scope == "https://management.scripted//.default"
    async with open_scripted(cloud_environment=f"{azure.url}/metadata/endpoints?api-version=x") as session:
        assert session.cloud.resource_manager == azure.url


@pytest.mark.parametrize(
    ("reply", "words"),
    [(Reply(404, "no"), "answered 404"), (Reply(200, "no"), "loginEndpoint"), (Reply(200, []), "loginEndpoint")],
)
async def test_an_endpoint_that_is_no_cloud(
    azure: ScriptedAzure, open_scripted: OpenSession, reply: Reply, words: str
) -> None:
    azure.script(reply)
    with pytest.raises(AzureFailure, match=words) as caught:
        async with open_scripted(cloud_environment=f"{azure.url}/elsewhere"):
            pass
    assert "cloud_environment" in caught.value.sentence
