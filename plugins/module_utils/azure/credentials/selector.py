# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way to authenticate: the order of azure.azcollection's ``auto``, with the managed identity at its end.

``auto``: the task's client_id, else the environment's, else the Azure CLI's login, else the managed identity.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ...domain.errors import InputError
from .azure_cli import AzureCli
from .client_secret import ClientSecret
from .managed_identity import ManagedIdentity
from .method import Method
from .options import AuthOptions

NOT_YET = {
    "profile": "credential file profiles",
    "ad_user": "user name and password",
    "password": "user name and password",
    "x509_certificate_path": "certificates",
    "thumbprint": "certificates",
    "oidc_token": "OIDC tokens",
    "oidc_token_file_path": "OIDC token files",
    "adfs_authority_url": "AD FS",
}
"""Options of azure.azcollection's contract that this version refuses rather than ignores."""

_BEFORE_SECRET = frozenset({"profile", "oidc_token", "oidc_token_file_path", "adfs_authority_url"})
"""Those that azure.azcollection would let win over a client_id and secret in the environment."""

_INSTEAD = "use client_id, secret and tenant, or set auth_source to msi or cli"


@dataclass(frozen=True)
class Choice:
    """The methods to try, in order; more than one only for ``auto`` without any credentials given."""

    methods: tuple[Method, ...]
    options: AuthOptions

    @property
    def principal(self) -> str:
        return self.methods[0].principal(self.options)


def choose_method(options: AuthOptions, environ: Mapping[str, str]) -> Choice:
    """Choose how to authenticate; raises InputError for options that cannot work or are not supported yet."""
    source = options.get("auth_source")
    options.flag("disable_instance_discovery")
    for name in options.given:
        _refuse_unsupported(options, name)
    if source == "credential_file":
        raise InputError(options.origin("auth_source"), source, "auto, cli, env or msi in this version", _INSTEAD)
    if source == "msi":
        return Choice((ManagedIdentity(),), options)
    if source == "cli":
        return Choice((AzureCli(),), options)
    if source not in ("auto", "env"):
        raise InputError(options.origin("auth_source"), source, "auto, cli, credential_file, env or msi")
    if source == "env":
        options = AuthOptions({**_without_credentials(options.given)}, options.found)
    if not any(options.given.get(name) for name in ("client_id", "secret")):
        complete = all(options.found.get(name) for name in ("client_id", "secret"))
        for name in options.found:
            if name in _BEFORE_SECRET or not complete:
                _refuse_unsupported(options, name)
    if source == "env" or options.get("client_id") or options.get("secret"):
        method = ClientSecret()
        method.validate(options)
        return Choice((method,), options)
    credential_file = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".azure", "credentials")
    if os.path.isfile(credential_file):
        # azure.azcollection would use it here; going on silently could act as somebody else.
        raise InputError("auth_source", "auto", "cli, env or msi while ~/.azure/credentials exists", _INSTEAD)
    return Choice((AzureCli(), ManagedIdentity()), options)


def _refuse_unsupported(options: AuthOptions, name: str) -> None:
    if name in NOT_YET:
        raise InputError(
            options.origin(name),
            # Values may be secret.
            "(not shown)",
            f"left out, because this version does not support {NOT_YET[name]}",
            _INSTEAD,
        )


def _without_credentials(given: Mapping[str, str]) -> dict[str, str]:
    """auth_source env takes who to be from the environment alone."""
    return {name: value for name, value in given.items() if name not in ClientSecret.OPTIONS}
