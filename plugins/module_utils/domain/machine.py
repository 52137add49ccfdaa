# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine as Azure describes it: read once at the border, then only decided about.

Shapes come from recorded Azure traffic (GET virtual machine with ``$expand=instanceView``, 2024-08 and 2024-11) and,
for ``patchStatus``, from Microsoft's OpenAPI of Microsoft.Compute 2024-07-01: nobody has recorded a populated one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .arm import count, flag_fact, section, text, text_fact
from .facts import Fact, shared_fact
from .patch_status import AssessmentSummary, InstallationSummary, assessment_summary, installation_summary
from .plain import fields_to_plain, from_plain
from .products import Product, product_of_build, product_of_sku
from .resource_id import ResourceId

VIEW_NOT_READ = "instance view not read"
MODEL_NOT_READ = "machine model not read"
_VIEW_NOT_READ: Fact[Any] = Fact.unreadable(VIEW_NOT_READ)


@dataclass(frozen=True)
class Image:
    """What the machine was made from; a gallery or custom image has only an ``id``."""

    publisher: str | None = None
    offer: str | None = None
    sku: str | None = None
    version: str | None = None
    exact_version: str | None = None
    id: str | None = None


@dataclass(frozen=True)
class PatchSettings:
    """``osProfile.windowsConfiguration.patchSettings`` in ARM's spelling of the values."""

    patch_mode: Fact[str]
    enable_hotpatching: Fact[bool]
    assessment_mode: Fact[str]
    reboot_setting: Fact[str]
    bypass_platform_safety_checks: Fact[bool]


