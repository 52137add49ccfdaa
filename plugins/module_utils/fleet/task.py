# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one place where a run's exceptions become a failed result, for modules and action plugins alike."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

from ..azure.credentials.options import read_auth_options
from ..azure.errors import AzureFailure
from ..clock import Clock, ClockError
from ..domain.errors import InputError
from .argspec import ArgumentSpec
from .context import clock_for
from .guard import Guard, ParentGuard
from .journal import JournalError
from .lock import LockHeld
from .progress import Emit, Progress, silent

Result = dict[str, Any]


class Run(Protocol):
    """What each of the fleet's tasks is: ``run`` of :mod:`.info`, :mod:`.assess` and :mod:`.install`."""

    def __call__(
        self,
        params: Mapping[str, Any],
        clock: Clock,
        progress: Progress,
        environ: Mapping[str, str],
        guard: Guard,
        *,
        check_mode: bool = False,
        diff: bool = False,
    ) -> Result:
        """Do the work of one task."""


def perform(
    run: Run,
    params: Mapping[str, Any],
    environ: Mapping[str, str],
    emit: Emit = silent,
    *,
    check_mode: bool = False,
    diff: bool = False,
) -> Result:
    """Run the task and return its result; ``failed`` and ``msg`` (one sentence) instead of an exception."""
    try:
        guard = ParentGuard(environ)
        clock = clock_for(params, environ)
        return run(params, clock, Progress(clock, emit), environ, guard, check_mode=check_mode, diff=diff)
    except (InputError, ClockError, LockHeld, JournalError) as error:
        return {"failed": True, "changed": False, "msg": str(error)}
    except AzureFailure as failure:
        return {"failed": True, "changed": False, "msg": failure.sentence, "error": failure.to_dict()}
    except OSError as error:
        return {"failed": True, "changed": False, "msg": f"A file of this run cannot be used: {error}."}


def secret_values(params: Mapping[str, Any], environ: Mapping[str, str]) -> set[str]:
    """Everything that must never be shown: the secrets of options and environment."""
    return {value for value in read_auth_options(params, environ).secrets if value}


def module_main(spec: ArgumentSpec, run: Run) -> None:
    """The ``main()`` of a module: AnsibleModule around :func:`perform`."""
    from ansible.module_utils.basic import AnsibleModule

    module = AnsibleModule(supports_check_mode=True, **spec.to_kwargs())
    environ = dict(os.environ)
    module.no_log_values.update(secret_values(module.params, environ))
    # "diff" is AnsibleModule's own attribute for the --diff switch.
    result = perform(run, module.params, environ, check_mode=module.check_mode, diff=module._diff)
    for warning in result.pop("warnings", ()):
        module.warn(warning)
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)
