# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one state behind both sides: what Azure says of a machine and what its guest says of itself.

The Azure side (``compute``, ``patching``) and the guests' WinRM listeners (``wsman``) share these objects, so when
an installation ends the guest's build has moved as well. Nothing here talks to anybody or knows the time: every
method that changes something is told the emulated moment.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hotpatch_emulator.inside import Inside
from hotpatch_emulator.settings import WinrmService

if TYPE_CHECKING:
    from hotpatch_emulator.settings import Principal, Script, Switches

HOTPATCH_PACKAGE_NAME = "Hotpatch Enrollment Package"


@dataclass
class Guest:
    """The Windows inside a machine, as WMI and its registry would show it. All times are emulated UTC.

    ``booted_at`` is true time; what the guest itself believes is that plus ``clock_skew_seconds``.
    ``kbs`` maps "KB5087423" to the moment of its installation (Win32_QuickFixEngineering).
    """

    address: str
    winrm: bool
    computer_name: str
    os_build: int
    ubr: int
    caption: str
    edition_sku: int
    edition_id: str
    display_version: str
    booted_at: datetime
    username: str
    password: str
    time_zone: str = "UTC"
    utc_offset_minutes: int = 0
    clock_skew_seconds: float = 0.0
    kbs: dict[str, datetime] = field(default_factory=dict)
    hotpatch_package_version: str | None = None
    hotpatch_table_size: int | None = None
    vbs_configured: bool = True
    vbs_status: int = 2
    pending_restart: bool = False
    cbs_keys: set[str] = field(default_factory=set)
    wu_keys: set[str] = field(default_factory=set)
    smbios_uuid: str = ""
    services: dict[str, str] = field(default_factory=dict)
    free_memory_kb: int = 5_242_880
    total_memory_kb: int = 8_388_608
    cpu_percent: int = 3
    powered_on: bool = True
    down_until: datetime | None = None
    ubr_after_restart: int | None = None
    leaving: dict[str, int] = field(default_factory=dict)
    winrm_service: WinrmService = field(default_factory=WinrmService)
    inside: Inside = field(default_factory=Inside)

    def answers(self, now: datetime) -> bool:
        """Whether WinRM accepts connections: it exists, the machine runs and is not restarting."""
        return self.winrm and self.powered_on and (self.down_until is None or now >= self.down_until)

    def install(self, kb: str, ubr: int | None, now: datetime, *, needs_restart: bool = False) -> None:
        """Note an installed update; the build moves at once, or with the next restart if the update needs one."""
        self.kbs[kb] = now
        if needs_restart:
            self.pending_restart = True
            self.cbs_keys.add("RebootPending")
            self.wu_keys.add("RebootRequired")
            if ubr is not None:
                self.ubr_after_restart = max(ubr, self.ubr_after_restart or 0)
        elif ubr is not None:
            self.ubr = max(self.ubr, ubr)

    def uninstall(self, kb: str, ubr: int) -> None:
        """Stage the removal of an update: it stays listed, and the build stands, until a restart takes it off."""
        self.leaving[kb] = ubr
        self.pending_restart = True
        self.cbs_keys.add("RebootPending")

    def restart(self, now: datetime, down_seconds: float) -> None:
        """Go down now and come back: WinRM refuses connections until then, pending updates take effect."""
        self.down_until = now + timedelta(seconds=down_seconds)
        # The kernel's boot time lies before the services answer: some two thirds into the outage.
        self.booted_at = now + timedelta(seconds=down_seconds * 2 / 3)
        self._settle()

    def power_off(self) -> None:
        self.powered_on = False

    def power_on(self, now: datetime, boot_seconds: float) -> None:
        """Boot a stopped machine; WinRM answers ``boot_seconds`` later."""
        self.powered_on = True
        self.restart(now, boot_seconds)

    def _settle(self) -> None:
        if self.ubr_after_restart is not None:
            self.ubr = max(self.ubr, self.ubr_after_restart)
        self.ubr_after_restart = None
        for kb, ubr in self.leaving.items():
            self.kbs.pop(kb, None)
            self.ubr = min(self.ubr, ubr)
        self.leaving.clear()
        self.pending_restart = False
        self.inside.pending_renames = 0
        self.vbs_status = self.inside.vbs_after_boot(self.vbs_status)
        self.cbs_keys.clear()
        self.wu_keys.clear()

    @property
    def enrolled(self) -> bool:
        """Hotpatch is effective: the package is there, the kernel table has a size and VBS runs."""
        return bool(self.hotpatch_package_version) and bool(self.hotpatch_table_size) and self.vbs_status == 2


@dataclass(frozen=True)
class ImageReference:
    publisher: str
    offer: str
    sku: str
    version: str = "latest"
    exact_version: str = ""
    id: str = ""

    def to_arm(self) -> dict[str, str]:
        if self.id:
            return {"id": self.id}
        body = {"publisher": self.publisher, "offer": self.offer, "sku": self.sku, "version": self.version}
        if self.exact_version:
            body["exactVersion"] = self.exact_version
        return body


