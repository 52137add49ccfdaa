# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guests of the emulator are prepared; what was written and who restarted is told by its audit log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.preparing import Wishes, prepare_guest

from .emulated_guests import SECONDS, Guests

VBS_OFF = {"vbs_configured": False, "vbs_status": 0}
DOCUMENT = {
    "now": "2026-05-13T01:00:00Z",
    "speed": 0,
    "seed": 7,
    "switches": {"restart_down_seconds": [20, 20]},
    "machines": [
        {"name": "bare01", "product": "ws2025", "guest": VBS_OFF},
        {"name": "ready01", "product": "ws2025"},
        {"name": "gen1", "product": "ws2025", "guest": {**VBS_OFF, "secure_boot": False}},
        {
            "name": "iso01",
            "product": "ws2022",
            "guest": {"enrolled": False, "vbs_configured": False, "vbs_status": 0},
        },
        {"name": "mute01", "product": "ws2022", "guest": {"winrm": False}},
    ],
}
DEVICE_GUARD = r"SYSTEM\CurrentControlSet\Control\DeviceGuard"


class Following:
    """The emulator's clock, moved on by whoever sleeps."""

    rate = 1000.0

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.slept = 0.0

    def now(self) -> Any:
        return self._clock.now()

    def monotonic(self) -> float:
        return self.slept

    def sleep(self, seconds: float) -> None:
        # The guest goes down in real time, a moment after it has answered.
        time.sleep(0.2)
        self.slept += seconds
        self._clock.advance(seconds)

    async def asleep(self, seconds: float) -> None:
        raise NotImplementedError


@pytest.fixture
def guests(tmp_path: Path) -> Iterator[Guests]:
    running = Guests(tmp_path, DOCUMENT)
    yield running
    running.close()


def act(guests: Guests, name: str = "bare01", **wishes: Any) -> dict[str, Any]:
    guest = guests.state(name)
    given = {"timeout": SECONDS, "restart_timeout": 300, **wishes}
    result = prepare_guest(guests.options(name), Following(guests.clock), Wishes(**given))
    assert guest.password not in str(result)
    return result


def written(guests: Guests) -> list[tuple[str, Any]]:
    return [
        (line["name"], line["data"]) for line in guests.lines("state") if line["what"] == "registry" and "name" in line
    ]


def test_what_differs_is_written_and_nothing_restarts(guests: Guests) -> None:
    """The second run writes nothing; a restart is needed and is not made."""
    first = act(guests)
    assert "failed" not in first and first["changed"] is True
    assert (first["restarted"], first["restart_needed"], first["vbs_running"]) == (False, True, False)
    assert written(guests) == [("EnableVirtualizationBasedSecurity", 1)]
    second = act(guests)
    assert (second["changed"], second["changes"], second["restart_needed"]) == (False, [], True)
    assert len(written(guests)) == 1 and guests.lines("restart") == []
    assert not [line for line in guests.lines() if line.get("action", "").endswith("/Reboot")]


def test_check_mode_writes_nothing(guests: Guests) -> None:
    """And shows what it would."""
    result = act(guests, check_mode=True, restart=True)
    assert result["changed"] is True and result["restarted"] is False
    assert result["diff"]["after"] == f"HKLM\\{DEVICE_GUARD}\\EnableVirtualizationBasedSecurity = 1\n"
    assert written(guests) == [] and guests.lines("restart") == []


@pytest.mark.parametrize("reboot", ["answers", "silent"])
def test_a_restart_by_explicit_word(guests: Guests, reboot: str) -> None:
    """Asked for once, also when the answer is lost; afterwards it runs, and nothing is left to do."""
    guests.behave_first(reboot=reboot)
    result = act(guests, restart=True)
    assert "failed" not in result, result["msg"]
    assert (result["restarted"], result["restart_needed"], result["vbs_running"]) == (True, False, True)
    assert [line["cause"] for line in guests.lines("restart")] == ["guest"]
    again = act(guests, restart=True)
    assert (again["changed"], again["restarted"]) == (False, False)
    assert len(guests.lines("restart")) == 1


