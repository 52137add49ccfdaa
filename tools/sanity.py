# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepares `ansible-test sanity`: a copy of the tree where it wants one, and pip where it would download it.

ansible-test runs only in a real folder ansible_collections/NAMESPACE/NAME (a link does not do) and looks only at
files that git tracks. Its virtual environments bootstrap pip with a script from the network; a stand-in in its
cache uses Python's own `ensurepip` for that, so that only the package index is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from environments import BUILD, ROOT

# By ansible-core: 2.16; 2.18 and 2.19; 2.20 and newer.
STAND_INS = ("get_pip_23_1_2.py", "get_pip_24_2.py", "get_pip_25_2.py")

STAND_IN = '''\
"""Stands in for get-pip: pip comes from ensurepip and is then moved to what was asked for."""
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
if wanted:
    subprocess.check_call([sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--upgrade", *wanted])
'''


def stage(name: str, bin_folder: Path, environ: dict[str, str]) -> tuple[Path, dict[str, str]]:
    """Copies the tree for one run, and returns where the copy is and the variables the run needs.

    The copy holds what git would take: tracked files and new ones that are not ignored. ansible-test keeps its
    environments under HOME, so HOME is a folder of the build.
    """
    home = BUILD / "sanity" / "home"
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for stand_in in STAND_INS:
        (cache / stand_in).write_text(STAND_IN, encoding="utf-8")
    staged = BUILD / "sanity" / name / "ansible_collections" / "winfleet" / "hotpatch"
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    listing = _git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for relative in filter(None, listing.split("\0")):
        source = ROOT / relative
        if relative.startswith(("benchmarks/", "emulator/")) or not (source.is_symlink() or source.is_file()):
            continue  # they are no part of the collection, and have gates of their own
        target = staged / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    _git(staged, "init", "--quiet")
    _git(staged, "add", "--all")
    environ = {**environ, "HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": str(BUILD / "sanity" / name)}
    # ansible-test takes the interpreter that it runs with by its version, from PATH.
    environ["PATH"] = os.pathsep.join([str(bin_folder), environ["PATH"]])
    return staged, environ


def command(bin_folder: Path) -> list[str]:
    """The ansible-test command line for the interpreter of this environment."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    python = [str(bin_folder / "python"), "-c", code]
    version = subprocess.run(python, capture_output=True, text=True, check=True).stdout.strip()
    return [str(bin_folder / "ansible-test"), "sanity", "--venv", "--python", version, "--color", "no"]


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout
