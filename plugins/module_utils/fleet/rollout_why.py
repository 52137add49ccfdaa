# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell of one machine, from what a rollout left on the disk, the whole chain of reasons up to its verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..domain.errors import InputError
from .rollout_state import Record, Rollout
from .rollout_windows import Windows, ZoneUnknown

WHY_OPTION = "hotpatch_why"
_NOT_TOLD = frozenset({"time", "rollout_id", "event", "host", "id", "name", "reason", "reason_code"})


@dataclass(frozen=True)
class Line:
    """One link of the chain: ``step`` is a word, ``text`` one sentence."""

    step: str
    text: str


def find(rollout: Rollout, host: str) -> Record:
    """The machine of that name: its host, its name in Azure, or its ARM ID; InputError for none or several."""
    wanted = host.lower()
    found = [
        record
        for record in rollout.machines.values()
        if wanted in (record.host.lower(), record.name.lower(), record.key)
    ]
    exact = [record for record in found if record.host == host]
    if len(exact or found) == 1:
        return (exact or found)[0]
    allowed = f"one of the {len(rollout.machines)} machines of rollout {rollout.rollout_id}"
    step = "give its ARM ID" if found else "see winfleet.hotpatch.report, or set hotpatch_rollout_id"
    raise InputError(WHY_OPTION, host, allowed, step)


def why(rollout: Rollout, record: Record, events: Sequence[Mapping[str, Any]], counting: Collection[str]) -> list[Line]:
    """Return the chain, in the order in which it was decided.

    :param events: of the state folder, oldest first; those of other rollouts and machines are left out.
    :param counting: verdicts that count against the error budget.
    """
    lines = [*_rollout(rollout, record), *_plan(rollout, record), *_checks(record)]
    lines += [*_selection(record), *_installation(record), *_restart(record), *_proof(record), *_soak(record)]
    lines += _told(rollout, record, events)
    return [*lines, *_verdict(rollout, record, counting)]


def _rollout(rollout: Rollout, record: Record) -> list[Line]:
    resumed = f", taken up again {rollout.resumed} times" if rollout.resumed else ""
    follows = f", following the plan {rollout.plan_digest}" if rollout.plan_digest else ""
    lines = [Line("rollout", f"{rollout.rollout_id} began {rollout.started}{resumed}{follows}; it is {rollout.status}")]
    release = record.release or {}
    if release:
        kind = str(release.get("kind")).replace("_", "-")
        effect = "restarts it" if kind == "baseline" else "does not restart it while it is on track"
        text = f"{release.get('kb')}, the {kind} of {release.get('date')} for {record.product}, which {effect}"
        lines.append(Line("release", text))
    else:
        lines.append(Line("release", f"none is known for {record.product or 'its product, which is not known either'}"))
    return lines


def _plan(rollout: Rollout, record: Record) -> list[Line]:
    names = [ring.name for ring in rollout.rings]
    if record.ring in names:
        lines = [Line("ring", f"{record.ring}, ring {names.index(record.ring) + 1} of {len(names)}")]
    else:
        lines = [Line("ring", f"{record.ring}, which the rollout does not have" if record.ring else "none names it")]
    if record.wave is None:
        lines.append(Line("wave", "none: it was left out when the plan was made"))
    else:
        wave = rollout.wave(record.wave)
        when = f"started {wave.started}" if wave.started else "not started"
        ended = f", proven {wave.finished}" if wave.finished else ""
        held = ", ".join(f"{rule} {count}" for rule, count in wave.held_back.items())
        kept = f"; others kept out of it by placement: {held}" if held else ""
        size = f"wave {wave.number} of {len(rollout.waves)}, {len(wave.machines)} machines"
        lines.append(Line("wave", f"{size}, {when}{ended}{kept}"))
    places = (
        (record.location, "region {}"),
        (record.zone, "zone {}"),
        (record.availability_set and record.availability_set.rpartition("/")[2], "availability set {}"),
        (record.update_domain, "update domain {}"),
        (record.service, "service {}"),
        (record.domain, "domain controller of {}"),
        (record.cluster, "node of cluster {}" + (", which it owned" if record.cluster_owner else "")),
        (record.role_unknown, "role not known ({})"),
    )
    shown = [text.format(value) for value, text in places if value not in (None, "")]
    if shown:
        lines.append(Line("placement", ", ".join(shown)))
    lines += _window(rollout, record)
    if record.exposed_from:
        until = record.exposed_until or "no turn in sight"
        lines.append(Line("exposure", f"Azure may have patched it by itself from {record.exposed_from} to {until}"))
    if record.held:
        lines.append(Line("hold", f"held from the platform's own patching since {record.held}"))
    return lines + [Line("note", note) for note in record.notes]


