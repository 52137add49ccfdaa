# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges a rollout by the emulator's audit log alone: what was asked of Azure and what happened to the machines.

Knows nothing of the collection. Each check returns a sentence for every breach, naming the line of the log; an empty
list means that the promise was kept. Resource IDs compare case-insensitively, times are the emulator's.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

Line = dict[str, Any]
# What a rollout that may not restart must never ask for.
RESTARTING = ("restart", "poweroff", "deallocate", "start", "redeploy", "reimage")


def key(resource_id: str) -> str:
    """A machine's ID as it compares."""
    return resource_id.rstrip("/").lower()


def when(line: Line) -> datetime:
    """A line's emulated time."""
    return datetime.fromisoformat(line["time"].replace("Z", "+00:00"))


def writes(lines: Iterable[Line]) -> list[Line]:
    """Requests that were meant to change something."""
    return [
        line for line in lines if line["kind"] == "request" and line["method"] not in ("GET", "HEAD") and _machine(line)
    ]


def install_requests(lines: Iterable[Line]) -> list[Line]:
    """Install calls that Azure accepted."""
    return [line for line in writes(lines) if _verb(line) == "installpatches" and 200 <= int(line["status"]) < 300]


def installations(lines: Iterable[Line], event: str) -> list[Line]:
    """`started` or `finished` events of installations, whoever began them."""
    return [
        line
        for line in lines
        if line["kind"] == "operation" and line["event"] == event and line["operation"].lower() == "installpatches"
    ]


def restarts_under_never(lines: Sequence[Line]) -> list[str]:
    """Nothing asked for a restart: no call that restarts, and no install with another setting than Never.

    A guest that restarts of itself (cause `fault`, `guest` ...) is not the collection's doing, but Azure's answer to an
    install is: a restart of cause `install` is a breach.
    """
    breaches = [_tell(line, f"asked for {_verb(line)}") for line in writes(lines) if _verb(line) in RESTARTING]
    for line in writes(lines):
        setting = (line.get("body") or {}).get("rebootSetting")
        if _verb(line) == "installpatches" and setting != "Never":
            breaches.append(_tell(line, f"installed with rebootSetting {setting}"))
    breaches += [
        _tell(line, "restarted") for line in lines if line["kind"] == "restart" and line["cause"] in ("install", "user")
    ]
    return breaches


def installed_twice(lines: Sequence[Line]) -> list[str]:
    """No machine got a second install call that Azure accepted."""
    counts = Counter(key(line["resource_id"]) for line in install_requests(lines))
    return [f"{machine} was installed {count} times" for machine, count in counts.items() if count > 1]


def more_than_wave(lines: Sequence[Line], wave: int) -> list[str]:
    """Never more installations at once than a wave holds; what the platform begins of itself is not the rollout's."""
    running: set[str] = set()
    breaches: list[str] = []
    for line in lines:
        if line["kind"] != "operation" or line["operation"].lower() != "installpatches":
            continue
        if str(line.get("started_by", "User")).lower() == "platform":
            continue
        if line["event"] == "started":
            running.add(line["activity_id"])
            if len(running) > wave:
                breaches.append(_tell(line, f"was installation {len(running)} at once, with waves of {wave}"))
        else:
            running.discard(line["activity_id"])
    return breaches


def restart_requests(lines: Iterable[Line]) -> list[Line]:
    """Calls that restart a machine and that Azure accepted."""
    return [line for line in writes(lines) if _verb(line) == "restart" and 200 <= int(line["status"]) < 300]


def restarted_as_planned(lines: Sequence[Line], planned: Iterable[str], wave: int) -> list[str]:
    """Only planned machines were restarted: by one call each, after their installation, never more than a wave away.

    A machine is away from the call until its guest is back; whatever restarts otherwise than by a call is a breach.
    """
    wanted = {key(item) for item in planned}
    ended: set[str] = set()
    away: dict[str, datetime] = {}
    breaches = []
    counts = Counter(_machine(line) for line in restart_requests(lines))
    breaches += [f"{machine} was restarted {number} times" for machine, number in counts.items() if number > 1]
    for line in lines:
        machine = key(str(line.get("resource_id") or "")) or _machine(line)
        if line["kind"] == "operation" and line["operation"].lower() == "installpatches":
            (ended.add if line["event"] == "finished" else ended.discard)(machine)
            if line["reboot_setting" if line["event"] == "started" else "kind"] not in ("Never", "operation"):
                breaches.append(_tell(line, "was installed under another setting than Never"))
        if line["kind"] == "operation" and line["operation"].lower() == "restart" and line["event"] == "started":
            if machine not in wanted:
                breaches.append(_tell(line, "was restarted, but is not planned to be"))
            if machine not in ended:
                breaches.append(_tell(line, "was restarted before its installation had ended"))
            away = {other: back for other, back in away.items() if back > when(line)}
            away[machine] = datetime.max.replace(tzinfo=when(line).tzinfo)
            if len(away) > wave:
                breaches.append(_tell(line, f"was machine {len(away)} away at once, with waves of {wave}"))
        if line["kind"] == "restart":
            if line["cause"] != "user":
                breaches.append(_tell(line, f"restarted by {line['cause']}"))
            away[machine] = when(line) + timedelta(seconds=float(line["down_seconds"]))
    return breaches


def outside_plan(lines: Sequence[Line], plan: Iterable[str]) -> list[str]:
    """Nothing that changes a machine was sent to one outside the plan."""
    planned = {key(resource_id) for resource_id in plan}
    return [
        _tell(line, f"got {_verb(line)}, but is not planned") for line in writes(lines) if _machine(line) not in planned
    ]


