# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication as a service principal with its secret: the options client_id, secret and tenant."""

from __future__ import annotations

from typing import Any

from .method import Surroundings, application, require_application
from .options import AuthOptions


class ClientSecret:
    NAME = "client secret"
    OPTIONS = ("client_id", "secret", "tenant")

    def validate(self, options: AuthOptions) -> None:
        require_application(options, "secret")

    def principal(self, options: AuthOptions) -> str:
        return application(options)

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        from azure.identity.aio import ClientSecretCredential

        return ClientSecretCredential(
            options.get("tenant"),
            options.get("client_id"),
            options.get("secret"),
            transport=surroundings.transport(),
            **surroundings.login(options),
        )
