# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every fact in its three states, read with the real pywinrm from the emulator's guests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import FACTS, GuestFacts, guest_from_dict
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.subsets import TRIPS

from .emulated_guests import Guests

DOCUMENT = {
    "now": "2026-05-13T01:00:00Z",
    "speed": 0,
    "seed": 7,
    "machines": [
        {
            "name": "sql01",
            "product": "ws2025",
            "guest": {
                "clock_skew_seconds": -90,
                "cpu_percent": 37,
                "domain_role": 3,
                "domain": "corp.example",
                "cluster_name": "SQLCLU",
                "cluster_owner_node": "SQL02",
                "sql_instances": ["MSSQLSERVER", "REPORTS"],
                "services": {"ClusSvc": "Running", "himds": "Stopped"},
                "service_start_modes": {"himds": "Disabled"},
                "update_policies": {
                    "WUServer": "http://wsus.corp.example:8530",
                    "AU\\UseWUServer": 1,
                    "AU\\NoAutoUpdate": 1,
                    "SomethingElse": 5,
                },
                "update_events": [
                    {"event_id": 20, "minutes_ago": 30, "title": "2026-05 Update (KB5087423)", "hresult": "0x80072EE2"},
                    {"event_id": 19, "minutes_ago": 90, "title": "2026-04 Update (KB5082063)"},
                    {"event_id": 19, "minutes_ago": 20000, "title": "too long ago"},
                ],
                "licensing_mutex": True,
                "licensing_override": 1,
                "extension_versions": ["1.0.9.2", "1.0.10.1"],
                "extension_reported_minutes_ago": 15,
                "pending_renames": 3,
                "system_drive_bytes": 136_000_000_000,
                "system_drive_free_bytes": 9_000_000_000,
            },
        },
        {"name": "plain01", "product": "ws2025", "guest": {"enrolled": False, "vbs_configured": False}},
    ],
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guests]:
    guests = Guests(tmp_path_factory.mktemp("guests"), DOCUMENT)
    yield guests
    guests.close()


@pytest.fixture
def guests(running: Guests) -> Iterator[Guests]:
    yield running
    running.behave_first()


CURRENT_VERSION = "SOFTWARE/Microsoft/Windows NT/CurrentVersion"
POLICIES = "SOFTWARE/Policies/Microsoft/Windows/WindowsUpdate"
SERVICING = "SOFTWARE/Microsoft/Windows/CurrentVersion/Component Based Servicing"


def broken(name: str) -> dict[str, Any]:
    return {"broken_classes": [name]}


def closed(path: str) -> dict[str, Any]:
    return {"denied_keys": [path]}


OS = broken("Win32_OperatingSystem")
GUARD = {"denied_namespaces": ["root/Microsoft/Windows/DeviceGuard"]}

