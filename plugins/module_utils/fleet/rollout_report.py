# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a rollout: every machine of the plan gets its one verdict, and the report says it to people and programs.

Machines are counted from the plan, not from what Ansible still knows: a host that dropped out of the play on the way
is found here, named, and fails the run.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..domain.next_steps import next_step
from ..domain.waves import allows, parse_budget
from . import report_figures
from .rollout_state import FINISHED, RUNNING, STOPPED, Record, Ring, Rollout

REPORT_FORMAT = 2
LIMIT_OPTION = "hotpatch_not_started_limit"
_DASH = "-"
_LOST = frozenset({"lost", "wave_not_judged"})
TERMINAL_ROWS = 500
"""A larger fleet's table shows only the machines that need a person: a terminal, and AWX's event, hold no more."""


@dataclass
class Closing:
    """What closing a rollout found: machines nobody had judged, by host name."""

    lost: list[str] = field(default_factory=list)


def close(rollout: Rollout, now: str) -> Closing:
    """Give every machine that has none its verdict and end the rollout; returns the machines that were lost.

    A machine of a wave that a stop kept from starting is ``not_started``. One whose installation may have been sent
    is ``unproven``, and lost: its wave ended without judging it. One whose wave came and went, or never came although
    nothing stopped the rollout, is ``not_started`` and lost.
    """
    closing = Closing()
    for record in rollout.in_scope:
        if record.judged:
            continue
        started = record.wave is not None and rollout.wave(record.wave).started is not None
        if record.stage == "selected":
            record.judge(
                "unproven", "wave_not_judged", "its installation may have been sent, but its wave ended without a proof"
            )
            closing.lost.append(record.host)
        elif rollout.stop and not started:
            wave = rollout.stop.get("wave")
            record.judge("not_started", "rollout_stopped", f"the rollout was stopped in wave {wave}, before its turn")
        elif rollout.stop and rollout.stop.get("wave") == record.wave:
            record.judge("not_started", "rollout_stopped", "the rollout was stopped before it was started")
        else:
            record.judge("not_started", "lost", "it dropped out of the run before its wave could judge it")
            closing.lost.append(record.host)
    # A run under --limit leaves the rest of an interrupted rollout to a later one.
    if rollout.status == RUNNING and all(record.judged for record in rollout.machines.values()):
        rollout.status = STOPPED if rollout.stop else FINISHED
    rollout.updated = now
    return closing


def lost_of(rollout: Rollout) -> list[str]:
    """The machines that :func:`close` found lost, read from their reason codes."""
    return [record.host for record in rollout.in_scope if record.reason_code in _LOST]


def build(
    rollout: Rollout, lost: Sequence[str], counting: Iterable[str], not_started_limit: object = "0"
) -> dict[str, Any]:
    """The report as plain JSON.

    *counting* are the verdicts that count against the error budget; *not_started_limit* is how many machines, or which
    percentage, may end as ``not_started`` before the run fails. Raises InputError for a limit that is neither.
    """
    against = frozenset(counting)
    counts = rollout.counts()
    only_ring = rollout.rings[0].name if len(rollout.rings) == 1 else None
    machines = [machine_row(record, _counts(record, against), only_ring) for record in rollout.in_scope]
    failure = failure_sentence(rollout, lost, not_started_limit)
    return {
        "format": REPORT_FORMAT,
        "rollout_id": rollout.rollout_id,
        "status": rollout.status,
        "started": rollout.started,
        "ended": rollout.updated,
        "resumed": rollout.resumed,
        "changed": rollout.changed,
        "error_budget": rollout.budget,
        "stop": rollout.stop,
        "failure": failure,
        "msg": summary_sentence(rollout, machines),
        "counts": counts,
        "counting_against_budget": sum(machine["counts_against_budget"] for machine in machines),
        "claimed": counts.get("claimed", 0),
        "lost": list(lost),
        "compliance": report_figures.compliance(machines),
        "restarts": report_figures.restarts(machines),
        "load": report_figures.load(machines),
        "platform": report_figures.platform(machines),
        "problems": report_figures.problems(machines),
        "rings": [_ring_row(ring) for ring in rollout.rings],
        "waves": [
            {
                "number": wave.number,
                "ring": wave.ring,
                "started": wave.started,
                "finished": wave.finished,
                "machines": [rollout.machines[key].host for key in wave.machines if key in rollout.machines],
            }
            for wave in rollout.waves
        ],
        "machines": machines,
    }


