# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication as a service principal with its secret: the options client_id, secret and tenant."""

from __future__ import annotations

from typing import Any

from ...domain.errors import InputError
from .method import Surroundings
from .options import AuthOptions


class ClientSecret:
    NAME = "client secret"
    OPTIONS = ("client_id", "secret", "tenant")

    def validate(self, options: AuthOptions) -> None:
        for name in self.OPTIONS:
            if not options.get(name):
                raise InputError(
                    options.origin(name),
                    "",
                    "given, because a service principal needs client_id, secret and tenant together",
                    "for a managed identity set auth_source to msi, for the Azure CLI's login to cli",
                )
        tenant = options.get("tenant")
        # azure-identity allows the same; a URL or a blank here would end in a login page instead of a token.
        if not all(character.isalnum() or character in "-." for character in tenant):
            raise InputError(options.origin("tenant"), tenant, "a tenant ID (a GUID) or a domain name of the tenant")

    def principal(self, options: AuthOptions) -> str:
        return f"{options.get('tenant')}/{options.get('client_id')}".lower()

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        from azure.identity.aio import ClientSecretCredential

        return ClientSecretCredential(
            options.get("tenant"),
            options.get("client_id"),
            options.get("secret"),
            authority=surroundings.cloud.authority,
            disable_instance_discovery=options.flag("disable_instance_discovery"),
            transport=surroundings.transport(),
            retry_total=3,
        )
