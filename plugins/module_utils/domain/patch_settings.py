# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which patch settings a machine shall have, the least change that leads there, and what Azure would refuse.

Only ``osProfile.windowsConfiguration.patchSettings`` is ever written, and in it only what differs: Azure merges the
rest (the azurerm provider of Terraform switches hotpatching off by sending ``enableHotpatching`` alone).
A refusal is decided before the call only where Azure's own answer is recorded or quoted, or where Microsoft's OpenAPI
of Microsoft.Compute 2024-07-01 says it; :data:`RULES` names the evidence of each.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .eligibility import HOTPATCH_SKUS, eligibility
from .errors import InputError
from .facts import Fact
from .machine import Machine, PatchSettings
from .reasons import Reason

State = Literal["present", "absent", "held"]

BY_PLATFORM = "AutomaticByPlatform"
PATCH_MODES = ("AutomaticByPlatform", "AutomaticByOS", "Manual")
ASSESSMENT_MODES = ("ImageDefault", "AutomaticByPlatform")
REBOOT_SETTINGS = ("IfRequired", "Never", "Always")

_ARM_NAMES: Mapping[str, tuple[str, ...]] = {
    "patch_mode": ("patchMode",),
    "enable_hotpatching": ("enableHotpatching",),
    "assessment_mode": ("assessmentMode",),
    "reboot_setting": ("automaticByPlatformSettings", "rebootSetting"),
    "bypass_platform_safety_checks": ("automaticByPlatformSettings", "bypassPlatformSafetyChecksOnUserSchedule"),
}
_DEFAULTS: Mapping[str, object] = {
    "patch_mode": "AutomaticByOS",
    "enable_hotpatching": False,
    "assessment_mode": "ImageDefault",
    "bypass_platform_safety_checks": False,
}
"""What Azure goes by where a setting is not there (Microsoft Learn, "Automatic guest patching for Azure virtual
machines", 2024-07; recorded Azure traffic 2024-11). A reboot setting that is not there equals none of ARM's words."""


@dataclass(frozen=True)
class Wanted:
    """The settings a machine shall have, in ARM's spelling; None leaves one as it is."""

    state: State
    patch_mode: str | None = None
    enable_hotpatching: bool | None = None
    assessment_mode: str | None = None
    reboot_setting: str | None = None
    bypass_platform_safety_checks: bool | None = None

    def items(self) -> list[tuple[str, Any]]:
        """Name and value of each setting that is wanted, in ARM's order."""
        return [(name, getattr(self, name)) for name in _ARM_NAMES if getattr(self, name) is not None]


@dataclass(frozen=True)
class Rule:
    """A refusal before the call: for which states it counts, and on what evidence.

    ``states`` are those in which the rule stands; ``evidence`` is a noun phrase with its date.
    """

    meaning: str
    evidence: str
    states: tuple[State, ...] = ("present", "absent", "held")


