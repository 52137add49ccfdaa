# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next step for everything that can stand between a machine and its hotpatches, and whose advice it is."""

from __future__ import annotations

from typing import NamedTuple

TROUBLESHOOTING = "Microsoft Learn, troubleshoot hotpatch failures on Azure VMs, 2026-07"
ARC = "Microsoft Learn, enable hotpatch for Azure Arc-enabled servers, 2025-10"
HOTPATCH = "Microsoft Learn, hotpatch for Windows Server, 2025-07"
GUEST_PATCHING = "Microsoft Learn, automatic guest patching for Azure VMs, 2024-07"
UPDATE_MANAGER = "Microsoft Learn, troubleshoot Azure Update Manager, 2024-09"
BYPASS = "github.com/claranet/terraform-azurerm-windows-vm/pull/4, one report of 2025-03"
OURSELVES = "winfleet.hotpatch"


class Advice(NamedTuple):
    """What to do, without a full stop, and who says so."""

    next_step: str
    source: str


_READ_AGAIN = Advice("read the machine again with the role Reader on it", OURSELVES)
_READ_REGISTRY = Advice("let the account read the registry: Execute Methods on the WMI namespace root/cimv2", OURSELVES)
_ENROLMENT_LATE = Advice(
    "wait, if it was switched on in the last hours; then trigger an assessment, and look whether the extension "
    "Microsoft.CPlat.Core.WindowsHotpatch reports an error",
    TROUBLESHOOTING,
)

ADVICE: dict[str, Advice] = {
    # Azure's side
    "machine_unread": Advice("check the host's ARM ID, and that the credential has the role Reader on it", OURSELVES),
    "stopped": Advice("start the machine; Azure's next assessment catches up with what it missed", GUEST_PATCHING),
    "power_changing": Advice("wait until Azure has finished starting or stopping it", OURSELVES),
    "power_unknown": Advice("look at the machine's power state in the portal", OURSELVES),
    "not_an_azure_vm": Advice(
        "on an Arc machine confirm Hotpatch under its licences in the portal, and wait about 10 minutes", ARC
    ),
    "not_windows": Advice("leave the machine out of hotpatch_hosts", HOTPATCH),
    "os_type_unread": _READ_AGAIN,
    "scale_set_member": Advice("patch the scale set by its own means", HOTPATCH),
    "image_not_supported": Advice(
        "redeploy from a supported Azure Edition image; where you know better, exempt the code in "
        "hotpatch_preflight_overrides",
        HOTPATCH,
    ),
    "image_unread": _READ_AGAIN,
    "patch_mode": Advice("set the patch mode to AutomaticByPlatform, with the role enroll", GUEST_PATCHING),
    "patch_mode_unread": _READ_AGAIN,
    "created_with_updates_off": Advice(
        "exempt the code in hotpatch_preflight_overrides if Azure takes the patch mode: enableAutomaticUpdates can be "
        "set at creation only",
        GUEST_PATCHING,
    ),
    "vm_agent_off": Advice("create the machine anew with provisionVMAgent", GUEST_PATCHING),
    "vm_agent_unread": _READ_AGAIN,
    "agent_not_ready": Advice("start or repair the service WindowsAzureGuestAgent in the machine", GUEST_PATCHING),
    "extension_operations_off": Advice("set osProfile.allowExtensionOperations to true", UPDATE_MANAGER),
    "customer_schedule_flag": Advice(
        "set bypassPlatformSafetyChecksOnUserSchedule to false, with the role enroll: it excludes hotpatching", BYPASS
    ),
    "hotpatching_off": Advice(
        "enrol the machine with the role enroll, and wait: that takes minutes to hours", TROUBLESHOOTING
    ),
    "setting_unread": _READ_AGAIN,
    # The way to the guest
    "guest_unreachable": Advice(
        "make WinRM reachable for this host, or set hotpatch_proof to azure and go without proof", OURSELVES
    ),
    "wrong_guest": Advice(
        "correct ansible_host or the host's ARM ID: facts of one machine must not prove another", OURSELVES
    ),
    "guest_identity_unknown": Advice(
        "grant the account Remote Enable on the WMI namespace root/cimv2, so that the SMBIOS UUID can be read",
        OURSELVES,
    ),
    # The guest
    "restart_pending": Advice(
        "restart the machine in a window of yours; nothing is installed on it until then", TROUBLESHOOTING
    ),
    "restart_pending_unread": _READ_REGISTRY,
    "vbs_unread": Advice(
        "grant the account Remote Enable on root/Microsoft/Windows/DeviceGuard, or look with msinfo32", OURSELVES
    ),
    "secure_boot_missing": Advice(
        "give the machine UEFI with Secure Boot, which takes generation 2: virtualization-based security needs it", ARC
    ),
    "vbs_restart_needed": Advice(
        "restart the machine in a window of yours: virtualization-based security begins with a boot", ARC
    ),
    "vbs_off": Advice(
        "run the playbook prerequisites, which sets EnableVirtualizationBasedSecurity, and restart the machine", ARC
    ),
    "package_missing": _ENROLMENT_LATE,
    "table_size_missing": _ENROLMENT_LATE,
    "enrolment_unread": _READ_REGISTRY,
    "below_baseline": Advice(
        "install the latest cumulative update with all classifications, and restart: an outdated baseline makes all "
        "later updates cold ones",
        TROUBLESHOOTING,
    ),
    "baseline_offered": Advice("roll the baseline out with restarts allowed, in a window of yours", TROUBLESHOOTING),
    "left_track": Advice("wait for the next baseline, which brings the machine back on the track", ARC),
    # Hints
    "wsus": Advice("take the machine out of the WSUS policy, and let Azure Update Manager patch it", TROUBLESHOOTING),
    "no_internet_locations": Advice(
        "drop the policy Do not connect to any Windows Update Internet locations for this machine", TROUBLESHOOTING
    ),
    "no_auto_update": Advice(
        "drop the policy Configure Automatic Updates, or set the patch mode to AutomaticByPlatform", TROUBLESHOOTING
    ),
    "windows_update_disabled": Advice(
        "set the start mode of wuauserv to Manual: nothing installs without it", UPDATE_MANAGER
    ),
    "azure_agent_disabled": Advice("set the start mode of WindowsAzureGuestAgent to Automatic", GUEST_PATCHING),
    "arc_agent_disabled": Advice("set the start mode of himds to Automatic: Arc's licence depends on it", ARC),
    "extension_missing": Advice("trigger an assessment: it installs the extension again", TROUBLESHOOTING),
    "not_licensed": Advice(
        "activate Windows; an Arc machine must reach dls.microsoft.com for its hotpatch licence", ARC
    ),
    "licensing_fault": Advice(
        "on an Arc machine that stays unlicensed follow Microsoft's workaround: stop himds, set the feature override "
        "4264695439 to 1, delete DeviceLicensingServiceCommandMutex, restart",
        ARC,
    ),
    "update_failed": Advice(
        "look up the error code, and read CBS.log and the output of Get-WindowsUpdateLog", UPDATE_MANAGER
    ),
}
"""By the code of the finding; the codes of eligibility, enrolment and track are theirs."""

NO_ADVICE = Advice("look into it: no source that is known advises anything", OURSELVES)
