# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take one wave of a rollout through its decisions (preflight, select, judge, gate), or verify outside of one."""

from __future__ import annotations

from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain import load, server_role
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.kb import parse_kb
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import (
    rollout_choose,
    rollout_gate,
    rollout_hooks,
    rollout_judge,
    rollout_report,
    rollout_restart,
    rollout_verify,
    rollout_wave,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.calendar import load_calendar
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.install import JOIN_ONLY
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_choose import Rules
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_journal import read_restarts
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_WAVE
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_releases import Releases
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Record
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_wave import Preflight, WaveRun
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_phase import (
    PhaseAction,
    entries,
    load_limits,
    needed,
    trouble_of,
)


class ActionModule(PhaseAction):
    """C(winfleet.hotpatch.rollout_wave)."""

    SPEC = ROLLOUT_WAVE

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        if options["phase"] == "verify":
            return self._verify(options)
        self.open_rollout(options)
        wave = self.wave_of(options)
        wave.limits, wave.measure_load = load_limits(options), options["measure_load"]
        before = {record.host for record in wave.records if record.judged}
        phases = {
            "preflight": self._preflight,
            "select": self._select,
            "hooked": self._hooked,
            "restart": self._restart,
            "settle": self._settle,
            "judge": self._judge,
            "gate": self._gate,
        }
        self._what = ""
        result = phases[options["phase"]](options, wave)
        fresh = [record for record in wave.records if record.judged and record.host not in before]
        self.verdict_events(fresh)
        if self._what:
            head = f"Wave {wave.number} of {len(self.rollout.waves)}, {len(wave.records)} machines"
            self.tell(f"{head}: {self._what}", fresh)
        return self.close_rollout(options, result)

    def _preflight(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        trouble = trouble_of(options["machines"], "reading the machines from Azure")
        going = Preflight()
        if not trouble:
            guests = self.guests(options, [record.host for record in wave.open], subset=_subset(wave))
            going = rollout_wave.preflight(wave, self.machines_of(options["machines"]), guests)
            doubtful = [] if options["guest_variable"] else rollout_wave.in_doubt(wave, going)
            if doubtful and options["proof"] == "guest":
                rollout_wave.keep_apart(wave, going, self.read(doubtful, server_role.SUBSET))
        self._what = f"{len(going.start)} may start, {len(going.join) + len(going.done)} are under way"
        return {
            "start": going.start,
            "join": going.join,
            "done": going.done,
            "start_ids": [record.id for record in wave.records if record.host in going.start],
            "trouble": trouble,
            "msg": trouble or f"{len(going.start)} machines may start.",
        }

    def _select(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        given = options["preflight"]
        going = Preflight(*(list(given.get(name, [])) for name in ("start", "join", "done")))
        ring = self.rollout.wave(wave.number).ring
        rules = Rules(
            exclude_restarting=options["exclude_kbs_requiring_reboot"],
            brake=options["brake"],
            blocked=rollout_gate.blocked_kbs(_kbs("hotpatch_blocked_kbs", options["blocked_kbs"]), options["control"]),
            unproven=options["unproven_products"],
            approved=_kbs("hotpatch_approved_kbs", options["approved_kbs"]),
            proven=rollout_gate.proven_before(self.rollout, ring, self._drafted),
            needed=needed(options, self.rollout.restart_timeout),
        )
        trouble = trouble_of(options["assessments"], "assessing the machines")
        choice = rollout_choose.select(wave, going, entries(options["assessments"]), trouble, rules)
        verb = "would install" if self._drafted else "install"
        self._what = f"{verb} {', '.join(choice.all_kbs) or 'nothing'} on {len(choice.install)} machines"
        hooks = {
            stage: rollout_hooks.hooks_for(self.rollout, options["hooks"], stage, ring)
            for stage in ("before_machine", "after_machine")
        }
        hooked = choice.fresh and not self._drafted
        return {
            "install_ids": [record.id for record in wave.records if record.host in choice.install],
            "kb_numbers": choice.all_kbs,
            "kb_numbers_by_machine": choice.kbs,
            "restarting_ids": choice.restarting,
            "join_only_ids": choice.join_only,
            "latest_starts": choice.latest_starts,
            "prove_hosts": choice.prove,
            "hook_hosts": choice.fresh,
            "hooks_before": hooks["before_machine"] if hooked else [],
            "hooks_after": hooks["after_machine"] if hooked else [],
            "msg": f"{len(choice.install)} machines are to be installed.",
        }

    def _hooked(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        """Note what became of the machines' hooks; who has no word of all of them counts as failed."""
        stage, hosts = options["stage"], options["selection"].get("hook_hosts") or []
        wanted = len(options["selection"].get("hooks_before" if stage.startswith("before") else "hooks_after") or [])
        failures = self.hook_failures(hosts, stage, wanted)
        records = [record for record in wave.records if record.host in failures]
        failed = rollout_hooks.note_machine_failures(records, failures, stage)
        for record in failed:
            self.event("hook_failed", stage=stage, host=record.host, id=record.id, reason=failures[record.host])
        if failed:
            self._what = f"hooks ({stage}) failed on {', '.join(record.host for record in failed)}"
        return {
            "dropped_ids": [record.id for record in failed],
            "msg": self._what or f"The hooks {stage} passed on {len(hosts)} machines.",
        }

    def _restart(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        """Ask the guests after their installations, and say who is restarted."""
        installations = entries(options["installations"])
        asked = [record.host for record in rollout_restart.candidates(wave, installations)]
        guests = self.read_patiently(asked, options["guest_timeout"], rollout_restart.SUBSET)
        wave.now = self.clock.now()
        journal = read_restarts(options["plan"]["state_dir"])
        machines = self.machines_of(options["machines"])
        found = rollout_restart.decide(wave, installations, machines, guests, journal)
        self._what = f"{len(found.hosts)} of {len(asked)} installed machines are restarted"
        return {
            "restart_ids": found.ids,
            "latest_starts": found.latest_starts,
            "once_since": self.rollout.started,
            "msg": f"{len(found.hosts)} machines are to be restarted.",
        }

    def _settle(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        """Wait until the restarted guests are back and at rest, as long as they are given."""
        trouble = trouble_of(options["restarts"], "restarting")
        journal = read_restarts(options["plan"]["state_dir"])
        sent = rollout_restart.note_sent(wave, entries(options["restarts"]), trouble, journal)
        give_up = self.clock.monotonic() + self.rollout.restart_timeout
        waiting = sent
        while waiting:
            guests = self.read([record.host for record in waiting], rollout_restart.SUBSET)
            asked = waiting
            waiting = rollout_restart.note_settled(asked, guests, self.clock.now())
            for record in (one for one in asked if one not in waiting):
                self.event("machine_settled", host=record.host, id=record.id)
            if not waiting or not self.look_again(give_up):
                break
            first = waiting[0]
            self.tell(f"{len(waiting)} guests have not settled: {first.host}: {(first.restart or {})['waiting']}")
        self._what = f"{len(sent) - len(waiting)} of {len(sent)} restarted guests are back and at rest"
        return {"restarted": [record.host for record in sent], "msg": self._what}

    def _judge(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        broken = options["preflight"].get("trouble") or trouble_of(options["preflight"], "deciding who may start")
        trouble = broken or trouble_of(options["selection"], "choosing what is installed")
        trouble = trouble or trouble_of(options["installations"], "installing")
        selected = [record.host for record in wave.open if record.stage == "selected"]
        sent = [record.host for record in wave.open if _was_sent(record, options)]
        asked = selected if options["guest_variable"] else sent
        guests = self.guests(options, asked, options["guest_timeout"], _subset(wave))
        wave.now = self.clock.now()
        rollout_judge.judge(
            wave, entries(options["installations"]), trouble, self.machines_of(options["machines"]), guests
        )
        if self._note_abort(options, wave):
            trouble = ""
        self._what = trouble or "proven"
        ring = self.rollout.wave(wave.number).ring
        ends = all(record.judged for record in rollout_gate.members(self.rollout, ring))
        return {
            "verdicts": {record.host: record.verdict for record in wave.records},
            "hooks_after_wave": rollout_hooks.hooks_for(self.rollout, options["hooks"], "after_wave", ring),
            "hooks_after_ring": rollout_hooks.hooks_for(self.rollout, options["hooks"], "after_ring", ring)
            if ends
            else [],
            "trouble": trouble,
            "msg": trouble or f"{len(selected)} machines were judged.",
        }

    def _note_abort(self, options: dict[str, Any], wave: WaveRun) -> bool:
        """An abort in the middle of the wave ended its installations early; it is told as what it is."""
        for task in ("assessments", "installations"):
            if options[task].get("stop_code") == "aborted":
                rollout_gate.stop(self.rollout, wave.number, "aborted", str(options[task].get("msg")))
                return True
        return False

    def _gate(self, options: dict[str, Any], wave: WaveRun) -> dict[str, Any]:
        judged = options["judgement"]
        trouble = str(judged.get("trouble") or trouble_of(judged, "judging the wave"))
        ring = self.rollout.ring(self.rollout.wave(wave.number).ring)
        was_open = ring.finished is None
        stop = rollout_gate.gate(wave, trouble, options["restart_budget"])
        self.event("wave_finished", wave=wave.number, ring=ring.name, counts=self.rollout.counts())
        self.event("gate", wave=wave.number, ring=ring.name, open=stop is None, reason=stop["reason"] if stop else None)
        ended = was_open and ring.finished is not None
        if ended:
            self.event("ring_finished", ring=ring.name)
        if ended and ring.soak_until and stop is None:
            self.event("soak_started", ring=ring.name, until=ring.soak_until)
        if stop:
            self.event("stopped", **stop)
        self._what = "the rollout stops here" if stop else "done"
        return {
            "stop": stop is not None,
            "msg": stop["reason"] if stop else "The gate is open.",
        }

    def _verify(self, options: dict[str, Any]) -> dict[str, Any]:
        ids = options["plan"].get("ids") or {}
        machines = self.machines_of(options["machines"])
        guests = self.guests(options, options["hosts"])
        releases = Releases(self.clock.now(), options["kb_numbers"], load_calendar(options).calendar)
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


def _subset(wave: WaveRun) -> str:
    return ",".join(("core", *load.SUBSETS)) if wave.reads_load else "core"


def _kbs(option: str, raw: list[str]) -> list[str]:
    return [parse_kb(option, item) for item in raw]


def _was_sent(record: Record, options: dict[str, Any]) -> bool:
    """Whether the machine's guest has to be asked for proof: not where its installation was certainly not sent."""
    entry = entries(options["installations"]).get(record.key) or {}
    unsent = entry.get("outcome") in rollout_judge.NOT_SENT and entry.get("reason_code") != JOIN_ONLY
    return record.stage == "selected" and not unsent
