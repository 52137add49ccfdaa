# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guest_info action: whatever a guest does is a result; only the user's own mistakes fail the task."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

pytest.importorskip("ansible.plugins.action")
from ansible.errors import AnsibleActionFail

from ansible_collections.winfleet.hotpatch.plugins.action import guest_info
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.guest import (
    GuestFacts,
    guest_from_dict,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman import envelope, reading, transport
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.connection import WinrmSender
from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.faults import Unreachable

SECRET = "Sw0rdf1sh&<7"


def act(
    arguments: dict[str, Any] | None = None,
    kind: str = "winrm",
    environment: list[Any] | None = None,
    check_mode: bool = False,
    **options: Any,
) -> dict[str, Any]:
    values = {
        "port": 5986,
        "path": "/wsman",
        "remote_addr": "127.0.0.1",
        "remote_user": "ops",
        "remote_password": SECRET,
    }
    values.update(options)
    task = MagicMock(
        args=arguments or {}, async_val=0, check_mode=check_mode, environment=environment, action="guest_info"
    )
    connection = SimpleNamespace(transport=kind, get_option=values.get, _shell=MagicMock(tmpdir=None))
    action = guest_info.ActionModule(
        task=task,
        connection=connection,
        play_context=MagicMock(),
        loader=MagicMock(),
        templar=MagicMock(),
        shared_loader_obj=MagicMock(),
    )
    action._load_name = "guest_info"  # the plugin loader sets it
    result: dict[str, Any] = action.run(task_vars={})
    assert json.loads(json.dumps(result)) == result, "plain JSON types only"
    assert SECRET not in str(result)
    return result


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> list[envelope.Request]:
    """Every guest refuses the connection; what was sent is collected."""
    sent: list[envelope.Request] = []

    def send(self: WinrmSender, request: envelope.Request) -> bytes:
        sent.append(request)
        raise Unreachable("the guest cannot be connected to (Connection refused); is WinRM listening there?")

    monkeypatch.setattr(WinrmSender, "send", send)
    return sent


@pytest.mark.parametrize("check_mode", [False, True])
def test_a_guest_that_does_not_answer_is_a_result(refusing: list[envelope.Request], check_mode: bool) -> None:
    """Not failed, not unreachable, and the same in check mode."""
    result = act(check_mode=check_mode)
    assert (result["changed"], result["reachable"]) == (False, False)
    assert "Connection refused" in result["why"]
    assert "failed" not in result and "unreachable" not in result
    guest = guest_from_dict(result["guest"])
    assert guest.why == result["why"] and guest.boot_time.is_unreadable and guest.round_trips == 1
    assert len(refusing) == 1 and "<a:To>https://127.0.0.1:5986/wsman</a:To>" in refusing[0].envelope


def test_what_the_probe_found_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The facts come as the domain spells them, and the options reach the probe."""
    found = GuestFacts(True, "", datetime(2026, 5, 13, 1, tzinfo=timezone.utc), round_trips=2)
    calls: list[tuple[Any, ...]] = []

    def probe(*given: Any) -> GuestFacts:
        calls.append(given)
        return found

    monkeypatch.setattr(reading, "probe", probe)
    result = act({"subset": "poll", "timeout": 5})
    assert (result["reachable"], result["why"], result["guest"]) == (True, "", found.to_dict())
    sender, _clock, subset, redact = calls[0]
    assert subset == "min" and redact(SECRET) == "********"
    assert sender._deadline.seconds == 5


@pytest.mark.parametrize("kind", ["ssh", "local", "smart"])
def test_other_connections_are_a_result(refusing: list[envelope.Request], kind: str) -> None:
    """The reason names the connection and what can be done; nothing is sent."""
    result = act(kind=kind)
    assert result["reachable"] is False
    assert f"ansible_connection is {kind}" in result["why"] and "hotpatch_proof: azure" in result["why"]
    assert refusing == []


def test_options_of_the_host_that_cannot_be_used_are_a_result(refusing: list[envelope.Request]) -> None:
    """They are the host's, not the task's."""
    result = act(port="many")
    assert result["reachable"] is False and "ansible_port is 'many'" in result["why"]
    assert refusing == []


def test_a_missing_library_is_a_result_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import error at the top of an action would end the whole run."""
    monkeypatch.setattr(transport, "IMPORT_ERROR", "No module named 'winrm'")
    assert "pip install pywinrm" in act()["why"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timeout": "soon"}, "timeout"),
        ({"sub_set": "core"}, "sub_set"),
    ],
)
def test_wrong_options_fail(arguments: dict[str, Any], message: str) -> None:
    """One sentence that names the option."""
    with pytest.raises(AnsibleActionFail, match=message):
        act(arguments)


def failure(*arguments: Any, **given: Any) -> str:
    result = act(*arguments, **given)
    assert result["failed"] is True and "guest" not in result
    return str(result["msg"])


@pytest.mark.parametrize("wanted", ["everything", ["core", "!everything"], "!min", ["all", "!poll"]])
def test_a_subset_that_is_not_known_fails(wanted: Any) -> None:
    """So does leaving out what is always read."""
    assert failure({"gather_subset": wanted}).startswith("Option gather_subset has the value")


def test_a_time_that_cannot_be_fails() -> None:
    """Nothing can be read in no time."""
    expected = "Option timeout has the value 0, but it must be a number of seconds of at least 1."
    assert failure({"timeout": 0}) == expected


def test_an_emulated_clock_is_refused_for_a_real_guest(refusing: list[envelope.Request]) -> None:
    """The task's environment is honoured, and a guest that is not on loopback is never asked by it."""
    environment = {"HOTPATCH_CLOCK": "http://127.0.0.1:1/emulator/clock"}
    message = failure(environment=[environment], remote_addr="10.0.0.4")
    assert "HOTPATCH_CLOCK is set, but 'https://10.0.0.4:5986/wsman'" in message
    assert "did not answer" in failure(environment=[{"OTHER": "1"}, environment])
    assert refusing == []


def test_the_environment_of_the_process_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the task's goes before it."""
    monkeypatch.setenv("HOTPATCH_CLOCK", "http://10.0.0.4/clock")
    assert "loopback" in failure()
    assert act(environment=[{"HOTPATCH_CLOCK": ""}], kind="ssh")["reachable"] is False