def _counts(record: Record, against: frozenset[str]) -> bool:
    """Whether the machine counts against the error budget: by its verdict, or because a hook failed on it."""
    return (
        record.verdict in against
        or record.reason_code == "hook_failed"
        or any(_beside(record)["hooks_failed"].values())
    )


def _beside(record: Record) -> dict[str, Any]:
    """What rings, holds and hooks left on a machine beside its verdict; a state without them has none."""
    found = {name: getattr(record, name, None) for name in ("exposed_from", "exposed_until", "held", "soak")}
    return {**found, "hooks_failed": getattr(record, "hooks_failed", None) or {}}


def _ring_row(ring: Ring) -> dict[str, Any]:
    return {
        "name": ring.name,
        "started": ring.started,
        "finished": ring.finished,
        "soak_until": ring.soak_until,
        "soaked": ring.soaked,
    }


def machine_row(record: Record, counts: bool, only_ring: str | None = None) -> dict[str, Any]:
    """One machine of the report: verdict, reason and the evidence behind it; *only_ring* names a rollout's one ring."""
    return {
        "host": record.host,
        "id": record.id,
        "name": record.name,
        "ring": record.ring or only_ring,
        "wave": record.wave,
        "service": record.service,
        "location": record.location,
        "zone": record.zone,
        "availability_set": record.availability_set,
        "update_domain": record.update_domain,
        "stage": record.stage,
        "product": record.product,
        "track": record.track,
        "release": record.release,
        "verdict": record.verdict,
        "reason_code": record.reason_code,
        "reason": record.reason,
        "counts_against_budget": counts,
        "group": report_figures.group_of(record.verdict, counts),
        "next_step": next_step(record.verdict, record.reason_code or record.stage),
        "evidence": record.evidence,
        "kb_numbers": record.kbs,
        "installation": record.install,
        "guest_before": record.before,
        "guest_after": record.after,
        "load": record.load,
        "earlier": record.earlier,
        **_beside(record),
        "notes": record.notes,
    }


def failure_sentence(rollout: Rollout, lost: Sequence[str], not_started_limit: object = "0") -> str:
    """Why the run has to fail, or the empty string: it was stopped, machines were lost, or too many not started."""
    sentences = []
    if rollout.stop:
        sentences.append(str(rollout.stop.get("reason")))
    if lost:
        names = ", ".join(sorted(lost)[:10]) + (f" and {len(lost) - 10} more" if len(lost) > 10 else "")
        sentences.append(f"{len(lost)} machines of the plan were lost on the way: {names}")
    idle = sum(
        record.verdict == "not_started" and record.reason_code != "rollout_stopped" and record.host not in lost
        for record in rollout.in_scope
    )
    if not allows(parse_budget(not_started_limit, LIMIT_OPTION), len(rollout.in_scope), idle):
        # Nothing was done to them, but neither are they patched: a green job would say otherwise.
        sentences.append(f"{idle} machines were not started, {LIMIT_OPTION} allows {not_started_limit}")
    return "; ".join(sentences)


def summary_sentence(rollout: Rollout, machines: Sequence[dict[str, Any]]) -> str:
    """The rollout in one sentence; says so when nothing was changed."""
    counts = rollout.counts()
    parts = ", ".join(f"{number} {name}" for name, number in counts.items()) or "no machine"
    attention = sum(machine["counts_against_budget"] for machine in machines)
    if not rollout.changed:
        sentence = f"nothing was changed: {parts}"
    else:
        sentence = f"{len(machines)} machines: {parts}"
    if attention:
        sentence += f"; {attention} of {len(machines)} need a person (they count against the error budget)"
    return sentence


