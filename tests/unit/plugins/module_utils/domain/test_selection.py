# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.assessment import Assessment, AvailablePatch
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.selection import (
    Selection,
    allow_list,
    apply,
    make_selection,
    to_arm,
)

TUESDAY = datetime(2026, 5, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (
            {"kb_include": ["5087423", "KB5087424"]},
            {
                "maximumDuration": "PT2H",
                "rebootSetting": "Never",
                "windowsParameters": {
                    "kbNumbersToInclude": ["KB5087423", "KB5087424"],
                    "excludeKbsRequiringReboot": True,
                },
            },
        ),
        (
            {"classifications": ["security", "CRITICAL", "Security"]},
            {
                "maximumDuration": "PT2H",
                "rebootSetting": "Never",
                "windowsParameters": {
                    "classificationsToInclude": ["Security", "Critical"],
                    "excludeKbsRequiringReboot": True,
                },
            },
        ),
        (
            {
                "classifications": ["UpdateRollup"],
                "kb_include": [5087423],
                "kb_exclude": ["kb890830"],
                "exclude_kbs_requiring_reboot": False,
                "max_patch_publish_date": "2026-05-12T02:00:00+02:00",
                "reboot_setting": "ifrequired",
                "maximum_duration": "PT90M",
            },
            {
                "maximumDuration": "PT1H30M",
                "rebootSetting": "IfRequired",
                "windowsParameters": {
                    "classificationsToInclude": ["UpdateRollUp"],
                    "kbNumbersToInclude": ["KB5087423"],
                    "kbNumbersToExclude": ["KB890830"],
                    "excludeKbsRequiringReboot": False,
                    "maxPatchPublishDate": "2026-05-12T00:00:00Z",
                },
            },
        ),
    ],
)
def test_body(given: dict[str, Any], body: dict[str, Any]) -> None:
    assert to_arm(make_selection(**given)) == body


def test_an_allow_list_is_exactly_these_kbs_and_never_restarts() -> None:
    body = to_arm(allow_list(["5087423"]))
    assert "classificationsToInclude" not in body["windowsParameters"]
    assert (body["rebootSetting"], body["windowsParameters"]["excludeKbsRequiringReboot"]) == ("Never", True)


@pytest.mark.parametrize(
    ("given", "option", "text"),
    [
        ({}, "classifications_to_include", "at least one of Critical"),
        ({"kb_exclude": ["KB890830"]}, "classifications_to_include", "kb_numbers_to_include"),
        ({"classifications": ["SecurityUpdates"]}, "classifications_to_include", "SecurityUpdates"),
        ({"classifications": ["15"]}, "classifications_to_include", "'15'"),
        ({"kb_include": ["1111"]}, "kb_numbers_to_include", "'1111'"),
        ({"classifications": ["Security"], "kb_exclude": ["MS17-010"]}, "kb_numbers_to_exclude", "MS17-010"),
        ({"kb_include": [5087423], "kb_exclude": ["KB5087423"]}, "kb_numbers_to_exclude", "KB5087423"),
        ({"kb_include": [5087423], "reboot_setting": "NeverReboot"}, "reboot_setting", "IfRequired, Never, Always"),
        ({"kb_include": [5087423], "maximum_duration": "PT24M"}, "maximum_duration", "25 minutes"),
        ({"kb_include": [5087423], "max_patch_publish_date": "2026-05-12"}, "max_patch_publish_date", "offset"),
        (
            {"kb_include": [5087423], "max_patch_publish_date": TUESDAY.replace(tzinfo=None)},
            "max_patch_publish_date",
            "offset",
        ),
    ],
)
def test_refuses_what_could_not_work(given: dict[str, Any], option: str, text: str) -> None:
    with pytest.raises(InputError) as caught:
        make_selection(**given)
    assert caught.value.option == option
    assert text in str(caught.value)


def patch(
    kb: str | None, classes: str = "Security", behavior: str = "NeverReboots", published: Any = TUESDAY
) -> AvailablePatch:
    return AvailablePatch("id", kb or "driver", kb, tuple(classes.split()), behavior, published)


HOTPATCH = Selection(kb_include=("KB5087423",))
SECURITY = Selection(classifications=("Security",))


@pytest.mark.parametrize(
    ("selection", "offered", "reasons"),
    [
        (HOTPATCH, patch("KB5087423"), ()),
        # That hotpatches are offered as NeverReboots is inferred: the other way must be told, not missed.
        (HOTPATCH, patch("KB5087423", behavior="CanRequestReboot"), ("may_reboot",)),
        (HOTPATCH, patch("KB5087423", behavior="AlwaysRequiresReboot"), ("may_reboot",)),
        (HOTPATCH, patch("KB5087423", behavior="Unknown"), ("may_reboot",)),
        (
            Selection(kb_include=("KB5087423",), exclude_kbs_requiring_reboot=False),
            patch("KB5087423", behavior="CanRequestReboot"),
            (),
        ),
        (HOTPATCH, patch("KB890830"), ("not_selected",)),
        (HOTPATCH, patch(None), ("not_selected",)),
        (HOTPATCH, patch("KB890830", behavior="CanRequestReboot"), ("not_selected", "may_reboot")),
        (SECURITY, patch("KB890830", classes="Security UpdateRollUp"), ()),
        (SECURITY, patch("KB890830", classes="security"), ()),
        (SECURITY, patch(None), ()),
        (SECURITY, patch("KB890830", classes="Definition"), ("not_selected",)),
        (
            Selection(classifications=("Security",), kb_include=("KB890830",)),
            patch("KB890830", classes="Tools"),
            (),
        ),  # adds
        (Selection(classifications=("Security",), kb_exclude=("KB890830",)), patch("KB890830"), ("kb_excluded",)),
        (Selection(classifications=("Security",), max_patch_publish_date=TUESDAY), patch("KB890830"), ()),
        (
            Selection(classifications=("Security",), max_patch_publish_date=TUESDAY),
            patch("KB890830", published=TUESDAY.replace(day=13)),
            ("published_later",),
        ),
        (
            Selection(classifications=("Security",), max_patch_publish_date=TUESDAY),
            patch("KB890830", published=None),
            ("publish_date_unknown",),
        ),
    ],
)
def test_apply(selection: Selection, offered: AvailablePatch, reasons: tuple[str, ...]) -> None:
    assessment = Assessment("Succeeded", None, None, None, None, None, (offered,), None)
    expected: tuple[list[Any], list[Any]] = ([], [(offered, reasons)]) if reasons else ([offered], [])
    assert apply(selection, assessment) == expected