def starts_after(lines: Sequence[Line], moment: datetime) -> list[str]:
    """No accepted install call came later than the moment."""
    return [_tell(line, f"was started at {line['time']}") for line in install_requests(lines) if when(line) > moment]


def batches_in_order(lines: Sequence[Line], batches: Sequence[Iterable[str]], what: str = "wave") -> list[str]:
    """No machine of a batch (a wave, a ring) was started while one of an earlier batch was still being installed.

    What the platform begins of itself is not the rollout's.
    """
    place = {key(item): number for number, batch in enumerate(batches, 1) for item in batch}
    running: dict[str, int] = {}
    reached, breaches = 0, []
    for line in lines:
        if line["kind"] != "operation" or line["operation"].lower() != "installpatches":
            continue
        number = place.get(key(line["resource_id"]))
        if number is None or str(line.get("started_by", "User")).lower() == "platform":
            continue
        if line["event"] != "started":
            running.pop(line["activity_id"], None)
            continue
        if number < reached:
            breaches.append(_tell(line, f"of {what} {number} was started after {what} {reached} had begun"))
        if any(other < number for other in running.values()):
            breaches.append(_tell(line, f"of {what} {number} was started while an earlier {what} was at work"))
        reached = max(reached, number)
        running[line["activity_id"]] = number
    return breaches


def soaked(lines: Sequence[Line], before: Iterable[str], after: Iterable[str], seconds: float) -> list[str]:
    """Between the last end in one ring and the first start in the next lies at least the soak."""
    first, second = {key(item) for item in before}, {key(item) for item in after}
    ends = [when(line) for line in installations(lines, "finished") if key(line["resource_id"]) in first]
    starts = [line for line in install_requests(lines) if key(_machine(line)) in second]
    if not ends:
        return [_tell(line, "was started before the ring before it was installed at all") for line in starts]
    return [
        _tell(line, f"was started {(when(line) - max(ends)).total_seconds():.0f} s after the ring before it")
        for line in starts
        if (when(line) - max(ends)).total_seconds() < seconds
    ]


def other_than(lines: Sequence[Line], kbs: Mapping[str, Iterable[str]]) -> list[str]:
    """Every install call named exactly the KBs of its machine, with their prefix, and no class of updates."""
    wanted = {key(machine): sorted(numbers) for machine, numbers in kbs.items()}
    breaches = []
    for line in install_requests(lines):
        windows = (line.get("body") or {}).get("windowsParameters") or {}
        if windows.get("classificationsToInclude"):
            breaches.append(_tell(line, f"was sent the classes {windows['classificationsToInclude']}"))
        named = sorted(windows.get("kbNumbersToInclude") or [])
        if named != wanted.get(_machine(line)):
            breaches.append(_tell(line, f"was sent {named}, allowed was {wanted.get(_machine(line))}"))
    return breaches


def beyond_budget(
    lines: Sequence[Line], batches: Sequence[Iterable[str]], bad: Iterable[str], budget: int
) -> list[str]:
    """No batch was started once more machines of the batches before it had ended badly than the budget allows."""
    place = {key(item): number for number, batch in enumerate(batches, 1) for item in batch}
    failed = {key(item) for item in bad}
    breaches = []
    for line in install_requests(lines):
        number = place.get(_machine(line), 0)
        before = [item for item in failed if place.get(item, number) < number]
        if len(before) > budget:
            breaches.append(_tell(line, f"was started after {len(before)} bad endings, the budget is {budget}"))
    return breaches


def starts_between(lines: Sequence[Line], begin: datetime, end: datetime) -> list[str]:
    """No accepted install call came between two moments."""
    return [
        _tell(line, f"was started at {line['time']}") for line in install_requests(lines) if begin < when(line) < end
    ]


def settings_sent(lines: Iterable[Line], machine: str) -> list[Line]:
    """The accepted changes of a machine's settings."""
    return [
        line
        for line in writes(lines)
        if _machine(line) == key(machine) and line["method"] == "PATCH" and 200 <= int(line["status"]) < 300
    ]


def _machine(line: Line) -> str:
    """The machine that a request is about, by its path; "" for requests about no machine."""
    steps = str(line.get("path", "")).partition("?")[0].strip("/").split("/")
    lowered = [step.lower() for step in steps]
    if "virtualmachines" not in lowered or lowered.index("virtualmachines") + 1 >= len(steps):
        return ""
    return key("/" + "/".join(steps[: lowered.index("virtualmachines") + 2]))


def _verb(line: Line) -> str:
    """The last step of a request's path where it follows the machine (`installpatches`), else the method."""
    path = str(line["path"]).partition("?")[0].rstrip("/").lower()
    return path.rsplit("/", 1)[1] if path != _machine(line) else str(line["method"]).lower()


def _tell(line: Line, what: str) -> str:
    return f"line {line['seq']}: {line.get('resource_id') or _machine(line)} {what}"


def judge(lines: Sequence[Line], wave: int, plan: Iterable[str]) -> list[str]:
    """Every promise of a rollout with waves of at most `wave` machines over the machines of `plan`."""
    return [
        *restarts_under_never(lines),
        *installed_twice(lines),
        *more_than_wave(lines, wave),
        *outside_plan(lines, plan),
    ]


def main(arguments: list[str]) -> int:
    """`audit_checker.py AUDIT_LOG REPORT_JSON`: judges the log by the waves and machines of a rollout's report."""
    text = Path(arguments[0]).read_text(encoding="utf-8")
    report = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in text.splitlines()]
    wave = max((len(wave["machines"]) for wave in report["waves"]), default=0)
    breaches = judge(lines, wave, [machine["id"] for machine in report["machines"]])
    if not install_requests(lines):
        breaches.append("nothing was installed at all")
    print("\n".join(breaches) or f"{len(lines)} lines kept every promise")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