def outcome(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a task returns of the report: small enough for any fleet, and for ``set_stats``."""
    return {
        "msg": report["msg"],
        "failure": report["failure"],
        "totals": {
            "rollout_id": report["rollout_id"],
            "status": report["status"],
            "machines": len(report["machines"]),
            "counting_against_budget": report["counting_against_budget"],
            "verdicts": report["counts"],
        },
    }


def table(report: dict[str, Any]) -> list[str]:
    """The report's machines as lines for a terminal: one verdict and reason a machine, in plan order.

    Of a large fleet only those that need a person, and no more than TERMINAL_ROWS of them; the report has them all.
    """
    machines = report["machines"]
    if len(machines) > TERMINAL_ROWS:
        machines = [item for item in machines if item["group"] in ("attention", "open")][:TERMINAL_ROWS]
    rows = [
        (
            printable(machine["host"]),
            str(machine["wave"] or _DASH),
            str(machine["verdict"] or "no_verdict"),
            printable(machine["reason"] or ""),
        )
        for machine in machines
    ]
    lines = columns(("MACHINE", "WAVE", "VERDICT", "REASON"), rows)
    if len(machines) < len(report["machines"]):
        lines.append(f"and {len(report['machines']) - len(machines)} more machines, in the report")
    return lines


def columns(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Lay *rows* out under *header*, each column as wide as its widest cell, the last one free."""
    widths = [max(len(row[index]) for row in (header, *rows)) for index in range(len(header) - 1)]
    return ["  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[-1]]) for row in (header, *rows)]


def text(report: dict[str, Any]) -> str:
    """The whole report as readable text: the outcome first, then the table, then each machine's evidence."""
    lines = [
        f"Rollout {report['rollout_id']}: {report['status']}",
        f"Started {report['started']}, ended {report['ended']}; error budget {report['error_budget']}",
        str(report["msg"])[:1].upper() + str(report["msg"])[1:] + ".",
    ]
    if report["failure"]:
        lines.append(f"Failed: {printable(report['failure'])}")
    lines += ["", *table(report), "", "Evidence"]
    for machine in report["machines"]:
        lines.append(f"  {printable(machine['host'])} ({printable(machine['id'])}): {machine['verdict']}")
        lines += [f"    - {printable(item)}" for item in machine["evidence"]]
        installation = machine["installation"] or {}
        if installation.get("installation_activity_id"):
            told = (
                f"installation {installation['installation_activity_id']}, started "
                f"{installation.get('start_time')} by {installation.get('started_by')}, "
                f"Azure's status {installation.get('status')}"
            )
            lines.append(f"    - {printable(told)}")
    return "\n".join(lines) + "\n"


def read(report_dir: str) -> dict[str, Any] | None:
    """Read the last report.json, or None where there is none; raises ValueError for one of another version."""
    path = Path(report_dir).expanduser() / "report.json"
    if not path.is_file():
        return None
    report = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(report, dict) or report.get("format") != REPORT_FORMAT:
        raise ValueError(f"{str(path)!r} was written by another version of this collection")
    return report


def is_of(report: Mapping[str, Any] | None, rollout: Rollout) -> bool:
    """Whether *report* says all there is to say of *rollout*: nothing happened to it since."""
    return report is not None and (report["rollout_id"], report["ended"]) == (rollout.rollout_id, rollout.updated)


def printable(value: object) -> str:
    """Make text that came from a machine safe for a terminal: no control or formatting characters, one line."""
    shown = str(value)
    if shown.isprintable():
        return shown
    # Line and paragraph separators (Zl, Zp) end lines as well.
    return "".join(
        " " if unicodedata.category(letter)[0] == "C" or letter in "\u2028\u2029" else letter for letter in shown
    )
