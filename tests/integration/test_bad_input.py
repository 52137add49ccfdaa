# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user gets wrong is answered by one clear sentence: the option, the value, what is allowed or to be done."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emulator_process
import pytest
import trustme
from ansible_runs import FLEETS, run_module


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator_process.Emulator]:
    run_dir = tmp_path_factory.mktemp("emulator")
    yield emulator_process.start(Path(sys.executable).parent, FLEETS / "steady.yml", run_dir)
    emulator_process.stop(run_dir)


@pytest.fixture
def machine(running: emulator_process.Emulator) -> str:
    subscription = running.endpoints["subscription_ids"][0]
    names = "resourceGroups/rg-steady/providers/Microsoft.Compute/virtualMachines/bystander"
    return f"/subscriptions/{subscription}/{names}"


def sentence(result: dict[str, Any]) -> str:
    """What the user reads: the task's message and the machines' reasons, but no dump and no traceback."""
    assert result.get("failed"), json.dumps(result, indent=1)
    assert "Traceback" not in json.dumps(result)
    assert "module_stderr" not in result
    reasons = [str(entry.get("reason", "")) for entry in result.get("machines", [])]
    return " ".join([str(result["msg"]), *reasons])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"resource_ids": ["web01"]}, ["resource_ids", "web01", "/subscriptions/"]),
        (
            {"resource_ids": ["/subscriptions/x/resourceGroups/rg"]},
            ["resource_ids", "/subscriptions/x/resourceGroups/rg"],
        ),
        ({"kb_numbers_to_include": ["Q12345"]}, ["kb_numbers_to_include", "Q12345", "KB"]),
        ({"maximum_duration": "PT20M"}, ["maximum_duration", "PT20M", "25 minutes"]),
        ({"maximum_duration": "2 hours"}, ["maximum_duration", "2 hours", "PT2H"]),
        ({"reboot_setting": "Sometimes"}, ["reboot_setting", "Sometimes", "Never"]),
        ({"max_failures": "many"}, ["max_failures", "many"]),
        ({"kb_numbers_to_include": []}, ["classifications_to_include", "kb_numbers_to_include"]),
    ],
)
def test_an_impossible_option_is_named(
    options: dict[str, Any], words: list[str], running: emulator_process.Emulator, machine: str, tmp_path: Path
) -> None:
    before = len(running.audit())
    arguments = {
        "resource_ids": [machine],
        "kb_numbers_to_include": ["KB5087424"],
        "state_path": str(tmp_path / "state"),
        **options,
    }
    result = run_module("patch_installation", arguments, running.environment(), tmp_path)
    said = sentence(result)
    assert [word for word in words if word not in said] == [], said
    assert len(running.audit()) == before  # refused before anything was asked of Azure


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"AZURE_SECRET": "wrong"}, ["secret", "AADSTS7000215"]),
        ({"AZURE_TENANT": "00000000-0000-4000-8000-000000000000"}, ["tenant", "00000000-0000-4000-8000-000000000000"]),
        ({"AZURE_CLIENT_ID": "", "AZURE_SECRET": ""}, ["client_id"]),
        ({"AZURE_CLOUD_ENVIRONMENT": "https://127.0.0.1:9"}, ["cloud_environment", "https://127.0.0.1:9"]),
        ({"AZURE_CLOUD_ENVIRONMENT": "AzureMoonCloud"}, ["cloud_environment", "AzureMoonCloud", "AzureCloud"]),
    ],
)
def test_a_wrong_account_or_endpoint_is_named(
    environ: dict[str, str], words: list[str], running: emulator_process.Emulator, machine: str, tmp_path: Path
) -> None:
    arguments = {"resource_ids": [machine]}
    # Without a home there is no az CLI to fall back to.
    environ = {**running.environment(), "AZURE_CONFIG_DIR": str(tmp_path / "az"), **environ}
    said = sentence(run_module("machine_info", arguments, environ, tmp_path))
    assert [word for word in words if word not in said] == [], said
    assert running.endpoints["client_secret"] not in said


def test_an_untrusted_certificate_is_named(running: emulator_process.Emulator, machine: str, tmp_path: Path) -> None:
    other = tmp_path / "other-ca.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    environ = {**running.environment(), "REQUESTS_CA_BUNDLE": str(other), "SSL_CERT_FILE": str(other)}
    said = sentence(run_module("machine_info", {"resource_ids": [machine]}, environ, tmp_path))
    assert "certificate" in said
    assert "REQUESTS_CA_BUNDLE" in said


def test_a_machine_that_does_not_exist_is_named(
    running: emulator_process.Emulator, machine: str, tmp_path: Path
) -> None:
    said = sentence(run_module("machine_info", {"resource_ids": [machine + "x"]}, running.environment(), tmp_path))
    assert "bystanderx" in said
    assert "not found" in said.lower()


def test_no_permission_names_the_action(running: emulator_process.Emulator, machine: str, tmp_path: Path) -> None:
    running.control("/emulator/faults", "POST", FORBIDDEN)
    arguments = {"resource_ids": [machine], "kb_numbers_to_include": ["5087424"], "state_path": str(tmp_path / "state")}
    result = run_module("patch_installation", arguments, running.environment(), tmp_path)
    said = sentence(result)
    assert "Microsoft.Compute/virtualMachines/installPatches/action" in json.dumps(result)
    assert "bystander" in said + json.dumps(result["machines"])


FORBIDDEN = {
    "match": {"method": "POST", "path_regex": "installPatches"},
    "action": {
        "status": 403,
        "body": {
            "error": {
                "code": "AuthorizationFailed",
                "message": "The client 'c' with object id 'o' does not have authorization to perform action "
                "'Microsoft.Compute/virtualMachines/installPatches/action' over scope '/subscriptions/s'.",
            }
        },
    },
}


def test_a_missing_library_is_named(running: emulator_process.Emulator, machine: str, tmp_path: Path) -> None:
    """A controller without the Azure SDK is told what to install."""
    hidden = tmp_path / "hidden"
    for name in ("azure", "aiohttp"):
        (hidden / name).mkdir(parents=True)
        broken = f'raise ImportError("No module named {name}", name="{name}")\n'
        (hidden / name / "__init__.py").write_text(broken, encoding="utf-8")
    environ = {**running.environment(), "PYTHONPATH": str(hidden)}
    said = sentence(run_module("machine_info", {"resource_ids": [machine]}, environ, tmp_path))
    assert "azure" in said
    assert "pip install" in said or "requirements.txt" in said
