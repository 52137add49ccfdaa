# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""azure.azcollection as a foreign client and a peer: the collection, out of the community bundle, and its Python."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

from environments import BUILD, Environment, SetupError, ensure

BUNDLE = "ansible==14.5.0"
COLLECTION = "ansible_collections/azure/azcollection/"
HOME = BUILD / "azcollection"
COLLECTIONS = HOME / "collections"


def prepare() -> Path:
    """Unpacks the collection and makes its environment (some seventy pins, 900 MB); returns the `bin` folder."""
    return ensure(_environment(_unpack()))


def variables(arm: str, config: Path) -> dict[str, str]:
    """What points its modules at an embedded Azure, beside that Azure's own variables.

    `config` is a folder of the run: it keeps what a cloud said of itself there, and the next emulator has other ports.
    """
    return {
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "AZURE_CONFIG_DIR": str(config),
        "ARM_CLOUD_METADATA_URL": arm.rstrip("/") + "/metadata/endpoints?api-version=2019-05-01",
    }


def _unpack() -> Path:
    """The collection out of the community bundle, where Galaxy is not needed."""
    marker = COLLECTIONS / COLLECTION / "MANIFEST.json"
    if not marker.is_file():
        downloads = HOME / "download"
        pip = BUILD / "uv" / "bin" / "pip"
        command = [str(pip), "download", "--quiet", "--no-deps", "--dest", str(downloads), BUNDLE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(downloads.glob("ansible-*.whl"))
        if done.returncode or not wheels:
            raise SetupError(f"The bundle {BUNDLE} could not be downloaded: {done.stderr.strip()}")
        with zipfile.ZipFile(wheels[0]) as bundle:
            bundle.extractall(COLLECTIONS, [name for name in bundle.namelist() if name.startswith(COLLECTION)])
        shutil.rmtree(downloads)
    return COLLECTIONS / COLLECTION


def _environment(collection: Path) -> Environment:
    text = (collection / "requirements.txt").read_text(encoding="utf-8")
    pins = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return Environment("azcollection", (), ("ansible-core>=2.19,<2.22", *pins), with_project=False)