RULES: Mapping[str, Rule] = {
    "not_windows": Rule(
        "the operating system is not Windows",
        "Microsoft.Compute 2024-07-01: windowsConfiguration is for Windows only",
    ),
    "scale_set_member": Rule(
        "the machine belongs to a scale set, whose model decides",
        "Microsoft Learn, Hotpatch for Windows Server, 2025-07, and Azure's \"'EnableHotpatching' must be set to "
        "'true' on Virtual Machine Scale Sets\" (quoted in terraform-provider-azurerm 24335)",
    ),
    "image_not_supported": Rule(
        "the image is not in Microsoft's list",
        'Azure\'s 400 InvalidParameter "The selected VM image is not supported for hotpatching", recorded 2021-03',
        ("present",),
    ),
    "vm_agent_off": Rule(
        "provisionVMAgent is false",
        "Microsoft.Compute 2024-07-01: AutomaticByPlatform and enableHotpatching need provisionVMAgent true",
    ),
    "extension_operations_off": Rule(
        "allowExtensionOperations is false",
        "Microsoft.Compute 2024-07-01: no extension may be present then, and hotpatching works by extensions",
        ("present",),
    ),
    "agent_not_ready": Rule(
        "the VM agent of the running machine does not report Ready",
        "Azure's VMAgentStatusCommunicationError, recorded 2021: what an agent must do ends in a time-out",
        ("present",),
    ),
    "customer_schedule_flag": Rule(
        "bypassPlatformSafetyChecksOnUserSchedule is true; lifted, the flag is cleared along with enabling",
        'Azure\'s 400 InvalidParameter "Hotpatch updates require platform safety checks" (quoted in '
        "claranet/terraform-azurerm-windows-vm 4, 2025-03)",
        ("present",),
    ),
    "created_with_updates_off": Rule(
        "enableAutomaticUpdates is false, cannot be changed, and AutomaticByOS needs true",
        "Azure's 400 InvalidParameter \"For patchMode 'AutomaticByOS', the property 'enableAutomaticUpdates' must be "
        'set to true" (quoted in kumarvna/terraform-azurerm-virtual-machine 13)',
    ),
    "created_with_updates_on": Rule(
        "enableAutomaticUpdates is true, cannot be changed, and Manual needs false",
        "Microsoft.Compute 2024-07-01: for Manual, enableAutomaticUpdates must be false",
    ),
}
"""Every code a refusal can carry. That AutomaticByPlatform needs enableAutomaticUpdates true is no rule: the OpenAPI
says so, but "Automatic guest patching" (2024-07) documents the change from Manual with false, so Azure decides."""


def wanted_settings(
    state: State,
    patch_mode: str | None = None,
    assessment_mode: str | None = None,
    reboot_setting: str | None = None,
    bypass: bool | None = None,
) -> Wanted:
    """Return the settings of a state; InputError for options that contradict it or each other.

    ``present`` is hotpatching on, in AutomaticByPlatform, without the customer schedule's flag. ``held`` keeps the
    platform's own patching away: AutomaticByPlatform with that flag and without a schedule, so that nothing patches
    (Microsoft Learn, "Prerequisites for scheduled patching", 2024-01; not verified live). ``absent`` is hotpatching
    off; everything else only as the options say.
    """
    if state != "absent":
        _only("patch_mode", patch_mode, BY_PLATFORM, state)
        _only("bypass_platform_safety_checks", bypass, state == "held", state)
        patch_mode, bypass = BY_PLATFORM, state == "held"
    elif patch_mode not in (None, BY_PLATFORM):
        for option, value in (("reboot_setting", reboot_setting), ("bypass_platform_safety_checks", bypass)):
            if value is not None:
                # "AutomaticByPlatformSettings cannot be set if the PatchMode is not 'AutomaticByPlatform'."
                raise InputError(option, value, f"left out with patch_mode {patch_mode}", f"it needs {BY_PLATFORM}")
    return Wanted(state, patch_mode, state == "present", assessment_mode, reboot_setting, bypass)


def wanted_from(options: Mapping[str, Any]) -> Wanted:
    """Return the settings that a task's options ask for; InputError as :func:`wanted_settings`."""
    names = ("patch_mode", "assessment_mode", "reboot_setting", "bypass_platform_safety_checks")
    return wanted_settings(options["state"], *(options.get(name) for name in names))


def _only(option: str, value: object, allowed: object, state: State) -> None:
    if value is not None and value != allowed:
        raise InputError(option, value, f"{allowed} or left out with state {state}")


