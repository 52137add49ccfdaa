#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of guest_info; the action plugin of the same name does the work on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_info
short_description: Ask Windows itself about hotpatching, over WinRM without PowerShell
version_added: "0.1.0"
author:
  - winfleet contributors (@winfleet)
description:
  - Reads from inside the guest what proves or disproves a hotpatch, such as boot time, build and UBR, installed
    updates, pending restarts, the hotpatch enrolment and virtualization-based security.
  - Runs on the Windows host of the inventory, with the host's own C(ansible.builtin.winrm) or C(ansible.builtin.psrp)
    connection options, and speaks WS-Management natively. Nothing is uploaded and no PowerShell starts in the guest,
    so that Constrained Language Mode and App Control do not matter.
  - A guest that does not answer is a result (RV(reachable=false) with RV(why)) and not a failed or unreachable
    host. This holds for refused connections, untrusted certificates and refused passwords, too.
  - Every fact is a dictionary of C(state), C(value) and C(why). The state is V(value), V(absent) (it was read,
    and it is not there) or V(unreadable) (nobody knows, and C(why) tells the reason). An unreadable fact never
    means no.
options:
  gather_subset:
    description:
      - Which facts to read, as C(gather_subset) of M(ansible.builtin.setup). Names add their subset, a name behind an
        exclamation mark leaves it out wherever it stands, and exclusions alone are taken from V(all).
      - V(min) is always read, in 2 requests; V(poll) is its name for loops that wait, and V(!all) means the same.
      - V(core) is V(enrolment), V(restart), V(identity) and V(updates), with V(min) in at most 12 requests.
      - V(enrolment) (4 requests) reads whether hotpatching is effective, V(restart) (3) whether a restart is pending,
        V(identity) (1) the UUID of the machine, V(updates) (2) the installed updates.
      - V(vbs) (1) reads what is configured of virtualization-based security, V(load) (1) how busy the processors are,
        V(edition) (2) names of edition and version, V(disk) (1) the room on the system drive, V(renames) (1) pending
        file renames.
      - V(roles) (4) reads what a rollout spreads machines by, as failover cluster, domain controller and SQL Server.
      - V(services) (3) reads the services that updates depend on, V(policies) (8) where updates come from and which
        policies are set, V(licence) (4) licensing, V(extension) (6) traces of Azure's hotpatch extension.
      - V(events) (4) reads what Windows Update did in the last 7 days. WMI scans the event log for it, which can take a
        guest longer than one request may; it is read last of all.
      - The numbers are the greatest there can be; most guests need fewer.
    type: list
    elements: str
    default: [core]
    aliases: [subset]
  timeout:
    description:
      - The longest time in seconds that the whole reading may take, in real time. What was read until then is
        returned.
      - How long a single request may take is up to the host's own variables C(ansible_winrm_operation_timeout_sec),
        C(ansible_winrm_read_timeout_sec) and C(ansible_winrm_connection_timeout).
    type: int
    default: 60
  hosts:
    description:
      - Names of inventory hosts to read from this one task, instead of the task's own host.
      - Each is read over its own connection variables, with those of the play and extra variables, as in a task of its
        own. The task itself may run anywhere, such as with C(run_once) and C(delegate_to=localhost), and no host needs
        to be in the play.
      - O(timeout) then holds for all of them together. A guest that hangs takes no more than its share of it.
      - AWX cuts a result at 700 kB. A reading of V(core) is about 2.5 kB of it and one of V(poll) about 1 kB, so read
        large fleets in parts, or with O(gather_subset=poll).
    type: list
    elements: str
  parallel:
    description:
      - How many of O(hosts) are read at the same time.
    type: int
    default: 32
requirements:
  - pywinrm >= 0.4.0 (on the control node, for hosts with C(ansible_connection=winrm))
  - pypsrp >= 0.8.0 (on the control node, for hosts with C(ansible_connection=psrp))
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
  - winfleet.hotpatch.attributes.info_module
