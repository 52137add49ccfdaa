# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""User name and password: the deprecated flow, in a thread, with the session's own TLS and proxies."""

from __future__ import annotations

import base64
import json
import socket
import sys
import time
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.options import read_auth_options
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.username_password import (
    AZURE_CLI_APPLICATION,
    application_of,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.network import restore_port
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    MACHINE,
    TENANT,
    OpenSession,
    Reply,
    ScriptedAzure,
)

USER, PASSWORD = "operator@example.com", "canary-password"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def encoded(claims: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


def logged_in(azure: ScriptedAzure, application: str) -> Reply:
    claims = {
        "aud": application,
        "iss": f"{azure.url}/{TENANT}/v2.0",
        "exp": int(time.time()) + 3600,
        "sub": "s",
        "tid": TENANT,
        "preferred_username": USER,
    }
    token = {"token_type": "Bearer", "expires_in": 3599, "access_token": "user-token", "scope": "x"}
    return Reply(200, {**token, "id_token": f"{encoded({})}.{encoded(claims)}.x"})


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """What AWX's Azure credential gives for a user."""
    kept = {name: value for name, value in environ.items() if name not in ("AZURE_CLIENT_ID", "AZURE_SECRET")}
    return {**kept, "AZURE_AD_USER": USER, "AZURE_PASSWORD": PASSWORD}


@pytest.mark.parametrize(
    ("given", "application"),
    [({}, AZURE_CLI_APPLICATION), ({"client_id": "own", "ad_user": USER, "password": PASSWORD}, "own")],
)
async def test_the_token_request(
    azure: ScriptedAzure, open_scripted: OpenSession, given: dict[str, str], application: str
) -> None:
    azure.token_reply = logged_in(azure, application)
    azure.script(Reply(200, {"id": "x"}))
    async with open_scripted(**given) as session:
        assert session.principal == f"{TENANT}/{USER}"
        await VirtualMachines(session).get(MACHINE)
    (sent,) = azure.tokens
    assert (sent["grant_type"], sent["username"], sent["password"]) == ("password", USER, PASSWORD)
    assert sent["client_id"] == application
    assert azure.realms == [USER], "at the login endpoint's own port, which MSAL leaves out"
    assert azure.seen[0].headers["Authorization"] == "Bearer user-token"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            "AADSTS50126: Error validating credentials due to invalid username or password.",
            "check ad_user and password",
        ),
        ("AADSTS50076: Due to a configuration change you must use multi-factor authentication.", "service principal"),
        ("AADSTS50034: The user account does not exist.", "no such user"),
        (f"AADSTS99999: It even repeats {PASSWORD}.", "It even repeats"),
    ],
)
async def test_a_refused_login_names_the_option(
    azure: ScriptedAzure, open_scripted: OpenSession, error: str, words: str
) -> None:
    azure.token_reply = Reply(400, {"error": "invalid_grant", "error_description": f"{error} Trace ID: t"})
    async with open_scripted() as session:
        with pytest.raises(AzureFailure, match=words) as caught:
            await VirtualMachines(session).start_assessment(MACHINE)
    assert (caught.value.kind, caught.value.code) == ("credential", error.partition(":")[0])
    assert PASSWORD not in str(caught.value.to_dict())
    assert azure.seen == []


async def test_an_authority_that_is_not_trusted(
    azure: ScriptedAzure, environ: dict[str, str], open_scripted: OpenSession
) -> None:
    """The thread's connections go by the session's TLS context, not by what requests would trust."""
    azure.token_reply = logged_in(azure, AZURE_CLI_APPLICATION)
    async with open_scripted(cert_validation_mode="ignore") as session:
        azure.script(Reply(200, {"id": "x"}))
        await VirtualMachines(session).get(MACHINE)
    del environ["REQUESTS_CA_BUNDLE"]
    environ["AZURE_ADFS_AUTHORITY_URL"] = azure.url
    environ["AZURE_CLOUD_ENVIRONMENT"] = "AzureCloud"
    async with open_scripted() as session:
        with pytest.raises(AzureFailure) as caught:
            await VirtualMachines(session).get(MACHINE)
    assert caught.value.kind == "untrusted_certificate", caught.value.sentence


async def test_a_library_without_it(
    open_scripted: OpenSession, monkeypatch: pytest.MonkeyPatch, azure: ScriptedAzure
) -> None:
    import azure.identity as library

    monkeypatch.delattr(library, "UsernamePasswordCredential")
    async with open_scripted() as session:
        with pytest.raises(AzureFailure, match=r"azure-identity [0-9.]+ does not support that any more; use a service"):
            await VirtualMachines(session).get(MACHINE)
    assert sys.modules["azure.identity"] is library


async def test_nobody_at_the_login_endpoint(environ: dict[str, str], open_scripted: OpenSession) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        environ["AZURE_ADFS_AUTHORITY_URL"] = f"https://127.0.0.1:{unused.getsockname()[1]}"
        async with open_scripted() as session:
            with pytest.raises(AzureFailure, match=r"no answer from .*\(Connection refused\)") as caught:
                await VirtualMachines(session).get(MACHINE)
    assert caught.value.kind == "unreachable"


@pytest.mark.parametrize(
    ("params", "environ", "expected"),
    [
        ({"ad_user": "u"}, {}, AZURE_CLI_APPLICATION),
        ({"ad_user": "u", "client_id": "own"}, {}, "own"),
        ({"ad_user": "u"}, {"AZURE_CLIENT_ID": "somebody's"}, AZURE_CLI_APPLICATION),
        ({}, {"AZURE_AD_USER": "u", "AZURE_CLIENT_ID": "own"}, "own"),
        ({}, {"AZURE_USERNAME": "u"}, AZURE_CLI_APPLICATION),
    ],
)
def test_a_tasks_user_never_logs_in_through_the_environments_application(
    params: dict[str, str], environ: dict[str, str], expected: str
) -> None:
    assert application_of(read_auth_options(params, {"HOME": "/nowhere", **environ})) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "https://login.local/common/userrealm/u?api-version=1.0",
            "https://login.local:44/common/userrealm/u?api-version=1.0",
        ),
        ("https://login.local:45/x", "https://login.local:45/x"),
        ("https://elsewhere/x", "https://elsewhere/x"),
    ],
)
def test_the_port_that_msal_leaves_out(url: str, expected: str) -> None:
    assert restore_port(url, "https://login.local:44") == expected
    assert restore_port(url, "https://login.local") == url
