# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication as the managed identity of the machine this runs on; client_id chooses a user-assigned one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from .method import Surroundings
from .options import AuthOptions

ENDPOINT_VARIABLES = (
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
)
"""What azure-identity reads from os.environ, and from nowhere else, to find the identity's endpoint."""


def needs_own_process(environ: Mapping[str, str]) -> bool:
    """Tell whether *environ* finds another identity than this process's os.environ does.

    Then the work belongs into a process started with *environ* (an Ansible module), since os.environ is not touched.
    """
    return any(environ.get(name) != os.environ.get(name) for name in ENDPOINT_VARIABLES)


class ManagedIdentity:
    NAME = "managed identity"
    OPTIONS = ("client_id",)

    def validate(self, options: AuthOptions) -> None:
        """Nothing to check: without client_id it is the machine's own identity."""

    def principal(self, options: AuthOptions) -> str:
        return f"msi/{options.get('client_id')}".lower()

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        from azure.identity.aio import ManagedIdentityCredential

        return ManagedIdentityCredential(
            client_id=options.get("client_id") or None,
            transport=surroundings.local_transport(),
            # Workload identity is a method of its own, and not to be slipped in here.
            _exclude_workload_identity_credential=True,
        )
