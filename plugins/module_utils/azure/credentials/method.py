# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every way to authenticate looks like: one small file each, with a class of this shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...domain.errors import InputError
from ..clouds import Cloud
from .options import AuthOptions


@dataclass(frozen=True)
class Surroundings:
    """What building a credential needs beside the options.

    ``authority`` is the login endpoint: the cloud's, or that of the option adfs_authority_url. The others make a fresh
    azure-core transport with the session's TLS and proxies and with real sleeps: ``transport`` to the login endpoint,
    ``local_transport`` to a service on this machine, without proxies and with little patience, and
    ``blocking_transport`` for a credential that has no async form.
    """

    cloud: Cloud
    authority: str
    environ: Mapping[str, str]
    transport: Callable[[], Any]
    local_transport: Callable[[], Any]
    blocking_transport: Callable[[], Any]

    def login(self, options: AuthOptions) -> dict[str, Any]:
        """What every credential that asks the login endpoint is built with, its transport aside."""
        return {
            "authority": self.authority,
            "disable_instance_discovery": options.flag("disable_instance_discovery"),
            "retry_total": 3,
        }


class Method(Protocol):
    """A way to authenticate; ``validate`` asks nobody and reads local files at most, ``build`` needs azure-identity."""

    @property
    def NAME(self) -> str:  # noqa: N802
        """What messages call it."""

    @property
    def OPTIONS(self) -> tuple[str, ...]:  # noqa: N802
        """The options that it reads."""

    def validate(self, options: AuthOptions) -> None:
        """Raise InputError, naming the option, if the options cannot work."""

    def principal(self, options: AuthOptions) -> str:
        """Name the principal; requests of one principal share their budgets."""

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        """Return an async azure-identity credential; makes no request."""


def require(options: AuthOptions, names: tuple[str, ...], why: str, next_step: str = "") -> None:
    """Raise InputError for the first of the options *names* that has no value; *why* as in "a login needs ..."."""
    for name in names:
        if not options.get(name):
            raise InputError(options.origin(name), "", f"given, because {why}", next_step)


def require_application(options: AuthOptions, proof: str) -> None:
    """Raise InputError unless client_id, tenant and the option *proof* are there and the tenant may be one."""
    require(
        options,
        ("client_id", proof, "tenant"),
        f"a service principal needs client_id, {proof} and tenant together",
        "for a managed identity set auth_source to msi, for the Azure CLI's login to cli",
    )
    check_tenant(options)


def check_tenant(options: AuthOptions) -> None:
    """Raise InputError for a tenant that cannot be one."""
    tenant = options.get("tenant")
    # azure-identity allows the same; a URL or a blank here would end in a login page instead of a token.
    if not all(character.isalnum() or character in "-." for character in tenant):
        raise InputError(options.origin("tenant"), tenant, "a tenant ID (a GUID) or a domain name of the tenant")


def application(options: AuthOptions) -> str:
    """Name a service principal, for ``principal``."""
    return f"{options.get('tenant')}/{options.get('client_id')}".lower()
