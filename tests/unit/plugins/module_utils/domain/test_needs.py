# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who needs a person and for what: a table, most urgent first, and nobody for what was not asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.eligibility import availability
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.enrolment import enrolment
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.graph import graph_installation
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.graph_machine import (
    GraphMachine,
    graph_assessment,
    graph_machine,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts, unreachable_guest
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.needs import (
    NEXT_STEPS,
    Need,
    check_codes,
    needs_of,
    patched_by,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.patch_settings import (
    difference,
    wanted_settings,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.reasons import Reason
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.track import Track

from .builders import NOW, guest
from .graph_rows import assessment_row, installation_row, machine_row

ON_TRACK = Track("on_track")


def needs(
    found: GraphMachine, asked: GuestFacts | None, where: Track = ON_TRACK, own: frozenset[str] = frozenset()
) -> list[Need]:
    machine = found.machine
    return needs_of(
        found,
        asked,
        power=availability(machine),
        fit=found.eligibility(),
        enrolled=enrolment(machine, asked),
        where=where,
        drift=difference(machine.patch_settings, wanted_settings("present")),
        by=patched_by(found.installation, own),
    )


def codes(*given: Any, **more: Any) -> list[str]:
    return [need.code for need in needs(*given, **more)]


def with_installation(**changed: Any) -> GraphMachine:
    return replace(
        graph_machine(machine_row()), installation=graph_installation(installation_row(**changed)["properties"])
    )


def test_a_machine_that_is_well_needs_nobody() -> None:
    assert needs(graph_machine(machine_row()), guest()) == []


def test_a_guest_that_nobody_asked_is_no_need_and_one_that_is_silent_is() -> None:
    unasked = Track("unknown", (Reason("guest_unread", "the guest was not asked"),))
    assert codes(graph_machine(machine_row()), None, unasked) == []
    silent = unreachable_guest("no route", NOW)
    assert codes(graph_machine(machine_row()), silent, unasked) == ["guest_unreachable"]
    off = machine_row(view={"powerState": {"code": "PowerState/deallocated"}})
    assert codes(graph_machine(off), silent, unasked) == ["stopped"]


@pytest.mark.parametrize("name", ["off_track", "baseline_due", "not_enrolled", "ineligible"])
def test_tracks(name: Any) -> None:
    assert codes(graph_machine(machine_row()), guest(), Track(name, (Reason("x", "why"),))) == [name]


def test_what_nobody_knows_needs_a_person() -> None:
    assert codes(graph_machine(machine_row()), guest(), Track("unknown", (Reason("x", "why"),))) == ["unknown"]


def test_drift_says_what_differs_and_stands_for_not_enrolled() -> None:
    settings = {"patchMode": "AutomaticByPlatform", "enableHotpatching": False}
    (need,) = needs(graph_machine(machine_row(settings=settings)), guest(), Track("not_enrolled"))
    assert need.code == "drift" and need.text == "enable_hotpatching is False, wanted True"


def test_restarts_pending_by_the_guest_or_else_by_azure() -> None:
    pending = replace(guest(), pending_restart=Fact.of(True), pending_restart_sources=("cbs",))
    assert codes(graph_machine(machine_row()), pending) == ["restart_pending"]
    assessed = graph_machine(machine_row())
    summary = graph_assessment(assessment_row(rebootPending=True)["properties"])
    assessed = replace(assessed, machine=replace(assessed.machine, assessment=summary))
    unasked = Track("unknown", (Reason("guest_unread", "the guest was not asked"),))
    assert codes(assessed, None, unasked) == ["restart_pending"]
    assert codes(assessed, guest()) == [], "the guest knows better, and now"
    assert codes(with_installation(rebootStatus="Required"), None, unasked, own=frozenset({"i-1"})) == [
        "restart_pending"
    ]


@pytest.mark.parametrize(
    ("changed", "own", "by", "found"),
    [
        ({}, {"i-1"}, "us", []),
        ({"installationActivityId": "I-1", "startedBy": "Platform"}, {"i-1"}, "us", []),
        ({"startedBy": "Platform"}, set(), "platform", ["patched_by_others"]),
        ({"startedBy": "User"}, {"i-2"}, "somebody_else", ["patched_by_others"]),
        ({"startedBy": None}, set(), "unknown", []),
        ({"status": "Failed"}, {"i-1"}, "us", ["installation_failed"]),
        ({"status": "CompletedWithWarnings"}, set(), "somebody_else", ["installation_failed", "patched_by_others"]),
    ],
)
def test_installations(changed: dict[str, Any], own: set[str], by: str, found: list[str]) -> None:
    machine = with_installation(**changed)
    assert patched_by(machine.installation, frozenset(own)) == by
    assert codes(machine, guest(), own=frozenset(own)) == found


def test_a_code_that_does_not_exist_is_refused() -> None:
    assert check_codes("fail_on", ["drift"]) == {"drift"}
    with pytest.raises(InputError, match="fail_on"):
        check_codes("fail_on", ["drifted"])
    assert all(step and not step.endswith(".") for step in NEXT_STEPS.values())
