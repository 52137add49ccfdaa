# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ARM resource ID of a machine: an Azure virtual machine or an Arc-enabled server.

IDs compare case-insensitively: Azure's own services answer with ``resourcegroups`` and lower-case providers (recorded
Maintenance traffic 2025-01), users copy what they see.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .errors import InputError

MachineKind = Literal["virtual_machine", "arc_machine"]

_KINDS: dict[tuple[str, str], tuple[str, str, MachineKind]] = {
    ("microsoft.compute", "virtualmachines"): ("Microsoft.Compute", "virtualMachines", "virtual_machine"),
    ("microsoft.hybridcompute", "machines"): ("Microsoft.HybridCompute", "machines", "arc_machine"),
}
_ALLOWED = (
    "the ARM ID of a virtual machine (/subscriptions/<guid>/resourceGroups/<group>/providers/"
    "Microsoft.Compute/virtualMachines/<name>) or of an Arc-enabled server "
    "(.../Microsoft.HybridCompute/machines/<name>)"
)
_SCALE_SET = "the ARM ID of a single machine, not of an instance of a scale set"
_ID = re.compile(r"/subscriptions/([^/]+)/resourcegroups/([^/]+)/providers/([^/]+)/(.+)", re.IGNORECASE)
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# Microsoft Learn, "Naming rules and restrictions for Azure resources". What is refused here would also bend the URL.
_GROUP = re.compile(r"[\w().-]{0,89}[\w()-]")
GROUP_PATTERN = re.compile(rf"/subscriptions/{_GUID.pattern}/resourcegroups/{_GROUP.pattern}", re.IGNORECASE)
"""The ARM ID of a resource group."""
_NAME = re.compile(r"""[^\s\\/"'\[\]:|<>+=;,?*@&#%]{1,64}""")


@dataclass(frozen=True, eq=False)
class ResourceId:
    """A machine's ARM ID in parts; equal when :attr:`key` is.

    :param subscription_id: a GUID as spelled by the user.
    :param resource_group: the group's name as spelled by the user.
    :param provider: ``Microsoft.Compute`` or ``Microsoft.HybridCompute``, in Azure's spelling.
    :param type: ``virtualMachines`` or ``machines``, in Azure's spelling.
    :param name: the machine's name as spelled by the user.
    """

    subscription_id: str
    resource_group: str
    provider: str
    type: str
    name: str

    @classmethod
    def parse(cls, text: str, option: str = "resource_ids") -> ResourceId:
        """Return the parts of an ID; InputError, naming the option, for anything but one machine's ID."""
        cleaned = text.strip().rstrip("/") if isinstance(text, str) else ""
        found = _ID.fullmatch(cleaned)
        if found is None:
            raise InputError(option, text, _ALLOWED)
        subscription, group, provider, rest = found.groups()
        if provider.lower() == "microsoft.compute" and rest.lower().startswith("virtualmachinescalesets/"):
            raise InputError(option, text, _SCALE_SET, "name the machines of a flexible scale set by their own IDs")
        kind, dummy, name = rest.partition("/")
        known = _KINDS.get((provider.lower(), kind.lower()))
        if known is None or not _NAME.fullmatch(name) or not _GROUP.fullmatch(group):
            raise InputError(option, text, _ALLOWED)
        if not _GUID.fullmatch(subscription):
            raise InputError(option, text, _ALLOWED, f"its subscription {subscription!r} is not a GUID")
        return cls(subscription, group, known[0], known[1], name)

    @property
    def kind(self) -> MachineKind:
        """``virtual_machine`` or ``arc_machine``."""
        return _KINDS[(self.provider.lower(), self.type.lower())][2]

    @property
    def key(self) -> str:
        """The whole ID in lower case: what to compare, sort and index by."""
        return str(self).lower()

    def __str__(self) -> str:
        """The whole ID in Azure's spelling of the fixed parts."""
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/{self.provider}/{self.type}/{self.name}"
        )

    def __eq__(self, other: object) -> bool:
        return self.key == other.key if isinstance(other, ResourceId) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key)
