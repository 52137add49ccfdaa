# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take a rollout from wave to wave: begin, wait for soaks and windows, prove a ring again, hold and release, finish."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.durations import parse_duration
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.timestamps import to_iso
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.waves import parse_budget
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import (
    rollout_gate,
    rollout_hold,
    rollout_hooks,
    rollout_soak,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.guard import CONTROLLER_VARIABLE, ParentGuard
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.progress import human_seconds
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_options import ROLLOUT_RING
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Record
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.more_facts import SERVICES
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_phase import (
    PhaseAction,
    entries,
    load_limits,
    needed,
    trouble_of,
)

ENROLLED_AGAIN_SECONDS = 300
"""Time between two looks at guests that enrol again, by the collection's clock."""
PATIENCE_OPTION = "hotpatch_window_patience"


class ActionModule(PhaseAction):
    """C(winfleet.hotpatch.rollout_ring)."""

    SPEC = ROLLOUT_RING

    def work(self, options: dict[str, Any]) -> dict[str, Any]:
        self.open_rollout(options)
        phases = {
            "begin": self._begin,
            "held": self._held,
            "approach": self._approach,
            "enter": self._enter,
            "released": self._released,
            "hooked": self._hooked,
            "finish": self._finish,
        }
        return self.close_rollout(options, phases[options["phase"]](options))

    def _begin(self, options: dict[str, Any]) -> dict[str, Any]:
        """Check what can be checked before anything is sent, and say whom to hold."""
        rollout_hooks.check_all(self.rollout, options["hooks"])
        patience_of(options)
        load_limits(options)
        for name in options["soak_services"]:
            if name.lower() not in {known.lower() for known in SERVICES}:
                allowed = f"services that the guest probe reads ({', '.join(SERVICES)})"
                raise InputError("hotpatch_soak_services", name, allowed, "ask for others in a hook before_ring")
        if options["restart_budget"] not in (None, ""):
            parse_budget(options["restart_budget"], rollout_gate.RESTART_BUDGET_OPTION)
        self.event(
            "resumed" if self.rollout.resumed else "planned",
            machines=len(self.rollout.scope),
            rings=[ring.name for ring in self.rollout.rings],
            waves=len(self.rollout.waves),
            error_budget=self.rollout.budget,
        )
        hold = rollout_hold.to_hold(self.rollout) if options["hold"] else []
        if hold:
            self.tell(f"{len(hold)} machines whose rings are not reached yet are held from the platform's own patching")
        return {
            "hold_ids": [record.id for record in hold],
            "hooks": rollout_hooks.hooks_for(self.rollout, options["hooks"], "before_rollout"),
            "msg": f"{len(hold)} machines are to be held.",
        }

    def _held(self, options: dict[str, Any]) -> dict[str, Any]:
        """Note who is held; a machine that could not be held stays exposed, which is told and stops nothing."""
        held, failed = rollout_hold.note_held(self.rollout, entries(options["enrollment"]), self.clock.now())
        self.event("held", hosts=held, failed=failed)
        broken = trouble_of(options["enrollment"], "holding machines") if not (held or failed) else ""
        if failed or broken:
            self.tell(f"not held from the platform's own patching: {', '.join(failed) or broken}")
        return {"held": held, "not_held": failed, "msg": broken or f"{len(held)} machines are held."}

    def _approach(self, options: dict[str, Any]) -> dict[str, Any]:
        wave = self.wave_of(options)
        found = rollout_gate.approach(self.rollout, wave.number)
        return {
            "stop": self.rollout.stop is not None,
            "until": to_iso(found.until) if found.until else "",
            "waiting_for": found.waiting_for or "the next wave",
            "msg": f"Wave {wave.number} waits for {found.waiting_for or 'nothing'}.",
        }

    def _enter(self, options: dict[str, Any]) -> dict[str, Any]:
        wave = self.wave_of(options)
        rollout_gate.steered(self.rollout, wave.number, options["control"])
        if self.rollout.stop is None:
            self._soaked(options, wave.number)
        result: dict[str, Any] = {"until": "", "waiting_for": "", "release_ids": [], "hooks_ring": [], "hooks_wave": []}
        if self.rollout.stop is None:
            entry = rollout_gate.enter(wave, needed(options, self.rollout.restart_timeout), patience_of(options))
            self.verdict_events(entry.refused)
            if entry.refused:
                self.tell(f"Wave {wave.number}: {len(entry.refused)} machines may not be started", entry.refused)
            if entry.at is not None and entry.at > wave.now:
                self.event("window_waited", wave=wave.number, until=to_iso(entry.at))
                result.update(until=to_iso(entry.at), waiting_for=f"the windows of wave {wave.number}")
            else:
                result.update(self._started(options, wave))
        if self.rollout.stop is not None:
            self.event("stopped", **self.rollout.stop)
            self.tell(f"Before wave {wave.number} the rollout stops: {self.rollout.stop['reason']}")
        reason = self.rollout.stop["reason"] if self.rollout.stop else f"Wave {wave.number} may go on."
        return {**result, "stop": self.rollout.stop is not None, "wave": wave.number, "msg": reason}

    def _started(self, options: dict[str, Any], wave: Any) -> dict[str, Any]:
        """Note that the wave starts, and its ring where it does; say what is done before its machines are read."""
        name = self.rollout.wave(wave.number).ring
        ring = rollout_gate.begin(wave)
        if ring is not None:
            self.event("ring_started", ring=name)
        self.event("wave_started", wave=wave.number, ring=name, hosts=[record.host for record in wave.records])
        return {
            "ring": name,
            "release_ids": [record.id for record in rollout_hold.to_release(self.rollout, name)],
            "hooks_ring": rollout_hooks.hooks_for(self.rollout, options["hooks"], "before_ring", name) if ring else [],
            "hooks_wave": rollout_hooks.hooks_for(self.rollout, options["hooks"], "before_wave", name),
        }

    def _soaked(self, options: dict[str, Any], wave: int) -> None:
        """Prove the rings again whose soak is over, and spend the budgets on what went bad in it."""
        found = rollout_gate.approach(self.rollout, wave)
        if not found.soaking:
            return
        records = rollout_soak.to_ask(self.rollout, found.soaking) if options["proof"] == "guest" else []
        memory = options["soak_least_memory_mb"]
        rules = rollout_soak.SoakRules(
            options["soak_services"], options["soak_most_cpu_percent"], memory * 1024 if memory else None
        )
        subset = "core,load,services" if options["soak_services"] else "core,load"
        guests = self.read_patiently([record.host for record in records], options["guest_timeout"], subset)
        bad = rollout_soak.prove_again(self.rollout, found.soaking, guests, rules, self.clock.now(), records)
        self.verdict_events(bad)
        for name in found.soaking:
            asked = [record for record in records if record.ring == name]
            self.event(
                "soak_proven", ring=name, asked=len(asked), bad=[record.host for record in asked if record in bad]
            )
        well = len(records) - len(bad)
        what = f"After the soak of {', '.join(found.soaking)}: {well} of {len(records)} machines are well"
        self.tell(what, bad)
        rollout_gate.spend(self.rollout, wave, None, options["restart_budget"])

    def _released(self, options: dict[str, Any]) -> dict[str, Any]:
        """Note who is no longer held, and wait until the guests show that hotpatching is effective again."""
        waited = rollout_hold.note_released(self.rollout, entries(options["enrollment"]))
        broken = trouble_of(options["enrollment"], "releasing held machines")
        self.event("released", hosts=[record.host for record in waited], reason=broken or None)
        left = self._wait_for_enrolment(options, waited) if options["proof"] == "guest" else []
        done = len(waited) - len(left)
        self.tell(f"{done} of {len(waited)} released machines are enrolled again")
        return {
            "enrolled": done,
            "enrolling": [record.host for record in left],
            "msg": broken or f"{done} are enrolled.",
        }

    def _wait_for_enrolment(self, options: dict[str, Any], waited: list[Record]) -> list[Record]:
        machines = self.machines_of(options["machines"])
        guard = ParentGuard({CONTROLLER_VARIABLE: str(self.owner())})
        give_up = self.clock.monotonic() + options["release_timeout"]
        left = waited
        while left:
            guests = self.read([record.host for record in left], "enrolment")
            left = rollout_hold.still_enrolling(left, machines, guests, options["preflight_overrides"])
            remaining = give_up - self.clock.monotonic()
            if not left or remaining <= 0:
                break
            shown = human_seconds(remaining / self.clock.rate)
            self.tell(f"{len(left)} released machines enrol again, waiting at most {shown} more")
            self.pause(min(ENROLLED_AGAIN_SECONDS, remaining), guard)
        return left

    def _hooked(self, options: dict[str, Any]) -> dict[str, Any]:
        """A hook for a whole wave, ring or rollout that failed stops the rollout."""
        stage = options["stage"]
        failures = self.hook_failures(options["hosts"][:1], stage, options["wanted"])
        for why in failures.values():
            wave = self.wave_of(options).number if not stage.endswith("_rollout") else None
            self.event("hook_failed", stage=stage, wave=wave, reason=why)
            where = f"{stage} of wave {wave}" if wave else stage
            found = rollout_gate.stop(self.rollout, wave, "hook_failed", f"the hook {where} failed: {why}")
            self.event("stopped", **found)
            self.tell(f"The rollout stops: {found['reason']}")
        return {
            "stop": self.rollout.stop is not None,
            "msg": "; ".join(failures.values()) or f"The hooks {stage} passed.",
        }

    def _finish(self, options: dict[str, Any]) -> dict[str, Any]:
        """Say what a stop leaves exposed, and whom to hold for it."""
        left = rollout_hold.unreached(self.rollout) if self.rollout.stop else []
        hold = left if options["on_stop"] == "hold" else []
        if left and not hold:
            self.tell("Not reached, and not held from the platform's own patching:")
            self.say([f"  {rollout_hold.exposure(record)}" for record in left])
        if self.rollout.stop is None:
            self.event("finished", counts=self.rollout.counts())
        return {
            "hold_ids": [record.id for record in hold],
            "exposed": [record.host for record in left if record not in hold],
            "hooks": rollout_hooks.hooks_for(self.rollout, options["hooks"], "after_rollout"),
            "msg": f"{len(hold)} machines are to be held, {len(left) - len(hold)} stay exposed.",
        }


def patience_of(options: dict[str, Any]) -> timedelta:
    """How long a wave waits for its windows; InputError for what is no duration."""
    raw = str(options["window_patience"])
    try:
        return timedelta(seconds=int(raw)) if raw.isdigit() else parse_duration(raw)
    except ValueError:
        raise InputError(PATIENCE_OPTION, raw, "seconds or an ISO 8601 duration such as PT12H") from None