attributes:
  action:
    support: full
    details:
      - The action plugin does all the work on the control node; nothing is run in the guest.
  async:
    support: none
notes:
  - Tested with basic authentication and client certificates over TLS, and with NTLM and Kerberos over https and,
    sealed, over http. CredSSP is handed to pywinrm or pypsrp as it is, and was not tried.
  - With Kerberos a ticket is got with C(kinit) where there is a password, unless C(ansible_winrm_kinit_mode=manual), as
    by Ansible's own connection, once for each user and password of a task. It is deleted when the task ends. With
    O(hosts), hosts whose tickets are got like this and hosts that use a ticket from before cannot be mixed.
  - The guide to connections, least privilege, proxies and Kerberos is C(docs/winrm.md) in the collection.
  - Over TLS 1.3 Windows asks for a client certificate after the handshake. Clients with urllib3 2.1.0 cannot answer
    that, and Windows hangs up.
  - The account needs less than administrator. It must be allowed to use WinRM (Remote Management Users), and WMI
    must grant it Enable Account, Remote Enable and Execute Methods on C(root/cimv2),
    C(root/Microsoft/Windows/DeviceGuard) and C(root/Microsoft/Windows/WindowsUpdate). What it may not read is
    unreadable, and the other facts are not affected.
  - Facts marked as inferred below rest on answers of Windows that nobody has published a capture of; how they are
    worded is taken from Microsoft's references and from programs that parse them. None of them fails a machine alone.
    C(MSFT_WUSettings) alone never decides V(pending_restart), the registry keys do.
  - V(roles) of a cluster node also needs access to the namespace C(root/MSCluster).
seealso:
  - module: winfleet.hotpatch.machine_info
"""

EXAMPLES = r"""
- name: Ask every machine about itself
  winfleet.hotpatch.guest_info:
  register: guest_reading

- name: Say who did not answer
  ansible.builtin.debug:
    msg: "{{ inventory_hostname }} did not answer, {{ guest_reading.why }}"
  when: not guest_reading.reachable

- name: Wait until the guest is back after a restart
  winfleet.hotpatch.guest_info:
    gather_subset: poll
    timeout: 20
  register: guest_back
  until: guest_back.reachable
  retries: 40
  delay: 15

- name: Read two hundred guests from one task
  winfleet.hotpatch.guest_info:
    hosts: "{{ groups['windows'] }}"
    gather_subset: poll
    timeout: 300
  register: guest_readings
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
guests:
  description: >-
    One reading for each of O(hosts), in the shape of RV(guest), but without the facts that were not asked for, and
    without any of a guest that did not answer.
  returned: with option O(hosts)
  type: dict
unreachable_hosts:
  description: Those of O(hosts) that did not answer, with the reason.
  returned: with option O(hosts)
  type: dict
  sample: {web02: "the guest did not accept a connection in time; is it running, or does a firewall drop WinRM?"}
reachable:
  description: Whether the guest answered.
  returned: without option O(hosts)
  type: bool
  sample: true
why:
  description: Why the guest did not answer, with the next step to take. Empty if it did.
  returned: without option O(hosts)
  type: str
  sample: ""
