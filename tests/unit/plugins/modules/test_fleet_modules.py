# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules' documentation says what their argument specs do, and they load without the Azure libraries."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from typing import Any

import pytest
import yaml

from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import argspec

NAMES = (
    "enrollment",
    "machine_info",
    "machine_restart",
    "patch_assessment",
    "patch_installation",
    "release_info",
    "rollout_control",
)
ROOT = "ansible_collections.winfleet.hotpatch.plugins"


def fragment(name: str) -> dict[str, Any]:
    *dummy, module, part = (*name.split("."), "documentation") if name.count(".") == 2 else name.split(".")
    found = importlib.import_module(f"{ROOT}.doc_fragments.{module}")
    text: str = getattr(found.ModuleDocFragment, part.upper())
    options: dict[str, Any] = yaml.safe_load(text).get("options", {})
    return options


def documented(name: str) -> dict[str, Any]:
    module = importlib.import_module(f"{ROOT}.modules.{name}")
    own = yaml.safe_load(module.DOCUMENTATION)
    options: dict[str, Any] = {}
    for used in own["extends_documentation_fragment"]:
        options.update(fragment(used))
    options.update(own.get("options", {}))
    return options


@pytest.mark.parametrize("name", NAMES)
def test_the_documentation_matches_the_argument_spec(name: str) -> None:
    spec = getattr(argspec, f"{name}_spec")()
    options = documented(name)
    assert_same(options, spec.options)


def assert_same(options: dict[str, Any], spec: dict[str, Any]) -> None:
    """Compare documented options with meant ones, and so on into dictionaries."""
    assert set(options) == set(spec)
    for option, said in options.items():
        meant = spec[option]
        assert said["type"] == meant["type"], option
        assert said.get("elements") == meant.get("elements"), option
        assert sorted(map(str, said.get("choices", []))) == sorted(meant.get("choices", [])), option
        assert said.get("default") == meant.get("default"), option
        assert sorted(said.get("aliases", [])) == sorted(meant.get("aliases", [])), option
        assert said["description"], option
        assert_same(said.get("suboptions", {}), meant.get("options", {}))


@pytest.mark.parametrize("name", NAMES)
def test_examples_use_existing_options(name: str) -> None:
    module = importlib.import_module(f"{ROOT}.modules.{name}")
    spec = getattr(argspec, f"{name}_spec")()
    own = [
        task[f"winfleet.hotpatch.{name}"]
        for task in yaml.safe_load(module.EXAMPLES)
        if f"winfleet.hotpatch.{name}" in task
    ]
    assert own
    for arguments in own:
        assert set(arguments) <= {*spec.options, "id", "ids", "resource_id"}


@pytest.mark.parametrize("name", NAMES)
def test_modules_are_thin(name: str) -> None:
    module = importlib.import_module(f"{ROOT}.modules.{name}")
    code = inspect.getsource(module).rpartition('"""\n\nfrom ansible_collections')[2]
    assert len(code.splitlines()) < 25


@pytest.mark.parametrize("name", [*(f"modules.{name}" for name in NAMES), "plugin_utils.fleet_action"])
def test_they_load_without_the_azure_libraries(name: str) -> None:
    if name.startswith("plugin_utils"):
        pytest.importorskip("ansible.plugins.action")
    code = (
        "import sys\n"
        "for library in ('azure', 'aiohttp', 'winrm', 'yarl'):\n"
        "    sys.modules[library] = None\n"
        f"import {ROOT}.{name}\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ, timeout=60)
