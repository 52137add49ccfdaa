# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file of module_utils imports where none of the third-party libraries is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import ansible_collections.winfleet.hotpatch.plugins.module_utils.azure as azure_package

ROOT = Path(azure_package.__file__).parent.parent
PACKAGE = "ansible_collections.winfleet.hotpatch.plugins.module_utils"
PROGRAM = """
import importlib, sys
from importlib.abc import MetaPathFinder

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"azure", "aiohttp", "yarl", "msal", "certifi", "winrm", "requests", "xmltodict"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
assert not {"azure", "aiohttp", "winrm"} & set(sys.modules)

# and what needs them says so in a sentence
import asyncio
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.session import open_session
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import MissingLibrary

async def main():
    try:
        async with open_session({"auth_source": "cli"}, {"HOME": "/nowhere"}):
            raise SystemExit("a session without aiohttp")
    except MissingLibrary as failure:
        assert "'aiohttp'" in failure.sentence and "install" in failure.sentence, failure.sentence

asyncio.run(main())
"""


def test_everything_imports_without_third_party_libraries() -> None:
    files = sorted(ROOT.rglob("*.py"))
    assert len(files) > 15
    names = []
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        names.append(".".join([PACKAGE, *(part for part in parts if part != "__init__")]))
    # Where this interpreter found the collection, wherever that is.
    collections = os.pathsep.join([str(Path(azure_package.__file__).parents[6]), *sys.path])
    subprocess.run([sys.executable, "-c", PROGRAM, *names], check=True, env={**os.environ, "PYTHONPATH": collections})
