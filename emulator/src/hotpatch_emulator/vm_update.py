# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PATCH and PUT of a machine's model: what is refused, and with which of the service's messages.

Recorded or quoted texts are used where there are any. Three refusals follow only the schema's and Terraform's rules
(hotpatching with another patch mode, without agent, another mode on a hotpatch image): those texts are made up in the
style of the others, and the code alone can be relied on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hotpatch_emulator import catalogue
from hotpatch_emulator.state import PatchSettings, VirtualMachine
from hotpatch_emulator.wire import ArmError

_PREFIX = "windowsConfiguration.patchSettings"
_ENUMS = {
    "patchMode": ("Manual", "AutomaticByOS", "AutomaticByPlatform"),
    "assessmentMode": ("ImageDefault", "AutomaticByPlatform"),
    "rebootSetting": ("Unknown", "IfRequired", "Never", "Always"),
}
_TOP = {"tags", "properties", "identity", "zones", "plan", "location", "name", "id", "type", "etag"}
_PROPERTIES = {"osProfile", "hardwareProfile", "networkProfile", "storageProfile", "diagnosticsProfile",
               "securityProfile", "licenseType", "userData", "extensionsTimeBudget", "priority"}  # fmt: skip


def _invalid(message: str, target: str) -> ArmError:
    return ArmError(400, "InvalidParameter", message, target=target)


def _unchangeable(name: str) -> ArmError:
    return ArmError(409, "PropertyChangeNotAllowed", f"Changing property '{name}' is not allowed.", target=name)


