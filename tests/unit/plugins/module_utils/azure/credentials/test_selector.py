# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which credentials are chosen: azure.azcollection's order, from the task down to the managed identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.options import (
    CREDENTIALS,
    ENVIRONMENT,
    NAMING,
    OPTIONS,
    PROOFS,
    read_auth_options,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.selector import (
    BY_PROOF,
    Choice,
    choose_method,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError

TASK = {"client_id": "task-client", "secret": "task-secret", "tenant": "task.example"}
AWX = {"AZURE_CLIENT_ID": "env-client", "AZURE_SECRET": "env-secret", "AZURE_TENANT": "env.example"}
AWX_USER = {"AZURE_AD_USER": "env@user", "AZURE_PASSWORD": "env-password"}
IDENTITY = {"AZURE_CLIENT_ID": "env-client", "AZURE_CLIENT_SECRET": "env-secret", "AZURE_TENANT_ID": "env.example"}
KUBERNETES = {
    "AZURE_CLIENT_ID": "pod-client",
    "AZURE_TENANT_ID": "pod.example",
    "AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/token",
    "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/",
}
FILE = """
[default]
subscription_id = default-subscription
client_id = default-client
secret = default-secret%
tenant = default.example

[pilot]
client_id = pilot-client
secret = pilot-secret
tenant = pilot.example
cloud_environment = AzureUSGovernment

[person]
ad_user = file@user
password = file-password

[nobody]
subscription_id = some-subscription
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with a credential file."""
    (tmp_path / ".azure").mkdir()
    (tmp_path / ".azure" / "credentials").write_text(FILE)
    return tmp_path


def choose(params: dict[str, str], environ: dict[str, str], home: Path | str = "/nowhere") -> Choice:
    return choose_method(read_auth_options(params, {"HOME": str(home), **environ}))


def names(choice: Choice) -> list[str]:
    return [method.NAME for method in choice.methods]


@pytest.mark.parametrize(
    ("params", "environ", "methods", "principal"),
    [
        (TASK, {}, ["client secret"], "task.example/task-client"),
        (TASK, AWX, ["client secret"], "task.example/task-client"),
        (TASK, KUBERNETES, ["client secret"], "task.example/task-client"),
        (TASK, AWX_USER, ["client secret"], "task.example/task-client"),
        ({}, AWX, ["client secret"], "env.example/env-client"),
        ({}, IDENTITY, ["client secret"], "env.example/env-client"),
        ({}, KUBERNETES, ["OIDC token file"], "pod.example/pod-client"),
        ({}, {**AWX, "AZURE_FEDERATED_TOKEN": "t"}, ["OIDC token"], "env.example/env-client"),
        ({}, {**KUBERNETES, "AZURE_FEDERATED_TOKEN": "t"}, ["OIDC token"], "pod.example/pod-client"),
        ({}, {**AWX, **AWX_USER}, ["client secret"], "env.example/env-client"),
        ({}, AWX_USER, ["user name and password"], "organizations/env@user"),
        ({"ad_user": "task@user", "password": "p"}, AWX, ["user name and password"], "env.example/task@user"),
        ({"ad_user": "task@user"}, {**AWX, **AWX_USER}, ["user name and password"], "env.example/task@user"),
        ({**TASK, "auth_source": "env"}, AWX, ["client secret"], "env.example/env-client"),
        ({"auth_source": "msi"}, AWX, ["managed identity"], "msi/env-client"),
        ({"auth_source": "msi", "client_id": "u"}, {}, ["managed identity"], "msi/u"),
        ({"auth_source": "cli"}, AWX, ["Azure CLI"], "cli/env.example"),
        ({}, {"ANSIBLE_AZURE_AUTH_SOURCE": "msi"}, ["managed identity"], "msi/"),
        ({}, {}, ["Azure CLI", "managed identity"], "cli/"),
        ({}, {"AZURE_PASSWORD": "left over"}, ["Azure CLI", "managed identity"], "cli/"),
        ({}, {"AZURE_FEDERATED_TOKEN_FILE": "/not/meant"}, ["Azure CLI", "managed identity"], "cli/"),
    ],
)
def test_the_order_without_a_credential_file(
    params: dict[str, str], environ: dict[str, str], methods: list[str], principal: str
) -> None:
    choice = choose(params, environ)
    assert names(choice) == methods
    assert choice.principal == principal


@pytest.mark.parametrize(
    ("params", "environ", "principal"),
    [
        ({"profile": "pilot"}, {}, "pilot.example/pilot-client"),
        ({"profile": "pilot", **TASK}, AWX, "pilot.example/pilot-client"),
        ({"profile": "pilot"}, {**AWX, "AZURE_PROFILE": "person"}, "pilot.example/pilot-client"),
        (TASK, {"AZURE_PROFILE": "pilot"}, "task.example/task-client"),
        ({"secret": "s"}, {**AWX, "AZURE_PROFILE": "pilot"}, "env.example/env-client"),
        ({}, {**AWX, "AZURE_PROFILE": "pilot"}, "pilot.example/pilot-client"),
        ({}, {"AZURE_PROFILE": "person"}, "organizations/file@user"),
        ({}, AWX, "env.example/env-client"),
        ({}, {"AZURE_TENANT": "env.example"}, "default.example/default-client"),
        ({}, {"AZURE_SECRET": "left over"}, "default.example/default-client"),
        ({"tenant": "task.example"}, {}, "default.example/default-client"),
        ({"auth_source": "credential_file"}, AWX, "default.example/default-client"),
        ({"auth_source": "credential_file", **TASK}, AWX, "default.example/default-client"),
        ({"auth_source": "credential_file", "profile": "pilot"}, AWX, "pilot.example/pilot-client"),
        ({"auth_source": "credential_file"}, {"AZURE_PROFILE": "pilot"}, "pilot.example/pilot-client"),
        ({"auth_source": "env", "profile": "pilot"}, AWX, "env.example/env-client"),
        ({"auth_source": "env"}, {**AWX, "AZURE_PROFILE": "pilot"}, "pilot.example/pilot-client"),
        ({"auth_source": "cli"}, {"AZURE_PROFILE": "pilot"}, "cli/"),
        ({"auth_source": "msi"}, {}, "msi/"),
    ],
)
def test_the_order_with_a_credential_file(
    params: dict[str, str], environ: dict[str, str], principal: str, home: Path
) -> None:
    assert choose(params, environ, home).principal == principal


@pytest.mark.parametrize("strongest", range(len(PROOFS)))
def test_the_first_proof_of_a_source_counts(strongest: int, tmp_path: Path) -> None:
    """Everything from the strongest down is there; a certificate is refused for its file, so its refusal shows it."""
    variables = {name: ENVIRONMENT[name][0] for name in PROOFS[strongest:]}
    environ = {variable: f"{name}-value" for name, variable in variables.items()}
    environ |= {"AZURE_TENANT": "t", "AZURE_AD_USER": "u@t", "AZURE_CLIENT_ID": "c"}
    if PROOFS[strongest] == "x509_certificate_path":
        with pytest.raises(InputError, match="x509_certificate_path"):
            choose({}, environ, tmp_path)
    else:
        assert choose({}, environ, tmp_path).methods == (BY_PROOF[PROOFS[strongest]],)


@pytest.mark.parametrize(
    ("params", "environ", "expected"),
    [
        ({"profile": "default"}, {}, "default-subscription"),
        ({"profile": "default"}, {"AZURE_SUBSCRIPTION_ID": "env"}, "default-subscription"),
        ({"profile": "default", "subscription_id": "task"}, {"AZURE_SUBSCRIPTION_ID": "env"}, "task"),
        ({"profile": "pilot"}, {"AZURE_SUBSCRIPTION_ID": "env"}, "env"),
        ({}, {**AWX, "AZURE_SUBSCRIPTION_ID": "env"}, "env"),
        ({"subscription_id": "task"}, {**AWX, "AZURE_SUBSCRIPTION_ID": "env"}, "task"),
        ({}, AWX, ""),
    ],
)
def test_the_callers_subscription_wins(
    params: dict[str, str], environ: dict[str, str], expected: str, home: Path
) -> None:
    assert read_auth_options(params, {"HOME": str(home), **environ}).get("subscription_id") == expected


def test_a_profile_takes_no_credentials_from_elsewhere(home: Path) -> None:
    options = read_auth_options({"profile": "person", **TASK}, {"HOME": str(home), **AWX})
    assert {name: options.get(name) for name in CREDENTIALS if options.get(name)} == {
        "ad_user": "file@user",
        "password": "file-password",
    }
    assert options.get("cloud_environment") == "AzureCloud"
    assert read_auth_options({"profile": "pilot"}, {"HOME": str(home)}).get("cloud_environment") == "AzureUSGovernment"


@pytest.mark.parametrize(
    ("params", "environ", "words"),
    [
        ({"auth_source": "magic"}, {}, "magic"),
        ({"client_id": "c"}, {}, r"Option secret .*oidc_token_file_path"),
        ({"client_id": "c", "secret": "s"}, {}, "AZURE_TENANT or AZURE_TENANT_ID"),
        ({"client_id": "c"}, AWX_USER, "Option secret"),
        ({"secret": "s"}, {}, "Option client_id"),
        ({"oidc_token": "t", "client_id": "c"}, {}, "Option tenant"),
        ({"oidc_token_file_path": "t", "tenant": "c"}, {}, "Option client_id"),
        ({"ad_user": "u"}, {}, "Option password"),
        ({"password": "hush-hush"}, {}, "Option ad_user"),
        ({"ad_user": "u"}, AWX, "Option password"),
        ({}, {"AZURE_SECRET": "hush-hush"}, "AZURE_CLIENT_ID"),
        ({}, {"AZURE_FEDERATED_TOKEN": "hush-hush"}, "AZURE_CLIENT_ID"),
        ({}, {"AZURE_CLIENT_CERTIFICATE_PATH": "p"}, "AZURE_CLIENT_ID"),
        ({"auth_source": "env"}, {}, "AZURE_CLIENT_ID"),
        ({"auth_source": "env", **TASK}, {}, "AZURE_CLIENT_ID"),
        ({"disable_instance_discovery": "perhaps"}, {}, "disable_instance_discovery"),
        ({"profile": "pilot"}, {}, r"Option profile .*credentials does not exist"),
        ({"auth_source": "credential_file"}, {}, "does not exist"),
        ({}, {"AZURE_PROFILE": "pilot"}, "AZURE_PROFILE"),
    ],
)
def test_what_cannot_work_is_one_sentence(params: dict[str, str], environ: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        choose(params, environ)
    assert "hush-hush" not in str(caught.value)


def test_every_option_is_documented_where_it_comes_from() -> None:
    assert set(ENVIRONMENT) <= set(OPTIONS)
    assert set(PROOFS) == set(BY_PROOF)
    assert {*NAMING, *PROOFS} <= CREDENTIALS
    assert {option for method in BY_PROOF.values() for option in method.OPTIONS} <= set(OPTIONS)


def test_only_true_secrets_are_no_log() -> None:
    assert {name for name, option in OPTIONS.items() if option.get("no_log")} == {"secret", "password", "oidc_token"}


def test_all_secrets_are_scrubbed_also_of_what_was_not_chosen(home: Path) -> None:
    environ = {"HOME": str(home), **AWX, "AZURE_CLIENT_CERTIFICATE_PASSWORD": "opens-it", **AWX_USER}
    options = read_auth_options({"profile": "pilot", **TASK, "oidc_token": "task-token"}, environ)
    assert set(options.secrets) == {
        "task-secret",
        "pilot-secret",
        "env-secret",
        "env-password",
        "task-token",
        "opens-it",
    }
    assert not any(secret in repr(options) for secret in options.secrets)
