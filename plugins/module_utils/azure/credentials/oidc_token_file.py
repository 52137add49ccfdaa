# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication as a service principal with the token file of a federated issuer: the option oidc_token_file_path.

This is workload identity, too: Kubernetes and CI systems keep the file's token fresh. azure-identity's own
WorkloadIdentityCredential keeps what it read for minutes, so that a token may be used that has expired meanwhile; here
the file is read whenever Azure is asked for a token.
"""

from __future__ import annotations

import os
from typing import Any

from ..errors import AzureFailure
from .method import Surroundings, application, require_application
from .options import AuthOptions

_OPERATION = "get a token from Azure"
LONGEST_BYTES = 65536


class OidcTokenFile:
    NAME = "OIDC token file"
    OPTIONS = ("client_id", "oidc_token_file_path", "tenant")

    def validate(self, options: AuthOptions) -> None:
        require_application(options, "oidc_token_file_path")

    def principal(self, options: AuthOptions) -> str:
        return application(options)

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        from azure.identity.aio import ClientAssertionCredential

        path, origin = options.get("oidc_token_file_path"), options.origin("oidc_token_file_path")
        return ClientAssertionCredential(
            options.get("tenant"),
            options.get("client_id"),
            lambda: read_token(path, origin),
            transport=surroundings.transport(),
            **surroundings.login(options),
        )


def read_token(path: str, origin: str) -> str:
    """Return the token in the file; raises AzureFailure (kind ``credential``) naming the option *origin*."""
    try:
        with open(os.path.expanduser(path), encoding="ascii") as file:
            token = file.read(LONGEST_BYTES).strip()
    except OSError as error:
        raise _unusable(path, origin, error.strerror or "it cannot be read") from error
    except UnicodeDecodeError:
        raise _unusable(path, origin, "it holds no token") from None
    # Of a file that is none the text is not shown: it may be some other secret.
    if token.count(".") != 2 or any(character.isspace() for character in token):
        raise _unusable(path, origin, "it holds no token" if token else "it is empty")
    return token


def _unusable(path: str, origin: str, why: str) -> AzureFailure:
    return AzureFailure(
        f"Could not {_OPERATION} with the token file {path!r} of the option {origin}: {why}; name the file that the "
        "federated issuer (Kubernetes, the CI system) keeps its token in.",
        kind="credential",
        operation=_OPERATION,
        message=why,
        target="oidc_token_file_path",
    )
