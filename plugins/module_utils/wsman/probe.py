# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest probe: what one Windows guest says of itself, in a bounded number of small reads.

Which reads is up to the subsets of :mod:`.subsets`: ``core`` makes at most 12 round trips, ``poll`` at most 2. The
cheapest read comes first and decides whether the guest answers at all; the slow classes (Win32_QuickFixEngineering,
Win32_NTLogEvent, some guests need minutes for them) come last, so that they cannot cost the other facts. A read that
fails makes its own facts unreadable and no others.
Where facts live: Microsoft Learn ("Enable Hotpatch for Azure Edition servers", "... for Azure Arc-enabled servers",
the WMI class references). Whose wire shape is inferred from client code, not from captured traffic: see
:data:`..domain.guest.INFERRED`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from ..domain.facts import Fact
from ..domain.guest import FACTS, GuestFacts, unreachable_guest
from . import core_facts, more_facts, subsets
from .cim import CimSession, Row, Sender
from .faults import BadAnswer, Unreachable, WsmanFault, printable
from .notes import CIMV2, Notes, must
from .registry import read_dword

OPERATING_SYSTEM = (
    "SELECT Caption,BuildNumber,OperatingSystemSKU,CSName,LastBootUpTime,LocalDateTime,"
    "FreePhysicalMemory,TotalVisibleMemorySize,SystemDrive FROM Win32_OperatingSystem"
)
"""The first question of every reading."""

_OS_FACTS = (
    *("caption", "computer_name", "build", "operating_system_sku", "boot_time", "local_time", "skew_seconds"),
    *("free_memory_kb", "total_memory_kb"),
)

#: Subset to what reads it; ``min`` is read first of all.
READERS: Mapping[str, Callable[[Notes], None]] = {
    "enrolment": core_facts.read_enrolment,
    "restart": core_facts.read_restart,
    "identity": core_facts.read_identity,
    "vbs": core_facts.read_vbs,
    "load": more_facts.read_load,
    "edition": more_facts.read_edition,
    "disk": more_facts.read_disk,
    "renames": more_facts.read_renames,
    "roles": more_facts.read_roles,
    "services": more_facts.read_services,
    "policies": more_facts.read_policies,
    "licence": more_facts.read_licence,
    "extension": more_facts.read_extension,
    "updates": core_facts.read_updates,
    "events": more_facts.read_events,
}
PACKAGE_NAME = "Hotpatch Enrollment Package"

# Texts a guest may fill as it likes; all others have a checked form.
_FREE_TEXTS = (
    *("caption", "computer_name", "hotpatch_package", "edition_id", "display_version", "domain"),
    *("cluster_name", "cluster_owner_node", "sql_instances", "update_policies", "services", "service_start_modes"),
    "update_events",
)


class Now(Protocol):
    """The part of the collection's Clock that the probe needs."""

    def now(self) -> datetime:
        """Return the controller's aware UTC time."""


def probe(
    sender: Sender, clock: Now, gather_subset: str | Iterable[str] = "core", redact: Callable[[str], str] = str
) -> GuestFacts:
    """Read one guest. Never raises WsmanError: a guest that does not answer is a result.

    :param gather_subset: as :func:`.subsets.resolve` takes it; InputError for a name it does not know.
    :param redact: is applied to every text that the guest may have chosen freely, reasons among them.
    """
    chosen = subsets.resolve(gather_subset)
    # One budget for all: a dialect that needs more trips for the first reads takes them from the last and least urgent.
    session = CimSession(sender, sum(subsets.TRIPS[name] for name in chosen))
    before = clock.now()
    notes = Notes(session, before)
    try:
        row = session.query_one(CIMV2, OPERATING_SYSTEM)
    except WsmanFault as fault:
        # It answers, it only refuses this one read.
        read_at = clock.now()
        notes.fail(_OS_FACTS, f"Win32_OperatingSystem could not be read: {fault.why}")
    except (Unreachable, BadAnswer) as error:
        return unreachable_guest(redact(error.why), clock.now(), session.round_trips)
    else:
        # LocalDateTime was true somewhere between question and answer; the middle halves the error.
        read_at = before + (clock.now() - before) / 2
        _read_operating_system(notes, row, read_at)
    notes.facts["ubr"] = read_dword(session, core_facts.CURRENT_VERSION, "UBR")
    for name in chosen:
        if name in READERS:
            READERS[name](notes)
    core_facts.explain_vbs(notes)
    session.close()
    guest = GuestFacts(
        reachable=True,
        why="",
        read_at=read_at,
        pending_restart_sources=tuple(notes.sources),
        round_trips=session.round_trips,
        **{name: fact for name, fact in notes.facts.items() if name in FACTS},
    )
    return _redacted(guest, redact)


def _read_operating_system(notes: Notes, row: Row, read_at: datetime) -> None:
    local_time = must(row.timestamp("LocalDateTime"))
    notes.now = local_time.value or read_at
    notes.facts.update(
        caption=must(row.text("Caption")).map(lambda text: printable(text, 120)),
        computer_name=must(row.text("CSName")).map(lambda text: printable(text, 64)),
        build=must(row.integer("BuildNumber", 0, 2**31)),
        operating_system_sku=must(row.integer("OperatingSystemSKU", 0, 2**32 - 1)),
        boot_time=must(row.timestamp("LastBootUpTime")),
        local_time=local_time,
        skew_seconds=local_time.map(lambda moment: round((moment - read_at) / timedelta(seconds=1), 3)),
        free_memory_kb=must(row.integer("FreePhysicalMemory")),
        total_memory_kb=must(row.integer("TotalVisibleMemorySize")),
    )
    notes.system_drive = row.text("SystemDrive").value or ""


def _redacted(guest: GuestFacts, redact: Callable[[str], str]) -> GuestFacts:
    """Blank secrets out of what the guest may have written freely."""
    changed: dict[str, Any] = {}
    for one in fields(guest):
        fact = getattr(guest, one.name)
        if not isinstance(fact, Fact):
            continue
        value = fact.value
        if one.name in _FREE_TEXTS and value not in (None, PACKAGE_NAME):
            value = _redact(value, redact)
        changed[one.name] = replace(fact, value=value, why=redact(fact.why))
    return replace(guest, **changed)


def _redact(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, tuple):
        return tuple(_redact(item, redact) for item in value)
    if isinstance(value, Mapping):
        return {_redact(key, redact): _redact(item, redact) for key, item in value.items()}
    if hasattr(value, "title"):
        return replace(value, title=redact(value.title))
    return value