def _window(rollout: Rollout, record: Record) -> list[Line]:
    try:
        name = Windows(rollout).name_of(record)
    except (ZoneUnknown, InputError) as error:
        return [Line("window", str(error))]
    rules, dummy, rest = name.partition("|")
    dates, dummy, zone = rest.partition("|")
    if not name:
        return []
    where = f" in {zone}" if zone else ""
    closed = f", not on {dates}" if dates else ""
    return [Line("window", f"{rules if rules != 'None' else 'any time'}{where}{closed}")]


def _checks(record: Record) -> list[Line]:
    lines = []
    for name in ("eligibility", "enrolment", "track"):
        found = (record.checks or {}).get(name)
        if found:
            because = f": {found['why']}" if found.get("why") else ""
            lines.append(Line(name, f"{found['state']}{because}"))
    if record.checks is None:
        lines.append(Line("preflight", "it did not come to its preflight in this rollout"))
    if record.before:
        lines.append(Line("guest before", _guest(record.before)))
    if record.earlier:
        text = f"left it {record.earlier['verdict']}: {record.earlier['reason']}"
        lines.append(Line("earlier rollout", text))
    return lines


def _guest(read: Mapping[str, Any]) -> str:
    if not read.get("reachable"):
        return f"read {read.get('read_at')}: no answer ({read.get('why')})"
    pending = {True: "a restart pending", False: "no restart pending"}.get(read["pending_restart"], "pending unread")
    return f"read {read['read_at']}: build {read['build']}, booted {read['boot_time']}, {pending}"


def _selection(record: Record) -> list[Line]:
    lines = [
        Line("hook", f"{stage} failed: {reason}") for stage, reason in record.hooks_failed.items() if "before" in stage
    ]
    if record.selected_at:
        return [Line("selection", f"{', '.join(record.kbs)}, chosen {record.selected_at}"), *lines]
    wanted = f"{', '.join(record.kbs)} planned, " if record.kbs else ""
    return [Line("selection", f"{wanted}nothing chosen by this rollout"), *lines]


def _installation(record: Record) -> list[Line]:
    install = record.install
    if not install:
        return [Line("installation", "none was sent")]
    whose = "another's" if install.get("started_by") == "other" else "ours"
    activity = install.get("installation_activity_id")
    ran = f"{whose}, activity {activity}, began {install.get('start_time')}" if activity else "nothing ran"
    status = f"Azure says {install['status']}" if install.get("status") else "Azure told no status"
    because = f": {install['reason']}" if install.get("reason") else ""
    return [Line("installation", f"{ran}; {status}, {install.get('outcome')}{because}")]


def _restart(record: Record) -> list[Line]:
    restart = record.restart
    if not restart:
        return []
    lines = [Line("restart", str(restart.get("reason")))]
    if restart.get("sent"):
        settled = restart.get("settled_at")
        state = f"back and at rest {settled}" if settled else f"not at rest: {restart.get('waiting') or 'not asked'}"
        lines.append(Line("restart", f"sent {restart['sent']} ({restart.get('outcome')}); {state}"))
    elif restart.get("waiting") and restart["waiting"] != restart.get("reason"):
        lines.append(Line("restart", str(restart["waiting"])))
    return lines


def _proof(record: Record) -> list[Line]:
    lines = [Line("guest after", _guest(record.after))] if record.after else []
    lines += [Line("evidence", text) for text in record.evidence]
    return lines + [
        Line("hook", f"{stage} failed: {reason}") for stage, reason in record.hooks_failed.items() if "after" in stage
    ]


def _soak(record: Record) -> list[Line]:
    if not record.soak:
        return []
    well = "still well" if record.soak.get("well") else "gone bad"
    before = record.soak.get("verdict_before")
    had = f"; before it was {before} ({record.soak.get('reason_before')})" if before else ""
    return [Line("soak", f"proven again {record.soak.get('read_at')}: {well}{had}")]


def _told(rollout: Rollout, record: Record, events: Sequence[Mapping[str, Any]]) -> list[Line]:
    lines = []
    for event in events:
        about = str(event.get("id", "")).lower() == record.key or event.get("host") == record.host
        if event.get("rollout_id") != rollout.rollout_id or not about:
            continue
        more = ", ".join(f"{name} {_short(value)}" for name, value in event.items() if name not in _NOT_TOLD)
        lines.append(Line("event", f"{event.get('time')} {event.get('event')}{f' ({more})' if more else ''}"))
    return lines


def _short(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _verdict(rollout: Rollout, record: Record, counting: Collection[str]) -> list[Line]:
    lines = []
    if rollout.stop is not None:
        lines.append(Line("stop", str(rollout.stop.get("reason"))))
    if not record.judged:
        return [*lines, Line("verdict", f"none yet: it is {record.stage}")]
    counts = "counts against the error budget" if record.verdict in counting else "does not count against the budget"
    lines.append(Line("verdict", f"{record.verdict} ({record.reason_code}), which {counts}: {record.reason}"))
    return lines
