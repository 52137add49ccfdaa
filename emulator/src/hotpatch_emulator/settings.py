# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fleet file can set besides machines: switches, scripts, principals and their roles."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hotpatch_emulator.assertions import ApplicationCertificate, FederatedTrust
from hotpatch_emulator.rbac import Grant

Range = tuple[float, float]


class FleetError(ValueError):
    """The fleet file cannot be used; one sentence that names the place and the value."""


@dataclass(frozen=True)
class Switches:
    """What nobody has seen Azure do, or what differs from time to time; the defaults are the least favourable.

    An asked-for restart reaches the guest ``restart_late_seconds`` after Azure took it, which may be after Azure calls
    it done; with an update to finish the guest is away for ``baseline_down_seconds``, and its servicing stack works for
    ``servicing_seconds`` more once it is back. All three are inferred.

    Ranges are emulated minutes or seconds, as their names say, and are drawn from by seed.
    """

    platform_patches_by_itself: bool = True
    platform_within_days: float = 30
    platform_not_before_hours: float = 0
    enrolment_delay_minutes: Range = (20, 180)
    patch_status_lag_minutes: Range = (0, 5)
    hotpatch_reboot_behavior: str = "NeverReboots"
    conflict_code: str = "OperationNotAllowed"
    stopped_machine: str = "accepted_then_failed"
    rebuilt_poll_url: str = "not_found"
    operation_kept_minutes: float = 240
    unselected_state: str = "Excluded"
    install_failure: str = "patch"
    put_without_patch_settings: str = "reset"
    reboot_setting_of: str = "model"
    throttle_body: str = "text_for_polls"
    buckets: str = "smaller_than_documented"
    bucket_sizes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    others_draw_percent: float = 20
    others_schedule: tuple[Mapping[str, float], ...] = ()
    others_draw: str = "at_refill"
    ratelimit_headers: str = "comma_separated"
    resource_graph_lag_minutes: Range = (2, 15)
    operations_read_scope: str = "subscription"
    drained_percent: float = 0
    page_size: int = 50
    list_expand: str = "refused_without_filter"
    assess_minutes: Range = (1.6, 2.6)
    install_minutes: Range = (4, 9)
    duration_shape: str = "uniform"
    restart_down_seconds: Range = (90, 240)
    restart_late_seconds: Range = (8, 90)
    baseline_down_seconds: Range = (240, 720)
    servicing_seconds: Range = (30, 240)
    agent_silence_minutes: float = 25
    update_seconds: Range = (8, 40)
    token_lifetime_seconds: int = 3599


@dataclass(frozen=True)
class Script:
    """What a machine does out of the ordinary.

    ``then_installs`` names who starts an installation in the moment in which an assessment ends, so that whoever asked
    for the assessment comes too late: ``platform`` or a principal. ``install_winrm`` is how the guest misbehaves once
    an installation was applied, ``winrm`` from the start.
    """

    reboot_behavior: str | None = None
    offer_hidden: bool = False
    assess_outcome: str = "Succeeded"
    assess_minutes: float | None = None
    install_outcome: str = "Succeeded"
    restarts: bool = False
    install_minutes: float | None = None
    platform_after_minutes: float | None = None
    then_installs: str | None = None
    install_winrm: Mapping[str, Any] = field(default_factory=dict)
    winrm: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WinrmService:
    """How a guest's WinRM service is configured (winrm/config/service and its listeners).

    ``authentication`` names basic, ntlm and kerberos (both Negotiate) and certificate, first the one that the inventory
    uses. ``certificate_name`` is what the listener's certificate is for, None for the guest's own address.
    """

    authentication: tuple[str, ...] = ("basic",)
    https_listener: bool = True
    http_listener: bool = False
    allow_unencrypted: bool = False
    cbt_hardening: str = "relaxed"
    certificate_name: str | None = None


@dataclass(frozen=True)
class Principal:
    """Somebody who may ask: a service principal, a user or, with ``managed_identity``, the control node's identity.

    ``proofs`` names the PROOFS that the sign-in service takes of it.
    """

    name: str
    client_id: str
    object_id: str
    secret: str
    managed_identity: bool
    grants: tuple[Grant, ...]
    proofs: tuple[str, ...] = ("secret",)
    certificate: ApplicationCertificate | None = None
    federated: FederatedTrust | None = None
    user: str = ""
    password: str = ""


PROOFS = ("secret", "certificate", "federated", "password")
"""How a principal can prove who it is; ``password`` makes it a user."""


def make_secret(length: int = 40) -> str:
    """A secret as Azure's generator makes them: no quote or blank that would need care in a shell or YAML."""
    alphabet = string.ascii_letters + string.digits + "-_~."
    return secrets.choice(string.ascii_letters) + "".join(secrets.choice(alphabet) for _ in range(length - 1))
