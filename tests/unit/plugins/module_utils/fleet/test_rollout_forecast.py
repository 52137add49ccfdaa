# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the forecast and of the printed plan: times, restarts, exposure, and what is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.facts import Fact
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.locations import Regions
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.machine import Machine, unread_machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_forecast import (
    Forecast,
    check_confirmation,
    forecast,
    patched_by_platform,
)
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_hosts import read_inventory
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan import make_plan
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_plan_text import Pace, plan_lines
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_rings import Knowledge
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.rollout_state import Rollout

from .rollout_fleet import NOW, ids, keyed, machine, wishes

HOURS = timedelta(hours=1)
PACE = Pace(2 * HOURS, timedelta(minutes=15))


def in_zone(name: str, zone: str | None = "UTC", **settings: Any) -> Machine:
    found = replace(machine(name), time_zone=Fact.of(zone) if zone else Fact.absent())
    return replace(found, patch_settings=replace(found.patch_settings, **settings)) if settings else found


def seen(*machines: Machine, now: Any = NOW, known: Knowledge | None = None, **wish: Any) -> tuple[Rollout, Forecast]:
    fleet = keyed(*machines)
    names = [one.name for one in machines]
    rollout = make_plan(ids(*names), fleet, wishes(**{"wave_sizes": [1], **wish}), now, None, known)
    return rollout, forecast(rollout, fleet, now, PACE.needed, PACE.expected)


def times(rollout: Rollout) -> list[str | None]:
    return [wave.expected for wave in rollout.waves]


def test_waves_follow_each_other_and_rings_soak() -> None:
    rings = [{"name": "one", "hosts": ["a"], "soak": "PT1H"}, {"name": "two", "waves": [1]}]
    known = Knowledge(read_inventory({name: {} for name in "abc"}, {}))
    rollout, found = seen(in_zone("a"), in_zone("b"), in_zone("c"), rings=rings, known=known)
    assert times(rollout) == ["2026-05-13T01:00:00Z", "2026-05-13T02:15:00Z", "2026-05-13T02:30:00Z"]
    assert found.starts == NOW and found.ends == NOW + timedelta(minutes=105)


def test_a_wave_waits_for_its_window_with_room_for_a_whole_installation() -> None:
    rings = [{"name": "one", "window": "22:00-02:30", "waves": [1]}]
    rollout, found = seen(*(in_zone(name) for name in "abcd"), rings=rings)
    # 01:00 leaves an hour and a half, and a machine may take two: the first goes in the evening. Four fit.
    assert times(rollout) == [f"2026-05-13T22:{minute:02}:00Z" for minute in (0, 15, 30, 45)]
    assert not found.late
    short = [{"name": "one", "window": "22:00-23:30", "waves": [1]}]
    rollout, found = seen(in_zone("a"), rings=short)
    assert times(rollout) == [None] and found.starts is None
    assert "120 minutes" in found.late[1]["a"]


def test_restarts_are_those_of_the_release() -> None:
    assert seen(in_zone("a"))[1].restarts == ()
    assert seen(in_zone("a"), now=NOW.replace(month=4, day=20))[1].restarts == ("a",)


def test_exposure_is_what_the_platform_may_reach_first() -> None:
    """Off-peak hours are 22 to 4 on each machine's clock: at 01:00 UTC it is that in UTC, and not in Tokyo."""
    held = {"bypass_platform_safety_checks": Fact.of(True)}
    machines = [
        in_zone("first"),
        in_zone("utc"),
        in_zone("tokyo", "Tokyo Standard Time"),
        in_zone("nowhere", None),
        in_zone("held", "UTC", **held),
    ]
    rollout, found = seen(*machines)
    assert found.exposed == ("utc", "nowhere")
    by_host = {record.host: record for record in rollout.in_scope}
    assert by_host["utc"].exposed_from == "2026-05-13T01:00:00Z"
    assert by_host["utc"].exposed_until == "2026-05-13T01:15:00Z"
    assert by_host["tokyo"].exposed_from is None


def test_whom_the_platform_patches() -> None:
    assert patched_by_platform(machine("a"))
    manual = in_zone("a", patch_mode=Fact.of("Manual"))
    assert not patched_by_platform(manual)
    assert patched_by_platform(unread_machine(machine("a").id, {"code": "AuthorizationFailed"}))


@pytest.mark.parametrize(("machines", "confirmed"), [(500, None), (501, "501"), (501, 600), (3, "nonsense")])
def test_confirmed(machines: int, confirmed: object) -> None:
    check_confirmation(machines, 500, confirmed)


@pytest.mark.parametrize("confirmed", [None, "", 500, "yes", True])
def test_not_confirmed(confirmed: object) -> None:
    with pytest.raises(InputError, match="hotpatch_confirm") as caught:
        check_confirmation(501, 500, confirmed)
    assert "501" in str(caught.value)


def printed(*machines: Machine, known: Knowledge | None = None, **wish: Any) -> str:
    rollout, found = seen(*machines, known=known, **wish)
    return "\n".join(plan_lines(rollout, found, known or Knowledge(), PACE))


def test_a_small_plan_shows_every_machine_with_its_reason() -> None:
    text = printed(in_zone("a"), in_zone("b"), machine("off", power="deallocated"))
    assert "2 of 3 machines in 2 waves; installs KB5087423; error budget 0" in text
    assert "Restarts by the release: none" in text
    assert "hotpatch of 2026-05-12 for ws2025" in text and "the machine is deallocated" in text
    assert "Guests were not asked" in text
    assert "Azure may patch 1 machines by itself" in text


def test_a_large_plan_fits_on_one_screen_and_names_who_is_left_out() -> None:
    machines = [in_zone(f"m{n:03}") for n in range(300)] + [machine(f"off{n}", power="stopped") for n in range(12)]
    text = printed(*machines, wave_sizes=[1, "double"])
    assert len(text.splitlines()) < 40
    assert "Left out" in text and "12        skipped  stopped" in text and "off0, off1" in text and "and 4 more" in text


def test_what_is_not_known_is_said() -> None:
    regions = Regions({}, {"s": "Could not read the locations: AuthorizationFailed"})
    known = Knowledge(regions=regions, service_tag="service")
    other = replace(in_zone("b"), location="northeurope", zones=("1",), tags={"service": "web"})
    in_set = replace(in_zone("c"), availability_set="/x/set", platform_update_domain=Fact.unreadable("not read"))
    text = printed(in_zone("a"), other, in_set, known=known, wave_sizes=["100%"])
    assert "Which regions are paired is not known (Could not read the locations: AuthorizationFailed)" in text
    assert "The physical zone of b is not known" in text
    assert "Of c no update domain is known" in text


def test_names_from_outside_cannot_write_to_the_terminal() -> None:
    rings = [{"name": "x", "hosts": ["a\x1b[31m"]}]
    known = Knowledge(read_inventory({"a\x1b[31m": {}}, {}))
    fleet = keyed(in_zone("a"))
    rollout = make_plan({"a\x1b[31m": ids("a")["a"]}, fleet, wishes(rings=rings), NOW, None, known)
    found = forecast(rollout, fleet, NOW, PACE.needed, PACE.expected)
    assert "\x1b" not in "\n".join(plan_lines(rollout, found, known, PACE))
