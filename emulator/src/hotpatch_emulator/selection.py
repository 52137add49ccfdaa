# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and checks the body of installPatches, with the service's own refusals where they were seen.

Recorded: a KB number without its prefix. Quoted from public threads: an unknown classification. The other refusals
follow the schema (rebootSetting is required) and Microsoft's text (at least one classification or one KB), in the
wording of the service's other InvalidParameter errors.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from hotpatch_emulator.wire import ArmError

_KB = re.compile(r"KB[0-9]{6,8}", re.IGNORECASE)
_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_FRACTION = re.compile(r"\.(\d+)")
CLASSIFICATIONS = (
    "Critical", "Security", "UpdateRollUp", "FeaturePack", "ServicePack", "Definition", "Tools", "Updates",
)  # fmt: skip
REBOOT_SETTINGS = ("IfRequired", "Never", "Always")
_KNOWN = {
    "classificationsToInclude",
    "kbNumbersToInclude",
    "kbNumbersToExclude",
    "excludeKbsRequiringReboot",
    "maxPatchPublishDate",
    "patchNameMasksToInclude",
    "patchNameMasksToExclude",
}


@dataclass(frozen=True)
class Selection:
    """What an installation was asked for. KBs carry their prefix in upper case, classifications lower case."""

    reboot_setting: str
    maximum_duration: timedelta | None
    classifications: frozenset[str]
    include: frozenset[str]
    exclude: frozenset[str]
    exclude_requiring_reboot: bool
    published_until: datetime | None


def platform_selection() -> Selection:
    """What Azure installs by itself: critical and security updates, restarting where they ask for it."""
    return Selection("IfRequired", None, frozenset(("critical", "security")), frozenset(), frozenset(), False, None)


def everything_without_restart() -> Selection:
    """What a careful colleague asks for in the portal: critical and security updates, and no restart."""
    return replace(platform_selection(), reboot_setting="Never")


def _invalid(message: str, target: str) -> ArmError:
    return ArmError(400, "InvalidParameter", message, target=target)


def parse(body: Any) -> Selection:
    """Check the body and return the selection; raises the service's 400."""
    if not isinstance(body, Mapping):
        raise _invalid("Required parameter 'installPatchesInput' is missing (null).", "installPatchesInput")
    setting = body.get("rebootSetting")
    if setting is None:
        raise _invalid("Required parameter 'rebootSetting' is missing (null).", "rebootSetting")
    chosen = next((known for known in REBOOT_SETTINGS if known.lower() == str(setting).lower()), None)
    if chosen is None:
        raise _invalid(
            f"The value '{setting}' of parameter 'rebootSetting' is not allowed. Allowed values are: "
            f"{', '.join(REBOOT_SETTINGS)}.",
            "rebootSetting",
        )
    windows = body.get("windowsParameters") or {}
    if not isinstance(windows, Mapping):
        raise _invalid("The value of parameter 'windowsParameters' is invalid.", "windowsParameters")
    for name in windows:
        if name not in _KNOWN:
            raise ArmError(
                400,
                "BadRequest",
                f"Could not find member '{name}' on object of type 'WindowsParameters'. Path "
                f"'windowsParameters.{name}'.",
                target="windowsParameters",
            )
    classifications = frozenset(_classification(item) for item in windows.get("classificationsToInclude") or ())
    include = frozenset(_kb(item, "kbNumbersToInclude") for item in windows.get("kbNumbersToInclude") or ())
    exclude = frozenset(_kb(item, "kbNumbersToExclude") for item in windows.get("kbNumbersToExclude") or ())
    if not classifications and not include:
        raise _invalid(
            "At least one of 'classificationsToInclude' and 'kbNumbersToInclude' must be specified.",
            "windowsParameters",
        )
    return Selection(
        reboot_setting=chosen,
        maximum_duration=_duration(body.get("maximumDuration")),
        classifications=classifications,
        include=include,
        exclude=exclude,
        exclude_requiring_reboot=windows.get("excludeKbsRequiringReboot") is True,
        published_until=_date(windows.get("maxPatchPublishDate")),
    )


def _classification(value: Any) -> str:
    if str(value).lower() not in {known.lower() for known in CLASSIFICATIONS}:
        raise _invalid(
            f"The value '{value}' of parameter 'windowsParameters.classificationsToInclude' is not allowed. Allowed "
            "values are: Unknown, Critical, Security, UpdateRollup, FeaturePack, ServicePack, Definition, Tools, "
            "Updates.",
            "windowsParameters.classificationsToInclude",
        )
    return str(value).lower()


def _kb(value: Any, name: str) -> str:
    if not _KB.fullmatch(str(value)):
        raise _invalid(
            f"The entry in '{name}' with value '{value}' is not valid. It must be a KBID such as KB4512508.",
            f"windowsParameters.{name}",
        )
    return str(value).upper()


def _duration(value: Any) -> timedelta | None:
    if value is None:
        return None
    match = _DURATION.fullmatch(str(value))
    if match is None or not any(match.groups()):
        raise _invalid(
            f"The value '{value}' of parameter 'maximumDuration' is invalid. It must be an ISO 8601-compliant "
            "duration string such as PT4H.",
            "maximumDuration",
        )
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _date(value: Any) -> datetime | None:
    if value is None:
        return None
    text = _FRACTION.sub(lambda m: "." + m.group(1)[:6].ljust(6, "0"), str(value)).replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(
            f"The value '{value}' of parameter 'windowsParameters.maxPatchPublishDate' is invalid.",
            "windowsParameters.maxPatchPublishDate",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
