# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way to authenticate, by ansible-playbook against the embedded Azure, and that no secret is ever shown."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import emulator_process
import pytest
from ansible_runs import BIN, FLEETS, environment, run_module

EXPIRED = {
    "status": 401,
    "headers": {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token has expired."'},
    "body": {"error": {"code": "ExpiredAuthenticationToken", "message": "The access token has expired."}},
}
METHODS = ("secret", "certificate", "pfx", "oidc_token", "oidc_token_file_path", "password", "profile", "msi")
LIFETIME, SPEED = 12, 12
"""Real seconds of a token, and emulated seconds in a real one, as the fleet file has them."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[emulator_process.Emulator]:
    run_dir = tmp_path_factory.mktemp("emulator")
    yield emulator_process.start(Path(sys.executable).parent, FLEETS / "identities.yml", run_dir)
    emulator_process.stop(run_dir)


def plain(running: emulator_process.Emulator, home: Path) -> dict[str, str]:
    """The emulator's environment without anybody's credentials."""
    theirs = ("AZURE_TENANT", "AZURE_CLIENT_ID", "AZURE_SECRET")
    kept = {name: value for name, value in running.environment().items() if name not in theirs}
    return {**kept, "HOME": str(home)}


def machine(running: emulator_process.Emulator, number: int = 1) -> str:
    subscription = running.endpoints["subscription_ids"][0]
    names = f"resourceGroups/rg-identities/providers/Microsoft.Compute/virtualMachines/web{number:04d}"
    return f"/subscriptions/{subscription}/{names}"


def credentials(running: emulator_process.Emulator, method: str, home: Path) -> tuple[str, dict[str, str]]:
    """The principal's name and the options by which it authenticates."""
    known, tenant = running.endpoints["principals"], running.endpoints["tenant_id"]

    def application(name: str, **proof: str) -> tuple[str, dict[str, str]]:
        return name, {"client_id": known[name]["client_id"], "tenant": tenant, **proof}

    if method in ("certificate", "pfx"):
        path = known["certificate"]["certificate" if method == "certificate" else "certificate_pfx"]
        thumbprint = known["certificate"]["thumbprint"]
        return application("certificate", x509_certificate_path=path, thumbprint=thumbprint)
    if method == "oidc_token":
        token = Path(known["federated"]["federated_token_file"]).read_text(encoding="ascii").strip()
        return application("federated", oidc_token=token)
    if method == "oidc_token_file_path":
        return application("federated", oidc_token_file_path=known["federated"]["federated_token_file"])
    if method == "password":
        user = known["user"]
        return "user", {"ad_user": user["user"], "password": user["password"], "tenant": tenant}
    name, options = application("secret", secret=known["secret"]["client_secret"])
    if method == "profile":
        (home / ".azure").mkdir(exist_ok=True)
        lines = "".join(f"{key} = {value}\n" for key, value in options.items())
        (home / ".azure" / "credentials").write_text(f"[rehearsal]\n{lines}", encoding="utf-8")
        return name, {"profile": "rehearsal"}
    return ("machine", {"auth_source": "msi"}) if method == "msi" else (name, options)


def secrets(running: emulator_process.Emulator) -> dict[str, str]:
    """Every secret of the fleet, by a name for it; lines of key files count each for itself."""
    found: dict[str, str] = {"identity header": running.endpoints["identity_header"]}
    for name, entry in running.endpoints["principals"].items():
        found.update({f"{name} {key}": entry[key] for key in ("client_secret", "password") if key in entry})
    token = Path(running.endpoints["principals"]["federated"]["federated_token_file"]).read_text(encoding="ascii")
    found["OIDC token"] = token.strip()
    found["signature of the OIDC token"] = token.strip().rpartition(".")[2]
    pem = Path(running.endpoints["principals"]["certificate"]["certificate"]).read_text(encoding="ascii")
    key = pem.partition("PRIVATE KEY-----")[2].splitlines()
    found.update({f"key line {number}": line for number, line in enumerate(key) if len(line) > 40})
    # The header of every token that the sign-in service signs.
    found["access token"] = "eyJ0eXAiOiJKV1Qi"
    return found


def play(
    tried: list[dict[str, str]], machine_id: str, environ: Mapping[str, str], folder: Path, extra: Mapping[str, str]
) -> str:
    """Run machine_info once with each of *tried*, at -vvvv and with the tasks' environment *extra*; return all output.

    What a task returns is printed once more by debug, as many a playbook does.
    """
    tasks: list[dict[str, Any]] = []
    for options in tried:
        arguments = {"resource_ids": [machine_id], **options}
        tasks += [
            {"winfleet.hotpatch.machine_info": arguments, "register": "seen", "ignore_errors": True},
            {"ansible.builtin.debug": {"var": "seen"}},
        ]
    plays = [{"hosts": "localhost", "gather_facts": False, "environment": dict(extra), "tasks": tasks}]
    (folder / "play.yml").write_text(json.dumps(plays), encoding="utf-8")
    done = subprocess.run(
        [str(BIN / "ansible-playbook"), "-vvvv", "--diff", "play.yml"],
        env=environment(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def asked(lines: list[dict[str, Any]], suffix: str = "", **wanted: Any) -> list[dict[str, Any]]:
    """The requests of the audit log whose path ends so and whose fields are as wanted."""
    return [
        line
        for line in lines
        if line["kind"] == "request"
        and line["path"].lower().endswith(suffix.lower())
        and all(line.get(name) == value for name, value in wanted.items())
    ]


@pytest.mark.parametrize("where", ["action", "module"])
def test_every_method_by_ansible_and_no_secret_is_shown(
    running: emulator_process.Emulator, tmp_path: Path, where: str
) -> None:
    """With another managed identity in the tasks' environment the work moves into modules."""
    chosen = [credentials(running, method, tmp_path) for method in METHODS]
    before = len(running.audit())
    identity = {"IDENTITY_ENDPOINT": running.endpoints["identity_endpoint"]}
    # Not in the tasks' environment: ansible itself shows that at -vvv.
    environ = {**plain(running, tmp_path), "IDENTITY_HEADER": running.endpoints["identity_header"]}
    if where == "action":
        environ |= identity
    extra = identity if where == "module" else {}
    output = play([options for _name, options in chosen], machine(running), environ, tmp_path, extra)
    done = asked(running.audit()[before:], "/virtualMachines/web0001")
    assert [(line["principal"], line["status"]) for line in done] == [(name, 200) for name, _options in chosen], output
    assert ("AnsiballZ_machine_info" in output) == (where == "module")
    assert [name for name, secret in secrets(running).items() if secret in output] == []


def test_a_refused_login_is_one_sentence_and_shows_no_secret(
    running: emulator_process.Emulator, tmp_path: Path
) -> None:
    wrong: list[dict[str, str]] = []
    for method in ("secret", "oidc_token", "password"):
        options = credentials(running, method, tmp_path)[1]
        right = options[method]
        wrong.append({**options, method: f"{right[:-20]}CanaryXYZ{right[-11:]}"})
    output = play(wrong, machine(running), plain(running, tmp_path), tmp_path, {})
    for code in ("AADSTS7000215", "AADSTS50013", "AADSTS50126"):
        assert code in output
    assert "Could not get a token from Azure" in output
    assert "Traceback" not in output
    assert "CanaryXYZ" not in output


@pytest.mark.parametrize(("number", "method"), [(2, "certificate"), (3, "oidc_token_file_path"), (4, "password")])
def test_a_token_that_expires_in_the_middle_is_renewed(
    running: emulator_process.Emulator, tmp_path: Path, number: int, method: str
) -> None:
    """An assessment of at least 15 real seconds with tokens of 12; the user's second one comes by a refresh token."""
    principal, options = credentials(running, method, tmp_path)
    before = len(running.audit())
    arguments = {"resource_ids": [machine(running, number)], "poll_interval": 24, "max_age": 0, **options}
    arguments["state_path"] = str(tmp_path / "state")
    result = run_module("patch_assessment", arguments, plain(running, tmp_path), tmp_path)
    assert not result["failed"], result
    lines = running.audit()[before:]
    requests = asked(lines)
    assert {line["principal"] for line in asked(requests, "/assessPatches")} == {principal}
    began, ended = (datetime.fromisoformat(requests[index]["time"].replace("Z", "+00:00")) for index in (0, -1))
    lifetimes = (ended - began).total_seconds() / SPEED / LIFETIME
    assert 2 <= len(asked(lines, "/oauth2/v2.0/token", status=200)) <= lifetimes + 1
    assert asked(lines, "/oauth2/v2.0/token", status=400) == []
    assert asked(lines, status=401) == []
    assert [line["status"] for line in asked(lines, "/assessPatches", method="POST")] == [202]


def test_an_installation_refused_for_an_expired_token_is_started_once(
    running: emulator_process.Emulator, tmp_path: Path
) -> None:
    """Azure refuses a token that this machine's clock takes for good: a new one, and the same POST once more."""
    _principal, options = credentials(running, "secret", tmp_path)
    before = len(running.audit())
    running.control("/emulator/faults", "POST", {"match": {"path_regex": "installPatches"}, "action": EXPIRED})
    arguments = {"resource_ids": [machine(running, 5)], "poll_interval": 24, "kb_numbers_to_include": ["KB5087423"]}
    arguments["state_path"] = str(tmp_path / "state")
    result = run_module("patch_installation", {**arguments, **options}, plain(running, tmp_path), tmp_path)
    assert not result["failed"], result
    lines = running.audit()[before:]
    sent = asked(lines, "/installPatches", method="POST")
    assert [line["status"] for line in sent] == [401, 202]
    started = [line for line in lines if line["kind"] == "operation" and line["event"] == "started"]
    assert len([line for line in started if "install" in line["operation"].lower()]) == 1
    assert len(asked(lines, status=401)) == 1