def test_a_run_that_was_cut_off_before_its_restart(guests: Guests) -> None:
    """The value is there, it does not run yet: the next run with the word restarts."""
    act(guests)
    result = act(guests, restart=True)
    assert (result["changed"], result["changes"], result["restarted"]) == (True, [], True)
    assert len(guests.lines("restart")) == 1 and len(written(guests)) == 1


def test_a_refused_restart_is_a_failure(guests: Guests) -> None:
    """The account may not: nothing waits for a boot that will not come."""
    guests.behave_first(reboot="refused")
    result = act(guests, restart=True)
    assert result["failed"] and "right to shut it down" in result["msg"]
    assert result["restarted"] is False and result["changed"] is True and guests.lines("restart") == []


def test_a_guest_that_does_not_come_back(guests: Guests) -> None:
    """Told with the time at which it was asked; nobody asks again."""
    result = act(guests, restart=True, restart_timeout=10)
    assert result["failed"] and "is not back after 10 s" in result["msg"]
    assert sum(line.get("action", "").endswith("/Reboot") for line in guests.lines()) == 1


def test_a_ready_guest_is_left_alone(guests: Guests) -> None:
    result = act(guests, "ready01", restart=True)
    assert (result["changed"], result["restarted"], result["restart_needed"]) == (False, False, False)
    assert written(guests) == [] and guests.lines("restart") == []


def test_without_secure_boot_no_restart_is_made(guests: Guests) -> None:
    """It would not help; the user is told what would."""
    result = act(guests, "gen1", restart=True)
    assert result["changed"] is True and result["restarted"] is False and guests.lines("restart") == []
    assert any("UEFI" in text for text in result["advice"])


def test_another_machine_is_neither_written_to_nor_restarted(guests: Guests) -> None:
    result = act(guests, restart=True, vm_id="00112233-4455-6677-8899-aabbccddeeff")
    assert result["failed"] and "not known to be the machine that Azure means" in result["msg"]
    assert written(guests) == [] and guests.lines("restart") == []
    right = guests.fleet.by_name("bare01").vm_id
    assert act(guests, vm_id=right)["changed"] is True


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        ({"denied_keys": [DEVICE_GUARD.replace("\\", "/")]}, "could not be read"),
        ({"broken_classes": ["StdRegProv"]}, "could not be read"),
    ],
)
def test_what_cannot_be_read_is_not_written_over(guests: Guests, behaviour: dict[str, Any], why: str) -> None:
    guests.behave_first(**behaviour)
    result = act(guests, restart=True)
    assert result["failed"] and why in result["msg"] and result["changed"] is False
    assert written(guests) == [] and guests.lines("restart") == []


def test_a_silent_guest_fails(guests: Guests) -> None:
    result = act(guests, "mute01")
    assert result["failed"] and "did not answer" in result["msg"] and result["changed"] is False


def test_enrolment_of_an_installation_from_iso(guests: Guests) -> None:
    """Keys are made where there are none; the enrolment is effective after the restart."""
    result = act(guests, "iso01", iso_enrolment=True, restart=True)
    assert "failed" not in result, result["msg"]
    assert dict(written(guests)) == {
        "EnableVirtualizationBasedSecurity": 1,
        "Name": "Hotpatch Enrollment Package",
        "Version": "10.0.20348.1129",
        "HotPatchTableSize": 4096,
    }
    assert result["restarted"] and result["vbs_running"] and len(guests.lines("restart")) == 1
    assert act(guests, "iso01", iso_enrolment=True, restart=True)["changed"] is False


def test_a_write_that_windows_does_not_keep_is_a_failure(guests: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    """It said 0 and holds nothing: the guest is read again, and its word does not count."""
    monkeypatch.setattr(guests.state().inside, "write", lambda *dummy: None)
    result = act(guests, restart=True)
    assert result["failed"] and "does not hold EnableVirtualizationBasedSecurity" in result["msg"]
    assert result["changed"] is False and guests.lines("restart") == []
