# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person does next about a machine that did not reach the release: one sentence by reason, else by verdict."""

from __future__ import annotations

_BY_REASON: dict[str, str] = {
    "agent_not_ready": "Start the VM agent (service WindowsAzureGuestAgent) in the guest, then run the rollout again.",
    "baseline_due": "Install the quarter's baseline, which restarts the machine, then run the rollout again.",
    "booted_after_start": "Ask the guest's System event log who restarted it (events 1074 and 6008), and check its "
    "services; the rollout sent no restart.",
    "cpu_busy": "Run the rollout again when the guest is less busy, or raise hotpatch_max_cpu_percent.",
    "customer_schedule_flag": "Set bypassPlatformSafetyChecksOnUserSchedule to false, or leave it to its schedule.",
    "enrolling": "Run winfleet.hotpatch.enroll and wait until hotpatching is effective in the guest.",
    "enrolment_unknown": "Let the WinRM user read the enrolment (winfleet.hotpatch.verify says why not), then run the "
    "rollout again.",
    "error_budget": "Mend the machines that ended badly, then run the rollout again: it goes on where it stopped.",
    "excluded": "Look at the KB's rebootBehavior and at exclusions; what may restart has to be allowed expressly.",
    "exempt": "Nothing is due: the machine is exempt. Drop the exemption to have it rolled out.",
    "extension_operations_off": "Allow extension operations on the machine, or leave it out of the rollout.",
    "guest_identity_unknown": "Run winfleet.hotpatch.verify: its SMBIOS UUID could not be compared with Azure's vmId.",
    "guest_unreachable": "Check the WinRM listener, the firewall and the host's ansible_winrm variables; then run "
    "winfleet.hotpatch.catch_up.",
    "hook_failed": "Read what the hook said, mend it, then run the rollout again.",
    "hotpatching_off": "Run winfleet.hotpatch.enroll, which switches hotpatching on.",
    "kb_blocked": "Nothing is due while the KB is blocked; take it off the list to have it rolled out.",
    "left_track": "It stays off the hotpatch track until the next baseline; plan a restart for it.",
    "load_after_soak": "See what loads the guest since it was patched; the machine is at the release.",
    "load_unread": "Let the WinRM user read the guest's load (winfleet.hotpatch.verify says why not), or set no limit.",
    "lost": "Run the rollout again: it dropped out of the run before it was judged, and nothing was sent to it.",
    "machine_unread": "Check that the machine still exists and that the principal may read it.",
    "may_reboot": "Azure offers the KB as one that may restart the machine; plan a restart window for it.",
    "memory_low": "Run the rollout again when the guest has more free memory, or lower hotpatch_min_free_memory.",
    "no_ring": "Name the host in a ring of hotpatch_rings, or add a last ring that names nobody and takes the rest.",
    "not_effective": "Run winfleet.hotpatch.enroll and wait until hotpatching is effective in the guest.",
    "not_enrolled": "Run winfleet.hotpatch.enroll, which switches hotpatching on.",
    "not_proven": "Name its product in hotpatch_unproven_products, its KB in hotpatch_approved_kbs, or put a machine "
    "of its product into an earlier ring; then run the rollout again.",
    "not_released": "It is held from the platform's own patching and could not be released; run the rollout again.",
    "off_track": "It stays off the hotpatch track until the next baseline; plan a restart for it.",
    "outside_window": "Run the rollout again when the machine's window is open.",
    "patch_mode": "Set the patch mode to AutomaticByPlatform (winfleet.hotpatch.enroll does).",
    "release_moved": "Run winfleet.hotpatch.rollout: a newer release is due than that of the rollout it missed.",
    "release_unknown": "Name the KB in hotpatch_kb_numbers, or update the release calendar.",
    "restart_pending": "Restart the machine in a window of its own, then run the rollout again.",
    "restart_pending_unread": "Give the WinRM user the right to read the pending restart, then run the rollout again.",
    "restarting_patch_offered": "Run winfleet.hotpatch.verify, which explains what took it off the hotpatch track, and "
    "let it take the restarting update in a window of its own.",
    "restarted_in_soak": "Ask the guest's System event log who restarted it (events 1074, 6008); check its services.",
    "rollout_stopped": "Mend what stopped the rollout, then run it again: it goes on with this machine.",
    "selected": "Run the rollout again: what may have been sent is joined and proven, never sent twice.",
    "service_down_after_soak": "Start the service in the guest and see why it stopped; the machine is at the release.",
    "status_failed": "Look up Azure's error and the guest's update log, mend it, then run with hotpatch_retry: true.",
    "stopped": "Start the machine, then run winfleet.hotpatch.catch_up.",
    "time_zone_unknown": "Name the machine's time zone in the inventory, or give its ring's window one.",
    "wave_not_judged": "Run the rollout again: what was sent is found, joined and proven, and nothing is sent twice.",
    "window_unknown": "Correct the window or time zone that the reason names, then run the rollout again.",
    "join_only": "Run the rollout again: the installation that was in its way has ended.",
    "would_not_finish": "Give it a longer window or a shorter hotpatch_maximum_duration, then run the rollout again.",
    "window_exceeded": "Raise hotpatch_maximum_duration or find what slows the installation, then run with "
    "hotpatch_retry: true.",
    "wrong_guest": "Correct the host's address in the inventory: another machine answered under it.",
}
_BY_VERDICT: dict[str, str] = {
    "restarted_unexpectedly": _BY_REASON["booted_after_start"],
    "withheld": "Look at why the KB was kept out (rebootBehavior, exclusions), then run with hotpatch_retry: true.",
    "not_offered": "Check its update source (WSUS, policies) and its assessment: Azure does not offer it the KB.",
    "failed": "Read the reason and the guest's Windows Update log, mend it, then run with hotpatch_retry: true.",
    "unproven": "Run winfleet.hotpatch.verify for it: what the guest shows decides, and nothing is sent.",
    "unreachable": "See whether the machine is up and WinRM answers, then run winfleet.hotpatch.verify for it.",
    "not_started": "Read the reason, mend it, then run the rollout again: nothing was sent to this machine.",
    "skipped": "Nothing is due, unless this machine should be part of the rollout.",
    "claimed": "Azure says it is patched; to prove it, make its WinRM reachable and run winfleet.hotpatch.verify.",
}
OPEN = "Run the rollout again: it goes on with this machine, to which nothing was sent yet."
"""For a machine without a verdict, as in the report of an interrupted rollout."""

_UNKNOWN = "Read the reason and the evidence, and run winfleet.hotpatch.verify for it."
_SETTLED = frozenset({"patched", "already_current", "patched_restarted_as_planned", "patched_by_platform"})


def next_step(verdict: str | None, reason_code: str | None) -> str:
    """Return the next step as one sentence; the empty string for a machine that is at the release.

    A verdict or code that is not known here still gets a sentence: nobody is left with an error and no next step.

    :param verdict: None for a machine that was not judged.
    :param reason_code: the verdict's, or for a machine without one the stage it is in.
    """
    if verdict is None:
        return _BY_REASON["selected"] if reason_code == "selected" else OPEN
    if verdict in _SETTLED:
        return ""
    return _BY_REASON.get(reason_code or "") or _BY_VERDICT.get(verdict) or _UNKNOWN
