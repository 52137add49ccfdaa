# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take one wave of a rollout through its decisions (preflight, select, judge), or verify machines outside of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import GuestFacts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import Machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import (
    rollout_report,
    rollout_state,
    rollout_verify,
    rollout_wave,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_journal import read_journal
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_WAVE
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import machines_by_key
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_releases import Releases
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Record, Rollout, StateError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_wave import Preflight, WaveRun
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import RolloutAction

LOOK_AGAIN_SECONDS = 30
"""Time between two questions to a guest that does not answer at proof time, by the collection's clock."""


class ActionModule(RolloutAction):
    """C(winfleet.hotpatch.rollout_wave)."""

    SPEC = ROLLOUT_WAVE

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["phase"] == "verify":
            return self._verify(options)
        self._rollout = self._load(options)
        wave = rollout_wave.open_wave(
            self._rollout,
            options["hosts"],
            self.clock.now(),
            read_journal(options["plan"]["state_dir"]),
            options["proof"],
            options["preflight_overrides"],
        )
        phases = {"preflight": self._preflight, "select": self._select, "judge": self._judge}
        result = phases[options["phase"]](options, wave)
        if "draft" in options["plan"]:
            result["draft"] = self._rollout.to_dict()
        else:
            rollout_state.save(options["plan"]["state_dir"], self._rollout, self.now)
        return {"changed": False, **result}

    def _load(self, options: dict[str, Any]) -> Rollout:
        plan = options["plan"]
        draft = options["preflight"].get("draft") or plan.get("draft")
        if draft:
            return rollout_state.rollout_from_dict(draft)
        rollout = rollout_state.load(plan["state_dir"])
        if rollout is None or rollout.rollout_id != plan["rollout_id"]:
            raise StateError(
                f"The state folder {plan['state_dir']!r} no longer holds rollout {plan['rollout_id']}; "
                "another run has used it meanwhile, or it was removed. Nothing more is started."
            )
        return rollout

    def _preflight(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        before = {record.host for record in wave.records if record.judged}
        trouble = trouble_of(options["machines"], "reading the machines from Azure")
        going = Preflight()
        if not trouble:
            going = rollout_wave.preflight(
                wave, self._machines(options), self._guests(options, [record.host for record in wave.open])
            )
        left = [record for record in wave.records if record.judged and record.host not in before]
        self._tell(wave, f"{len(going.start)} may start, {len(going.join) + len(going.done)} are under way", left)
        return {
            "start": going.start,
            "join": going.join,
            "done": going.done,
            "start_ids": [record.id for record in wave.records if record.host in going.start],
            "trouble": trouble,
            "msg": trouble or f"{len(going.start)} machines may start.",
        }

    def _select(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        before = {record.host for record in wave.records if record.judged}
        given = options["preflight"]
        going = Preflight(*(list(given.get(name, [])) for name in ("start", "join", "done")))
        choice = rollout_wave.select(
            wave,
            going,
            entries(options["assessments"]),
            trouble_of(options["assessments"], "assessing the machines"),
            options["exclude_kbs_requiring_reboot"],
        )
        left = [record for record in wave.records if record.judged and record.host not in before]
        verb = "would install" if "draft" in options["plan"] else "install"
        self._tell(wave, f"{verb} {', '.join(choice.kbs) or 'nothing'} on {len(choice.install)} machines", left)
        delay = max(1, round(LOOK_AGAIN_SECONDS / self.clock.rate))
        return {
            "install_ids": [record.id for record in wave.records if record.host in choice.install],
            "kb_numbers": choice.kbs,
            "prove_hosts": choice.prove,
            "guest_retries": max(1, options["guest_timeout"] // LOOK_AGAIN_SECONDS),
            "guest_delay": delay,
            "msg": f"{len(choice.install)} machines are to be installed.",
        }

    def _judge(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        before = {record.host for record in wave.records if record.judged}
        broken = options["preflight"].get("trouble") or trouble_of(options["preflight"], "deciding who may start")
        trouble = broken or trouble_of(options["installations"], "installing")
        rollout_wave.judge(
            wave,
            entries(options["installations"]),
            trouble,
            self._machines(options),
            self._guests(options, [record.host for record in wave.open if record.stage == "selected"]),
        )
        stop = rollout_wave.gate(wave, trouble)
        fresh = [record for record in wave.records if record.host not in before]
        self._tell(wave, "the rollout stops here" if stop else "done", fresh)
        verdicts = {record.host: record.verdict for record in wave.records}
        return {"stop": stop is not None, "verdicts": verdicts, "msg": stop["reason"] if stop else "The gate is open."}

    def _verify(self, options: dict[str, Any]) -> dict[str, Any]:
        ids = options["plan"].get("ids") or {}
        machines = self._machines(options)
        guests = self._guests(options, options["hosts"])
        releases = Releases(self.clock.now(), options["kb_numbers"])
        overrides = options["preflight_overrides"]
        rows = [
            rollout_verify.verify(host, machines[key], guests.get(host), releases, overrides)
            for host, key in ((host, str(ids.get(host)).lower()) for host in options["hosts"])
            if key in machines
        ]
        words = {True: "yes", False: "no", None: "not known"}
        table = [
            tuple(
                rollout_report.printable(cell)
                for cell in (row["host"], row["state"], words[row["restarted"]], row["track"], row["reason"])
            )
            for row in rows
        ]
        self.say(["", *rollout_report.columns(("MACHINE", "STATE", "RESTARTED", "TRACK", "REASON"), table), ""])
        self.say(rollout_verify.advice(rows))
        current = sum(row["state"] == rollout_verify.AT_RELEASE for row in rows)
        able = sum(row["ready"] for row in rows)
        msg = (
            f"{current} of {len(options['hosts'])} machines are at the current release, "
            f"{able} are ready to be hotpatched."
        )
        return {"changed": False, "machines": rows, "current": current, "ready": able, "msg": msg}

    def _machines(self, options: dict[str, Any]) -> dict[str, Machine]:
        return machines_by_key(options["machines"].get("machines") or [])

    def _guests(self, options: dict[str, Any], wanted: Sequence[str]) -> dict[str, GuestFacts]:
        """This stage's readings by host; a host whose reading broke counts as one that did not answer."""
        return {} if options["proof"] == "azure" else self.guests_of(wanted, options["guest_variable"])

    def _tell(self, wave: WaveRun, what: str, records: list[Record]) -> None:
        lines = [f"Wave {wave.number} of {len(self._rollout.waves)}, {len(wave.records)} machines: {what}"]
        lines += [
            f"  {rollout_report.printable(record.host)}: {record.verdict}, {rollout_report.printable(record.reason)}"
            for record in records
        ]
        self.say(lines)


def entries(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The machines of a fleet task's result by lower-case ARM ID; empty where it was skipped or broke."""
    return {str(entry["id"]).lower(): dict(entry) for entry in result.get("machines") or []}


def trouble_of(result: Mapping[str, Any], doing: str) -> str:
    """Why a task broke as a whole, or empty: one that was skipped or has an entry for each machine did not."""
    if not result.get("failed"):
        return ""
    return f"{doing} broke: {result.get('msg') or 'no reason was given'}"
