# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles: what is read of the credential file, and what a file that is unusable is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.credential_file import (
    default_profile,
    read_profile,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.options import read_auth_options
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.selector import choose_method
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.session import open_session
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    CLIENT,
    MACHINE,
    SECRET,
    TENANT,
    ManualClock,
    Reply,
    ScriptedAzure,
)


def home_with(directory: Path, text: str | bytes) -> dict[str, str]:
    (directory / ".azure").mkdir()
    (directory / ".azure" / "credentials").write_bytes(text if isinstance(text, bytes) else text.encode())
    return {"HOME": str(directory)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("[p]\nclient_id=c\nsecret = 50%(off)\n", {"client_id": "c", "secret": "50%(off)"}),
        ("[p]\nClient_ID: c\n", {"client_id": "c"}),
        ("\ufeff[p]\nclient_id = c\n", {"client_id": "c"}),
        ("# who\n[p]\nclient_id = c\ntenant =\n", {"client_id": "c"}),
    ],
)
def test_what_is_read(tmp_path: Path, text: str, values: dict[str, str]) -> None:
    profile = read_profile(home_with(tmp_path, text), "p", "profile")
    assert (profile.name, profile.values) == ("p", values)


def test_neither_file_nor_section_is_no_default(tmp_path: Path) -> None:
    assert default_profile({"HOME": str(tmp_path)}) is None
    assert default_profile(home_with(tmp_path, "[other]\nclient_id = c\n")) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("client_id = hush-hush\n", "line 1"),
        ("[default]\nsecret hush-hush\n", "line 2"),
        ("[default]\nsecret = a\nsecret = hush-hush\n", "line 3"),
        ("[default]\n[default]\n", "line 2"),
        (b"[default]\nsecret = hush-hush\xff\n", "UTF-8"),
    ],
)
@pytest.mark.parametrize("params", [{}, {"profile": "default"}, {"auth_source": "credential_file"}])
def test_an_unusable_file_is_not_passed_over(
    tmp_path: Path, text: str | bytes, words: str, params: dict[str, str]
) -> None:
    options = read_auth_options(params, home_with(tmp_path, text))
    for use in (lambda: choose_method(options), lambda: options.get("subscription_id")):
        with pytest.raises(InputError, match=words) as caught:
            use()
        assert "hush-hush" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert choose_method(read_auth_options({"auth_source": "cli"}, {"HOME": str(tmp_path)})).methods


def test_a_directory_in_its_place(tmp_path: Path) -> None:
    (tmp_path / ".azure" / "credentials").mkdir(parents=True)
    with pytest.raises(InputError, match="Is a directory"):
        choose_method(read_auth_options({}, {"HOME": str(tmp_path)}))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"profile": "typo"}, "which holds default, nobody"),
        ({"profile": "nobody"}, "client_id or ad_user"),
        ({"profile": "default"}, r"Option secret \(profile default of ~/.azure/credentials\)"),
    ],
)
def test_profiles_that_cannot_work(tmp_path: Path, params: dict[str, str], words: str) -> None:
    environ = home_with(tmp_path, "[default]\nclient_id = c\n[nobody]\ntenant = t\n")
    with pytest.raises(InputError, match=words):
        choose_method(read_auth_options(params, environ))


async def test_a_login_by_profile(
    azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock, tmp_path: Path
) -> None:
    """Cloud and all come from the profile; the environment's credentials stay out of it."""
    lines = {
        "client_id": CLIENT,
        "secret": SECRET,
        "tenant": TENANT,
        "cloud_environment": azure.url,
        "disable_instance_discovery": "true",
        "subscription_id": "of-the-profile",
    }
    home = home_with(tmp_path, "[pilot]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items()))
    others = {"REQUESTS_CA_BUNDLE": environ["REQUESTS_CA_BUNDLE"], "AZURE_CLIENT_ID": "x", "AZURE_SECRET": "y"}
    azure.script(Reply(200, {"id": "x"}))
    async with open_session({"profile": "pilot"}, {**others, **home}, clock) as session:
        assert session.subscription_id == "of-the-profile"
        assert session.cloud.resource_manager == azure.url
        await VirtualMachines(session).get(MACHINE)
    assert azure.tokens[0]["client_id"] == CLIENT
    assert azure.tokens[0]["client_secret"] == SECRET