# fact: its value (or a test of it), a change of the state that makes it absent (None: every Windows has it), and what
# makes it unreadable with a part of the reason
TABLE: dict[str, tuple[Any, Callable[[Any], Any] | None, dict[str, Any], str]] = {
    "caption": ("Microsoft Windows Server 2025 Datacenter Azure Edition", None, OS, "provider"),
    "computer_name": ("SQL01", None, OS, "provider"),
    "build": (26100, None, OS, "provider"),
    "ubr": (32690, None, closed(CURRENT_VERSION), "denied"),
    "operating_system_sku": (407, None, OS, "provider"),
    "boot_time": (lambda value, state: abs(value - state.booted_at) <= timedelta(seconds=91), None, OS, "provider"),
    "local_time": (lambda value, _: value.year == 2026, None, OS, "provider"),
    "skew_seconds": (-90.0, None, OS, "provider"),
    "hotpatch_package": (
        "Hotpatch Enrollment Package",
        lambda state: setattr(state, "hotpatch_package_version", None),
        closed(f"{CURRENT_VERSION}/Update"),
        "denied",
    ),
    "hotpatch_package_version": (
        lambda value, state: value == state.hotpatch_package_version,
        lambda state: setattr(state, "hotpatch_package_version", None),
        closed(f"{CURRENT_VERSION}/Update"),
        "denied",
    ),
    "hotpatch_table_size": (
        4096,
        lambda state: setattr(state, "hotpatch_table_size", None),
        closed("SYSTEM/CurrentControlSet/Control/Session Manager/Memory Management"),
        "denied",
    ),
    "vbs_status": (2, None, GUARD, "may not read"),
    "vbs_configured": (
        True,
        lambda state: setattr(state, "vbs_configured", False),
        closed("SYSTEM/CurrentControlSet/Control/DeviceGuard"),
        "denied",
    ),
    "security_properties": ((1, 2, 3, 5, 6, 7), None, GUARD, "may not read"),
    "security_services_running": ((2,), None, {"missing_namespaces": GUARD["denied_namespaces"]}, "does not exist"),
    "pending_restart": (False, None, closed(SERVICING), "denied"),
    "pending_restart_by_keys": (False, None, closed(SERVICING), "denied"),
    "pending_restart_by_windows_update": (
        False,
        None,
        {"missing_namespaces": ["root/Microsoft/Windows/WindowsUpdate"]},
        "does not exist",
    ),
    "pending_renames": (
        3,
        lambda state: setattr(state.inside, "pending_renames", 0),
        closed("SYSTEM/CurrentControlSet/Control/Session Manager"),
        "denied",
    ),
    "kbs": (lambda value, state: set(value) == set(state.kbs), None, broken("Win32_QuickFixEngineering"), "provider"),
    "kb_dates": (
        lambda value, state: (
            set(value) == set(state.kbs)
            and all(isinstance(day, date) and not isinstance(day, datetime) for day in value.values())
        ),
        None,
        broken("Win32_QuickFixEngineering"),
        "provider",
    ),
    "smbios_uuid": (
        lambda value, state: value == state.smbios_uuid.lower(),
        None,
        broken("Win32_ComputerSystemProduct"),
        "provider",
    ),
    "free_memory_kb": (5_242_880, None, OS, "provider"),
    "total_memory_kb": (8_388_608, None, OS, "provider"),
    "cpu_percent": (37.0, None, broken("Win32_PerfFormattedData_PerfOS_Processor"), "provider"),
    "edition_id": (lambda value, state: value == state.edition_id, None, closed(CURRENT_VERSION), "denied"),
    "display_version": ("24H2", None, closed(CURRENT_VERSION), "denied"),
    "system_drive_free_bytes": (9_000_000_000, None, broken("Win32_LogicalDisk"), "provider"),
    "system_drive_bytes": (136_000_000_000, None, OS, "did not say which drive"),
    "update_policies": (
        {"WUServer": "http://wsus.corp.example:8530", "AU\\UseWUServer": "1", "AU\\NoAutoUpdate": "1"},
        None,
        closed(POLICIES),
        "denied",
    ),
    "update_source": ("wsus", None, closed(f"{POLICIES}/AU"), "denied"),
    "services": (
        lambda value, _: (value["wuauserv"], value["ClusSvc"], value["himds"]) == ("Running", "Running", "Stopped"),
        None,
        broken("Win32_Service"),
        "provider",
    ),
    "service_start_modes": (lambda value, _: value["himds"] == "Disabled", None, broken("Win32_Service"), "provider"),
    "update_events": (
        lambda value, _: (
            [(event.event_id, event.hresult, event.title) for event in value]
            == [(20, "0x80072EE2", "2026-05 Update (KB5087423)"), (19, "", "2026-04 Update (KB5082063)")]
            and "did not answer in time" in value[0].meaning
        ),
        None,
        broken("Win32_NTLogEvent"),
        "provider",
    ),
    "licence_status": (
        1,
        lambda state: setattr(state.inside, "licence_status", None),
        broken("SoftwareLicensingProduct"),
        "provider",
    ),
    "licensing_mutex": (
        True,
        lambda state: setattr(state.inside, "licensing_mutex", None),
        closed(f"{CURRENT_VERSION}/Subscriptions"),
        "denied",
    ),
    "licensing_override": (
        1,
        lambda state: setattr(state.inside, "licensing_override", None),
        closed("SYSTEM/CurrentControlSet/Policies/Microsoft/FeatureManagement"),
        "denied",
    ),
    "hotpatch_extension_versions": (
        ("1.0.9.2", "1.0.10.1"),
        lambda state: setattr(state.inside, "extension_versions", ()),
        broken("Win32_Directory"),
        "provider",
    ),
    "hotpatch_extension_reported": (
        lambda value, _: value.minute == 43,  # 15 minutes ago, by a clock that is 90 seconds slow
        lambda state: setattr(state.inside, "extension_reported", None),
        broken("CIM_DataFile"),
        "provider",
    ),
    "domain_role": (3, None, broken("Win32_ComputerSystem"), "provider"),
    "domain": ("corp.example", None, broken("Win32_ComputerSystem"), "provider"),
    "cluster_name": (
        "SQLCLU",
        lambda state: setattr(state.inside, "cluster_name", None),
        {"denied_namespaces": ["root/MSCluster"]},
        "may not read",
    ),
    "cluster_owner_node": (
        "SQL02",
        lambda state: setattr(state.inside, "cluster_name", None),
        broken("MSCluster_ResourceGroup"),
        "provider",
    ),
    "sql_instances": (
        ("MSSQLSERVER", "REPORTS"),
        lambda state: setattr(state.inside, "sql_instances", ()),
        closed("SOFTWARE/Microsoft/Microsoft SQL Server"),
        "denied",
    ),
}
SUBSET = {name: GuestFacts.__dataclass_fields__[name].metadata["subset"] for name in FACTS}


