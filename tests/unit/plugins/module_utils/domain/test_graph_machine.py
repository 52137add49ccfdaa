# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of Resource Graph become machines; what they do not show is unreadable and never "no"."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.graph import graph_installation
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.graph_machine import (
    graph_assessment,
    graph_machine,
    newest,
    ring_of,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import product

from .graph_rows import arc_row, assessment_row, installation_row, machine_row


def test_a_virtual_machine() -> None:
    found = graph_machine(machine_row())
    machine = found.machine
    assert (machine.power_state.value, product(machine).value, found.size) == ("running", "ws2025", "Standard_D2s_v5")
    assert machine.patch_settings.enable_hotpatching.value is True
    assert machine.time_zone.value == "W. Europe Standard Time"
    assert machine.agent_status.is_unreadable and not machine.instance_view_read


@pytest.mark.parametrize(
    ("changed", "state", "code"),
    [
        ({}, "eligible", None),
        ({"settings": None}, "ineligible", "patch_mode"),
        ({"image": None}, "ineligible", "image_not_supported"),
        ({"scaleSet": "/subscriptions/x/virtualMachineScaleSets/flex"}, "ineligible", "scale_set_member"),
        ({"agent": False}, "ineligible", "vm_agent_off"),
        ({"osType": ""}, "unknown", "os_type_unread"),
    ],
)
def test_eligibility_judges_what_is_shown_and_says_what_is_not(
    changed: dict[str, Any], state: str, code: str | None
) -> None:
    judged = graph_machine(machine_row(**changed)).eligibility()
    assert judged.state == state
    assert [reason.code for reason in judged.reasons] == ([code] if code else [])
    assert [reason.code for reason in judged.overridden] == ["agent_not_ready"]


def test_without_the_extract_of_the_view_the_power_state_is_unreadable() -> None:
    machine = graph_machine(machine_row(view=None)).machine
    assert machine.power_state.is_unreadable and machine.os_version.is_unreadable
    assert machine.computer_name.value == "web1", "the model has it as well"


def test_an_arc_enabled_server() -> None:
    found = graph_machine(arc_row())
    assert (found.machine.id.kind, found.machine.power_state.value) == ("arc_machine", "connected")
    assert found.addresses.private.value == ("10.1.0.4",) and found.addresses.public.is_absent
    assert found.licence.value == "Enabled" and product(found.machine).value == "ws2025"
    assert found.eligibility().reasons[0].code == "not_an_azure_vm"
    assert graph_machine(arc_row(interfaces=None, arcLicence=None)).addresses.private.is_unreadable


def test_a_row_that_is_no_machine_is_refused() -> None:
    with pytest.raises(InputError):
        graph_machine(machine_row(id="/subscriptions/x/resourceGroups/y"))


def test_an_assessments_counts_are_summed_as_compute_sums_them() -> None:
    summary = graph_assessment(assessment_row()["properties"])
    assert (summary.critical_and_security_patch_count, summary.other_patch_count) == (3, 4)
    nothing = graph_assessment({"status": "InProgress"})
    assert (nothing.critical_and_security_patch_count, nothing.other_patch_count) == (None, None)


def test_the_newest_installation_counts_whatever_the_order() -> None:
    old = graph_installation(installation_row()["properties"])
    new = graph_installation(installation_row(activity="i-2", startDateTime="2026-05-12T20:00:00Z")["properties"])
    undated = graph_installation({"status": "Succeeded"})
    assert newest(newest(None, old), new) is new and newest(newest(None, new), old) is new
    assert newest(undated, old) is old and newest(old, undated) is old


def test_a_tags_name_compares_without_case() -> None:
    assert ring_of({"Hotpatch-Ring": "canary"}, "hotpatch-ring") == "canary"
    assert ring_of({"hotpatch-ring": ""}, "hotpatch-ring") is None
    assert ring_of({}, "hotpatch-ring") is None
