# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kerberos tickets got with a host's user name and password, by kinit, as Ansible's own winrm connection plugin does.

They are kept in a private collection of credential caches, where the Kerberos library finds each user's own. Where it
looks is a matter of the process (KRB5CCNAME), so that is set here and put back by :meth:`Tickets.forget`; a host whose
ticket was got by hand must not be read in the same task as one whose ticket is got here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field

from .faults import Unreachable, printable
from .secrets import Secrets

CACHE_VARIABLE = "KRB5CCNAME"
LONGEST = 60.0
"""The most seconds that kinit may take."""


@dataclass(frozen=True)
class Kinit:
    """One call of kinit; ``environment`` names the variables that it may see beside PATH."""

    principal: str
    password: str = field(repr=False)
    command: str = "kinit"
    arguments: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()


class Tickets:
    """The tickets of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._folder: str | None = None
        self._before: str | None = None
        # None for a ticket that is there, else why it could not be got.
        self._known: dict[Kinit, str | None] = {}

    def obtain(self, kinit: Kinit, seconds: float) -> None:
        """Get a ticket unless there is one from before; raises :class:`Unreachable` with the reason, free of secrets.

        A refusal is remembered: a wrong password that many hosts share would lock its account.
        """
        with self._lock:
            if kinit not in self._known:
                self._known[kinit] = self._run(kinit, min(seconds, LONGEST))
            why = self._known[kinit]
        if why is not None:
            raise Unreachable(why)

    def forget(self) -> None:
        """Delete all tickets, and let the Kerberos library look where it looked before."""
        with self._lock:
            if self._folder is None:
                return
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
            self._known.clear()
            os.environ.pop(CACHE_VARIABLE, None)
            if self._before is not None:
                os.environ[CACHE_VARIABLE] = self._before

    def _run(self, kinit: Kinit, seconds: float) -> str | None:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="hotpatch-tickets-")
            self._before = os.environ.get(CACHE_VARIABLE)
            os.environ[CACHE_VARIABLE] = f"DIR:{self._folder}"
        names = ("PATH", *kinit.environment)
        environ = {name: os.environ[name] for name in names if name in os.environ and name != CACHE_VARIABLE}
        environ[CACHE_VARIABLE] = f"DIR:{self._folder}"
        try:
            # On the controller there is no AnsibleModule; the command is the inventory's, as in Ansible's own plugin.
            done = subprocess.run(  # noqa: S603  # pylint: disable=ansible-bad-function
                [kinit.command, *kinit.arguments, kinit.principal],
                input=f"{kinit.password}\n".encode("utf-8", "surrogateescape"),
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                # Away from the terminal, which it would ask for the password.
                start_new_session=True,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no Kerberos ticket for {printable(kinit.principal, 80)}: the KDC did not answer kinit in time"
        except OSError as error:
            return (
                f"no Kerberos ticket: {printable(kinit.command, 80)} cannot be run ({error.strerror}); install it "
                "(Debian: krb5-user), or get a ticket beforehand and set ansible_winrm_kinit_mode to manual"
            )
        if done.returncode == 0:
            return None
        said = Secrets(kinit.principal, kinit.password).redact(printable(done.stdout.decode("utf-8", "replace"), 200))
        return f"no Kerberos ticket for {printable(kinit.principal, 80)}: kinit said: {said}"


TICKETS = Tickets()
