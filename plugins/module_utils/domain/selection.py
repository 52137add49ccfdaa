# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which patches an installation asks for, as Azure's ``installPatches`` body, and what of an assessment that takes.

Names and rules are those of Microsoft.Compute 2024-07-01 and Microsoft Learn, "Manage update configuration
programmatically" (2024-10). Safe by default: no restart, and only patches that never restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .assessment import Assessment, AvailablePatch
from .durations import check_maximum_duration, format_duration
from .errors import InputError
from .kb import parse_kb
from .timestamps import parse_timestamp, to_iso

CLASSIFICATIONS = (
    "Critical",
    "Security",
    "UpdateRollUp",
    "FeaturePack",
    "ServicePack",
    "Definition",
    "Tools",
    "Updates",
)
REBOOT_SETTINGS = ("IfRequired", "Never", "Always")
NEVER_REBOOTS = "NeverReboots"


@dataclass(frozen=True)
class Selection:
    """What to install; made by :func:`make_selection`, which refuses what cannot work.

    :param classifications: in ARM's spelling; patches of these classes are taken.
    :param kb_include: ``KB<digits>``; *adds* to the classifications, and is an allow-list only without them.
    :param kb_exclude: ``KB<digits>``; wins over the classifications.
    :param exclude_kbs_requiring_reboot: leaves out every patch whose reboot behaviour is not NeverReboots.
    :param max_patch_publish_date: leaves out what was published later.
    :param maximum_duration: ISO 8601.
    """

    classifications: tuple[str, ...] = ()
    kb_include: tuple[str, ...] = ()
    kb_exclude: tuple[str, ...] = ()
    exclude_kbs_requiring_reboot: bool = True
    max_patch_publish_date: datetime | None = None
    reboot_setting: str = "Never"
    maximum_duration: str = "PT2H"


def make_selection(
    classifications: Iterable[str] = (),
    kb_include: Iterable[object] = (),
    kb_exclude: Iterable[object] = (),
    exclude_kbs_requiring_reboot: bool = True,
    max_patch_publish_date: str | datetime | None = None,
    reboot_setting: str = "Never",
    maximum_duration: str = "PT2H",
) -> Selection:
    """Return the selection of what a user wrote; InputError, by option name, for what Azure could not act on.

    At least one classification or KB is needed (Microsoft Learn, "Automatic guest patching for Azure virtual machines",
    2024-07): nothing selected would install nothing and succeed.
    """
    classes = _unique(_spelled("classifications_to_include", name, CLASSIFICATIONS) for name in classifications)
    included = _unique(parse_kb("kb_numbers_to_include", raw) for raw in kb_include)
    excluded = _unique(parse_kb("kb_numbers_to_exclude", raw) for raw in kb_exclude)
    if not classes and not included:
        raise InputError(
            "classifications_to_include",
            list(classes),
            "a list of at least one of " + ", ".join(CLASSIFICATIONS),
            "or name a KB in kb_numbers_to_include",
        )
    for kb in included:
        if kb in excluded:
            raise InputError("kb_numbers_to_exclude", kb, "a KB that kb_numbers_to_include does not name too")
    return Selection(
        classifications=classes,
        kb_include=included,
        kb_exclude=excluded,
        exclude_kbs_requiring_reboot=exclude_kbs_requiring_reboot,
        max_patch_publish_date=_date("max_patch_publish_date", max_patch_publish_date),
        reboot_setting=_spelled("reboot_setting", reboot_setting, REBOOT_SETTINGS),
        maximum_duration=format_duration(check_maximum_duration("maximum_duration", maximum_duration)),
    )


def allow_list(kbs: Sequence[object], maximum_duration: str = "PT2H") -> Selection:
    """Return the selection of exactly these KBs, none that restarts: the default of a hotpatch month."""
    return make_selection(kb_include=kbs, maximum_duration=maximum_duration)


def to_arm(selection: Selection) -> dict[str, Any]:
    """Return the body of ``installPatches``; what is not selected by has no key.

    A bare number is refused ("It must be a KBID such as KB4512508", recorded Azure traffic 2024-11), and a
    classification beside the KBs would add patches, so an allow-list carries KBs alone.
    """
    windows: dict[str, Any] = {}
    if selection.classifications:
        windows["classificationsToInclude"] = list(selection.classifications)
    if selection.kb_include:
        windows["kbNumbersToInclude"] = list(selection.kb_include)
    if selection.kb_exclude:
        windows["kbNumbersToExclude"] = list(selection.kb_exclude)
    windows["excludeKbsRequiringReboot"] = selection.exclude_kbs_requiring_reboot
    if selection.max_patch_publish_date is not None:
        windows["maxPatchPublishDate"] = to_iso(selection.max_patch_publish_date)
    return {
        "maximumDuration": selection.maximum_duration,
        "rebootSetting": selection.reboot_setting,
        "windowsParameters": windows,
    }


def apply(
    selection: Selection, assessment: Assessment
) -> tuple[list[AvailablePatch], list[tuple[AvailablePatch, tuple[str, ...]]]]:
    """Return the patches the selection takes, and the others with why: a forecast, Azure decides.

    Reasons: ``not_selected`` (neither its class nor its KB), ``kb_excluded``, ``may_reboot``, ``published_later``,
    ``publish_date_unknown``.
    """
    selected: list[AvailablePatch] = []
    filtered: list[tuple[AvailablePatch, tuple[str, ...]]] = []
    for patch in assessment.patches:
        reasons = _against(selection, patch)
        if reasons:
            filtered.append((patch, reasons))
        else:
            selected.append(patch)
    return selected, filtered


def _against(selection: Selection, patch: AvailablePatch) -> tuple[str, ...]:
    wanted = {name.lower() for name in selection.classifications}
    named = patch.kb is not None and patch.kb in selection.kb_include
    found: list[str] = []
    if not named and not any(name.lower() in wanted for name in patch.classifications):
        found.append("not_selected")
    if patch.kb is not None and patch.kb in selection.kb_exclude:
        found.append("kb_excluded")
    if selection.exclude_kbs_requiring_reboot and patch.reboot_behavior != NEVER_REBOOTS:
        found.append("may_reboot")
    if selection.max_patch_publish_date is not None:
        if patch.published is None:
            found.append("publish_date_unknown")
        elif patch.published > selection.max_patch_publish_date:
            found.append("published_later")
    return tuple(found)


def _spelled(option: str, given: str, allowed: Sequence[str]) -> str:
    """Return the allowed name that this is in any case; InputError for none."""
    for name in allowed:
        if isinstance(given, str) and given.strip().lower() == name.lower():
            return name
    raise InputError(option, given, "one of " + ", ".join(allowed))


def _date(option: str, given: str | datetime | None) -> datetime | None:
    if given is None or (isinstance(given, datetime) and given.tzinfo is not None):
        return given
    try:
        return parse_timestamp(str(given))
    except ValueError:
        raise InputError(option, given, "a time stamp with an offset such as 2026-05-12T00:00:00Z") from None


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))
