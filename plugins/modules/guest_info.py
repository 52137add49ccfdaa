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
  subset:
    description:
      - Which facts to read.
      - V(core) reads all of them, in at most 12 requests.
      - V(poll) reads build, UBR, boot time and the guest's clock, in 2 requests, for loops that wait for a
        change. All other facts are then unreadable.
      - V(enrolment) reads whether hotpatching is effective (enrolment package, HotPatchTableSize and
        virtualization-based security) and the UUID of the machine, in at most 6 requests.
    type: str
    choices: [core, poll, enrolment]
    default: core
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
      - One reading is about 4 kB of result. AWX cuts a result at 700 kB, so read large fleets in parts, or with
        O(subset=poll).
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
  - How Windows words the answers behind V(ubr), V(hotpatch_package), V(hotpatch_table_size), V(vbs_status),
    V(kbs) and the answer of C(MSFT_WUSettings) is inferred from other programs that parse them, as no captured
    traffic is public. C(MSFT_WUSettings) alone therefore never decides V(pending_restart), the registry keys do.
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
    subset: poll
    timeout: 20
  register: guest_back
  until: guest_back.reachable
  retries: 40
  delay: 15

- name: Read two hundred guests from one task
  winfleet.hotpatch.guest_info:
    hosts: "{{ groups['windows'] }}"
    subset: poll
    timeout: 300
  register: guest_readings
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
guests:
  description: One reading for each of O(hosts), in the shape of RV(guest).
  returned: with option O(hosts)
  type: dict
unreachable_hosts:
  description: Those of O(hosts) that did not answer, with the reason.
  returned: with option O(hosts)
  type: dict
  sample: {web02: the guest did not accept a connection in time; is it running, or does a firewall drop WinRM?}
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
      description: Name of the operating system (Win32_OperatingSystem).
      type: dict
      returned: always
      sample: {state: value, value: Microsoft Windows Server 2025 Datacenter Azure Edition, why: ""}
    computer_name:
      description: Name of the computer.
      type: dict
      returned: always
    build:
      description: Build number, such as 20348 for Windows Server 2022 and 26100 for Windows Server 2025.
      type: dict
      returned: always
      sample: {state: value, value: 26100, why: ""}
    ubr:
      description: Update build revision, from the registry. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: 32772, why: ""}
    operating_system_sku:
      description: OperatingSystemSKU; 407 and 408 are Datacenter Azure Edition, with desktop and core.
      type: dict
      returned: always
    boot_time:
      description: When Windows started, by its own clock, in UTC.
      type: dict
      returned: always
      sample: {state: value, value: "2026-04-16T03:11:20Z", why: ""}
    local_time:
      description: The guest's clock, in UTC.
      type: dict
      returned: always
    skew_seconds:
      description: The guest's clock minus the control node's, in seconds.
      type: dict
      returned: always
      sample: {state: value, value: -1.5, why: ""}
    hotpatch_package:
      description: Name of the hotpatch enrolment package, from the registry. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: Hotpatch Enrollment Package, why: ""}
    hotpatch_package_version:
      description: Version of that package. Inferred wire shape.
      type: dict
      returned: always
    hotpatch_table_size:
      description: >-
        HotPatchTableSize of the kernel in bytes; 0 or absent means that hotpatches cannot be applied. Inferred wire
        shape.
      type: dict
      returned: always
      sample: {state: value, value: 4096, why: ""}
    vbs_status:
      description: >-
        State of virtualization-based security (Win32_DeviceGuard); 0 not enabled, 1 enabled but not running, 2 running.
        Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: 2, why: ""}
    pending_restart:
      description: >-
        Whether a restart is pending. The registry keys of Windows Update and of component based servicing decide. Where
        only MSFT_WUSettings says so, the fact is unreadable.
      type: dict
      returned: always
      sample: {state: value, value: false, why: ""}
    pending_restart_sources:
      description: What says that a restart is pending.
      type: list
      elements: str
      returned: always
      sample: []
    kbs:
      description: >-
        Installed updates (Win32_QuickFixEngineering), with their prefix KB. Inferred wire shape.
      type: dict
      returned: always
      sample: {state: value, value: [KB5082063, KB5087423], why: ""}
    smbios_uuid:
      description: UUID of the machine as Windows shows it. Azure's vmId may be the same number in another byte order.
      type: dict
      returned: always
    free_memory_kb:
      description: Free physical memory in KiB.
      type: dict
      returned: always
    total_memory_kb:
      description: Physical memory in KiB.
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