def test_the_table_is_whole() -> None:
    assert tuple(sorted(TABLE)) == tuple(sorted(FACTS))


@pytest.fixture(scope="module")
def whole(running: Guests) -> GuestFacts:
    return running.read(subset="all")


@pytest.mark.parametrize("name", FACTS)
def test_value(running: Guests, whole: GuestFacts, name: str) -> None:
    """What the guest's state holds."""
    fact, expected = getattr(whole, name), TABLE[name][0]
    assert fact.state == "value", fact.why
    assert expected(fact.value, running.state()) if callable(expected) else fact.value == expected


def test_all_in_one_reading(guests: Guests) -> None:
    """No more requests than the subsets promise, and every fact survives the way through JSON."""
    before = guests.requests()
    facts = guests.read(subset="all")
    assert facts.round_trips == guests.requests() - before <= sum(TRIPS.values())
    assert guest_from_dict(facts.to_dict()) == facts


@pytest.mark.parametrize("subset", list(TRIPS))
def test_requests_of_a_subset(guests: Guests, subset: str) -> None:
    """Counted by the guest: each subset takes at most what it promises, beyond the two of every reading."""
    before = guests.requests()
    facts = guests.read(subset=subset)
    asked = guests.requests() - before
    assert facts.round_trips == asked <= TRIPS[subset] + (0 if subset == "min" else TRIPS["min"])
    unread = {name for name in FACTS if getattr(facts, name).is_unreadable}
    assert unread == {name for name in FACTS if SUBSET[name] not in (subset, "min")}


@pytest.mark.parametrize("name", [name for name in FACTS if TABLE[name][1]])
def test_absent(guests: Guests, name: str) -> None:
    """It was looked for and is not there; the fact is neither false nor zero."""
    state = guests.state()
    kept, kept_inside = dict(vars(state)), dict(vars(state.inside))
    change = TABLE[name][1]
    assert change is not None
    change(state)
    try:
        fact = getattr(guests.read(subset=SUBSET[name]), name)
    finally:
        inside = kept["inside"]
        vars(inside).update(kept_inside)
        vars(state).update(kept)
    assert (fact.state, fact.value) == ("absent", None) and fact.why


@pytest.mark.parametrize("name", FACTS)
def test_unreadable(guests: Guests, name: str) -> None:
    """Nobody could read it, and the reason is told."""
    behaviour, why = TABLE[name][2:]
    guests.behave_first(**behaviour)
    facts = guests.read(subset=SUBSET[name])
    fact = getattr(facts, name)
    assert facts.reachable and (fact.state, fact.value) == ("unreadable", None)
    assert why in fact.why


def test_a_machine_without_anything_special(guests: Guests) -> None:
    """No cluster, no SQL Server, no policies: absent or empty, never unreadable."""
    facts = guests.read("plain01", subset="all")
    assert facts.cluster_name.is_absent and facts.cluster_owner_node.is_absent and facts.sql_instances.is_absent
    assert facts.update_policies.value == {} and facts.update_source.value == "windows_update"
    assert facts.update_events.value == () and facts.licensing_mutex.is_absent
    assert facts.hotpatch_extension_versions.is_absent and facts.hotpatch_extension_reported.is_absent
    assert facts.domain_role.value == 2 and facts.domain.value == "WORKGROUP"


def test_folders_that_nobody_may_see(guests: Guests) -> None:
    """WMI leaves out what the account may not read, without a word: no folder at all is not "no extension"."""
    state = guests.state()
    versions, state.inside.extension_versions = state.inside.extension_versions, None
    try:
        facts = guests.read(subset="extension")
    finally:
        state.inside.extension_versions = versions
    assert facts.hotpatch_extension_versions.is_unreadable and "may not read" in facts.hotpatch_extension_versions.why


def test_services_that_nobody_may_see(guests: Guests) -> None:
    """The service manager shows what it may: a list without the update service was cut."""
    state = guests.state()
    services, state.services = state.services, {"WinRM": "Running"}
    try:
        facts = guests.read(subset="services")
    finally:
        state.services = services
    assert facts.services.is_unreadable and "wuauserv" in facts.services.why


def test_a_slow_log_costs_its_own_fact_only(guests: Guests) -> None:
    """WMI scans the event log; it is asked last."""
    guests.behave_first(slow={"Win32_NTLogEvent": 30})
    facts = guests.read(subset="all")
    assert facts.reachable and facts.update_events.is_unreadable
    assert {name for name in FACTS if getattr(facts, name).is_unreadable} == {"update_events"}