@dataclass
class PatchSettings:
    """osProfile.windowsConfiguration.patchSettings; None means the property is absent."""

    patch_mode: str = "AutomaticByOS"
    enable_hotpatching: bool | None = None
    assessment_mode: str | None = "ImageDefault"
    reboot_setting: str | None = None
    bypass_platform_safety_checks: bool | None = None

    def to_arm(self) -> dict[str, Any]:
        body: dict[str, Any] = {"patchMode": self.patch_mode}
        platform: dict[str, Any] = {}
        if self.reboot_setting is not None:
            platform["rebootSetting"] = self.reboot_setting
        if self.bypass_platform_safety_checks is not None:
            platform["bypassPlatformSafetyChecksOnUserSchedule"] = self.bypass_platform_safety_checks
        if platform and self.patch_mode == "AutomaticByPlatform":
            body["automaticByPlatformSettings"] = platform
        if self.assessment_mode is not None:
            body["assessmentMode"] = self.assessment_mode
        if self.enable_hotpatching is not None:
            body["enableHotpatching"] = self.enable_hotpatching
        return body


@dataclass
class VirtualMachine:
    """One Microsoft.Compute/virtualMachines resource with the guest inside it."""

    subscription_id: str
    resource_group: str
    name: str
    location: str
    vm_id: str
    image: ImageReference
    product: str
    guest: Guest
    script: Script
    patch_settings: PatchSettings
    time_created: datetime
    size: str = "Standard_DS1_v2"
    os_type: str = "Windows"
    zones: tuple[str, ...] = ()
    availability_set: str | None = None
    update_domain: int | None = None
    scale_set: str | None = None
    public_address: str | None = None
    ring: str | None = None
    deleted: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    power_state: str = "running"
    provisioning_state: str = "Succeeded"
    provisioned_at: datetime | None = None
    provision_vm_agent: bool = True
    enable_automatic_updates: bool = True
    allow_extension_operations: bool = True
    agent_ready: bool = True
    etag: int = 2
    other_patches_installed: set[str] = field(default_factory=set)
    assessment_views: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    installation_views: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    running_operation: str | None = None
    expect: dict[str, str] = field(default_factory=dict)
    host: str = ""

    @property
    def id(self) -> str:
        return (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.Compute/virtualMachines/{self.name}"
        )

    @property
    def key(self) -> str:
        """The ID as Azure compares it."""
        return self.id.lower()

    def view(self, history: list[tuple[datetime, dict[str, Any]]], now: datetime) -> dict[str, Any] | None:
        """The newest summary that has become visible; patchStatus lags behind the operations (a switch)."""
        shown = None
        for visible_at, summary in history:
            if visible_at <= now:
                shown = summary
        return shown


class Fleet:
    """All machines, found by ARM ID, group, subscription and guest address.

    ``deleted`` are those that only somebody's inventory still has: Azure knows nothing of them, and no guest answers.
    """

    def __init__(
        self,
        tenant_id: str,
        subscriptions: dict[str, str],
        machines: list[VirtualMachine],
        principals: list[Principal],
        switches: Switches,
        seed: int,
        management_groups: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self.tenant_id = tenant_id
        self.seed = seed
        self.management_groups = dict(management_groups or {})
        self.subscriptions = subscriptions
        self.principals = principals
        self.switches = switches
        self.random = random.Random(seed)
        self.deleted = [machine for machine in machines if machine.deleted]
        machines = [machine for machine in machines if not machine.deleted]
        self._by_key = {machine.key: machine for machine in machines}
        self._by_address = {machine.guest.address: machine for machine in machines}
        self.group_tags: dict[str, dict[str, str]] = {}
        """Tags of resource groups by their name in lower case."""
        self._groups: dict[tuple[str, str], list[VirtualMachine]] = {}
        for machine in machines:
            self._groups.setdefault((machine.subscription_id.lower(), machine.resource_group.lower()), []).append(
                machine
            )

    def __iter__(self) -> Iterator[VirtualMachine]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def machine(self, resource_id: str) -> VirtualMachine | None:
        return self._by_key.get(resource_id.lower())

    def by_address(self, address: str) -> VirtualMachine | None:
        """The machine whose guest listens on this loopback address."""
        return self._by_address.get(address)

    def by_name(self, name: str) -> VirtualMachine | None:
        """The first machine of that name in any group (the control port names machines that way)."""
        wanted = name.lower()
        return next((machine for machine in self if machine.name.lower() == wanted), None)

    def has_group(self, subscription_id: str, resource_group: str) -> bool:
        return (subscription_id.lower(), resource_group.lower()) in self._groups

    def group(self, subscription_id: str, resource_group: str) -> list[VirtualMachine]:
        return list(self._groups.get((subscription_id.lower(), resource_group.lower()), ()))

    def subscription(self, subscription_id: str) -> list[VirtualMachine]:
        wanted = subscription_id.lower()
        return [machine for key, group in self._groups.items() if key[0] == wanted for machine in group]
