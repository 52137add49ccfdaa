# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows Update offers a guest at a moment, and which of it an installation takes.

A hotpatch is offered only to a guest in which hotpatch is effective, that Azure's model also has enabled, and that
stands on the current baseline's track; everybody else is offered the restarting cumulative update. That hotpatches
come as NeverReboots is an inference nobody has seen confirmed, so a switch and each machine's script can make them
CanRequestReboot.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from hotpatch_emulator import catalogue
from hotpatch_emulator.selection import Selection
from hotpatch_emulator.settings import Switches
from hotpatch_emulator.state import VirtualMachine
from hotpatch_emulator.wire import whole_seconds

_DEFENDER = "KB2267602"
_MALICIOUS_SOFTWARE_TOOL = "KB890830"


@dataclass(frozen=True)
class Offer:
    """One available update. ``ubr`` is the build revision it leads to; ``release`` marks the month's OS update."""

    patch_id: str
    name: str
    kb: str
    classification: str
    reboot_behavior: str
    published: datetime
    ubr: int | None = None
    release: bool = False

    @property
    def kb_id(self) -> str:
        """Digits only, as the wire has it."""
        return self.kb[2:]


def offers(machine: VirtualMachine, now: datetime, switches: Switches) -> list[Offer]:
    """What an assessment would find now."""
    found = _release_offers(machine, now, switches)
    midnight = now.astimezone(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    version = f"1.44{midnight.month}.{(midnight - timedelta(days=1)).day * 37}.0"
    definition = Offer(
        catalogue.patch_id("defender", version),
        f"Security Intelligence Update for Microsoft Defender Antivirus - {_DEFENDER} (Version {version}) "
        "- Current Channel (Broad)",
        _DEFENDER,
        "Definition",
        "NeverReboots",
        midnight,
    )
    tool = Offer(
        catalogue.patch_id("msrt", "5.141"),
        f"Windows Malicious Software Removal Tool x64 - v5.141 ({_MALICIOUS_SOFTWARE_TOOL})",
        _MALICIOUS_SOFTWARE_TOOL,
        "UpdateRollUp",
        "CanRequestReboot",
        catalogue.PRODUCTS[machine.product].current(now).available,
    )
    return found + [offer for offer in (tool, definition) if offer.patch_id not in machine.other_patches_installed]


def _release_offers(machine: VirtualMachine, now: datetime, switches: Switches) -> list[Offer]:
    product = catalogue.PRODUCTS[machine.product]
    release = product.current(now)
    guest = machine.guest
    installed = max(guest.ubr, guest.ubr_after_restart or 0)
    if machine.script.offer_hidden:
        return []
    on_track = (
        release.hotpatch_kb is not None
        and release.hotpatch_ubr is not None
        and guest.enrolled
        and machine.patch_settings.enable_hotpatching is True
        and guest.ubr in product.track_builds(now)
        and guest.ubr_after_restart is None
    )
    month = release.available.strftime("%Y-%m")
    if on_track and release.hotpatch_kb is not None and release.hotpatch_ubr is not None:
        if installed >= release.hotpatch_ubr:
            return []
        return [
            Offer(
                catalogue.patch_id(product.name, release.hotpatch_kb),
                f"{month} Security Hotpatch Update for {product.title} Datacenter: Azure Edition for x64-based "
                f"Systems ({release.hotpatch_kb}) ({product.build}.{release.hotpatch_ubr})",
                release.hotpatch_kb,
                "Security",
                machine.script.reboot_behavior or switches.hotpatch_reboot_behavior,
                release.available,
                release.hotpatch_ubr,
                True,
            )
        ]
    if installed >= release.lcu_ubr:
        return []
    return [
        Offer(
            catalogue.patch_id(product.name, release.lcu_kb),
            f"{month} Security Update ({release.lcu_kb}) ({product.build}.{release.lcu_ubr})",
            release.lcu_kb,
            "Security",
            "AlwaysRequiresReboot",
            release.available,
            release.lcu_ubr,
            True,
        )
    ]


def states(
    offered: list[Offer], selection: Selection, machine: VirtualMachine, switches: Switches, by_platform: bool
) -> dict[str, str]:
    """patchId to what becomes of it: "Selected", "Excluded" or "NotSelected".

    A KB to include adds to the classifications, one to exclude wins over both (Microsoft: "Programmatically manage
    updates"). What nobody selected came back Excluded on a recorded hotpatch VM and both ways elsewhere.
    """
    result: dict[str, str] = {}
    for offer in offered:
        result[offer.patch_id] = _state(offer, selection, switches)
        script = machine.script.install_outcome
        if offer.release and not by_platform and script in ("Excluded", "NotSelected"):
            result[offer.patch_id] = script
    return result


def _state(offer: Offer, selection: Selection, switches: Switches) -> str:
    if offer.kb.upper() in selection.exclude:
        return "Excluded"
    wanted = offer.kb.upper() in selection.include or offer.classification.lower() in selection.classifications
    if not wanted:
        return switches.unselected_state
    if selection.exclude_requiring_reboot and offer.reboot_behavior != "NeverReboots":
        return "Excluded"
    if selection.published_until is not None and offer.published > selection.published_until:
        return switches.unselected_state
    return "Selected"


def assessed(offer: Offer, activity_id: str, modified: str) -> dict[str, object]:
    """One entry of availablePatches, keys in the recorded order."""
    return {
        "patchId": offer.patch_id,
        "name": offer.name,
        "kbId": offer.kb_id,
        "classifications": [offer.classification],
        "rebootBehavior": offer.reboot_behavior,
        "publishedDate": whole_seconds(offer.published.replace(hour=0, minute=0, second=0, microsecond=0)),
        "activityId": activity_id,
        "lastModifiedDateTime": modified,
        "assessmentState": "Available",
    }


def installed(offer: Offer, state: str) -> dict[str, object]:
    """One entry of an installation's patches."""
    entry: dict[str, object] = {
        "patchId": offer.patch_id,
        "name": offer.name,
        "kbId": offer.kb_id,
        "classifications": [offer.classification],
        "installationState": state,
    }
    if offer.classification == "Security":
        entry["msrcSeverity"] = "Critical"
    return entry