@dataclass(frozen=True)
class Machine:
    """One machine; times are UTC, ARM values keep ARM's spelling.

    :param power_state: ``running``, ``deallocated``, ``stopped``, ... without Azure's ``PowerState/``.
    :param agent_status: the VM agent's display status, ``Ready`` or ``Not Ready``.
    :param assessment: the last one in the instance view; None means "none" only when :attr:`instance_view_read`.
    :param installation: likewise.
    :param instance_view_read: whether the instance view came along.
    :param configuration_statuses: codes such as ``PatchModeConfigurationState/Ready``.
    :param error: Azure's error when the machine itself could not be read; every fact is then unreadable.
    :param etag: the model's version, in its quotes (recorded 2024); None with an older API.
    """

    id: ResourceId
    name: str
    location: str
    vm_id: str | None
    provisioning_state: str | None
    power_state: Fact[str]
    os_type: Fact[str]
    image: Fact[Image]
    zones: tuple[str, ...]
    availability_set: str | None
    scale_set: str | None
    agent_status: Fact[str]
    provision_vm_agent: Fact[bool]
    enable_automatic_updates: Fact[bool]
    allow_extension_operations: Fact[bool]
    patch_settings: PatchSettings
    assessment: AssessmentSummary | None
    installation: InstallationSummary | None
    computer_name: Fact[str]
    os_version: Fact[str]
    time_zone: Fact[str]
    tags: Mapping[str, str] = field(default_factory=dict)
    os_name: Fact[str] = _VIEW_NOT_READ
    platform_update_domain: Fact[int] = _VIEW_NOT_READ
    configuration_statuses: tuple[str, ...] = ()
    instance_view_read: bool = False
    error: Mapping[str, Any] | None = None
    etag: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON in snake_case; facts as ``{"state", "value", "why"}``, the ID as text."""
        return {**fields_to_plain(self), "kind": self.id.kind}


def machine_from_dict(raw: Mapping[str, Any]) -> Machine:
    """Return the machine that :meth:`Machine.to_dict` wrote; ValueError when it is not one."""
    return from_plain(Machine, raw)


def machine_from_arm(body: Mapping[str, Any]) -> Machine:
    """Return the machine of a GET or list item; without ``instanceView`` its facts are unreadable, not absent.

    InputError when ``id`` is not a machine's.
    """
    rid = ResourceId.parse(str(body.get("id") or ""), "id")
    properties = section(body, "properties")
    model_read = "storageProfile" in properties
    view_read = isinstance(properties.get("instanceView"), Mapping)
    view = section(properties, "instanceView")
    status = section(view, "patchStatus")
    profile, windows = section(properties, "osProfile"), section(properties, "osProfile", "windowsConfiguration")
    return Machine(
        id=rid,
        name=text(body, "name") or rid.name,
        location=text(body, "location") or "",
        vm_id=text(properties, "vmId"),
        provisioning_state=text(properties, "provisioningState"),
        power_state=_power_state(view) if view_read else Fact.unreadable(VIEW_NOT_READ),
        os_type=_os_type(properties) if model_read else Fact.unreadable(MODEL_NOT_READ),
        image=_image(properties) if model_read else Fact.unreadable(MODEL_NOT_READ),
        zones=tuple(str(zone) for zone in body.get("zones") or ()),
        availability_set=text(section(properties, "availabilitySet"), "id"),
        scale_set=text(section(properties, "virtualMachineScaleSet"), "id"),
        agent_status=_agent_status(view) if view_read else Fact.unreadable(VIEW_NOT_READ),
        provision_vm_agent=_setting(model_read, flag_fact(windows, "provisionVMAgent")),
        enable_automatic_updates=_setting(model_read, flag_fact(windows, "enableAutomaticUpdates")),
        allow_extension_operations=_setting(model_read, flag_fact(profile, "allowExtensionOperations")),
        patch_settings=_patch_settings(section(windows, "patchSettings"), model_read),
        assessment=assessment_summary(status.get("availablePatchSummary")),
        installation=installation_summary(status.get("lastPatchInstallationSummary")),
        computer_name=_computer_name(view, profile, model_read),
        os_version=_reported(view, "osVersion", view_read),
        time_zone=_setting(model_read, text_fact(windows, "timeZone")),
        tags={str(key): str(value) for key, value in section(body, "tags").items()},
        os_name=_reported(view, "osName", view_read),
        platform_update_domain=_update_domain(view, view_read),
        configuration_statuses=_codes(status.get("configurationStatuses")),
        instance_view_read=view_read,
        etag=text(body, "etag"),
    )


def unread_machine(resource_id: ResourceId, error: Mapping[str, Any]) -> Machine:
    """Return the machine that Azure did not show us (403, 404, no answer): every fact unreadable with Azure's error.

    :param error: as the border recorded it; ``code`` and ``message`` make the facts' reason.
    """
    why = ": ".join(str(error[key]) for key in ("code", "message") if error.get(key)) or "the machine could not be read"
    text_unread: Fact[str] = Fact.unreadable(why)
    flag_unread: Fact[bool] = Fact.unreadable(why)
    return Machine(
        id=resource_id,
        name=resource_id.name,
        location="",
        vm_id=None,
        provisioning_state=None,
        power_state=text_unread,
        os_type=text_unread,
        image=Fact.unreadable(why),
        zones=(),
        availability_set=None,
        scale_set=None,
        agent_status=text_unread,
        provision_vm_agent=flag_unread,
        enable_automatic_updates=flag_unread,
        allow_extension_operations=flag_unread,
        patch_settings=PatchSettings(text_unread, flag_unread, text_unread, text_unread, flag_unread),
        assessment=None,
        installation=None,
        computer_name=text_unread,
        os_version=text_unread,
        time_zone=text_unread,
        os_name=text_unread,
        platform_update_domain=Fact.unreadable(why),
        error=dict(error),
    )


_OS_BUILD = re.compile(r"\b10\.0\.(\d+)")


def product(machine: Machine) -> Fact[Product]:
    """Return ``ws2022`` or ``ws2025``, from the Microsoft image's SKU, else from the OS version in the instance view.

    Absent when it is known to be neither. Build 26100 is also Windows 11, so that it counts only with an OS name
    that says "Server".
    """
    image = machine.image.value
    if image is not None and image.sku and (image.publisher or "").lower() == "microsoftwindowsserver":
        return Fact.of_optional(product_of_sku(image.sku), f"image SKU {image.sku}")
    if machine.os_type.known and str(machine.os_type.value).lower() != "windows":
        return Fact.absent(f"operating system {machine.os_type.value}")
    if machine.os_version.value is None:
        return Fact.unreadable(machine.os_version.why or "the VM agent has not reported an OS version")
    found = _OS_BUILD.search(machine.os_version.value)
    if found is None:
        return Fact.unreadable(f"OS version {machine.os_version.value!r} holds no build number")
    by_build = product_of_build(int(found[1]))
    os_name = machine.os_name.value
    if by_build is None or (os_name is not None and "server" not in os_name.lower()):
        return Fact.absent(f"OS version {machine.os_version.value} {os_name or ''}".rstrip())
    if by_build == "ws2025" and os_name is None:
        return Fact.unreadable("build 26100 is Windows Server 2025 or Windows 11, and the OS name was not read")
    return Fact.of(by_build, f"OS version {machine.os_version.value}")


def _setting(model_read: bool, fact: Fact[Any]) -> Fact[Any]:
    return fact if model_read else Fact.unreadable(MODEL_NOT_READ)


def _patch_settings(settings: Mapping[str, Any], model_read: bool) -> PatchSettings:
    platform = section(settings, "automaticByPlatformSettings")
    return PatchSettings(
        patch_mode=_setting(model_read, text_fact(settings, "patchMode")),
        enable_hotpatching=_setting(model_read, flag_fact(settings, "enableHotpatching")),
        assessment_mode=_setting(model_read, text_fact(settings, "assessmentMode")),
        reboot_setting=_setting(model_read, text_fact(platform, "rebootSetting")),
        bypass_platform_safety_checks=_setting(
            model_read, flag_fact(platform, "bypassPlatformSafetyChecksOnUserSchedule")
        ),
    )


def _power_state(view: Mapping[str, Any]) -> Fact[str]:
    for code in _codes(view.get("statuses")):
        group, dummy, state = code.partition("/")
        if group.lower() == "powerstate" and state:
            return shared_fact(state.lower())
    return Fact.unreadable("the instance view holds no power state")


def _agent_status(view: Mapping[str, Any]) -> Fact[str]:
    agent = view.get("vmAgent")
    if not isinstance(agent, Mapping):
        return Fact.unreadable("the instance view holds no VM agent")
    for status in agent.get("statuses") or ():
        if isinstance(status, Mapping) and status.get("displayStatus"):
            return Fact.of(str(status["displayStatus"]), str(status.get("message") or ""))
    return Fact.unreadable("the VM agent has reported no status")


def _os_type(properties: Mapping[str, Any]) -> Fact[str]:
    found = text(section(properties, "storageProfile", "osDisk"), "osType")
    return shared_fact(found) if found else Fact.unreadable("the OS disk names no operating system")


def _image(properties: Mapping[str, Any]) -> Fact[Image]:
    reference = section(properties, "storageProfile", "imageReference")
    if not reference:
        return Fact.absent("the machine has no image reference: it was made from a disk, or restored elsewhere")
    names = ("publisher", "offer", "sku", "version", "exactVersion")
    gallery = (text(reference, name) for name in ("id", "sharedGalleryImageId", "communityGalleryImageId"))
    return _shared_image(*(text(reference, name) for name in names), next((item for item in gallery if item), None))


@lru_cache(maxsize=1024)
def _shared_image(*fields: str | None) -> Fact[Image]:
    """A fleet's machines are made from a few images, and each of them is kept once."""
    return Fact.of(Image(*fields))


def _reported(view: Mapping[str, Any], name: str, view_read: bool) -> Fact[str]:
    found = text(view, name)
    if found:
        return shared_fact(found)
    # Every guest has a name and a version: that the agent has not told them yet is not "no".
    return Fact.unreadable(f"the VM agent has not reported {name}" if view_read else VIEW_NOT_READ)


def _computer_name(view: Mapping[str, Any], profile: Mapping[str, Any], model_read: bool) -> Fact[str]:
    found = text(view, "computerName") or text(profile, "computerName")
    if found:
        return Fact.of(found)
    return Fact.unreadable("neither the instance view nor the OS profile names it" if model_read else MODEL_NOT_READ)


def _update_domain(view: Mapping[str, Any], view_read: bool) -> Fact[int]:
    return Fact.of_optional(count(view, "platformUpdateDomain")) if view_read else Fact.unreadable(VIEW_NOT_READ)


def _codes(statuses: Any) -> tuple[str, ...]:
    if not isinstance(statuses, list):
        return ()
    return tuple(str(item["code"]) for item in statuses if isinstance(item, Mapping) and item.get("code"))
