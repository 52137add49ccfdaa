# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose what each machine of a wave is sent: of the planned KBs those that are allowed and offered, or why none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ..domain.assessment import Assessment, AvailablePatch
from ..domain.frozen import Key, allowed
from ..domain.selection import apply, make_selection
from ..domain.timestamps import to_iso
from .rollout_entries import offers_of
from .rollout_restart import is_restarted
from .rollout_state import Record
from .rollout_wave import Preflight, WaveRun
from .rollout_windows import Windows, ZoneUnknown

ALWAYS_RESTARTS = "AlwaysRequiresReboot"
BRAKING_CLASSES = frozenset({"Critical", "Security"})
RESTARTING_OFFER = "restarting_patch_offered"


@dataclass(frozen=True)
class Rules:
    """What the user wants of the choice.

    :param exclude_restarting: install only what is offered as never restarting.
    :param brake: keep from a machine that is offered a security update that restarts it, in a month of hotpatches.
    :param blocked: KBs that nobody is sent, with where that was said.
    :param unproven: products, or product/track, that go on although no earlier ring proved them.
    :param approved: KBs that need no proof by an earlier ring.
    :param proven: what earlier rings proved; None: nobody has to prove anything to this ring.
    :param needed: what a machine takes from its start to its proof.
    """

    exclude_restarting: bool = True
    brake: bool = True
    blocked: Mapping[str, str] = field(default_factory=dict)
    unproven: Collection[str] = ()
    approved: Collection[str] = ()
    proven: Mapping[Key, frozenset[str]] | None = None
    needed: timedelta = timedelta()


@dataclass
class Choice:
    """What is installed.

    ``install`` are the hosts to send to, ``prove`` all hosts to be proven, ``fresh`` those that are started by this run
    (by host); ``restarting`` are the ARM IDs of those that are restarted after it, ``join_only`` of those on which only
    what runs already is followed; ``kbs`` and ``latest_starts`` (ISO 8601, only where a window closes) are by ARM ID.
    """

    install: list[str] = field(default_factory=list)
    prove: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    kbs: dict[str, list[str]] = field(default_factory=dict)
    restarting: list[str] = field(default_factory=list)
    latest_starts: dict[str, str] = field(default_factory=dict)
    join_only: list[str] = field(default_factory=list)

    @property
    def all_kbs(self) -> list[str]:
        """The KBs of all machines together."""
        return list(dict.fromkeys(kb for kbs in self.kbs.values() for kb in kbs))


def select(
    wave: WaveRun,
    going: Preflight,
    assessments: Mapping[str, Mapping[str, Any]],
    trouble: str,
    rules: Rules,
) -> Choice:
    """Choose what each machine is sent: the planned KBs that are allowed and offered to it, and nothing else.

    :param assessments: entries of patch_assessment with ``details: all``, by lower-case ARM ID.
    :param trouble: why the assessment task as a whole broke, or empty.
    """
    choice, windows = Choice(), Windows(wave.rollout)
    for record in wave.open:
        if record.host in going.start:
            _start(wave, record, assessments.get(record.key), trouble, rules, windows, choice)
        if record.judged or record.stage != "selected":
            continue
        choice.prove.append(record.host)
        if is_restarted(wave.rollout, record):
            choice.restarting.append(record.id)
        if record.host not in going.done:
            choice.install.append(record.host)
            choice.kbs[record.id] = record.kbs
            if record.host not in choice.fresh:
                _rejoin(wave, record, windows, rules, choice)
    return choice


def _rejoin(wave: WaveRun, record: Record, windows: Windows, rules: Rules, choice: Choice) -> None:
    """Say what holds for a machine on which an installation seems to run, should nothing turn out to run after all.

    What this rollout had sent is sent again then, if the hour and the KBs allow it still. Somebody else's that ended
    meanwhile is none of this rollout's choices: neither hooks nor windows nor rings were asked for this machine.
    """
    last, code, dummy = _last_start(wave, record, windows, rules.needed)
    if record.selected_at is None or code or any(kb in rules.blocked for kb in record.kbs):
        choice.join_only.append(record.id)
    elif last:
        choice.latest_starts[record.id] = last


