# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real MIT Kerberos KDC of one test run, without privileges: its own realm, database, port and configuration."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

REALM = "HOTPATCH.TEST"
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin")


def program(name: str) -> str | None:
    """Where a program is; Debian keeps the KDC's outside a user's PATH."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(_FOLDERS))


def missing() -> str | None:
    """What is not installed, in one sentence; None if all is."""
    absent = [name for name in ("krb5kdc", "kdb5_util", "kadmin.local", "kinit") if program(name) is None]
    if absent:
        return f"{', '.join(absent)} not found; install Debian's krb5-kdc, krb5-admin-server and krb5-user"
    return None


class Kdc:
    """The KDC; ``environment`` is what makes a process's Kerberos library ask it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.keytab = folder / "guests.keytab"
        self.environment = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5_KTNAME": f"FILE:{self.keytab}",
            "KRB5RCACHENAME": "none:",  # several guests share this keytab and this second
        }
        (folder / "krb5.conf").write_text(
            f"[libdefaults]\n default_realm = {REALM}\n dns_lookup_kdc = false\n dns_lookup_realm = false\n"
            " dns_canonicalize_hostname = false\n rdns = false\n udp_preference_limit = 1\n"
            f"[realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{self.port}\n }}\n",
            encoding="utf-8",
        )
        (folder / "kdc.conf").write_text(
            f"[kdcdefaults]\n kdc_listen = 127.0.0.1:{self.port}\n kdc_tcp_listen = 127.0.0.1:{self.port}\n"
            f"[realms]\n {REALM} = {{\n  database_name = {folder}/principal\n  key_stash_file = {folder}/stash\n"
            f"  acl_file = {folder}/kadm5.acl\n }}\n[logging]\n kdc = FILE:{folder}/kdc.log\n",
            encoding="utf-8",
        )
        self._run("kdb5_util", "create", "-s", "-P", "only-for-this-test")
        self._process: subprocess.Popen[bytes] | None = None

    def add_user(self, name: str, password: str) -> None:
        """Make a principal with a password."""
        self._run("kadmin.local", "addprinc", "-pw", password, name)

    def add_guest(self, host: str) -> None:
        """Make the HTTP principal of a guest and put its key into the keytab."""
        self._run("kadmin.local", "addprinc", "-randkey", f"HTTP/{host}")
        self._run("kadmin.local", "ktadd", "-k", str(self.keytab), f"HTTP/{host}")

    def start(self) -> None:
        """Start the KDC and wait until it listens."""
        kdc = program("krb5kdc")
        assert kdc is not None
        self._process = subprocess.Popen([kdc, "-n"], env={**os.environ, **self.environment}, cwd=self.folder)
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"the KDC does not listen; see {self.folder}/kdc.log")

    def stop(self) -> None:
        """End the KDC."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def asked(self) -> list[str]:
        """The lines of its log that tell of issued tickets: AS_REQ for a password, TGS_REQ for a guest."""
        text = (self.folder / "kdc.log").read_text(encoding="utf-8")
        return [line for line in text.splitlines() if "ISSUE" in line]

    def _run(self, name: str, *arguments: str) -> None:
        found = program(name)
        assert found is not None
        done = subprocess.run(
            [found, *arguments], env={**os.environ, **self.environment}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{name} {arguments[0]} failed: {done.stdout}{done.stderr}")
