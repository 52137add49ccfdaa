# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which patch settings a machine shall have."""

from __future__ import annotations


class ModuleDocFragment:
    """A state, and the settings that may go with it."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(present) is hotpatching on, in patch mode C(AutomaticByPlatform), without the flag of customer managed
        schedules. The platform then installs updates by itself in its own time.
      - V(absent) is hotpatching off. Patch mode and flag stay as they are unless their options say otherwise.
      - V(held) keeps the platform from patching the machine by itself, by C(AutomaticByPlatform), hotpatching off, and
        the flag C(bypassPlatformSafetyChecksOnUserSchedule) on without any maintenance schedule. This follows
        Microsoft's table of prerequisites for scheduled patching (2024-01) and is B(not verified live). A machine that
        belongs to a maintenance schedule is patched by that schedule when it is held.
    type: str
    choices: [present, absent, held]
    default: present
  patch_mode:
    description:
      - Patch mode, in ARM's words. V(present) and V(held) imply V(AutomaticByPlatform) and take no other.
      - V(AutomaticByOS) needs a machine that was created with C(enableAutomaticUpdates), V(Manual) one without.
    type: str
    choices: [AutomaticByPlatform, AutomaticByOS, Manual]
  assessment_mode:
    description:
      - Whether Azure assesses the machine by itself once a day (V(AutomaticByPlatform)). By default left as it is.
    type: str
    choices: [ImageDefault, AutomaticByPlatform]
  reboot_setting:
    description:
      - Whether the platform's own patching may restart the machine, in ARM's words. By default left as it is.
      - It exists in patch mode C(AutomaticByPlatform) only.
    type: str
    choices: [IfRequired, Never, Always]
  bypass_platform_safety_checks:
    description:
      - C(bypassPlatformSafetyChecksOnUserSchedule), the flag of customer managed schedules. By default left as it is.
      - V(present) implies V(false) and V(held) implies V(true); to be set with V(absent) only.
      - It exists in patch mode C(AutomaticByPlatform) only.
    type: bool
"""