def difference(current: PatchSettings, wanted: Wanted) -> dict[str, dict[str, Any]]:
    """Return what differs as ``{setting: {"wanted": ..., "actual": ...}}``, in the collection's names.

    What Azure leaves out counts as its default; a setting that could not be read carries ``unreadable`` with the
    reason, and is a difference.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, value in wanted.items():
        fact: Fact[Any] = getattr(current, name)
        if fact.is_unreadable:
            found[name] = {"wanted": value, "actual": None, "unreadable": fact.why}
        elif not _same(name, fact.value, value):
            found[name] = {"wanted": value, "actual": fact.value}
    return found


def _same(name: str, actual: object, wanted: object) -> bool:
    actual = _DEFAULTS.get(name) if actual is None else actual
    if isinstance(actual, str) and isinstance(wanted, str):
        return actual.lower() == wanted.lower()
    return actual == wanted


def unread_settings(current: PatchSettings, wanted: Wanted) -> tuple[Reason, ...]:
    """Return a reason for each wanted setting that could not be read: then no change can be worked out."""
    differs = difference(current, wanted)
    return tuple(
        Reason("settings_unread", f"{name} was not read: {found['unreadable']}")
        for name, found in differs.items()
        if "unreadable" in found
    )


def change(current: PatchSettings, wanted: Wanted) -> dict[str, Any]:
    """Return the least ``patchSettings`` to send, in ARM's shape; empty when nothing differs."""
    return _arm({name: found["wanted"] for name, found in difference(current, wanted).items()})


def to_arm(current: PatchSettings, wanted: Wanted | None = None) -> dict[str, Any]:
    """Return the settings in ARM's shape: as read, or as they are after the change."""
    values = {name: getattr(current, name).value for name in _ARM_NAMES}
    if wanted is not None:
        values.update({name: found["wanted"] for name, found in difference(current, wanted).items()})
    if str(values["patch_mode"] or _DEFAULTS["patch_mode"]).lower() != BY_PLATFORM.lower():
        # They exist in that mode only; Azure drops them with it.
        values.update(reboot_setting=None, bypass_platform_safety_checks=None)
    return _arm({name: value for name, value in values.items() if value is not None})


def patch_body(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of the PATCH: that subtree and nothing beside it."""
    return {"properties": {"osProfile": {"windowsConfiguration": {"patchSettings": dict(settings)}}}}


def _arm(values: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = _ARM_NAMES[name]
        inner = body
        for step in above:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return body


def refusals(
    machine: Machine,
    wanted: Wanted,
    overrides: Collection[str] = (),
    skus: Collection[str] = HOTPATCH_SKUS,
) -> tuple[Reason, ...]:
    """Return why Azure would refuse these settings on this machine; empty when there is no evidence that it would.

    :param overrides: codes of :data:`RULES` that shall not count.
    """
    found = [*_by_eligibility(machine, wanted, skus), *_by_update_flag(machine, wanted)]
    return tuple(reason for reason in found if reason.code not in overrides)


def _by_eligibility(machine: Machine, wanted: Wanted, skus: Collection[str]) -> list[Reason]:
    """Those of eligibility's reasons that are rules here; a patch mode, for one, is what we are about to change."""
    found = []
    for reason in eligibility(machine, skus=skus).reasons:
        rule = RULES.get(reason.code)
        if rule is None or wanted.state not in rule.states or reason.code.startswith("created_with"):
            continue
        if reason.code == "vm_agent_off" and not _needs_agent(machine, wanted):
            continue
        found.append(reason)
    return found


def _needs_agent(machine: Machine, wanted: Wanted) -> bool:
    return bool(wanted.enable_hotpatching) or BY_PLATFORM in (_mode_after(machine, wanted), wanted.assessment_mode)


def _mode_after(machine: Machine, wanted: Wanted) -> str:
    return wanted.patch_mode or machine.patch_settings.patch_mode.value or str(_DEFAULTS["patch_mode"])


def _by_update_flag(machine: Machine, wanted: Wanted) -> list[Reason]:
    """Whether the patch mode that is to be set fits a flag that only creating a machine can set."""
    updates = machine.enable_automatic_updates
    mode = wanted.patch_mode
    if mode == "AutomaticByOS" and updates.value is False:
        text = "it was created with enableAutomaticUpdates false, which cannot be changed; AutomaticByOS needs true"
        return [Reason("created_with_updates_off", text)]
    if mode == "Manual" and updates.value is True:
        text = "it was created with enableAutomaticUpdates true, which cannot be changed; Manual needs false"
        return [Reason("created_with_updates_on", text)]
    return []
