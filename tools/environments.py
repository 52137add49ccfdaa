# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python environments that the project's verbs run in: found interpreters, made and kept under .build/.

Every verb says which environment it wants by name; the first use makes it, later uses find it unchanged. Needs
nothing but an interpreter with `venv` and `ensurepip`: uv is installed from the package index into .build/uv and
does the rest. Written for Python 3.9, since it must run before a newer interpreter has been found.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / ".build"
COLLECTIONS = BUILD / "collections"

OLDEST = (3, 11)
NEWEST = (3, 14)


class SetupError(Exception):
    """An environment cannot be made; the message is one sentence with the next step."""


@dataclass(frozen=True)
class Environment:
    """What one environment holds; `python` None means the newest interpreter found."""

    name: str
    groups: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    python: tuple[int, int] | None = None
    with_project: bool = True


REHEARSAL = Environment("rehearsal", ("rehearsal",))
TEST = Environment("test", ("rehearsal", "test", "browser", "quality", "docs"))
# The oldest versions that the collection promises to work with. Only Python 3.12 runs both ends of the range.
FLOOR = Environment("floor", ("rehearsal", "test"), ("ansible-core==2.16.*", "azure-mgmt-compute==33.*"), (3, 12))
KERBEROS = Environment("kerberos", ("rehearsal", "test", "kerberos"))
AZURE_CLI = Environment("azure-cli", (), ("azure-cli>=2.80",), with_project=False)


def find_pythons() -> dict[tuple[int, int], Path]:
    """Every usable interpreter from OLDEST to NEWEST, by version.

    pyenv's shims are passed over (a shim for a version that is not active fails, and uv would then try to download
    one); the interpreters behind them are taken instead.
    """
    found: dict[tuple[int, int], Path] = {}
    for candidate in _candidates():
        version = _version_of(candidate)
        if version is not None and OLDEST <= version <= NEWEST:
            found.setdefault(version, candidate)
    return found


def _candidates() -> list[Path]:
    folders: list[Path] = []
    pyenv_roots = [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")]
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        folder = Path(entry)
        if folder.name == "shims":
            pyenv_roots.append(folder.parent)
        elif entry:
            folders.append(folder)
    for root in pyenv_roots:
        folders.extend(sorted(root.glob("versions/*/bin"), reverse=True))
    named = [path for folder in folders for path in _interpreters_in(folder)]
    return [*named, Path(sys.executable)]


def _interpreters_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.glob("python3.*") if re.fullmatch(r"python3\.\d+", path.name))
    except OSError:
        return []


def _version_of(python: Path) -> tuple[int, int] | None:
    """The version of an interpreter that can make virtual environments; None for one that cannot or does not run."""
    code = "import sys, venv, ensurepip; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    major, minor = done.stdout.split()
    return int(major), int(minor)


def ensure(wanted: Environment) -> Path:
    """Makes the environment if it is missing or out of date, and returns its `bin` folder."""
    link_collection()
    python = _choose(wanted)
    home = BUILD / "venv" / wanted.name
    stamp = home / "hotpatch-stamp.json"
    content = {"python": str(python), "environment": repr(wanted), "inputs": _inputs_digest()}
    if stamp.is_file() and json.loads(stamp.read_text(encoding="utf-8")) == content:
        return home / "bin"
    print(f"Setting up the {wanted.name} environment with {python} ...", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    _uv("venv", "--quiet", "--python", str(python), str(home))
    _uv("pip", "install", "--quiet", "--python", str(home / "bin" / "python"), *_requirements(wanted))
    stamp.write_text(json.dumps(content), encoding="utf-8")
    return home / "bin"


def _choose(wanted: Environment) -> Path:
    pythons = find_pythons()
    if not pythons:
        raise SetupError(
            f"No Python {_dotted(OLDEST)} to {_dotted(NEWEST)} with venv and ensurepip was found; install one "
            "(on Debian and Ubuntu: python3 and python3-venv)."
        )
    if wanted.python is None:
        return pythons[max(pythons)]
    if wanted.python not in pythons:
        held = ", ".join(wanted.pins)
        raise SetupError(f"Python {_dotted(wanted.python)} was not found, and only it can hold {held}.")
    return pythons[wanted.python]


def _requirements(wanted: Environment) -> list[str]:
    arguments = list(wanted.pins)
    for group in wanted.groups:
        arguments += ["--group", f"{ROOT / 'pyproject.toml'}:{group}"]
    if wanted.with_project:
        arguments += ["-r", str(ROOT / "requirements.txt"), "-e", str(ROOT / "emulator")]
    return arguments


def _inputs_digest() -> str:
    files = [ROOT / "pyproject.toml", ROOT / "requirements.txt", ROOT / "emulator" / "pyproject.toml"]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files if path.is_file())).hexdigest()


def _uv(*arguments: str) -> None:
    home = BUILD / "uv"
    program = home / "bin" / "uv"
    if not program.is_file():
        maker = find_pythons()
        if not maker:
            raise SetupError("uv cannot be installed: no interpreter with venv and ensurepip was found.")
        shutil.rmtree(home, ignore_errors=True)
        _call([str(maker[max(maker)]), "-m", "venv", str(home)], "the environment for uv could not be made")
        _call([str(home / "bin" / "pip"), "install", "--quiet", "uv"], "uv could not be installed")
    environ = {"UV_PYTHON_DOWNLOADS": "never", "VIRTUAL_ENV": ""}
    _call([str(program), *arguments], "the packages could not be installed", **environ)


def _call(command: list[str], failure: str, **environ: str) -> None:
    done = subprocess.run(command, env={**os.environ, **environ}, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"{failure[0].upper()}{failure[1:]}: {' '.join(command)} said:\n{done.stdout}{done.stderr}")


def link_collection() -> None:
    """Links this tree into .build/collections by its full name, so that Ansible and Python find it there."""
    link = COLLECTIONS / "ansible_collections" / "winfleet" / "hotpatch"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(os.path.relpath(ROOT, link.parent), target_is_directory=True)


def process_environment(bin_folder: Path, **extra: str) -> dict[str, str]:
    """The variables a verb's processes get: this environment first, and nothing of the user's own Azure or Ansible."""
    private = re.compile(
        r"(AZURE|ARM|ANSIBLE|HOTPATCH(?!_AZURE_MATERIAL)|MSI|IDENTITY)_"
        r"|(REQUESTS_CA_BUNDLE|SSL_CERT_FILE|PYTHONPATH|PYTHONDONTWRITEBYTECODE|VIRTUAL_ENV)$"
    )
    kept = {name: value for name, value in os.environ.items() if not private.match(name)}
    return {
        **kept,
        "PATH": os.pathsep.join([str(bin_folder), kept.get("PATH", os.defpath)]),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_HOME": str(BUILD / "ansible"),
        # Ansible refuses to start under a locale that is not UTF-8, which a bare container's is not.
        "LC_ALL": "C.UTF-8",
        # Bytecode is kept, but not in the tree: without it every ansible-playbook compiles Ansible and the SDK anew.
        "PYTHONPYCACHEPREFIX": str(BUILD / "cache" / "bytecode"),
        **extra,
    }


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
