# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a module waits for Azure, when it gives up, and where it keeps its journal."""

from __future__ import annotations


class ModuleDocFragment:
    """Waiting, failing, and what is remembered between runs."""

    DOCUMENTATION = r"""
options:
  wait:
    description:
      - Whether to wait until Azure has finished.
      - With V(false) the operations are started only, their entries say V(running), and a later run joins them.
    type: bool
    default: true
  poll_interval:
    description:
      - Seconds between two looks at one machine's operation, at least 5.
      - With many machines at once the interval grows, so that all looks together stay within what Azure Resource
        Manager grants a subscription.
    type: int
    default: 30
  max_concurrent:
    description:
      - How many machines may have an operation running at once, those started by others included.
      - Without it all are started as fast as Azure's request budgets allow.
    type: int
  state_path:
    description:
      - Folder of the journal, in which every request is noted before it is sent, so that a run that was interrupted is
        joined by the next instead of repeated.
      - It is made with mode 0700, and refused when other users can write to it. It holds no credentials, but Azure's
        signed poll URLs.
      - By default C(winfleet.hotpatch) in E(XDG_STATE_HOME), or else in C(~/.local/state).
    type: path
  rollout_id:
    description:
      - The rollout that this task is a part of, as C(winfleet.hotpatch.rollout) sets it.
      - With it the file C(control) in O(state_path) is read before every start. With C(pause) in it nothing is started
        until it says C(resume) or is gone, with C(abort) nothing more at all; what runs is let finish.
        C(block KB5087423) keeps a KB from being installed. A file that cannot be understood pauses.
      - Starts and ends are written to C(events.jsonl) in O(state_path).
    type: str
  control_resource_groups:
    description:
      - ARM IDs of resource groups whose tag C(hotpatch-rollout) is heeded like the file C(control), with O(rollout_id).
      - The tags are read every half minute. A tag that cannot be read pauses.
    type: list
    elements: str
    default: []
"""

    FAILURES = r"""
options:
  max_failures:
    description:
      - How many machines may fail before the module fails, as a number (V(3)) or a share of all machines (V(10%)).
      - With V(3) the fourth failure is one too many. From then on no further machine is started, what runs is let
        finish, and the module fails with the results of all machines.
    type: str
    default: "0"
  details:
    description:
      - For which machines to return their lists of updates and everything Azure said about an error.
      - Without them an entry stays under about 600 bytes, so that the result of a large fleet still fits into an
        event of AWX.
    type: str
    choices: [failures, all, none]
    default: failures
  api_version:
    description:
      - API version of Microsoft.Compute to use instead of the one this collection was written for.
    type: str
"""
