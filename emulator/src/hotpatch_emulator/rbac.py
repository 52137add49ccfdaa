# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what where: role definitions, their assignments, and permissions withdrawn while a run goes on.

A role is actions less notActions, as patterns in which "*" stands for any run of characters; an assignment gives it
on a scope and everything below. What one assignment's notActions take away another assignment may give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from hotpatch_emulator.wire import ArmError

if TYPE_CHECKING:
    from hotpatch_emulator.settings import Principal


@dataclass(frozen=True)
class Role:
    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        """Whether the role as such allows an action (lower case)."""
        return _matches(action, self.actions) and not _matches(action, self.not_actions)


@dataclass(frozen=True)
class Grant:
    """A role on a scope (lower case, without a slash at its end); the empty scope is every subscription."""

    scope: str
    role: Role

    def covers(self, place: str) -> bool:
        return _inside(place, self.scope)


@dataclass(frozen=True)
class Withdrawal:
    """Actions that a principal no longer has from a moment on, in a scope."""

    since: datetime
    actions: tuple[str, ...]
    scope: str


_MACHINE = "Microsoft.Compute/virtualMachines"
# Azure's built-in roles by their own names; "Patch Operator" is made up: what a rollout needs and nothing else.
ROLES: dict[str, Role] = {
    "Reader": Role(("*/read",)),
    "Virtual Machine Contributor": Role(("*/read", f"{_MACHINE}/*", "Microsoft.Compute/locations/*")),
    "Patch Operator": Role(
        (
            "Microsoft.Resources/subscriptions/read",
            "Microsoft.Resources/subscriptions/locations/read",
            "Microsoft.Resources/subscriptions/resourceGroups/read",
            f"{_MACHINE}/read",
            f"{_MACHINE}/instanceView/read",
            f"{_MACHINE}/assessPatches/action",
            f"{_MACHINE}/installPatches/action",
            f"{_MACHINE}/restart/action",
            f"{_MACHINE}/patchAssessmentResults/*/read",
            f"{_MACHINE}/patchAssessmentResults/read",
            f"{_MACHINE}/patchInstallationResults/*/read",
            f"{_MACHINE}/patchInstallationResults/read",
            "Microsoft.Compute/locations/operations/read",
        )
    ),
    "Contributor": Role(("*",), ("Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write")),
}


def _matches(action: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(action, pattern.lower()) for pattern in patterns)


def _inside(place: str, scope: str) -> bool:
    return not scope or place == scope or place.startswith(scope + "/")


class Permissions:
    """What every principal may do at a moment."""

    def __init__(self) -> None:
        self._withdrawn: dict[str, list[Withdrawal]] = {}

    def withdraw(self, principal: Principal, since: datetime, actions: Sequence[str], scope: str = "") -> None:
        """Take actions (patterns) away from a principal from a moment on."""
        taken = Withdrawal(since, tuple(actions), scope.rstrip("/").lower())
        self._withdrawn.setdefault(principal.name, []).append(taken)

    def restore(self, principal: Principal) -> None:
        """Give everything back that was withdrawn."""
        self._withdrawn.pop(principal.name, None)

    def withdrawals(self, principal: Principal, now: datetime) -> int:
        """How many withdrawals a principal is under at a moment."""
        return sum(taken.since <= now for taken in self._withdrawn.get(principal.name, ()))

    def allows(self, principal: Principal, action: str, scope: str, now: datetime) -> bool:
        wanted, place = action.lower(), scope.lower()
        for taken in self._withdrawn.get(principal.name, ()):
            if taken.since <= now and _inside(place, taken.scope) and _matches(wanted, taken.actions):
                return False
        return any(grant.covers(place) and grant.role.allows(wanted) for grant in principal.grants)

    def sees(self, principal: Principal, subscription: str) -> bool:
        """Whether the principal has any role in the subscription or below it."""
        place = f"/subscriptions/{subscription}".lower()
        return any(grant.covers(place) or _inside(grant.scope, place) for grant in principal.grants)

    def require(self, principal: Principal, action: str, scope: str, now: datetime) -> None:
        """Raise the Resource Manager's 403 unless the principal may do it."""
        if self.allows(principal, action, scope, now):
            return
        raise ArmError(
            403,
            "AuthorizationFailed",
            f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have authorization "
            f"to perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently "
            "granted, please refresh your credentials.",
            headers={"x-ms-failure-cause": "gateway"},
        )


def custom_roles(given: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, Role]:
    """The roles that a fleet file defines, beside Azure's own."""
    own = {str(item["name"]): Role(tuple(item["actions"]), tuple(item.get("not_actions", ()))) for item in given}
    return {**ROLES, **own}
