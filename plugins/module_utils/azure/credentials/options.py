# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authentication options: their argument spec, and their values from task or environment.

Names, types and order are azure.azcollection's, so that playbooks, credential types of AWX and habits carry over;
azure-identity's environment names are understood besides. The environment is read here and not by Ansible's own
fallbacks, because a task's ``environment`` never reaches os.environ of an action plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...domain.errors import InputError

OPTIONS: dict[str, dict[str, Any]] = {
    "auth_source": {"type": "str", "choices": ["auto", "cli", "credential_file", "env", "msi"]},
    "profile": {"type": "str"},
    "subscription_id": {"type": "str"},
    "client_id": {"type": "str"},
    "secret": {"type": "str", "no_log": True},
    "tenant": {"type": "str"},
    "ad_user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "cloud_environment": {"type": "str"},
    "cert_validation_mode": {"type": "str", "choices": ["ignore", "validate"]},
    "api_profile": {"type": "str", "default": "latest"},
    "adfs_authority_url": {"type": "str"},
    "x509_certificate_path": {"type": "path"},
    "thumbprint": {"type": "str"},
    "disable_instance_discovery": {"type": "bool"},
    "oidc_token": {"type": "str", "no_log": True},
    "oidc_token_file_path": {"type": "path"},
    "log_mode": {"type": "str"},
    "log_path": {"type": "str"},
}
"""What every module that talks to Azure takes. No defaults where the environment may give a value."""

ENVIRONMENT: Mapping[str, tuple[str, ...]] = {
    "auth_source": ("ANSIBLE_AZURE_AUTH_SOURCE",),
    "profile": ("AZURE_PROFILE",),
    "subscription_id": ("AZURE_SUBSCRIPTION_ID",),
    "client_id": ("AZURE_CLIENT_ID",),
    "secret": ("AZURE_SECRET", "AZURE_CLIENT_SECRET"),
    "tenant": ("AZURE_TENANT", "AZURE_TENANT_ID"),
    "ad_user": ("AZURE_AD_USER", "AZURE_USERNAME"),
    "password": ("AZURE_PASSWORD",),
    "cloud_environment": ("AZURE_CLOUD_ENVIRONMENT",),
    "cert_validation_mode": ("AZURE_CERT_VALIDATION_MODE",),
    "adfs_authority_url": ("AZURE_ADFS_AUTHORITY_URL",),
    "x509_certificate_path": ("AZURE_X509_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PATH"),
    "thumbprint": ("AZURE_THUMBPRINT",),
    "disable_instance_discovery": ("AZURE_DISABLE_INSTANCE_DISCOVERY",),
    "oidc_token": ("AZURE_FEDERATED_TOKEN",),
    "oidc_token_file_path": ("AZURE_FEDERATED_TOKEN_FILE",),
}
"""Environment names of each option, the first that is set counts: azure.azcollection's, then azure-identity's."""

DEFAULTS: Mapping[str, str] = {
    "auth_source": "auto",
    "cloud_environment": "AzureCloud",
    "cert_validation_mode": "validate",
}

SECRET_OPTIONS = tuple(name for name, spec in OPTIONS.items() if spec.get("no_log"))

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
_FALSE = frozenset({"0", "false", "no", "off", "n", "f"})


@dataclass(frozen=True)
class AuthOptions:
    """The options of one task: ``given`` by the task itself, and ``found`` in the environment."""

    given: Mapping[str, str] = field(repr=False)
    found: Mapping[str, str] = field(repr=False)

    def get(self, name: str) -> str:
        """Return the task's value, else the environment's, else the default; "" for none."""
        return self.given.get(name) or self.found.get(name) or DEFAULTS.get(name, "")

    def origin(self, name: str) -> str:
        """Say where the value came from, for messages: the option's name, or the environment variables' names."""
        if self.given.get(name) or name not in ENVIRONMENT:
            return name
        return f"{name} (environment: {' or '.join(ENVIRONMENT[name])})"

    def flag(self, name: str) -> bool:
        """Return a boolean option; raises InputError for a word that is none."""
        word = self.get(name).lower()
        if word in _TRUE:
            return True
        if word in _FALSE or not word:
            return False
        raise InputError(self.origin(name), word, "a boolean, true or false")

    @property
    def secrets(self) -> tuple[str, ...]:
        """All secret values, for scrubbing."""
        return tuple(value for value in (self.get(name) for name in SECRET_OPTIONS) if value)


def read_auth_options(params: Mapping[str, Any], environ: Mapping[str, str]) -> AuthOptions:
    """Read the authentication options from a task's *params* and from *environ*."""
    given = {name: str(params[name]) for name in OPTIONS if params.get(name) not in (None, "")}
    found = {
        name: value
        for name, variables in ENVIRONMENT.items()
        if (value := next((environ[variable] for variable in variables if environ.get(variable)), ""))
    }
    return AuthOptions(given, found)
