# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every way to authenticate looks like: one small file each, with a class of this shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..clouds import Cloud
from .options import AuthOptions


@dataclass(frozen=True)
class Surroundings:
    """What building a credential needs beside the options.

    Both make a fresh azure-core transport on the session's connections, with real sleeps: ``transport`` to the login
    endpoint, ``local_transport`` to a service on this machine, without proxies and with little patience.
    """

    cloud: Cloud
    environ: Mapping[str, str]
    transport: Callable[[], Any]
    local_transport: Callable[[], Any]


class Method(Protocol):
    """A way to authenticate; ``validate`` and ``principal`` are pure, ``build`` needs azure-identity."""

    @property
    def NAME(self) -> str: ...  # noqa: N802

    @property
    def OPTIONS(self) -> tuple[str, ...]: ...  # noqa: N802

    def validate(self, options: AuthOptions) -> None:
        """Raise InputError, naming the option, if the options cannot work."""

    def principal(self, options: AuthOptions) -> str:
        """Name the principal; requests of one principal share their budgets."""

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        """Return an async azure-identity credential; makes no request."""