guest:
  description: What the guest said. Facts that were not read have the state V(unreadable).
  returned: without option O(hosts)
  type: dict
  contains:
    reachable:
      description: Same as RV(reachable).
      type: bool
      returned: always
    why:
      description: Same as RV(why).
      type: str
      returned: always
    read_at:
      description: When the guest was read, by the control node's clock, in UTC.
      type: str
      returned: always
      sample: "2026-05-13T01:02:03.500000Z"
    caption:
      description: Name of the operating system, from Win32_OperatingSystem. Captured wire shape.
      type: dict
      returned: always
      sample: {state: value, value: Microsoft Windows Server 2025 Datacenter Azure Edition, why: ""}
    computer_name:
      description: Name of the computer, from Win32_OperatingSystem. Captured wire shape.
      type: dict
      returned: always
    build:
      description: >-
        Build number, such as 20348 for Windows Server 2022 and 26100 for Windows Server 2025, from
        Win32_OperatingSystem. Captured wire shape.
      type: dict
      returned: always
      sample: {state: value, value: 26100, why: ""}
    ubr:
      description: Update build revision, from the registry (CurrentVersion). Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: 32772, why: ""}
    operating_system_sku:
      description: >-
        OperatingSystemSKU of Win32_OperatingSystem; 407 and 408 are Datacenter Azure Edition, with desktop and core.
        Captured wire shape.
      type: dict
      returned: always
    boot_time:
      description: When Windows started, by its own clock, in UTC, from Win32_OperatingSystem. Captured wire shape.
      type: dict
      returned: always
      sample: {state: value, value: "2026-04-16T03:11:20Z", why: ""}
    local_time:
      description: The guest's clock, in UTC, from Win32_OperatingSystem. Captured wire shape.
      type: dict
      returned: always
    skew_seconds:
      description: The guest's clock minus the control node's, in seconds. Captured wire shape.
      type: dict
      returned: always
      sample: {state: value, value: -1.5, why: ""}
    hotpatch_package:
      description: Name of the hotpatch enrolment package, from the registry (DynamicInstalled). Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: Hotpatch Enrollment Package, why: ""}
    hotpatch_package_version:
      description: Version of that package. Inferred wire shape.
      type: dict
      returned: always
    hotpatch_table_size:
      description: >-
        HotPatchTableSize of the kernel in bytes, from the registry; 0 or absent means that hotpatches cannot be
        applied. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: 4096, why: ""}
    vbs_status:
      description: >-
        State of virtualization-based security, from Win32_DeviceGuard; 0 not enabled, 1 enabled but not running, 2
        running. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: 2, why: ""}
    vbs_configured:
      description: >-
        Whether the registry asks for virtualization-based security at the next boot
        (EnableVirtualizationBasedSecurity). Inferred wire shape.
      type: dict
      returned: always
    security_properties:
      description: AvailableSecurityProperties of Win32_DeviceGuard, as numbers; 2 is Secure Boot. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: [1, 2, 3], why: ""}
    security_services_running:
      description: SecurityServicesRunning of Win32_DeviceGuard, as numbers. Inferred wire shape.
      type: dict
      returned: always
    pending_restart:
      description: >-
        Whether a restart is pending. The registry keys of Windows Update and of component based servicing decide;
        where only MSFT_WUSettings says so, the fact is unreadable. Captured wire shape.
      type: dict
      returned: always
      sample: {state: value, value: false, why: ""}
    pending_restart_by_keys:
      description: What those registry keys say. Captured wire shape.
      type: dict
      returned: always
    pending_restart_by_windows_update:
      description: What MSFT_WUSettings says. Inferred wire shape.
      type: dict
      returned: always
    pending_restart_sources:
      description: What says that a restart is pending.
      type: list
      elements: str
      returned: always
      sample: []
    pending_renames:
      description: >-
        How many files are to be renamed or deleted at the next boot, from the registry (PendingFileRenameOperations);
        tells nothing by itself. Inferred wire shape.
      type: dict
      returned: always
    kbs:
      description: Installed updates with their prefix KB, from Win32_QuickFixEngineering. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: [KB5082063, KB5087423], why: ""}
    kb_dates:
      description: Day of installation by update, of those whose date can be read. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: {KB5087423: "2026-05-12"}, why: ""}
    smbios_uuid:
      description: >-
        UUID of the machine, from Win32_ComputerSystemProduct. Azure's vmId may be the same number in another byte
        order. Inferred wire shape.
      type: dict
      returned: always
    free_memory_kb:
      description: Free physical memory in KiB, from Win32_OperatingSystem. Captured wire shape.
      type: dict
      returned: always
    total_memory_kb:
      description: Physical memory in KiB, from Win32_OperatingSystem. Captured wire shape.
      type: dict
      returned: always
    cpu_percent:
      description: >-
        How busy all processors are, in percent, from Win32_PerfFormattedData_PerfOS_Processor. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: 3.0, why: ""}
    edition_id:
      description: EditionID, from the registry (CurrentVersion). Inferred wire shape.
      type: dict
      returned: always
    display_version:
      description: DisplayVersion, such as 24H2, from the registry (CurrentVersion). Inferred wire shape.
      type: dict
      returned: always
    system_drive_free_bytes:
      description: Free bytes on the drive that Windows is on, from Win32_LogicalDisk. Inferred wire shape.
      type: dict
      returned: always
    system_drive_bytes:
      description: Size of that drive in bytes. Inferred wire shape.
      type: dict
      returned: always
    update_policies:
      description: >-
        Policies of Windows Update that are set, as text by name, those below the key AU with that prefix; from the
        registry. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: {"AU\\UseWUServer": "1"}, why: ""}
    update_source:
      description: By those policies, V(wsus) or V(windows_update). Inferred wire shape.
      type: dict
      returned: always
    services:
      description: >-
        State by name of the services that updates, agents and clusters depend on, from Win32_Service. Inferred wire
        shape.
      type: dict
      returned: always
      sample: {state: value, value: {wuauserv: Running}, why: ""}
    service_start_modes:
      description: Start mode of the same services. Inferred wire shape.
      type: dict
      returned: always
    update_events:
      description: >-
        At most 20 events of Windows Update's client of the last 7 days, newest first, with C(time), C(event_id) (19
        installed, 20 failed, 21 restart needed, 43 started, 44 downloading), C(title), C(hresult) and its C(meaning);
        from Win32_NTLogEvent. Inferred wire shape.
      type: dict
      returned: always
    licence_status:
      description: LicenseStatus of Windows, from SoftwareLicensingProduct; 1 is licensed. Inferred wire shape.
      type: dict
      returned: always
    licensing_mutex:
      description: >-
        Whether the registry holds DeviceLicensingServiceCommandMutex, the mark of the licensing fault of Arc machines
        of October 2025. Inferred wire shape.
      type: dict
      returned: always
    licensing_override:
      description: Microsoft's feature override 4264695439 for that fault, from the registry. Inferred wire shape.
      type: dict
      returned: always
    hotpatch_extension_versions:
      description: >-
        Versions of the extension Microsoft.CPlat.Core.WindowsHotpatch that have a folder in the guest, from
        Win32_Directory. Inferred wire shape.
      type: dict
      returned: always
    hotpatch_extension_reported:
      description: >-
        When that extension last wrote a status, by the guest's clock, from CIM_DataFile. Its content is out of reach.
        Inferred wire shape.
      type: dict
      returned: always
    domain_role:
      description: DomainRole of Win32_ComputerSystem; 4 and 5 are domain controllers. Inferred wire shape.
      type: dict
      returned: always
    domain:
      description: Domain or workgroup, from Win32_ComputerSystem. Inferred wire shape.
      type: dict
      returned: always
    cluster_name:
      description: Name of the failover cluster the guest is a node of, from MSCluster_Cluster. Inferred wire shape.
      type: dict
      returned: always
    cluster_owner_node:
      description: Node that owns the cluster's core resources, from MSCluster_ResourceGroup. Inferred wire shape.
      type: dict
      returned: always
    sql_instances:
      description: Names of the SQL Server instances installed, from the registry. Inferred wire shape.
      type: dict
      returned: always
    round_trips:
      description: How many requests it took.
      type: int
      returned: always
      sample: 12
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.argspec import GUEST_INFO


def main() -> None:
    """Fail clearly: run as a module, this would have to be Python inside Windows."""
    module = AnsibleModule(argument_spec=GUEST_INFO, supports_check_mode=True)
    module.fail_json(
        msg="winfleet.hotpatch.guest_info runs on the control node by its action plugin and is never copied to a host; "
        "call it as winfleet.hotpatch.guest_info in a task of the Windows host."
    )


if __name__ == "__main__":
    main()
