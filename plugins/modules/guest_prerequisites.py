#!/usr/bin/python
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of guest_prerequisites; the action plugin of the same name does the work on the control node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: guest_prerequisites
short_description: Bring a Windows guest to hotpatch readiness, over WinRM without PowerShell
version_added: "0.1.0"
author:
  - winfleet contributors (@winfleet)
description:
  - Sets in the guest's registry what Microsoft documents as prerequisites of hotpatching, and only what differs.
  - For every machine whose virtualization-based security does not run, that is C(EnableVirtualizationBasedSecurity)
    below C(HKLM\SYSTEM\CurrentControlSet\Control\DeviceGuard). It counts from the next boot on.
  - The guest is read again after writing; what it does not hold then fails the task.
  - Never restarts a guest unless O(restart=true).
  - Runs on the Windows host of the inventory, with the host's own C(ansible.builtin.winrm) or C(ansible.builtin.psrp)
    connection options. Nothing is uploaded and no PowerShell starts in the guest.
options:
  restart:
    description:
      - Restart the guest when that is needed, and wait until it is back.
      - Needed is a restart after a change, and where virtualization-based security is asked for and does not run yet,
        so that a run that was cut off is mended by running it again. Where Windows finds no Secure Boot, it would not
        help and is not done.
      - The guest is asked once. Whether it restarted is told by its boot time.
    type: bool
    default: false
  restart_timeout:
    description:
      - How long in seconds to wait for a guest that restarts.
    type: int
    default: 900
  iso_enrolment:
    description:
      - Write the hotpatch enrolment package and C(HotPatchTableSize) as well, as Microsoft documents it for Windows
        Server 2022 Datacenter Azure Edition that was installed from an ISO on Azure Local. Other systems are refused.
      - On Azure the platform does this itself; see M(winfleet.hotpatch.enrollment).
      - Microsoft then also wants KB5003508 installed, which is not in the update catalogue; RV(advice) says when it is
        missing.
    type: bool
    default: false
  vm_id:
    description:
      - The C(vmId) that Azure shows for the machine, as C(machine_info) returns it.
      - A guest whose SMBIOS UUID is another one, or cannot be read, is neither written to nor restarted.
      - Without it, nothing is compared.
    type: str
  timeout:
    description:
      - The longest time in seconds for one reading of the guest, and for all writes, in real time.
    type: int
    default: 60
requirements:
  - pywinrm >= 0.4.0 (on the control node)
extends_documentation_fragment:
  - winfleet.hotpatch.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
  action:
    support: full
    details:
      - The action plugin does all the work on the control node; nothing is run in the guest.
  async:
    support: none
notes:
  - The account must be allowed to write to these keys, which takes an administrator as Windows is delivered, and for
    O(restart=true) to shut the system down.
  - How Windows words the answers to C(CreateKey), C(SetDWORDValue), C(SetStringValue) and C(Reboot) is inferred from
    Microsoft's class references, as no captured traffic is public. This is why the guest is read again.
seealso:
  - module: winfleet.hotpatch.guest_info
  - module: winfleet.hotpatch.enrollment
"""

EXAMPLES = r"""
- name: Show what is missing
  winfleet.hotpatch.guest_prerequisites:
  check_mode: true
  diff: true

- name: Ask for virtualization-based security, and leave the restart to others
  winfleet.hotpatch.guest_prerequisites:
  register: guest_preparation

- name: Prepare and restart, one machine after the other
  winfleet.hotpatch.guest_prerequisites:
    restart: true
  throttle: 1
"""

RETURN = r"""
changes:
  description: The values that differed, in the order in which they were written.
  returned: always, empty if nothing differed
  type: list
  elements: dict
  sample:
    - key: SYSTEM\CurrentControlSet\Control\DeviceGuard
      name: EnableVirtualizationBasedSecurity
      value: 1
      before: null
restart_needed:
  description: Whether a restart is still needed; null if that is not known.
  returned: always
  type: bool
  sample: true
restart_reason:
  description: Why a restart is needed, or is not.
  returned: always
  type: str
  sample: EnableVirtualizationBasedSecurity counts from the next boot on
restarted:
  description: Whether this task restarted the guest.
  returned: always
  type: bool
  sample: false
vbs_running:
  description: Whether virtualization-based security runs now; null if that is not known. Inferred wire shape.
  returned: always
  type: bool
  sample: true
advice:
  description: What the user should know, in sentences.
  returned: always
  type: list
  elements: str
  sample: []
guest:
  description: The guest as it was read last, as M(winfleet.hotpatch.guest_info) returns it.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.argspec import GUEST_PREREQUISITES


def main() -> None:
    """Fail clearly: run as a module, this would have to be Python inside Windows."""
    module = AnsibleModule(argument_spec=GUEST_PREREQUISITES, supports_check_mode=True)
    module.fail_json(
        msg="winfleet.hotpatch.guest_prerequisites runs on the control node by its action plugin and is never copied "
        "to a host; call it as winfleet.hotpatch.guest_prerequisites in a task of the Windows host."
    )


if __name__ == "__main__":
    main()
