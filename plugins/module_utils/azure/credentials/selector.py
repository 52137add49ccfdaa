# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way to authenticate: the order of azure.azcollection's ``auto``, with the managed identity at its end.

``auto``: the task's profile, else the task's client_id or ad_user, else the environment's profile, client_id or
ad_user, else the profile ``default`` of the credential file, else the Azure CLI's login, else the managed identity.
Of the source chosen so, the first proof counts: OIDC token, OIDC token file, secret, certificate, password.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...domain.errors import InputError
from .azure_cli import AzureCli
from .certificate import Certificate
from .client_secret import ClientSecret
from .managed_identity import ManagedIdentity
from .method import Method
from .oidc_token import OidcToken
from .oidc_token_file import OidcTokenFile
from .options import NAMING, PROOFS, AuthOptions
from .username_password import UsernamePassword

BY_PROOF: Mapping[str, Method] = {
    "oidc_token": OidcToken(),
    "oidc_token_file_path": OidcTokenFile(),
    "secret": ClientSecret(),
    "x509_certificate_path": Certificate(),
    "password": UsernamePassword(),
}
"""The method that each proof leads to; PROOFS holds their order."""

_LONELY = ("secret", "x509_certificate_path", "oidc_token")
"""Proofs in the environment that somebody must have meant; the others are also left there by AWX and Kubernetes."""


@dataclass(frozen=True)
class Choice:
    """The methods to try, in order; more than one only for ``auto`` without any credentials given."""

    methods: tuple[Method, ...]
    options: AuthOptions

    @property
    def principal(self) -> str:
        return self.methods[0].principal(self.options)


def choose_method(options: AuthOptions) -> Choice:
    """Choose how to authenticate; raises InputError for options that cannot work."""
    if options.problem is not None:
        raise options.problem
    source = options.source
    options.flag("disable_instance_discovery")
    if source == "msi":
        return Choice((ManagedIdentity(),), options)
    if source == "cli":
        return Choice((AzureCli(),), options)
    if source not in ("auto", "credential_file", "env"):
        raise InputError(options.origin("auth_source"), source, "auto, cli, credential_file, env or msi")
    method = _method(options)
    if method is None:
        return Choice((AzureCli(), ManagedIdentity()), options)
    method.validate(options)
    return Choice((method,), options)


def _method(options: AuthOptions) -> Method | None:
    """Return the method that the credentials lead to, None if there are none at all.

    A proof that the task gives wins over every one in the environment, and a user's name never gets the secret of an
    application.
    """
    proofs = _proofs(options)
    for layer in options.layers("secret"):
        for proof in proofs:
            if layer.get(proof) and _belongs(options, layer, proof):
                return BY_PROOF[proof]
    if proofs == ("password",) or (options.get("ad_user") and not options.get("client_id")):
        return BY_PROOF["password"]
    if not options.get("client_id") and options.source != "env":
        return None
    raise InputError(
        options.origin("secret" if options.get("client_id") else "client_id"),
        "",
        "given: client_id and tenant with a secret, x509_certificate_path, oidc_token or oidc_token_file_path, or "
        "ad_user and password",
        "for a managed identity set auth_source to msi, for the Azure CLI's login to cli",
    )


def _proofs(options: AuthOptions) -> tuple[str, ...]:
    """Return the proofs that fit whom the task names, if it does."""
    if options.profile is None and options.source != "env":
        if options.given.get("ad_user") and not options.given.get("client_id"):
            return ("password",)
        if options.given.get("client_id") and not options.given.get("ad_user"):
            return tuple(proof for proof in PROOFS if proof != "password")
    return PROOFS


def _belongs(options: AuthOptions, layer: Mapping[str, str], proof: str) -> bool:
    """Tell whether a proof is one for somebody, and not left over from something else."""
    if layer is options.given:
        return True
    if proof == "password":
        return bool(options.get("ad_user"))
    return proof in _LONELY or options.source == "env" or any(options.get(name) for name in NAMING)