def _start(
    wave: WaveRun,
    record: Record,
    entry: Mapping[str, Any] | None,
    trouble: str,
    rules: Rules,
    windows: Windows,
    choice: Choice,
) -> None:
    """Select one machine, or give it the verdict why not."""
    may = allowed(record.kbs, record.product, record.track, rules.proven, rules.unproven, rules.blocked, rules.approved)
    if not may.kbs:
        record.judge("not_started", may.reason_code, may.reason)
        return
    latest, code, reason = _last_start(wave, record, windows, rules.needed)
    if code:
        record.judge("not_started", code, reason)
        return
    if is_restarted(wave.rollout, record):
        rules = replace(rules, exclude_restarting=False)
    kbs = _choose(record, may.kbs, entry, trouble, rules)
    if not kbs:
        return
    # From this moment on, its installation may be sent; what is written now is what a later run finds.
    record.stage, record.kbs, record.selected_at = "selected", kbs, to_iso(wave.now)
    choice.fresh.append(record.host)
    if latest:
        choice.latest_starts[record.id] = latest


def _last_start(wave: WaveRun, record: Record, windows: Windows, needed: timedelta) -> tuple[str, str, str]:
    """The last moment at which it may be started (empty: any), or the code and the reason why that has passed."""
    try:
        window = windows.of(record)
    except ZoneUnknown as error:
        return "", "window_unknown", str(error)
    if window is None:
        return "", "", ""
    closes = window.closes_at(wave.now)
    if closes is None:
        return "", "outside_window", "its window has closed since its wave began"
    if not window.fits(wave.now, needed):
        minutes = round(needed.total_seconds() / 60)
        return "", "would_not_finish", f"its window closes at {to_iso(closes)}, and it may take {minutes} minutes"
    return to_iso(closes - needed), "", ""


def _choose(
    record: Record, allowed_kbs: Sequence[str], entry: Mapping[str, Any] | None, trouble: str, rules: Rules
) -> list[str]:
    """The KBs to send, or the verdict why none."""
    if entry is None or entry.get("outcome") == "failed" or "updates" not in entry:
        why = str((entry or {}).get("reason") or trouble or "Azure's answer does not hold the machine")
        record.judge("not_started", "not_assessed", f"it could not be assessed: {why}")
        return []
    offered = offers_of(entry["updates"])
    restarting = _restarting_offer(record, offered) if rules.brake and rules.exclude_restarting else None
    if restarting is not None:
        record.judge(
            "withheld",
            RESTARTING_OFFER,
            f"Azure offers it {restarting.kb or restarting.name}, a {'/'.join(restarting.classifications)} update that "
            "restarts it: it is not, or no longer, on the hotpatch track",
        )
        return []
    wanted = make_selection(kb_include=allowed_kbs, exclude_kbs_requiring_reboot=rules.exclude_restarting)
    taken, filtered = apply(wanted, Assessment("Succeeded", None, None, None, None, None, tuple(offered), None))
    if taken:
        return [kb for kb in allowed_kbs if kb in {patch.kb for patch in taken}]
    kept = [(patch, reasons) for patch, reasons in filtered if patch.kb in allowed_kbs]
    if not kept:
        names = ", ".join(allowed_kbs)
        record.judge("not_offered", "not_in_assessment", f"Azure does not offer {names} to it")
        return []
    patch, reasons = kept[0]
    record.judge(
        "withheld",
        reasons[0],
        f"{patch.kb} is offered with rebootBehavior {patch.reboot_behavior}, which may restart it",
    )
    return []


def _restarting_offer(record: Record, offered: Sequence[AvailablePatch]) -> AvailablePatch | None:
    """The offered update that shows that hotpatching has ended for this machine, if there is one.

    Only a Critical or Security update that always restarts tells: every machine is offered others that may restart it,
    such as the malicious software removal tool, and those are not installed.
    """
    if (record.release or {}).get("kind") == "baseline":
        return None
    for patch in offered:
        telling = BRAKING_CLASSES & set(patch.classifications)
        if patch.reboot_behavior == ALWAYS_RESTARTS and telling and patch.kb not in record.kbs:
            return patch
    return None