def _section(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ArmError(400, "BadRequest", f"Error converting value of '{name}' to an object.", target=name)
    return value


def apply(machine: VirtualMachine, body: Any, api_version: str, *, check: bool = True) -> dict[str, Any]:
    """Check the PATCH, change the model and return what changed. Raises the service's refusal, changing nothing."""
    if not isinstance(body, Mapping):
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid and could not be deserialized.")
    _refuse_unknown(body, _TOP, "VirtualMachine")
    properties = _section(body, "properties")
    _refuse_unknown(properties, _PROPERTIES, "VirtualMachineProperties", "properties.")
    profile = _section(properties, "osProfile")
    windows = _section(profile, "windowsConfiguration")
    _refuse_fixed(machine, profile, windows)
    settings = _merged(machine.patch_settings, _section(windows, "patchSettings"))
    if check:
        _check(machine, settings, api_version)
    changed: dict[str, Any] = {}
    if "tags" in body:
        machine.tags = {str(key): str(value) for key, value in _section(body, "tags").items()}
        changed["tags"] = dict(machine.tags)
    if settings != machine.patch_settings:
        changed["patch_settings"] = settings.to_arm()
        machine.patch_settings = settings
    size = _section(properties, "hardwareProfile").get("vmSize")
    if size is not None and size != machine.size:
        changed["size"] = machine.size = str(size)
    return changed


def replace_model(machine: VirtualMachine, body: Any, api_version: str, *, refuse_bare: bool) -> dict[str, Any]:
    """Take a PUT of the whole model: patch settings that it leaves out are gone, which is what undoes an enrolment.

    azure.azcollection's azure_rm_virtualmachine sends the Windows configuration without them whenever it updates a
    machine. What Azure makes of that on a hotpatch image is not recorded: the default settings come back, or with
    ``refuse_bare`` the words that a creation without them gets. Nothing but settings, tags and size is replaced.
    """
    if not isinstance(body, Mapping):
        raise ArmError(400, "InvalidRequestContent", "The request content was invalid and could not be deserialized.")
    properties = _section(body, "properties")
    profile = _section(properties, "osProfile")
    windows = _section(profile, "windowsConfiguration")
    given = _section(windows, "patchSettings")
    image = machine.image
    fit = catalogue.supports_hotpatch(image.publisher, image.offer, image.sku)
    if windows and not given and refuse_bare and fit:
        raise _invalid("PatchSettings must be specified for hotpatch compatible VMs.", _PREFIX)
    _refuse_fixed(machine, profile, windows)
    # What a GET shows and nobody can write (vmId, timeCreated, instanceView ...) comes back in a PUT and is ignored.
    kept: dict[str, Any] = {name: body[name] for name in ("tags",) if name in body}
    kept["properties"] = {"hardwareProfile": _section(properties, "hardwareProfile")}
    before = machine.patch_settings
    if windows:
        machine.patch_settings = PatchSettings()
    if given:
        kept["properties"]["osProfile"] = {"windowsConfiguration": {"patchSettings": given}}
    try:
        # Bare settings are not checked: the rules for changing the mode would not let the defaults in.
        changed = apply(machine, kept, api_version, check=bool(given))
    except ArmError:
        machine.patch_settings = before
        raise
    changed.pop("patch_settings", None)
    if machine.patch_settings != before:
        changed["patch_settings"] = machine.patch_settings.to_arm()
    return changed


def _refuse_unknown(body: Mapping[str, Any], known: set[str], type_name: str, path: str = "") -> None:
    for name in body:
        if name not in known:
            raise ArmError(
                400,
                "BadRequest",
                f"Could not find member '{name}' on object of type '{type_name}'. Path '{path}{name}'.",
                target=f"{path}{name}",
            )


def _refuse_fixed(machine: VirtualMachine, profile: Mapping[str, Any], windows: Mapping[str, Any]) -> None:
    fixed = {
        "enableAutomaticUpdates": machine.enable_automatic_updates,
        "provisionVMAgent": machine.provision_vm_agent,
    }
    for name, value in fixed.items():
        if name in windows and windows[name] is not None and windows[name] != value:
            raise _unchangeable(f"windowsConfiguration.{name}")
    for name, own in (("adminUsername", "azureuser"), ("computerName", machine.guest.computer_name)):
        if name in profile and profile[name] != own:
            raise _unchangeable(f"osProfile.{name}")


def _merged(current: PatchSettings, given: Mapping[str, Any]) -> PatchSettings:
    """The settings after a merge patch; null removes a property."""
    _refuse_unknown(
        given,
        {"patchMode", "assessmentMode", "enableHotpatching", "automaticByPlatformSettings"},
        "PatchSettings",
        f"{_PREFIX}.",
    )
    result = replace(current)
    if given.get("patchMode") is not None:
        result.patch_mode = _one_of("patchMode", given["patchMode"], f"{_PREFIX}.patchMode")
    if given.get("assessmentMode") is not None:
        result.assessment_mode = _one_of("assessmentMode", given["assessmentMode"], f"{_PREFIX}.assessmentMode")
    if "enableHotpatching" in given:
        result.enable_hotpatching = _flag(given["enableHotpatching"], f"{_PREFIX}.enableHotpatching")
    target = f"{_PREFIX}.automaticByPlatformSettings"
    platform = _section(given, "automaticByPlatformSettings")
    if platform and result.patch_mode != "AutomaticByPlatform":
        text = "AutomaticByPlatformSettings cannot be set if the PatchMode is not 'AutomaticByPlatform'."
        raise _invalid(text, target)
    if platform.get("rebootSetting") is not None:
        result.reboot_setting = _one_of("rebootSetting", platform["rebootSetting"], f"{target}.rebootSetting")
    if "bypassPlatformSafetyChecksOnUserSchedule" in platform:
        result.bypass_platform_safety_checks = _flag(
            platform["bypassPlatformSafetyChecksOnUserSchedule"], f"{target}.bypassPlatformSafetyChecksOnUserSchedule"
        )
    if result.patch_mode != "AutomaticByPlatform":
        result.reboot_setting = result.bypass_platform_safety_checks = None
    elif result.bypass_platform_safety_checks is None:
        result.bypass_platform_safety_checks = False  # the service fills this in, as recorded
    return result


def _one_of(name: str, value: Any, target: str) -> str:
    for allowed in _ENUMS[name]:
        if str(value).lower() == allowed.lower():
            return allowed
    raise _invalid(
        f"The value '{value}' of parameter '{target}' is not allowed. Allowed values are: {', '.join(_ENUMS[name])}.",
        target,
    )


def _flag(value: Any, target: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise ArmError(400, "BadRequest", f"Error converting value \"{value}\" to type 'System.Boolean'.", target=target)


def _check(machine: VirtualMachine, settings: PatchSettings, api_version: str) -> None:
    image = machine.image
    hotpatch_image = catalogue.supports_hotpatch(image.publisher, image.offer, image.sku)
    hotpatching = settings.enable_hotpatching is True
    if hotpatch_image and api_version < "2020-06-01":
        raise ArmError(
            400,
            "BadRequest",
            "Hotpatch compatible VMs cannot be created or updated with an API version lower than '2020-06-01'.",
        )
    if hotpatching and not hotpatch_image:
        raise _invalid(
            "The selected VM image is not supported for hotpatching. Learn more at: "
            "https://aka.ms/HotpatchCompatibility",
            f"{_PREFIX}.enableHotpatching",
        )
    if settings.patch_mode == "AutomaticByPlatform" and not catalogue.supports_guest_patching(
        image.publisher, image.offer, image.sku
    ):
        raise _invalid(
            "The selected VM image is not supported for VM Guest patch operations. Learn more at: "
            "https://aka.ms/VMGuestPatchingCompatibility",
            f"{_PREFIX}.patchMode",
        )
    if hotpatching and settings.patch_mode == "AutomaticByPlatform" and settings.bypass_platform_safety_checks is True:
        raise _invalid(
            "Hotpatch updates require platform safety checks. The 'BypassPlatformSafetyChecksOnUserSchedule' flag "
            "must be set to false to enable hotpatching.",
            f"{_PREFIX}.enableHotpatching",
        )
    _check_mode(machine, settings, hotpatch_image, hotpatching)


def _check_mode(machine: VirtualMachine, settings: PatchSettings, hotpatch_image: bool, hotpatching: bool) -> None:
    target = f"{_PREFIX}.patchMode"
    if settings.patch_mode == "AutomaticByOS" and not machine.enable_automatic_updates:
        raise _invalid(
            "The patchMode 'AutomaticByOS' is invalid. For patchMode 'AutomaticByOS', the property "
            "'enableAutomaticUpdates' must be set to true.",
            target,
        )
    if settings.patch_mode == "Manual" and machine.enable_automatic_updates:
        raise _invalid(
            "The patchMode 'Manual' is invalid. For patchMode 'Manual', the property 'enableAutomaticUpdates' must be "
            "set to false.",
            target,
        )
    if hotpatching and settings.patch_mode != "AutomaticByPlatform":
        raise _invalid(
            "The patchMode must be 'AutomaticByPlatform' when 'enableHotpatching' is set to true.",
            f"{_PREFIX}.enableHotpatching",
        )
    if hotpatching and not machine.provision_vm_agent:
        raise _invalid(
            "The property 'provisionVMAgent' must be set to true when 'enableHotpatching' is set to true.",
            f"{_PREFIX}.enableHotpatching",
        )
    if hotpatch_image and settings.patch_mode not in ("AutomaticByPlatform", machine.patch_settings.patch_mode):
        raise _invalid("The patchMode must be 'AutomaticByPlatform' for hotpatch compatible VMs.", target)
