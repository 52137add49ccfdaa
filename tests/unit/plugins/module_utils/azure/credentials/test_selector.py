# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which credentials are chosen, and which options are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.options import (
    ENVIRONMENT,
    OPTIONS,
    read_auth_options,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.selector import (
    NOT_YET,
    Choice,
    choose_method,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError

OPTION_NAMES = {"client_id": "task-client", "secret": "task-secret", "tenant": "task.example"}
AWX = {"AZURE_CLIENT_ID": "env-client", "AZURE_SECRET": "env-secret", "AZURE_TENANT": "env.example"}
IDENTITY = {"AZURE_CLIENT_ID": "env-client", "AZURE_CLIENT_SECRET": "env-secret", "AZURE_TENANT_ID": "env.example"}


def choose(params: dict[str, str], environ: dict[str, str]) -> Choice:
    return choose_method(read_auth_options(params, environ), {"HOME": "/nowhere", **environ})


@pytest.mark.parametrize(
    ("params", "environ", "methods", "principal"),
    [
        (OPTION_NAMES, {}, ["client secret"], "task.example/task-client"),
        (OPTION_NAMES, AWX, ["client secret"], "task.example/task-client"),
        ({}, AWX, ["client secret"], "env.example/env-client"),
        ({}, IDENTITY, ["client secret"], "env.example/env-client"),
        ({**OPTION_NAMES, "auth_source": "env"}, AWX, ["client secret"], "env.example/env-client"),
        ({"auth_source": "msi"}, AWX, ["managed identity"], "msi/env-client"),
        ({"auth_source": "msi", "client_id": "u"}, {}, ["managed identity"], "msi/u"),
        ({"auth_source": "cli"}, AWX, ["Azure CLI"], "cli/env.example"),
        ({}, {"ANSIBLE_AZURE_AUTH_SOURCE": "msi"}, ["managed identity"], "msi/"),
        ({}, {}, ["Azure CLI", "managed identity"], "cli/"),
        (OPTION_NAMES, {"AZURE_PROFILE": "other"}, ["client secret"], "task.example/task-client"),
        ({}, {**AWX, "AZURE_PASSWORD": "left over"}, ["client secret"], "env.example/env-client"),
    ],
)
def test_the_order(params: dict[str, str], environ: dict[str, str], methods: list[str], principal: str) -> None:
    choice = choose(params, environ)
    assert [method.NAME for method in choice.methods] == methods
    assert choice.principal == principal


@pytest.mark.parametrize("name", sorted(NOT_YET))
@pytest.mark.parametrize("source", ["auto", "msi", "cli", "env"])
def test_options_of_later_versions_are_refused_and_never_ignored(name: str, source: str) -> None:
    with pytest.raises(InputError, match=f"Option {name}") as caught:
        choose({"auth_source": source, name: "hush-hush", **OPTION_NAMES}, AWX)
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize("variable", [variable for name in NOT_YET for variable in ENVIRONMENT.get(name, ())])
def test_so_are_their_variables_when_nothing_else_was_given(variable: str) -> None:
    with pytest.raises(InputError, match=variable) as caught:
        choose({}, {variable: "hush-hush"})
    assert "hush-hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "environ", "words"),
    [
        ({"auth_source": "credential_file"}, {}, "auth_source"),
        ({}, {**AWX, "AZURE_PROFILE": "p"}, "AZURE_PROFILE"),
        ({}, {**AWX, "AZURE_FEDERATED_TOKEN_FILE": "f"}, "AZURE_FEDERATED_TOKEN_FILE"),
        ({"auth_source": "magic"}, {}, "magic"),
        ({"client_id": "c"}, {}, "Option secret"),
        ({"client_id": "c", "secret": "s"}, {}, "AZURE_TENANT or AZURE_TENANT_ID"),
        ({"auth_source": "env"}, {}, "AZURE_CLIENT_ID"),
        ({"auth_source": "env", **OPTION_NAMES}, {}, "AZURE_CLIENT_ID"),
        ({"disable_instance_discovery": "perhaps"}, {}, "disable_instance_discovery"),
    ],
)
def test_what_cannot_work_is_one_sentence(params: dict[str, str], environ: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        choose(params, environ)


def test_a_credential_file_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure" / "credentials").write_text("[default]\n")
    environ = {"HOME": str(tmp_path)}
    with pytest.raises(InputError, match="credentials exists"):
        choose({}, environ)
    assert choose({"auth_source": "cli"}, environ).methods[0].NAME == "Azure CLI"
    assert choose(OPTION_NAMES, environ).methods[0].NAME == "client secret"


def test_only_true_secrets_are_no_log() -> None:
    assert {name for name, option in OPTIONS.items() if option.get("no_log")} == {"secret", "password", "oidc_token"}
    assert read_auth_options(OPTION_NAMES, AWX).secrets == ("task-secret",)
    assert "hidden" not in repr(read_auth_options({"secret": "hidden"}, {"AZURE_SECRET": "hidden"}))
