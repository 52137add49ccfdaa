# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authentication options: their argument spec, and their values from task or environment.

Names, types and order are azure.azcollection's, so that playbooks, credential types of AWX and habits carry over;
azure-identity's environment names are understood besides. Credentials come from one source: a profile of the credential
file, or the task with what it leaves out from the environment. The environment is read here and not by Ansible's own
fallbacks, because a task's ``environment`` never reaches os.environ of an action plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...domain.errors import InputError
from .credential_file import PLACE, Profile, default_profile, read_profile

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

CERTIFICATE_PASSWORD = "x509_certificate_password"  # noqa: S105  # a name
"""Not an option, as azure.azcollection has none for it; azure-identity's variable for it is understood all the same."""
_PASSWORD_VARIABLES = ("AZURE_CLIENT_CERTIFICATE_PASSWORD",)

NAMING = ("client_id", "ad_user")
"""Options that say who to be: a source of credentials counts if it has one of them."""
PROOFS = ("oidc_token", "oidc_token_file_path", "secret", "x509_certificate_path", "password")
"""Options that prove it, in azure.azcollection's order of methods."""
CREDENTIALS = frozenset({*NAMING, *PROOFS, "tenant", "thumbprint", CERTIFICATE_PASSWORD})
"""Options that come from the chosen source alone, so that one identity never gets the proof of another."""

SECRET_OPTIONS = (*(name for name, spec in OPTIONS.items() if spec.get("no_log")), CERTIFICATE_PASSWORD)

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
_FALSE = frozenset({"0", "false", "no", "off", "n", "f"})


@dataclass(frozen=True)
class AuthOptions:
    """The options of one task: ``given`` by the task itself, ``found`` in the environment, or read from a profile.

    ``problem`` is why the credential file that was asked for cannot be used; reading an option then raises it.
    """

    given: Mapping[str, str] = field(repr=False)
    found: Mapping[str, str] = field(repr=False)
    profile: Profile | None = None
    problem: InputError | None = None

    @property
    def source(self) -> str:
        """The option auth_source."""
        return _source(self.given, self.found)

    def layers(self, name: str) -> tuple[Mapping[str, str], ...]:
        """Return where the option *name* may come from, the first that has it counts."""
        from_profile = (self.profile.values,) if self.profile else ()
        if name not in CREDENTIALS:
            return (self.given, *from_profile, self.found)
        if from_profile:
            return from_profile
        return (self.found,) if self.source == "env" else (self.given, self.found)

    def get(self, name: str) -> str:
        """Return the option's value, or its default; "" for none."""
        if self.problem is not None:
            raise self.problem
        return next((layer[name] for layer in self.layers(name) if layer.get(name)), DEFAULTS.get(name, ""))

    def origin(self, name: str) -> str:
        """Say where the value came from or should come from, for messages."""
        if self.profile and (name in CREDENTIALS or self.profile.values.get(name)) and not self._is_given(name):
            return f"{name} (profile {self.profile.name} of {PLACE})"
        if self._is_given(name) or name not in ENVIRONMENT:
            return name
        return f"{name} (environment: {' or '.join(ENVIRONMENT[name])})"

    def _is_given(self, name: str) -> bool:
        return bool(self.given.get(name)) and any(layer is self.given for layer in self.layers(name))

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
        """All secret values for scrubbing, also of sources that were not chosen."""
        layers = (self.given, self.profile.values if self.profile else {}, self.found)
        return tuple(layer[name] for name in SECRET_OPTIONS for layer in layers if layer.get(name))


def read_auth_options(params: Mapping[str, Any], environ: Mapping[str, str]) -> AuthOptions:
    """Read the authentication options from a task's *params*, from *environ* and, if asked for, the credential file."""
    given = {name: str(params[name]) for name in OPTIONS if params.get(name) not in (None, "")}
    found = {
        name: value
        for name, variables in {**ENVIRONMENT, CERTIFICATE_PASSWORD: _PASSWORD_VARIABLES}.items()
        if (value := next((environ[variable] for variable in variables if environ.get(variable)), ""))
    }
    try:
        return AuthOptions(given, found, _choose_profile(given, found, environ))
    except InputError as problem:
        return AuthOptions(given, found, problem=problem)


def _source(given: Mapping[str, str], found: Mapping[str, str]) -> str:
    return given.get("auth_source") or found.get("auth_source") or DEFAULTS["auth_source"]


def _choose_profile(given: Mapping[str, str], found: Mapping[str, str], environ: Mapping[str, str]) -> Profile | None:
    """Return the profile that azure.azcollection's order comes to, None if it comes to something else first."""
    source = _source(given, found)
    by_variable = f"profile (environment: {' or '.join(ENVIRONMENT['profile'])})"
    if source in ("auto", "credential_file") and given.get("profile"):
        return _identified(read_profile(environ, given["profile"], "profile"), "profile")
    if source == "auto" and any(given.get(name) for name in (*NAMING, *PROOFS)):
        return None
    if source in ("auto", "credential_file", "env") and found.get("profile"):
        return _identified(read_profile(environ, found["profile"], by_variable), by_variable)
    if source == "credential_file":
        return _identified(read_profile(environ, "default", "auth_source credential_file, profile"), "profile")
    if source == "auto" and not any(found.get(name) for name in NAMING):
        profile = default_profile(environ)
        # Like azure.azcollection, which passes over a section that cannot be enough.
        return profile if profile and any(profile.values.get(name) for name in NAMING) else None
    return None


def _identified(profile: Profile, option: str) -> Profile:
    """Refuse a profile that was asked for by name and names nobody: something else would be used in its place."""
    if any(profile.values.get(name) for name in NAMING):
        return profile
    raise InputError(option, profile.name, f"a section of {PLACE} that holds client_id or ad_user")
